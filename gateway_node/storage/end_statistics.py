# SPDX-License-Identifier: Apache-2.0
"""The statistics that were counted: which kinds, which periods, and what both have in common."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
import datetime
import functools
import math
import sqlite3

from gateway_node.executions.durations import Durations
from gateway_node.executions.filters import ExecutionFilter, Moments
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.executions.statistics import (
    end_statistics,
    EndKind,
    EndStatistics,
    Interval,
    is_within,
    LastExecution,
    MAX_POINTS,
    NOTHING,
    Point,
    ScriptOfEntity,
    ScriptRecord,
    Tally,
)
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.conditions import with_paths
from gateway_node.storage.database import Database
from gateway_node.storage.periods import HOUR_SEC, Level, Period, periods_of
from gateway_node.storage.scope_terms import scope_sql
from gateway_node.storage.served_schema import REASON
from gateway_node.storage.statistics_reads import (
    counts,
    KindIds,
    periods_within,
    read_kinds,
    read_kinds_of_script,
    tallies,
    tallies_of_points,
)
from gateway_node.storage.statistics_schema import is_no_schedule
from gateway_node.storage.terms import script_of_entity

_SCRIPTS_AT_ONCE = 100
"""Whose records are read at once: some 15 ms."""
_LATEST = datetime.datetime.max.replace(tzinfo=datetime.UTC)
_LEVELS = {Interval.HOUR: Level.HOUR, Interval.DAY: Level.DAY}
_Uncounted = list[tuple[EndKind, int, Tally]]
"""Of each end its kind, the second, and what it adds."""
_Points = defaultdict[int, dict[ExecutionStatus, Tally]]


class SqliteEndCounts:
    """The `EndCounts` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ended(
        self, wanted: ExecutionFilter, interval: Interval | None = None
    ) -> EndStatistics:
        """Return what is known of the ends that are wanted; and of each interval where one is
        given."""
        return await self._database.read(
            lambda connection: _Reading(connection, wanted).statistics(interval)
        )

    async def of_scripts(
        self, scripts: Iterable[ScriptOfEntity], scope: Scope = EVERYTHING
    ) -> Mapping[ScriptOfEntity, ScriptRecord]:
        """Return what is known of each of these scripts within a scope, which has no tags; in
        reads between which others get a turn."""
        found: dict[ScriptOfEntity, ScriptRecord] = {}
        wanted = [*scripts]
        for begin in range(0, len(wanted), _SCRIPTS_AT_ONCE):
            some = wanted[begin : begin + _SCRIPTS_AT_ONCE]
            read = functools.partial(_of_scripts, scripts=some, scope=scope)
            found |= await self._database.read(read)
        return found


class _Reading:
    """One look at what was counted, as at one moment."""

    def __init__(self, connection: sqlite3.Connection, wanted: ExecutionFilter) -> None:
        self._connection = connection
        self._kinds = read_kinds(connection, by_script=True)
        self._uncounted = _read_uncounted(connection)
        paths = {kind.entity for kind in self._kinds}
        paths |= {kind.entity for kind, _, _ in self._uncounted}
        self._wanted = wanted if wanted.entities is None else with_paths(wanted, paths)
        self._located = {each.path for each in wanted.located or ()}
        self._verdicts = {verdict.value for verdict in wanted.verdicts or ()}
        self._begins = _second(wanted.completed.after, -math.inf)
        self._ends = _second(wanted.completed.before, math.inf)

    def statistics(self, interval: Interval | None) -> EndStatistics:
        nodes = [*periods_within(self._connection, Level.YEAR, self._begins, self._ends)]
        uncounted = self._within(self._uncounted)
        by_script = {kind: each for kind, each in self._kinds.items() if self._is_wanted(kind)}
        kinds = by_script if self._is_of_scripts else self._alike()
        kind_of = {kind_id: kind for kind, kind_id in {**kinds, **by_script}.items()}
        ids = [(node, 0) for node, _ in nodes]
        totals = [*tallies(self._connection, ids, [*kinds.values()])]
        of_scripts = [*counts(self._connection, ids, [*by_script.values()])]
        return end_statistics(
            totals=[
                *((kind_of[kind_id], tally) for kind_id, tally in totals),
                *((kind, tally) for kind, _, tally in uncounted),
            ],
            by_script=[
                *((kind_of[kind_id], executions) for kind_id, executions in sorted(of_scripts)),
                *((kind, tally.executions) for kind, _, tally in uncounted),
            ],
            points=() if interval is None else self._points(_LEVELS[interval], kinds, uncounted),
            counted=self._counted([period for _, period in nodes]),
        )

    def _points(self, level: Level, kinds: KindIds, uncounted: _Uncounted) -> tuple[Point, ...]:
        points: _Points = defaultdict(lambda: defaultdict(lambda: NOTHING))
        nodes = [
            (node, periods_of(period.begins)[level].begins)
            for node, period in periods_within(self._connection, level, self._begins, self._ends)
        ]
        shown = {point for _, point in nodes}
        shown |= {periods_of(second)[level].begins for _, second, _ in uncounted}
        first = sorted(shown)[-MAX_POINTS:][:1]
        nodes = [(node, point) for node, point in nodes if [point] >= first]
        for point, status, tally in tallies_of_points(self._connection, nodes, [*kinds.values()]):
            points[point][status] += tally
        for kind, second, tally in uncounted:
            point = periods_of(second)[level].begins
            if [point] >= first:
                points[point][kind.status] += tally
        return tuple(_point(begins, points[begins]) for begins in sorted(points))

    @property
    def _is_of_scripts(self) -> bool:
        wanted = self._wanted
        chosen = (wanted.entity, wanted.script_id, wanted.entities, wanted.located, wanted.scripts)
        return not wanted.scope.is_everything or any(each is not None for each in chosen)

    def _alike(self) -> KindIds:
        kinds = read_kinds(self._connection, by_script=False)
        return {kind: kind_id for kind, kind_id in kinds.items() if self._ended_so(kind)}

    def _is_wanted(self, kind: EndKind) -> bool:
        wanted = self._wanted
        return (
            self._ended_so(kind)
            and is_within(wanted.scope, kind)
            and (wanted.entity is None or kind.entity == wanted.entity.path)
            and wanted.script_id in (None, kind.script_id)
            and (wanted.entities is None or kind.entity in wanted.entities)
            and (wanted.located is None or kind.entity in self._located)
            and (
                wanted.scripts is None
                or not wanted.scripts.isdisjoint((kind.script_id, kind.script_name))
            )
        )

    def _ended_so(self, kind: EndKind) -> bool:
        wanted = self._wanted
        return (
            (wanted.statuses is None or kind.status in wanted.statuses)
            and (wanted.vendor_codes is None or kind.vendor_code in wanted.vendor_codes)
            and (wanted.verdicts is None or kind.verdict in self._verdicts)
        )

    def _within(self, uncounted: _Uncounted) -> _Uncounted:
        """Return those that are wanted and whose hour is at least in part within the time."""
        found = []
        for kind, second, tally in uncounted:
            hour = periods_of(second)[Level.HOUR]
            if hour.ends > self._begins and hour.begins < self._ends and self._is_wanted(kind):
                found.append((kind, second, tally))
        return found

    def _counted(self, periods: list[Period]) -> Moments:
        """Return the time that was asked for, widened to whole hours and what is counted."""
        begins = min((period.begins for period in periods), default=math.inf)
        ends = max((period.ends for period in periods), default=-math.inf)
        return Moments(
            after=(
                _moment(min(self._begins // HOUR_SEC * HOUR_SEC, begins))
                if self._wanted.completed.after
                else None
            ),
            before=(
                _moment(max(-(-self._ends // HOUR_SEC) * HOUR_SEC, ends))
                if self._wanted.completed.before
                else None
            ),
        )


def _of_scripts(
    connection: sqlite3.Connection, scripts: Iterable[ScriptOfEntity], scope: Scope
) -> Mapping[ScriptOfEntity, ScriptRecord]:
    script_of = {
        kind_id: script
        for script in scripts
        for kind_id, kind in read_kinds_of_script(connection, *script)
        if is_within(scope, kind)
    }
    ended = dict.fromkeys(scripts, NOTHING)
    nodes = [(node, 0) for node, _ in periods_within(connection, Level.YEAR, -math.inf, math.inf)]
    for kind_id, tally in tallies(connection, nodes, [*script_of]):
        ended[script_of[kind_id]] += tally
    for kind, _, tally in _read_uncounted(connection):
        if kind.script in ended and is_within(scope, kind):
            ended[kind.script] += tally
    return {
        script: ScriptRecord(last=_last(connection, script, scope), ended=ended[script])
        for script in ended
    }


def _last(
    connection: sqlite3.Connection, script: ScriptOfEntity, scope: Scope
) -> LastExecution | None:
    within, globs = scope_sql(scope)
    row = connection.execute(
        f"""
        SELECT
            status,
            json_extract(document, '$.verdict'),
            created_at,
            json_extract(document, '$.completed_at')
        FROM postings CROSS JOIN executions USING (number)
        WHERE term = (SELECT term FROM terms WHERE field = ? AND value = ?) AND NOT scheduled
            AND {is_no_schedule('', REASON)} AND {within}
        ORDER BY number DESC LIMIT 1
        """,
        (*script_of_entity(script.entity, script.script_id), *globs),
    ).fetchone()
    if row is None:
        return None
    status, verdict, created_at, completed_at = row
    return LastExecution(
        status=ExecutionStatus(status),
        verdict=verdict,
        created_at=datetime.datetime.fromisoformat(created_at),
        completed_at=(
            None if completed_at is None else datetime.datetime.fromisoformat(completed_at)
        ),
    )


def _read_uncounted(connection: sqlite3.Connection) -> _Uncounted:
    rows = connection.execute(
        """
        SELECT ended_at, duration_ms,
            status, vendor_code, verdict, entity, script_id, script_name
        FROM uncounted_ends ORDER BY place
        """
    )
    return [
        (EndKind(ExecutionStatus(status), *key), ended_at, _tally(duration_ms))
        for ended_at, duration_ms, status, *key in rows
    ]


def _tally(duration_ms: int | None) -> Tally:
    took = () if duration_ms is None else (duration_ms,)
    return Tally(executions=1, durations=Durations.of(*took))


def _point(begins: int, statuses: Mapping[ExecutionStatus, Tally]) -> Point:
    return Point(
        begins=_moment(begins),
        statuses={status: tally.executions for status, tally in statuses.items()},
        durations=sum(statuses.values(), NOTHING).durations,
    )


def _second(moment: datetime.datetime | None, default: float) -> float:
    return default if moment is None else moment.timestamp()


def _moment(second: float) -> datetime.datetime:
    # The last hour, day and year that there are end at a moment that Python has not.
    if second >= _LATEST.timestamp():
        return _LATEST
    return datetime.datetime.fromtimestamp(second, datetime.UTC)
