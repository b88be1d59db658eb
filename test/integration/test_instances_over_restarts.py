# SPDX-License-Identifier: Apache-2.0
"""Instances have one execution at a time over restarts too, and no firing leads to two."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clients import CLIENT
from fakes import FakeClock, new_execution
from lives import APP, FAILED, Life, PREPARED, Robot, RUNNING, TERMINATED
import pytest

from gateway_node.executions.actors import GATEWAY, Role
from gateway_node.executions.errors import InstanceAlreadyRunning
from gateway_node.executions.events import Change, EventKind, Happening
from gateway_node.executions.filters import ExecutionFilter, InstanceFilter
from gateway_node.executions.instance_refs import (
    InstanceRef,
    InstanceStart,
    KeptInstance,
    PendingFiring,
    TriggerRef,
)
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.rights import Rights
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import (
    Execution,
    ExecutionType,
    StopAction,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.instance_store import SqliteInstanceStore
from gateway_node.storage.schema import STEPS

HOT = '/motor temperature above 60'
BEFORE = STEPS[:7]
"""The schema of a gateway that knows no instances."""


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot that starts what its gateways accepted, one at a time."""
    robot = Robot(tmp_path)
    robot.start_prepared = True
    robot.max_executions = 1
    return robot


def ref_of(script_id: str) -> InstanceRef:
    return InstanceRef(entity=APP, script_id=script_id, name='nightly')


def by(firing: int | None) -> StartRequest:
    """Return what a firing, or somebody by hand, wants started."""
    trigger = None
    if firing is not None:
        trigger = Trigger(type=TriggerType.CONDITION, setting=HOT, firing=firing)
    rights = Rights(name='ann', role=Role.OPERATOR)
    start = InstanceStart(name='nightly', version='v1', trigger=trigger, rights=rights)
    return StartRequest(execution_type=ExecutionType.NOW, instance=start)


async def started(life: Life, script_id: str, firing: int | None = None) -> Execution:
    return await life.executions.start(APP, script_id, by(firing), actor=CLIENT)


async def take_the_place(life: Life) -> None:
    """Have another script run, so that what comes waits in line."""
    other = await life.start(await life.upload(), ExecutionType.NOW)
    await life.listener.wait_for(other.id, RUNNING)


async def fire(life: Life, script_id: str, *, stops: bool = False) -> int:
    """Record that a trigger fired; return the sequence of the event."""
    ref = ref_of(script_id)
    trigger = TriggerRef(instance=ref, condition='{}')
    fires = PendingFiring(trigger=trigger, pointer='/x/0', setting=HOT, stops=stops)
    kind = EventKind.TRIGGER_FIRED
    happening = Happening(kind=kind, subject=ref.subject, actor=GATEWAY, fires=fires)
    (event,) = await life.ledger.record(happening)
    return event.sequence


async def pending(life: Life) -> Mapping[int, PendingFiring]:
    return await SqliteInstanceStore(life.database).pending_firings()


async def test_one_that_waits_in_line_is_the_one_in_the_next_life(robot: Robot) -> None:
    """It is told by whom it was started, and nothing else of the instance is let in."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await take_the_place(life)
        waiting = await started(life, script_id, await fire(life, script_id))
        assert waiting.queue_position == 1
    async with robot.gateway(online=False) as life:
        assert life.executions.open_of_instance(ref_of(script_id)) == waiting.id
        with pytest.raises(InstanceAlreadyRunning) as refused:
            await started(life, script_id)
        assert refused.value.execution_id == waiting.id
        life.bring_online()
        ended = await life.finish(waiting.id)
        assert (ended.instance, ended.trigger.setting) == ('nightly', HOT)
        await life.finish((await started(life, script_id)).id)


async def test_one_that_ran_when_the_gateway_died_leaves_the_instance_free(robot: Robot) -> None:
    """It is brought to its end before anything is started."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        execution = await started(life, script_id)
        await life.listener.wait_for(execution.id, RUNNING)
    lost = {execution.id: Outcome(cause=EndCause.GATEWAY_LOST)}
    async with robot.gateway(recovered=lost) as life:
        assert life.executions.open_of_instance(ref_of(script_id)) is None
        assert (await life.questions.get_by_id(execution.id)).status is FAILED
        await life.finish((await started(life, script_id)).id)


async def test_a_further_attempt_keeps_the_instance_over_a_restart(robot: Robot) -> None:
    """Until its delay is over, and as long as it runs."""
    async with robot.gateway() as life:
        script_id = await life.upload(retries={'limit': 1, 'delay_sec': 3600})
        first = await started(life, script_id)
        (await life.runner.script(first.id)).exit(3)
        await life.listener.wait_for(first.id)
        further = (await life.all(script_id))[-1]
        assert (further.parent, further.status) == (first.id, PREPARED)
    async with robot.gateway() as life:
        assert life.executions.open_of_instance(ref_of(script_id)) == further.id
        with pytest.raises(InstanceAlreadyRunning):
            await started(life, script_id)


async def test_a_firing_whose_start_was_not_recorded_is_due_in_the_next_life(
    robot: Robot,
) -> None:
    """Whenever that is: a crash in between loses nothing, and the next life starts it once."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        firing = await fire(life, script_id)
    async with robot.gateway() as life:
        assert [*await pending(life)] == [firing]
        await started(life, script_id, firing)
    async with robot.gateway() as life:
        assert await pending(life) == {}


async def test_what_was_started_and_deleted_is_not_started_again(robot: Robot) -> None:
    """Its record is gone, and the firing is settled all the same."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        execution = await started(life, script_id, await fire(life, script_id))
        await life.finish(execution.id)
        await life.executions.delete(APP, script_id, execution.id, actor=CLIENT)
    async with robot.gateway() as life:
        assert await pending(life) == {}


async def test_a_firing_whose_script_is_gone_stays_until_it_is_dropped(robot: Robot) -> None:
    """The instance goes with its script; that the firing led to nothing is told."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        ref = ref_of(script_id)
        created = Happening(
            kind=EventKind.INSTANCE_CREATED,
            subject=ref.subject,
            actor=GATEWAY,
            instance=KeptInstance(ref=ref, document={'name': ref.name}),
        )
        await life.ledger.record(created)
        firing = await fire(life, script_id)
        await life.script_changes.delete(APP, script_id, actor=CLIENT)
        gone = KeptInstance(ref=ref, document=None)
        deleted = replace(created, kind=EventKind.INSTANCE_DELETED, instance=gone)
        await life.ledger.record(deleted)
    async with robot.gateway() as life:
        assert [*await pending(life)] == [firing]
        with pytest.raises(ScriptNotFound):
            await started(life, script_id, firing)
        dropped = replace(created, kind=EventKind.TRIGGER_DROPPED, instance=None, settles=firing)
        await life.ledger.record(dropped)
        assert await pending(life) == {}


async def test_a_stop_that_only_the_supervisor_heard_of_is_the_conditions(robot: Robot) -> None:
    """The store stalled, then the gateway died: the end settles the firing, and is what the
    instance's maker wanted."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        execution = await started(life, script_id)
        await life.listener.wait_for(execution.id, RUNNING)
        firing = await fire(life, script_id, stops=True)
    stop = Trigger(type=TriggerType.CONDITION, setting=HOT, firing=firing)
    outcome = Outcome(cause=EndCause.EXITED, signal=15, end_asked=True, end_asked_by=stop)
    async with robot.gateway(recovered={execution.id: outcome}, kept=(execution.id,)) as life:
        ended = await life.questions.get_by_id(execution.id)
        assert (ended.status, ended.stop_trigger) == (TERMINATED, stop)
        assert await pending(life) == {}


async def test_a_stop_on_record_is_the_end_of_what_waits(robot: Robot) -> None:
    """The next gateway starts no script that a condition has stopped before."""
    async with robot.gateway() as life:
        await take_the_place(life)
        script_id = await life.upload()
        waiting = await started(life, script_id)
        firing = await fire(life, script_id, stops=True)
        trigger = Trigger(type=TriggerType.CONDITION, setting=HOT, firing=firing)
        await life.executions.stop(
            APP, script_id, waiting.id, StopAction.STOP, actor=GATEWAY, trigger=trigger
        )
    async with robot.gateway() as life:
        ended = await life.questions.get_by_id(waiting.id)
        assert (ended.status, ended.started_at) == (TERMINATED, None)
        assert ended.stop_trigger == trigger


async def test_a_database_of_before_takes_instances(tmp_path: Path) -> None:
    """What it has of executions is as it was, and found by every filter as what has no
    instance."""
    clock, known = FakeClock(), new_execution(1, script_name='Self test')
    before = await SqliteExecutionStore.open(await Database.open(tmp_path, steps=BEFORE), clock)
    await before.record([Change.first(known, GATEWAY)])
    await before.close()
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, clock)
    assert await store.get(known.id) == known

    async def found(**wanted: Any) -> list[str]:
        page = await store.find(ExecutionFilter(**wanted), KeysetPage(limit=-10))
        return [each.id for each in page.executions]

    wanted = frozenset({InstanceFilter(script='Self test', name='nightly')})
    new = new_execution(2, script_name='Self test', instance='nightly', instance_version='v1')
    await store.record([Change.first(new, GATEWAY)])
    assert await found() == [new.id, known.id]
    assert await found(instances=wanted) == [new.id]
    assert await found(present_instances=frozenset()) == [known.id]
    assert await found(firings=frozenset({1})) == []
    assert await SqliteInstanceStore(database).instances() == ()
    await store.close()
