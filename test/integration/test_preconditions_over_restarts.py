# SPDX-License-Identifier: Apache-2.0
"""What a script requires of the robot, over several lives of a gateway."""

import asyncio
from pathlib import Path
from typing import Any

from lives import APP, COMPLETED, FAILED, Robot, RUNNING
import pytest
from waiting import wait_until
from watched_robot import CHARGED, VOLTAGE

from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.preconditions import PRECONDITION_LOST
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import ExecutionType

NEEDS: list[dict[str, Any]] = [{'condition': dict(CHARGED), 'hold': True, 'max_age_sec': 60}]
"""No machine is so slow that a value of the test is old by then."""


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot without scripts and executions."""
    return Robot(tmp_path)


async def test_what_a_schedule_starts_waits_until_the_robot_is_ready(robot: Robot) -> None:
    """Its values come one after the other where it starts, and so do those that are wanted."""
    async with robot.gateway() as life:
        script_id = await life.upload(preconditions=NEEDS)
        await life.start(script_id, ExecutionType.ON_RESTART)
    robot.values.set(VOLTAGE, 3)
    async with robot.gateway() as life:
        run = (await life.all(script_id))[-1]
        await wait_until(lambda: robot.values.watched[VOLTAGE] == 1, what='a look')
        assert life.runner.started == ()
        robot.values.set(VOLTAGE, 12)
        assert (await life.finish(run.id)).status is COMPLETED


async def test_it_does_not_wait_for_ever(robot: Robot) -> None:
    """For as long as for an entity; then it has failed, and says for what."""
    robot.entity_timeout_sec = 0.5
    needs = [{'condition': dict(CHARGED), 'max_age_sec': 0.1}]
    async with robot.gateway() as life:
        script_id = await life.upload(preconditions=needs)
        await life.start(script_id, ExecutionType.ON_RESTART)
    async with robot.gateway() as life:
        run = (await life.all(script_id))[-1]
        failed = await life.listener.wait_for(run.id, FAILED)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.PRECONDITION_UNMET
        (unmet,) = failed.failure.parameters['unmet']
        assert (unmet['path'], unmet['truth']) == ('/preconditions/0', None)
        kept = await life.questions.get_by_id(run.id)
        assert kept.failure == failed.failure


async def test_what_was_in_line_is_looked_at_where_it_starts_after_all(robot: Robot) -> None:
    """`restart.start_prepared`: as what a schedule starts."""
    robot.start_prepared, robot.max_executions = True, 1
    robot.values.set(VOLTAGE, 12)
    async with robot.gateway() as life:
        script_id = await life.upload(preconditions=NEEDS)
        first = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(first.id, RUNNING)
        robot.values.set(VOLTAGE, 12)
        waiting = await life.start(script_id, ExecutionType.NOW)
        assert waiting.queue_position == 1
    robot.values.set(VOLTAGE, 3)
    async with robot.gateway() as life:
        await wait_until(lambda: robot.values.watched[VOLTAGE] == 1, what='a look')
        assert life.runner.started == ()
        robot.values.set(VOLTAGE, 12)
        assert (await life.finish(waiting.id)).status is COMPLETED


@pytest.mark.parametrize('met_the_script', [True, False])
async def test_a_gateway_that_died_while_a_script_ended_for_that_is_followed_by_one_that_knows(
    robot: Robot, met_the_script: bool
) -> None:
    """The supervisor was told the reason with the wish; without the value, which is lost. Where
    the script had ended before, its end is its own."""
    robot.values.set(VOLTAGE, 12)
    async with robot.gateway() as life:
        script_id = await life.upload(preconditions=NEEDS)
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
    outcome = Outcome(
        cause=EndCause.EXITED,
        exit_code=0,
        printed={},
        end_asked=met_the_script,
        end_asked_by=PRECONDITION_LOST,
    )
    async with robot.gateway(recovered={running.id: outcome}) as life:
        ended = await life.questions.get(APP, script_id, running.id)
        if not met_the_script:
            assert (ended.status, ended.stop_trigger) == (COMPLETED, None)
            return
        assert (ended.status, ended.stop_trigger) == (FAILED, PRECONDITION_LOST)
        assert ended.failure is not None
        assert ended.failure.reason is FailureReason.PRECONDITION_LOST
        assert 'lost' not in ended.failure.parameters


async def test_what_a_script_requires_is_kept_with_it(robot: Robot) -> None:
    """As it was given, and read as it was."""
    async with robot.gateway() as life:
        script_id = await life.upload(preconditions=NEEDS)
        before = await life.library.get(APP, script_id)
    async with robot.gateway() as life:
        assert await life.library.get(APP, script_id) == before
        assert [dict(each.document) for each in before.preconditions] == NEEDS
        await asyncio.sleep(0)
        assert not robot.values.watched
