# SPDX-License-Identifier: Apache-2.0
"""Values of the script room."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
import datetime
import enum
import os
from pathlib import Path
from typing import Any, TYPE_CHECKING

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.evidence_policy import EvidencePolicy

if TYPE_CHECKING:
    from gateway_node.conditions.values import Precondition

ScriptOf = tuple[EntityRef, str]
"""An entity, and the id of a script that it has, or had."""

DEFAULT_PRIORITY = 50
MAX_PRIORITY = 100
"""Of what waits for a place; the higher goes first."""


class _EveryVersion(Container[str]):
    def __contains__(self, version: object) -> bool:
        return True


EVERY_VERSION: Container[str] = _EveryVersion()
"""In use, as far as anybody knows."""


class ScriptKind(enum.Enum):
    """How a script is run."""

    PYTHON = 'python'
    """`.py`, run by the Python of the script environment."""
    SH = 'sh'
    """`.sh`, run by /bin/sh, or by the shell that its first line asks for."""
    BASH = 'bash'
    """`.bash`, run by bash, or by the shell that its first line asks for."""
    LAUNCH = 'launch'
    """`.launch.py`, `_launch.xml`, …: a diagnostic sequence, run through `launch`."""
    EXECUTABLE = 'executable'
    """Any executable file; managed scripts only."""


class Verdict(enum.Enum):
    """What a script found, apart from whether it ran."""

    PASS = 'PASS'
    """What it looked at is as it should be."""
    WARN = 'WARN'
    """It works, and somebody should look at it."""
    FAIL = 'FAIL'
    """It is not as it should be."""
    SKIP = 'SKIP'
    """It could not be looked at, or need not be."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one execution's use of the machine; None sets no bound."""

    cpu_sec: float | None = None
    """CPU seconds of the whole process tree."""
    memory_mb: float | None = None
    """Resident memory of the whole process tree, in MiB."""
    processes: int | None = None
    """Processes of the tree at one moment."""
    open_files: int | None = None
    """Open file descriptors of each process."""
    file_size_mb: float | None = None
    """Size of any file that the tree writes, in MiB."""
    output_mb: float | None = None
    """Bytes on stdout and stderr together, in MiB; past it the execution is ended."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often a script that fails is tried again."""

    limit: int
    """Times beyond the first."""
    delay_sec: float = 0.0
    """Seconds between an end and the next attempt."""


@dataclass(frozen=True, kw_only=True)
class ArgumentDefinition:
    """Turns a parameter of a managed script into command line arguments."""

    name: str
    """The parameter's name."""
    flag: str | None = None
    """The option in front of the value (`--threshold`); None: the value alone."""


class Mending(enum.Enum):
    """What of an uploaded shell script is mended, as no shell reads it."""

    BYTE_ORDER_MARK = 'byte-order-mark'
    """A UTF-8 byte order mark at the beginning is left out."""
    LINE_ENDS = 'line-ends'
    """CR LF, at the ends of the lines that a shell reads, is LF."""


MENDED_FOLDER = 'mended'
"""Beside an uploaded file: where its mended copy lies."""


def unpacked_folder(place: Path) -> Path:
    """Return where the files of an archive lie: beside the archive itself, as long as it is on its
    way in, then beside the folder of its version."""
    return place.with_name(f'{place.name}.unpacked')


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """What a script's first line asks to be run by."""

    program: str
    """An absolute path, or a name: of a shell as the search path of the script's environment finds
    it, of Python as the environment's own, where that is of the version named."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Script:
    """A script of one entity, in one version."""

    id: str
    name: str
    kind: ScriptKind
    path: Path
    """The file with this version's bytes; it is never changed in place."""
    version: str
    """SHA-256 of the bytes, hexadecimal."""
    size: int
    """Bytes."""
    managed: bool = False
    """From the scripts manifest: it can be neither replaced nor deleted."""
    mended: tuple[Mending, ...] = ()
    """How the file that runs differs from the upload's; empty where it does not."""
    entry: str | None = None
    """The path of the file that runs, in an upload of several files; None where it is the upload
    itself."""
    interpreter: Interpreter | None = None
    """None: the kind's own."""
    fault: str = ''
    """Why it cannot be run as it is; empty where it can."""
    description: str = ''
    tags: tuple[str, ...] = ()
    timeout_sec: float | None = None
    """Seconds an execution may take; None: the gateway's default."""
    single_execution: bool = False
    """At most one open execution at a time."""
    warm: bool = True
    """Whether it may be started in an interpreter that has modules loaded; Python alone is."""
    proximity_proof_required: bool = False
    confirmation: str | None = None
    """What whoever starts it has to confirm; None: nothing."""
    parameters_schema: Mapping[str, Any] | None = None
    exit_verdicts: Mapping[int, Verdict] = field(default_factory=dict)
    """What it means that the script exits with a code; with these it has ended well."""
    retries: Retries | None = None
    """None: it is not tried again."""
    limits: Limits = field(default_factory=Limits)
    preconditions: 'tuple[Precondition, ...]' = ()
    """What of the robot has to be true where it is started."""
    evidence: EvidencePolicy | None = None
    """Of which of its executions evidence is kept; None: the gateway's default."""
    argument_definitions: tuple[ArgumentDefinition, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables set on top of the sourced environment."""

    @property
    def runs_from(self) -> Path:
        """The file that is executed."""
        if self.entry is not None:
            return unpacked_folder(self.path.parent) / os.fsdecode(self.entry.encode())
        return self.path.parent / MENDED_FOLDER / self.path.name if self.mended else self.path


@dataclass(frozen=True, kw_only=True)
class ScriptVersion:
    """A version of a script, as it is on the disk."""

    version: str
    path: Path
    size: int
    current: bool = False
    script: Script | None = None
    """The script when this version was last current; None where nobody noted that."""
    uploaded_at: datetime.datetime | None = None
    uploaded_by: str | None = None
    """Who that was, for a person."""
