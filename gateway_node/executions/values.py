# SPDX-License-Identifier: Apache-2.0
"""Values of the execution room."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
import datetime
import enum
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.findings import Check, findings_of
from gateway_node.executions.group import Group
from gateway_node.executions.rights import Rights
from gateway_node.executions.schedule import Schedule
from gateway_node.scripts.values import DEFAULT_PRIORITY, Mending, Retries, ScriptKind, Verdict


class ExecutionStatus(enum.Enum):
    """Where an execution stands; the values are SOVD's."""

    PREPARED = 'prepared'
    """Accepted and recorded; its script does not run yet."""
    RUNNING = 'running'
    """The script's process tree exists."""
    COMPLETED = 'completed'
    """The script ended well; its output is in `parameters`."""
    FAILED = 'failed'
    """It ended badly, or could not begin; `error` says how."""
    TERMINATED = 'terminated'
    """A client stopped it, or a trigger of its instance did."""


OPEN_STATUSES = frozenset({ExecutionStatus.PREPARED, ExecutionStatus.RUNNING})
FINAL_STATUSES = frozenset(ExecutionStatus) - OPEN_STATUSES

MAX_WARNINGS = 20
MAX_WARNING_CHARACTERS = 400
MORE_WARNINGS = 'there were more warnings than are kept'


class ExecutionType(enum.Enum):
    """When an execution is to run."""

    NOW = 'now'
    """At once."""
    NOW_AND_ON_RESTART = 'now_and_on_restart'
    """At once, and at each start of the gateway."""
    ON_RESTART = 'on_restart'
    """At each start of the gateway, not now."""
    ONCE_ON_RESTART = 'once_on_restart'
    """At the next start of the gateway, at most once."""


class StopAction(enum.Enum):
    """How a client ends an execution."""

    STOP = 'stop'
    """Ask the processes to end (SIGTERM; SIGINT for a launch fragment), kill after the grace
    period."""
    FORCED_TERMINATION = 'forced_termination'
    """Kill the whole process tree (SIGKILL)."""


class TriggerType(enum.Enum):
    """Who started or stopped an execution."""

    MANUAL = 'manual'
    """A client of the API."""
    RESTART = 'restart'
    """A schedule, at a start of the gateway."""
    SYSTEM = 'system'
    """The gateway itself: a timeout, a limit, its own shutdown."""
    CONDITION = 'condition'
    """A trigger of the instance, whose condition came true."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """What started or stopped an execution."""

    type: TriggerType
    setting: str | None = None
    """What of the trigger: the stop action, the limit, the schedule's id, the condition."""
    username: str | None = None
    """The authenticated client; None without authentication."""
    firing: int | None = None
    """The sequence of the event in the log that tells that the condition fired."""

    @property
    def is_wanted(self) -> bool:
        """Whether somebody wants what it leads to, and it does not only befall them."""
        return self.type in (TriggerType.MANUAL, TriggerType.CONDITION)

    @property
    def cause_of_stop(self) -> str | None:
        """What it is in a word, where it leads to a stop: a condition is longer than that."""
        return self.type.value if self.type is TriggerType.CONDITION else self.setting


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a script last said of its progress."""

    percent: int | None = None
    """0 to 100."""
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class ResourceUse:
    """What an execution's process tree used."""

    max_memory_bytes: int
    """Greatest resident memory seen."""
    cpu_sec: float
    """User and system CPU seconds."""


@dataclass(frozen=True, kw_only=True)
class UnkillableProcess:
    """A process that an execution left and that nobody could end."""

    pid: int
    start_ticks: int
    """Since boot; with the pid it names the process for good, within one boot."""
    user: str
    """The name of its effective user, or the number; empty where unknown."""
    command: str
    permitted: bool
    """False where the gateway's user may not signal it; else SIGKILL does not end it."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """The first and last bytes of what a script wrote; undecodable bytes are replaced."""

    stdout: str = ''
    stderr: str = ''
    dropped_bytes: int = 0
    """Bytes between the first and the last, of both streams, that were not kept."""


@dataclass(frozen=True, kw_only=True)
class Executor:
    """The gateway that runs an execution's script, as it was then."""

    name: str
    """The fully qualified name of its node."""
    host: str
    """Its hostname."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution of a script; a value, changed only by `evolve`."""

    id: str
    """`exec_` and a ULID; ids grow strictly."""
    entity: EntityRef
    script_id: str
    script_version: str
    script_name: str | None = None
    """As it was for this execution, as kind and tags were; None on records of version 0.1.0."""
    script_kind: ScriptKind | None = None
    script_tags: tuple[str, ...] = ()
    instance: str | None = None
    """The name of the script's instance on behalf of which it runs."""
    instance_version: str | None = None
    """Of the instance, as it was when this was accepted."""
    execution_type: ExecutionType
    status: ExecutionStatus
    trigger: Trigger
    created_at: datetime.datetime
    input_parameters: Mapping[str, Any] = field(default_factory=dict)
    """With `masking.MASK` in place of each secret."""
    secrets: tuple[str, ...] = ()
    """Where in `input_parameters` these are; JSON Pointers."""
    arguments: tuple[str, ...] = ()
    mended: tuple[Mending, ...] = ()
    """How the file that runs differs from the script's version."""
    exit_verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    """As its script had them: whoever ends it, and a later gateway, knows them."""
    retries: Retries | None = None
    """As its script had them."""
    attempt: int = 1
    """Above 1 where it follows one that failed: which one it is of these."""
    due_up_sec: float | None = None
    """Until when it does not want in yet, by the gateway's total time up."""
    priority: int = DEFAULT_PRIORITY
    """0 to `MAX_PRIORITY`; of those that wait, the higher goes first."""
    parent: str | None = None
    """The id of the schedule or the execution that led to this one."""
    ancestors: tuple[str, ...] = ()
    """Of what a script started: the ids of its parent, of that one's, …; a script runs under
    each of these ids, or did."""
    schedule: str | None = None
    """The id of the schedule that came with a `now_and_on_restart`."""
    callback: str | None = None
    """The URL to which its end is told; None where nobody asked for that."""
    as_schedule: Schedule | None = None
    """Set while it is a schedule: PREPARED, waiting for a start of the gateway."""
    stop_trigger: Trigger | None = None
    """Set when a stop was accepted, or when the gateway itself ended the execution."""
    started_at: datetime.datetime | None = None
    completed_at: datetime.datetime | None = None
    duration_ms: int | None = None
    """From start to end, by the monotonic clock."""
    progress: Progress | None = None
    warm: bool = False
    """True where its script began in an interpreter that has its modules loaded."""
    exit_code: int | None = None
    signal: int | None = None
    """The number of the signal that ended the main process."""
    leftover_processes: int | None = None
    """Processes of the tree that outlived the main process and were ended by the supervisor."""
    unkillable_processes: tuple[UnkillableProcess, ...] = ()
    """Processes of the tree that lived on when the final status was set."""
    resource_use: ResourceUse | None = None
    output_parameters: Mapping[str, Any] | None = None
    """What the script gave as its result; always set when COMPLETED, where it gave one when
    FAILED."""
    verdict: Verdict | None = None
    """What the script found; None where it did not say. Like `summary` and `metrics`, from the
    result."""
    summary: str | None = None
    """One line for a person."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What was measured, by name."""
    failure: Failure | None = None
    """Set when FAILED."""
    executor: Executor | None = None
    """Set when its script is to be started; None on records of version 0.1.0."""
    changed_at: datetime.datetime | None = None
    """When its record last changed while it was open; None where it never did."""
    artifacts: int = 0
    """Files that the script left and that are kept."""
    evidence: bool = False
    """True where what was around it is kept, or was to be."""
    warnings: tuple[str, ...] = ()
    """What a person should know although it changes no status; a sentence each. See `warn`."""
    timeout_sec: float | None = None
    """The time limit that its start gave; None: the script's own, or the gateway's default."""
    expires_in_sec: float | None = None
    """How long after its acceptance it may wait for its start; None for as long as it takes."""
    expires_up_sec: float | None = None
    """When that is over, by the time that all gateways on its store were up."""
    queue_position: int | None = None
    """Where it stands in line, the first at 1: told of one that waits, and never on record."""
    rights: Rights | None = None
    """What its script may do through the API; None where nobody was asked who they are."""
    group: Group | None = None
    """Set where it executes nothing itself: see `group.py`."""

    @property
    def is_open(self) -> bool:
        """True until a final status is set."""
        return self.status in OPEN_STATUSES

    @property
    def is_schedule(self) -> bool:
        """True as long as it waits for a start of the gateway."""
        return self.as_schedule is not None

    @property
    def ended_as_schedule(self) -> bool:
        """True for a schedule that ended while it waited: nothing was executed under its id.

        What it started are executions of their own; only a `once_on_restart` becomes one.
        """
        return (
            self.execution_type is not ExecutionType.NOW
            and self.started_at is None
            and self.trigger.type is TriggerType.MANUAL
            and self.schedule is None
            and (
                self.status is ExecutionStatus.TERMINATED
                or (self.failure is not None and self.failure.reason is FailureReason.SCRIPT_GONE)
            )
        )

    @property
    def stop_accepted(self) -> bool:
        """True once a stop was accepted that was wanted, by a client or by a trigger of the
        instance; its final status is then TERMINATED."""
        return self.stop_trigger is not None and self.stop_trigger.is_wanted

    @property
    def terminating(self) -> bool:
        """True from an accepted stop to the end of the process tree."""
        return self.is_open and self.stop_trigger is not None

    @property
    def updated_at(self) -> datetime.datetime:
        """When its record last changed."""
        return self.completed_at or self.changed_at or self.started_at or self.created_at

    @property
    def checks(self) -> tuple[Check, ...]:
        """What the script looked at, as `output_parameters` tell it."""
        return findings_of(self.output_parameters).checks

    def warn(self, *sentences: str) -> 'Execution':
        """Return a copy that carries these warnings too: each once, all of them bounded."""
        kept = list(dict.fromkeys([*self.warnings, *map(_warning, sentences)]))
        if len(kept) > MAX_WARNINGS:
            kept[MAX_WARNINGS - 1 :] = [MORE_WARNINGS]
        return self.evolve(warnings=tuple(kept))

    def evolve(self, **changes: Any) -> 'Execution':
        """Return a copy with `changes`; a status changes through `transitions.advance` only."""
        return replace(self, **changes)


def _warning(sentence: str) -> str:
    """Return a sentence as one line that any client can be served."""
    line = ' '.join(sentence.encode(errors='replace').decode().split())
    if len(line) <= MAX_WARNING_CHARACTERS:
        return line
    return f'{line[: MAX_WARNING_CHARACTERS - 1]}…'
