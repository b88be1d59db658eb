# SPDX-License-Identifier: Apache-2.0
"""Reads lines of a script's output from any number on; while it runs, and after: in a thread."""

from collections import OrderedDict
from collections.abc import Iterator
import heapq
from operator import attrgetter
from pathlib import Path
import threading

from gateway_node.child.output_frames import (
    Frame,
    HEAD_FILE,
    NOTE,
    STDERR,
    STDOUT,
    TAIL_FILE,
    Totals,
    unpack_tail,
    unpack_totals,
)
from gateway_node.executions.output_lines import (
    DroppedLines,
    OutputLine,
    OutputLines,
    OutputStream,
    UnfinishedLine,
)
from gateway_node.process.head_index import HeadIndex, StreamHead
from gateway_node.process.kept_files import read_kept_file
from gateway_node.process.kept_output import is_unnumbered
from gateway_node.process.running_output import SharedOutput
from gateway_node.process.stream_lines import Line, StreamLines
from gateway_node.process.unnumbered_output import read_unnumbered

MAX_CHARACTERS = 256 * 1024
"""Of the lines of one reading, but for the last of them."""
_MAX_INDEXES = 64
_STREAMS = {STDOUT: OutputStream.STDOUT, STDERR: OutputStream.STDERR}


class LineReader:
    """Reads the lines of all executions. May be used by several threads."""

    def __init__(self, executions_folder: Path) -> None:
        self._folder = executions_folder
        self._indexes: OrderedDict[str, HeadIndex] = OrderedDict()
        self._lock = threading.Lock()

    def read(
        self,
        execution_id: str,
        shared: SharedOutput | None,
        *,
        after: int,
        limit: int,
        stream: OutputStream | None,
        ended: bool,
    ) -> OutputLines:
        """Return up to `limit` lines behind `after`, of one stream or both."""
        directory = self._folder / execution_id
        heads, unfiled, totals = self._kept(directory, shared, after, ended=ended)
        cut = [
            StreamLines(each, head, [f for f in unfiled if f.stream == each], totals, after)
            for each, head in heads.items()
        ]
        known = totals.lines
        if ended:
            known = max([known, *(frame.last_line for frame in _last_frames(heads, unfiled))])
        page = _Page(after, limit, stream)
        if page.fill(heapq.merge(*cut, key=attrgetter('number')), known, ended=ended):
            begun = [each.unfinished(final=ended) for each in cut]
            found = sorted(filter(None, begun), key=attrgetter('milliseconds'))
            if ended:
                page.complete(found, known)
            else:
                page.add_unfinished(found)
        return page.lines

    def forget(self, execution_id: str) -> None:
        """Keep nothing of an execution that is removed."""
        with self._lock:
            self._indexes.pop(execution_id, None)

    def _kept(
        self, directory: Path, shared: SharedOutput | None, after: int, *, ended: bool
    ) -> tuple[dict[int, StreamHead], list[Frame], Totals]:
        # The head last: read before the tail, it could end before the tail that was read begins.
        shown = b'' if shared is None else shared.read()
        tail = read_kept_file(directory / TAIL_FILE)
        head = directory / HEAD_FILE
        if is_unnumbered(tail) or is_unnumbered(read_kept_file(head, max_bytes=1)):
            first, unfiled, totals = read_unnumbered(read_kept_file(head), tail)
            heads, noted = _split(first)
        else:
            totals, unfiled = unpack_tail(tail or shown)
            heads, noted = self._index(directory.name, head).read(after)
        if totals is None:
            # The tail was lost. Before the end it may only not have been shown yet.
            totals = noted if ended else Totals()
        return heads, unfiled, totals

    def _index(self, execution_id: str, head: Path) -> HeadIndex:
        with self._lock:
            index = self._indexes.setdefault(execution_id, HeadIndex(head))
            self._indexes.move_to_end(execution_id)
            if len(self._indexes) > _MAX_INDEXES:
                self._indexes.popitem(last=False)
            return index


def _last_frames(heads: dict[int, StreamHead], unfiled: list[Frame]) -> Iterator[Frame]:
    """Yield the frames of which one holds the last line end of all."""
    yield from unfiled
    for head in heads.values():
        yield from head.frames[-1:]


def _split(frames: list[Frame]) -> tuple[dict[int, StreamHead], Totals]:
    heads = {STDOUT: StreamHead(), STDERR: StreamHead()}
    noted = Totals()
    for frame in frames:
        if frame.stream in heads:
            heads[frame.stream].add(frame)
        elif frame.stream == NOTE:
            noted = unpack_totals(frame.content) or noted
    return heads, noted


class _Page:
    """What one reading returns."""

    def __init__(self, after: int, limit: int, stream: OutputStream | None) -> None:
        self._lines: list[OutputLine] = []
        self._dropped: list[DroppedLines] = []
        self._unfinished: list[UnfinishedLine] = []
        self._last = after
        self._left = limit
        self._characters = 0
        self._stream = stream
        self._complete = False

    @property
    def lines(self) -> OutputLines:
        """All of it."""
        return OutputLines(
            lines=tuple(self._lines),
            dropped=tuple(self._dropped),
            unfinished=tuple(self._unfinished),
            last=self._last,
            complete=self._complete,
        )

    def fill(self, lines: Iterator[Line], known: int, *, ended: bool) -> bool:
        """Take lines, as many as there is room for; return True where all were taken.

        What is missing among the `known` first lines, or in what has ended, was dropped. Beyond
        that it may only not have been shown yet.
        """
        for line in lines:
            if line.number <= self._last:
                # Nothing but a script that writes into its output's files makes such a line.
                continue
            if line.number - 1 > max(known, self._last) and not ended:
                return False
            if not self._take(line):
                return False
        self._drop_to(known)
        return True

    def add_unfinished(self, begun: list[Line]) -> None:
        """Put in what no line end follows yet."""
        self._unfinished = [
            UnfinishedLine(
                stream=_STREAMS[line.stream],
                elapsed_ms=line.milliseconds,
                text=line.text,
                whole=line.whole,
            )
            for line in begun
            if self._wants(line)
        ]

    def complete(self, begun: list[Line], known: int) -> None:
        """Put in, as lines behind the `known` ones, what no line end will follow."""
        numbered = [line._replace(number=known + 1 + i) for i, line in enumerate(begun)]
        self._complete = all(self._take(line) for line in numbered if line.number > self._last)

    def _wants(self, line: Line) -> bool:
        return self._stream in (None, _STREAMS[line.stream])

    def _take(self, line: Line) -> bool:
        """Take a line; return False where there is no room."""
        if not self._left or self._characters > MAX_CHARACTERS:
            return False
        self._drop_to(line.number - 1)
        self._last = line.number
        if self._wants(line):
            self._left -= 1
            self._characters += len(line.text)
            self._lines.append(
                OutputLine(
                    number=line.number,
                    stream=_STREAMS[line.stream],
                    elapsed_ms=line.milliseconds,
                    text=line.text,
                    whole=line.whole,
                )
            )
        return True

    def _drop_to(self, number: int) -> None:
        if number > self._last:
            self._dropped.append(DroppedLines(first=self._last + 1, last=number))
            self._last = number
