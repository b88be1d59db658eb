# SPDX-License-Identifier: Apache-2.0
"""What failed is tried again, as often and as late as its script says."""

import asyncio
from dataclasses import replace
from typing import Any

from clients import CLIENT
from execution_stage import APP, FAILED, NOW, PREPARED, RUNNING, Stage
from fakes import whole_log
from loop_clock import LoopClock
import pytest

from gateway_node.executions.errors import ScriptHasOpenExecutions
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.scopes import Scope
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionStatus, ExecutionType, TriggerType
from gateway_node.scripts.errors import LibraryUnavailable
from gateway_node.scripts.metadata import parse_metadata
from gateway_node.scripts.values import Retries, Verdict

AT_ONCE = Retries(limit=2)
LATER = Retries(limit=1, delay_sec=3600)


async def failed(stage: Stage, script_id: str, request: StartRequest = NOW) -> Execution:
    """Have an execution fail by itself."""
    execution = await stage.service.start(APP, script_id, request, actor=CLIENT)
    (await stage.runner.script(execution.id)).exit(3)
    return await stage.listener.wait_for(execution.id)


async def all_of(stage: Stage, script_id: str) -> list[Execution]:
    """Return the executions of a script, oldest first."""
    wanted = ExecutionFilter(entity=APP, script_id=script_id)
    page = await stage.questions.find(wanted, KeysetPage(limit=-100))
    return [await stage.questions.get_by_id(each.execution_id) for each in page.executions[::-1]]


async def following(stage: Stage, ended: Execution) -> Execution:
    """Return what follows an execution."""
    (found,) = [each for each in await all_of(stage, ended.script_id) if each.parent == ended.id]
    return found


async def test_what_failed_is_tried_again_with_the_same_until_the_limit(stage: Stage) -> None:
    """Each attempt is an execution of its own, whose parent is the one before."""
    script_id = await stage.upload(retries=AT_ONCE)
    request = StartRequest(
        execution_type=ExecutionType.NOW,
        parameters={'a': 1},
        arguments=('-v',),
        timeout_sec=7.0,
        priority=80,
    )
    first = await failed(stage, script_id, request)
    attempts = [first]
    for number in (2, 3):
        further = await following(stage, attempts[-1])
        script = await stage.runner.script(further.id)
        order = script.order
        assert (order.parameters, order.arguments) == ({'a': 1}, ('-v',))
        assert (order.timeout_sec, further.priority) == (7.0, 80)
        assert (further.attempt, further.execution_type) == (number, ExecutionType.NOW)
        assert (further.trigger.type, further.trigger.setting) == (TriggerType.SYSTEM, 'retry')
        script.exit(3)
        attempts.append(await stage.listener.wait_for(further.id))
    assert [each.status for each in attempts] == [FAILED] * 3
    assert len(await all_of(stage, script_id)) == 3


async def test_an_end_and_what_follows_it_are_one_commit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is never the one without the other; the log tells them in this order."""
    commits: list[list[str]] = []
    record = stage.store.record

    async def noting(news: Any) -> Any:
        commits.append([each.kind.value for each in news])
        return await record(news)

    monkeypatch.setattr(stage.store, 'record', noting)
    await failed(stage, await stage.upload(retries=LATER))
    assert commits[-1][-2:] == ['execution.ended', 'execution.accepted']
    events = await whole_log(stage.store)
    assert [event.kind.value for event in events[-2:]] == commits[-1][-2:]
    assert events[-1].cause == 'system'


async def test_what_ended_well_is_not_tried_again(stage: Stage) -> None:
    """Whatever it found: a verdict is no failure."""
    script_id = await stage.upload(retries=AT_ONCE, exit_verdicts={3: Verdict.FAIL})
    ended = await failed(stage, script_id)
    assert (ended.status, ended.verdict) == (ExecutionStatus.COMPLETED, Verdict.FAIL)
    assert await all_of(stage, script_id) == [ended]


async def test_what_a_client_stopped_is_not_tried_again(stage: Stage) -> None:
    """Neither while it runs nor while it waits."""
    script_id = await stage.upload(retries=LATER)
    execution, script = await stage.running(script_id)
    await stage.stop(execution)
    script.exit(143)
    await stage.listener.wait_for(execution.id)
    assert len(await all_of(stage, script_id)) == 1


async def test_what_waits_to_be_tried_again_can_be_stopped(stage: Stage) -> None:
    """It is `prepared` meanwhile, and its script cannot be deleted."""
    script_id = await stage.upload(retries=LATER)
    further = await following(stage, await failed(stage, script_id))
    assert (further.status, further.attempt) == (PREPARED, 2)
    with pytest.raises(ScriptHasOpenExecutions):
        await stage.script_changes.delete(APP, script_id, actor=CLIENT)
    stopped = await stage.stop(further)
    assert stopped.status is ExecutionStatus.TERMINATED
    assert stage.listener.statuses(further.id) == [PREPARED, ExecutionStatus.TERMINATED]
    await stage.script_changes.delete(APP, script_id, actor=CLIENT)


async def test_nothing_is_tried_again_that_who_started_it_does_not_see_any_more(
    stage: Stage,
) -> None:
    """The script has other tags by now: an attempt is a start of it as it is."""
    script_id = await stage.upload(retries=AT_ONCE, tags=('open',))
    narrowed = replace(CLIENT, name='ann', scope=Scope(tags=('open',)))
    first = await stage.service.start(APP, script_id, NOW, actor=narrowed)
    script = await stage.runner.script(first.id)
    await stage.replace(script_id, metadata=parse_metadata({'tags': ['closed']}))
    script.exit(3)
    further = await following(stage, await stage.listener.wait_for(first.id))
    ended = await stage.listener.wait_for(further.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.SCRIPT_GONE
    assert len(await all_of(stage, script_id)) == 2


async def test_what_the_library_cannot_tell_of_is_not_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end is recorded all the same, and the log says why nothing follows."""
    script_id = await stage.upload(retries=AT_ONCE)
    execution, script = await stage.running(script_id)

    async def unavailable(*_: object) -> None:
        raise LibraryUnavailable('the disk is gone')

    with monkeypatch.context() as patch:
        patch.setattr(stage.library, 'get', unavailable)
        script.exit(3)
        ended = await stage.listener.wait_for(execution.id)
    assert await all_of(stage, script_id) == [ended]
    assert f'{ended.id} is not tried again: the disk is gone' in caplog.text


async def test_what_waits_takes_no_place(stage: Stage) -> None:
    """Others run meanwhile, of the same script too where that runs once at a time."""
    script_id = await stage.upload(retries=LATER, single_execution=True)
    await failed(stage, script_id)
    execution, script = await stage.running(script_id)
    assert execution.status is RUNNING
    script.exit(0)


async def test_the_version_of_the_moment_is_tried_again(stage: Stage) -> None:
    """With what it then says of further attempts: who mended it wants that to be tried."""
    script_id = await stage.upload(retries=AT_ONCE)
    execution, script = await stage.running(script_id)
    await stage.replace(script_id)
    script.exit(3)
    ended = await stage.listener.wait_for(execution.id)
    further = await following(stage, ended)
    assert further.script_version != ended.script_version
    order = (await stage.runner.script(further.id)).order
    assert order.script.version == further.script_version


async def test_a_store_that_takes_nothing_holds_both_up(stage: Stage) -> None:
    """The end is told, and the next attempt begun, once both are on record."""
    script_id = await stage.upload(retries=AT_ONCE)
    execution, script = await stage.running(script_id)
    stage.store.unavailable = 'disk full'
    script.exit(3)
    await asyncio.sleep(0)
    assert stage.listener.statuses(execution.id) == [PREPARED, RUNNING]
    stage.store.unavailable = None
    ended = await stage.listener.wait_for(execution.id)
    further = await following(stage, ended)
    (await stage.runner.script(further.id)).exit(0)
    assert (await stage.listener.wait_for(further.id)).attempt == 2


async def test_who_waited_for_the_end_sees_what_follows_it(stage: Stage) -> None:
    """The detail that was kept for whoever waited counts it among the children."""
    script_id = await stage.upload(retries=LATER)
    execution, script = await stage.running(script_id)
    waiting = asyncio.create_task(stage.questions.ended_within(execution, 60))
    await asyncio.sleep(0)
    script.exit(3)
    ended = await waiting
    detail = await stage.questions.detail_by_id(ended.id)
    assert '"children":{"total":1' in detail.beside


async def test_what_is_to_be_tried_again_waits_for_its_delay(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it is let in as whatever is accepted."""
    further = await following(stage, await failed(stage, await stage.upload(retries=LATER)))
    clock = LoopClock(monkeypatch)
    await clock.advance(0)  # it has begun to wait
    await clock.advance(3599)
    assert stage.listener.statuses(further.id) == [PREPARED]
    await clock.advance(1)
    (await stage.runner.script(further.id)).exit(0)
    assert (await stage.listener.wait_for(further.id)).status is ExecutionStatus.COMPLETED


async def test_what_expired_in_line_is_not_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wants it any more."""
    script_id = await stage.upload(retries=AT_ONCE)
    for _ in range(2):
        await stage.running(script_id)
    request = StartRequest(execution_type=ExecutionType.NOW, expires_in_sec=100)
    waiting = await stage.service.start(APP, script_id, request, actor=CLIENT)
    clock = LoopClock(monkeypatch)
    await clock.advance(100)
    ended = await stage.listener.wait_for(waiting.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.EXPIRED
    assert len(await all_of(stage, script_id)) == 3
