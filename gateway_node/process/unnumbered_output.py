# SPDX-License-Identifier: Apache-2.0
"""Reads output as versions before kept it: in frames without line numbers.

Its lines are numbered here, in the order in which their frames were written; how many were
dropped nobody counted, so one number is left out for those of a stream.
"""

from collections.abc import Iterable, Iterator
import struct

from gateway_node.child.output_frames import (
    Frame,
    NOTE,
    pack_totals,
    STDERR,
    STDOUT,
    Totals,
)

_HEADER = struct.Struct('!BQI')
_TOTALS = struct.Struct('!QQ')
_NANOSECONDS_A_MILLISECOND = 1_000_000


def read_unnumbered(head: bytes, tail: bytes) -> tuple[list[Frame], list[Frame], Totals | None]:
    """Return the frames of head and tail, and what the tail says of all that there was."""
    first, lines = _numbered(_unpack(head, 0), 0)
    totals = _unpack_totals(tail)
    if totals is None:
        return first, [], None
    # Both streams followed each other there.
    arrived = sorted(_unpack(tail, _TOTALS.size), key=lambda frame: frame.milliseconds)
    gaps = sum(
        _size(first, stream) + _size(arrived, stream) < totals.written(stream)
        for stream in (STDOUT, STDERR)
    )
    # What the heads cut ends with a number that is left out.
    beyond = {'stdout_beyond': lines + 1, 'stderr_beyond': lines + gaps} if gaps else {}
    last, lines = _numbered(arrived, lines + gaps)
    return first, last, totals._replace(lines=lines, **beyond)


def _unpack(content: bytes, offset: int) -> Iterator[Frame]:
    while offset + _HEADER.size <= len(content):
        stream, nanoseconds, length = _HEADER.unpack_from(content, offset)
        start = offset + _HEADER.size
        offset = start + length
        said = content[start:offset]
        if stream == NOTE:
            said = pack_totals(_unpack_totals(said) or Totals())
        yield Frame(stream, nanoseconds // _NANOSECONDS_A_MILLISECOND, 0, said)


def _unpack_totals(content: bytes) -> Totals | None:
    if len(content) < _TOTALS.size:
        return None
    stdout_bytes, stderr_bytes = _TOTALS.unpack_from(content)
    return Totals(stdout_bytes, stderr_bytes)


def _numbered(frames: Iterable[Frame], lines: int) -> tuple[list[Frame], int]:
    """Return frames in the order of their arrival with numbers, and the last number."""
    numbered = []
    for frame in frames:
        numbered.append(frame._replace(ended=lines))
        if frame.stream != NOTE:
            lines = numbered[-1].last_line
    return numbered, lines


def _size(frames: Iterable[Frame], stream: int) -> int:
    return sum(len(frame.content) for frame in frames if frame.stream == stream)
