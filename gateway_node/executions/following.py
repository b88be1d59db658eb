# SPDX-License-Identifier: Apache-2.0
"""Following the log: each event once, in order, whatever was missed meanwhile."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from gateway_node.executions.document_reading import execution_of
from gateway_node.executions.documents import evolved, summary_of
from gateway_node.executions.events import Cursor, Event, FIRST_KINDS
from gateway_node.executions.store_ports import EventLog
from gateway_node.executions.values import Execution

LIMIT = 100
"""Events that are held for a reader at most, a hundred kilobytes; the rest is read when it is
asked for."""


class Follower:
    """One reader of the log, made by `Ledger.follow`; an EventListener.

    What it is told of it holds, up to a bound; what it missed it reads from the log. One at a
    time may read it.
    """

    def __init__(self, log: EventLog, after: Cursor, *, on_news: Callable[[], None]) -> None:
        """`on_news` is called, on the event loop, where there is more to take or to read."""
        self._log = log
        self._cursor = after
        self._on_news = on_news
        self._held: deque[tuple[Event, Execution | None]] = deque()
        self._known = after.sequence
        self._told = log.end.sequence
        self._news = asyncio.Event()

    @property
    def cursor(self) -> Cursor:
        """The place behind the last event that was taken."""
        return self._cursor

    @property
    def caught_up(self) -> bool:
        """True where there is nothing to take, and nothing to read."""
        return not self._held and not self.behind

    @property
    def behind(self) -> bool:
        """True where the next events have to be read from the log."""
        if self._held:
            return False
        return self._known != self._told or self._cursor.epoch != self._log.end.epoch

    def take(self) -> Event | None:
        """Return the next event; None where there is none, or `read_on` has to come first."""
        told = self.take_told()
        return None if told is None else told[0]

    def take_told(self) -> tuple[Event, Execution | None] | None:
        """Return the next event, as `take` does, and its execution as it is after it; None where
        it is of none, or was not told of while nothing else waited to be taken."""
        if not self._held:
            return None
        event, execution = self._held.popleft()
        self._cursor = event.cursor
        return event, execution

    async def read_on(self) -> None:
        """Read what comes next.

        Raises:
            LogBegins: the log does not reach back to the cursor any more, or tells another
                history.
            StoreUnavailable: it cannot be read.
        """
        end = self._log.end
        after = Cursor(epoch=self._cursor.epoch, sequence=self._known)
        events = await self._log.events(after, limit=LIMIT)
        for event in events:
            self._hold(event, None)
        self._told = max(self._told, end.sequence, self._known)
        if len(events) < LIMIT:
            # All of it that was there was read; what an earlier version removed leaves gaps.
            self._known = max(self._known, end.sequence)

    async def next(self) -> Event:
        """Return the next event, once there is one; raises what `read_on` does."""
        while (event := self.take()) is None:
            if self.behind:
                await self.read_on()
            else:
                self._news.clear()
                await self._news.wait()
        return event

    def skip(self) -> tuple[int, int]:
        """Give up what was not read: go on with what is told next; return the sequences between
        which everything is skipped, the second one included."""
        skipped = self._cursor.sequence, self._told
        self._held.clear()
        self._known = self._told
        self._cursor = Cursor(epoch=self._log.end.epoch, sequence=self._told)
        return skipped

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Take note of an event; `take` will return it in its turn."""
        self._told = max(self._told, event.sequence)
        next_one = self._known + 1 == event.sequence and self._cursor.epoch == event.epoch
        if next_one and len(self._held) < LIMIT:
            # Of one alone: the parameters of each may take two MiB.
            self._hold(event, None if self._held else execution)
        self._news.set()
        self._on_news()

    def _hold(self, event: Event, execution: Execution | None) -> None:
        self._held.append((event, execution))
        self._known = event.sequence


class OpenSummaries:
    """The executions that are open at a place in the log, as its events make them."""

    def __init__(self, executions: Iterable[Execution]) -> None:
        """Begin with those that are open at the place from which on events are applied."""
        self._open = {each.id: each for each in executions}

    def apply(self, event: Event, told: Execution | None = None) -> Execution | None:
        """Return an execution as it is after the next event: without its parameters, unless it
        is what was `told` with the event.

        None where the event is not of an open execution.
        """
        before = self._open.pop(event.subject_id, None)
        is_first = event.kind in FIRST_KINDS
        if before is None and not is_first:
            return None
        if told is None:
            summary = {} if is_first or before is None else summary_of(before)
            told = execution_of(evolved(summary, event.changes))
        if told.is_open:
            self._open[told.id] = told
        return told
