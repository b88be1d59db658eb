"""The form in which a script's output is kept: frames of stream, time and bytes.

Two files hold an execution's output. `HEAD_FILE` grows until each stream's head is full;
`TAIL_FILE` is then replaced again and again by the last bytes of each stream.
"""

from collections.abc import Iterator
import struct
from typing import NamedTuple

HEAD_FILE = 'output.head'
TAIL_FILE = 'output.tail'

STDOUT = 1
STDERR = 2

SHOWN_BYTES = 64 * 1024
"""Of each end of each stream."""
HEAD_BYTES = {STDOUT: 1024 * 1024, STDERR: SHOWN_BYTES}
"""Stdout's is larger: a JSON object of up to 1 MiB there is the script's result."""

_HEADER = struct.Struct('!BQI')
TOTALS = struct.Struct('!QQ')
"""In front of the tail's frames: all bytes of stdout and of stderr, kept or not."""


class Frame(NamedTuple):
    """What one read of a stream brought."""

    stream: int
    nanoseconds: int
    """Since the start of the script, by the monotonic clock."""
    content: bytes


def pack_header(frame: Frame) -> bytes:
    """Return what goes before the frame's content."""
    return _HEADER.pack(frame.stream, frame.nanoseconds, len(frame.content))


def pack(frame: Frame) -> bytes:
    """Return the frame as bytes."""
    return pack_header(frame) + frame.content


def unpack(content: bytes, offset: int = 0) -> Iterator[Frame]:
    """Yield the frames; of one that was cut off at the end what there is.

    The last frame of a head that is being written is lengthened in its header first.
    """
    while offset + _HEADER.size <= len(content):
        stream, nanoseconds, length = _HEADER.unpack_from(content, offset)
        start = offset + _HEADER.size
        offset = start + length
        yield Frame(stream, nanoseconds, content[start:offset])
