# SPDX-License-Identifier: Apache-2.0
"""What clients do with the line: pause it, and have one before another."""

import asyncio
from dataclasses import replace

from clients import CLIENT
from execution_stage import APP, AT_ONCE, COMPONENT, Gate, NOW, Stage
from fakes import FakeClock
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.entity_lock import EntityLock, Holder
from gateway_node.executions.errors import (
    EntityLocked,
    ExecutionNotWaiting,
    LinePaused,
    StoreUnavailable,
)
from gateway_node.executions.events import Change, EventKind, Happening
from gateway_node.executions.values import Execution, ExecutionStatus

PRIORITISED = EventKind.EXECUTION_PRIORITISED
ANNA = EntityLock(
    id='lock_1',
    entity=APP,
    holder=Holder(name='anna', client_id=None),
    scopes=(),
    ends_up_sec=60,
    boot_id='boot',
)
PAUSED, RESUMED = EventKind.LINE_PAUSED, EventKind.LINE_RESUMED


class HeldByAnna:
    """Lets nobody change anything."""

    def check(self, entity: EntityRef | None, actor: Actor) -> None:
        """Refuse."""
        raise EntityLocked(ANNA, APP, FakeClock().now())


async def start(stage: Stage, script_id: str) -> Execution:
    """Start an execution on the app."""
    return await stage.service.start(APP, script_id, NOW, actor=CLIENT)


async def position(stage: Stage, execution: Execution) -> int | None:
    """Return where an execution stands."""
    return (await stage.questions.get_by_id(execution.id)).queue_position


async def test_a_higher_priority_takes_who_waits_to_the_front(stage: Stage) -> None:
    """It is on record, with who changed it; what it was accepted with changes besides nothing."""
    script_id = await stage.upload()
    running = [await stage.running(script_id) for _ in range(2)]
    first, second = [await start(stage, script_id) for _ in range(2)]
    await stage.service.line.prioritise(second, 80, actor=CLIENT)
    assert [await position(stage, each) for each in (first, second)] == [2, 1]
    event = stage.listener.events[-1]
    assert (event.kind, event.subject_id, event.actor) == (PRIORITISED, second.id, CLIENT)
    assert event.changes == {'priority': 80}
    running[0][1].exit(0)
    (await stage.runner.script(second.id)).exit(0)
    ended = await stage.listener.wait_for(second.id)
    assert (ended.priority, ended.status) == (80, ExecutionStatus.COMPLETED)


async def test_who_does_not_wait_has_its_priority_for_good(stage: Stage) -> None:
    """Neither what runs, nor what has ended, nor a schedule."""
    script_id = await stage.upload()
    execution, script = await stage.running(script_id)
    with pytest.raises(ExecutionNotWaiting, match='is running'):
        await stage.service.line.prioritise(execution, 80, actor=CLIENT)
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    with pytest.raises(ExecutionNotWaiting, match='is completed'):
        await stage.service.line.prioritise(ended, 80, actor=CLIENT)


async def test_who_waits_for_a_turn_is_looked_at_when_it_comes(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody may have locked the entity while another change was being recorded."""
    script_id = await stage.upload()
    for _ in range(2):
        await stage.running(script_id)
    waiting, line = await start(stage, script_id), stage.service.line
    gate, record = Gate(), stage.ledger.record

    async def record_late(happening: Happening) -> None:
        await gate.wait()
        await record(happening)

    with monkeypatch.context() as patch:
        patch.setattr(stage.ledger, 'record', record_late)
        first = asyncio.ensure_future(line.set_paused(APP, paused=True, actor=CLIENT))
        await gate.reached.wait()
        late = [
            asyncio.ensure_future(line.set_paused(APP, paused=False, actor=CLIENT)),
            asyncio.ensure_future(line.prioritise(waiting, 80, actor=CLIENT)),
        ]
        await asyncio.sleep(0)
        patch.setattr(line, '_guard', HeldByAnna())
        gate.set()
        assert (await first).paused
        refused = await asyncio.gather(*late, return_exceptions=True)
    assert [type(each) for each in refused] == [EntityLocked, EntityLocked]
    assert stage.listener.events[-1].kind is PAUSED
    assert line.state(APP).paused


async def test_a_priority_that_cannot_be_recorded_is_none(stage: Stage) -> None:
    """Those in line keep their order."""
    script_id = await stage.upload()
    for _ in range(2):
        await stage.running(script_id)
    waiting = [await start(stage, script_id) for _ in range(2)]
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await stage.service.line.prioritise(waiting[1], 80, actor=CLIENT)
    assert [await position(stage, each) for each in waiting] == [1, 2]


async def test_a_client_that_leaves_has_changed_the_record_and_the_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or neither of them: what is on record is what the line goes by."""
    script_id = await stage.upload()
    for _ in range(2):
        await stage.running(script_id)
    waiting = [await start(stage, script_id) for _ in range(2)]
    asked, gate, record = asyncio.Event(), asyncio.Event(), stage.ledger.record

    async def recorded_late(*news: Change | Happening) -> None:
        asked.set()
        await gate.wait()
        await record(*news)

    monkeypatch.setattr(stage.ledger, 'record', recorded_late)
    changing = asyncio.create_task(stage.service.line.prioritise(waiting[1], 80, actor=CLIENT))
    await asked.wait()
    changing.cancel()
    await asyncio.wait([changing])
    gate.set()
    line = stage.service.line
    await line.set_paused(None, paused=True, actor=CLIENT)  # behind the change
    assert [await position(stage, each) for each in waiting] == [2, 1]


async def test_while_the_line_is_paused_nothing_is_let_in(stage: Stage) -> None:
    """What runs goes on, what is started waits though there are places, until it is resumed."""
    script_id = await stage.upload()
    running, script = await stage.running(script_id)
    state = await stage.service.line.set_paused(None, paused=True, actor=CLIENT)
    assert (state.paused, state.waiting, state.oldest_wait_sec) == (True, 0, None)
    waiting = await start(stage, script_id)
    assert waiting.queue_position == 1
    with pytest.raises(LinePaused, match='the line is paused'):
        await stage.service.start(APP, script_id, AT_ONCE, actor=CLIENT)
    script.exit(0)
    await stage.listener.wait_for(running.id)
    assert await position(stage, waiting) == 1
    stage.clock.advance(7)
    assert stage.service.line.state().oldest_wait_sec == 7
    await stage.service.line.set_paused(None, paused=False, actor=CLIENT)
    await stage.runner.script(waiting.id)


async def test_the_line_of_one_entity_is_paused_alone(stage: Stage) -> None:
    """Others go on, and the entity is remembered meanwhile."""
    here, there = await stage.upload(), await stage.upload(COMPONENT)
    await stage.service.line.set_paused(APP, paused=True, actor=CLIENT)
    assert stage.service.concern(APP)
    waiting = await start(stage, here)
    assert waiting.queue_position == 1
    other = await stage.service.start(COMPONENT, there, NOW, actor=CLIENT)
    assert other.queue_position is None
    states = [stage.service.line.state(each) for each in (None, APP, COMPONENT)]
    assert [(each.paused, each.waiting) for each in states] == [(False, 1), (True, 1), (False, 0)]
    await stage.service.line.set_paused(APP, paused=False, actor=CLIENT)
    await stage.runner.script(waiting.id)


async def test_a_pause_is_logged_once_with_who_made_it(stage: Stage) -> None:
    """Whoever pauses what is paused changes nothing."""
    for paused in (False, True, True, False):
        await stage.service.line.set_paused(APP, paused=paused, actor=CLIENT)
    await stage.service.line.set_paused(None, paused=True, actor=CLIENT)
    told = [(each.kind, each.subject, each.actor) for each in stage.listener.events]
    line = f'{APP.path}/line'
    assert told == [(PAUSED, line, CLIENT), (RESUMED, line, CLIENT), (PAUSED, 'line', CLIENT)]
    assert await stage.store.paused_lines() == {None}


async def test_a_pause_that_cannot_be_recorded_is_none(stage: Stage) -> None:
    """Starts go on, and who asked hears why."""
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await stage.service.line.set_paused(None, paused=True, actor=CLIENT)
    stage.store.unavailable = None
    assert not stage.service.line.state().paused
    await stage.running(await stage.upload())


async def test_a_start_with_a_schedule_waits_for_the_line_with_its_priority(
    stage: Stage,
) -> None:
    """What is paused holds whoever comes, and the order stays that of the priorities."""
    script_id = await stage.upload()
    await stage.service.line.set_paused(None, paused=True, actor=CLIENT)
    low = await start(stage, script_id)
    request = replace(NOW, priority=90)
    high = await stage.service.start(APP, script_id, request, actor=CLIENT)
    assert [await position(stage, each) for each in (low, high)] == [2, 1]
