# SPDX-License-Identifier: Apache-2.0
"""Every change has an actor."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from execution_stage import APP, NOW, RUNNING, set_stage, Stage, STOP
import pytest

from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.events import Change, Event, Happening
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import ExecutionType, Trigger, TriggerType

ADA = Actor(name='ada', role=Role.OPERATOR, origin='192.0.2.7')
GRACE = Actor(name='grace', role=Role.CONFIGURATOR, origin='192.0.2.8')


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    policy = RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)
    async with set_stage(tmp_path / 'scripts', policy, monkeypatch) as built:
        yield built


@pytest.fixture
def recorded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """What was recorded, as it is."""
    changes: list[Change] = []
    record = stage.store.record

    async def note(new: Sequence[Change | Happening]) -> tuple[Event, ...]:
        events = await record(new)
        changes.extend(each for each in new if isinstance(each, Change))
        return events

    monkeypatch.setattr(stage.store, 'record', note)
    return changes


async def test_a_client_starts_and_stops_and_the_gateway_does_the_rest(
    stage: Stage, recorded: list[Change]
) -> None:
    """A start and an accepted stop are a client's; running and the end are the gateway's."""
    script_id = await stage.upload()
    execution = await stage.service.start(APP, script_id, NOW, actor=ADA)
    (await stage.runner.script(execution.id)).obedient = True
    await stage.listener.wait_for(execution.id, RUNNING)
    ended = await stage.service.stop(APP, script_id, execution.id, STOP, actor=GRACE)
    assert ended.trigger == Trigger(type=TriggerType.MANUAL, username='ada')
    assert ended.stop_trigger == Trigger(type=TriggerType.MANUAL, setting='stop', username='grace')
    actors = [(change.kind.value, change.actor) for change in recorded]
    assert actors == [
        ('execution.accepted', ADA),
        ('execution.running', GATEWAY),
        ('execution.stop_accepted', GRACE),
        ('execution.ended', GATEWAY),
    ]


async def test_a_shutdown_is_the_gateways(stage: Stage, recorded: list[Change]) -> None:
    """What the gateway ends it ends in its own name."""
    execution, script = await stage.running(await stage.upload())
    recorded.clear()
    stage.service.close()
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    assert {change.actor for change in recorded} == {GATEWAY}


async def test_who_deletes_a_script_ends_its_schedules(
    stage: Stage, recorded: list[Change]
) -> None:
    """The schedules that fail with their script fail by the hand that deleted it."""
    script_id = await stage.upload()
    wish = replace(NOW, execution_type=ExecutionType.ON_RESTART)
    await stage.service.start(APP, script_id, wish, actor=ADA)
    await stage.script_changes.delete(APP, script_id, actor=GRACE)
    assert [change.actor for change in recorded] == [ADA, GRACE]
