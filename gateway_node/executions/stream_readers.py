# SPDX-License-Identifier: Apache-2.0
"""Who reads a stream: told of news as they come, or reading on by itself where it is behind."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from gateway_node.executions.event_filters import EventFilter
from gateway_node.executions.events import Cursor, Event
from gateway_node.executions.stream_delivery import Delivery
from gateway_node.executions.stream_news import (
    DroppedNews,
    EventNews,
    LineNews,
    News,
    Place,
    ProgressNews,
    ResultNews,
)
from gateway_node.executions.told_events import ToldEvent

MAX_PENDING = 250
"""News that wait for one reader's turn; with more it reads on by itself."""


class Outlet(Protocol):
    """Where a stream goes: the connection of a client."""

    @property
    def is_free(self) -> bool:
        """Whether all that was written has been taken."""

    def write(self, news: Sequence[tuple[News, Place]]) -> None:
        """Write news, each with the place behind it; returns at once."""

    def stand(self, place: Place) -> None:
        """Take note of a place behind which the reader may go on, without news."""

    async def wait_free(self) -> None:
        """Wait until all that was written has been taken; ConnectionError where it never is."""


class Reader(ABC):
    """One reader of one stream."""

    def __init__(self, outlet: Outlet, delivery: Delivery) -> None:
        self.outlet = outlet
        self._delivery = delivery
        self._pending: list[News] = []
        self._live = False
        self._stopped = asyncio.Event()

    def go_live(self) -> None:
        """Be told of news from now on: the reader knows all that came before."""
        self._live = True
        self._stopped.clear()

    async def wait_behind(self) -> None:
        """Wait until the reader is not told of news any more."""
        await self._stopped.wait()

    def tell(self, news: News) -> None:
        """Take news; they are written in their turn."""
        if not self._live:
            return
        is_to_be_read = isinstance(news, EventNews) and news.is_to_be_read
        if is_to_be_read or len(self._pending) >= MAX_PENDING:
            self.fall_behind()
            return
        self._pending.append(news)
        if len(self._pending) == 1:
            self._delivery.put(self._hand_on)

    def fall_behind(self) -> None:
        """Be told nothing more: what comes is read where it is kept."""
        self._live = False
        self._pending.clear()
        self._stopped.set()

    def write(self, news: Iterable[News]) -> None:
        """Write those of the news that the reader is to be told, whoever found them."""
        placed = [(each, place) for each in news if (place := self.take(each)) is not None]
        if placed:
            self.outlet.write(placed)

    def _hand_on(self) -> None:
        if not self._live:
            return
        pending, self._pending = self._pending, []
        self.write(pending)
        if not self.outlet.is_free:
            self.fall_behind()

    @abstractmethod
    def take(self, news: News) -> Place | None:
        """Go on behind these news; return the place, or None where they are not to be told."""


class LogReader(Reader):
    """Reads the log, or what it tells of executions alone."""

    def __init__(
        self,
        outlet: Outlet,
        delivery: Delivery,
        after: Cursor,
        *,
        of_executions: bool,
        wanted: EventFilter,
    ) -> None:
        """Who reads of executions alone hears of progress too."""
        super().__init__(outlet, delivery)
        self.stand_at(after)
        self._of_executions = of_executions
        self._wanted = wanted

    @property
    def cursor(self) -> Cursor:
        """The place in the log behind which it goes on."""
        return Cursor(epoch=self.place.epoch, sequence=self.place.sequence)

    def take(self, news: News) -> Place | None:
        """Go on behind an event that was told, behind none twice."""
        if isinstance(news, EventNews):
            return self._take_event(news) if self._is_next(news.told.event) else None
        if isinstance(news, ProgressNews) and not (
            self._of_executions and self._wanted.finds_execution(news.execution)
        ):
            return None
        return self.place

    async def take_read(self, told: Sequence[ToldEvent]) -> None:
        """Go on behind events that were read in the log; StoreUnavailable."""
        for each in told:
            self._stand_behind(each.event)
            if self._is_of_interest(each) and await self._wanted.finds(each):
                self.outlet.write([(EventNews(told=each), self.place)])

    def stand_at(self, place: Cursor) -> None:
        """Go on behind a place of the log."""
        self.place = Place(place.epoch, place.sequence)
        self.outlet.stand(self.place)

    def _is_next(self, event: Event) -> bool:
        if event.sequence == self.place.sequence + 1 and event.epoch == self.place.epoch:
            return True
        if event.sequence > self.place.sequence:
            # What is between the two is told later, or never.
            self.fall_behind()
        return False

    def _take_event(self, news: EventNews) -> Place | None:
        told = news.told
        if self._is_of_interest(told) and self._wanted.is_to_be_read(told):
            self.fall_behind()
            return None
        self._stand_behind(told.event)
        if not self._is_of_interest(told):
            return None
        return self.place if self._wanted.finds_now(told, news.execution) else None

    def _is_of_interest(self, told: ToldEvent) -> bool:
        return told.event.is_of_execution or not self._of_executions

    def _stand_behind(self, event: Event) -> None:
        self.place = Place(event.epoch, event.sequence)
        self.outlet.stand(self.place)


class ExecutionReader(Reader):
    """Reads all of one execution: its events, its progress, its output, its result."""

    def __init__(self, outlet: Outlet, delivery: Delivery, place: Place) -> None:
        super().__init__(outlet, delivery)
        self.epoch = place.epoch
        self.sequence = place.sequence
        self.line = place.line or 0
        self.is_over = False

    def take(self, news: News) -> Place | None:
        """Go on behind an event, a line or the result; behind none twice."""
        if isinstance(news, EventNews):
            sequence = news.told.event.sequence
            if sequence <= self.sequence:
                return None
            self.sequence = sequence
        elif isinstance(news, LineNews):
            if news.line.number <= self.line:
                return None
            self.line = news.line.number
        elif isinstance(news, DroppedNews):
            if news.lines.last <= self.line:
                return None
            self.line = news.lines.last
        elif isinstance(news, ResultNews):
            self.is_over = True
        return Place(self.epoch, self.sequence, self.line, self.is_over)
