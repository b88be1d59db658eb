# SPDX-License-Identifier: Apache-2.0
"""A condition while it is looked at: from its arming to the end of that."""

from collections.abc import Callable
from dataclasses import dataclass
import datetime
from typing import Any

from gateway_node.clock import Clock, rfc3339
from gateway_node.conditions.condition_words import Missed
from gateway_node.conditions.evaluation import Evaluation
from gateway_node.conditions.values import (
    Condition,
    Cron,
    GatewayStarted,
    OutsideMoment,
    ScriptEnd,
)
from gateway_node.executions.values import Execution
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.wall_times import WallTimes
from gateway_node.triggers.watches import Readings, Watches

STARTED_PATIENCE_SEC = 10.0
"""How long the start of the gateway waits for what a condition asks for besides."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What tells conditions that something changed."""

    watches: Watches
    timers: Timers
    wall_times: WallTimes
    clock: Clock
    up_sec: Callable[[], float]
    """How long gateways were up, all lives together."""

    def shown_time(self, monotonic: float) -> str:
        """Return a moment of the monotonic clock as the wall clock shows it now."""
        ago = datetime.timedelta(seconds=self.clock.monotonic() - monotonic)
        return rfc3339(self.clock.now() - ago)


class Arming:
    """Has a condition evaluated whenever it may have changed, and tells what came of it."""

    def __init__(
        self,
        condition: Condition,
        around: Surroundings,
        on_step: Callable[[bool], None],
        *,
        last: bool | None = None,
        seen_at: datetime.datetime | None = None,
        at_start: bool = False,
    ) -> None:
        """`on_step` is called after each step by which the condition fires, becomes true or does
        not hold any more, and after each moment, with whether it fires.

        `last` is the truth that is known of before, and `seen_at` up to when moments of the
        calendar were looked at. `at_start`: the gateway starts.
        """
        self._around = around
        self._on_step = on_step
        self._ended = False
        self._seen = False
        self._has_timer = False
        self._told: bool | None = None
        self.at = around.clock.monotonic()
        """When it was armed."""
        self._evaluation = Evaluation(condition, self.at, last)
        self._unread = set(self._evaluation.sources)
        self._awaits_start = at_start and any(
            isinstance(each, GatewayStarted) for each in self._evaluation.moments
        )
        for number, moment in enumerate(self._evaluation.moments):
            if isinstance(moment, Cron):
                self._set_cron(number, moment, seen_at)
        self._end_watch = around.watches.watch(self._evaluation.sources, self._take)
        self._set_timer()
        if self._awaits_start:
            delay_sec = STARTED_PATIENCE_SEC if self._unread else 0.0
            around.timers.set((self, 'start'), self.at + delay_sec, self._gateway_started)

    @property
    def truth(self) -> bool | None:
        """Whether the condition holds; None where that is not known."""
        return self._evaluation.truth

    @property
    def shown(self) -> Any:
        """Each part of the condition, as JSON values."""
        now = self._around.clock.monotonic()
        return self._evaluation.shown(now, self._around.shown_time)

    @property
    def next_at(self) -> datetime.datetime | None:
        """When the next moment of the calendar comes; None where it waits for none."""
        numbers = range(len(self._evaluation.moments))
        moments = [self._around.wall_times.due((self, number)) for number in numbers]
        return min((each for each in moments if each is not None), default=None)

    @property
    def values(self) -> Any:
        """What it looked at when it fired, as JSON values."""
        return self._evaluation.values()

    @property
    def makes_up(self) -> bool:
        """Whether it is to make up for moments of the calendar that nobody looked at."""
        return any(_makes_up(each) for each in self._evaluation.moments)

    def take_seen(self) -> bool:
        """Return whether such a moment came since this was asked last."""
        seen, self._seen = self._seen, False
        return seen

    def script_ended(self, execution: Execution) -> None:
        """Take that an execution has ended."""
        for moment in self._evaluation.moments:
            if isinstance(moment, ScriptEnd) and _fits(moment, execution):
                self._happen(moment, _told_of(execution))

    def end(self) -> None:
        """Look no more."""
        self._ended = True
        self._end_watch()
        timers = self._around.timers
        for name in ('due', 'start'):
            timers.set((self, name), None, _nothing)
        for number in range(len(self._evaluation.moments)):
            self._around.wall_times.forget((self, number))

    def _take(self, readings: Readings) -> None:
        if self._ended:
            return
        fires = self._evaluation.take(readings, self._around.clock.monotonic())
        self._after(fires)
        if self._awaits_start:
            self._unread -= {source for source, each in readings.items() if not each.fault}
            if not self._unread:
                self._gateway_started()

    def _tick(self) -> None:
        if not self._ended:
            self._after(self._evaluation.tick(self._around.clock.monotonic()))

    def _gateway_started(self) -> None:
        if self._awaits_start and not self._ended:
            self._awaits_start = False
            for moment in self._evaluation.moments:
                if isinstance(moment, GatewayStarted):
                    self._happen(moment, {})

    def _set_cron(self, number: int, moment: Cron, seen_at: datetime.datetime | None) -> None:
        makes_up = _makes_up(moment)

        def happen() -> None:
            self._seen = makes_up
            self._happen(moment, {})

        after = seen_at if makes_up else None
        self._around.wall_times.set((self, number), moment, happen, after=after)

    def _happen(self, moment: OutsideMoment, told: dict[str, Any]) -> None:
        if not self._ended:
            now = self._around.clock.monotonic()
            fires = self._evaluation.happened(moment, now, told)
            self._set_timer()
            self._tell(fires)

    def _after(self, fires: bool) -> None:
        self._set_timer()
        # Nearly always nothing came of it.
        if fires or self._evaluation.truth is not self._told:
            self._tell(fires)

    def _tell(self, fires: bool) -> None:
        self._told = self._evaluation.truth
        self._on_step(fires)

    def _set_timer(self) -> None:
        due = self._evaluation.due
        if due is not None or self._has_timer:
            self._has_timer = due is not None
            self._around.timers.set((self, 'due'), due, self._tick)


def _makes_up(moment: OutsideMoment) -> bool:
    return isinstance(moment, Cron) and moment.missed is Missed.ONCE


def _fits(moment: ScriptEnd, execution: Execution) -> bool:
    return moment.fits(
        script_id=execution.script_id,
        script_name=execution.script_name or '',
        entity=execution.entity.path,
        status=execution.status.value,
        verdict=None if execution.verdict is None else execution.verdict.value,
    )


def _told_of(execution: Execution) -> dict[str, Any]:
    return {
        'execution': execution.id,
        'status': execution.status.value,
        'verdict': None if execution.verdict is None else execution.verdict.value,
    }


def _nothing() -> None:
    pass
