# SPDX-License-Identifier: Apache-2.0
"""A client's stop reaches the record before it reaches the script, and takes nothing back."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import contextlib
from pathlib import Path

from clients import CLIENT
from fakes import (
    add,
    AN_APP,
    EXECUTOR,
    FakeClock,
    FakeScriptRunner,
    InMemoryExecutionStore,
    new_execution,
    RecordingListener,
)
import pytest

from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.active_record import ActiveRecord
from gateway_node.executions.events import Change, Event, Happening
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import NoScriptCredentials, NoWitness
from gateway_node.executions.preconditions import NoPreconditionCheck
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    StopAction,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import Script, ScriptKind

A_CLIENT = Trigger(type=TriggerType.MANUAL, setting='stop')
PREPARED, RUNNING = ExecutionStatus.PREPARED, ExecutionStatus.RUNNING
TERMINATED = ExecutionStatus.TERMINATED
STOP = StopAction.STOP


class SlowStore(InMemoryExecutionStore):
    """A store whose writes can be held up; they are done in the order in which they came."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()
        self.written: list[Execution] = []

    async def record(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        """Keep the changes once the gate is open."""
        self.reached.set()
        await self.gate.wait()
        self.written += [each.execution for each in news if isinstance(each, Change)]
        return await super().record(news)

    def hold_up(self) -> None:
        """Let writes wait."""
        self.gate.clear()
        self.reached.clear()


class Stage:
    """One active execution and the fakes around it."""

    def __init__(self) -> None:
        self.store = SlowStore()
        self.runner = FakeScriptRunner()
        self.listener = RecordingListener()

    @contextlib.asynccontextmanager
    async def driven(self, **fields: object) -> AsyncIterator[ActiveExecution]:
        """Drive a recorded execution, to its end when the test is over."""
        execution = new_execution(1, **fields)
        await add(self.store, execution)
        order = StartOrder(
            execution_id=execution.id,
            entity=AN_APP,
            script=Script(
                id='a', name='a', kind=ScriptKind.SH, path=Path('a'), version='f' * 64, size=0
            ),
            parameters={},
            arguments=(),
            timeout_sec=300,
            stop_grace_period_sec=5,
        )

        ledger = Ledger(self.store)
        self.listener.listen_to(ledger)

        async def record_end(changes: Sequence[Change]) -> None:
            await ledger.persist(*changes)

        active = ActiveExecution(
            ActiveRecord(execution, ledger=ledger, clock=FakeClock(), executor=EXECUTOR),
            order,
            runner=self.runner,
            clock=FakeClock(),
            credentials=NoScriptCredentials(),
            witness=NoWitness(),
            preconditions=NoPreconditionCheck(),
            start_prepared=False,
            record_end=record_end,
            on_lost=lambda active: None,
        )
        driving = asyncio.create_task(active.drive())
        yield active
        self.store.gate.set()
        self.runner.release()
        active.stop(StopAction.FORCED_TERMINATION, A_CLIENT, CLIENT)
        await driving


@pytest.fixture
def stage() -> Stage:
    """Fakes of the test's own."""
    return Stage()


async def test_a_stop_is_on_record_before_the_script_hears_of_it(stage: Stage) -> None:
    """A gateway that dies in between leaves a stopped execution, not one that just failed."""
    async with stage.driven() as active:
        await stage.listener.wait_for(active.execution.id, RUNNING)
        script = await stage.runner.script(active.execution.id)
        stage.store.hold_up()
        stopping = asyncio.create_task(active.record_and_stop(STOP, A_CLIENT, CLIENT))
        await stage.store.reached.wait()
        assert (script.stops, active.execution.terminating) == ([], True)
        stage.store.gate.set()
        assert await stopping
        assert script.stops == [STOP]
        assert stage.store.written[-1].stop_accepted


async def test_a_client_that_goes_meanwhile_changes_nothing_about_the_stop(stage: Stage) -> None:
    """Cancelled while it is being recorded, the stop still reaches the script."""
    async with stage.driven() as active:
        await stage.listener.wait_for(active.execution.id, RUNNING)
        script = await stage.runner.script(active.execution.id)
        stage.store.hold_up()
        stopping = asyncio.create_task(active.record_and_stop(STOP, A_CLIENT, CLIENT))
        await stage.store.reached.wait()
        stopping.cancel()
        assert await script.wait_stop_asked() is STOP


async def test_a_stop_takes_no_status_back(stage: Stage) -> None:
    """While `running` is being written, a stop does not write `prepared` over it."""
    stage.runner.hold_starts.clear()
    async with stage.driven() as active:
        stage.store.hold_up()
        stage.runner.hold_starts.set()
        await stage.store.reached.wait()
        assert stage.store.written[-1].status is PREPARED
        stopping = asyncio.create_task(active.record_and_stop(STOP, A_CLIENT, CLIENT))
        await asyncio.wait({stopping}, timeout=0.05)
        stage.store.gate.set()
        assert await stopping
        await stage.listener.wait_for(active.execution.id, RUNNING)
    after = stage.store.written[1:]
    assert PREPARED not in [each.status for each in after]
    assert [each.stop_accepted for each in after if each.status is RUNNING] == [False, True]


async def test_a_stop_does_not_make_a_used_schedule_good_again(stage: Stage) -> None:
    """While a schedule is being used up, a stop does not write it back, and nothing starts."""
    async with stage.driven(as_schedule=Schedule()) as active:
        stage.store.hold_up()
        await stage.store.reached.wait()
        assert active.execution.is_schedule
        stopping = asyncio.create_task(active.record_and_stop(STOP, A_CLIENT, CLIENT))
        await asyncio.wait({stopping}, timeout=0.05)
        assert not active.stop_holds
        stage.store.gate.set()
        assert await stopping
        await active.wait_ended()
        assert active.stop_holds
        assert active.execution.status is TERMINATED
    assert stage.runner.started == ()
    assert True not in [each.is_schedule for each in stage.store.written[1:]]
