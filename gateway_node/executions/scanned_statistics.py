# SPDX-License-Identifier: Apache-2.0
"""Statistics of executions that are looked at one by one, and which statistics need that."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
import datetime

from gateway_node.clock import Clock
from gateway_node.executions.durations import Durations, NO_DURATIONS
from gateway_node.executions.every_page import every_page
from gateway_node.executions.filters import EVER, ExecutionFilter
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.statistics import (
    asks_for_counted,
    end_statistics,
    EndKind,
    EndStatistics,
    Interval,
    kind_of,
    LastExecution,
    MAX_POINTS,
    OpenCounts,
    Point,
    ScriptOfEntity,
    ScriptRecord,
    Tally,
)
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution, ExecutionStatus, OPEN_STATUSES

SCAN_SEC = 1.0
"""How long executions are looked at one by one; what is older then is left out."""

_Points = defaultdict[datetime.datetime, dict[ExecutionStatus, list[int | None]]]


class Statistics:
    """Asks the counts of the store where these can answer, and its executions otherwise."""

    def __init__(self, store: ExecutionStore, clock: Clock, scope: Scope = EVERYTHING) -> None:
        """Count nothing that is beyond `scope`."""
        self._store = store
        self._clock = clock
        self._scope = scope

    def seen_by(self, scope: Scope) -> 'Statistics':
        """Return those of what is within a scope."""
        return Statistics(self._store, self._clock, scope)

    async def ended(
        self, wanted: ExecutionFilter, interval: Interval | None = None
    ) -> EndStatistics:
        """Return what is known of the executions that ended and are wanted, and of each interval
        where one is given.

        Those that were removed are among them where the filter asks for nothing but what ends are
        counted by. StoreUnavailable.
        """
        wanted = replace(wanted, scope=self._scope)
        if asks_for_counted(wanted):
            return await self._store.end_counts.ended(wanted, interval)
        return await self._scan(wanted, interval)

    async def open(self, wanted: ExecutionFilter) -> OpenCounts:
        """Count the executions that are open now and wanted, whatever the filter says of the time
        of their end. StoreUnavailable."""
        statuses = OPEN_STATUSES if wanted.statuses is None else OPEN_STATUSES & wanted.statuses
        if not statuses:
            return OpenCounts()
        wanted = replace(wanted, scope=self._scope, statuses=statuses, completed=EVER)
        running = waiting = scheduled = 0
        async for each in every_page(self._store, wanted):
            for execution in each:
                if execution.is_schedule:
                    scheduled += 1
                elif execution.status is ExecutionStatus.RUNNING:
                    running += 1
                else:
                    waiting += 1
        return OpenCounts(running=running, waiting=waiting, scheduled=scheduled)

    async def of_scripts(
        self, scripts: Iterable[ScriptOfEntity]
    ) -> Mapping[ScriptOfEntity, ScriptRecord]:
        """Return what is known of each of these scripts. StoreUnavailable."""
        if self._scope.tags is None:
            return await self._store.end_counts.of_scripts(scripts, self._scope)
        return await self._scan_scripts(scripts)

    async def _scan_scripts(
        self, scripts: Iterable[ScriptOfEntity]
    ) -> Mapping[ScriptOfEntity, ScriptRecord]:
        """Look at the executions of scripts one by one: ends are not counted by tags."""
        deadline = self._clock.monotonic() + SCAN_SEC
        last: dict[ScriptOfEntity, LastExecution] = {}
        took: dict[ScriptOfEntity, list[int | None]] = {each: [] for each in scripts}
        wanted = ExecutionFilter(
            scope=self._scope, scripts=frozenset(each.script_id for each in took)
        )
        async for page in every_page(self._store, wanted):
            for each in page:
                script = ScriptOfEntity(each.entity.path, each.script_id)
                if script not in took or each.is_schedule or each.ended_as_schedule:
                    continue
                last.setdefault(script, _as_last(each))
                if not each.is_open:
                    took[script].append(each.duration_ms)
            if self._clock.monotonic() >= deadline:
                break
        return {
            script: ScriptRecord(last=last.get(script), ended=_tally(each))
            for script, each in took.items()
        }

    async def _scan(self, wanted: ExecutionFilter, interval: Interval | None) -> EndStatistics:
        deadline = self._clock.monotonic() + SCAN_SEC
        tallies: defaultdict[EndKind, list[int | None]] = defaultdict(list)
        points: _Points = defaultdict(lambda: defaultdict(list))
        in_time = True
        async for each in every_page(self._store, wanted):
            for execution in each:
                if execution.is_open or execution.ended_as_schedule:
                    continue
                if execution.group is not None and not self._scope.is_everything:
                    continue  # as where ends are counted
                tallies[kind_of(execution)].append(execution.duration_ms)
                if interval is not None:
                    statuses = points[_interval_begins(execution, interval)]
                    statuses[execution.status].append(execution.duration_ms)
            in_time = self._clock.monotonic() < deadline
            if not in_time:
                break
        # The newest came first, and the last name is to be the one that is told.
        kinds = [(kind, _tally(took)) for kind, took in reversed(tallies.items())]
        return end_statistics(
            totals=kinds,
            by_script=[(kind, tally.executions) for kind, tally in kinds],
            points=_series(points),
            counted=wanted.completed,
            approximate=not in_time,
        )


def _as_last(execution: Execution) -> LastExecution:
    return LastExecution(
        status=execution.status,
        verdict=execution.verdict and execution.verdict.value,
        created_at=execution.created_at,
        completed_at=execution.completed_at,
    )


def _interval_begins(execution: Execution, interval: Interval) -> datetime.datetime:
    ended = (execution.completed_at or execution.created_at).astimezone(datetime.UTC)
    hour = ended.hour if interval is Interval.HOUR else 0
    return ended.replace(hour=hour, minute=0, second=0, microsecond=0)


def _series(points: _Points) -> tuple[Point, ...]:
    return tuple(
        Point(
            begins=begins,
            statuses={status: len(took) for status, took in points[begins].items()},
            durations=sum(
                (_tally(took).durations for took in points[begins].values()), NO_DURATIONS
            ),
        )
        for begins in sorted(points)[-MAX_POINTS:]
    )


def _tally(durations_ms: list[int | None]) -> Tally:
    measured = (each for each in durations_ms if each is not None)
    return Tally(executions=len(durations_ms), durations=Durations.of(*measured))
