# SPDX-License-Identifier: Apache-2.0
"""What starts scripts and keeps what they write, as protocols that an adapter fulfils.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
import enum
from typing import Any, Protocol

from gateway_node.entities.values import EntityRef, NodeName
from gateway_node.executions.artifact import Artifact
from gateway_node.executions.output_lines import OutputLines, OutputStream
from gateway_node.executions.preconditions import Required
from gateway_node.executions.values import (
    Output,
    Progress,
    ResourceUse,
    StopAction,
    Trigger,
    UnkillableProcess,
)
from gateway_node.masking import masked
from gateway_node.scripts.values import Script


@dataclass(frozen=True, kw_only=True)
class StartOrder:
    """All that a runner needs to start one execution's script."""

    execution_id: str
    entity: EntityRef
    script: Script
    parameters: Mapping[str, Any]
    """JSON values, checked against the script's parameters_schema before anything is started."""
    arguments: tuple[str, ...]
    timeout_sec: float
    stop_grace_period_sec: float
    """Seconds between the request to end and the kill."""
    node: NodeName | None = None
    """The node that the entity is; None where it is no app."""
    secrets: tuple[str, ...] = ()
    """Where in `parameters` secrets are, which the script gets on stdin alone; JSON Pointers."""
    preconditions: tuple[Required, ...] = ()
    """What of the robot has to be true, in part as long as the script runs."""
    token: str | None = field(default=None, repr=False)
    """What its script shows to the API; None where it needs nothing."""

    @property
    def shown_parameters(self) -> Mapping[str, Any]:
        """The parameters as they may be shown and kept, without the secrets."""
        return masked(self.parameters, self.secrets) if self.secrets else self.parameters

    def without_secrets(self) -> 'StartOrder':
        """Return the order as it may be kept."""
        return replace(self, parameters=self.shown_parameters) if self.secrets else self


class EndCause(enum.Enum):
    """Why a process tree came to its end."""

    EXITED = 'exited'
    """The main process ended by itself, or by a stop that the service asked for."""
    TIMED_OUT = 'timed_out'
    """The runner ended it: time limit."""
    LIMIT_REACHED = 'limit_reached'
    """The runner ended it: another limit; `Outcome.limit` says which."""
    SPAWN_FAILED = 'spawn_failed'
    """The script's process could not be executed; `Outcome.message` says why."""
    SUPERVISOR_LOST = 'supervisor_lost'
    """The supervisor died, or was not understood; the tree was ended by whoever inherited it."""
    GATEWAY_LOST = 'gateway_lost'
    """The gateway died; the supervisor ended the tree."""


@dataclass(frozen=True, kw_only=True)
class LimitReached:
    """A limit that ended an execution."""

    name: str
    """A field of `scripts.values.Limits`: `memory_mb`."""
    value: float
    """The limit, in the field's unit."""
    used: float
    """What was used when it was noticed, in the same unit."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a process tree ended.

    It exists only once the whole tree is gone, or what cannot be ended is named.
    """

    cause: EndCause
    exit_code: int | None = None
    signal: int | None = None
    message: str = ''
    limit: LimitReached | None = None
    duration_sec: float | None = None
    """None where nobody measured it."""
    leftover_processes: int | None = None
    """Processes that outlived the main process and were ended; None where nobody knows which they
    were, as where the supervisor is lost."""
    unkillable_processes: tuple[UnkillableProcess, ...] = ()
    """Processes that may not be signalled, or that SIGKILL did not end in time (uninterruptible
    sleep)."""
    resource_use: ResourceUse | None = None
    end_asked: bool = False
    """True where the service asked for the end while the main process lived."""
    end_asked_by: Trigger | None = None
    """Who asked last, whatever lived then, as far as the runner was told."""
    result: Mapping[str, Any] | None = None
    """What the script gave as its result, where it gave one."""
    printed: Mapping[str, Any] | None = None
    """What it printed, where it exited, gave no result and all of stdout is a JSON object."""
    printed_warning: str = ''
    """Why something like it is not taken; of no matter where nothing printed would be."""
    warnings: tuple[str, ...] = ()
    """What the execution is to carry as its warnings, whatever its final status."""
    artifacts: int = 0
    """Files that the script left and that are kept."""
    kept_bytes: int | None = None
    """Of the disk, that what is kept beside the record takes; None where nobody measured it."""
    output: Output | None = None
    """What it wrote, where that is known without asking for it."""


class ScriptProcess(Protocol):
    """A started script: its whole process tree."""

    @property
    def warm(self) -> bool:
        """True where the script began in an interpreter that has its modules loaded."""

    def stop(self, action: StopAction, asked_by: Trigger | None = None) -> None:
        """Ask for the end; return at once. Repeating is harmless, a kill may follow a stop.

        The outcome says who asked, also to a later gateway.
        """

    async def ended(self) -> Outcome:
        """Wait until the whole tree is gone. Cancelling the wait changes nothing."""


class Artifacts(Protocol):
    """The files that scripts left and that are kept of ended executions."""

    async def of(self, execution_id: str) -> tuple[Artifact, ...]:
        """Return those of an execution, by path; none where it is unknown."""

    async def check(self, execution_id: str, artifacts: Sequence[Artifact]) -> None:
        """Return where these files are there as they were listed; ArtifactNotFound."""

    def content(
        self, execution_id: str, artifact: Artifact, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of a file from `begin` up to `end`.

        ConnectionAbortedError where they are not there any more.
        """


class Outputs(Protocol):
    """What scripts write to stdout and stderr, while they run and after."""

    async def of(self, execution_id: str) -> Output:
        """Return what was kept of it, while it runs and after; empty where unknown."""

    async def lines(
        self,
        execution_id: str,
        *,
        after: int = 0,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return up to `limit` lines that are kept, of one stream or both, with numbers above
        `after`; while it runs and after.

        They are fewer where they are long, and all there are at the moment only where a further
        reading behind `last` gives none.
        """

    async def newest_lines(
        self,
        execution_id: str,
        *,
        before: int | None = None,
        limit: int,
        stream: OutputStream | None = None,
    ) -> OutputLines:
        """Return the last `limit` lines that are kept, with numbers below `before` if that is
        given; by number too, and fewer where they are long."""

    async def text(self, execution_id: str, *, stream: OutputStream | None = None) -> bytes:
        """Return all that is kept of one stream or both, as the script wrote it; while it runs
        and after.

        Both come line by line, by number, what has no end yet last. Where bytes of a stream were
        dropped a line says how many.
        """

    def watch(self, execution_id: str, on_output: Callable[[], None]) -> Callable[[], None]:
        """Call `on_output` on the event loop when there may be more lines; return what ends that.

        At most ten times a second, and once more when the tree has ended; never for an execution
        whose script does not run.
        """


class ScriptRunner(Protocol):
    """Starts scripts and keeps what they write."""

    @property
    def outputs(self) -> Outputs:
        """What is kept of what they write."""

    @property
    def artifacts(self) -> Artifacts:
        """What is kept of the files that they left."""

    async def ready(self) -> None:
        """Return where scripts can be started at the moment, their environment included.

        Raises:
            RunnerUnavailable: none can be, whichever it is.
        """

    async def vet(self, order: StartOrder) -> None:
        """Raise where `order` cannot be started now, before anything is recorded.

        Raises:
            KindNotAvailable: this gateway cannot run the script's kind.
            ParametersInvalid: the script itself refuses the parameters (a launch fragment's
                declared arguments).
            RunnerUnavailable: nothing can be started at the moment.
        """

    async def look_over(self, order: StartOrder) -> None:
        """Raise as `vet` does, as far as nothing has to be executed to know."""

    async def start(
        self, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> ScriptProcess:
        """Start the script; `on_progress` is called on the event loop until the tree has ended.

        Raises:
            SpawnFailed: the process could not be started; nothing is left behind.
        """

    def acknowledge(self, execution_ids: Iterable[str]) -> None:
        """Take note that these ends are recorded.

        Until then `recover` of the next gateway tells of them; returns at once.
        """

    async def discard(self, execution_id: str) -> None:
        """Remove all that was kept of an ended execution."""

    async def kept(self) -> tuple[str, ...]:
        """Return the ids of all executions of which something is kept."""

    async def kept_bytes(self, execution_ids: Sequence[str]) -> Sequence[int]:
        """Return how much of the disk is taken by what is kept of each of these ended
        executions."""

    async def recover(self) -> Mapping[str, Outcome]:
        """End what an earlier gateway left running; return how it ended, by execution id."""

    def lives(self, process: UnkillableProcess) -> bool:
        """Tell whether a process that could not be ended still lives."""

    def remember(self, execution_id: str, left: Sequence[UnkillableProcess]) -> None:
        """Note for later gateways what an execution left; nothing fails without."""

    async def remembered(self) -> Mapping[str, tuple[UnkillableProcess, ...]]:
        """Return what was noted and still lives, by execution id."""

    async def close(self) -> None:
        """End the runner's own processes; every script has ended before."""
