# SPDX-License-Identifier: Apache-2.0
"""What statistics of a long history cost, where they are counted."""

import asyncio
from collections.abc import AsyncIterator, Iterator
import contextlib
from pathlib import Path
import time

from made_up_history import BEGINS, LASTS, MadeUpHistory

from bench.figures import at_most, interleaved_on_loop, Line, ratio
from bench.histories import FEW, MANY, state_with
from gateway_node.executions.filters import ExecutionFilter, Moments
from gateway_node.executions.statistics import Interval, ScriptOfEntity
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.end_statistics import SqliteEndCounts

TIMES = 7
GOAL_MS = 100.0
_MONTH = Moments(after=BEGINS + LASTS / 2, before=BEGINS + LASTS / 2 + LASTS / 24)
_WANTED = {
    'all': ExecutionFilter(),
    'failed': ExecutionFilter(statuses=frozenset({ExecutionStatus.FAILED})),
    'one script': ExecutionFilter(scripts=frozenset({'managed_0'})),
    'entities of a pattern': ExecutionFilter(entities=frozenset({'apps/*'})),
    'a month': ExecutionFilter(completed=_MONTH),
}
_BY_TIME = {
    'all, by day': (ExecutionFilter(), Interval.DAY),
    'a month of one entity, by hour': (
        ExecutionFilter(entities=frozenset({'apps/app_00'}), completed=_MONTH),
        Interval.HOUR,
    ),
}


def statistics_cost(folder: Path) -> Iterator[Line]:
    """Totals, points of charts, and what each script last did."""
    yield from asyncio.run(_statistics_cost(folder.parent))


async def _statistics_cost(folder: Path) -> list[Line]:
    asked = {figure: (wanted, None) for figure, wanted in _WANTED.items()} | _BY_TIME
    async with _counts_in(folder, FEW) as few, _counts_in(folder, MANY) as many:
        return [
            *[await _line(few, many, figure, *each) for figure, each in asked.items()],
            await _line_of_scripts(few, many),
        ]


@contextlib.asynccontextmanager
async def _counts_in(folder: Path, length: int) -> AsyncIterator[SqliteEndCounts]:
    database = await Database.open(state_with(folder, length))
    try:
        yield SqliteEndCounts(database)
    finally:
        await database.close()


async def _line(
    few: SqliteEndCounts,
    many: SqliteEndCounts,
    figure: str,
    wanted: ExecutionFilter,
    interval: Interval | None,
) -> Line:
    async def ask(counts: SqliteEndCounts) -> float:
        begun = time.perf_counter()
        await counts.ended(wanted, interval)
        return (time.perf_counter() - begun) * 1000

    of_few, of_many = await interleaved_on_loop(TIMES, lambda: ask(few), lambda: ask(many))
    return Line(
        figure=figure,
        series=of_many,
        ratio=ratio(of_many, of_few),
        goal=at_most(GOAL_MS, min(of_many.values), 'the least', 'ms'),
    )


async def _line_of_scripts(few: SqliteEndCounts, many: SqliteEndCounts) -> Line:
    scripts = {
        ScriptOfEntity(each.entity.path, each.script_id) for each in MadeUpHistory(1).scripts
    }

    async def ask(counts: SqliteEndCounts) -> float:
        begun = time.perf_counter()
        await counts.of_scripts(scripts)
        return (time.perf_counter() - begun) * 1000

    of_few, of_many = await interleaved_on_loop(TIMES, lambda: ask(few), lambda: ask(many))
    return Line(
        figure=f'what each of {len(scripts)} scripts last did',
        series=of_many,
        ratio=ratio(of_many, of_few),
        goal=at_most(GOAL_MS, min(of_many.values), 'the least', 'ms'),
    )
