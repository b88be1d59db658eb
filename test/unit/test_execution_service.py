# SPDX-License-Identifier: Apache-2.0
"""The life of an execution, and what is kept of it, with fakes around the service."""

import asyncio
import datetime

from clients import CLIENT
from execution_stage import APP, COMPLETED, NOW, PREPARED, RUNNING, Stage
from fakes import whole_log
import pytest
from waiting import wait_until

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    ScriptHasOpenExecutions,
)
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import (
    ExecutionType,
    Progress,
)
from gateway_node.scripts.errors import ScriptNotFound


def of_script(script_id: str) -> ExecutionFilter:
    """Return what finds a script's executions."""
    return ExecutionFilter(entity=APP, script_id=script_id)


async def test_an_execution_goes_its_way_and_every_step_is_told(stage: Stage) -> None:
    """Prepared, running, completed: recorded, told in order, with times and exit code."""
    execution, script = await stage.running(await stage.upload())
    assert execution.started_at == stage.clock.now()
    stage.clock.advance(3)
    script.exit(0, printed={'ok': True})
    ended = await stage.listener.wait_for(execution.id)
    assert stage.listener.statuses(execution.id) == [PREPARED, RUNNING, COMPLETED]
    assert ended.output_parameters == {'ok': True}
    assert (ended.exit_code, ended.duration_ms) == (0, 500)
    assert ended.completed_at == stage.clock.now()
    assert await stage.get(execution) == ended
    log = [(event.kind.value, event.cause) for event in await whole_log(stage.store)]
    assert log == [
        ('execution.accepted', 'manual'),
        ('execution.running', None),
        ('execution.ended', 'exited'),
    ]


async def test_a_start_gives_the_script_what_it_was_given(stage: Stage) -> None:
    """Parameters, arguments, the script's own timeout else the default, and the grace period."""
    quick = await stage.upload(timeout_sec=7.0)
    request = StartRequest(
        execution_type=ExecutionType.NOW, parameters={'a': 1}, arguments=('-v',)
    )
    execution = await stage.service.start(APP, quick, request, actor=CLIENT)
    order = (await stage.runner.script(execution.id)).order
    assert (order.parameters, order.arguments) == ({'a': 1}, ('-v',))
    assert (order.timeout_sec, order.stop_grace_period_sec) == (7.0, 5)
    other = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    assert (await stage.runner.script(other.id)).order.timeout_sec == 300


async def test_a_script_with_open_executions_cannot_be_deleted(stage: Stage) -> None:
    """Afterwards it can, and its execution stays readable."""
    script_id = await stage.upload()
    execution, script = await stage.running(script_id)
    with pytest.raises(ScriptHasOpenExecutions) as refused:
        await stage.script_changes.delete(APP, script_id, actor=CLIENT)
    assert refused.value.execution_ids == (execution.id,)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    await stage.script_changes.delete(APP, script_id, actor=CLIENT)
    assert (await stage.get(execution)).status is COMPLETED
    page = await stage.questions.find(of_script(script_id), KeysetPage(limit=-10, reference=None))
    assert [each.execution_id for each in page.executions] == [execution.id]
    page = await stage.questions.find(
        of_script(script_id), KeysetPage(limit=-10, reference=execution.id)
    )
    assert page.executions == ()


@pytest.mark.parametrize('before', [None, 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'])
async def test_a_page_of_a_script_that_nobody_knows_is_none(
    stage: Stage, before: str | None
) -> None:
    """Whichever page: an empty one would say that there is such a script."""
    with pytest.raises(ScriptNotFound):
        await stage.questions.find(
            of_script('script_unknown'), KeysetPage(limit=-10, reference=before)
        )


async def test_a_page_upwards_stops_short_of_what_may_still_come(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was recorded while an earlier one is still being admitted is told with it: who
    goes on behind the last one read would never see the earlier one."""
    slow, quick = await stage.upload(), await stage.upload()
    admitted, vet = asyncio.Event(), stage.runner.vet

    async def vet_slowly(order: StartOrder) -> None:
        if order.script.id == slow:
            await admitted.wait()
        await vet(order)

    monkeypatch.setattr(stage.runner, 'vet', vet_slowly)
    starting = asyncio.create_task(stage.service.start(APP, slow, NOW, actor=CLIENT))
    await asyncio.sleep(0)
    later = await stage.service.start(APP, quick, NOW, actor=CLIENT)
    upwards = await stage.questions.find(ExecutionFilter(), KeysetPage(limit=10))
    assert (upwards.executions, upwards.more) == ((), None)
    newest = await stage.questions.find(ExecutionFilter(), KeysetPage(limit=-10))
    assert [each.execution_id for each in newest.executions] == [later.id]
    admitted.set()
    earlier = await starting
    upwards = await stage.questions.find(ExecutionFilter(), KeysetPage(limit=10))
    assert [each.execution_id for each in upwards.executions] == [later.id, earlier.id]


async def test_what_starts_while_others_are_removed_concerns_its_entity(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is asked then which entities are left, and may have answered before the start."""
    execution, script = await stage.running(await stage.upload())
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    asked, answered = asyncio.Event(), asyncio.Event()

    async def entities() -> frozenset[EntityRef]:
        asked.set()
        await answered.wait()
        return frozenset()

    monkeypatch.setattr(stage.store, 'entities', entities)
    removing = asyncio.create_task(
        stage.service.delete(APP, execution.script_id, execution.id, actor=CLIENT)
    )
    await asked.wait()
    await stage.service.start(APP, execution.script_id, NOW, actor=CLIENT)
    answered.set()
    await removing
    assert stage.service.concern(APP)


async def test_only_what_has_ended_can_be_deleted(stage: Stage) -> None:
    """Its output goes with it, and then nobody knows it any more."""
    execution, script = await stage.running(await stage.upload())
    with pytest.raises(ExecutionNotDeletable):
        await stage.service.delete(APP, execution.script_id, execution.id, actor=CLIENT)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    await stage.service.delete(APP, execution.script_id, execution.id, actor=CLIENT)
    assert stage.runner.discarded == [execution.id]
    with pytest.raises(ExecutionNotFound):
        await stage.get(execution)


async def test_progress_is_told_and_kept(stage: Stage) -> None:
    """The last progress is in the record of the end; progress after the end changes nothing."""
    execution, script = await stage.running(await stage.upload())
    script.report(Progress(percent=40))
    script.report(Progress(percent=45, message='half'))
    assert [each.progress for each in stage.listener.progress] == [
        Progress(percent=40),
        Progress(percent=45, message='half'),
    ]
    assert (await stage.get(execution)).progress == Progress(percent=45, message='half')
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    script.report(Progress(percent=99))
    assert len(stage.listener.progress) == 2
    assert ended.progress == Progress(percent=45, message='half')
    assert await stage.get(execution) == ended


async def test_the_wall_clock_may_go_back_a_year(stage: Stage) -> None:
    """Ids still grow, the duration is right, and the newest execution is listed first."""
    script_id = await stage.upload()
    started = []
    for _ in range(3):
        execution, script = await stage.running(script_id)
        stage.clock.wall -= datetime.timedelta(days=365)
        script.exit(0)
        ended = await stage.listener.wait_for(execution.id)
        assert ended.duration_ms == 500
        started.append(execution.id)
    assert started == sorted(started)
    page = await stage.questions.find(of_script(script_id), KeysetPage(limit=-2, reference=None))
    assert [each.execution_id for each in page.executions] == started[:0:-1]
    assert page.more


class TestRetention:
    @pytest.fixture
    def retention(self) -> RetentionPolicy:
        """Keep two, and failed ones for an hour."""
        return RetentionPolicy(max_executions=2, max_age_sec=0, max_failed_age_sec=3600)

    async def test_the_oldest_ended_ones_go_first_and_open_ones_stay(self, stage: Stage) -> None:
        """Past the bound the longest ended are removed with their output."""
        script_id = await stage.upload()
        staying, _ = await stage.running(script_id)
        ended = []
        for _ in range(4):
            execution, script = await stage.running(script_id)
            script.exit(0)
            await stage.listener.wait_for(execution.id)
            ended.append(execution.id)
            stage.clock.advance(1)
        await wait_until(lambda: len(stage.runner.discarded) >= 2, what='a sweep')
        assert stage.runner.discarded == ended[:2]
        assert (await stage.get(staying)).status is RUNNING
