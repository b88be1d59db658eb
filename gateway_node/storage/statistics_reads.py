# SPDX-License-Identifier: Apache-2.0
"""Reading what was counted of ends, in SQL."""

from collections.abc import Iterator, Sequence
import json
import sqlite3

from gateway_node.executions.durations import (
    Durations,
    histogram_from_bytes,
    histogram_to_bytes,
)
from gateway_node.executions.statistics import EndKind, Tally
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.periods import Level, Period

KindIds = dict[EndKind, int]
Nodes = Sequence[tuple[int, int]]
"""Ids of periods, each with the second at which the point begins for which it counts."""

_FEW = 50
"""Kinds that are looked up one by one in each period; more of them are picked from all there."""


def read_kinds(connection: sqlite3.Connection, *, by_script: bool) -> KindIds:
    """Return the kinds of ends that are counted, with entity and script or without, in the order
    in which they came up."""
    query = f"""
        SELECT id, status, vendor_code, verdict, coalesce(entity, ''), coalesce(script_id, ''),
            script_name
        FROM end_kinds WHERE script_id IS {'NOT ' if by_script else ''}NULL ORDER BY id
    """
    return {
        EndKind(ExecutionStatus(status), *rest): kind_id
        for kind_id, status, *rest in connection.execute(query)
    }


def read_kinds_of_script(
    connection: sqlite3.Connection, entity: str, script_id: str
) -> list[tuple[int, EndKind]]:
    """Return the kinds of one script, each with its id."""
    query = """
        SELECT id, status, vendor_code, verdict, script_name
        FROM end_kinds WHERE script_id = ? AND entity = ?
    """
    return [
        (
            kind_id,
            EndKind(ExecutionStatus(status), vendor_code, verdict, entity, script_id, script_name),
        )
        for kind_id, status, vendor_code, verdict, script_name in connection.execute(
            query, (script_id, entity)
        )
    ]


def periods_within(
    connection: sqlite3.Connection, level: Level, begins: float, ends: float
) -> Iterator[tuple[int, Period]]:
    """Yield the fewest periods, of a level or below it, that make up a part of time.

    Where it cuts an hour, or a period whose parts are gone, that is among them as a whole.
    """
    query = """
        SELECT id, begins, ends, parts_gone FROM counted_periods
        WHERE level = ? AND ends > ? AND begins < ? ORDER BY begins
    """
    found = connection.execute(query, (level, begins, ends)).fetchall()
    for period_id, period_begins, period_ends, parts_gone in found:
        whole = begins <= period_begins and period_ends <= ends
        if whole or parts_gone or level is Level.HOUR:
            yield period_id, Period(level, period_begins, period_ends)
        else:
            yield from periods_within(
                connection,
                Level(level + 1),
                max(begins, period_begins),
                min(ends, period_ends),
            )


def tallies(
    connection: sqlite3.Connection, nodes: Nodes, kind_ids: Sequence[int]
) -> Iterator[tuple[int, Tally]]:
    """Yield what ended of each kind in all of these periods together."""
    rows = _sums(connection, 'kind', _TALLIED, nodes, kind_ids)
    for kind_id, *sums in rows:
        yield kind_id, _tally(*sums)


def counts(
    connection: sqlite3.Connection, nodes: Nodes, kind_ids: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """Yield how many ended of each kind, as `tallies` does for a multiple of the time."""
    yield from _sums(connection, 'kind', 'sum(executions)', nodes, kind_ids)


def tallies_of_points(
    connection: sqlite3.Connection, nodes: Nodes, kind_ids: Sequence[int]
) -> Iterator[tuple[int, ExecutionStatus, Tally]]:
    """Yield what ended with each status, point by point."""
    rows = _sums(connection, 'point, status', _TALLIED, nodes, kind_ids)
    for point, status, *sums in rows:
        yield point, ExecutionStatus(status), _tally(*sums)


_TALLIED = """
    sum(executions), sum(measured), sum(total_ms), min(min_ms), max(max_ms), merged_all(histogram)
"""


def _sums(
    connection: sqlite3.Connection, by: str, sums: str, nodes: Nodes, kind_ids: Sequence[int]
) -> sqlite3.Cursor:
    connection.create_aggregate('merged_all', 1, _Merged)  # type: ignore[arg-type]
    # The plus keeps SQLite from looking up each kind in each period.
    kind = 'kind' if len(kind_ids) <= _FEW else '+kind'
    query = f"""
        SELECT {by}, {sums}
        FROM (
            SELECT json_extract(value, '$[0]') AS node, json_extract(value, '$[1]') AS point
            FROM json_each(?)
        )
        CROSS JOIN end_counts ON end_counts.period = node
        CROSS JOIN end_kinds ON end_kinds.id = kind
        WHERE {kind} IN (SELECT value FROM json_each(?))
        GROUP BY {by}
    """
    return connection.execute(query, (json.dumps(nodes), json.dumps(kind_ids)))


def _tally(
    executions: int,
    measured: int,
    total_ms: int,
    min_ms: int | None,
    max_ms: int | None,
    histogram: bytes,
) -> Tally:
    return Tally(
        executions=executions,
        durations=Durations(
            count=measured,
            total_ms=total_ms,
            min_ms=min_ms,
            max_ms=max_ms,
            histogram=histogram_from_bytes(histogram),
        ),
    )


class _Merged:
    """All histograms of a group, as an aggregate of SQL."""

    def __init__(self) -> None:
        self._histogram = 0

    def step(self, stored: bytes) -> None:
        self._histogram += histogram_from_bytes(stored)

    def finalize(self) -> bytes:
        return histogram_to_bytes(self._histogram)
