# SPDX-License-Identifier: Apache-2.0
"""Reads output as versions before kept it: in frames without line numbers.

Its lines are numbered here, in the order of their frames' times. How many were dropped nobody
counted, so each stream's that were have one number: that of the line that its head cut, if any.
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
    first = [frame for frame in _unpack(head, 0) if frame.stream != NOTE]
    notes = [frame for frame in _unpack(head, 0) if frame.stream == NOTE]
    last = list(_unpack(tail, _TOTALS.size))
    totals = _unpack_totals(tail)
    gaps = {
        stream
        for stream in (STDOUT, STDERR)
        if totals and _size(first, stream) + _size(last, stream) < totals.written(stream)
    }
    lines = 0
    beyond: dict[int, int] = {}
    numbered: tuple[list[Frame], list[Frame]] = ([], [])
    arrived = sorted([*((f, 0) for f in first), *((f, 1) for f in last)], key=_time)
    for frame, part in arrived:
        if part and frame.stream in gaps and frame.stream not in beyond:
            lines += 1
            beyond[frame.stream] = lines
        numbered[part].append(frame._replace(ended=lines))
        lines = numbered[part][-1].last_line
    if totals is not None:
        totals = Totals(*totals[:2], lines, beyond.get(STDOUT, 0), beyond.get(STDERR, 0))
    return [*numbered[0], *notes], numbered[1], totals


def _time(arrived: tuple[Frame, int]) -> int:
    return arrived[0].milliseconds


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


def _size(frames: Iterable[Frame], stream: int) -> int:
    return sum(len(frame.content) for frame in frames if frame.stream == stream)
