# SPDX-License-Identifier: Apache-2.0
"""A log of what happened, in memory."""

from collections.abc import Callable, Collection, Mapping

from gateway_node.clock import Clock
from gateway_node.executions.errors import LogBegins
from gateway_node.executions.events import Cursor, Event, Happening, LogBounds
from gateway_node.executions.store_ports import LogPolicy

EPOCH = 'in_memory'
KEEP_THE_LOG = LogPolicy(max_events=0, max_age_sec=0)


class InMemoryEventLog:
    """An `EventLog` that forgets everything with the process."""

    def __init__(self, clock: Clock, check_available: Callable[[], None]) -> None:
        """`check_available` raises StoreUnavailable where a test wants that."""
        self._clock = clock
        self._check_available = check_available
        self._events: list[Event] = []
        self._recorded: list[float] = []
        self._held: dict[str, int] = {}
        self._sequence = 0

    @property
    def end(self) -> Cursor:
        """The place behind the newest event."""
        return Cursor(epoch=EPOCH, sequence=self._sequence)

    async def bounds(self) -> LogBounds:
        """Return where the log begins and ends."""
        self._check_available()
        begins = self._sequence - len(self._events)
        return LogBounds(begins=Cursor(epoch=EPOCH, sequence=begins), ends=self.end)

    async def events(self, after: Cursor, *, limit: int) -> tuple[Event, ...]:
        """Return up to `limit` events behind a place in the log, in sequence.

        Raises:
            LogBegins: the log does not reach back to it.
        """
        bounds = await self.bounds()
        within = bounds.begins.sequence <= after.sequence <= bounds.ends.sequence
        if after.epoch != EPOCH or not within:
            raise LogBegins(after, bounds.begins)
        found = [event for event in self._events if event.sequence > after.sequence]
        return tuple(found[:limit])

    async def newest(self, before: int | None = None, *, limit: int) -> tuple[Event, ...]:
        """Return the last `limit` events that are kept, in sequence."""
        self._check_available()
        found = [each for each in self._events if before is None or each.sequence < before]
        return tuple(found[-limit:])

    async def history(
        self, subjects: Collection[str], *, until: int | None = None, limit: int
    ) -> Mapping[str, tuple[Event, ...]]:
        """Return the last `limit` events that are kept of each of these executions."""
        self._check_available()
        found = [each for each in self._events if until is None or each.sequence <= until]
        return {
            subject: tuple(each for each in found if each.subject == subject)[-limit:]
            for subject in subjects
        }

    async def hold(self, name: str, after: Cursor) -> None:
        """Keep the events behind a place for a follower of that name, for a while.

        Raises:
            LogBegins: the log does not reach back to it.
        """
        await self.events(after, limit=0)
        self._held[name] = after.sequence

    async def held(self, name: str) -> Cursor | None:
        """Return the place from which on events are kept for a follower; None where there is
        none, or it stayed away for too long."""
        self._check_available()
        held = self._held.get(name)
        return None if held is None else Cursor(epoch=EPOCH, sequence=held)

    async def release(self, name: str) -> None:
        """Keep nothing for a follower any more."""
        self._check_available()
        self._held.pop(name, None)

    async def prune(self, policy: LogPolicy) -> None:
        """Remove the oldest events that `policy` does not keep and no follower holds."""
        self._check_available()
        while surplus := self._surplus(policy, 1):
            if self._held:
                held = min(self._held.values()) - (self._sequence - len(self._events))
                surplus = min(surplus, max(held, self._surplus(policy, 2)))
            if not surplus:
                break
            del self._events[:surplus], self._recorded[:surplus]
            begins = self._sequence - len(self._events)
            self._held = {name: held for name, held in self._held.items() if held >= begins}

    def append(self, happening: Happening) -> Event:
        """Add an event; return it."""
        self._sequence += 1
        event = Event(
            epoch=EPOCH,
            sequence=self._sequence,
            at=self._clock.now(),
            kind=happening.kind,
            subject=happening.subject,
            actor=happening.actor,
            cause=happening.cause,
            changes=happening.changes,
        )
        self._events.append(event)
        self._recorded.append(self._clock.monotonic())
        return event

    def _surplus(self, policy: LogPolicy, times: int) -> int:
        """Return how many of the oldest events are not kept, with bounds so many times as far."""
        surplus = 0
        if policy.max_events:
            surplus = max(0, len(self._events) - policy.max_events * times)
        if policy.max_age_sec:
            since = self._clock.monotonic() - policy.max_age_sec * times
            surplus = max(surplus, sum(recorded < since for recorded in self._recorded))
        return surplus
