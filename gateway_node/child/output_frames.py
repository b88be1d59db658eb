# SPDX-License-Identifier: Apache-2.0
"""The form in which a script's output is kept: frames of stream, time and bytes.

Two files hold an execution's output. `HEAD_FILE` is appended to until each stream's head is full.
What comes after that is the tail: its last bytes are in memory while the script runs, and are
written to `TAIL_FILE` once, at the end. Where both hold a byte of a stream, its offset tells.
"""

from collections.abc import Iterator
import struct
from typing import NamedTuple

HEAD_FILE = 'output.head'
TAIL_FILE = 'output.tail'

STDOUT = 1
STDERR = 2
NOTE = 0
"""In place of a stream: the content is `TOTALS`, as they were then."""

SHOWN_BYTES = 64 * 1024
"""Of each end of each stream."""
TAIL_BYTES = SHOWN_BYTES + 3
"""Of each stream; those before the shown ones tell whether a character was cut in two."""
OBJECT_BYTES = 1024 * 1024
"""Of stdout, and not only SHOWN_BYTES, are in the head where it begins as a JSON object does: one
of up to this size is the script's result."""

HEADER = struct.Struct('!BQI')
TOTALS = struct.Struct('!QQ')
"""In front of the tail's frames: all bytes of stdout and of stderr, kept or not."""


class Frame(NamedTuple):
    """What one read of a stream brought."""

    stream: int
    nanoseconds: int
    """Since the start of the script, by the monotonic clock."""
    content: bytes


def pack(frame: Frame) -> bytes:
    """Return the frame as bytes."""
    header = HEADER.pack(frame.stream, frame.nanoseconds, len(frame.content))
    return header + frame.content


def unpack(content: bytes, offset: int = 0) -> Iterator[Frame]:
    """Yield the frames; of one that was cut off at the end what there is."""
    while offset + HEADER.size <= len(content):
        stream, nanoseconds, length = HEADER.unpack_from(content, offset)
        start = offset + HEADER.size
        offset = start + length
        yield Frame(stream, nanoseconds, content[start:offset])
