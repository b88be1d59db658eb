# SPDX-License-Identifier: Apache-2.0
"""One precondition, as the robot stands: looked at by any number of starts, and while scripts run.

A value counts for as long as it may be old, whatever is wrong with its source meanwhile; then the
precondition is not known, and why. What is true of the graph is as new as the graph, and what
publishers keep for who comes later is so as long as they are there.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
import contextlib
from typing import Any

from gateway_node.conditions.evaluation import Evaluation
from gateway_node.conditions.sources import Reading, RobotSource, TopicValue
from gateway_node.conditions.values import Precondition
from gateway_node.executions.preconditions import Standing
from gateway_node.strict_json import shown
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.watches import Readings, Watches

_NOTICED_SEC = 0.1
"""After it is noticed that a time is over it counts as over: where the loop was held up, what was
read meanwhile comes first."""


class WatchedPrecondition:
    """Watches what one precondition looks at, from when it is made until `end`."""

    def __init__(
        self,
        precondition: Precondition,
        watches: Watches,
        timers: Timers,
        monotonic: Callable[[], float],
    ) -> None:
        self._max_age_sec = precondition.max_age_sec
        self._timers = timers
        self._monotonic = monotonic
        now = monotonic()
        self._undecided_until = now + self._max_age_sec + precondition.condition.settles_sec
        self._evaluation = Evaluation(precondition.condition, now)
        self._values: dict[RobotSource, Reading] = {}
        """Those that count."""
        self._faults: dict[RobotSource, Reading] = {}
        """What will be why there is no value, once that does not count any more."""
        self._noticed: dict[RobotSource | None, float] = {}
        """Which times are over, and since when that is known; None: that of being undecided."""
        self._is_decided = False
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self._end = watches.watch(self._evaluation.sources, self._take)
        self._set_timer(now)

    def end(self) -> None:
        """Watch no more."""
        self._end()
        self._timers.set(self, None, self._on_time)

    def add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever it may stand otherwise; return what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @property
    def is_met(self) -> bool:
        """Whether it is known to be true."""
        return self._evaluation.truth is True

    @property
    def is_undecided(self) -> bool:
        """Whether it is watched for so short a time that it may be found to be met yet."""
        if self.is_met or self._is_decided:
            return False
        due = self._evaluation.due
        may_come_true = due is not None and due <= self._undecided_until
        return self._evaluation.truth is None or may_come_true

    async def settled(self, until: float) -> None:
        """Wait as long as it is undecided, and until a moment for it to be met."""
        while not self.is_met:
            undecided = self.is_undecided
            left_sec = until - self._monotonic()
            if not undecided and left_sec <= 0:
                return
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if undecided else left_sec):
                    await self._changed.wait()

    def standing(self) -> Standing:
        """Return how it stands."""
        now = self._monotonic()
        seen = self._evaluation.shown(now, lambda at: round(max(0.0, now - at), 3))
        told = _told(seen)
        return Standing(met=self.is_met, why='' if self.is_met else _why(seen), told=told)

    def _take(self, readings: Readings) -> None:
        now = self._monotonic()
        fed = {each: reading for each, reading in readings.items() if self._counts(each, reading)}
        self._evaluation.take(fed, now)
        self._go_on(now)

    def _counts(self, source: RobotSource, reading: Reading) -> bool:
        """Tell whether a reading is to be judged now: no fault is, while a value counts."""
        if _is_flow(source):
            return True
        if reading.fault:
            self._faults[source] = reading
            return source not in self._values
        self._faults.pop(source, None)
        self._values[source] = reading
        # What is old already when it comes is over at once.
        self._noticed[source] = reading.at
        return True

    def _go_on(self, now: float) -> None:
        old = {each for each, until in self._good_until() if self._is_over(each, until, now)}
        for source in old:
            del self._values[source]
        self._is_decided = self._is_decided or self._is_over(None, self._undecided_until, now)
        nothing = Reading(at=now, fault=f'nothing came for {self._max_age_sec:g} s')
        self._evaluation.take({each: self._faults.get(each, nothing) for each in old}, now)
        self._set_timer(now)
        self._changed.set()
        for listener in tuple(self._listeners):
            listener()

    def _on_time(self) -> None:
        self._go_on(self._monotonic())

    def _good_until(self) -> Iterator[tuple[RobotSource, float]]:
        for source, value in self._values.items():
            if isinstance(source, TopicValue) and not value.stays:
                yield source, value.at + self._max_age_sec
            elif source in self._faults:
                # It was as it was until then.
                yield source, self._faults[source].at + self._max_age_sec

    def _is_over(self, source: RobotSource | None, until: float, now: float) -> bool:
        if now < until:
            self._noticed.pop(source, None)
            return False
        return now >= self._noticed.setdefault(source, now) + _NOTICED_SEC

    def _set_timer(self, now: float) -> None:
        times: list[tuple[RobotSource | None, float]] = [*self._good_until()]
        if not self._is_decided:
            times.append((None, self._undecided_until))
        moments = [
            self._noticed[key] + _NOTICED_SEC if key in self._noticed else until
            for key, until in times
        ]
        if self._evaluation.due is not None:
            moments.append(self._evaluation.due)
        self._timers.set(self, min(moments, default=None), self._on_time)


def _is_flow(source: RobotSource) -> bool:
    """Tell whether it is looked at how often messages come: that none do is what it tells."""
    return isinstance(source, TopicValue) and source.field is None


def _told(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an evaluation shows, its moments as ages."""
    told = {name: seen[name] for name in ('truth', 'value', 'why') if name in seen}
    if 'at' in seen:
        told['age_sec'] = seen['at']
    if 'parts' in seen:
        told['parts'] = [{'condition': each['condition'], **_told(each)} for each in seen['parts']]
    return told


def _why(seen: Mapping[str, Any]) -> str:
    """Return in words what is there instead of what is wanted."""
    if 'parts' in seen:
        of_parts = (f'{part["condition"]}: {_why(part)}' for part in seen['parts'] if _why(part))
        return '; '.join(filter(None, [seen.get('why'), *of_parts]))
    value = f'is {shown(seen["value"])}, {seen["at"]:.3g} s old' if 'value' in seen else ''
    return '; '.join(filter(None, [seen.get('why'), value]))
