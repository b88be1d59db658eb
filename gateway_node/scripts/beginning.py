# SPDX-License-Identifier: Apache-2.0
"""Reads what the beginning of a script's file says; blocks."""

from dataclasses import dataclass
from pathlib import Path

from gateway_node.scripts.disk import open_plain
from gateway_node.scripts.first_line import first_line_of
from gateway_node.scripts.mending import to_mend
from gateway_node.scripts.values import Mending, ScriptKind

_LONGEST_LINE = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """What matters of the beginning of a script's file."""

    first_line: str
    """As `first_line.first_line_of` gives it."""
    to_mend: tuple[Mending, ...]


def read_beginning(path: Path, kind: ScriptKind) -> Beginning:
    """Read the beginning of a file that is to run as `kind`; OSError."""
    with open_plain(path) as file:
        head = file.readline(_LONGEST_LINE)
    return Beginning(first_line=first_line_of(head), to_mend=to_mend(head, kind))
