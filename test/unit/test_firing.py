# SPDX-License-Identifier: Apache-2.0
"""When triggers fire, and what comes of it: on a stage of fakes."""

from collections.abc import AsyncIterator
import datetime

from clients import CLIENT
from execution_stage import APP, COMPLETED, RUNNING, Stage, TERMINATED
import pytest
from trigger_stage import COLD, HOT, TEMPERATURE, trigger_stage, TriggerStage
from watched_robot import CHARGED, precondition, VOLTAGE

from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.errors import RunnerUnavailable, StoreUnavailable
from gateway_node.executions.events import EventKind
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.scopes import Scope
from gateway_node.executions.values import TriggerType
from gateway_node.scripts.instances import parse_instance
from gateway_node.triggers.values import Instance


@pytest.fixture
async def triggers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TriggerStage]:
    """Triggers of instances of scripts on a stage."""
    async with trigger_stage(stage, monkeypatch) as opened:
        yield opened


async def test_a_condition_that_comes_true_starts_the_instance(triggers: TriggerStage) -> None:
    """The execution names the instance, the condition and the firing."""
    ref = await triggers.make(HOT)
    await triggers.heat(20, 70)
    (fired,) = await triggers.wait_fired(1)
    (execution,) = await triggers.wait_executions(1)
    assert execution.instance == ref.name
    assert execution.trigger.type is TriggerType.CONDITION
    assert execution.trigger.setting == '/battery temperature above 60'
    assert execution.trigger.firing == fired.sequence


async def test_what_fired_is_in_the_log_with_its_values(triggers: TriggerStage) -> None:
    """Who reads the log sees why."""
    ref = await triggers.make(HOT)
    await triggers.heat(20, 71.5)
    (fired,) = await triggers.wait_fired(1)
    assert fired.subject == ref.subject
    assert fired.cause == 'start'
    assert fired.changes['trigger'] == '/start_triggers/0'
    (value,) = fired.changes['values']
    assert value['value'] == 71.5


async def test_a_condition_that_holds_from_the_start_does_not_fire(
    triggers: TriggerStage,
) -> None:
    """Whoever makes an instance does not mean what is so already; it says so."""
    await triggers.heat(70)
    ref = await triggers.make(HOT)
    await triggers.heat(72)
    assert triggers.fired == []
    shown = triggers.start_trigger(ref)
    assert shown['truth'] is True
    assert 'since it was armed' in shown['why_not']
    await triggers.heat(20, 70)
    await triggers.wait_fired(1)


async def test_what_was_not_known_in_between_does_not_count(triggers: TriggerStage) -> None:
    """True, unknown, true is no change; false, unknown, true is one."""
    await triggers.make(HOT)
    await triggers.heat(20, 70)
    (execution,) = await triggers.wait_executions(1)
    await triggers.end(execution)
    await triggers.time.advance(2)
    triggers.robot.fault(TEMPERATURE, 'nobody publishes /battery')
    await triggers.settle()
    await triggers.heat(71)
    assert len(triggers.fired) == 1
    await triggers.heat(20)
    triggers.robot.fault(TEMPERATURE, 'nobody publishes /battery')
    await triggers.settle()
    await triggers.heat(71)
    await triggers.wait_fired(2)


async def test_a_stop_trigger_stops_what_runs(triggers: TriggerStage) -> None:
    """It is what its maker wanted: terminated, and the stop names condition and firing."""
    await triggers.make(HOT, stop_triggers=(COLD,))
    await triggers.heat(55, 70)
    (execution,) = await triggers.wait_executions(1)
    await triggers.stage.listener.wait_for(execution.id, RUNNING)
    await triggers.heat(45)
    ended = await triggers.obeyed(execution)
    assert ended.status is TERMINATED
    assert ended.stop_trigger is not None
    assert ended.stop_trigger.type is TriggerType.CONDITION
    assert ended.stop_trigger.firing == triggers.fired[-1].sequence
    assert triggers.fired[-1].cause == 'stop'
    assert triggers.dropped == []


async def test_stop_triggers_are_armed_only_while_something_runs(triggers: TriggerStage) -> None:
    """Nothing is watched for them, and nothing fires, before and after."""
    ref = await triggers.make(stop_triggers=(COLD,))
    await triggers.heat(70, 45)
    assert triggers.robot.watched == {}
    assert triggers.triggers.shown(ref)['stop_triggers'][0]['armed'] is False
    await triggers.heat(70)
    execution = await triggers.instances.runs.start(ref, actor=CLIENT)
    await triggers.settle()
    assert triggers.robot.watched == {TEMPERATURE: 1}
    await triggers.end(execution)
    assert triggers.robot.watched == {}
    assert triggers.fired == []


async def test_a_stop_condition_that_holds_already_stops(triggers: TriggerStage) -> None:
    """The value may have passed the limit before anybody looked: a stop is not to be missed."""
    ref = await triggers.make(stop_triggers=(COLD,))
    await triggers.heat(45)
    execution = await triggers.instances.runs.start(ref, actor=CLIENT)
    ended = await triggers.obeyed(execution)
    assert ended.status is TERMINATED


async def test_a_firing_while_the_instance_runs_is_dropped(triggers: TriggerStage) -> None:
    """At most one execution at a time: the event says which one is open."""
    ref = await triggers.make(HOT)
    await triggers.heat(20, 70)
    (execution,) = await triggers.wait_executions(1)
    await triggers.time.advance(2)
    await triggers.heat(20, 70)
    (dropped,) = await triggers.wait_dropped(1)
    assert dropped.cause == 'already-running'
    assert execution.id in dropped.changes['reason']
    assert dropped.changes['firing'] == triggers.fired[1].sequence
    shown = triggers.start_trigger(ref)
    assert shown['dropped'] == 1
    assert execution.id in shown['last_fired']['dropped']


async def test_a_storm_is_damped_and_told_twice(triggers: TriggerStage) -> None:
    """Flapping at 50 Hz fires once a second; the log tells the storm's begin and end."""
    ref = await triggers.make(HOT)
    for _ in range(10):
        for _ in range(25):
            await triggers.heat(20, 70)
        (execution,) = triggers.executions[-1:]
        if execution.is_open:
            await triggers.end(execution)
        await triggers.time.advance(1)
    assert 8 <= len(triggers.fired) <= 14
    (began,) = triggers.events(EventKind.TRIGGER_DAMPED)
    assert began.cause == 'began'
    await triggers.heat(20)
    await triggers.time.advance(15)
    await triggers.settle()
    _, over = triggers.events(EventKind.TRIGGER_DAMPED)
    assert over.cause == 'over'
    assert over.changes['count'] == triggers.start_trigger(ref)['damped'] > 200
    assert triggers.triggers.figures['damped'] == over.changes['count']


async def test_what_came_true_within_the_interval_and_holds_fires_after_it(
    triggers: TriggerStage,
) -> None:
    """It is not lost; what is over by then is."""
    ref = await triggers.make({'condition': HOT, 'min_interval_sec': 60})
    await triggers.heat(20, 70)
    (first,) = await triggers.wait_executions(1)
    await triggers.end(first)
    await triggers.heat(20, 70)
    assert 'damped for another' in triggers.start_trigger(ref)['why_not']
    await triggers.time.advance(61)
    await triggers.wait_fired(2)
    (_, second) = await triggers.wait_executions(2)
    await triggers.end(second)
    await triggers.heat(20, 70, 20)
    await triggers.time.advance(61)
    await triggers.settle()
    assert len(triggers.fired) == 2


async def test_an_instance_that_its_own_end_starts_is_damped(triggers: TriggerStage) -> None:
    """A loop costs no more than one start a second."""
    script_id = await triggers.stage.upload()
    await triggers.make({'script': script_id}, script_id=script_id)
    first, _ = await triggers.stage.running(script_id)
    await triggers.end(first)
    for count in range(1, 6):
        executions = await triggers.wait_executions(1 + count)
        await triggers.end(executions[-1])
        await triggers.time.advance(1.1)
        # The moment is over: what ended within the second starts nothing.
        await triggers.settle()
        if len(triggers.executions) == 1 + count:
            break
    assert 2 <= len(triggers.executions) <= 6


async def test_the_end_of_another_script_starts_an_instance(triggers: TriggerStage) -> None:
    """By its status, and named by id or name."""
    other = await triggers.stage.upload()
    await triggers.make({'script': other, 'status': ['failed']})
    first, _ = await triggers.stage.running(other)
    await triggers.end(first)
    second, _ = await triggers.stage.running(other)
    assert triggers.fired == []
    await triggers.end(second, exit_code=3)
    (fired,) = await triggers.wait_fired(1)
    assert second.id in str(fired.changes['values'])


async def test_ends_that_its_maker_may_not_see_start_nothing(triggers: TriggerStage) -> None:
    """And what does starts as whoever made the instance."""
    actor = Actor(
        name='ann',
        role=Role.CONFIGURATOR,
        origin='192.0.2.9',
        scope=Scope(tags=('hers',)),
    )
    hers = await triggers.stage.upload(tags=('hers',))
    of_others = await triggers.stage.upload()
    ends = {'any': [{'script': hers}, {'script': of_others}]}
    script_id = await triggers.stage.upload(tags=('hers',))
    await triggers.make(ends, script_id=script_id, actor=actor)
    unseen, _ = await triggers.stage.running(of_others)
    await triggers.end(unseen)
    assert triggers.fired == []
    seen, _ = await triggers.stage.running(hers)
    await triggers.end(seen)
    started = (await triggers.wait_executions(3))[-1]
    assert started.rights is not None
    assert started.rights.name == 'ann'


async def test_what_cannot_be_started_is_dropped_with_the_reason(
    triggers: TriggerStage,
) -> None:
    """It is told in a word, and in a sentence; the next firing is another chance."""
    ref = await triggers.make(HOT)
    triggers.stage.runner.refusal = RunnerUnavailable('the spawner is gone')
    await triggers.heat(20, 70)
    (dropped,) = await triggers.wait_dropped(1)
    assert dropped.cause == 'runner-unavailable'
    assert dropped.changes['reason'] == 'the spawner is gone'
    assert triggers.start_trigger(ref)['last_fired']['dropped'] == 'the spawner is gone'
    triggers.stage.runner.refusal = None
    await triggers.time.advance(2)
    await triggers.heat(20, 70)
    await triggers.wait_executions(1)


async def test_a_defect_on_the_way_is_logged_and_told(
    triggers: TriggerStage, caplog: pytest.LogCaptureFixture
) -> None:
    """It keeps nothing else from firing."""
    await triggers.make(HOT)
    triggers.stage.runner.refusal = ZeroDivisionError('a defect')
    await triggers.heat(20, 70)
    (dropped,) = await triggers.wait_dropped(1)
    assert dropped.cause == 'defect'
    assert 'a defect' in caplog.text


async def test_an_interval_fires_again_and_again(triggers: TriggerStage) -> None:
    """By the monotonic clock, from its arming on."""
    ref = await triggers.make({'interval_sec': 30})
    assert triggers.start_trigger(ref)['why_not'] == 'it waits for its next moment'
    for count in range(1, 4):
        await triggers.time.advance(25)
        assert len(triggers.fired) == count - 1
        await triggers.time.advance(5.5)
        await triggers.wait_fired(count)
        await triggers.end((await triggers.wait_executions(count))[-1])


async def test_nothing_is_watched_for_what_is_disabled(triggers: TriggerStage) -> None:
    """It fires no more; enabled again, it looks at its condition anew."""
    ref = await triggers.make(HOT)
    await triggers.heat(20)
    await triggers.instances.set_enabled(ref, False, actor=CLIENT)
    assert triggers.robot.watched == {}
    await triggers.heat(70)
    assert triggers.start_trigger(ref)['why_not'] == 'the instance is not enabled'
    await triggers.instances.set_enabled(ref, True, actor=CLIENT)
    await triggers.settle()
    assert triggers.fired == []
    await triggers.heat(20, 70)
    await triggers.wait_fired(1)


async def test_a_trigger_that_did_not_change_goes_on_in_the_replaced_instance(
    triggers: TriggerStage,
) -> None:
    """What it knows of its condition holds; another trigger begins anew."""
    ref = await triggers.make(HOT)
    await triggers.heat(20)
    other = {**HOT, 'above': 65}
    document = {'start_triggers': [{'condition': other}, {'condition': HOT}]}
    await triggers.instances.replace(ref, document, actor=CLIENT)
    await triggers.heat(62)
    (fired,) = await triggers.wait_fired(1)
    assert fired.changes['trigger'] == '/start_triggers/1'


async def test_a_deleted_instance_watches_nothing(triggers: TriggerStage) -> None:
    """And nothing is kept of its triggers."""
    ref = await triggers.make(HOT)
    await triggers.heat(20)
    await triggers.instances.delete(ref, actor=CLIENT)
    assert triggers.robot.watched == {}
    assert triggers.triggers.figures['armed'] == 0
    assert triggers.triggers.shown(ref) == {'start_triggers': [], 'stop_triggers': []}


async def test_what_came_true_while_no_gateway_looked_fires(triggers: TriggerStage) -> None:
    """The last truth is kept; it fires once."""
    await triggers.make(HOT)
    await triggers.heat(20)
    await triggers.restart(meanwhile=70)
    await triggers.wait_fired(1)
    await triggers.restart()
    await triggers.restart()
    assert len(triggers.fired) == 1


async def test_what_came_true_meanwhile_can_be_ignored(triggers: TriggerStage) -> None:
    """Where the trigger says so."""
    await triggers.make({'condition': HOT, 'while_down': 'ignore'})
    await triggers.heat(20)
    await triggers.restart(meanwhile=70)
    assert triggers.fired == []


async def test_what_was_true_before_and_is_true_after_does_not_fire_again(
    triggers: TriggerStage,
) -> None:
    """Whatever it was while nobody looked."""
    await triggers.make(HOT)
    await triggers.heat(20, 70)
    await triggers.wait_fired(1)
    await triggers.restart(meanwhile=20)
    await triggers.close()
    triggers.make_room()
    triggers.robot.set(TEMPERATURE, 70)
    await triggers.open()
    await triggers.settle()
    # It was false when the gateway before looked last.
    await triggers.wait_fired(2)


async def test_a_firing_waits_for_the_store_and_is_made_once(triggers: TriggerStage) -> None:
    """While the store is away nothing piles up: one firing a trigger, the rest is counted."""
    ref = await triggers.make(HOT)
    await triggers.heat(20)
    triggers.stage.store.unavailable = 'the disk is full'
    for _ in range(30):
        await triggers.heat(70, 20)
    await triggers.heat(70)
    assert triggers.start_trigger(ref)['why_not'] == 'its last firing is under way'
    triggers.stage.store.unavailable = None
    await triggers.wait_fired(1)
    await triggers.wait_executions(1)
    assert len(triggers.fired) == 1
    assert triggers.start_trigger(ref)['damped'] == 30


async def test_nothing_piles_up_while_the_store_is_away(triggers: TriggerStage) -> None:
    """However long that is, and however many storms there are meanwhile."""
    await triggers.make(HOT)
    await triggers.heat(20)
    triggers.stage.store.unavailable = 'the disk is full'
    for _ in range(8):
        await triggers.heat(70, 20, 70, 20)
        await triggers.time.advance(11)
    assert triggers.triggers.figures['under_way'] == 1
    triggers.stage.store.unavailable = None
    await triggers.wait_fired(1)


async def test_what_comes_with_its_entity_goes_on_where_it_was(triggers: TriggerStage) -> None:
    """Instances of the manifest appear after the start; what is known of them waits."""
    script_id = await triggers.stage.upload()
    ref = InstanceRef(entity=APP, script_id=script_id, name='of_the_manifest')
    definition = parse_instance(
        {'name': ref.name, 'start_triggers': [{'condition': HOT}]}, max_rate_hz=20
    )
    instance = Instance(ref=ref, definition=definition, enabled=True, managed=True)
    triggers.instances.book.take_managed({ref: instance})
    await triggers.settle()
    await triggers.heat(20)
    await triggers.restart(meanwhile=70)
    assert triggers.triggers.shown(ref)['start_triggers'] == []
    triggers.instances.book.take_managed({ref: instance})
    await triggers.wait_fired(1)


async def test_what_fired_and_was_not_recorded_fires_in_the_next_gateway(
    triggers: TriggerStage,
) -> None:
    """Its truth on record is what it was before."""
    await triggers.make(HOT)
    await triggers.heat(20)
    await triggers.time.advance(2)
    triggers.stage.store.unavailable = 'the disk is full'
    await triggers.heat(70)
    await triggers.close()
    triggers.stage.store.unavailable = None
    assert triggers.fired == []
    triggers.make_room()
    await triggers.open()
    await triggers.settle()
    await triggers.wait_fired(1)


async def test_what_is_pending_is_started_by_the_next_gateway(
    triggers: TriggerStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that dies between the firing and the start loses neither."""
    await triggers.make(HOT)
    await triggers.heat(20)

    async def start_nothing(*_: object, **__: object) -> None:
        raise StoreUnavailable('the gateway dies here')

    monkeypatch.setattr(triggers.instances.runs, 'start', start_nothing)
    await triggers.heat(70)
    await triggers.wait_fired(1)
    await triggers.close()
    assert triggers.executions == []
    triggers.make_room()
    await triggers.open()
    (execution,) = await triggers.wait_executions(1)
    assert execution.trigger.firing == triggers.fired[0].sequence
    await triggers.restart()
    assert len(triggers.executions) == len(triggers.fired) == 1


async def test_a_moment_of_the_calendar_is_missed_or_made_up_for(triggers: TriggerStage) -> None:
    """A clock that is set forward by hours skips it, unless the trigger says otherwise; when the
    next one comes is shown."""
    clock = triggers.stage.clock
    clock.wall = datetime.datetime(2026, 3, 1, 12, 58, tzinfo=datetime.UTC)
    hourly = {'cron': '0 * * * *'}
    skips = await triggers.make(hourly, name='skips')
    assert triggers.start_trigger(skips)['next'] == '2026-03-01T13:00:00.000Z'
    await triggers.make({**hourly, 'missed': 'once'}, name='makes_up')
    clock.wall += datetime.timedelta(hours=5)
    await triggers.time.advance(6)
    (fired,) = await triggers.wait_fired(1)
    assert fired.subject.endswith('makes_up')


async def test_a_clock_that_is_set_back_makes_nothing_happen_twice(
    triggers: TriggerStage,
) -> None:
    """By a little, as time services do; the next moment comes when it comes."""
    clock = triggers.stage.clock
    clock.wall = datetime.datetime(2026, 3, 1, 12, 59, 59, tzinfo=datetime.UTC)
    await triggers.make({'cron': '0 * * * *'})
    clock.wall += datetime.timedelta(seconds=1)
    await triggers.time.advance(1.1)
    (execution,) = await triggers.wait_executions(1)
    await triggers.end(execution)
    clock.wall -= datetime.timedelta(minutes=20)
    await triggers.time.advance(6)
    clock.wall += datetime.timedelta(minutes=20, seconds=6)
    await triggers.time.advance(6)
    assert len(triggers.fired) == 1
    clock.wall += datetime.timedelta(minutes=59, seconds=55)
    await triggers.time.advance(6)
    await triggers.wait_fired(2)


async def test_what_was_missed_while_no_gateway_ran_is_made_up_for_once(
    triggers: TriggerStage,
) -> None:
    """Where the trigger says so, however many times it was."""
    clock = triggers.stage.clock
    await triggers.make({'cron': '0 * * * *'}, name='skips')
    await triggers.make({'cron': '30 * * * *', 'missed': 'once'}, name='makes_up')
    await triggers.close()
    clock.wall += datetime.timedelta(hours=50)
    triggers.make_room()
    await triggers.open()
    (fired,) = await triggers.wait_fired(1)
    assert fired.subject.endswith('makes_up')
    await triggers.restart()
    assert len(triggers.fired) == 1


async def test_the_start_of_the_gateway_waits_for_what_else_is_asked(
    triggers: TriggerStage,
) -> None:
    """A condition beside it is looked at before, as far as it comes in time."""
    await triggers.make({'all': [{'gateway': 'started'}, HOT]}, name='both')
    await triggers.make({'gateway': 'started'}, name='alone')
    await triggers.settle()
    assert triggers.fired == []
    await triggers.restart()
    (alone,) = await triggers.wait_fired(1)
    assert alone.subject.endswith('alone')
    await triggers.heat(70)
    both = (await triggers.wait_fired(2))[1]
    assert both.subject.endswith('both')


async def test_an_instance_that_is_made_anew_begins_at_nought(triggers: TriggerStage) -> None:
    """Whatever a deleted one of its name had counted in an earlier gateway."""
    ref = await triggers.make(stop_triggers=(COLD,))
    await triggers.heat(45)
    execution = await triggers.instances.runs.start(ref, actor=CLIENT)
    await triggers.obeyed(execution)
    await triggers.restart()
    assert triggers.triggers.shown(ref)['stop_triggers'][0]['fired'] == 1
    await triggers.instances.delete(ref, actor=CLIENT)
    await triggers.make(stop_triggers=(COLD,), script_id=ref.script_id)
    assert triggers.triggers.shown(ref)['stop_triggers'][0]['fired'] == 0


async def test_nothing_fires_once_it_is_closed(triggers: TriggerStage) -> None:
    """Nothing is watched either."""
    await triggers.make(HOT)
    await triggers.heat(20)
    triggers.triggers.close()
    await triggers.heat(70)
    assert triggers.fired == []
    assert triggers.robot.watched == {}


async def test_where_a_start_over_the_limit_is_to_be_dropped_it_is(
    stage: Stage, triggers: TriggerStage
) -> None:
    """Or it waits in line: by choice, and one of an instance at most."""
    busy = await stage.upload()
    for _ in range(2):
        await stage.running(busy)
    drops = await triggers.make({'condition': HOT, 'on_limit': 'drop'}, name='drops')
    await triggers.heat(20, 70)
    (dropped,) = await triggers.wait_dropped(1)
    assert dropped.cause == 'limit'
    await triggers.instances.delete(drops, actor=CLIENT)
    await triggers.make(HOT, name='waits')
    before = len(triggers.executions)
    await triggers.heat(20, 70)
    waiting = (await triggers.wait_executions(before + 1))[-1]
    await triggers.time.advance(2)
    await triggers.heat(20, 70)
    assert (await triggers.wait_dropped(2))[1].cause == 'already-running'
    assert waiting.started_at is None


async def test_a_firing_where_the_robot_is_not_as_the_script_requires_is_dropped(
    stage: Stage, triggers: TriggerStage
) -> None:
    """It says for what; the next one starts it where the robot is."""
    stage.robot.set(VOLTAGE, 9)
    script_id = await stage.upload(preconditions=(precondition(CHARGED),))
    await triggers.make(HOT, script_id=script_id)
    await triggers.heat(20, 70)
    (dropped,) = await triggers.wait_dropped(1)
    assert dropped.cause == 'preconditions-unmet'
    assert '/battery voltage above 10: is 9' in str(dropped.changes)
    stage.robot.set(VOLTAGE, 12)
    await triggers.time.advance(2)
    await triggers.heat(20, 70)
    (started,) = await triggers.wait_executions(1)
    await triggers.end(started)


async def test_what_is_shown_of_a_trigger_tells_its_parts(triggers: TriggerStage) -> None:
    """Value now, truth, since when, and when it fired last."""
    ref = await triggers.make({**HOT, 'for': 5})
    await triggers.heat(20, 70)
    await triggers.time.advance(2)
    shown = triggers.start_trigger(ref)
    assert shown['armed'] is True
    assert shown['truth'] is False
    assert shown['fired'] == 0
    assert 'last_fired' not in shown
    assert shown['why_not'] == 'the condition does not hold'
    assert '5 s' in str(shown['parts'])
    await triggers.time.advance(4)
    (execution,) = await triggers.wait_executions(1)
    shown = triggers.start_trigger(ref)
    assert shown['fired'] == 1
    assert shown['last_fired']['execution'] == execution.id
    assert shown['last_fired']['firing'] == triggers.fired[0].sequence
    assert 'it has fired' in shown['why_not']
    await triggers.end(execution)
    assert triggers.executions[0].status is COMPLETED
