# SPDX-License-Identifier: Apache-2.0
"""What the durable record costs: on a start, and when a long list is read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
import contextlib
from dataclasses import replace
import datetime
import functools
import itertools
import json
import os
from pathlib import Path
import time

from fakes import AN_APP, InMemoryExecutionStore, new_execution

from bench.figures import at_most, interleaved_on_loop, Line, ratio, surplus
from gateway_node.clock import SystemClock
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.document_reading import executions_from
from gateway_node.executions.documents import to_document
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution, ExecutionStatus, ResourceUse
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

RECORDS = 300
RECORD_GOAL_MS = 1.0
BLOCK = b'\0' * 4096
PAGES = 200
RESULT_PAGES = 20
PAGE = 100
"""The API's default."""
LONG_PAGE = 1000
PAGE_GOAL_MS = 2.0
APART_GOAL = 1.5
BATCH = 10_000
GIVES_RESULTS = 'gives_results'
RESULT_BYTES = 64 * 1024
"""Of the 1 MiB that a result may have."""
OF_SCRIPT = ExecutionFilter(entity=AN_APP, script_id='self_test')


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
        on_disk, in_memory, appended = await interleaved_on_loop(
            RECORDS,
            functools.partial(_record, store, numbers),
            functools.partial(_record, memory, numbers),
            functools.partial(_append, descriptor),
        )
    os.close(descriptor)
    return [
        Line(
            figure='store.record, SQLite',
            series=on_disk,
            ratio=ratio(on_disk, appended),
            goal=at_most(RECORD_GOAL_MS, surplus(on_disk, in_memory), 'more than in memory', 'ms'),
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
        await _fill_with_results(large, many)
        page = await large.find(OF_SCRIPT, KeysetPage(limit=-PAGE))
        documents = [to_document(each) for each in page.executions]
        of_small, of_large, deep, decoding, loading = await interleaved_on_loop(
            PAGES,
            functools.partial(_page, small),
            functools.partial(_page, large),
            functools.partial(_page, large, before=_execution(many // 2).id),
            functools.partial(_timed, functools.partial(executions_from, documents)),
            functools.partial(_timed, functools.partial(json.loads, f'[{",".join(documents)}]')),
        )
        # Apart: what they leave to the garbage collector would slow down the others.
        of_results, beside = await interleaved_on_loop(
            RESULT_PAGES,
            functools.partial(_page, large, script_id=GIVES_RESULTS),
            functools.partial(_page, large),
        )
        numbers = itertools.count(2 * many)
        alone, beside_list = await interleaved_on_loop(
            PAGES,
            functools.partial(_record, large, numbers),
            functools.partial(_record_beside_a_list, large, numbers),
        )
    apart = max(ratio(of_large, of_small), ratio(deep, of_small))
    return [
        Line(
            figure=f'newest {PAGE} of {many:,}',
            series=of_large,
            ratio=ratio(of_large, of_small),
            goal=at_most(PAGE_GOAL_MS, of_large.median, 'the median', 'ms'),
        ),
        Line(
            figure=f'{PAGE} from the middle of {many:,}',
            series=deep,
            ratio=ratio(deep, of_small),
            goal=at_most(APART_GOAL, apart, 'times apart'),
        ),
        Line(figure=f'newest {PAGE} of {few:,}', series=of_small),
        Line(
            figure=f'{PAGE} with results of 64 KiB, which a list leaves out',
            series=of_results,
            ratio=ratio(of_results, beside),
        ),
        Line(
            figure=f'store.record while {LONG_PAGE:,} are read',
            series=beside_list,
            ratio=ratio(beside_list, alone),
        ),
        Line(
            figure=f'of the newest {PAGE}, decoding',
            series=decoding,
            ratio=ratio(decoding, of_large),
        ),
        Line(figure='of that, json.loads', series=loading, ratio=ratio(loading, of_large)),
    ]


@contextlib.asynccontextmanager
async def _store_in(folder: Path) -> AsyncIterator[SqliteExecutionStore]:
    store = await SqliteExecutionStore.open(await Database.open(folder), SystemClock())
    try:
        yield store
    finally:
        await store.close()


async def _record(store: ExecutionStore, numbers: Iterator[int]) -> float:
    change = Change.first(new_execution(next(numbers)), GATEWAY)
    begun = time.perf_counter()
    await store.record([change])
    return (time.perf_counter() - begun) * 1000


async def _record_beside_a_list(store: ExecutionStore, numbers: Iterator[int]) -> float:
    reading = asyncio.create_task(store.find(OF_SCRIPT, KeysetPage(limit=-LONG_PAGE)))
    # It is on its way to the reading thread after this.
    await asyncio.sleep(0)
    took = await _record(store, numbers)
    await reading
    return took


async def _append(descriptor: int) -> float:
    begun = time.perf_counter()
    os.write(descriptor, BLOCK)
    os.fsync(descriptor)
    return (time.perf_counter() - begun) * 1000


async def _page(
    store: ExecutionStore, *, script_id: str = 'self_test', before: str | None = None
) -> float:
    begun = time.perf_counter()
    wanted = replace(OF_SCRIPT, script_id=script_id)
    page = await store.find(wanted, KeysetPage(limit=-PAGE, reference=before))
    total = (time.perf_counter() - begun) * 1000
    if len(page.executions) != PAGE:
        raise RuntimeError(f'a page has {len(page.executions)} executions')
    return total


async def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


async def _fill(store: ExecutionStore, count: int) -> None:
    """Record ended executions of one script, a transaction for each batch."""
    for first in range(0, count, BATCH):
        await store.record(
            [
                Change.first(_execution(number), GATEWAY)
                for number in range(first, min(first + BATCH, count))
            ]
        )


async def _fill_with_results(store: ExecutionStore, first: int) -> None:
    """Record a page of executions of a script that gives large results."""
    samples = {'samples': [f'{number:07}' for number in range(RESULT_BYTES // len('"0000000",'))]}
    for number in range(first, first + PAGE):
        execution = replace(_execution(number), script_id=GIVES_RESULTS, output_parameters=samples)
        await store.record([Change.first(execution, GATEWAY)])


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
