# SPDX-License-Identifier: Apache-2.0
"""Pages of the log: the events behind a place in it, or those before one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway_node.executions.errors import LogBegins
from gateway_node.executions.event_filters import EventFilter
from gateway_node.executions.events import Cursor, LogBounds
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.told_events import MAX_HISTORY, Replay, told_of_one, ToldEvent

MAX_EVENTS = 1000
"""Of one page."""
MAX_LOOKED_AT = 2000
"""For one page, however few of them are wanted."""
_AT_ONCE = 100

Wanted = Callable[[ToldEvent], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """What was found, in the order of the log."""

    events: tuple[ToldEvent, ...]
    last: Cursor
    """The place behind which newer ones come."""
    next: Cursor | None
    """The place behind which the page goes on, or before which; None where there is no more."""
    bounds: LogBounds
    """What the log has."""
    missed: bool
    """True where the log does not reach back to the place that was asked for: the page has what
    there is from its begin on, or up to its end."""


def is_within(bounds: LogBounds, place: Cursor) -> bool:
    """Tell whether a log can go on from a place."""
    begins, ends = bounds.begins, bounds.ends
    return place.epoch == ends.epoch and begins.sequence <= place.sequence <= ends.sequence


class EventPages:
    """Finds pages of the log; all raise StoreUnavailable."""

    def __init__(self, store: ExecutionStore, scope: Scope = EVERYTHING) -> None:
        """Of what is beyond `scope` no event is found."""
        self._store = store
        self._log = store.log
        self._scope = scope

    def seen_by(self, scope: Scope) -> 'EventPages':
        """Return what finds the events of what is within a scope."""
        return EventPages(self._store, scope)

    def filter(self, wanted: ExecutionFilter) -> EventFilter:
        """Return what finds the events of those executions that a filter finds, and of all
        else."""
        return EventFilter(replace(wanted, scope=self._scope), self._store)

    async def event(self, sequence: int) -> ToldEvent | None:
        """Return one event; None where the log does not have it."""
        before = Cursor(epoch=self._log.end.epoch, sequence=sequence - 1)
        try:
            events = await self._log.events(before, limit=1)
        except LogBegins:
            return None
        if not events or events[0].sequence != sequence:
            return None
        (told,) = await Replay(self._log).told(events)
        return told if await self.filter(ExecutionFilter()).finds(told) else None

    async def behind(self, after: Cursor | None, limit: int, wanted: Wanted) -> EventPage:
        """Return the first events behind a place, or of all."""
        bounds = await self._log.bounds()
        missed = after is not None and not is_within(bounds, after)
        place = bounds.begins if after is None or missed else after
        ends = bounds.ends.sequence
        replay, found, looked_at = Replay(self._log), list[ToldEvent](), 0
        while len(found) < limit and place.sequence < ends and looked_at < MAX_LOOKED_AT:
            try:
                events = await self._log.events(place, limit=_AT_ONCE)
            except LogBegins as error:
                missed, place = True, error.begins
                continue
            looked_at += len(events)
            for told in await replay.told(events):
                place = told.event.cursor
                if await wanted(told):
                    found.append(told)
                if len(found) == limit:
                    break
            if not events:
                place = bounds.ends
        goes_on = place.sequence < self._log.end.sequence
        return EventPage(
            events=tuple(found),
            last=place,
            next=place if goes_on else None,
            bounds=bounds,
            missed=missed,
        )

    async def before(self, before: Cursor | None, limit: int, wanted: Wanted) -> EventPage:
        """Return the last events before a place, or of all."""
        bounds = await self._log.bounds()
        missed = before is not None and not is_within(bounds, before)
        place = None if before is None or missed else before.sequence
        found, looked_at, goes_on = list[ToldEvent](), 0, True
        while len(found) < limit and goes_on and looked_at < MAX_LOOKED_AT:
            events = await self._log.newest(place, limit=_AT_ONCE)
            goes_on = len(events) == _AT_ONCE
            looked_at += len(events)
            for told in reversed(await Replay(self._log).told(events)):
                place = told.event.sequence
                if await wanted(told):
                    found.append(told)
                if len(found) == limit:
                    goes_on = place > bounds.begins.sequence + 1
                    break
        found.reverse()
        epoch = bounds.ends.epoch
        return EventPage(
            events=tuple(found),
            last=found[-1].event.cursor if found else bounds.ends,
            next=Cursor(epoch=epoch, sequence=place) if goes_on and place is not None else None,
            bounds=bounds,
            missed=missed,
        )

    async def of_execution(
        self, subject: str, place: Cursor | None, limit: int, *, backwards: bool
    ) -> EventPage:
        """Return the same of one execution: the first events behind a place, or the last ones
        before it."""
        bounds = await self._log.bounds()
        until = bounds.ends.sequence
        found = await self._log.history([subject], until=until, limit=MAX_HISTORY)
        missed = place is not None and not is_within(bounds, place)
        events = told_of_one(found[subject])
        if place is not None and not missed:
            events = [each for each in events if _is_beyond(each, place, backwards=backwards)]
        chosen = events[-limit:] if backwards else events[:limit]
        goes_on = len(chosen) < len(events)
        further = None
        if goes_on:
            at = chosen[0].event.sequence if backwards else chosen[-1].event.sequence
            further = Cursor(epoch=bounds.ends.epoch, sequence=at)
        return EventPage(
            events=tuple(chosen),
            last=bounds.ends if backwards or further is None else further,
            next=further,
            bounds=bounds,
            missed=missed,
        )


def _is_beyond(told: ToldEvent, place: Cursor, *, backwards: bool) -> bool:
    sequence = told.event.sequence
    return sequence < place.sequence if backwards else sequence > place.sequence
