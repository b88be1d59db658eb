# SPDX-License-Identifier: Apache-2.0
"""A stop of what waits: answered once it is on record, and honoured by the next gateway."""

import asyncio
from collections.abc import Iterator, Sequence
import contextlib
from pathlib import Path

from clients import CLIENT
from lives import APP, COMPLETED, Life, Robot, RUNNING, TERMINATED
import pytest

from gateway_node.executions import active_execution
from gateway_node.executions import stops as stops_module
from gateway_node.executions.errors import ExecutionNotStoppable, StoreUnavailable
from gateway_node.executions.events import Change, Event, Happening
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    StopAction,
)

ONCE, EACH = ExecutionType.ONCE_ON_RESTART, ExecutionType.ON_RESTART


@pytest.fixture
def robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Robot:
    """Return a robot whose gateways do not wait long."""
    monkeypatch.setattr(active_execution, 'RECORD_PATIENCE_SEC', 0.05)
    monkeypatch.setattr(stops_module, 'STOP_WAIT_SEC', 0.05)
    return Robot(tmp_path)


@contextlib.contextmanager
def writes_held(life: Life, *, after: int = 0) -> Iterator[asyncio.Event]:
    """Let some writes through and hold the next ones up; a gateway that is left then dies in
    between. The event tells that one is held."""
    record = life.store.record
    held, over = asyncio.Event(), asyncio.Event()
    let_through = 0

    async def hold(changes: Sequence[Change | Happening]) -> tuple[Event, ...]:
        nonlocal let_through
        let_through += 1
        if let_through > after and not over.is_set():
            held.set()
            await over.wait()
        return await record(changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(life.store, 'record', hold)
        yield held
        over.set()


async def stop(life: Life, execution: Execution) -> Execution:
    """Stop an execution as a client does."""
    return await life.executions.stop(
        APP, execution.script_id, execution.id, StopAction.STOP, actor=CLIENT
    )


async def status_after(robot: Robot, execution: Execution) -> ExecutionStatus:
    """Return how an execution had ended when the next gateway served; nothing was started."""
    async with robot.gateway() as life:
        kept = await life.store.get(execution.id)
        assert kept is not None
        assert life.runner.started == ()
        return kept.status


async def test_a_stopped_once_on_restart_never_runs_though_the_gateway_died(
    robot: Robot,
) -> None:
    """Killed between the stop's record and that of the end, the next gateway ends it."""
    async with robot.gateway() as life:
        once = await life.start(await life.upload(), ONCE)
    async with robot.gateway(online=False) as life:
        with writes_held(life, after=1) as held:
            stopping = asyncio.create_task(stop(life, once))
            await held.wait()
            assert (await stopping).terminating
            await life.database.close()
    assert await status_after(robot, once) is TERMINATED


@pytest.mark.parametrize('execution_type', [ONCE, EACH])
async def test_a_stop_that_is_not_on_record_is_not_promised(
    robot: Robot, execution_type: ExecutionType
) -> None:
    """While the disk takes nothing the client gets no 200 for what the next gateway would run."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, execution_type)
    async with robot.gateway(online=False) as life:
        waiting = (await life.all(script_id))[-1]
        assert (waiting.id == schedule.id) is (execution_type is ONCE)
        with writes_held(life):
            with pytest.raises(StoreUnavailable, match='not recorded'):
                await stop(life, waiting)
            assert (await life.questions.get(APP, script_id, waiting.id)).terminating
        ended = await life.listener.wait_for(waiting.id)
        assert ended.status is TERMINATED
        with pytest.raises(ExecutionNotStoppable, match=r'has ended already \(terminated\)'):
            await stop(life, waiting)


async def test_a_stop_while_a_schedule_is_used_up_waits_for_its_record(robot: Robot) -> None:
    """The write that makes a schedule an execution is under way: no 200 before the stop's own."""
    async with robot.gateway() as life:
        once = await life.start(await life.upload(), ONCE)
    async with robot.gateway(online=False) as life:
        with writes_held(life) as held:
            life.bring_online()
            await held.wait()
            with pytest.raises(StoreUnavailable):
                await stop(life, once)
        assert (await life.listener.wait_for(once.id)).status is TERMINATED
        assert life.runner.started == ()


@pytest.mark.parametrize('start_prepared', [False, True])
async def test_what_waits_for_a_place_stays_stopped(robot: Robot, start_prepared: bool) -> None:
    """Stopped while it waits for a place, with the end lost, nothing starts it again."""
    robot.max_executions = 1
    robot.start_prepared = start_prepared
    async with robot.gateway() as life:
        script_id = await life.upload()
        for _ in range(2):
            await life.start(script_id, EACH)
    async with robot.gateway() as life:
        first, second = (each for each in await life.all(script_id) if each.parent)
        await life.listener.wait_for(first.id, RUNNING)
        with writes_held(life, after=1) as held:
            stopping = asyncio.create_task(stop(life, second))
            await held.wait()
            assert (await stopping).terminating
            await life.database.close()
    robot.clock.advance(5)  # too soon for the schedules
    assert await status_after(robot, second) is TERMINATED


async def test_a_recovered_execution_that_was_stopped_is_not_started(robot: Robot) -> None:
    """Accepted, recovered as not started, stopped while it waits: no later gateway starts it."""
    robot.start_prepared = True
    async with robot.gateway() as life:
        life.runner.hold_starts.clear()
        accepted = await life.start(await life.upload(), ExecutionType.NOW)
    async with robot.gateway(online=False) as life:
        with writes_held(life, after=1) as held:
            stopping = asyncio.create_task(stop(life, accepted))
            await held.wait()
            assert (await stopping).terminating
            await life.database.close()
    assert await status_after(robot, accepted) is TERMINATED


async def test_a_schedule_can_be_stopped_while_the_gateway_ends(robot: Robot) -> None:
    """What a shutdown leaves for the next start is stopped like any schedule."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        stopped, kept = await life.start(script_id, ONCE), await life.start(script_id, ONCE)
    async with robot.gateway(online=False) as life:
        life.executions.close()
        await life.executions.wait_closed()
        assert (await stop(life, stopped)).status is TERMINATED
    async with robot.gateway() as life:
        assert (await life.finish(kept.id)).status is COMPLETED
        assert life.runner.started == (kept.id,)


async def test_of_two_stops_of_a_schedule_the_second_is_too_late(robot: Robot) -> None:
    """Both in the same moment: one ends it, the other hears that it has ended."""
    async with robot.gateway() as life:
        schedule = await life.start(await life.upload(), EACH)
        stops = (stop(life, schedule), stop(life, schedule))
        first, second = await asyncio.gather(*stops, return_exceptions=True)
        assert isinstance(first, Execution)
        assert first.status is TERMINATED
        assert isinstance(second, ExecutionNotStoppable)
        assert str(second).endswith('has ended already (terminated)')


async def test_a_client_that_goes_while_a_schedule_ends_leaves_nothing_half_done(
    robot: Robot,
) -> None:
    """Its stop was begun: it is recorded, told, and the schedule waits no more."""
    async with robot.gateway() as life:
        schedule = await life.start(await life.upload(), EACH)
        with writes_held(life) as held:
            stopping = asyncio.create_task(stop(life, schedule))
            await held.wait()
            stopping.cancel()
        assert (await life.listener.wait_for(schedule.id)).status is TERMINATED
        with pytest.raises(ExecutionNotStoppable):
            await stop(life, schedule)


async def test_what_is_left_to_the_next_gateway_cannot_be_stopped(robot: Robot) -> None:
    """An end that a shutdown could not record is told as that: it is not on record."""
    async with robot.gateway() as life:
        execution = await life.start(await life.upload(), ExecutionType.NOW)
        script = await life.runner.script(execution.id)
        away = robot.state_dir / 'away'
        database = robot.state_dir / 'gateway.sqlite3'
        database.rename(away)
        life.executions.close()
        script.exit(1)
        await life.executions.wait_closed()
        with pytest.raises(StoreUnavailable, match='not on record'):
            await stop(life, execution)
        away.rename(database)


async def test_a_script_deleted_while_its_schedule_is_recorded_fails_the_schedule(
    robot: Robot,
) -> None:
    """The deletion waits for the record, and then ends what it finds."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        with writes_held(life) as held:
            starting = asyncio.create_task(life.start(script_id, EACH))
            await held.wait()
            deleting = asyncio.create_task(
                life.script_changes.delete(APP, script_id, actor=CLIENT)
            )
            await asyncio.wait({deleting}, timeout=0.05)
        schedule = await starting
        await deleting
        ended = await life.questions.get(APP, script_id, schedule.id)
        assert ended.failure is not None
        assert ended.failure.reason.value == 'x-gateway-script-gone'


async def test_a_script_deleted_while_a_schedule_waits_for_its_entity_fails_it(
    robot: Robot,
) -> None:
    """It has become live, and does not wait for its entity any more."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        once = await life.start(script_id, ONCE)
    async with robot.gateway(online=False) as life:
        await life.script_changes.delete(APP, script_id, actor=CLIENT)
        ended = await life.listener.wait_for(once.id)
        assert ended.failure is not None
        assert ended.failure.reason.value == 'x-gateway-script-gone'
