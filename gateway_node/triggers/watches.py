# SPDX-License-Identifier: Apache-2.0
"""One watch of each source of the robot, however many conditions look at it.

What is told within one turn of the loop was made together, as the fields of one message are, and
is handed on together. Each condition takes it in turns: a thousand conditions on one topic hold
nobody up. Whoever is not done with what waits when more comes takes the newest of it afterwards.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
import itertools
import logging
import time

from gateway_node.conditions.sources import Reading, RobotSource, TopicValue
from gateway_node.executions.listeners import Guard
from gateway_node.triggers.ports import RobotValues
from gateway_node.triggers.turns import Turns

_log = logging.getLogger(__name__)

MAX_WAITING = 200
"""Of a topic of which each message counts, how many may wait for one condition; from there on
those that come count as one."""
_STEP_SEC = 0.001

Readings = Mapping[RobotSource, Reading]
Take = Callable[[Readings], object]


@dataclass(kw_only=True, eq=False)
class _Taker:
    """A condition, and what waits for it."""

    take: Take
    waiting: deque[dict[RobotSource, Reading]] = field(default_factory=deque)


@dataclass(kw_only=True, eq=False)
class _Watch:
    end: Callable[[], None]
    takers: dict[int, _Taker] = field(default_factory=dict)
    newest: Reading | None = None
    told_of_flood: bool = False


class Watches:
    """What is watched, and who takes what is read."""

    def __init__(self, robot: RobotValues, turns: Turns) -> None:
        self._robot = robot
        self._turns = turns
        self._watches: dict[RobotSource, _Watch] = {}
        self._numbers = itertools.count()
        self._gathered: deque[dict[RobotSource, Reading]] = deque()
        self._handings = 0
        """Readings that were not laid before all yet."""
        self._guard = Guard()

    def __len__(self) -> int:
        """Return how many sources are watched."""
        return len(self._watches)

    @property
    def topics(self) -> int:
        """How many topics are subscribed to."""
        return len({each.topic for each in self._watches if isinstance(each, TopicValue)})

    def watch(self, sources: Collection[RobotSource], take: Take) -> Callable[[], None]:
        """Have `take` called with what is known of these sources, and with each newer reading;
        return what ends that."""
        number = next(self._numbers)
        taker = _Taker(take=take)
        known = {}
        for source in sources:
            watch = self._watches.get(source) or self._begin(source)
            watch.takers[number] = taker
            if watch.newest is not None:
                # Its messages were counted before.
                known[source] = replace(watch.newest, messages=0)
        if known:
            self._hand(taker, known)

        def end() -> None:
            taker.waiting.clear()
            for source in sources:
                self._leave(source, number)

        return end

    def _begin(self, source: RobotSource) -> _Watch:
        def tell(reading: Reading) -> None:
            self._on_reading(source, reading)

        watch = self._watches[source] = _Watch(end=self._robot.watch(source, tell))
        return watch

    def _leave(self, source: RobotSource, number: int) -> None:
        watch = self._watches.get(source)
        if watch is None:
            return
        watch.takers.pop(number, None)
        if not watch.takers:
            del self._watches[source]
            watch.end()

    def _on_reading(self, source: RobotSource, reading: Reading) -> None:
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._hand_round)
        _put(self._gathered, {source: reading})

    def _hand_round(self) -> None:
        gathered, self._gathered = self._gathered, deque()
        for readings in gathered:
            for source, reading in readings.items():
                if (watch := self._watches.get(source)) is not None:
                    watch.newest = reading
            self._handings += 1
            self._turns.add(self._handing(readings))

    def _handing(self, readings: Readings) -> Iterator[None]:
        """Lay what was read before all whom it concerns; they take it at once, where no more of
        it is on its way."""
        at_once = self._handings == 1
        watches = [watch for each in readings if (watch := self._watches.get(each)) is not None]
        takers = {number: taker for watch in watches for number, taker in watch.takers.items()}
        until = time.perf_counter() + _STEP_SEC
        for number, taker in takers.items():
            # Some may have left meanwhile.
            if len(readings) > 1:
                own: Readings = {s: r for s, r in readings.items() if self._takes(s, number)}
            else:
                own = readings if number in watches[0].takers else {}
            if own and at_once and not taker.waiting:
                self._guard.tell(taker.take, own)
            elif own and self._hand(taker, own):
                self._tell_of_flood(own)
            if time.perf_counter() >= until:
                yield
                until = time.perf_counter() + _STEP_SEC
        self._handings -= 1

    def _takes(self, source: RobotSource, number: int) -> bool:
        watch = self._watches.get(source)
        return watch is not None and number in watch.takers

    def _hand(self, taker: _Taker, readings: Readings) -> bool:
        """Lay before a condition what was read; return whether that is too much for it."""
        if not taker.waiting:
            self._turns.add(self._taking(taker))
        _put(taker.waiting, readings)
        if len(taker.waiting) <= MAX_WAITING:
            return False
        newest = taker.waiting.pop()
        taker.waiting[-1] = _merged(taker.waiting[-1], newest)
        return True

    def _taking(self, taker: _Taker) -> Iterator[None]:
        while taker.waiting:
            self._guard.tell(taker.take, taker.waiting.popleft())
            yield

    def _tell_of_flood(self, readings: Readings) -> None:
        for source in readings:
            watch = self._watches.get(source)
            if watch is not None and not watch.told_of_flood:
                watch.told_of_flood = True
                _log.warning(
                    'messages come faster than conditions can look at each of them, of those '
                    'that wait only the newest counts: %s',
                    source,
                )


def _put(waiting: deque[dict[RobotSource, Reading]], readings: Readings) -> None:
    """Add what was read to what waits: to the newest of it, but where each reading counts."""
    if waiting and not any(_counts_each(each) and each in waiting[-1] for each in readings):
        waiting[-1] = _merged(waiting[-1], readings)
    else:
        waiting.append(dict(readings))


def _merged(
    older: Mapping[RobotSource, Reading], newer: Mapping[RobotSource, Reading]
) -> dict[RobotSource, Reading]:
    merged = {**older, **newer}
    for source in older.keys() & newer.keys():
        messages = older[source].messages + newer[source].messages
        merged[source] = replace(newer[source], messages=messages)
    return merged


def _counts_each(source: RobotSource) -> bool:
    return isinstance(source, TopicValue) and source.every
