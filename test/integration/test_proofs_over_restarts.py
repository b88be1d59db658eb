# SPDX-License-Identifier: Apache-2.0
"""A proof of proximity holds for its moment: what a later gateway starts was not proven."""

from dataclasses import replace
from pathlib import Path

from clients import CLIENT
from lives import APP, FAILED, PREPARED, Robot

from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType

HERE = StartRequest(execution_type=ExecutionType.NOW, proximity_response='here')
RETRIES = {'limit': 3, 'delay_sec': 3600}


def why(ended: Execution) -> FailureReason:
    """Return why an execution failed."""
    assert ended.failure is not None
    return ended.failure.reason


def files_with(text: str, folder: Path) -> list[Path]:
    """Return the files below a folder in which a text stands."""
    files = (path for path in folder.rglob('*') if path.is_file())
    return [path for path in files if text.encode() in path.read_bytes()]


async def test_what_a_schedule_starts_fails_where_its_script_came_to_require_a_proof(
    tmp_path: Path,
) -> None:
    """It was scheduled before that; the schedule stays, for the script may change again."""
    robot = Robot(tmp_path)
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ON_RESTART)
        await life.replace(script_id, proximity_proof_required=True)
    robot.clock.advance(120)
    async with robot.gateway() as life:
        started = (await life.all(script_id))[-1]
        ended = await life.listener.wait_for(started.id, FAILED)
        assert (ended.parent, why(ended)) == (schedule.id, FailureReason.PROXIMITY_UNPROVEN)
        assert (await life.questions.get_by_id(schedule.id)).status is PREPARED


async def test_a_further_attempt_does_not_outlive_the_gateway_in_which_it_was_proven(
    tmp_path: Path,
) -> None:
    """Where what waits outlives it; nobody is sure to stand there when a robot is switched on."""
    robot = Robot(tmp_path)
    robot.start_prepared = True
    async with robot.gateway() as life:
        script_id = await life.upload(proximity_proof_required=True, retries=RETRIES)
        first = await life.executions.start(APP, script_id, HERE, actor=CLIENT)
        (await life.runner.script(first.id)).exit(3)
        await life.listener.wait_for(first.id, FAILED)
        further = (await life.all(script_id))[-1]
        assert (further.parent, further.status) == (first.id, PREPARED)
        # Its delay goes by the time that gateways were up, which they note with what they record.
        robot.clock.advance(3601)
        other = await life.upload()
        await life.finish((await life.start(other, ExecutionType.NOW)).id)
    async with robot.gateway() as life:
        ended = await life.listener.wait_for(further.id, FAILED)
        assert why(ended) is FailureReason.PROXIMITY_UNPROVEN
        assert len(await life.all(script_id)) == 2


async def test_what_was_proven_is_not_on_the_disk(tmp_path: Path) -> None:
    """Neither in the database nor beside it."""
    robot = Robot(tmp_path)
    word = 'a-word-that-nothing-else-has'
    async with robot.gateway() as life:
        life.proximity.word = word
        script_id = await life.upload(proximity_proof_required=True)
        wish = replace(HERE, proximity_response=word)
        execution = await life.executions.start(APP, script_id, wish, actor=CLIENT)
        await life.finish(execution.id)
    assert files_with(word, tmp_path) == []
    assert files_with(execution.id, tmp_path)
