# SPDX-License-Identifier: Apache-2.0
"""What was accepted is what runs: versions stay as they are while executions wait."""

import asyncio
from pathlib import Path
from typing import Any

from clients import CLIENT
from lives import APP, COMPLETED, FAILED, Life, Robot, RUNNING
import pytest

from gateway_node.executions.errors import RunnerUnavailable, ScriptHasOpenExecutions
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.scripts.values import Mending

EACH, ONCE = ExecutionType.ON_RESTART, ExecutionType.ONCE_ON_RESTART


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot on which one script runs at a time."""
    robot = Robot(tmp_path)
    robot.max_executions = 1
    return robot


async def replace(life: Life, script_id: str, content: bytes) -> str:
    """Give a script another content; return its version."""
    async with life.library.begin_upload() as upload:
        await upload.write(content)
        script = await life.script_changes.replace(
            APP, script_id, upload, file_name='check.sh', metadata=None, actor=CLIENT
        )
    return script.version


async def run_of(life: Life, script_id: str) -> Execution:
    """Return the newest execution of a script."""
    return (await life.all(script_id))[-1]


async def test_what_waits_for_its_place_runs_as_it_was_accepted(robot: Robot) -> None:
    """Replaced twice meanwhile: its file stays, its record tells of it, and then the file goes."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        accepted = await replace(life, script_id, b'echo accepted\r\n')
        for _ in range(2):
            await life.start(script_id, EACH)
    async with robot.gateway() as life:
        first, second = (each for each in await life.all(script_id) if each.parent)
        await life.listener.wait_for(first.id, RUNNING)
        await replace(life, script_id, b'echo newer\n')
        newest = await replace(life, script_id, b'echo newest\n')
        assert life.executions.versions_in_use(script_id) == {accepted}
        await life.finish(first.id)
        started = (await life.runner.script(second.id)).order.script
        assert started.path.read_bytes() == b'echo accepted\r\n'
        assert started.runs_from.read_bytes() == b'echo accepted\n'
        ended = await life.finish(second.id)
        assert (ended.status, ended.script_version) == (COMPLETED, accepted)
        assert ended.mended == (Mending.LINE_ENDS,)
        assert (await life.library.get(APP, script_id)).version == newest
        assert life.executions.versions_in_use(script_id) == frozenset()


@pytest.mark.parametrize('execution_type', [EACH, ONCE])
async def test_the_version_of_the_gateways_start_is_accepted(
    robot: Robot, execution_type: ExecutionType
) -> None:
    """Not that of the day on which the schedule was made, nor a later one, whoever looks when."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.start(script_id, execution_type)
        present = await replace(life, script_id, b'echo present\n')
    async with robot.gateway(online=False) as life:
        execution = await run_of(life, script_id)
        needed = []

        async def vet(order: StartOrder) -> None:
            await replace(life, script_id, b'echo later\n')
            needed.append(life.executions.versions_in_use(script_id))

        life.runner.vet = vet  # type: ignore[method-assign]
        life.bring_online()
        script = await life.runner.script(execution.id)
        needed.append(life.executions.versions_in_use(script_id))
        assert needed == [{present}, {present}]
        assert script.order.script.path.read_bytes() == b'echo present\n'
        assert (await life.finish(execution.id)).script_version == present


async def test_a_used_up_schedule_says_what_it_was_to_run(robot: Robot) -> None:
    """Killed before the script began, the record has the version that was accepted."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        once = await life.start(script_id, ONCE)
        present = await replace(life, script_id, b'echo present\n')
    async with robot.gateway(online=False) as life:
        life.runner.hold_starts.clear()
        life.bring_online()
        while (await life.questions.get(APP, script_id, once.id)).is_schedule:
            await life.store.last_id()  # each turn is a read of the disk
    async with robot.gateway() as life:
        lost = await life.questions.get(APP, script_id, once.id)
        assert (lost.status, lost.script_version) == (FAILED, present)


async def test_the_script_of_what_waits_for_its_place_cannot_be_deleted(robot: Robot) -> None:
    """It was accepted: it is open, and named in the refusal, like what runs."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        for _ in range(2):
            await life.start(script_id, EACH)
    async with robot.gateway() as life:
        runs = [each.id for each in await life.all(script_id) if each.parent]
        with pytest.raises(ScriptHasOpenExecutions) as refused:
            await life.script_changes.delete(APP, script_id, actor=CLIENT)
        assert list(refused.value.execution_ids) == runs


async def test_what_is_left_unstarted_is_accepted_anew(robot: Robot) -> None:
    """By the gateway that starts it after all, in the version that it finds; so the record."""
    robot.start_prepared = True
    async with robot.gateway() as life:
        script_id = await life.upload()
        life.runner.hold_starts.clear()
        unstarted = await life.start(script_id, ExecutionType.NOW)
        await replace(life, script_id, b'echo present\n')
    async with robot.gateway(online=False) as life:
        present = (await life.library.get(APP, script_id)).version
        await replace(life, script_id, b'echo later\n')
        life.bring_online()
        assert (await life.finish(unstarted.id)).script_version == present


async def test_a_version_that_is_refused_for_good_is_kept_no_longer(robot: Robot) -> None:
    """Neither its place nor its file stays with an execution that failed before it began."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        for _ in range(2):
            await life.start(script_id, EACH)
    robot.entity_timeout_sec = 0.01
    async with robot.gateway(online=False) as life:
        for run in [each for each in await life.all(script_id) if each.parent]:
            failed = await life.listener.wait_for(run.id)
            assert failed.failure is not None
            assert failed.failure.reason is FailureReason.ENTITY_ABSENT
        assert life.executions.versions_in_use(script_id) == frozenset()
        life.runner.refusal = RunnerUnavailable('not now')
        with pytest.raises(RunnerUnavailable):
            await life.start(script_id, ExecutionType.NOW)
        life.runner.refusal = None
        started = await life.start(script_id, ExecutionType.NOW)
        assert (await life.finish(started.id)).status is COMPLETED


async def test_a_schedule_is_not_let_in_while_its_script_is_being_deleted(robot: Robot) -> None:
    """It was no obstacle to the deletion, and its version goes with the script."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        once = await life.start(script_id, ONCE)
    async with robot.gateway(online=False) as life:
        delete, gone, go_on = life.library.delete, asyncio.Event(), asyncio.Event()

        async def slowly(*args: Any, **kwargs: Any) -> None:
            await delete(*args, **kwargs)
            gone.set()
            await go_on.wait()

        life.library.delete = slowly  # type: ignore[method-assign]
        deleting = asyncio.create_task(life.script_changes.delete(APP, script_id, actor=CLIENT))
        await gone.wait()
        life.bring_online()
        failed = await life.listener.wait_for(once.id)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.SCRIPT_GONE
        go_on.set()
        await deleting
        assert life.runner.started == ()
