# SPDX-License-Identifier: Apache-2.0
"""Cuts what is kept of one stream into lines, over the gap between its head and its tail."""

import codecs
from collections.abc import Iterator
from itertools import chain, repeat
from typing import NamedTuple

from gateway_node.child.output_frames import Frame, SHOWN_BYTES, Totals
from gateway_node.process.head_index import StreamHead
from gateway_node.process.output_reading import character_start, LONGEST_CHARACTER_BYTES


class Line(NamedTuple):
    """A line, or what is kept of it."""

    number: int
    stream: int
    milliseconds: int
    """Of its last bytes."""
    text: str
    whole: bool


class _Begun:
    """A line whose end was not seen yet."""

    def __init__(self, *, whole: bool) -> None:
        self.milliseconds = 0
        self.whole = whole
        self._before = ''
        """What is kept of it from before a gap."""
        self._content: list[bytes] = []

    @property
    def is_empty(self) -> bool:
        """True where nothing is kept of it."""
        return not self._before and not any(self._content)

    def add(self, content: bytes, milliseconds: int) -> None:
        """Put in what follows."""
        self._content.append(content)
        self.milliseconds = milliseconds

    def text(self, *, final: bool) -> str:
        """Return what there is; unless that is `final`, without half a character at its end."""
        return self._before + codecs.utf_8_decode(b''.join(self._content), 'replace', final)[0]

    def drop(self, count: int) -> None:
        """Note that so many bytes behind what there is were dropped."""
        text, used = codecs.utf_8_decode(b''.join(self._content), 'replace', False)
        count += sum(map(len, self._content)) - used
        self._before = f'{text} [... {count} bytes dropped ...] '
        self._content = []
        self.whole = False


class StreamLines:
    """The lines of one stream behind a number; when they have been taken, `unfinished` too."""

    def __init__(
        self, stream: int, head: StreamHead, unfiled: list[Frame], totals: Totals, after: int
    ) -> None:
        self._stream = stream
        self._head = head
        self._unfiled = unfiled
        self._totals = totals
        self._after = after
        self._begun = _Begun(whole=True)

    def __iter__(self) -> Iterator[Line]:
        yield from self._lines_of(self._head.frames)
        size = sum(len(frame.content) for frame in self._unfiled)
        gap = self._totals.written(self._stream) - size - self._head.end
        if gap > 0:
            yield from self._lines_behind(gap, size)
        else:
            # The head can have got meanwhile what was the tail's when that was read.
            yield from self._lines_of(behind(self._unfiled, -gap))

    def unfinished(self, *, final: bool, number: int = 0) -> Line | None:
        """Return what follows the last line, where something does."""
        begun = self._begun
        if begun.is_empty:
            return None
        text = begun.text(final=final)
        return Line(number, self._stream, begun.milliseconds, text, begun.whole)

    def _lines_behind(self, gap: int, size: int) -> Iterator[Line]:
        """Yield what there is of the line that was cut, and the lines beyond the gap."""
        before, frames = shown_tail(self._unfiled, size)
        number = self._totals.beyond(self._stream)
        if self._begun.is_empty:
            self._begun = _Begun(whole=before.endswith(b'\n'))
        elif number in (0, first_number(frames)):
            self._begun.drop(gap + len(before))
        else:
            if number > self._after:
                self._begun.whole = False
                yield self._cut_line(number)
            self._begun = _Begun(whole=before.endswith(b'\n'))
        yield from self._lines_of(frames)

    def _cut_line(self, number: int) -> Line:
        begun = self._begun
        text = begun.text(final=False)
        return Line(number, self._stream, begun.milliseconds, text, begun.whole)

    def _lines_of(self, frames: list[Frame]) -> Iterator[Line]:
        for frame in frames:
            *ends, rest = frame.content.split(b'\n')
            begun: _Begun | None = self._begun
            for content, number in zip(ends, line_numbers(frame), strict=False):
                if number > self._after:
                    line = Line(number, self._stream, frame.milliseconds, '', True)
                    yield _finished(line, begun, content)
                begun = None
            if ends:
                self._begun = _Begun(whole=True)
            if rest:
                self._begun.add(rest, frame.milliseconds)


def _finished(line: Line, begun: _Begun | None, content: bytes) -> Line:
    """Return a line with its last bytes, behind those that were there before."""
    if begun is None:
        return line._replace(text=content.decode(errors='replace'))
    begun.add(content, line.milliseconds)
    return line._replace(text=begun.text(final=True), whole=begun.whole)


def shown_tail(unfiled: list[Frame], size: int) -> tuple[bytes, list[Frame]]:
    """Return what is shown of a tail of so many bytes behind a gap, and the few bytes before."""
    first = b''.join(frame.content for frame in unfiled[: 2 * LONGEST_CHARACTER_BYTES])
    start = character_start(first, max(0, size - SHOWN_BYTES))
    return first[:start], behind(unfiled, start)


def line_numbers(frame: Frame) -> Iterator[int]:
    """Yield the numbers of the lines that end in a frame, and go on."""
    number = frame.ended
    for skipped in chain(frame.skips, repeat(0)):
        number += 1 + skipped
        yield number


def first_number(frames: list[Frame]) -> int:
    """Return the number of the first line that ends in the frames; 0 where none does."""
    return next((next(line_numbers(frame)) for frame in frames if b'\n' in frame.content), 0)


def behind(frames: list[Frame], count: int) -> list[Frame]:
    """Return what follows so many first bytes of the frames."""
    for index, frame in enumerate(frames):
        if count < len(frame.content):
            return [frame.beyond(count), *frames[index + 1 :]]
        count -= len(frame.content)
    return []
