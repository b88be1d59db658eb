# SPDX-License-Identifier: Apache-2.0
"""Instances and their triggers on a real database, over lives of the gateway."""

import asyncio
from collections import Counter
from collections.abc import Sequence
import contextlib
from pathlib import Path
import random
import secrets
from typing import Any

from clients import CLIENT
from fakes import FakeRobot
from firing_robot import life_with_triggers, LiveTriggers, Record
from lives import APP, Robot
import pytest
from waiting import wait_until

from gateway_node.conditions.sources import TopicValue
from gateway_node.executions.events import Change, Cursor, Event, EventKind, Happening
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.storage.event_log import SqliteEventLog
from gateway_node.triggers import damping as damping_module
from gateway_node.triggers import truths as truths_module
from gateway_node.triggers.values import Instance

TEMPERATURE = TopicValue(topic='/battery', field='temperature')
HOT = {'topic': '/battery', 'field': 'temperature', 'above': 60}


class Turns:
    """Counts what a listener is told of instances until others on the loop have a turn."""

    def __init__(self) -> None:
        self.counts: list[int] = []
        self._count = 0

    def on_instance(self, before: Instance | None, after: Instance | None) -> None:
        """Count it."""
        if not self._count:
            asyncio.get_running_loop().call_soon(self._end)
        self._count += 1

    def _end(self) -> None:
        self.counts.append(self._count)
        self._count = 0


class Death:
    """Lets a gateway die right before, or right after, the commit of an event of some kind."""

    def __init__(self, live: LiveTriggers, kind: EventKind, *, after: bool) -> None:
        self.comes = asyncio.Event()
        self._record = live.life.store.record
        self._kind = kind
        self._after = after

    async def __call__(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        """Record what happened, unless the gateway dies."""
        dies = any(each.kind is self._kind for each in news)
        if self.comes.is_set() or (dies and not self._after):
            self.comes.set()
            await asyncio.Event().wait()
        events = await self._record(news)
        if dies:
            self.comes.set()
            await asyncio.Event().wait()
        return events


def dying(
    live: LiveTriggers, monkeypatch: pytest.MonkeyPatch, kind: EventKind, *, after: bool = False
) -> Death:
    """Have a gateway die with an event of a kind."""
    death = Death(live, kind, after=after)
    monkeypatch.setattr(live.life.store, 'record', death)
    return death


async def follow(live: LiveTriggers, script_id: str, **members: Any) -> InstanceRef:
    """Make an instance that follows another script."""
    follower = await live.life.upload()
    trigger = {'condition': {'script': script_id}} | members
    await live.make(APP, follower, {'name': 'follower', 'start_triggers': [trigger]})
    return InstanceRef(entity=APP, script_id=follower, name='follower')


async def end_one(live: LiveTriggers, script_id: str) -> Execution:
    """Run the script to its end, which may be the gateway's too."""
    execution = await live.life.start(script_id, ExecutionType.NOW)
    (await live.life.runner.script(execution.id)).exit(0)
    return execution


async def wait_quiet(live: LiveTriggers) -> None:
    """Wait until nothing is under way, and end what was started."""
    await asyncio.sleep(0)
    await wait_until(lambda: not live.triggers.figures['under_way'], what='nothing is under way')


async def heat(live: LiveTriggers, values: FakeRobot, *temperatures: float) -> None:
    """Let the battery have these temperatures, one after the other; all who look take each."""
    for temperature in temperatures:
        values.set(TEMPERATURE, temperature)
        for _ in range(50):
            await asyncio.sleep(0)
    await wait_quiet(live)


def shown(live: LiveTriggers, ref: InstanceRef) -> Any:
    """Return what is shown of an instance's first start trigger."""
    return live.triggers.shown(ref)['start_triggers'][0]


async def test_instances_go_with_their_script_in_turns(tmp_path: Path) -> None:
    """Nobody else on the loop waits for all of them."""
    async with life_with_triggers(Robot(tmp_path), FakeRobot()) as live:
        script_id = await live.life.upload()
        for number in range(120):
            await live.make(APP, script_id, {'name': f'n{number}'})
        turns = Turns()
        live.instances.book.add_listener(turns)
        await asyncio.sleep(0)
        turns.counts.clear()
        await live.instances.script_deleted(APP, script_id, CLIENT)
        assert live.instances.book.all() == ()
        assert turns.counts == [50, 50, 20]


@pytest.mark.parametrize('kind', [EventKind.TRIGGER_FIRED, EventKind.EXECUTION_ENDED])
async def test_an_end_that_nobody_looked_at_fires_in_the_next_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: EventKind
) -> None:
    """The gateway is killed between the commit of an end and that of the firing; once it fired it
    does not again."""
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        ref = await follow(live, script_id)
        after = kind is EventKind.EXECUTION_ENDED
        death = dying(live, monkeypatch, kind, after=after)
        ended = await end_one(live, script_id)
        await death.comes.wait()
        monkeypatch.undo()
    assert Record(tmp_path).fired('start') == []
    for _ in range(3):
        async with life_with_triggers(robot, values) as live:
            await wait_quiet(live)
            assert shown(live, ref)['fired'] == 1
    record = Record(tmp_path)
    record.check()
    assert record.ends_fired == [ended.id]


async def test_what_ends_with_the_gateway_fires_in_the_next_life(tmp_path: Path) -> None:
    """No gateway looked: its triggers were closed first; once, however often it starts then."""
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        ref = await follow(live, script_id)
        ended = await live.life.start(script_id, ExecutionType.NOW)
        live.triggers.close()
        await live.life.finish(ended.id)
        await live.triggers.wait_closed()
    for _ in range(2):
        async with life_with_triggers(robot, values) as live:
            await wait_quiet(live)
            assert shown(live, ref)['fired'] == 1
            live.triggers.close()
            await live.triggers.wait_closed()
    assert Record(tmp_path).ends_fired == [ended.id]


async def test_an_end_that_was_held_back_is_over_in_the_next_life_too(tmp_path: Path) -> None:
    """It was looked at: moments within the interval are lost, whoever is started again."""
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        ref = await follow(live, script_id, min_interval_sec=60)
        await live.life.listener.wait_for((await end_one(live, script_id)).id)
        await wait_until(lambda: shown(live, ref)['fired'] == 1, what='it fired')
        await live.life.listener.wait_for((await end_one(live, script_id)).id)
        await wait_until(lambda: shown(live, ref)['damped'] == 1, what='it is held back')
        robot.clock.advance(61)
        await live.make(APP, script_id, {'name': 'notes_the_time_up'})
        live.triggers.close()
        await live.triggers.wait_closed()
    async with life_with_triggers(robot, values) as live:
        await wait_quiet(live)
        assert shown(live, ref)['fired'] == 1


async def test_ends_over_kills_fire_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the gateway dies, and whether or not it was kept how far it had looked."""
    seed = secrets.randbelow(1_000_000)
    try:
        await _ends_over_kills(tmp_path, monkeypatch, random.Random(seed))
    except BaseException as error:
        error.add_note(f'the seed was {seed}')
        raise


async def _ends_over_kills(
    folder: Path, monkeypatch: pytest.MonkeyPatch, chance: random.Random
) -> None:
    monkeypatch.setattr(damping_module, 'LEAST_INTERVAL_SEC', 0.0)
    monkeypatch.setattr(truths_module, 'PAUSE_SEC', 0.005)
    robot, values = Robot(folder), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        await follow(live, script_id)
    ended = []
    kinds = (EventKind.EXECUTION_ENDED, EventKind.TRIGGER_FIRED, EventKind.EXECUTION_ACCEPTED)
    for _ in range(25):
        async with life_with_triggers(robot, values) as live:
            await wait_quiet(live)
            execution = await live.life.start(script_id, ExecutionType.NOW)
            with pytest.MonkeyPatch.context() as patch:
                after = chance.random() < 0.5
                kind = chance.choice(kinds)
                death = dying(live, patch, kind, after=after)
                (await live.life.runner.script(execution.id)).exit(0)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1 + chance.uniform(0, 0.02)):
                        await death.comes.wait()
                # Some die slowly, and keep what they know meanwhile.
                await asyncio.sleep(chance.choice((0.0, 0.03)))
            if kind is not EventKind.EXECUTION_ENDED or after:
                ended.append(execution.id)
    async with life_with_triggers(robot, values) as live:
        await wait_quiet(live)
    record = Record(folder)
    record.check()
    assert Counter(record.ends_fired) >= Counter(ended)
    assert max(Counter(record.ends_fired).values()) == 1


async def test_what_an_instance_was_not_to_take_does_not_fire_later(tmp_path: Path) -> None:
    """Ends of before it was made, or while it was disabled; and of while no gateway looked, where
    it ignores those."""
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        await live.life.listener.wait_for((await end_one(live, script_id)).id)
        ref = await follow(live, script_id)
        await live.instances.set_enabled(ref, False, actor=CLIENT)
        await live.life.listener.wait_for((await end_one(live, script_id)).id)
        await live.instances.set_enabled(ref, True, actor=CLIENT)
        ignores = await follow(live, script_id, while_down='ignore')
    async with robot.gateway() as life:
        ended = await life.start(script_id, ExecutionType.NOW)
        await life.finish(ended.id)
    async with life_with_triggers(robot, values) as live:
        await wait_quiet(live)
        assert shown(live, ref)['fired'] == 1
        assert shown(live, ignores)['fired'] == 0
    assert Record(tmp_path).ends_fired == [ended.id]


async def test_an_interval_goes_on_over_restarts_by_the_time_up(tmp_path: Path) -> None:
    """What is held back within it fires when it is over; the time off does not count."""
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        ref = InstanceRef(entity=APP, script_id=script_id, name='hot')
        trigger = {'condition': HOT, 'min_interval_sec': 600}
        await live.make(APP, script_id, {'name': 'hot', 'start_triggers': [trigger]})
        await heat(live, values, 20, 70, 20)
        assert shown(live, ref)['fired'] == 1
        robot.clock.advance(200)
        await live.make(APP, script_id, {'name': 'notes_the_time_up'})
    robot.clock.advance(10_000)
    async with life_with_triggers(robot, values) as live:
        await heat(live, values, 20, 70)
        assert shown(live, ref)['fired'] == 1
        assert 'at most one firing in 600 s' in shown(live, ref)['why_not']
        robot.clock.advance(401)
        await live.make(APP, script_id, {'name': 'notes_it_again'})
    async with life_with_triggers(robot, values) as live:
        await heat(live, values, 20, 70)
        assert shown(live, ref)['fired'] == 2
    Record(tmp_path).check()


async def test_what_is_known_of_a_trigger_outlives_its_instance_being_replaced(
    tmp_path: Path,
) -> None:
    """As long as nothing of the trigger changes, over restarts too; of a new one nothing is."""
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        ref = InstanceRef(entity=APP, script_id=script_id, name='hot')
        triggers = [{'condition': HOT, 'min_interval_sec': 600}]
        await live.make(APP, script_id, {'name': 'hot', 'start_triggers': triggers})
        await heat(live, values, 20, 70)
        document = {'description': 'another one', 'start_triggers': triggers}
        await live.instances.replace(ref, document, actor=CLIENT)
        firing = shown(live, ref)['last_fired']['firing']
    async with life_with_triggers(robot, values) as live:
        state = shown(live, ref)
        assert (state['fired'], state['last_fired']['firing']) == (1, firing)
        await heat(live, values, 70, 20, 70)
        assert 'damped' in shown(live, ref)['why_not']
        document = {'start_triggers': [{'condition': HOT, 'min_interval_sec': 1}]}
        await live.instances.replace(ref, document, actor=CLIENT)
        assert shown(live, ref)['fired'] == 0
    async with life_with_triggers(robot, values) as live:
        assert shown(live, ref)['fired'] == 0
        await heat(live, values, 20, 70)
        assert shown(live, ref)['fired'] == 1


async def test_where_nothing_waits_for_ends_none_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start costs nothing for what no condition asks for."""
    reads: list[None] = []
    read = SqliteEventLog.events

    async def counted(log: SqliteEventLog, after: Cursor, *, limit: int) -> tuple[Event, ...]:
        reads.append(None)
        return await read(log, after, limit=limit)

    monkeypatch.setattr(SqliteEventLog, 'events', counted)
    robot, values = Robot(tmp_path), FakeRobot()
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        hot = {'name': 'hot', 'start_triggers': [{'condition': HOT}]}
        await live.make(APP, script_id, hot)
        await live.life.finish((await live.life.start(script_id, ExecutionType.NOW)).id)
    async with life_with_triggers(robot, values) as live:
        assert reads == []
        await follow(live, script_id)
    async with life_with_triggers(robot, values):
        assert reads
