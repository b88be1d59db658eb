# SPDX-License-Identifier: Apache-2.0
"""How many schedules there may be, and how many start at once with the gateway."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import contextlib
from pathlib import Path

from clients import CLIENT
from lives import APP, COMPLETED, FAILED, Life, Robot, TERMINATED
import pytest

from gateway_node.executions import active_execution, queue_news
from gateway_node.executions import schedules as schedules_module
from gateway_node.executions.errors import (
    RunnerUnavailable,
    ScheduleLimitReached,
    StoreUnavailable,
    StoreUnusable,
)
from gateway_node.executions.events import Change, Event, EventKind, Happening
from gateway_node.executions.values import Execution, ExecutionType, StopAction
from gateway_node.scripts.errors import ScriptNotFound

NOW, ONCE, EACH = (
    ExecutionType.NOW,
    ExecutionType.ONCE_ON_RESTART,
    ExecutionType.ON_RESTART,
)
BOTH = ExecutionType.NOW_AND_ON_RESTART


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot on which two schedules may wait."""
    robot = Robot(tmp_path)
    robot.max_schedules = 2
    return robot


class Writes:
    """Counts the commits of a life, and refuses some."""

    def __init__(self, life: Life, patch: pytest.MonkeyPatch) -> None:
        self.changes: list[int] = []
        self.refused = 0
        self.refusal = StoreUnavailable('disk full')
        self._record = life.store.record
        patch.setattr(life.store, 'record', self._write)

    async def _write(self, changes: Sequence[Change | Happening]) -> tuple[Event, ...]:
        if self.refused:
            self.refused -= 1
            raise self.refusal
        self.changes.append(len(changes))
        return await self._record(changes)


async def leave(robot: Robot, *execution_types: ExecutionType) -> tuple[str, list[Execution]]:
    """Let a gateway leave executions of one script; return the script's id and them."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        return script_id, [await life.start(script_id, each) for each in execution_types]


@contextlib.asynccontextmanager
async def all_of_them_due(robot: Robot, patch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    """Start a gateway that leaves every schedule to `start_schedules`, in one group."""
    group = schedules_module.GROUP
    patch.setattr(schedules_module, 'GROUP', 0)
    async with robot.gateway() as life:
        patch.setattr(schedules_module, 'GROUP', group)
        yield life


async def test_a_schedule_beyond_the_limit_is_refused(robot: Robot) -> None:
    """Nothing of it is kept, `now` is taken, and an ended schedule makes room."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        first = await life.start(script_id, EACH)
        await life.start(script_id, BOTH)
        for execution_type in (EACH, ONCE, BOTH):
            with pytest.raises(ScheduleLimitReached, match=r'2 schedules.*restart\.max_schedules'):
                await life.start(script_id, execution_type)
        assert len(await life.all(script_id)) == 3
        await life.start(script_id, NOW)
        await life.executions.delete(APP, script_id, first.id, actor=CLIENT)
        await life.start(script_id, ONCE)


async def test_the_runner_is_not_asked_about_a_schedule_beyond_the_limit(robot: Robot) -> None:
    """To answer it may execute a part of the script: that needs a place first."""
    robot.max_schedules = 1
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.start(script_id, EACH)
        life.runner.refusal = RunnerUnavailable('it was asked')
        for execution_type in (EACH, ONCE, BOTH):
            with pytest.raises(ScheduleLimitReached):
                await life.start(script_id, execution_type)


async def test_two_that_want_the_last_place_cannot_both_have_it(robot: Robot) -> None:
    """Starts in the same moment: as many schedules as may be, the others are refused."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        kinds = (EACH, ONCE, BOTH, EACH)
        starts = (life.start(script_id, each) for each in kinds)
        results = await asyncio.gather(*starts, return_exceptions=True)
        assert [isinstance(each, Execution) for each in results] == [True, True, False, False]
        assert all(isinstance(each, ScheduleLimitReached) for each in results[2:])


async def test_what_is_not_recorded_takes_no_place(robot: Robot) -> None:
    """Refused by the runner or by the store, it leaves its place to the next."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        life.runner.refusal = ScriptNotFound(APP, script_id)
        for execution_type in (EACH, BOTH):
            with pytest.raises(ScriptNotFound):
                await life.start(script_id, execution_type)
        life.runner.refusal = None
        with pytest.MonkeyPatch.context() as patch:
            Writes(life, patch).refused = 4
            for execution_type in (EACH, BOTH) * 2:
                with pytest.raises(StoreUnavailable):
                    await life.start(script_id, execution_type)
        for execution_type in (EACH, BOTH):
            await life.start(script_id, execution_type)


async def test_a_once_on_restart_counts_until_it_is_used_up(robot: Robot) -> None:
    """While it waits for its entity it is still a schedule."""
    script_id, once = await leave(robot, ONCE, ONCE)
    async with robot.gateway(online=False) as life:
        with pytest.raises(ScheduleLimitReached):
            await life.start(script_id, EACH)
        life.bring_online()
        for each in once:
            await life.finish(each.id)
        await life.start(script_id, EACH)


async def test_a_state_beyond_the_limit_is_opened_and_kept(robot: Robot) -> None:
    """A limit that was set later ends no schedule; there is room once enough have gone."""
    robot.max_schedules = 0
    script_id, schedules = await leave(robot, EACH, EACH, EACH)
    robot.max_schedules = 2
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        runs = [each for each in await life.all(script_id) if each.parent]
        assert [each.parent for each in runs] == [each.id for each in schedules]
        for each in schedules[:2]:
            with pytest.raises(ScheduleLimitReached):
                await life.start(script_id, EACH)
            await life.executions.delete(APP, script_id, each.id, actor=CLIENT)
        await life.start(script_id, EACH)


async def test_many_schedules_are_started_with_one_commit(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs, skipped starts and schedules without a script alike; the rest of them in groups."""
    robot.max_schedules = 0
    async with robot.gateway() as life:
        script_id, other = await life.upload(), await life.upload()
        for _ in range(28):
            await life.start(script_id, EACH)
        skipped = await life.start(script_id, BOTH)
        await life.finish(skipped.id)
        gone = await life.start(other, EACH)
        await life.library.delete(APP, other)
    monkeypatch.setattr(schedules_module, 'GROUP', 10)
    async with robot.gateway(online=False) as life:
        assert len([each for each in await life.all(script_id) if each.parent]) == 1 + 10
        writes = Writes(life, monkeypatch)
        await life.executions.start_schedules()
        assert len(writes.changes) == 2
        assert len([each for each in await life.all(script_id) if each.parent]) == 1 + 28
        assert skipped.schedule is not None
        kept = await life.questions.get(APP, script_id, skipped.schedule)
        assert kept.as_schedule is not None
        assert kept.as_schedule.skipped_starts == 1
        ended = await life.questions.get(APP, other, gone.id)
        assert ended.status is FAILED


async def test_what_clients_do_before_its_turn_counts(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stopped or deleted starts nothing, a new schedule waits for the next start."""
    robot.max_schedules = 0
    script_id, (first, stopped, deleted, kept) = await leave(robot, EACH, EACH, EACH, EACH)
    monkeypatch.setattr(schedules_module, 'GROUP', 1)
    async with robot.gateway() as life:
        ended = await life.executions.stop(
            APP, script_id, stopped.id, StopAction.STOP, actor=CLIENT
        )
        assert ended.status is TERMINATED
        await life.executions.delete(APP, script_id, deleted.id, actor=CLIENT)
        new = await life.start(script_id, EACH)
        await life.executions.start_schedules()
        runs = [each for each in await life.all(script_id) if each.parent]
        assert [each.parent for each in runs] == [first.id, kept.id]
        for each in runs:
            assert (await life.finish(each.id)).status is COMPLETED
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        await life.executions.start_schedules()
        parents = [each.parent for each in await life.all(script_id)]
        assert parents.count(new.id) == 1


async def test_schedules_that_the_store_does_not_take_are_started_later(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them once."""
    monkeypatch.setattr(schedules_module, '_RETRY_SEC', 0.01)
    script_id, schedules = await leave(robot, EACH, ONCE)
    async with all_of_them_due(robot, monkeypatch) as life:
        Writes(life, monkeypatch).refused = 3
        await life.executions.start_schedules()
        each, once, run = await life.all(script_id)
        assert [each.id, once.id, run.parent] == [schedules[0].id, schedules[1].id, each.id]
        assert (await life.finish(run.id)).status is COMPLETED
        assert (await life.finish(once.id)).status is COMPLETED


async def test_a_store_that_takes_nothing_any_more_is_not_asked_for_ever(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedules wait for the next start, which starts them."""
    script_id, _ = await leave(robot, EACH)
    async with all_of_them_due(robot, monkeypatch) as life:
        writes = Writes(life, monkeypatch)
        writes.refused, writes.refusal = 1, StoreUnusable('corrupt')
        await life.executions.start_schedules()
        assert len(await life.all(script_id)) == 1
    async with robot.gateway() as life:
        assert len(await life.all(script_id)) == 2


async def test_a_gateway_that_ends_leaves_what_is_not_started(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was started is ended with the rest; later groups wait for the next start."""
    script_id, schedules = await leave(robot, EACH, EACH)
    monkeypatch.setattr(schedules_module, 'GROUP', 1)
    async with robot.gateway() as life:
        first = (await life.all(script_id))[-1]
        await life.runner.script(first.id)
        life.runner.release()
        life.executions.close()
        await life.executions.start_schedules()
        await life.executions.wait_closed()
        assert [e.parent for e in await life.all(script_id) if e.parent] == [schedules[0].id]


async def test_a_group_that_is_recorded_while_the_gateway_ends_is_ended_too(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, starts nothing, and its executions say that it was the shutdown."""
    script_id, _ = await leave(robot, EACH)
    async with all_of_them_due(robot, monkeypatch) as life:
        starting = asyncio.create_task(life.executions.start_schedules())
        await asyncio.sleep(0)  # the record is under way
        life.executions.close()
        await life.executions.wait_closed()
        await starting
        (run,) = (each for each in await life.all(script_id) if each.parent)
        assert run.failure is not None
        assert run.failure.reason.value == 'x-gateway-shutdown'
        assert life.runner.started == ()


async def test_whoever_has_to_wait_for_a_place_is_told_of(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them with one commit, before they run; who is let in at once is not."""
    monkeypatch.setattr(active_execution, 'RUNNING_PATIENCE_SEC', 60)
    robot.max_schedules, robot.max_executions = 0, 1
    script_id, _ = await leave(robot, EACH, EACH, EACH, EACH)
    async with robot.gateway(online=False) as life:
        begins = life.store.log.end
        runs = [each.id for each in await life.all(script_id) if each.parent]
        writes = Writes(life, monkeypatch)
        life.bring_online()
        for run in runs:
            await life.finish(run)
        events = await life.store.log.events(begins, limit=100)
        kinds = [(each.subject_id, each.kind) for each in events]
        for run in runs:
            queued = [EventKind.EXECUTION_QUEUED] if run != runs[0] else []
            assert [kind for subject, kind in kinds if subject == run] == [
                *queued,
                EventKind.EXECUTION_RUNNING,
                EventKind.EXECUTION_ENDED,
            ]
        assert sorted(writes.changes) == [2] * 4 + [3]


@pytest.mark.parametrize('disk', ['full', 'stalled'])
async def test_whoever_waits_gets_a_place_though_nothing_can_be_told_of_it(
    robot: Robot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, disk: str
) -> None:
    """What the store does not take is a line in the log; nobody waits long for it."""
    robot.max_executions = 1
    monkeypatch.setattr(queue_news, '_PATIENCE_SEC', 0.01)
    async with robot.gateway() as life:
        script_id = await life.upload()
        for _ in range(2):
            await life.start(script_id, EACH)
    async with robot.gateway(online=False) as life:

        async def refuse(*_: object) -> None:
            if disk == 'stalled':
                await asyncio.Event().wait()
            raise StoreUnavailable('disk full')

        monkeypatch.setattr(life.ledger, 'record', refuse)
        life.bring_online()
        for run in [each.id for each in await life.all(script_id) if each.parent]:
            assert (await life.finish(run)).status is COMPLETED
    told = 'cannot record who has to wait: disk full' in caplog.messages
    assert told is (disk == 'full')
