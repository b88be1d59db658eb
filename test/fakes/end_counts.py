# SPDX-License-Identifier: Apache-2.0
"""Ends counted in memory: all executions that ended are kept, and looked at one by one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import datetime

from gateway_node.executions.durations import Durations
from gateway_node.executions.filters import ExecutionFilter, Moments
from gateway_node.executions.group import SCRIPT_ID
from gateway_node.executions.matching import matches
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.statistics import (
    end_statistics,
    EndStatistics,
    Interval,
    kind_of,
    LastExecution,
    Point,
    ScriptOfEntity,
    ScriptRecord,
    Tally,
)
from gateway_node.executions.values import Execution

_HOUR = datetime.timedelta(hours=1)
_LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class InMemoryEndCounts:
    """An `EndCounts` that forgets everything with the process."""

    def __init__(self, check_available: Callable[[], None]) -> None:
        self._check_available = check_available
        self._ended: dict[str, Execution] = {}
        self._accepted: dict[ScriptOfEntity, dict[str, Execution]] = {}

    def note(self, execution: Execution) -> None:
        """Take note of an execution as it is now."""
        if not execution.is_open and not execution.ended_as_schedule:
            self._ended[execution.id] = execution
        self._accepted.setdefault(_script(execution), {})[execution.id] = execution

    def forget(self, execution: Execution) -> None:
        """Take note that an execution is not kept any more."""
        del self._accepted[_script(execution)][execution.id]

    async def ended(
        self, wanted: ExecutionFilter, interval: Interval | None = None
    ) -> EndStatistics:
        """Return what is known of the ends that are wanted."""
        self._check_available()
        counted = Moments(
            after=_full_hour(wanted.completed.after, up=False),
            before=_full_hour(wanted.completed.before, up=True),
        )
        wanted = dataclasses.replace(wanted, completed=counted)
        ended = [
            each
            for each in self._ended.values()
            if matches(wanted, each)
            and (wanted.scope.is_everything or each.script_id != SCRIPT_ID)
        ]
        totals = [(kind_of(each), tally(each)) for each in ended]
        return end_statistics(
            totals=totals,
            by_script=[(kind, 1) for kind, _ in totals],
            points=() if interval is None else series(ended, interval),
            counted=counted,
        )

    async def of_scripts(
        self, scripts: Iterable[ScriptOfEntity], scope: Scope = EVERYTHING
    ) -> Mapping[ScriptOfEntity, ScriptRecord]:
        """Return what is known of each of these scripts within a scope, which has no tags."""
        self._check_available()
        return {script: self._record(script, scope) for script in scripts}

    def _record(self, script: ScriptOfEntity, scope: Scope) -> ScriptRecord:
        kept = self._accepted.get(script, {})
        begun = [
            execution_id
            for execution_id, execution in kept.items()
            if not execution.is_schedule
            and not execution.ended_as_schedule
            and scope.has_execution(execution)
        ]
        last = kept[max(begun)] if begun else None
        ended = [
            each
            for each in self._ended.values()
            if _script(each) == script and scope.has_execution(each)
        ]
        return ScriptRecord(last=None if last is None else _as_last(last), ended=tally(*ended))


def _as_last(execution: Execution) -> LastExecution:
    return LastExecution(
        status=execution.status,
        verdict=execution.verdict and execution.verdict.value,
        created_at=execution.created_at,
        completed_at=execution.completed_at,
    )


def tally(*ended: Execution) -> Tally:
    """Return what there is to count of executions."""
    took = (each.duration_ms for each in ended if each.duration_ms is not None)
    return Tally(executions=len(ended), durations=Durations.of(*took))


def series(ended: Iterable[Execution], interval: Interval) -> tuple[Point, ...]:
    """Return the points of all intervals in which one of these ended."""
    points: dict[datetime.datetime, list[Execution]] = {}
    for each in ended:
        assert each.completed_at is not None
        begins = each.completed_at.replace(minute=0, second=0, microsecond=0)
        if interval is Interval.DAY:
            begins = begins.replace(hour=0)
        points.setdefault(begins, []).append(each)
    return tuple(_point(begins, points[begins]) for begins in sorted(points))


def _point(begins: datetime.datetime, ended: Sequence[Execution]) -> Point:
    statuses = [each.status for each in ended]
    return Point(
        begins=begins,
        statuses={status: statuses.count(status) for status in statuses},
        durations=tally(*ended).durations,
    )


def _script(execution: Execution) -> ScriptOfEntity:
    return ScriptOfEntity(entity=execution.entity.path, script_id=execution.script_id)


def _full_hour(moment: datetime.datetime | None, *, up: bool) -> datetime.datetime | None:
    if moment is None:
        return None
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour + min(_HOUR, _LATEST - hour) if up and hour < moment else hour
