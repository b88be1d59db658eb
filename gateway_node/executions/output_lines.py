# SPDX-License-Identifier: Apache-2.0
"""A script's output line by line, as it can be followed.

A line is numbered when it ends, from 1 on, in the order in which the supervisor reads the ends of
both streams' lines. So a number, once seen, is of the same line for good, and no lower one comes
later. Lines that were dropped keep their numbers.
"""

from dataclasses import dataclass
import enum


class OutputStream(enum.Enum):
    """Where a script wrote a line."""

    STDOUT = 'stdout'
    """Descriptor 1."""
    STDERR = 'stderr'
    """Descriptor 2."""


@dataclass(frozen=True, kw_only=True)
class OutputLine:
    """One line that is kept, or what is kept of it."""

    number: int
    stream: OutputStream
    elapsed_ms: int
    """From the start of the script to the line's end, by the monotonic clock.

    It is that of the first read of what is kept as one piece. The first hundreds of reads are
    kept as they came. After those it can be as early as the line before, or a few before where
    they are short; in the tail 10 ms, and once hundreds of pieces are there, up to 512 bytes."""
    text: str
    """Without the line feed; undecodable bytes are replaced, a carriage return stays."""
    whole: bool
    """False where bytes of it were dropped: at its end, at its begin, or within it."""


@dataclass(frozen=True, kw_only=True)
class UnfinishedLine:
    """The last of a stream, whose end has not come yet."""

    stream: OutputStream
    elapsed_ms: int
    """When its last bytes came."""
    text: str
    whole: bool


@dataclass(frozen=True, kw_only=True)
class DroppedLines:
    """Lines of which nothing is kept any more."""

    first: int
    last: int


@dataclass(frozen=True, kw_only=True)
class OutputLines:
    """What is kept behind a line, or as much of it as was asked for."""

    lines: tuple[OutputLine, ...]
    """By number."""
    dropped: tuple[DroppedLines, ...]
    """By number: with `lines` and the other stream's, all up to `last`."""
    unfinished: tuple[UnfinishedLine, ...]
    """Of a script that runs, and where all that is finished was asked for."""
    last: int
    """The line behind which to go on."""
    complete: bool
    """True where nothing will ever come behind `last`."""
    earlier: bool = False
    """Of the newest lines: True where there may be kept ones before the first of these."""
