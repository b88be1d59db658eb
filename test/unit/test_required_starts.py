# SPDX-License-Identifier: Apache-2.0
"""A script starts where the robot is as it requires, and runs as long as it stays so."""

import asyncio
from dataclasses import replace
from typing import Any

from clients import CLIENT
from execution_stage import (
    APP,
    AT_ONCE,
    COMPLETED,
    FAILED,
    Gate,
    NOW,
    PREPARED,
    RUNNING,
    Stage,
    STOP,
    TERMINATED,
)
import pytest
from waiting import wait_until
from watched_robot import CHARGED, precondition, SPEED, STANDS, VOLTAGE

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.errors import ConcurrencyLimitReached
from gateway_node.executions.events import Change
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.preconditions import (
    NoPreconditionCheck,
    PRECONDITION_LOST,
    PreconditionsUnmet,
)
from gateway_node.executions.proximity import ProximityNeeded
from gateway_node.executions.values import (
    Execution,
    ExecutionType,
    StopAction,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import Retries

NEEDS = (
    precondition(CHARGED, description='Charge it first.'),
    precondition(STANDS),
)
HOLDS = (precondition(CHARGED, hold=True),)


def as_required(stage: Stage) -> None:
    """Let the robot be as the scripts require."""
    stage.robot.set(VOLTAGE, 12)
    stage.robot.set(SPEED, 0)


async def failed_of(stage: Stage, execution: Execution) -> Execution:
    """Wait until an execution has failed."""
    return await stage.listener.wait_for(execution.id, FAILED)


def reason_of(execution: Execution) -> FailureReason:
    """Return why an execution failed."""
    assert execution.failure is not None
    return execution.failure.reason


async def following(stage: Stage, ended: Execution) -> Execution:
    """Return what follows an execution."""
    wanted = ExecutionFilter(parents=frozenset({ended.id}))
    (found,) = (await stage.questions.find(wanted, KeysetPage(limit=-2))).executions
    return await stage.questions.get_by_id(found.execution_id)


async def charge(stage: Stage, voltage: float) -> None:
    """Let the robot have another voltage, of which whoever watches has heard."""
    stage.robot.set(VOLTAGE, voltage)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_the_robot_is_ready_for_starts(stage: Stage) -> None:
    """It is looked at once, and not as long as the script runs."""
    as_required(stage)
    script_id = await stage.upload(preconditions=NEEDS)
    execution, script = await stage.running(script_id)
    await charge(stage, 1)
    assert script.stops == []
    script.exit(0)
    await stage.listener.wait_for(execution.id, COMPLETED)


async def test_a_start_is_refused_with_all_that_is_not_met(stage: Stage) -> None:
    """Each with its place, what was wanted, the value and its age; nothing is recorded."""
    stage.robot.set(VOLTAGE, 9.5)
    stage.robot.set(SPEED, 1)
    script_id = await stage.upload(preconditions=NEEDS)
    with pytest.raises(PreconditionsUnmet) as refused:
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    first, second = refused.value.told['unmet']
    assert 0 <= first.pop('age_sec') < 60
    assert first == {
        'entity': APP.path,
        'of': 'script',
        'path': '/preconditions/0',
        'description': 'Charge it first.',
        'wanted': '/battery voltage above 10',
        'condition': CHARGED,
        'hold': False,
        'max_age_sec': 60,
        'truth': False,
        'value': 9.5,
    }
    assert (second['path'], second['value']) == ('/preconditions/1', 1)
    assert '/battery voltage above 10: is 9.5' in str(refused.value)
    assert (stage.listener.events, stage.runner.started) == ([], ())


async def test_what_cannot_be_known_is_not_met(stage: Stage) -> None:
    """The reason is told in place of a value; what is met is not told."""
    as_required(stage)
    stage.robot.fault(SPEED, 'type nav_msgs/msg/Odometry is not installed')
    script_id = await stage.upload(preconditions=(NEEDS[0], precondition(STANDS, max_age_sec=0.1)))
    with pytest.raises(PreconditionsUnmet) as refused:
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    (only,) = refused.value.told['unmet']
    assert (only['truth'], only['why']) == (None, 'type nav_msgs/msg/Odometry is not installed')
    assert 'value' not in only


async def test_a_gateway_that_reads_nothing_starts_nothing_that_requires_something() -> None:
    """It says so."""
    check = NoPreconditionCheck()
    standings = await check.look(NEEDS)
    assert [each.met for each in standings] == [False, False]
    assert 'nothing here reads' in standings[0].why


async def test_what_has_to_be_confirmed_is_told_first(stage: Stage) -> None:
    """A person decides before the robot is looked at."""
    script_id = await stage.upload(preconditions=NEEDS, confirmation='The arm moves.')
    with pytest.raises(ConfirmationNeeded):
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert not stage.robot.watched


async def test_a_proof_is_asked_for_once_the_robot_is_ready(stage: Stage) -> None:
    """None is used up by a start that is refused for something else."""
    stage.robot.set(VOLTAGE, 9)
    needs = NEEDS[:1]
    script_id = await stage.upload(preconditions=needs, proximity_proof_required=True)
    here = replace(NOW, proximity_response='here')
    with pytest.raises(PreconditionsUnmet):
        await stage.service.start(APP, script_id, here, actor=CLIENT)
    assert stage.proximity.checked == []
    await charge(stage, 12)
    with pytest.raises(ProximityNeeded):
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)


async def test_who_waits_for_a_value_has_no_place(stage: Stage) -> None:
    """Others take it meanwhile."""
    waiting_id = await stage.upload(preconditions=(precondition(CHARGED),))
    other_id = await stage.upload()
    look = asyncio.create_task(stage.service.start(APP, waiting_id, AT_ONCE, actor=CLIENT))
    await asyncio.sleep(0.01)
    for _ in range(2):
        await stage.service.start(APP, other_id, AT_ONCE, actor=CLIENT)
    stage.robot.set(VOLTAGE, 12)
    with pytest.raises(ConcurrencyLimitReached):
        await look


async def test_a_look_that_is_too_long_ago_is_made_again(stage: Stage) -> None:
    """As where the runner took its time for its word."""
    stage.robot.set(VOLTAGE, 12)
    script_id = await stage.upload(preconditions=NEEDS[:1])

    async def takes_long(order: Any) -> None:
        stage.clock.advance(100)
        await charge(stage, 9)

    stage.runner.vet = takes_long  # type: ignore[method-assign]
    with pytest.raises(PreconditionsUnmet):
        await stage.service.start(APP, script_id, AT_ONCE, actor=CLIENT)
    assert stage.listener.events == []


async def test_what_waited_in_line_is_looked_at_again_in_its_turn(stage: Stage) -> None:
    """Where the robot is not ready then it fails, and says for what."""
    as_required(stage)
    script_id = await stage.upload(preconditions=NEEDS)
    blocking = [await stage.running(script_id) for _ in range(2)]
    waiting = await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert (waiting.status, waiting.queue_position) == (PREPARED, 1)
    await charge(stage, 9)
    blocking[0][1].exit(0)
    failed = await failed_of(stage, waiting)
    assert reason_of(failed) is FailureReason.PRECONDITION_UNMET
    assert failed.failure is not None
    (unmet,) = failed.failure.parameters['unmet']
    assert unmet['value'] == 9
    # Its place is free again.
    await charge(stage, 12)
    await stage.running(script_id)


async def test_each_attempt_looks_at_the_robot(stage: Stage) -> None:
    """One for which it is not ready fails, and is followed as any that fails."""
    as_required(stage)
    script_id = await stage.upload(preconditions=NEEDS, retries=Retries(limit=2))
    first, script = await stage.running(script_id)
    stage.robot.set(SPEED, 3)
    script.exit(1)
    await failed_of(stage, first)
    second = await failed_of(stage, await following(stage, first))
    third = await failed_of(stage, await following(stage, second))
    assert [reason_of(each) for each in (second, third)] == [FailureReason.PRECONDITION_UNMET] * 2


async def test_a_schedule_is_not_looked_at_before_it_starts_something(stage: Stage) -> None:
    """The robot of then counts, not that of now."""
    stage.robot.set(VOLTAGE, 1)
    script_id = await stage.upload(preconditions=NEEDS)
    later = replace(NOW, execution_type=ExecutionType.ON_RESTART)
    schedule = await stage.service.start(APP, script_id, later, actor=CLIENT)
    assert schedule.is_schedule
    await stage.service.stop(APP, script_id, schedule.id, STOP, actor=CLIENT)


async def test_a_group_is_refused_with_all_that_is_not_met_on_any_entity(stage: Stage) -> None:
    """Then none of it starts."""
    node = NodeName(namespace='/', name=APP.entity_id)
    stage.directory.update(GraphSnapshot(nodes=frozenset({node})))
    host = stage.directory.host()
    stage.robot.set(VOLTAGE, 9)
    stage.robot.set(SPEED, 1)
    await stage.upload(APP, name='check', preconditions=NEEDS[:1])
    await stage.upload(host, name='check', preconditions=NEEDS[1:])
    wish = GroupRequest(script='check', entities=('*/*',), start=NOW)
    with pytest.raises(PreconditionsUnmet) as refused:
        await stage.service.start_group(wish, stage.directory, actor=CLIENT)
    unmet = refused.value.told['unmet']
    assert [(each['entity'], each['value']) for each in unmet] == [(APP.path, 9), (host.path, 1)]
    assert stage.runner.started == ()


async def test_a_group_waits_for_all_its_values_at_once(stage: Stage) -> None:
    """Not for those of one entity after those of another."""
    node = NodeName(namespace='/', name=APP.entity_id)
    stage.directory.update(GraphSnapshot(nodes=frozenset({node})))
    await stage.upload(APP, name='check', preconditions=NEEDS[:1])
    await stage.upload(stage.directory.host(), name='check', preconditions=NEEDS[1:])
    wish = GroupRequest(script='check', entities=('*/*',), start=NOW)
    starting = asyncio.create_task(stage.service.start_group(wish, stage.directory, actor=CLIENT))
    await wait_until(lambda: {VOLTAGE, SPEED} <= stage.robot.watched.keys(), what='both looks')
    as_required(stage)
    await starting


async def test_what_is_lost_while_a_script_runs_ends_it(stage: Stage) -> None:
    """As with a stop; it has failed, and says what was wanted and what was there."""
    as_required(stage)
    execution, script = await stage.running(await stage.upload(preconditions=HOLDS))
    stage.robot.set(VOLTAGE, 8)
    assert await script.wait_stop_asked() is StopAction.STOP
    shown = await stage.get(execution)
    assert (shown.status, shown.terminating) == (RUNNING, True)
    assert shown.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting='precondition')
    script.exit(1)
    failed = await failed_of(stage, execution)
    assert reason_of(failed) is FailureReason.PRECONDITION_LOST
    assert failed.failure is not None
    assert failed.failure.parameters['lost']['value'] == 8
    assert failed.stop_trigger == PRECONDITION_LOST
    assert '/battery voltage above 10: is 8' in failed.failure.message


async def test_what_a_script_started_ends_with_what_it_lost(stage: Stage) -> None:
    """The robot is not as it has to be for any of it. What was lost is told of the one: who sees
    the other need not see that."""
    as_required(stage)
    parent, script = await stage.running(await stage.upload(preconditions=HOLDS))
    below = replace(NOW, parent=parent.id)
    child_id = await stage.upload(retries=Retries(limit=3))
    child = await stage.service.start(APP, child_id, below, actor=CLIENT)
    of_child = await stage.runner.script(child.id)
    await stage.listener.wait_for(child.id, RUNNING)
    stage.robot.set(VOLTAGE, 8)
    for each in (of_child, script):
        assert await each.wait_stop_asked() is StopAction.STOP
        each.exit(1)
    for execution in (child, parent):
        failed = await failed_of(stage, execution)
        assert reason_of(failed) is FailureReason.PRECONDITION_LOST
        assert failed.failure is not None
        assert ('lost' in failed.failure.parameters) is (execution is parent)
    wanted = ExecutionFilter(parents=frozenset({child.id}))
    assert (await stage.questions.find(wanted, KeysetPage(limit=-2))).executions == ()


async def test_what_follows_a_child_ends_with_what_its_parent_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the child's end, and that it is tried again, is being recorded at that moment."""
    as_required(stage)
    parent, script = await stage.running(await stage.upload(preconditions=HOLDS))
    script_id = await stage.upload(retries=Retries(limit=1))
    child = await stage.service.start(APP, script_id, replace(NOW, parent=parent.id), actor=CLIENT)
    await stage.listener.wait_for(child.id, RUNNING)
    gate, persist = Gate(), stage.ledger.persist

    async def persist_late(*changes: Change) -> None:
        await gate.wait()
        await persist(*changes)

    monkeypatch.setattr(stage.ledger, 'persist', persist_late)
    (await stage.runner.script(child.id)).exit(3)
    await gate.reached.wait()
    stage.robot.set(VOLTAGE, 8)
    await script.wait_stop_asked()
    gate.set()
    assert reason_of(await failed_of(stage, child)) is FailureReason.SCRIPT_FAILED
    wanted = ExecutionFilter(parents=frozenset({child.id}))
    (further,) = (await stage.questions.find(wanted, KeysetPage(limit=-2))).executions
    ended = await stage.listener.wait_for(further.execution_id)
    assert reason_of(ended) is FailureReason.PRECONDITION_LOST
    assert further.execution_id not in stage.runner.started


async def test_it_is_not_tried_again_by_itself(stage: Stage) -> None:
    """Somebody should look at what stopped it first."""
    as_required(stage)
    script_id = await stage.upload(preconditions=HOLDS, retries=Retries(limit=3))
    execution, script = await stage.running(script_id)
    stage.robot.set(VOLTAGE, 8)
    await script.wait_stop_asked()
    script.exit(1)
    await failed_of(stage, execution)
    wanted = ExecutionFilter(parents=frozenset({execution.id}))
    assert (await stage.questions.find(wanted, KeysetPage(limit=-2))).executions == ()


async def test_a_stop_of_a_client_before_that_is_what_ended_it(stage: Stage) -> None:
    """It was accepted, so the execution is terminated, whatever is lost then."""
    as_required(stage)
    execution, script = await stage.running(await stage.upload(preconditions=HOLDS))
    await stage.stop(execution)
    await charge(stage, 8)
    script.exit(1)
    ended = await stage.listener.wait_for(execution.id, TERMINATED)
    assert ended.stop_trigger == Trigger(type=TriggerType.MANUAL, setting='stop')


async def test_a_script_that_had_ended_before_has_its_own_end(stage: Stage) -> None:
    """The order decides: what is lost behind the exit ended nothing."""
    as_required(stage)
    execution, script = await stage.running(await stage.upload(preconditions=HOLDS))
    script.exit(0)
    stage.robot.set(VOLTAGE, 8)
    await stage.listener.wait_for(execution.id, COMPLETED)


async def test_what_is_lost_before_the_exit_is_its_end(stage: Stage) -> None:
    """Also where the script exits well then: it was ended for that."""
    as_required(stage)
    execution, script = await stage.running(await stage.upload(preconditions=HOLDS))
    stage.robot.set(VOLTAGE, 8)
    await script.wait_stop_asked()
    script.exit(0)
    assert reason_of(await failed_of(stage, execution)) is FailureReason.PRECONDITION_LOST


async def test_what_is_lost_before_the_script_starts_keeps_it_from_starting(stage: Stage) -> None:
    """There is no moment in which nobody watches."""
    as_required(stage)
    stage.runner.hold_starts.clear()
    script_id = await stage.upload(preconditions=HOLDS)
    execution = await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    await asyncio.sleep(0.01)
    stage.robot.set(VOLTAGE, 8)
    failed = await failed_of(stage, execution)
    assert reason_of(failed) is FailureReason.PRECONDITION_LOST
    assert failed.started_at is None
    assert failed.failure is not None
    assert failed.failure.parameters['lost']['value'] == 8


async def test_a_shutdown_behind_that_is_not_the_reason(stage: Stage) -> None:
    """What ended it first is told."""
    as_required(stage)
    execution, script = await stage.running(await stage.upload(preconditions=HOLDS))
    stage.robot.set(VOLTAGE, 8)
    await script.wait_stop_asked()
    stage.service.close()
    script.exit(1)
    assert reason_of(await failed_of(stage, execution)) is FailureReason.PRECONDITION_LOST


async def test_nothing_is_watched_for_what_has_ended(stage: Stage) -> None:
    """What is held is held for one execution."""
    as_required(stage)
    execution, script = await stage.running(await stage.upload(preconditions=HOLDS))
    script.exit(0)
    await stage.listener.wait_for(execution.id, COMPLETED)
    stage.preconditions.close()
    assert not stage.robot.watched


async def test_a_script_without_preconditions_has_nothing_looked_at(stage: Stage) -> None:
    """It costs its start nothing."""
    await stage.running(await stage.upload())
    assert not stage.robot.watched
