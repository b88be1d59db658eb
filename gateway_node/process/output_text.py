# SPDX-License-Identifier: Apache-2.0
"""Puts together what is kept of an output: its bytes as they came, line by line."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
import heapq
from operator import attrgetter
from typing import NamedTuple

from gateway_node.child.output_frames import Frame, STDOUT, Totals
from gateway_node.process.head_index import StreamHead
from gateway_node.process.output_reading import LONGEST_CHARACTER_BYTES
from gateway_node.process.stream_lines import behind, first_number, line_numbers, shown_tail

_LINE_END = b'\n'
_BEYOND_ALL_LINES = 2**63


class _Piece(NamedTuple):
    """Lines of one stream between which none of the other ends."""

    order: tuple[int, int]
    """The number of the first one; and for what has no end, when its last bytes came."""
    content: bytes


def joined_text(heads: Mapping[int, StreamHead], unfiled: list[Frame], totals: Totals) -> bytes:
    """Return what there is of the streams whose heads these are."""
    streams = [
        _pieces(stream, head, [f for f in unfiled if f.stream == stream], totals)
        for stream, head in heads.items()
    ]
    text = bytearray()
    for piece in heapq.merge(*streams, key=attrgetter('order')):
        if text and piece.content and not text.endswith(_LINE_END):
            text += _LINE_END
        text += piece.content
    return bytes(text)


def _pieces(
    stream: int, head: StreamHead, unfiled: list[Frame], totals: Totals
) -> Iterator[_Piece]:
    size = sum(len(frame.content) for frame in unfiled)
    gap = totals.written(stream) - size - head.end
    if gap <= 0:
        # The head can have got meanwhile what was the tail's when that was read.
        yield from _lines_of([*head.frames, *behind(unfiled, -gap)])
        return
    before, frames = shown_tail(unfiled, size)
    *whole, begun = _lines_of(head.frames)
    yield from whole
    cut = begun.content[: len(begun.content) - _half_character(begun.content)]
    dropped = gap + len(before) + len(begun.content) - len(cut)
    name = 'stdout' if stream == STDOUT else 'stderr'
    mark = f'[... {dropped} bytes of {name} dropped ...]\n'.encode()
    cut = (cut + _LINE_END if cut else b'') + mark
    number = totals.beyond(stream)
    if number not in (0, first_number(frames)):
        yield _Piece((number, 0), cut)
        cut = b''
    yield from _lines_of(frames, cut)


def _lines_of(frames: Iterable[Frame], before: bytes = b'') -> Iterator[_Piece]:
    """Yield the lines of frames that follow each other, and at last what has no end."""
    begun = bytearray(before)
    milliseconds = 0
    for frame in frames:
        for number, content in _ended(frame):
            yield _Piece((number, 0), bytes(begun + content))
            begun.clear()
        if rest := frame.content[frame.content.rfind(_LINE_END) + 1 :]:
            begun += rest
            milliseconds = frame.milliseconds
    yield _Piece((_BEYOND_ALL_LINES, milliseconds), bytes(begun))


def _ended(frame: Frame) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that end in a frame, those without another one between as one."""
    content = frame.content[: frame.content.rfind(_LINE_END) + 1]
    if frame.skips:
        ends = content.split(_LINE_END)[:-1]
        yield from zip(line_numbers(frame), (end + _LINE_END for end in ends), strict=False)
    elif content:
        yield frame.ended + 1, content


def _half_character(content: bytes) -> int:
    """Return how many bytes of a character that is not whole there are at the end."""
    end = content[-LONGEST_CHARACTER_BYTES:]
    return len(end) - codecs.utf_8_decode(end, 'ignore', False)[1]
