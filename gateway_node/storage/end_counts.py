# SPDX-License-Identifier: Apache-2.0
"""Counting the ends that were noted, in SQL, and keeping what is counted within bounds.

The triggers of `statistics_schema.py` note an end in the commit that records it.
"""

from collections import defaultdict
from collections.abc import Sequence
import sqlite3
from typing import Any, NamedTuple

from gateway_node.executions.durations import (
    Durations,
    histogram_from_bytes,
    histogram_to_bytes,
)
from gateway_node.executions.statistics import MAX_POINTS
from gateway_node.storage.periods import HOUR_SEC, Level, Period, periods_of

MAX_UNCOUNTED = 32
"""Ends that are noted and not counted yet; counting so many takes some 2 ms."""
MAX_KINDS = 10_000
"""Kinds of ends, of all scripts and entities; more than a robot with a thousand scripts has."""
MAX_PERIODS = MAX_POINTS
"""Of each level, in which something ended."""
MAX_COUNTS = 300_000
"""Of each level: 60 bytes of disk each."""
_AT_ONCE = 10_000
"""Ends that are counted in one go where many were noted, as by a migration."""


class _Kind(NamedTuple):
    """A row of `end_kinds`, its id and `newest` aside."""

    status: str
    vendor_code: str | None
    verdict: str | None
    entity: str | None = None
    script_id: str | None = None
    script_name: str | None = None


def count_ends(connection: sqlite3.Connection) -> None:
    """Count the ends that were noted, once they are so many that it is worth a commit."""
    (noted,) = connection.execute('SELECT count(*) FROM uncounted_ends').fetchone()
    if noted >= MAX_UNCOUNTED:
        count_all_ends(connection)


def count_all_ends(connection: sqlite3.Connection) -> None:
    """Count every end that was noted."""
    connection.create_function('merged', 2, _merged, deterministic=True)
    query = """
        SELECT place, number, ended_at, duration_ms,
            status, vendor_code, verdict, entity, script_id, script_name
        FROM uncounted_ends ORDER BY place LIMIT ?
    """
    while rows := connection.execute(query, (_AT_ONCE,)).fetchall():
        _count(connection, rows)
        connection.execute('DELETE FROM uncounted_ends WHERE place <= ?', (rows[-1][0],))
        _keep_within_bounds(connection)


def _count(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Add the ends that the rows tell to what is counted already."""
    # Of each kind and each hour the newest number: the rows are in the order of the ends.
    kinds = {_Kind(*key): number for _, number, _, _, *key in rows}
    alike = {kind: _Kind(kind.status, kind.vendor_code, kind.verdict) for kind in kinds}
    kind_ids = {
        kind: _kind_id(connection, kind, number)
        for kind, number in {**{alike[kind]: kinds[kind] for kind in kinds}, **kinds}.items()
    }
    hours = {ended_at // HOUR_SEC: number for _, number, ended_at, *_ in rows}
    newest = {
        period: number for hour, number in hours.items() for period in periods_of(hour * HOUR_SEC)
    }
    period_ids = {
        period: _period_id(connection, period, number) for period, number in newest.items()
    }
    ids_of_hour = {
        hour: [period_ids[period] for period in periods_of(hour * HOUR_SEC)] for hour in hours
    }
    ids_of_kind = {kind: (kind_ids[kind], kind_ids[alike[kind]]) for kind in kinds}
    ended: defaultdict[tuple[int, int], list[int | None]] = defaultdict(list)
    for _, _, ended_at, duration_ms, *key in rows:
        for kind_id in ids_of_kind[_Kind(*key)]:
            for period_id in ids_of_hour[ended_at // HOUR_SEC]:
                ended[period_id, kind_id].append(duration_ms)
    connection.executemany(
        """
        INSERT INTO end_counts VALUES (?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (period, kind) DO UPDATE SET
            executions = executions + excluded.executions,
            measured = measured + excluded.measured,
            total_ms = total_ms + excluded.total_ms,
            min_ms = coalesce(min(min_ms, excluded.min_ms), min_ms, excluded.min_ms),
            max_ms = coalesce(max(max_ms, excluded.max_ms), max_ms, excluded.max_ms),
            histogram = merged(histogram, excluded.histogram)
        """,
        ((*ids, *_row_of(each)) for ids, each in ended.items()),
    )
    connection.executemany(
        """
        UPDATE counted_periods
        SET counts = (SELECT count(*) FROM end_counts WHERE period = id) WHERE id = ?
        """,
        ((period_id,) for period_id in period_ids.values()),
    )


def _row_of(durations_ms: list[int | None]) -> tuple[object, ...]:
    durations = Durations.of(*(each for each in durations_ms if each is not None))
    return (
        len(durations_ms),
        durations.count,
        durations.total_ms,
        durations.min_ms,
        durations.max_ms,
        histogram_to_bytes(durations.histogram),
    )


def _merged(one: bytes, other: bytes) -> bytes:
    return histogram_to_bytes(histogram_from_bytes(one) + histogram_from_bytes(other))


def _kind_id(connection: sqlite3.Connection, kind: _Kind, number: int) -> int:
    found = connection.execute(
        """
        SELECT id FROM end_kinds
        WHERE script_id IS ? AND entity IS ? AND script_name IS ?
            AND status = ? AND vendor_code IS ? AND verdict IS ?
        """,
        (
            kind.script_id,
            kind.entity,
            kind.script_name,
            kind.status,
            kind.vendor_code,
            kind.verdict,
        ),
    ).fetchone()
    if found is not None:
        kind_id: int = found[0]
        connection.execute('UPDATE end_kinds SET newest = ? WHERE id = ?', (number, kind_id))
        return kind_id
    return _added(
        connection,
        'INSERT INTO end_kinds VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)',
        (*kind, number),
    )


def _period_id(connection: sqlite3.Connection, period: Period, number: int) -> int:
    query = 'SELECT id FROM counted_periods WHERE level = ? AND begins = ?'
    found = connection.execute(query, (period.level, period.begins)).fetchone()
    if found is not None:
        period_id: int = found[0]
        change = 'UPDATE counted_periods SET newest = ? WHERE id = ?'
        connection.execute(change, (number, period_id))
        return period_id
    return _added(
        connection,
        'INSERT INTO counted_periods VALUES (NULL, ?, ?, ?, 0, ?, 0)',
        (*period, number),
    )


def _added(connection: sqlite3.Connection, insert: str, values: tuple[object, ...]) -> int:
    row_id = connection.execute(insert, values).lastrowid
    assert row_id is not None
    return row_id


def _keep_within_bounds(connection: sqlite3.Connection) -> None:
    """Forget what was counted longest ago: the clock's years say nothing of that."""
    (kinds,) = connection.execute('SELECT count(*) FROM end_kinds').fetchone()
    if kinds > MAX_KINDS:
        # Some more, for all counts have to be looked at.
        _forget_kinds(connection, kinds - MAX_KINDS * 9 // 10)
    for level in Level:
        periods, counts = connection.execute(
            'SELECT count(*), total(counts) FROM counted_periods WHERE level = ?', (level,)
        ).fetchone()
        if periods > MAX_PERIODS or counts > MAX_COUNTS:
            _forget_periods(connection, level, periods - MAX_PERIODS, counts - MAX_COUNTS)


def _forget_kinds(connection: sqlite3.Connection, surplus: int) -> None:
    """Count the ends of some scripts with all others only."""
    forgotten = """
        SELECT id FROM end_kinds WHERE script_id IS NOT NULL ORDER BY newest LIMIT ?
    """
    connection.execute(f'DELETE FROM end_counts WHERE kind IN ({forgotten})', (surplus,))
    connection.execute(f'DELETE FROM end_kinds WHERE id IN ({forgotten})', (surplus,))
    connection.execute(
        'UPDATE counted_periods'
        ' SET counts = (SELECT count(*) FROM end_counts WHERE period = counted_periods.id)'
    )


def _forget_periods(
    connection: sqlite3.Connection, level: Level, surplus: int, surplus_counts: float
) -> None:
    """Count the ends of some periods of a level with what these lie in only."""
    periods = connection.execute(
        'SELECT id, begins, counts FROM counted_periods WHERE level = ? ORDER BY newest, begins',
        (level,),
    ).fetchall()
    for period_id, begins, counts in periods[:-1]:
        if surplus <= 0 and surplus_counts <= 0:
            return
        surplus -= 1
        surplus_counts -= counts
        connection.execute('DELETE FROM end_counts WHERE period = ?', (period_id,))
        connection.execute('DELETE FROM counted_periods WHERE id = ?', (period_id,))
        connection.execute(
            """
            UPDATE counted_periods SET parts_gone = 1
            WHERE level = ? AND begins = (
                SELECT max(begins) FROM counted_periods WHERE level = ? AND begins <= ?
            )
            """,
            (level - 1, level - 1, begins),
        )
