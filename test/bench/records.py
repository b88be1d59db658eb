"""What the durable record costs: on a start, and when a long list is read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
import contextlib
import datetime
import functools
import json
import os
from pathlib import Path
import time

from bench.figures import at_most, Line, Series, turns
from gateway_node.entities.clock import SystemClock
from gateway_node.executions.ports import Change, ExecutionStore
from gateway_node.executions.values import Execution, ExecutionStatus, ResourceUse
from gateway_node.storage.database import Database
from gateway_node.storage.executions import SqliteExecutionStore
from gateway_node.storage.records import from_document, to_document
from gateway_node.testing import AN_APP, InMemoryExecutionStore, new_execution

RECORDS = 300
RECORD_GOAL_MS = 1.0
BLOCK = b'\0' * 4096
PAGES = 100
PAGE = 100
"""The API's default."""
PAGE_GOAL_MS = 2.0
APART_GOAL = 1.5
BATCH = 10_000

Measure = Callable[[], Awaitable[float]]


def record_cost(folder: Path) -> Iterator[Line]:
    """One new execution recorded, against memory and against one append and fsync of 4 KiB."""
    yield from asyncio.run(_record_cost(folder))


def page_cost(folder: Path) -> Iterator[Line]:
    """Pages of lists of ten and of a hundred thousand executions."""
    yield from asyncio.run(_page_cost(folder, 10_000, 100_000))


def page_cost_of_a_million(folder: Path) -> Iterator[Line]:
    """Pages of lists of a hundred thousand and of a million executions."""
    yield from asyncio.run(_page_cost(folder, 100_000, 1_000_000))


async def _record_cost(folder: Path) -> list[Line]:
    clock = SystemClock()
    descriptor = os.open(folder / 'appended', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    numbers = iter(range(1_000_000))
    async with _store_in(folder) as store:
        memory = InMemoryExecutionStore(clock)
        on_disk, in_memory, appended = await _interleaved(
            RECORDS,
            functools.partial(_record, store, numbers),
            functools.partial(_record, memory, numbers),
            functools.partial(_append, descriptor),
        )
    os.close(descriptor)
    cost = on_disk.median - in_memory.median
    return [
        Line(
            figure='store.record, SQLite',
            series=on_disk,
            ratio=on_disk.median / appended.median,
            goal=at_most(RECORD_GOAL_MS, cost, 'more than in memory', 'ms'),
        ),
        Line(figure='append and fsync of 4 KiB', series=appended),
        Line(figure='store.record, in memory', series=in_memory),
    ]


async def _page_cost(folder: Path, few: int, many: int) -> list[Line]:
    for name in ('few', 'many'):
        os.mkdir(folder / name)
    async with _store_in(folder / 'few') as small, _store_in(folder / 'many') as large:
        await _fill(small, few)
        await _fill(large, many)
        of_small, of_large, deep = await _interleaved(
            PAGES,
            functools.partial(_page, small, None),
            functools.partial(_page, large, None),
            functools.partial(_page, large, _execution(many // 2).id),
        )
        page = await large.page(AN_APP, 'self_test', limit=PAGE)
    documents = [to_document(each) for each in page.executions]
    loading, decoding = await _interleaved(
        PAGES,
        functools.partial(_each, documents, json.loads),
        functools.partial(_each, documents, from_document),
    )
    apart = max(of_large.median, deep.median) / of_small.median
    return [
        Line(
            figure=f'newest {PAGE} of {many:,}',
            series=of_large,
            ratio=of_large.median / of_small.median,
            goal=at_most(PAGE_GOAL_MS, of_large.median, 'the median', 'ms'),
        ),
        Line(
            figure=f'{PAGE} from the middle of {many:,}',
            series=deep,
            ratio=deep.median / of_small.median,
            goal=at_most(APART_GOAL, apart, 'times apart'),
        ),
        Line(figure=f'newest {PAGE} of {few:,}', series=of_small),
        Line(
            figure=f'of that, decoding {PAGE} documents',
            series=decoding,
            ratio=decoding.median / of_large.median,
        ),
        Line(
            figure='of that, json.loads',
            series=loading,
            ratio=loading.median / of_large.median,
        ),
    ]


@contextlib.asynccontextmanager
async def _store_in(folder: Path) -> AsyncIterator[SqliteExecutionStore]:
    store = await SqliteExecutionStore.open(await Database.open(folder), SystemClock())
    try:
        yield store
    finally:
        await store.close()


async def _interleaved(count: int, *measures: Measure) -> list[Series]:
    """As `figures.interleaved`, on the event loop."""
    values: list[list[float]] = [[] for _ in measures]
    for measure in measures:
        await measure()
    for position in turns(count, len(measures)):
        values[position].append(await measures[position]())
    return [Series(values=each) for each in values]


async def _record(store: ExecutionStore, numbers: Iterator[int]) -> float:
    change = Change(execution=new_execution(next(numbers)), cause='accepted', new=True)
    begun = time.perf_counter()
    await store.record([change])
    return (time.perf_counter() - begun) * 1000


async def _append(descriptor: int) -> float:
    begun = time.perf_counter()
    os.write(descriptor, BLOCK)
    os.fsync(descriptor)
    return (time.perf_counter() - begun) * 1000


async def _page(store: ExecutionStore, before: str | None) -> float:
    begun = time.perf_counter()
    page = await store.page(AN_APP, 'self_test', limit=PAGE, before=before)
    total = (time.perf_counter() - begun) * 1000
    if len(page.executions) != PAGE:
        raise RuntimeError(f'a page has {len(page.executions)} executions')
    return total


async def _each(documents: Sequence[str], read: Callable[[str], object]) -> float:
    begun = time.perf_counter()
    for document in documents:
        read(document)
    return (time.perf_counter() - begun) * 1000


async def _fill(store: ExecutionStore, count: int) -> None:
    """Record ended executions of one script, a transaction for each batch."""
    for first in range(0, count, BATCH):
        await store.record(
            [
                Change(execution=_execution(number), cause='exited', new=True)
                for number in range(first, min(first + BATCH, count))
            ]
        )


def _execution(number: int) -> Execution:
    began = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    began += datetime.timedelta(seconds=number)
    return new_execution(
        number,
        status=ExecutionStatus.COMPLETED,
        input_parameters={'depth': 3, 'sensor': 'front_left'},
        created_at=began,
        started_at=began,
        completed_at=began,
        duration_ms=1234,
        exit_code=0,
        leftover_processes=0,
        resource_use=ResourceUse(max_memory_bytes=12_345_678, cpu_sec=0.123),
        output_parameters={'stdout': 'line of output\n' * 20, 'stderr': '', 'exit_code': 0},
    )
