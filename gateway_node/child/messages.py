# SPDX-License-Identifier: Apache-2.0
"""What is said across the fork; beside `contract`, which scripts too have to load."""

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict


class SupervisorLimits(TypedDict):
    """Bounds of one process tree, in the units of `scripts.values.Limits`; None is no bound."""

    cpu_sec: float | None
    memory_mb: float | None
    processes: int | None
    open_files: int | None
    file_size_mb: float | None
    output_mb: float | None


class ArtifactBounds(TypedDict):
    """Of what is kept of the files that a script leaves."""

    max_files: int
    max_file_bytes: int
    max_total_bytes: int


class ArtifactNote(TypedDict):
    """A file that a script left and that is kept."""

    path: str
    """Below the folder, with slashes."""
    size: int
    modified: int
    """Seconds since 1970, as its file system had it."""
    crc32: int
    sha256: str


class ArtifactsNote(TypedDict):
    """The content of ARTIFACTS_INDEX."""

    files: list[ArtifactNote]
    complaints: list[str]
    """Why others are not kept, in sentences."""


class SupervisorOrder(TypedDict):
    """All that a supervisor needs to run one script.

    The gateway gives the next one once the end of the one before is on record.
    """

    execution_id: str
    directory: str
    """The execution's own: made when there first is something to be kept in it."""
    argv: list[str]
    environment: dict[str, str]
    """Beyond the last `base_environment`."""
    base_environment: NotRequired[dict[str, str]]
    """Told where it is not what this supervisor was told before."""
    folder_variables: NotRequired[dict[str, str]]
    """Variables that are paths within the supervisor's folder, by name."""
    stdin: str
    has_secrets: NotRequired[bool]
    """True where secrets are on stdin: who had them in its memory gets no other order."""
    script_file: NotRequired[str]
    """The file that an interpreter is to read: it must be there."""
    timeout_sec: float
    grace_sec: float
    stop_signal: int
    limits: SupervisorLimits
    cgroup: NotRequired[str]
    """A cgroup v2 directory in which to make a leaf for this execution."""
    keep_working_directory: bool
    artifacts: NotRequired[ArtifactBounds]
    """Of what is kept of the files that the script leaves; without, none are."""


class AskerNote(TypedDict):
    """Who asked for an end: an `executions.values.Trigger`, which nobody here understands."""

    type: str
    setting: str | None
    username: str | None
    firing: NotRequired[int]


class EndWish(TypedDict):
    """The gateway's later messages to a supervisor."""

    end: Literal['stop', 'kill']
    asked_by: AskerNote | None


class Dismissal(TypedDict):
    """The gateway's last message to a supervisor that it needs no more: all ends are on record.

    A channel that ends without it is that of a gateway that is gone.
    """

    dismissed: Literal[True]


class ProcessNote(TypedDict):
    """A process that could not be ended, as whoever gave it up saw it."""

    pid: int
    start_ticks: int
    """Since boot; with the pid it names the process for good."""
    uid: int | None
    """The effective user; None where that cannot be read."""
    command: str
    permitted: bool
    """False where it may not be signalled."""


class LimitNote(TypedDict):
    """A limit that was reached: a field of `SupervisorLimits`, its value and what was used."""

    name: str
    value: float
    used: float


Cause = Literal['exited', 'timed_out', 'limit_reached', 'gateway_lost']
"""Why a supervisor saw the tree end; each is a value of `executions.ports.EndCause`."""


class EndReport(TypedDict):
    """How a script ended: the content of END_FILE."""

    cause: Cause
    exit_code: int | None
    signal: int | None
    limit: LimitNote | None
    duration_sec: float
    leftover_processes: int
    unkillable_processes: list[ProcessNote]
    max_memory_bytes: int
    cpu_sec: float
    stdout_bytes: int
    """All that the script wrote to stdout, kept or not."""
    lost_output_bytes: int
    """What of both streams the disk did not take."""
    progress_garbage: int
    """Lines on the progress channel that said nothing that is understood."""
    end_asked: bool
    """True where the gateway asked for the end while the main process lived."""
    end_asked_by: AskerNote | None
    """Who asked last, whatever lived then; where the gateway died, nothing else may say so."""
    pid: int
    """Of the main process."""
    warm: NotRequired[bool]
    """As of `ScriptStarted`."""
    given_result: str | None
    """What the script gave as its result, whatever that is, in base64."""
    given_complaint: str
    """Why what it gave is not told; empty where it is, or where it gave nothing."""
    output: str | None
    """Both streams, in base64 and in the form of the tail's file, each in one frame; None where
    they are larger than `contract.TOLD_OUTPUT_BYTES`, so that they have to be read."""
    kept_bytes: int
    """What the directory takes of the disk from now on."""
    artifacts: NotRequired[int]
    """Files that are kept, where there are any."""
    artifact_complaints: NotRequired[list[str]]
    """Why others are not, where that is so; sentences."""


class ScriptStarted(TypedDict):
    """A supervisor's word that the script's program has begun.

    Left out where it is over after a few milliseconds: `ended` comes at once, with the pid.
    """

    event: Literal['started']
    pid: int
    warm: NotRequired[bool]
    """True where no exec began it: it was forked with its modules loaded."""


class StartFailed(TypedDict):
    """A supervisor's last word where the script's program could not be executed."""

    event: Literal['spawn_failed']
    message: str
    unkillable_processes: list[ProcessNote]


class ProgressTold(TypedDict):
    """What the script said last of its progress."""

    event: Literal['progress']
    percent: int | None
    message: str | None


class OutputTold(TypedDict):
    """There is more output; told ten times a second at most.

    The first that concerns what no file holds comes with a descriptor of the memory that
    `shared_tail` describes.
    """

    event: Literal['output']


class ScriptEnded(EndReport):
    """A supervisor's last word of a script: the tree is gone, or what cannot be ended is named."""

    event: Literal['ended']
    reusable: bool
    """True where it waits for the next order; else it ends now, and END_FILE is written."""


SupervisorMessage = ScriptStarted | StartFailed | ProgressTold | OutputTold | ScriptEnded


class SpawnerReady(TypedDict):
    """The spawner's first word."""

    event: Literal['ready']


class SupervisorForked(TypedDict):
    """Comes with the supervisor's pidfd. `name` is what the gateway called it in its request."""

    event: Literal['forked']
    name: str
    pid: int


class ForkRefused(TypedDict):
    """There is no supervisor of this name, and why."""

    event: Literal['refused']
    name: str
    message: str


class SupervisorGone(TypedDict):
    """The supervisor has ended, and what it left below it is gone but for what is named."""

    event: Literal['gone']
    name: str
    unkillable: list[ProcessNote]


SpawnerMessage = SpawnerReady | SupervisorForked | ForkRefused | SupervisorGone


class FragmentArgument(TypedDict):
    """A launch argument that a fragment declares."""

    name: str
    required: bool
    choices: list[str] | None
    """None where anything is allowed, or only launch can tell."""


class FragmentDescription(TypedDict, total=False):
    """What a launch fragment declares, or how reading it failed."""

    arguments: list[FragmentArgument]
    complete: bool
    """False where others may be declared while it runs."""
    failed: str


class Loaded(TypedDict):
    """What an interpreter has loaded that scripts are forked from."""

    package: str
    """The folder of `gateway_node`, as the environment of scripts finds it; its real path."""
    modules: list[str]
    """In the order in which they are imported."""
    libraries: list[str]
    """Shared libraries that no module brings along."""
    idle_threads: list[str]
    """The names of threads that stay when all work of ROS has ended."""
    files: dict[str, list[int]]
    """The files of all this, each with its time (ns), size and inode."""


class WarmTrial(TypedDict, total=False):
    """What is to be loaded, or why scripts cannot be forked from what has it loaded."""

    loaded: Loaded
    failed: str


class SchemaQuestion(TypedDict):
    """A line to SCHEMA_PROGRAM: may a script have this schema, or do these parameters match it?

    Its own first line only says that it is ready; then it answers each with a SchemaAnswer.
    """

    schema: Any
    parameters: NotRequired[Any]


Violations = list[tuple[str, str]]
"""JSON Pointers and what is wrong there."""
MAX_VIOLATIONS = 20
"""What is told of one document; the rest a client sees when these are mended.

A check returns one more where there are more: to count them all could take for ever.
"""


class SchemaAnswer(TypedDict, total=False):
    """What is wrong, or how the check itself failed."""

    violations: Violations
    secrets: Sequence[str]
    """Where in the parameters secrets are; JSON Pointers."""
    failed: str
