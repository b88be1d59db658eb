# SPDX-License-Identifier: Apache-2.0
"""Further attempts outlive the gateway, and the rest of their delay is counted in time up."""

from pathlib import Path
from typing import Any

from lives import COMPLETED, FAILED, Life, PREPARED, Robot, RUNNING
import pytest

from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import Execution, ExecutionType

RETRIES = {'limit': 1, 'delay_sec': 3600}


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot that starts what its gateways accepted."""
    robot = Robot(tmp_path)
    robot.start_prepared = True
    return robot


async def failed(life: Life, script_id: str) -> Execution:
    """Have an execution fail; return what follows it."""
    execution = await life.start(script_id, ExecutionType.NOW)
    (await life.runner.script(execution.id)).exit(3)
    await life.listener.wait_for(execution.id)
    return (await life.all(script_id))[-1]


async def pass_time(robot: Robot, life: Life) -> None:
    """Let half an hour pass, of which something that is recorded then takes note."""
    script_id = await life.upload()
    # Who waits for a delay has asked for the rest of it by the end of this one.
    await life.finish((await life.start(script_id, ExecutionType.NOW)).id)
    robot.clock.advance(1801)
    await life.finish((await life.start(script_id, ExecutionType.NOW)).id)


async def test_the_rest_of_a_delay_is_waited_for_by_the_next_gateway(robot: Robot) -> None:
    """What the gateway was up for counts, and nothing else."""
    async with robot.gateway() as life:
        further = await failed(life, await life.upload(retries=RETRIES))
        await pass_time(robot, life)
    robot.clock.advance(86_400)
    async with robot.gateway() as life:
        await pass_time(robot, life)
        assert (await life.questions.get_by_id(further.id)).status is PREPARED
        assert life.listener.statuses(further.id) == []
    async with robot.gateway() as life:
        assert (await life.finish(further.id)).status is COMPLETED


async def test_what_is_to_run_at_most_once_is_not_tried_again(robot: Robot) -> None:
    """A `once_on_restart` has used itself up."""
    async with robot.gateway() as life:
        script_id = await life.upload(retries={'limit': 1})
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway() as life:
        (await life.runner.script(schedule.id)).exit(3)
        ended = await life.listener.wait_for(schedule.id)
        assert await life.all(script_id) == [ended]


async def test_without_the_parameter_what_waits_fails_with_the_gateway(robot: Robot) -> None:
    """`restart.start_prepared` says of these what it says of all that was not started."""
    async with robot.gateway() as life:
        further = await failed(life, await life.upload(retries=RETRIES))
    robot.start_prepared = False
    async with robot.gateway() as life:
        ended = await life.questions.get_by_id(further.id)
        assert ended.failure is not None
        assert (ended.status, ended.failure.reason) == (FAILED, FailureReason.RESTARTED)
        assert len(await life.all(ended.script_id)) == 2


@pytest.mark.parametrize(
    ('outcome', 'attempts'),
    [
        ({'cause': EndCause.EXITED, 'exit_code': 3}, 2),
        ({'cause': EndCause.TIMED_OUT}, 2),
        ({'cause': EndCause.EXITED, 'exit_code': 0}, 1),
        ({'cause': EndCause.GATEWAY_LOST, 'end_asked': True}, 1),
    ],
)
async def test_an_end_that_the_next_gateway_records_is_followed_too(
    robot: Robot, outcome: dict[str, Any], attempts: int
) -> None:
    """Where the script failed by itself before its gateway died; not where it died of that."""
    async with robot.gateway() as life:
        script_id = await life.upload(retries={'limit': 1})
        execution = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(execution.id, RUNNING)
    async with robot.gateway(recovered={execution.id: Outcome(**outcome)}) as life:
        executions = await life.all(script_id)
        assert [each.attempt for each in executions] == [1, 2][:attempts]
        if attempts == 2:
            assert executions[1].parent == execution.id
            assert (await life.finish(executions[1].id)).status is COMPLETED
