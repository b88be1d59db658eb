# SPDX-License-Identifier: Apache-2.0
"""The line over restarts of the gateway: what waits, in which order, and what holds it."""

from dataclasses import replace
from pathlib import Path

from clients import CLIENT
from lives import APP, COMPLETED, FAILED, Life, PREPARED, Robot, RUNNING
from loop_clock import LoopClock
import pytest
from waiting import wait_until

from gateway_node.executions.errors import OpenLimitReached
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """A robot on which one script runs at a time."""
    robot = Robot(tmp_path)
    robot.max_executions = 1
    return robot


async def start(life: Life, script_id: str, priority: int = 50) -> Execution:
    """Start an execution of the sensor's script."""
    request = StartRequest(execution_type=ExecutionType.NOW, priority=priority)
    return await life.executions.start(APP, script_id, request, actor=CLIENT)


async def leave(robot: Robot, *, killed: bool) -> list[str]:
    """Leave one that runs and three that wait; return the ids of those, in their order."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.listener.wait_for((await start(life, script_id)).id, RUNNING)
        low, middle, high = [await start(life, script_id, each) for each in (0, 50, 20)]
        await life.executions.line.prioritise(high, 100, actor=CLIENT)
        if not killed:
            life.runner.release()
            life.executions.close()
            await life.executions.wait_closed()
    return [high.id, middle.id, low.id]


@pytest.mark.parametrize('killed', [True, False])
async def test_what_waits_waits_again_in_its_order_where_that_is_wanted(
    robot: Robot, killed: bool
) -> None:
    """After a crash as after a shutdown, with the priorities that it had last."""
    robot.start_prepared = True
    waiting = await leave(robot, killed=killed)
    async with robot.gateway(online=False) as life:
        await life.executions.line.set_paused(None, paused=True, actor=CLIENT)
        life.bring_online()
        line = life.executions.line
        await wait_until(lambda: line.state().waiting == len(waiting), what='they wait again')
        found = [await life.questions.get_by_id(each) for each in waiting]
        assert [(each.status, each.queue_position) for each in found] == [
            (PREPARED, position) for position in (1, 2, 3)
        ]
        await life.executions.line.set_paused(None, paused=False, actor=CLIENT)
        for execution_id in waiting:
            assert (await life.finish(execution_id)).status is COMPLETED
        assert life.runner.started == tuple(waiting)


@pytest.mark.parametrize('killed', [True, False])
async def test_what_waits_fails_where_nothing_else_is_wanted(robot: Robot, killed: bool) -> None:
    """Nobody is there who asked for it: it says what became of it."""
    waiting = await leave(robot, killed=killed)
    async with robot.gateway() as life:
        for execution_id in waiting:
            ended = await life.questions.get_by_id(execution_id)
            assert ended.status is FAILED
            assert ended.failure is not None
            reason = 'x-gateway-restarted' if killed else 'x-gateway-shutdown'
            assert ended.failure.reason.value == reason
        assert life.runner.started == ()


async def test_a_pause_holds_over_restarts(robot: Robot) -> None:
    """Of all and of one entity; what a schedule starts waits with the rest."""
    async with robot.gateway() as life:
        await life.executions.line.set_paused(APP, paused=True, actor=CLIENT)
        await life.start(await life.upload(), ExecutionType.ON_RESTART)
    async with robot.gateway() as life:
        assert life.executions.line.state(APP).paused
        assert not life.executions.line.state().paused
        line, runner = life.executions.line, life.runner
        await wait_until(lambda: line.state(APP).waiting == 1, what='the run waits')
        assert life.runner.started == ()
        await life.executions.line.set_paused(APP, paused=False, actor=CLIENT)
        await wait_until(lambda: runner.started, what='the run starts')
    async with robot.gateway() as life:
        assert not life.executions.line.state(APP).paused


async def test_over_a_restart_there_is_the_rest_of_the_time_to_wait(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in time that gateways were up: being switched off for a year expires nothing."""
    robot.start_prepared = True
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.listener.wait_for((await start(life, script_id)).id, RUNNING)
        request = StartRequest(execution_type=ExecutionType.NOW, expires_in_sec=100)
        waiting = await life.executions.start(APP, script_id, request, actor=CLIENT)
        robot.clock.advance(60)
        # The time up is kept with what is recorded.
        await life.executions.line.set_paused(None, paused=True, actor=CLIENT)
    robot.clock.advance(365 * 86400)
    async with robot.gateway() as life:
        line = life.executions.line
        await wait_until(lambda: line.state().waiting == 1, what='it waits again')
        clock = LoopClock(monkeypatch)
        await clock.advance(39)
        assert (await life.questions.get_by_id(waiting.id)).status is PREPARED
        await clock.advance(1)
        ended = await life.listener.wait_for(waiting.id)
        assert ended.failure is not None
        assert ended.failure.reason.value == 'x-gateway-expired'


async def test_what_has_expired_by_then_is_not_started(robot: Robot) -> None:
    """Though there is a place for it at once."""
    robot.start_prepared = True
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.listener.wait_for((await start(life, script_id)).id, RUNNING)
        request = StartRequest(execution_type=ExecutionType.NOW, expires_in_sec=100)
        waiting = await life.executions.start(APP, script_id, request, actor=CLIENT)
        robot.clock.advance(101)
        # The time up is kept with what is recorded.
        await life.executions.line.prioritise(waiting, 51, actor=CLIENT)
    async with robot.gateway() as life:
        ended = await life.listener.wait_for(waiting.id)
        assert ended.failure is not None
        assert ended.failure.reason.value == 'x-gateway-expired'
        assert life.runner.started == ()


async def test_what_an_identity_had_open_counts_after_a_restart(robot: Robot) -> None:
    """Schedules, and what waits again; more than the limit stays, and nothing is added."""
    robot.start_prepared, robot.max_open_per_identity = True, 3
    anna = replace(CLIENT, name='anna')
    request = StartRequest(execution_type=ExecutionType.NOW)
    later = StartRequest(execution_type=ExecutionType.ON_RESTART)
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.listener.wait_for((await start(life, script_id)).id, RUNNING)
        await life.executions.start(APP, script_id, request, actor=anna)
        await life.executions.start(APP, script_id, later, actor=anna)
        await life.executions.line.set_paused(None, paused=True, actor=CLIENT)
    robot.max_open_per_identity = 2
    async with robot.gateway() as life:
        line = life.executions.line
        await wait_until(lambda: line.state().waiting == 2, what='both wait')
        with pytest.raises(OpenLimitReached):
            await life.executions.start(APP, script_id, request, actor=anna)
        bert = replace(CLIENT, name='bert')
        await life.executions.start(APP, script_id, request, actor=bert)
