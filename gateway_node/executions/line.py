# SPDX-License-Identifier: Apache-2.0
"""The line: who waits for a place, in order.

Synchronous where nobody waits: no two can have the last place. It knows limits and order, and
asks nobody anything.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    LineFull,
    LinePaused,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
)
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.places import Place, Places, single_refusals
from gateway_node.executions.settings import ConcurrencyLimits, LineSettings

_LOOK_SEC = 1.0
"""Between looks whether what an execution left has ended: nobody tells."""
_NO_PLACE = (ScriptAlreadyRunning, ConcurrencyLimitReached, LinePaused)


@dataclass(kw_only=True)
class _Waiting:
    place: Place
    turn: 'asyncio.Future[None]'
    since: float


@dataclass(frozen=True, kw_only=True)
class LineState:
    """The line, or the part of it that waits for places on one entity."""

    paused: bool
    waiting: int
    oldest_wait_sec: float | None
    """How long who has waited longest has, in this life of the gateway; None for nobody."""


class Line:
    """Gives places to executions; each has its own until it leaves.

    First comes who has waited for `max_wait_sec`, then the higher priority, then who came first.
    Whom the limits do not let in holds nobody up.
    """

    def __init__(
        self,
        limits: ConcurrencyLimits,
        settings: LineSettings,
        held_scripts: HeldScripts,
        monotonic: Callable[[], float],
    ) -> None:
        self._places = Places(limits, held_scripts)
        self._settings = settings
        self._held_scripts = held_scripts
        self._monotonic = monotonic
        self._waiting: dict[str, _Waiting] = {}
        self._paused: set[EntityRef | None] = set()
        self._looking: asyncio.TimerHandle | None = None

    def take(self, place: Place) -> None:
        """Take a place at once.

        Raises:
            ScriptAlreadyRunning: it runs, or waits.
            ConcurrencyLimitReached, LinePaused: there is none.
        """
        self._check_twins(place)
        self._take(place)

    def take_or_wait(self, place: Place) -> bool:
        """Take a place or stand in line for one, as long as the line is not full; tell whether it
        waits.

        Raises:
            ScriptAlreadyRunning: it runs, or waits.
            LineFull: there is no place, and as many wait as may.
            ConcurrencyLimitReached, LinePaused: there is no place, and nobody may wait.
        """
        if place.execution_id in self._waiting:
            self._check_twins(place)
            return not self.join(place).done()
        try:
            self.take(place)
        except (ConcurrencyLimitReached, LinePaused):
            limit = self._settings.max_waiting
            if not limit:
                raise
            if len(self._waiting) >= limit:
                raise LineFull(limit) from None
            self.leave(place.execution_id)
            return not self._wait(place).done()
        return False

    def join(self, place: Place) -> 'asyncio.Future[None]':
        """Take a place, or stand in line for one however long that is; return what is done once
        there is one.

        Whoever has a place, or waits, asks anew for its script as it is now, with the priority
        that it has.
        """
        present = self._places.get(place.execution_id)
        waiting = self._waiting.get(place.execution_id)
        if waiting is not None:
            waiting.place = replace(place, priority=waiting.place.priority)
            self._let_in()
            return waiting.turn
        if present is not None:
            place = replace(place, priority=present.priority)
        try:
            self._take(place)
        except _NO_PLACE:
            self.leave(place.execution_id)
            return self._wait(place)
        turn = asyncio.get_running_loop().create_future()
        turn.set_result(None)
        return turn

    def refusals(self, place: Place) -> Iterator[Exception]:
        """Yield all for which a start would not have a place at once; nothing is taken.

        `LineFull` comes last, where it could not even wait for one.
        """
        if self._looking is not None:
            self._let_in()
        yield from self._twins(place)
        yield from self._pauses(place)
        lacks_place = not self._paused.isdisjoint({None, place.entity})
        for refusal in self._places.refusals(place, self._waiting_places()):
            lacks_place |= isinstance(refusal, ConcurrencyLimitReached)
            yield refusal
        if lacks_place and len(self._waiting) >= self._settings.max_waiting:
            yield LineFull(self._settings.max_waiting)

    def waits(self, execution_id: str) -> bool:
        """Tell whether an execution stands in line."""
        return execution_id in self._waiting

    def prioritise(self, execution_id: str, priority: int) -> bool:
        """Give another priority to who waits; tell whether it waits."""
        waiting = self._waiting.get(execution_id)
        if waiting is None:
            return False
        waiting.place = replace(waiting.place, priority=priority)
        return True

    def leave(self, execution_id: str) -> None:
        """Free the place of an execution, or take it out of the line; harmless where it has
        neither."""
        self._waiting.pop(execution_id, None)
        if self._places.free(execution_id):
            self._let_in()

    def pause(self, entity: EntityRef | None) -> None:
        """Let nobody in, or nobody of an entity; repeating it is harmless."""
        self._paused.add(entity)

    def resume(self, entity: EntityRef | None) -> None:
        """Let in again; harmless where nothing is paused."""
        self._paused.discard(entity)
        self._let_in()

    def state(self, entity: EntityRef | None = None) -> LineState:
        """Return how the line stands, or the part of it for one entity."""
        since = [
            each.since for each in self._waiting.values() if entity in (None, each.place.entity)
        ]
        return LineState(
            paused=entity in self._paused,
            waiting=len(since),
            oldest_wait_sec=self._monotonic() - min(since) if since else None,
        )

    def positions(self) -> Mapping[str, int]:
        """Return where each stands that waits, the first at 1, whatever the limits are."""
        if not self._waiting:
            return {}
        ordered = self._in_order(self._waiting.values())
        return {each.place.execution_id: place for place, each in enumerate(ordered, 1)}

    def _check_twins(self, place: Place) -> None:
        for refusal in self._twins(place):
            raise refusal

    def _twins(self, place: Place) -> Iterator[ScriptAlreadyRunning]:
        waiting = self._waiting_places()
        yield from single_refusals(
            place, (w for w in waiting if w.execution_id != place.execution_id)
        )

    def _take(self, place: Place) -> None:
        if self._looking is not None:
            # Whoever waits for a script that was held may go first. All others that could have
            # gone in have: nothing else makes room unheard.
            self._let_in()
        self._check(place)
        self._places.give(place)

    def _wait(self, place: Place) -> 'asyncio.Future[None]':
        turn = asyncio.get_running_loop().create_future()
        since = self._monotonic()
        self._waiting[place.execution_id] = _Waiting(place=place, turn=turn, since=since)
        if place.ancestors:
            # Who has a place on an entity may wait for this one, and others need not wait for it.
            self._let_in()
        self._look_again()
        return turn

    def _waiting_places(self) -> Iterable[Place]:
        return (each.place for each in self._waiting.values())

    def _in_order(self, waiting: Iterable[_Waiting]) -> list[_Waiting]:
        # Of those who waited for so long the first goes first whatever its priority: none would
        # ever have its turn where others with a higher one wait for as long.
        long_ago = self._monotonic() - self._settings.max_wait_sec

        def order(each: _Waiting) -> tuple[bool, int, str]:
            in_turn = each.since > long_ago
            priority = each.place.priority if in_turn else 0
            return in_turn, -priority, each.place.execution_id

        return sorted(waiting, key=order)

    def _let_in(self) -> None:
        if not self._waiting or None in self._paused:
            return
        full, full_entities = self._places.full, self._places.full_entities

        def may_fit(place: Place) -> bool:
            # To ask for each of those that wait for the same would hold up who need not wait.
            return bool(place.ancestors) or not (full or place.entity in full_entities)

        for waiting in self._in_order(w for w in self._waiting.values() if may_fit(w.place)):
            place, turn = waiting.place, waiting.turn
            if not may_fit(place):
                continue
            try:
                self._check(place)
            except _NO_PLACE:
                continue
            del self._waiting[place.execution_id]
            if not turn.done():
                self._places.give(place)
                turn.set_result(None)
                full, full_entities = self._places.full, self._places.full_entities
        self._look_again()

    def _check(self, place: Place) -> None:
        if self._paused:
            self._check_pauses(place)
        self._places.check(place, self._waiting_places())

    def _check_pauses(self, place: Place) -> None:
        for refusal in self._pauses(place):
            raise refusal

    def _pauses(self, place: Place) -> Iterator[LinePaused]:
        for paused in (None, place.entity):
            if paused in self._paused:
                yield LinePaused(paused)

    def _look_again(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._waiting and self._held_scripts.any_lives():
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(_LOOK_SEC, self._let_in)


class SchedulePlaces:
    """The limit on schedules that wait for a start of the gateway; there is no line for these."""

    def __init__(self, limit: int) -> None:
        """`limit` 0 sets none."""
        self._limit = limit
        self._taken: set[str] = set()

    def take(self, schedule_id: str) -> None:
        """Take a place; taking it again is harmless. ScheduleLimitReached where there is none."""
        self.check(schedule_id)
        self._taken.add(schedule_id)

    def check(self, schedule_id: str) -> None:
        """Return where `take` would; nothing is taken."""
        if self._limit and len(self._taken - {schedule_id}) >= self._limit:
            raise ScheduleLimitReached(self._limit)

    def restore(self, schedule_ids: Iterable[str]) -> None:
        """Take the schedules of earlier gateways, however many they are."""
        self._taken.update(schedule_ids)

    def leave(self, schedule_id: str) -> None:
        """Free the place of a schedule; harmless where it has none."""
        self._taken.discard(schedule_id)
