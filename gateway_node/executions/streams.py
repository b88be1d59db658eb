# SPDX-License-Identifier: Apache-2.0
"""Streams of what happens: of the log, of what it tells of executions, of one execution.

A reader that knows all there is is told of news as they come. One that is behind, because it
begins, or because its client takes too little, reads the log, and what is kept of the output, in
pages, until it knows all: it misses no event, and what waits for it takes no memory here.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
import contextlib

from gateway_node.clock import Clock
from gateway_node.executions.documents import summary_of
from gateway_node.executions.errors import (
    ExecutionNotFound,
    GatewayShuttingDown,
    LogBegins,
)
from gateway_node.executions.event_filters import EventFilter
from gateway_node.executions.event_pages import is_within
from gateway_node.executions.events import (
    Cursor,
    Event,
    execution_subject,
    FIRST_KINDS,
    LogBounds,
)
from gateway_node.executions.followed_execution import FollowedExecution
from gateway_node.executions.questions import Questions
from gateway_node.executions.runner_ports import Outputs
from gateway_node.executions.store_ports import EventLog
from gateway_node.executions.stream_delivery import Delivery
from gateway_node.executions.stream_news import (
    EventNews,
    News,
    Place,
    ProgressNews,
    ResetNews,
    ResetReason,
    ResultNews,
    StateNews,
)
from gateway_node.executions.stream_readers import ExecutionReader, LogReader, Outlet
from gateway_node.executions.told_events import (
    MAX_HISTORY,
    Replay,
    summary_after,
    told_of_one,
    ToldEvent,
)
from gateway_node.executions.values import Execution

EVENTS_AT_ONCE = 50
"""Events that are read, and written, in one go."""
PROGRESS_SEC = 0.1
"""Progress of an execution is told so often at most; the last one always."""
END_PATIENCE_SEC = 0.5
"""How long streams get at the gateway's end to tell the ends of executions."""


class Streams:
    """All streams of a gateway; an EventListener and a ProgressListener."""

    def __init__(
        self, *, log: EventLog, outputs: Outputs, questions: Questions, clock: Clock
    ) -> None:
        self._log = log
        self._outputs = outputs
        self._questions = questions
        self._clock = clock
        self._delivery = Delivery()
        self._log_readers: dict[LogReader, None] = {}
        self._followed: dict[str, FollowedExecution] = {}
        self._progress: dict[str, Execution] = {}
        """What was told of last, and is to be handed on."""
        self._of_log: set[asyncio.Task[None]] = set()
        self._of_executions: set[asyncio.Task[None]] = set()
        self._reading_on = asyncio.Lock()
        """Readers that are behind read, and write, one after the other."""
        self._closed = False

    def check_open(self) -> None:
        """Raise GatewayShuttingDown where no stream begins any more."""
        if self._closed:
            raise GatewayShuttingDown

    async def close(self) -> None:
        """End all streams: those of executions that have ended once all of it is told."""
        self._closed = True
        await self._delivery.done()
        if self._of_executions:
            await asyncio.wait(self._of_executions, timeout=END_PATIENCE_SEC)
        tasks = self._of_log | self._of_executions
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Hand on what happened, where anybody hears it."""
        followed = self._followed.get(event.subject_id)
        if followed is None and not self._log_readers:
            return
        summary = event.changes
        if event.is_of_execution:
            self._hand_on_progress(event.subject_id)
            summary = summary_after(event, {}) if execution is None else summary_of(execution)
        news = EventNews(told=ToldEvent(event=event, summary=summary), execution=execution)
        if followed is not None:
            followed.on_event(news)
        for reader in tuple(self._log_readers):
            reader.tell(news)

    def on_progress(self, execution: Execution) -> None:
        """Hand on progress, a little later, where anybody hears it."""
        if not self._log_readers and execution.id not in self._followed:
            return
        if not self._progress:
            asyncio.get_running_loop().call_later(PROGRESS_SEC, self._hand_on_all_progress)
        self._progress[execution.id] = execution

    async def follow_log(
        self, outlet: Outlet, after: Cursor | None, *, of_executions: bool, wanted: EventFilter
    ) -> None:
        """Write what the log tells behind a place, or from now on, until the gateway ends.

        ConnectionError where the outlet is gone; StoreUnavailable.
        """
        reader = LogReader(
            outlet,
            self._delivery,
            self._log.end if after is None else after,
            of_executions=of_executions,
            wanted=wanted,
        )
        with self._noted(self._of_log):
            try:
                while True:
                    await self._catch_up(reader)
                    self._log_readers[reader] = None
                    reader.go_live()
                    await reader.wait_behind()
                    del self._log_readers[reader]
                    await outlet.wait_free()
            finally:
                self._log_readers.pop(reader, None)

    async def follow_execution(
        self, outlet: Outlet, execution_id: str, after: Place | None
    ) -> None:
        """Write all of an execution behind a place, or from its begin, to its result.

        ConnectionError where the outlet is gone; ExecutionNotFound; StoreUnavailable.
        """
        with self._noted(self._of_executions):
            await self._follow_to_the_end(outlet, execution_id, after)

    async def _follow_to_the_end(
        self, outlet: Outlet, execution_id: str, after: Place | None
    ) -> None:
        line = await self._line_before(execution_id, after)
        async with self._follow(execution_id, line) as followed:
            place = after or Place(self._log.end.epoch, 0)
            reader = ExecutionReader(outlet, self._delivery, place._replace(line=line))
            await self._begin(reader, followed, after)
            while not followed.is_broken:
                await self._catch_up_with(reader, followed)
                if followed.final is not None:
                    reader.write(followed.final)
                    break
                followed.join(reader)
                try:
                    await reader.wait_behind()
                finally:
                    followed.leave(reader)
                await outlet.wait_free()

    async def _line_before(self, execution_id: str, after: Place | None) -> int:
        """Return the line behind which a reader goes on; what it names need not be there."""
        if after is None or not after.line:
            return 0
        newest = await self._outputs.newest_lines(execution_id, limit=1)
        return min(after.line, newest.last)

    @contextlib.contextmanager
    def _noted(self, tasks: 'set[asyncio.Task[None]]') -> Iterator[None]:
        """Have the present task end with the streams."""
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            yield
        finally:
            tasks.discard(task)

    @contextlib.asynccontextmanager
    async def _follow(self, execution_id: str, line: int) -> AsyncIterator[FollowedExecution]:
        execution = await self._questions.get_by_id(execution_id)
        followed = self._followed.get(execution_id)
        if followed is None:
            followed = self._followed[execution_id] = FollowedExecution(
                execution,
                line=line,
                outputs=self._outputs,
                delivery=self._delivery,
                result=self._result,
            )
        followed.followers += 1
        try:
            yield followed
        finally:
            followed.followers -= 1
            if not followed.followers:
                followed.close()
                del self._followed[execution_id]

    async def _begin(
        self, reader: ExecutionReader, followed: FollowedExecution, after: Place | None
    ) -> None:
        """Write what the log tells behind a place; where it does not tell all, how it stands."""
        bounds = await self._log.bounds()
        history = await self._history(followed)
        is_whole = bool(history) and history[0].event.kind in FIRST_KINDS
        is_lost = after is not None and _is_lost(bounds, after, is_whole=is_whole)
        if is_lost:
            assert after is not None
            last = history[-1].event.sequence - 1 if history else bounds.ends.sequence
            reader.epoch, reader.sequence = bounds.ends.epoch, last
            reader.write([self._reset(bounds, Cursor(epoch=after.epoch, sequence=after.sequence))])
        ends = [each for each in history if each.is_end]
        if is_lost or (after is None and not is_whole):
            if not ends:
                summary = summary_of(followed.execution)
                reader.sequence = history[-1].event.sequence if history else bounds.ends.sequence
                reader.write([StateNews(summary=summary, at=followed.execution.updated_at)])
        else:
            reader.write(EventNews(told=each) for each in history if not each.is_end)

    async def _catch_up_with(self, reader: ExecutionReader, followed: FollowedExecution) -> None:
        """Write what was told to others; return in the turn in which there is nothing more."""
        while True:
            if reader.sequence < followed.sequence:
                history = await self._history(followed)
                reader.write(EventNews(told=each) for each in history if not each.is_end)
            elif reader.line < followed.line:
                page = await followed.lines_behind(reader.line)
                if page is not None:
                    reader.write(followed.news_of(page))
                # Of what was deleted meanwhile nothing is kept.
                reader.line = followed.line if page is None else page.last
            else:
                return
            if not reader.outlet.is_free:
                await reader.outlet.wait_free()

    async def _history(self, followed: FollowedExecution) -> Sequence[ToldEvent]:
        """Return all that the log has of an execution, which hears of its own end thereby."""
        execution = followed.execution
        subject = execution_subject(execution.entity, execution.script_id, execution.id)
        found = await self._log.history([subject], limit=MAX_HISTORY)
        history = told_of_one(found[subject])
        for each in history:
            if each.is_end:
                followed.note_end(EventNews(told=each))
        return history

    async def _catch_up(self, reader: LogReader) -> None:
        """Write what the log has; return in the turn in which there is nothing more."""
        replay = Replay(self._log)
        while self._log.end != reader.cursor:
            async with self._reading_on:
                await self._read_on(reader, replay)
            if not reader.outlet.is_free:
                await reader.outlet.wait_free()

    async def _read_on(self, reader: LogReader, replay: Replay) -> None:
        end = self._log.end
        try:
            events = await self._log.events(reader.cursor, limit=EVENTS_AT_ONCE)
        except LogBegins:
            bounds = await self._log.bounds()
            news = self._reset(bounds, reader.cursor)
            reader.stand_at(bounds.ends)
            reader.write([news])
            return
        await reader.take_read(await replay.told(events))
        if len(events) < EVENTS_AT_ONCE and reader.place.sequence < end.sequence:
            # All of it that was there was read; what an earlier version removed leaves gaps.
            reader.stand_at(end)

    def _reset(self, bounds: LogBounds, after: Cursor) -> ResetNews:
        is_here = after.epoch == bounds.ends.epoch and after.sequence <= bounds.ends.sequence
        reason = ResetReason.EXPIRED if is_here else ResetReason.OTHER_LOG
        return ResetNews(reason=reason, bounds=bounds, at=self._clock.now())

    async def _result(self, execution_id: str) -> News | None:
        try:
            detail = await self._questions.detail_by_id(execution_id)
        except ExecutionNotFound:
            return None
        is_outdated, has_content = await self._questions.version_now(detail)
        return ResultNews(
            detail=detail,
            is_outdated=is_outdated,
            has_content=has_content,
            at=self._clock.now(),
        )

    def _hand_on_progress(self, execution_id: str) -> None:
        execution = self._progress.pop(execution_id, None)
        if execution is None:
            return
        news = ProgressNews(execution=execution, at=self._clock.now())
        followed = self._followed.get(execution_id)
        if followed is not None:
            followed.on_progress(news)
        for reader in tuple(self._log_readers):
            reader.tell(news)

    def _hand_on_all_progress(self) -> None:
        for execution_id in tuple(self._progress):
            self._hand_on_progress(execution_id)


def _is_lost(bounds: LogBounds, after: Place, *, is_whole: bool) -> bool:
    """Tell whether something behind a place may be gone, of an execution of which the log has
    all, or not."""
    if is_whole and after.sequence < bounds.begins.sequence:
        return after.epoch != bounds.ends.epoch
    return not is_within(bounds, Cursor(epoch=after.epoch, sequence=after.sequence))
