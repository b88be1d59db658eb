# SPDX-License-Identifier: Apache-2.0
"""The contract of `CallbackStore`, put to every implementation."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from fakes import (
    add,
    FakeClock,
    InMemoryCallbackStore,
    InMemoryExecutionStore,
    new_execution,
    remove,
    update,
)
import pytest

from gateway_node.callbacks.ports import CallbackStore
from gateway_node.callbacks.values import Attempt, Callback, CallbackStatus
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.storage.callback_store import SqliteCallbackStore
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

URL = 'https://fleet.example/ended?robot=7'


@dataclass(frozen=True, kw_only=True)
class Stores:
    """A store of callbacks, and that of their executions."""

    callbacks: CallbackStore
    executions: ExecutionStore

    async def accepted(self, number: int, url: str | None = URL) -> Execution:
        """Record a new execution."""
        execution = new_execution(number, callback=url)
        await add(self.executions, execution)
        return execution

    async def ended(self, number: int, url: str | None = URL) -> Execution:
        """Record an execution and its end."""
        execution = advance(await self.accepted(number, url), ExecutionStatus.TERMINATED)
        await update(self.executions, execution)
        return execution


@pytest.fixture(params=['in_memory', 'sqlite'])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """Each implementation, empty."""
    clock = FakeClock()
    if request.param == 'in_memory':
        in_memory = InMemoryExecutionStore(clock)
        yield Stores(callbacks=InMemoryCallbackStore(in_memory, clock), executions=in_memory)
        return
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, clock)
    yield Stores(callbacks=SqliteCallbackStore(database, store.up_sec), executions=store)
    await store.close()


async def test_a_callback_comes_with_its_execution_and_goes_with_it(stores: Stores) -> None:
    """In the same commit; an execution without one has none."""
    execution = await stores.ended(1)
    await stores.ended(2, url=None)
    new = Callback(execution_id=execution.id, url=URL)
    assert await stores.callbacks.get(execution.id) == new
    assert await stores.callbacks.get(new_execution(2).id) is None
    assert await stores.callbacks.get(new_execution(3).id) is None
    await remove(stores.executions, execution.id)
    assert await stores.callbacks.get(execution.id) is None
    assert await stores.callbacks.undelivered() == ()


async def test_what_is_kept_is_read_as_it_was(stores: Stores) -> None:
    """Every field of it; and what is not there any more is not kept."""
    execution = await stores.ended(1)
    attempt = Attempt(at=FakeClock().now(), status=503, error='the receiver answered 503')
    new = Callback(execution_id=execution.id, url=URL)
    for callback in (new.due(5.5), new.due(5.5).after(attempt, 7.25, jitter=1.0)):
        await stores.callbacks.keep(callback)
        assert await stores.callbacks.get(execution.id) == callback
    await remove(stores.executions, execution.id)
    await stores.callbacks.keep(callback)
    assert await stores.callbacks.get(execution.id) is None


async def test_what_waits_after_its_end_is_undelivered(stores: Stores) -> None:
    """Oldest first: neither what runs nor what was delivered or given up."""
    ended = [await stores.ended(number) for number in range(1, 5)]
    await stores.accepted(5)
    await stores.ended(6, url=None)
    attempt = Attempt(at=FakeClock().now(), status=200)
    delivered = Callback(execution_id=ended[1].id, url=URL).due(1.0).after(attempt, 2.0, jitter=1)
    assert delivered.status is CallbackStatus.DELIVERED
    await stores.callbacks.keep(delivered)
    undelivered = await stores.callbacks.undelivered()
    assert [each.execution_id for each in undelivered] == [ended[0].id, ended[2].id, ended[3].id]
    assert {each.next_sec for each in undelivered} == {None}
