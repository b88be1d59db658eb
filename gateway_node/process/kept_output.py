# SPDX-License-Identifier: Apache-2.0
"""Finds what is kept of a script's output: in two files and in memory. All of it is for threads.

Files of the version before, whose frames have no line numbers, come in the present form.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gateway_node.child.output_frames import (
    FORM,
    Frame,
    HEAD_FILE,
    TAIL_FILE,
    Totals,
    unpack,
    unpack_tail,
)
from gateway_node.process.kept_files import read_kept_file
from gateway_node.process.running_output import SharedOutput
from gateway_node.process.unnumbered_output import read_unnumbered


class KeptOutput(NamedTuple):
    """What is kept of both streams."""

    head: Iterable[Frame]
    """With its notes. They may be many, so they come one after the other where they can."""
    unfiled: list[Frame]
    """What the head does not hold; without a gap within each stream, up to its end."""
    totals: Totals | None
    """All that there was when `unfiled` was shown or written; None where nothing was."""


def read_kept(directory: Path, shared: SharedOutput | None) -> KeptOutput:
    """Return what there is of an execution's output."""
    # The head last: read before the tail, it could end before the tail that was read begins.
    shown = b'' if shared is None else shared.read()
    tail = read_kept_file(directory / TAIL_FILE)
    head = read_kept_file(directory / HEAD_FILE)
    if is_unnumbered(head) or is_unnumbered(tail):
        return KeptOutput(*read_unnumbered(head, tail))
    totals, frames = unpack_tail(tail or shown)
    return KeptOutput(unpack(head), frames, totals)


def is_unnumbered(content: bytes) -> bool:
    """Tell whether a file that begins so is one of the version before."""
    return bool(content) and not content.startswith(FORM)
