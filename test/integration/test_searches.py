# SPDX-License-Identifier: Apache-2.0
"""What the SQLite store finds is what the filter means, whatever is asked of whatever is there."""

import asyncio
from pathlib import Path
import random
import tempfile

import earlier_form
from executions_at_random import (
    execution_at_random,
    filters,
    KEYSET_PAGES,
    NUMBERED_PAGES,
    seen_filters,
    without_instance,
)
from fakes import FakeClock, InMemoryExecutionStore, next_change, remove
from hypothesis import given, HealthCheck, settings, strategies

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage, NumberedPage
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

_questions = strategies.lists(
    # Half of them by somebody who may not look at everything.
    strategies.tuples(filters() | seen_filters(), KEYSET_PAGES, NUMBERED_PAGES),
    min_size=10,
    max_size=20,
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(strategies.integers(0, 1_000_000), _questions)
def test_a_store_finds_what_a_filter_means(
    seed: int, questions: list[tuple[ExecutionFilter, KeysetPage, NumberedPage]]
) -> None:
    """The oracle is the fake store, which asks each execution; whatever the order of commits, with
    the clock set back, after some were removed, and where an earlier version wrote some."""
    chance = random.Random(seed)
    numbers = chance.sample(range(60), chance.randint(10, 40))
    known = tuple(execution_at_random(chance, number) for number in numbers)
    # Versions that wrote so had no groups and no instances.
    alone = [each for each in known if each.group is None and each == without_instance(each)]
    earlier = chance.sample(alone, len(alone) // 2)
    asyncio.run(_check(known, chance.sample(known, 6), earlier, questions))


async def _check(
    known: tuple[Execution, ...],
    removed: list[Execution],
    earlier: list[Execution],
    questions: list[tuple[ExecutionFilter, KeysetPage, NumberedPage]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = await Database.open(Path(folder))
        store = await SqliteExecutionStore.open(database, FakeClock())
        oracle = InMemoryExecutionStore(FakeClock())
        for each in (store, oracle):
            await _fill(each, known, removed)
        rows = [(earlier_form.to_document(each), each.id) for each in earlier]
        change = 'UPDATE executions SET document = ? WHERE id = ?'
        await database.write(lambda connection: connection.executemany(change, rows))
        try:
            for wanted, page, numbered in questions:
                assert await store.find(wanted, page) == await oracle.find(wanted, page)
                found = await store.find_numbered(wanted, numbered)
                assert found == await oracle.find_numbered(wanted, numbered)
        finally:
            await store.close()


async def _fill(
    store: ExecutionStore, known: tuple[Execution, ...], removed: list[Execution]
) -> None:
    await store.record([Change.first(_as_accepted(each), GATEWAY) for each in known])
    await store.record([next_change(each) for each in known])
    await remove(store, *(each.id for each in removed if not each.is_open))


def _as_accepted(execution: Execution) -> Execution:
    return execution.evolve(
        status=ExecutionStatus.PREPARED,
        stop_trigger=None,
        started_at=None,
        completed_at=None,
        duration_ms=None,
        exit_code=None,
        signal=None,
        verdict=None,
        failure=None,
        output_parameters=None,
    )
