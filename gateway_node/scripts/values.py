"""Values of the script room."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import enum
from pathlib import Path
from typing import Any


class ScriptKind(enum.Enum):
    """How a script is run."""

    PYTHON = 'python'
    """`.py`, run by the Python of the script environment."""
    SH = 'sh'
    """`.sh`, run by /bin/sh."""
    BASH = 'bash'
    """`.bash`, run by bash."""
    LAUNCH = 'launch'
    """`.launch.py`, `.launch.xml`, `.launch.yaml`: a diagnostic sequence, run through `launch`."""
    EXECUTABLE = 'executable'
    """Any executable file; managed scripts only."""


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
class ArgumentDefinition:
    """Turns a parameter of a managed script into command line arguments."""

    name: str
    """The parameter's name."""
    flag: str | None = None
    """The option in front of the value (`--threshold`); None: the value alone."""


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
    description: str = ''
    tags: tuple[str, ...] = ()
    timeout_sec: float | None = None
    """Seconds an execution may take; None: the gateway's default."""
    single_execution: bool = False
    """At most one open execution at a time."""
    proximity_proof_required: bool = False
    parameters_schema: Mapping[str, Any] | None = None
    limits: Limits = field(default_factory=Limits)
    argument_definitions: tuple[ArgumentDefinition, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables set on top of the sourced environment."""
