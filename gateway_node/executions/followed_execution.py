# SPDX-License-Identifier: Apache-2.0
"""One execution that streams follow: its output is read once for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
import logging

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.output_lines import DroppedLines, OutputLine, OutputLines
from gateway_node.executions.output_pages import line_moment
from gateway_node.executions.runner_ports import Outputs
from gateway_node.executions.stream_delivery import Delivery
from gateway_node.executions.stream_news import (
    DroppedNews,
    EventNews,
    LineNews,
    News,
    ProgressNews,
)
from gateway_node.executions.stream_readers import ExecutionReader
from gateway_node.executions.values import Execution

_log = logging.getLogger(__name__)

LINES_AT_ONCE = 100
"""Lines that are read, and written, in one go."""

Result = Callable[[str], Awaitable[News | None]]
"""Makes the result of an execution that has ended; None where it is deleted."""


class FollowedExecution:
    """What is told of one execution, as long as anybody follows it.

    A reader that is told of news knows all that this does. One that is slower than the output
    holds it up, where it is the only one, and else reads on by itself.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        line: int,
        outputs: Outputs,
        delivery: Delivery,
        result: Result,
    ) -> None:
        """Read the output from behind `line` on."""
        self.execution = execution
        self.sequence = 0
        """Of the last event that was told here, its end aside."""
        self.line = line
        """The last one that was told here."""
        self.final: list[News] | None = None
        """What comes behind the last line, once that was told."""
        self.followers = 0
        self.is_broken = False
        """Whether nothing more can be read of it, by a defect."""
        self._outputs = outputs
        self._delivery = delivery
        self._result = result
        self._readers: dict[ExecutionReader, None] = {}
        self._ends: list[EventNews] = []
        self._progress: ProgressNews | None = None
        self._awake = asyncio.Event()
        self._unwatch: Callable[[], None] | None = None
        self._reading = asyncio.create_task(self._read_on(), name=f'follow {execution.id}')
        self._watch()

    def close(self) -> None:
        """Read nothing more."""
        self._reading.cancel()
        if self._unwatch is not None:
            self._unwatch()

    def join(self, reader: ExecutionReader) -> None:
        """Tell a reader of what comes, which knows all that was told here."""
        self._readers[reader] = None
        reader.go_live()
        if self._progress is not None:
            reader.tell(self._progress)
        self._awake.set()

    def leave(self, reader: ExecutionReader) -> None:
        """Tell a reader nothing more."""
        self._readers.pop(reader, None)

    def on_event(self, news: EventNews) -> None:
        """Take what happened to it."""
        if news.execution is not None:
            self.execution = news.execution
        if news.told.is_end:
            self.note_end(news)
            return
        self.sequence = news.told.event.sequence
        self._tell(news)
        self._watch()

    def note_end(self, news: EventNews) -> None:
        """Take its end, or its deletion, which is told behind its output."""
        self._progress = None
        if all(each.told.event.sequence != news.told.event.sequence for each in self._ends):
            self._ends.append(news)
        self._awake.set()

    def on_progress(self, news: ProgressNews) -> None:
        """Take how far it has come."""
        if not self._ends:
            self._progress = news
            self._tell(news)

    def news_of(self, page: OutputLines) -> Iterator[News]:
        """Make news of lines."""
        said: list[OutputLine | DroppedLines] = [*page.lines, *page.dropped]
        for each in sorted(said, key=_number):
            if isinstance(each, OutputLine):
                yield LineNews(line=each, at=line_moment(each, self.execution))
            else:
                yield DroppedNews(lines=each, at=self.execution.updated_at)

    async def lines_behind(self, line: int) -> OutputLines | None:
        """Read some lines behind one; None where there are none yet.

        What is said by a script that is not on record as running has no time yet.
        """
        if self.execution.started_at is None:
            return None
        page = await self._outputs.lines(self.execution.id, after=line, limit=LINES_AT_ONCE)
        return page if page.last > line else None

    @property
    def _is_over(self) -> bool:
        return bool(self._ends) or not self.execution.is_open

    async def _read_on(self) -> None:
        try:
            await self._read_to_the_end()
        except Exception:
            _log.exception('the output of %s cannot be followed', self.execution.id)
            self.is_broken = True
            self._let_go()

    async def _read_to_the_end(self) -> None:
        while self.final is None:
            await self._awake.wait()
            self._awake.clear()
            while self._readers and self.final is None:
                # Before the output is read: what ends meanwhile may have said more.
                is_over = self._is_over
                page = await self.lines_behind(self.line)
                if page is not None:
                    self.line = page.last
                    self._tell(*self.news_of(page))
                    await self._delivery.done()
                elif is_over:
                    await self._finish()
                else:
                    break

    async def _finish(self) -> None:
        try:
            result = await self._result(self.execution.id)
        except StoreUnavailable as error:
            _log.warning('the result of %s cannot be told: %s', self.execution.id, error)
            result = None
        self.final = [*self._ends, *([] if result is None else [result])]
        self._let_go()

    def _let_go(self) -> None:
        for reader in tuple(self._readers):
            reader.fall_behind()

    def _tell(self, *news: News) -> None:
        for reader in tuple(self._readers):
            for each in news:
                reader.tell(each)

    def _watch(self) -> None:
        if self._unwatch is None and self.execution.started_at is not None:
            self._unwatch = self._outputs.watch(self.execution.id, self._awake.set)
            self._awake.set()


def _number(said: OutputLine | DroppedLines) -> int:
    return said.number if isinstance(said, OutputLine) else said.first
