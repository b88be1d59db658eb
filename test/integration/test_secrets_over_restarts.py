# SPDX-License-Identifier: Apache-2.0
"""Secrets in parameters and the disk: none is there, and what needs one does without or fails."""

from pathlib import Path

from clients import CLIENT
from lives import APP, FAILED, Life, Robot, RUNNING
import pytest

from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.masking import MASK

SEED = 'hunter2-8b1f'
SCHEMA = {'properties': {'key': {'writeOnly': True}}}
WISH = StartRequest(execution_type=ExecutionType.NOW, parameters={'key': SEED, 'user': 'anna'})
SHOWN = {'key': MASK, 'user': 'anna'}


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """A robot on which one script runs at a time."""
    robot = Robot(tmp_path)
    robot.max_executions = 1
    return robot


def files_with(text: str, folder: Path) -> list[Path]:
    """Return the files of a folder in which a text stands."""
    files = [path for path in folder.rglob('*') if path.is_file()]
    assert files
    return [path for path in files if text.encode() in path.read_bytes()]


async def waiting(life: Life, script_id: str) -> Execution:
    """Start one that runs, and one that waits; return the latter."""
    first = await life.executions.start(APP, script_id, WISH, actor=CLIENT)
    await life.listener.wait_for(first.id, RUNNING)
    return await life.executions.start(APP, script_id, WISH, actor=CLIENT)


async def test_what_waited_over_a_restart_says_that_its_secrets_are_gone(robot: Robot) -> None:
    """They were in memory only; nothing on the disk ever had them."""
    robot.start_prepared = True
    async with robot.gateway() as life:
        execution = await waiting(life, await life.upload(parameters_schema=SCHEMA))
        assert files_with('anna', robot.state_dir)
    assert files_with(SEED, robot.state_dir) == []
    async with robot.gateway() as life:
        ended = await life.listener.wait_for(execution.id)
        assert (ended.status, ended.input_parameters) == (FAILED, SHOWN)
        assert ended.failure is not None
        assert ended.failure.reason.value == 'x-gateway-secrets-gone'
        assert '/key' in ended.failure.message
        assert life.runner.started == ()


async def test_no_attempt_follows_without_the_secrets(robot: Robot) -> None:
    """What failed while no gateway was there is not tried again: it could only fail."""
    async with robot.gateway() as life:
        script_id = await life.upload(parameters_schema=SCHEMA, retries={'limit': 3})
        execution = await life.executions.start(APP, script_id, WISH, actor=CLIENT)
        await life.listener.wait_for(execution.id, RUNNING)
    failed = Outcome(cause=EndCause.EXITED, exit_code=3)
    async with robot.gateway(recovered={execution.id: failed}, kept=(execution.id,)) as life:
        ended = await life.questions.get_by_id(execution.id)
        assert (ended.status, ended.exit_code) == (FAILED, 3)
        assert await life.store.open_executions() == ()
