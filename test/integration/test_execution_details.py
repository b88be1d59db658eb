# SPDX-License-Identifier: Apache-2.0
"""What the detail of an execution tells of its gateway and its record, over several lives."""

from pathlib import Path

from api_support import serve_api
from clients import CLIENT
from fakes import EXECUTOR
from lives import APP, Robot
import pytest

from gateway_node.executions import stops
from gateway_node.executions.document_reading import execution_from
from gateway_node.executions.values import ExecutionType, Executor, StopAction


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot without scripts and executions."""
    return Robot(tmp_path)


async def test_an_execution_names_the_gateway_that_ran_it(robot: Robot) -> None:
    """Also after its database was moved to another robot, which runs what the first scheduled."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        ran = await life.start(script_id, ExecutionType.NOW)
        scheduled = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
        await life.finish(ran.id)
        schedule = await life.questions.get(APP, script_id, scheduled.id)
        assert schedule.executor is None
    robot.executor = Executor(name='/arm/gateway_node', host='robot8')
    async with robot.gateway() as life:
        await life.finish(scheduled.id)
        told = [
            (await life.questions.get(APP, script_id, each.id)).executor
            for each in (ran, scheduled)
        ]
        assert told == [EXECUTOR, robot.executor]


async def test_updated_at_is_when_the_record_last_changed(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the acceptance, the start, an accepted stop and the end; at each start of a schedule and
    each that is skipped."""
    monkeypatch.setattr(stops, 'STOP_WAIT_SEC', 0.01)
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ON_RESTART)
        execution = await life.start(script_id, ExecutionType.NOW)
        assert execution.updated_at == robot.clock.now()
        script = await life.runner.script(execution.id)
        robot.clock.advance(10)
        await life.executions.stop(APP, script_id, execution.id, StopAction.STOP, actor=CLIENT)
        stopping = await life.questions.get(APP, script_id, execution.id)
        assert (stopping.is_open, stopping.updated_at) == (True, robot.clock.now())
        robot.clock.advance(10)
        script.exit(0)
        ended = await life.listener.wait_for(execution.id)
        assert ended.updated_at == robot.clock.now()
        untouched = await life.questions.get(APP, script_id, schedule.id)
        assert untouched.updated_at == schedule.created_at
    for seconds in (3600, 1):  # the second start is skipped
        robot.clock.advance(seconds)
        async with robot.gateway() as life:
            touched = await life.questions.get(APP, script_id, schedule.id)
            assert touched.updated_at == robot.clock.now()


async def test_a_record_of_an_earlier_version_names_no_gateway(robot: Robot) -> None:
    """It has input and output parameters and nothing beside them."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        execution = await life.start(script_id, ExecutionType.NOW)
        ended = await life.finish(execution.id)
        document, _ = await life.database.read(
            lambda connection: connection.execute(
                'SELECT document, parameters FROM executions'
            ).fetchone()
        )
    earlier = execution_from(document, '[{"depth":3},{}]')
    assert (earlier.executor, earlier.updated_at) == (None, ended.completed_at)
    assert earlier.input_parameters == {'depth': 3}


async def test_the_detail_shows_what_it_was_started_with_and_where(tmp_path: Path) -> None:
    """Lists do not."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        execution_id = await api.start('apps/temp_sensor', script_id, parameters={'depth': 3})
        (await api.runner.script(execution_id)).exit(0)
        await api.listener.wait_for(execution_id)
        executions = f'/apps/temp_sensor/scripts/{script_id}/executions'
        _, detail = await api.json('GET', f'{executions}/{execution_id}')
        assert detail['input_parameters'] == {'depth': 3}
        assert detail['executor'] == {'name': '/gateway_node', 'host': 'robot'}
        assert detail['updated_at'] == detail['completed_at']
        _, listed = await api.json('GET', executions)
        assert not {'input_parameters', 'executor', 'updated_at'} & listed['items'][0].keys()
