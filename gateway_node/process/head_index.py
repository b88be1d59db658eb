# SPDX-License-Identifier: Apache-2.0
"""Reads the head of an output from a line on, and remembers where lines begin in its file."""

import bisect
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
import threading
from typing import NamedTuple

from gateway_node.child.output_frames import (
    FORM,
    Frame,
    NOTE,
    STDERR,
    STDOUT,
    Totals,
    unpack_one,
    unpack_totals,
)
from gateway_node.process.kept_files import read_kept_file

_INTERVAL_BYTES = 8192
"""Between two places in the file that are remembered."""


class _Place(NamedTuple):
    """A place in the file at which one stream is at the begin of a line."""

    line: int
    """The stream's last one before."""
    position: int
    """In the file."""
    offset: int
    """In the stream."""


class StreamHead:
    """Frames of one stream without a gap, from the begin of a line on."""

    def __init__(self, line: int = 0, offset: int = 0) -> None:
        self.frames: list[Frame] = []
        self.line = line
        """The last one that ends in them, or before."""
        self.end = offset
        """Where in the stream the last of them ends."""

    @property
    def ends_a_line(self) -> bool:
        """True where what follows is the begin of a line."""
        return not self.frames or self.frames[-1].content.endswith(b'\n')

    def add(self, frame: Frame) -> None:
        """Put a frame behind the others."""
        self.frames.append(frame)
        if b'\n' in frame.content:
            self.line = frame.last_line
        self.end += len(frame.content)


class HeadIndex:
    """The head of one execution's output. May be used by several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        begin = _Place(line=0, position=len(FORM), offset=0)
        self._places = {STDOUT: [begin], STDERR: [begin]}
        self._looked_at = begin.position
        """The last position at which places were remembered."""
        self._noted = Totals()

    def read(self, after: int) -> tuple[dict[int, StreamHead], Totals]:
        """Return of each stream what holds the lines behind `after`, and the last note of all."""
        with self._lock:
            starts = {stream: _last(places, after) for stream, places in self._places.items()}
            heads = {s: StreamHead(start.line, start.offset) for s, start in starts.items()}
            for frame, position in self._frames(min(s.position for s in starts.values())):
                if position >= self._looked_at + _INTERVAL_BYTES:
                    self._remember(heads, position)
                if frame.stream == NOTE:
                    self._noted = unpack_totals(frame.content) or self._noted
                elif frame.stream in heads and position >= starts[frame.stream].position:
                    heads[frame.stream].add(frame)
            return heads, self._noted

    def _frames(self, position: int) -> Iterator[tuple[Frame, int]]:
        """Yield the frames from a position on, each with its own."""
        content = read_kept_file(self._path, position)
        begin = 0
        while (found := unpack_one(content, begin)) is not None:
            yield found[0], position + begin
            begin = found[1]

    def _remember(self, heads: dict[int, StreamHead], position: int) -> None:
        self._looked_at = position
        for stream, head in heads.items():
            if head.ends_a_line:
                place = _Place(line=head.line, position=position, offset=head.end)
                self._places[stream].append(place)


def _last(places: list[_Place], line: int) -> _Place:
    """Return the last place before which no later line of the stream ends."""
    return places[bisect.bisect_right(places, line, key=attrgetter('line')) - 1]
