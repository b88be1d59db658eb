# SPDX-License-Identifier: Apache-2.0
"""One script on several entities: a parent that executes nothing, and its children."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from clients import CLIENT
from execution_stage import (
    COMPLETED,
    FAILED,
    Gate,
    MANY,
    NOW,
    PREPARED,
    RUNNING,
    set_stage,
    Stage,
    STOP,
    TERMINATED,
)
from fakes import add, new_execution
import pytest

from gateway_node.entities.values import EntityRef, EntityType, GraphSnapshot, NodeName
from gateway_node.executions import active_execution as active_execution_module
from gateway_node.executions import active_group as active_group_module
from gateway_node.executions.active_group import ActiveGroup
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    LineFull,
    NothingToStart,
    ScriptAlreadyRunning,
    StoreUnavailable,
)
from gateway_node.executions.events import Change, Event, EventKind, Happening
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group import Group, Skipped
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.settings import ConcurrencyLimits
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, StopAction
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Retries

ARMS = tuple(EntityRef(entity_type=EntityType.APP, entity_id=f'arm_{n}') for n in range(3))
HOST = EntityRef(entity_type=EntityType.COMPONENT, entity_id='robot')
EVERYWHERE = GroupRequest(script='check', entities=('apps/arm_*',), start=NOW)
DEADLINE_SEC = 20.0


async def with_arms(stage: Stage) -> Stage:
    """Let three apps appear, each with a script of one name."""
    nodes = (NodeName(namespace='/', name=arm.entity_id) for arm in ARMS)
    stage.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    for arm in ARMS:
        await stage.upload(arm, name='check')
    return stage


@pytest.fixture
async def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: RetentionPolicy
) -> AsyncIterator[Stage]:
    """Set a stage with three arms, on which no limit is reached."""
    async with set_stage(tmp_path, retention, monkeypatch, MANY) as stage:
        yield await with_arms(stage)


@pytest.fixture
async def narrow_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: RetentionPolicy
) -> AsyncIterator[Stage]:
    """Set a stage with three arms, and one place for all."""
    limits = ConcurrencyLimits(max_executions=1, max_executions_per_entity=1)
    async with set_stage(tmp_path, retention, monkeypatch, limits) as stage:
        yield await with_arms(stage)


async def start(
    stage: Stage, request: GroupRequest = EVERYWHERE, actor: Actor = CLIENT
) -> Execution:
    """Start a group."""
    return await stage.service.start_group(request, stage.directory, actor=actor)


async def children(stage: Stage, group: Execution) -> list[Execution]:
    """Return the children of a group, oldest first."""
    wanted = ExecutionFilter(parents=frozenset({group.id}))
    found = await stage.store.find(wanted, KeysetPage(limit=-100))
    return list(reversed(found.executions))


async def count(stage: Stage) -> int:
    """Return how many executions are on record."""
    return sum((await stage.store.counts()).values())


async def end(stage: Stage, execution: Execution, exit_code: int = 0) -> Execution:
    """Let an execution's script exit."""
    async with asyncio.timeout(DEADLINE_SEC):
        (await stage.runner.script(execution.id)).exit(exit_code)
        return await stage.listener.wait_for(execution.id)


async def test_a_group_is_recorded_with_its_children(stage: Stage) -> None:
    """In one commit, on the host, as asked for; the children name it, each on its entity."""
    request = replace(
        EVERYWHERE, start=replace(NOW, parameters={'depth': 3}, arguments=('-v',)), max_parallel=2
    )
    group = await start(stage, request)
    made = await children(stage, group)
    accepted = [
        event.subject_id
        for event in stage.listener.events
        if event.kind is EventKind.EXECUTION_ACCEPTED
    ]
    assert accepted == [group.id, *(each.id for each in made)]
    assert (group.entity, group.script_name, group.status) == (HOST, 'check', PREPARED)
    assert group.group == Group(script='check', entities=('apps/arm_*',), max_parallel=2)
    assert [each.entity for each in made] == [*ARMS]
    for each in [group, *[await stage.questions.get_by_id(child.id) for child in made]]:
        assert (each.input_parameters, each.arguments) == ({'depth': 3}, ('-v',))
    assert {each.parent for each in made} == {group.id}
    for entity in (HOST, *ARMS):
        assert stage.service.concern(entity)


async def test_a_group_runs_with_its_first_child_and_ends_with_its_last(stage: Stage) -> None:
    """It is completed where all of them are."""
    group = await start(stage)
    await stage.listener.wait_for(group.id, RUNNING)
    first, *others = await children(stage, group)
    await end(stage, first)
    for each in others:
        assert (await stage.questions.get_by_id(group.id)).status is RUNNING
        await end(stage, each)
    ended = await stage.listener.wait_for(group.id)
    assert (ended.status, ended.failure) == (COMPLETED, None)
    assert ended.duration_ms is not None
    counts = await stage.store.count_children(group.id)
    assert dict(counts.by_status) == {COMPLETED: 3}


async def test_a_group_fails_where_a_child_does_not_complete(stage: Stage) -> None:
    """Its error counts the ends; a child that a client stopped did not complete either."""
    group = await start(stage)
    failing, stopped, fine = await children(stage, group)
    await end(stage, failing, 3)
    await stage.service.stop(
        stopped.entity, stopped.script_id, stopped.id, StopAction.FORCED_TERMINATION, actor=CLIENT
    )
    await end(stage, stopped)
    await end(stage, fine)
    ended = await stage.listener.wait_for(group.id)
    assert ended.status is FAILED
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.CHILDREN_FAILED
    assert ended.failure.message == '2 of its 3 executions did not complete'
    assert ended.failure.parameters == {'completed': 1, 'failed': 1, 'terminated': 1}


async def test_a_stop_of_a_group_stops_all_of_it(narrow_stage: Stage) -> None:
    """What waits too; it is terminated, whatever becomes of its children."""
    stage = narrow_stage
    group = await start(stage)
    first, *waiting = await children(stage, group)
    script = await stage.runner.script(first.id)
    answer = await stage.service.stop(HOST, group.script_id, group.id, STOP, actor=CLIENT)
    assert answer.terminating
    assert await script.wait_stop_asked() is STOP
    for each in waiting:
        assert (await stage.listener.wait_for(each.id)).status is TERMINATED
    script.exit(0)
    ended = await stage.listener.wait_for(group.id)
    assert (ended.status, ended.failure) == (TERMINATED, None)
    assert ended.stop_trigger is not None
    assert stage.runner.started == (first.id,)


async def test_a_store_that_stalls_keeps_no_group_alive(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scripts hear of the stop all the same, and its end tells who asked for it."""
    group = await start(stage)
    await stage.listener.wait_for(group.id, RUNNING)
    scripts = [await stage.runner.script(each.id) for each in await children(stage, group)]
    gate, record = Gate(), stage.store.record

    async def record_late(news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        await gate.wait()
        return await record(news)

    monkeypatch.setattr(stage.store, 'record', record_late)
    monkeypatch.setattr(active_group_module, 'RECORD_PATIENCE_SEC', 0.01)
    monkeypatch.setattr(active_execution_module, 'RECORD_PATIENCE_SEC', 0.01)
    stopping = asyncio.ensure_future(
        stage.service.stop(HOST, group.script_id, group.id, STOP, actor=CLIENT)
    )
    for script in scripts:
        assert await script.wait_stop_asked() is STOP
    with pytest.raises(StoreUnavailable, match='is not recorded yet'):
        await stopping
    gate.set()
    for script in scripts:
        script.exit(0)
    ended = await stage.listener.wait_for(group.id)
    assert ended.status is TERMINATED
    assert ended.stop_trigger is not None


async def test_a_group_can_be_let_go_of(stage: Stage) -> None:
    """Where its children are not to be stopped with it, it ends and they go on."""
    group = await start(stage)
    await stage.listener.wait_for(group.id, RUNNING)
    answer = await stage.service.stop(
        HOST, group.script_id, group.id, STOP, actor=CLIENT, stop_children=False
    )
    assert answer.status is TERMINATED
    for each in await children(stage, group):
        assert not each.terminating
        assert (await end(stage, each)).status is COMPLETED


async def test_a_further_attempt_stands_for_the_one_before(stage: Stage) -> None:
    """A group waits for it, and is completed where that is."""
    group = new_execution(1, entity=HOST, group=Group(script='check', entities=('*',)))
    child = new_execution(2, parent=group.id, ancestors=(group.id,))
    await add(stage.store, group)
    active = ActiveGroup(group, {child.id: child}, ledger=stage.ledger, clock=stage.clock)
    driving = asyncio.ensure_future(active.drive())
    began = child.evolve(status=RUNNING, started_at=child.created_at)
    active.note(began.evolve(status=FAILED))
    further = new_execution(3, parent=child.id, ancestors=(group.id,))
    active.note(further)
    await stage.listener.wait_for(group.id, RUNNING)
    assert not driving.done()
    active.note(further.evolve(status=COMPLETED, started_at=child.created_at))
    await driving
    assert active.execution.status is COMPLETED


async def test_so_many_of_a_group_run_at_a_time(stage: Stage) -> None:
    """`max_parallel` is kept whatever the limits allow, and others do not count in it."""
    await start(stage)
    group = await start(stage, replace(EVERYWHERE, max_parallel=1))
    waiting = await children(stage, group)
    while waiting:
        started = [each for each in waiting if each.id in stage.runner.started]
        assert started in ([], waiting[:1])
        await end(stage, waiting.pop(0))
    assert (await stage.listener.wait_for(group.id)).status is COMPLETED


async def test_further_attempts_are_bounded_too(stage: Stage) -> None:
    """What follows a child waits for its turn in the group, as any of its children does."""
    for arm in ARMS:
        await stage.upload(arm, name='shaky', retries=Retries(limit=1))
    group = await start(stage, replace(EVERYWHERE, script='shaky', max_parallel=1))
    first, second, third = await children(stage, group)
    await end(stage, first, 3)
    await stage.runner.script(second.id)
    (further,) = await children(stage, first)
    assert (await stage.questions.get_by_id(further.id)).queue_position == 2
    for each in (second, third, further):
        await stage.runner.script(each.id)
        assert stage.runner.started[-1] == each.id
        await end(stage, each)
    assert (await stage.listener.wait_for(group.id)).status is COMPLETED


async def test_a_group_takes_no_place(narrow_stage: Stage) -> None:
    """Where there is one, its children have it, one after the other."""
    group = await start(narrow_stage)
    for each in await children(narrow_stage, group):
        await end(narrow_stage, each)
    assert (await narrow_stage.listener.wait_for(group.id)).status is COMPLETED


async def test_entities_without_the_script_are_skipped(stage: Stage) -> None:
    """And those that there are not; by an id or a name, which has to be the only one."""
    by_id = (await stage.library.list(ARMS[0]))[0].id
    group = await start(
        stage, replace(EVERYWHERE, script=by_id, entities=('apps/arm_0', 'apps/gone', 'apps/*_1'))
    )
    assert [each.entity for each in await children(stage, group)] == [ARMS[0]]
    assert group.group is not None
    assert group.group.skipped == (
        Skipped(entity='apps/gone', reason='there is no such entity'),
        Skipped(entity='apps/arm_1', reason=f'it has no script {by_id!r}'),
    )
    await stage.upload(ARMS[1], name='check')
    group = await start(stage)
    assert [each.entity for each in await children(stage, group)] == [ARMS[0], ARMS[2]]
    assert group.group is not None
    (skipped,) = group.group.skipped
    assert skipped.reason == "2 of its scripts are named 'check'; say which by its id"


async def test_nothing_to_start_is_said(stage: Stage) -> None:
    """Where no entity has the script, or none is meant."""
    for request in (
        replace(EVERYWHERE, script='other'),
        replace(EVERYWHERE, entities=('components/nothing_*',)),
    ):
        with pytest.raises(NothingToStart) as caught:
            await start(stage, request)
        assert repr(request.script) in str(caught.value)
    assert await count(stage) == 0


async def test_a_group_that_does_not_fit_is_refused_as_a_whole(
    narrow_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is recorded, nothing waits, and the place that was free is free again."""
    stage = narrow_stage
    room = 100
    wide = tuple(
        EntityRef(entity_type=EntityType.APP, entity_id=f'leg_{n:03}') for n in range(room + 2)
    )
    nodes = (NodeName(namespace='/', name=each.entity_id) for each in wide)
    stage.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    for each in wide:
        await stage.upload(each, name='walk')
    walk = GroupRequest(script='walk', entities=('apps/leg_*',), start=NOW)
    with pytest.raises(LineFull):
        await start(stage, walk)
    assert await count(stage) == 0
    group = await start(stage, replace(walk, entities=('apps/leg_00*',)))
    assert len(await children(stage, group)) == 10
    assert (await stage.runner.script((await children(stage, group))[0].id)) is not None


async def test_what_refuses_one_refuses_all(stage: Stage) -> None:
    """Bad input, or a script that runs and may run once."""
    script_id = await stage.upload(ARMS[2], name='once', single_execution=True)
    for arm in ARMS[:2]:
        await stage.upload(arm, name='once')
    running = await stage.service.start(ARMS[2], script_id, NOW, actor=CLIENT)
    with pytest.raises(ScriptAlreadyRunning):
        await start(stage, replace(EVERYWHERE, script='once'))
    stage.runner.refusal = ParametersInvalid('depth is no number')
    with pytest.raises(ParametersInvalid):
        await start(stage)
    stage.runner.refusal = None
    assert await count(stage) == 1
    await end(stage, running)
    group = await start(stage, replace(EVERYWHERE, script='once', start=replace(NOW, queue=False)))
    assert len(await children(stage, group)) == 3


async def test_a_group_that_cannot_be_recorded_was_never_there(narrow_stage: Stage) -> None:
    """Nothing starts, and the place is free."""
    stage = narrow_stage
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await start(stage)
    stage.store.unavailable = None
    assert (await count(stage), stage.runner.started) == (0, ())
    group = await start(stage)
    for each in await children(stage, group):
        await end(stage, each)


async def test_a_group_is_removed_without_its_children(stage: Stage) -> None:
    """Once it has ended: each child is an execution of its own, with its own output."""
    group = await start(stage)
    with pytest.raises(ExecutionNotDeletable) as caught:
        await stage.service.delete(HOST, group.script_id, group.id, actor=CLIENT)
    assert 'stop it first' in str(caught.value)
    made = await children(stage, group)
    for each in made:
        await end(stage, each)
    await stage.listener.wait_for(group.id)
    await stage.service.delete(HOST, group.script_id, group.id, actor=CLIENT)
    assert await stage.store.get(group.id) is None
    assert len(await children(stage, group)) == 3


async def test_a_group_whose_end_is_being_recorded_is_not_to_be_stopped_first(
    stage: Stage,
) -> None:
    """It cannot be stopped any more; it can be deleted once that is done."""
    group = await start(stage)
    await stage.listener.wait_for(group.id, RUNNING)
    gate, persist = Gate(), stage.ledger.persist

    async def persist_late(*changes: Change) -> None:
        if changes[-1].execution.id == group.id:
            await gate.wait()
        await persist(*changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage.ledger, 'persist', persist_late)
        for each in await children(stage, group):
            await end(stage, each)
        async with asyncio.timeout(DEADLINE_SEC):
            await gate.reached.wait()
    with pytest.raises(ExecutionNotDeletable, match='its end is being recorded'):
        await stage.service.delete(HOST, group.script_id, group.id, actor=CLIENT)
    gate.set()
    await stage.listener.wait_for(group.id)
    await stage.service.delete(HOST, group.script_id, group.id, actor=CLIENT)


async def test_who_waits_for_a_group_waits_for_all_of_it(stage: Stage) -> None:
    """And has it as it is when the time is over."""
    group = await start(stage)
    assert (await stage.questions.ended_within(group, 0.0)).is_open
    waiting = asyncio.ensure_future(stage.questions.ended_within(group, DEADLINE_SEC))
    for each in await children(stage, group):
        await end(stage, each)
    assert (await waiting).status is COMPLETED


async def test_a_group_whose_children_are_stopped_by_the_end_of_the_gateway_fails(
    stage: Stage,
) -> None:
    """Its end is recorded before the gateway has closed."""
    group = await start(stage)
    await stage.listener.wait_for(group.id, RUNNING)
    stage.runner.release()
    stage.service.close()
    async with asyncio.timeout(DEADLINE_SEC):
        await stage.service.wait_closed()
    ended = await stage.store.get(group.id)
    assert ended is not None
    assert ended.status is FAILED
