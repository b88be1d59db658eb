# SPDX-License-Identifier: Apache-2.0
"""What the SQLite store finds is what the filter means, whatever is asked of whatever is there."""

import asyncio
from pathlib import Path
import tempfile

from executions_at_random import executions, filters, KEYSET_PAGES, NUMBERED_PAGES
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

_lists = strategies.lists(
    strategies.integers(0, 59), unique=True, min_size=4, max_size=30
).flatmap(lambda numbers: strategies.tuples(*map(executions, numbers)))
_questions = strategies.lists(
    strategies.tuples(filters(), KEYSET_PAGES, NUMBERED_PAGES), min_size=5, max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(_lists, strategies.sets(strategies.integers(0, 29), max_size=6), _questions)
def test_a_store_finds_what_a_filter_means(
    known: tuple[Execution, ...],
    removed: set[int],
    questions: list[tuple[ExecutionFilter, KeysetPage, NumberedPage]],
) -> None:
    """The oracle is the fake store, which asks each execution; whatever the order of commits, with
    the clock set back, and after some were removed."""
    asyncio.run(_check(known, removed, questions))


async def _check(
    known: tuple[Execution, ...],
    removed: set[int],
    questions: list[tuple[ExecutionFilter, KeysetPage, NumberedPage]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteExecutionStore.open(await Database.open(Path(folder)), FakeClock())
        oracle = InMemoryExecutionStore(FakeClock())
        for each in (store, oracle):
            await _fill(each, known, removed)
        try:
            for wanted, page, numbered in questions:
                assert await store.find(wanted, page) == await oracle.find(wanted, page)
                found = await store.find_numbered(wanted, numbered)
                assert found == await oracle.find_numbered(wanted, numbered)
        finally:
            await store.close()


async def _fill(store: ExecutionStore, known: tuple[Execution, ...], removed: set[int]) -> None:
    await store.record([Change.first(_as_accepted(each), GATEWAY) for each in known])
    await store.record([next_change(each) for each in known])
    ended = [each.id for index, each in enumerate(known) if index in removed and not each.is_open]
    await remove(store, *ended)


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
