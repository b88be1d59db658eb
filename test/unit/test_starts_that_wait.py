# SPDX-License-Identifier: Apache-2.0
"""Clients' starts that find no place: they are accepted, and wait in line."""

import asyncio
from dataclasses import replace

from clients import CLIENT
from execution_stage import APP, COMPONENT, NOW, Stage
from fakes import WAITING
import pytest

from gateway_node.executions.errors import (
    LineFull,
    RunnerUnavailable,
    ScriptAlreadyRunning,
    StoreUnavailable,
)
from gateway_node.executions.events import EventKind
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.values import Execution, ExecutionStatus, ExecutionType, StopAction
from gateway_node.scripts.errors import ParametersInvalid

PREPARED = ExecutionStatus.PREPARED
ACCEPTED, QUEUED = EventKind.EXECUTION_ACCEPTED, EventKind.EXECUTION_QUEUED


async def fill(stage: Stage) -> tuple[str, list[str]]:
    """Let a script take all places of the app; return its id, and those of its executions."""
    script_id = await stage.upload()
    return script_id, [(await stage.running(script_id))[0].id for _ in range(2)]


async def start(stage: Stage, script_id: str, priority: int = 50) -> Execution:
    """Start an execution on the app."""
    request = replace(NOW, priority=priority)
    return await stage.service.start(APP, script_id, request, actor=CLIENT)


async def end(stage: Stage, execution_id: str) -> None:
    """Let a script end, and its execution with it."""
    (await stage.runner.script(execution_id)).exit(0)
    await stage.listener.wait_for(execution_id)


async def test_a_start_that_finds_no_place_is_accepted_and_starts_when_there_is_one(
    stage: Stage,
) -> None:
    """It is on record, with one commit, that it was accepted and has to wait."""
    script_id, (first, _) = await fill(stage)
    began = len(stage.listener.events)
    waiting = await start(stage, script_id)
    assert (waiting.status, waiting.queue_position) == (PREPARED, 1)
    told = stage.listener.events[began:]
    assert [(each.kind, each.subject_id) for each in told] == [
        (ACCEPTED, waiting.id),
        (QUEUED, waiting.id),
    ]
    assert 'queue_position' not in told[0].changes
    assert (await stage.questions.get_by_id(waiting.id)).queue_position == 1
    assert waiting.id not in stage.runner.started
    await end(stage, first)
    await stage.runner.script(waiting.id)
    assert (await stage.questions.get_by_id(waiting.id)).queue_position is None
    await end(stage, waiting.id)
    queued = [each for each in stage.listener.events if each.kind is QUEUED]
    assert [each.subject_id for each in queued] == [waiting.id]


async def test_of_those_that_wait_the_higher_priority_goes_first(stage: Stage) -> None:
    """Then who came first; all are told where they stand."""
    script_id, running = await fill(stage)
    waiting = [(await start(stage, script_id, priority)).id for priority in (50, 0, 100, 50)]
    positions = [(await stage.questions.get_by_id(each)).queue_position for each in waiting]
    assert positions == [2, 4, 1, 3]
    for each in running:
        await end(stage, each)
    for turn in (waiting[2], waiting[0], waiting[3], waiting[1]):
        await end(stage, turn)
    assert stage.runner.started == (*running, waiting[2], waiting[0], waiting[3], waiting[1])


async def test_what_waits_runs_in_the_version_in_which_it_was_accepted(stage: Stage) -> None:
    """Though the script is replaced meanwhile; and it cannot be deleted."""
    script_id, (first, _) = await fill(stage)
    waiting = await start(stage, script_id)
    await stage.replace(script_id)
    assert waiting.id in stage.service.needing(APP, script_id)
    await end(stage, first)
    order = (await stage.runner.script(waiting.id)).order
    assert order.script.version == waiting.script_version
    assert order.script.path.read_bytes() == b'true\n'


async def test_what_waits_needs_its_entity_no_more_than_what_starts_at_once(
    stage: Stage,
) -> None:
    """A dead node is what one diagnoses: that the entity is offline keeps nothing waiting."""
    script_id = await stage.upload(COMPONENT)
    runs = [await stage.service.start(COMPONENT, script_id, NOW, actor=CLIENT) for _ in range(3)]
    assert [each.queue_position for each in runs] == [None, None, 1]
    await end(stage, runs[0].id)
    await end(stage, runs[2].id)


async def test_bad_input_is_refused_at_the_start_although_it_would_wait(stage: Stage) -> None:
    """Nothing of it is recorded, and it leaves the line."""
    script_id, _ = await fill(stage)
    stage.runner.refusal = ParametersInvalid('no', ())
    with pytest.raises(ParametersInvalid):
        await start(stage, script_id)
    stage.runner.refusal = None
    assert (await start(stage, script_id)).queue_position == 1


async def test_what_cannot_be_recorded_does_not_wait(stage: Stage) -> None:
    """Its place in line is free again."""
    script_id, _ = await fill(stage)
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await start(stage, script_id)
    stage.store.unavailable = None
    assert (await start(stage, script_id)).queue_position == 1


async def test_only_so_many_wait(stage: Stage) -> None:
    """One more is refused: also where all come in one moment."""
    script_id, _ = await fill(stage)
    starts = [start(stage, script_id) for _ in range(WAITING.max_waiting + 2)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    refused = [each for each in results if not isinstance(each, Execution)]
    assert [type(each) for each in refused] == [LineFull] * 2


async def test_a_single_execution_script_is_refused_while_one_waits(stage: Stage) -> None:
    """As while one runs."""
    await fill(stage)
    single = await stage.upload(single_execution=True)
    waiting = await start(stage, single)
    with pytest.raises(ScriptAlreadyRunning) as refused:
        await start(stage, single)
    assert refused.value.execution_id == waiting.id


async def test_what_waits_can_be_stopped(stage: Stage) -> None:
    """It is terminated, never started, and those behind it move up."""
    script_id, running = await fill(stage)
    first, second = await start(stage, script_id), await start(stage, script_id)
    stopped = await stage.service.stop(APP, script_id, first.id, StopAction.STOP, actor=CLIENT)
    assert (stopped.status, stopped.started_at) == (ExecutionStatus.TERMINATED, None)
    assert (await stage.questions.get_by_id(second.id)).queue_position == 1
    assert stage.runner.started == tuple(running)


async def test_what_the_runner_refuses_in_its_turn_fails(stage: Stage) -> None:
    """As a launch fragment that does not take its parameters: only then it is executed."""
    script_id, (first, _) = await fill(stage)
    waiting = await start(stage, script_id)
    stage.runner.refusal = ParametersInvalid('requires others', ())
    await end(stage, first)
    ended = await stage.listener.wait_for(waiting.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.PARAMETERS_REFUSED


async def test_what_is_amiss_for_the_moment_in_its_turn_is_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asks again for what was accepted."""
    monkeypatch.setattr('gateway_node.executions.admission._RETRY_SEC', 0.01)
    script_id, (first, _) = await fill(stage)
    waiting = await start(stage, script_id)
    stage.runner.not_ready = RunnerUnavailable('the spawner is being started')
    await end(stage, first)
    stage.runner.not_ready = None
    await end(stage, waiting.id)


async def test_what_waits_at_the_end_of_the_gateway_fails_with_it(stage: Stage) -> None:
    """Where nothing prepared is started by the next one."""
    script_id, _ = await fill(stage)
    waiting = await start(stage, script_id)
    stage.service.close()
    ended = await stage.listener.wait_for(waiting.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.SHUTDOWN


async def test_what_waits_may_bring_its_schedule(stage: Stage) -> None:
    """Both are on record at once; the schedule has its priority too."""
    script_id, _ = await fill(stage)
    request = replace(NOW, execution_type=ExecutionType.NOW_AND_ON_RESTART, priority=70)
    waiting = await stage.service.start(APP, script_id, request, actor=CLIENT)
    assert (waiting.status, waiting.queue_position) == (PREPARED, 1)
    assert waiting.schedule is not None
    assert (await stage.questions.get_by_id(waiting.schedule)).priority == 70
    await stage.service.delete(APP, script_id, waiting.schedule, actor=CLIENT)
