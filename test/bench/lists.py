# SPDX-License-Identifier: Apache-2.0
"""What pages of filtered lists cost in the database, and which index leads to them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
import contextlib
import functools
from pathlib import Path
import time

from made_up_history import SCHEDULES

from bench.figures import at_most, interleaved_on_loop, Line, ratio
from bench.filters import COMBINED, COMMON, RARE, Wanted
from bench.histories import FEW, MANY, state_with
from bench.timed_database import TimedDatabase
from gateway_node.clock import SystemClock
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage, NumberedPage, Order
from gateway_node.storage.execution_store import SqliteExecutionStore

TIMES = 9
PAGE = 100
"""The API's default."""
PAGE_GOAL_MS = 2.0
BOUNDED_GOAL_MS = 500.0
"""For the whole of a request that looks at as many rows as one may: others wait for it."""


class FilledStore:
    """A store with a history, and what its pages cost."""

    def __init__(self, database: TimedDatabase, store: SqliteExecutionStore) -> None:
        self._database = database
        self._store = store
        self.middle = ''
        """The id of the execution in the middle."""
        self.schedules: tuple[str, ...] = ()
        """Ids of the executions at the beginning."""

    async def open(self) -> None:
        """Look at what is there."""
        page = await self._store.find(ExecutionFilter(), KeysetPage(limit=SCHEDULES))
        self.schedules = tuple(each.id for each in reversed(page.executions))
        length = sum((await self._store.counts()).values())
        query = f'SELECT id FROM executions ORDER BY id LIMIT 1 OFFSET {length // 2}'
        (self.middle,) = await self._database.read(
            lambda connection: connection.execute(query).fetchone()
        )

    async def describe(self, wanted: ExecutionFilter, page: KeysetPage) -> str:
        """Return how many a page has, and by which indexes."""
        found = await self._store.find(wanted, page)
        return f'{len(found.executions)} by {", ".join(await self._database.indexes())}'

    async def in_database(self, wanted: ExecutionFilter, page: KeysetPage) -> float:
        """Return the milliseconds that the database's part of a page takes."""
        await self._store.find(wanted, page)
        return self._database.took_ms

    async def whole(self, wanted: ExecutionFilter, page: KeysetPage) -> float:
        """Return the milliseconds that all of a page takes."""
        begun = time.perf_counter()
        await self._store.find(wanted, page)
        return (time.perf_counter() - begun) * 1000

    async def numbered(self, wanted: ExecutionFilter, page: NumberedPage) -> float:
        """Return the milliseconds that all of a numbered page takes."""
        begun = time.perf_counter()
        await self._store.find_numbered(wanted, page)
        return (time.perf_counter() - begun) * 1000


def list_cost(folder: Path) -> Iterator[Line]:
    """First and middle pages under each filter, of a million and of a hundred thousand."""
    yield from asyncio.run(_list_cost(folder))


@contextlib.asynccontextmanager
async def filled_store(folder: Path, length: int) -> AsyncIterator[FilledStore]:
    """Open the store of a long history."""
    database = await TimedDatabase.open(state_with(folder, length))
    store = await SqliteExecutionStore.open(database, SystemClock())
    try:
        filled = FilledStore(database, store)
        await filled.open()
        yield filled
    finally:
        await store.close()


async def _list_cost(folder: Path) -> list[Line]:
    async with (
        filled_store(folder.parent, FEW) as few,
        filled_store(folder.parent, MANY) as many,
    ):
        lines = [
            await _indexed(few, many, figure, wanted, place)
            for figure, wanted in COMMON.items()
            for place in _PLACES
        ]
        for figure, wanted in RARE.items():
            lines.append(await _indexed(few, many, figure, wanted, 'first'))
        for figure, wanted in COMBINED.items():
            lines.append(await _bounded(few, many, figure, wanted))
        for figure, (wanted, page) in _NUMBERED.items():
            lines.append(await _numbered(few, many, figure, wanted, page))
    return lines


async def _indexed(
    few: FilledStore, many: FilledStore, figure: str, wanted: Wanted, place: str
) -> Line:
    of_few, of_many = await interleaved_on_loop(
        TIMES,
        *(
            functools.partial(each.in_database, wanted(each.schedules), _PLACES[place](each))
            for each in (few, many)
        ),
    )
    described = await many.describe(wanted(many.schedules), _PLACES[place](many))
    return Line(
        figure=f'{figure}: {place} {described}',
        series=of_many,
        ratio=ratio(of_many, of_few),
        # What others do on the machine only ever adds.
        goal=at_most(PAGE_GOAL_MS, min(of_many.values), 'the least', 'ms'),
    )


async def _bounded(few: FilledStore, many: FilledStore, figure: str, wanted: Wanted) -> Line:
    page = KeysetPage(limit=-PAGE)
    of_few, of_many = await interleaved_on_loop(
        TIMES,
        *(functools.partial(each.whole, wanted(each.schedules), page) for each in (few, many)),
    )
    return Line(
        figure=f'{figure}: {await many.describe(wanted(many.schedules), page)}, all of it',
        series=of_many,
        ratio=ratio(of_many, of_few),
        goal=at_most(BOUNDED_GOAL_MS, min(of_many.values), 'the least', 'ms'),
    )


async def _numbered(
    few: FilledStore, many: FilledStore, figure: str, wanted: Wanted, page: NumberedPage
) -> Line:
    of_few, of_many = await interleaved_on_loop(
        TIMES,
        *(functools.partial(each.numbered, wanted(each.schedules), page) for each in (few, many)),
    )
    return Line(
        figure=f'{figure}, with the total, all of it',
        series=of_many,
        ratio=ratio(of_many, of_few),
        goal=at_most(BOUNDED_GOAL_MS, min(of_many.values), 'the least', 'ms'),
    )


_PLACES: Mapping[str, Callable[[FilledStore], KeysetPage]] = {
    'first': lambda store: KeysetPage(limit=-PAGE),
    'middle': lambda store: KeysetPage(limit=-PAGE, reference=store.middle),
    'upwards': lambda store: KeysetPage(limit=PAGE, reference=store.middle),
}
_NUMBERED: Mapping[str, tuple[Wanted, NumberedPage]] = {
    f'{figure}: page {number}, by {order.value}': (
        wanted,
        NumberedPage(number=number, size=20, order=order),
    )
    for figure, wanted in {
        'none': COMMON['none'],
        'status=completed': COMMON['status=completed'],
        'tag, three': COMMON['tag, three'],
        'status=failed and tag': COMBINED['status=failed and tag'],
    }.items()
    for number, order in ((1, Order.ID), (2000, Order.ID), (1, Order.DURATION))
}
