# SPDX-License-Identifier: Apache-2.0
"""The form in which a script's output is kept: frames of stream, time, line numbers and bytes.

Two files hold an execution's output. `HEAD_FILE` is appended to until each stream's head is full.
What comes after that is the tail: its last bytes are in memory while the script runs, and are
written to `TAIL_FILE` once, at the end. Each stream is without a gap within the head, and within
the tail, which ends where the stream does.

A line is numbered when it ends, in the order in which the ends of both streams' lines arrive.
"""

from collections.abc import Iterator
import struct
from typing import NamedTuple

HEAD_FILE = 'output.head'
TAIL_FILE = 'output.tail'

FORM = b'\x80'
"""Begins each file and what is shared. Before lines were numbered, files began with 0, 1 or 2."""

STDOUT = 1
STDERR = 2
NOTE = 0
"""In place of a stream: the content is `Totals`, as they were then."""

SHOWN_BYTES = 64 * 1024
"""Of each end of each stream."""
TAIL_BYTES = SHOWN_BYTES + 3
"""Of each stream; those before the shown ones tell whether a character was cut in two."""
OBJECT_BYTES = 1024 * 1024
"""Of stdout, and not only SHOWN_BYTES, are in the head where it begins as a JSON object does: one
of up to this size is the script's result."""

_LINE_END = b'\n'
_TOTALS = struct.Struct('!QQQQQ')
_MAX_NUMBER_BITS = 63


class Totals(NamedTuple):
    """All that there was by a moment, kept or not; behind `FORM` in front of the tail's frames."""

    stdout_bytes: int = 0
    stderr_bytes: int = 0
    lines: int = 0
    """Of both streams, that had ended."""
    stdout_beyond: int = 0
    stderr_beyond: int = 0
    """The first line that ended beyond the stream's head; 0 while there is none."""

    def written(self, stream: int) -> int:
        """Return how many bytes of a stream there were."""
        return self.stdout_bytes if stream == STDOUT else self.stderr_bytes

    def beyond(self, stream: int) -> int:
        """Return the first line of a stream that ended beyond its head, or 0."""
        return self.stdout_beyond if stream == STDOUT else self.stderr_beyond


class Frame(NamedTuple):
    """What one read of a stream brought, or several that followed each other."""

    stream: int
    milliseconds: int
    """When its first byte was read, since the start of the script, by the monotonic clock."""
    ended: int
    """How many lines of both streams had ended by then."""
    content: bytes
    skips: tuple[int, ...] = ()
    """For each of its line ends, how many lines of the other stream ended between that and the
    one before it, or the frame's begin; what is missing is 0, as for all of a single read's."""

    @property
    def last_line(self) -> int:
        """The number of the last line that ends in it; `ended` where none does."""
        return self.ended + self.content.count(_LINE_END) + sum(self.skips)

    def first(self, count: int) -> 'Frame':
        """Return its first bytes."""
        content = self.content[:count]
        return self._replace(content=content, skips=self.skips[: content.count(_LINE_END)])

    def beyond(self, count: int) -> 'Frame':
        """Return what comes behind its first bytes."""
        before = self.first(count)
        skips = self.skips[before.content.count(_LINE_END) :]
        content = self.content[count:]
        return self._replace(ended=before.last_line, content=content, skips=skips)


NOTHING = Frame(NOTE, 0, 0, b'')
"""In place of a frame of which nothing is left."""
LEAST_HEADER_BYTES = 5
"""Without its skips, each of which takes one byte at least."""


def joined(first: Frame, second: Frame) -> Frame:
    """Return two frames of a stream, one right behind the other, with the time of the first."""
    skips = first.skips
    if _LINE_END in second.content:
        last_line = first.last_line
        missing = first.content.count(_LINE_END) - len(skips)
        own = second.skips or (0,)
        between = second.ended - last_line + own[0]
        if between or any(own[1:]):
            skips = (*skips, *[0] * missing, between, *own[1:])
    content = first.content + second.content
    return Frame(first.stream, first.milliseconds, first.ended, content, skips)


def header(frame: Frame) -> bytes:
    """Return what stands before the content of a frame: numbers of as few bytes as each needs."""
    small = max(frame.skips, default=0) < 128
    skips = bytes(frame.skips) if small else b''.join(map(_number, frame.skips))
    numbers = (frame.stream, len(frame.content), frame.milliseconds, frame.ended, len(skips))
    return b''.join(map(_number, numbers)) + skips


def pack(frame: Frame) -> bytes:
    """Return the frame as bytes."""
    return header(frame) + frame.content


def pack_totals(totals: Totals) -> bytes:
    """Return the totals as bytes."""
    return _TOTALS.pack(*totals)


def unpack_totals(content: bytes, offset: int = 0) -> Totals | None:
    """Return the totals that stand there; None where that is cut off."""
    if len(content) < offset + _TOTALS.size:
        return None
    return Totals._make(_TOTALS.unpack_from(content, offset))


def unpack_tail(content: bytes) -> tuple[Totals | None, list[Frame]]:
    """Return what stands in front of the tail's frames, and those."""
    totals = unpack_totals(content, len(FORM)) if content.startswith(FORM) else None
    if totals is None:
        return None, []
    return totals, list(unpack(content, len(FORM) + _TOTALS.size))


def unpack(content: bytes, offset: int = len(FORM)) -> Iterator[Frame]:
    """Yield the frames from an offset on; of one that was cut off at the end what there is."""
    while (found := unpack_one(content, offset)) is not None:
        frame, offset = found
        yield frame


def unpack_one(content: bytes, offset: int) -> tuple[Frame, int] | None:
    """Return the frame that begins there and where it ends; None where there is none."""
    try:
        stream, offset = _read_number(content, offset)
        length, offset = _read_number(content, offset)
        milliseconds, offset = _read_number(content, offset)
        ended, offset = _read_number(content, offset)
        skips_length, offset = _read_number(content, offset)
        start = offset + skips_length
        skips = []
        while offset < start:
            skip, offset = _read_number(content, offset)
            skips.append(skip)
    except IndexError:
        return None
    end = start + length
    return Frame(stream, milliseconds, ended, content[start:end], tuple(skips)), end


def _number(value: int) -> bytes:
    """Return an integer of any size in base 128, the lowest first, the last one below 128."""
    if value < 128:
        return bytes((value,))
    digits = bytearray()
    while value >= 128:
        digits.append(value & 127 | 128)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def _read_number(content: bytes, offset: int) -> tuple[int, int]:
    """Return an integer and where it ends.

    Raises:
        IndexError: it is cut off, or larger than any that is written.
    """
    value = content[offset]
    offset += 1
    if value < 128:
        return value, offset
    value &= 127
    for shift in range(7, _MAX_NUMBER_BITS, 7):
        digit = content[offset]
        offset += 1
        value |= (digit & 127) << shift
        if digit < 128:
            return value, offset
    raise IndexError(offset)
