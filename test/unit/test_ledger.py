# SPDX-License-Identifier: Apache-2.0
"""How the ledger waits for a store that does not take a change."""

import asyncio
from collections.abc import Sequence

from fakes import add, FakeClock, InMemoryExecutionStore, new_execution
import pytest

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Change, Event, Happening
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import ExecutionStatus


class FailingStore(InMemoryExecutionStore):
    """A store that raises the errors that it was given, one a record, then works."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(FakeClock())
        self.errors = list(errors)

    async def record(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        if self.errors:
            raise self.errors.pop(0)
        return await super().record(news)


@pytest.mark.parametrize('error', [StoreUnusable('corrupt'), ValueError('a defect')])
async def test_what_cannot_pass_is_not_tried_again(error: Exception) -> None:
    """Waiting helps neither against corruption nor against a defect: it is raised at once."""
    execution = new_execution(1)
    store = FailingStore()
    await add(store, execution)
    store.errors.append(error)
    ledger = Ledger(store)
    ledger.begin_waiting()
    async with asyncio.timeout(10):
        with pytest.raises(type(error), match=str(error)):
            await ledger.persist(transition(execution, ExecutionStatus.RUNNING))


async def test_what_can_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened has happened: it is recorded once the store takes it."""
    monkeypatch.setattr('gateway_node.executions.ledger.RETRY_SEC', 0.001)
    execution = new_execution(1)
    store = FailingStore()
    await add(store, execution)
    store.errors += [StoreUnavailable('disk full'), StoreUnavailable('disk full')]
    ledger = Ledger(store)
    ledger.begin_waiting()
    await ledger.persist(transition(execution, ExecutionStatus.RUNNING))
    kept = await store.get(execution.id)
    assert kept is not None
    assert kept.status is ExecutionStatus.RUNNING
