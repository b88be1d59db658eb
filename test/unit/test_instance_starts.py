# SPDX-License-Identifier: Apache-2.0
"""Executions on behalf of instances: who starts and stops them, one at a time."""

import asyncio
from dataclasses import replace
from typing import Any

from clients import CLIENT
from execution_stage import APP, FAILED, NOW, PREPARED, RUNNING, Stage, STOP, TERMINATED
from fakes import whole_log
import pytest

from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.again import repetition_of
from gateway_node.executions.errors import InstanceAlreadyRunning, StoreUnavailable
from gateway_node.executions.events import EventKind, Happening
from gateway_node.executions.instance_refs import (
    InstanceRef,
    InstanceStart,
    PendingFiring,
    TriggerRef,
)
from gateway_node.executions.rights import Rights
from gateway_node.executions.scopes import Scope
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, Trigger, TriggerType
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.values import Retries

HOT = '/motor temperature above 60'
BY_HAND = replace(NOW, instance=InstanceStart(name='nightly', version='v1'))
ANN = Rights(name='ann', role=Role.OPERATOR)


def fired(
    firing: int = 7, *, name: str = 'nightly', rights: Rights | None = ANN, **fields: Any
) -> StartRequest:
    """Return what a firing wants started."""
    trigger = Trigger(type=TriggerType.CONDITION, setting=HOT, firing=firing)
    start = InstanceStart(name=name, version='v1', trigger=trigger, rights=rights)
    return replace(NOW, instance=start, **fields)


def ref_of(script_id: str) -> InstanceRef:
    return InstanceRef(entity=APP, script_id=script_id, name='nightly')


async def fire(stage: Stage, script_id: str, *, stops: bool = False) -> int:
    """Record that a trigger fired; return the sequence of the event."""
    ref = ref_of(script_id)
    fires = PendingFiring(
        trigger=TriggerRef(instance=ref, condition='{}'),
        pointer='/stop_triggers/0' if stops else '/start_triggers/0',
        setting=HOT,
        stops=stops,
    )
    kind = EventKind.TRIGGER_FIRED
    happening = Happening(kind=kind, subject=ref.subject, actor=GATEWAY, fires=fires)
    (event,) = await stage.ledger.record(happening)
    return event.sequence


async def pending(stage: Stage) -> list[int]:
    return [*await stage.store.instance_store.pending_firings()]


async def start(stage: Stage, script_id: str, request: StartRequest) -> Execution:
    return await stage.service.start(APP, script_id, request, actor=CLIENT)


async def running(stage: Stage, script_id: str, request: StartRequest = BY_HAND) -> Execution:
    """Start an execution, and wait until it runs."""
    execution = await start(stage, script_id, request)
    await stage.runner.script(execution.id)
    return await stage.listener.wait_for(execution.id, RUNNING)


async def test_what_is_started_by_hand_names_its_instance(stage: Stage) -> None:
    """With the version that it has then; whoever asks started it."""
    execution = await start(stage, await stage.upload(), BY_HAND)
    assert (execution.instance, execution.instance_version) == ('nightly', 'v1')
    assert execution.trigger == Trigger(type=TriggerType.MANUAL, username=CLIENT.name)


async def test_what_a_condition_starts_is_started_as_who_made_the_instance(stage: Stage) -> None:
    """Its script has their rights, and the log names them; it was no client."""
    execution = await start(stage, await stage.upload(), fired())
    assert execution.trigger == Trigger(type=TriggerType.CONDITION, setting=HOT, firing=7)
    assert execution.rights == ANN
    accepted, *_ = await whole_log(stage.store)
    actor = Actor(name='ann', role=Role.OPERATOR, origin='gateway')
    assert (accepted.actor, accepted.cause) == (actor, 'condition')


async def test_where_nobody_was_asked_who_they_are_the_gateway_starts_it(stage: Stage) -> None:
    """As it does all that nobody else does."""
    execution = await start(stage, await stage.upload(), fired(rights=None))
    assert execution.rights is None
    assert (await whole_log(stage.store))[-1].actor == GATEWAY


async def test_who_does_not_see_the_script_has_nothing_started_by_their_instance(
    stage: Stage,
) -> None:
    """It may have another name by now, or other tags, than when the instance was made."""
    rights = replace(ANN, scope=Scope(tags=('brakes',)))
    with pytest.raises(ScriptNotFound):
        await start(stage, await stage.upload(), fired(rights=rights))


async def test_an_instance_has_one_execution_at_a_time(stage: Stage) -> None:
    """Whatever starts the second one; it is told which one is open."""
    script_id = await stage.upload()
    first = await running(stage, script_id)
    assert stage.service.open_of_instance(ref_of(script_id)) == first.id
    for request in (BY_HAND, fired()):
        with pytest.raises(InstanceAlreadyRunning) as refused:
            await start(stage, script_id, request)
        assert refused.value.execution_id == first.id
    (await stage.runner.script(first.id)).exit()
    await stage.listener.wait_for(first.id)
    second = await running(stage, script_id, fired())
    assert stage.service.open_of_instance(ref_of(script_id)) == second.id


async def test_other_instances_and_the_script_itself_are_free(stage: Stage) -> None:
    """A name is that of an instance of its script alone."""
    script_id = await stage.upload()
    await running(stage, script_id)
    await start(stage, script_id, fired(name='verbose'))
    await start(stage, script_id, NOW)
    await start(stage, await stage.upload(), BY_HAND)


async def test_of_starts_at_the_same_moment_one_is_let_in(stage: Stage) -> None:
    """Nothing is in line twice."""
    script_id = await stage.upload()
    wanted = [start(stage, script_id, request) for request in (BY_HAND, fired(), fired(8))]
    results = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(isinstance(each, Execution) for each in results) == 1
    assert sum(isinstance(each, InstanceAlreadyRunning) for each in results) == 2


async def test_one_that_waits_in_line_is_open(stage: Stage) -> None:
    """Another one would have to wait behind it."""
    others = [await running(stage, await stage.upload(), NOW) for _ in range(2)]
    script_id = await stage.upload()
    waiting = await start(stage, script_id, fired())
    assert waiting.queue_position == 1
    with pytest.raises(InstanceAlreadyRunning):
        await start(stage, script_id, fired(8))
    await stage.stop(waiting)
    (await stage.runner.script(others[0].id)).exit()
    await stage.listener.wait_for(others[0].id)
    assert (await running(stage, script_id, fired(9))).trigger.firing == 9


async def test_a_start_that_is_refused_leaves_the_instance_free(stage: Stage) -> None:
    """Whatever refuses it, and also where it could not be recorded."""
    script_id = await stage.upload()
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await start(stage, script_id, fired())
    stage.store.unavailable = None
    assert stage.service.open_of_instance(ref_of(script_id)) is None
    await start(stage, script_id, fired())


async def test_as_long_as_a_further_attempt_is_to_come_the_instance_is_not_free(
    stage: Stage,
) -> None:
    """The attempt is one of the instance, too, and waits for its delay already."""
    script_id = await stage.upload(retries=Retries(limit=1, delay_sec=3600))
    first = await running(stage, script_id, fired())
    (await stage.runner.script(first.id)).exit(3)
    assert (await stage.listener.wait_for(first.id)).status is FAILED
    with pytest.raises(InstanceAlreadyRunning) as refused:
        await start(stage, script_id, BY_HAND)
    further = await stage.questions.get_by_id(refused.value.execution_id)
    assert (further.parent, further.status) == (first.id, PREPARED)
    assert (further.instance, further.instance_version) == ('nightly', 'v1')
    assert further.trigger.firing is None


async def test_a_condition_stops_as_a_client_does(stage: Stage) -> None:
    """Its maker wanted the end: it is terminated, whatever the exit code, and says what fired."""
    script_id = await stage.upload()
    execution = await running(stage, script_id)
    firing = await fire(stage, script_id, stops=True)
    assert await pending(stage) == [firing]
    trigger = Trigger(type=TriggerType.CONDITION, setting=HOT, firing=firing)
    await stage.service.stop(APP, script_id, execution.id, STOP, actor=GATEWAY, trigger=trigger)
    assert await pending(stage) == []
    (await stage.runner.script(execution.id)).exit(0)
    ended = await stage.listener.wait_for(execution.id)
    assert (ended.status, ended.stop_trigger) == (TERMINATED, trigger)
    stopped = [
        each
        for each in await whole_log(stage.store)
        if each.kind is EventKind.EXECUTION_STOP_ACCEPTED
    ]
    assert [(each.actor, each.cause) for each in stopped] == [(GATEWAY, 'condition')]


async def test_who_wants_the_end_first_is_told(stage: Stage) -> None:
    """A client's stop on top changes nothing, nor does the shutdown."""
    script_id = await stage.upload()
    execution = await running(stage, script_id)
    trigger = Trigger(type=TriggerType.CONDITION, setting=HOT, firing=8)
    await stage.service.stop(APP, script_id, execution.id, STOP, actor=GATEWAY, trigger=trigger)
    await stage.stop(execution)
    stage.service.close()
    (await stage.runner.script(execution.id)).exit(0)
    assert (await stage.listener.wait_for(execution.id)).stop_trigger == trigger


async def test_a_firing_is_due_until_what_it_starts_is_on_record(stage: Stage) -> None:
    """A start that is refused leaves it; a further attempt has nothing to do with it."""
    script_id = await stage.upload()
    firing = await fire(stage, script_id)
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await start(stage, script_id, fired(firing))
    stage.store.unavailable = None
    assert await pending(stage) == [firing]
    execution = await running(stage, script_id, fired(firing))
    assert await pending(stage) == []
    (await stage.runner.script(execution.id)).exit()
    await stage.listener.wait_for(execution.id)
    await stage.service.delete(APP, script_id, execution.id, actor=CLIENT)
    assert await pending(stage) == []


async def test_what_is_repeated_by_hand_is_of_the_script_alone(stage: Stage) -> None:
    """It is given what the first one was, whatever the instance has by now; and so it may run
    beside the instance."""
    script_id = await stage.upload()
    first = await running(stage, script_id, fired())
    (await stage.runner.script(first.id)).exit()
    ended = await stage.listener.wait_for(first.id)
    again = await start(stage, script_id, repetition_of(ended))
    assert (again.instance, again.instance_version, again.parent) == (None, None, first.id)
    await start(stage, script_id, BY_HAND)
