# SPDX-License-Identifier: Apache-2.0
"""Reads lines of a script's output from any number on; while it runs, and after: in a thread."""

from collections import deque, OrderedDict
from collections.abc import Iterator
import heapq
import itertools
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
from gateway_node.process.output_text import joined_text
from gateway_node.process.running_output import SharedOutput
from gateway_node.process.stream_lines import Line, StreamLines
from gateway_node.process.unnumbered_output import read_unnumbered

MAX_CHARACTERS = 256 * 1024
"""Of the lines of one reading, but for the last of them."""
_MAX_INDEXES = 64
_BEYOND_ALL_LINES = 2**63
_WIDER = 4
"""How many times more numbers are looked at where too few of the last ones are of kept lines."""
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
        """Return the first `limit` lines behind `after`, of one stream or both."""
        page = _Page(after, limit, stream)
        self._fill(page, execution_id, shared, ended=ended)
        return page.lines

    def read_newest(
        self,
        execution_id: str,
        shared: SharedOutput | None,
        *,
        before: int | None,
        limit: int,
        stream: OutputStream | None,
        ended: bool,
    ) -> OutputLines:
        """Return the last `limit` lines, of one stream or both, with numbers below `before`."""
        end = _Page(_BEYOND_ALL_LINES, 0, stream)
        last = self._fill(end, execution_id, shared, ended=ended) + len(_STREAMS)
        below = last + 1 if before is None else min(before, last + 1)
        for span in (limit * _WIDER**step for step in itertools.count()):
            after = max(0, below - 1 - span)
            page = _Page(after, limit, stream, below)
            self._fill(page, execution_id, shared, ended=ended)
            if page.is_full or not after:
                break
        return page.lines

    def read_text(
        self,
        execution_id: str,
        shared: SharedOutput | None,
        *,
        stream: OutputStream | None,
        ended: bool,
    ) -> bytes:
        """Return all that is kept of one stream or both, as it came."""
        heads, unfiled, totals = self._kept(self._folder / execution_id, shared, 0, ended=ended)
        return joined_text(
            {each: heads[each] for each in heads if stream in (None, _STREAMS[each])},
            unfiled,
            totals,
        )

    def _fill(
        self, page: '_Page', execution_id: str, shared: SharedOutput | None, *, ended: bool
    ) -> int:
        """Put lines into a page; return the number of the last line end that was seen."""
        directory = self._folder / execution_id
        after = page.last
        heads, unfiled, totals = self._kept(directory, shared, after, ended=ended)
        cut = [
            StreamLines(each, head, [f for f in unfiled if f.stream == each], totals, after)
            for each, head in heads.items()
        ]
        ends = [frame.last_line for frame in _last_frames(heads, unfiled)]
        last = max([totals.lines, *ends])
        known = last if ended else totals.lines
        if page.fill(heapq.merge(*cut, key=attrgetter('number')), known, ended=ended):
            begun = [each.unfinished(final=ended) for each in cut]
            found = sorted(filter(None, begun), key=attrgetter('milliseconds'))
            if ended:
                page.complete(found, known)
            else:
                page.add_unfinished(found)
        return last

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
    """What one reading returns: the first lines behind a number, or the last ones below one."""

    def __init__(
        self, after: int, limit: int, stream: OutputStream | None, below: int | None = None
    ) -> None:
        self.last = self._after = after
        self._lines: deque[OutputLine] = deque()
        self._dropped: list[DroppedLines] = []
        self._unfinished: list[UnfinishedLine] = []
        self._limit = limit
        self._characters = 0
        self._stream = stream
        self._below = below
        self._complete = False
        self._gave_way = False

    @property
    def is_full(self) -> bool:
        """True where no more lines have room."""
        return (
            self._gave_way or len(self._lines) >= self._limit or self._characters > MAX_CHARACTERS
        )

    @property
    def lines(self) -> OutputLines:
        """All of it."""
        first = self._lines[0].number if self._gave_way else 0
        return OutputLines(
            lines=tuple(self._lines),
            dropped=tuple(gap for gap in self._dropped if gap.last > first),
            unfinished=tuple(self._unfinished),
            last=self.last,
            complete=self._complete,
            earlier=self._gave_way or (self._below is not None and self._after > 0),
        )

    def fill(self, lines: Iterator[Line], known: int, *, ended: bool) -> bool:
        """Take lines, as many as there is room for; return True where all were taken.

        What is missing among the `known` first lines, or in what has ended, was dropped. Beyond
        that it may only not have been shown yet.
        """
        for line in lines:
            if line.number <= self.last:
                # Nothing but a script that writes into its output's files makes such a line.
                continue
            if line.number - 1 > max(known, self.last) and not ended:
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
        self._complete = all(self._take(line) for line in numbered if line.number > self.last)

    def _wants(self, line: Line) -> bool:
        return self._stream in (None, _STREAMS[line.stream])

    def _take(self, line: Line) -> bool:
        """Take a line; return False where it is one too many."""
        if self._below is None:
            if self.is_full:
                return False
        elif line.number >= self._below:
            self._drop_to(line.number)
            return False
        self._drop_to(line.number - 1)
        self.last = line.number
        if self._wants(line):
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
            self._give_way()
        return True

    def _give_way(self) -> None:
        """Let go of the first lines where the last ones are asked for and are too many."""
        while self._below is not None and (
            len(self._lines) > self._limit
            or (self._characters > MAX_CHARACTERS and len(self._lines) > 1)
        ):
            self._characters -= len(self._lines.popleft().text)
            self._gave_way = True

    def _drop_to(self, number: int) -> None:
        if self._below is not None:
            number = min(number, self._below - 1)
        if number > self.last:
            self._dropped.append(DroppedLines(first=self.last + 1, last=number))
            self.last = number
