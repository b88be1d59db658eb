# SPDX-License-Identifier: Apache-2.0
"""Firings over many lives of the gateway: none is lost that is in the log, none comes twice."""

import asyncio
from collections import Counter
import contextlib
import os
from pathlib import Path
import random
import secrets

from clients import CLIENT
from fakes import FakeRobot
from firing_robot import life_with_triggers, LiveTriggers, Record
from lives import APP, Robot
import pytest
from waiting import wait_until

from gateway_node.conditions.sources import TopicValue
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.values import Execution
from gateway_node.triggers import damping as damping_module

SEED = 'FIRING_CAMPAIGN_SEED'
TEMPERATURE = TopicValue(topic='/battery', field='temperature')
TURNS_OF_FATE = frozenset(
    {EventKind.TRIGGER_FIRED, EventKind.EXECUTION_ACCEPTED, EventKind.EXECUTION_STOP_ACCEPTED}
)


async def test_firings_over_kills_come_to_one_end_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An execution, a stop, or a drop with its reason: whenever the gateway dies."""
    await campaign(tmp_path, monkeypatch, firings=100)


@pytest.mark.slow
@pytest.mark.timeout(3000)
async def test_thousands_of_firings_over_kills_come_to_one_end_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same, for long."""
    await campaign(tmp_path, monkeypatch, firings=3000)


async def campaign(folder: Path, monkeypatch: pytest.MonkeyPatch, *, firings: int) -> Record:
    """Let a robot live and be killed, over and over, while its temperature goes up and down, until
    so much has fired; return what is on record of it then."""
    seed = int(os.environ.get(SEED, secrets.randbelow(1_000_000)))
    try:
        record = await _campaign(folder, monkeypatch, random.Random(seed), firings)
        record.check()
    except BaseException as error:
        error.add_note(f'to choose alike again: {SEED}={seed}')
        raise
    return record


async def _campaign(
    folder: Path, monkeypatch: pytest.MonkeyPatch, chance: random.Random, firings: int
) -> Record:
    monkeypatch.setattr(damping_module, 'LEAST_INTERVAL_SEC', 0.01)
    robot, values = Robot(folder), FakeRobot()
    robot.max_executions = robot.max_executions_per_entity = 3
    async with life_with_triggers(robot, values) as live:
        script_id = await live.life.upload()
        for number in range(6):
            await live.make(APP, script_id, _document(number))
    fired: Counter[str | None] = Counter()
    # Not so many lives: how much happens in one is the machine's to say.
    while fired.total() < firings or fired['stop'] < firings / 20:
        robot.start_prepared = chance.random() < 0.5
        async with life_with_triggers(robot, values) as live:
            await _live(live, values, chance, fired)
    async with life_with_triggers(robot, values) as live:
        await wait_until(
            lambda: not live.triggers.figures['under_way'], what='nothing is under way'
        )
    return Record(folder)


def _document(number: int) -> dict[str, object]:
    """Return an instance: it starts above one temperature, and some stop below another."""
    field = {'topic': '/battery', 'field': 'temperature'}
    cold = {'condition': {**field, 'below': 40 + number}}
    return {
        'name': f'instance_{number}',
        'start_triggers': [
            {
                'condition': {**field, 'above': 60 + number},
                'on_limit': 'drop' if number % 3 == 0 else 'wait',
            },
            {'condition': {**field, 'below': 10 + number}},
        ],
        'stop_triggers': [cold] if number % 2 else [],
    }


async def _live(
    live: LiveTriggers, values: FakeRobot, chance: random.Random, fired: Counter[str | None]
) -> None:
    """Live for a while that nobody knows; some die in the very moment of a commit."""
    killed = asyncio.Event()
    live.life.ledger.add_listener(_Fate(killed, chance, fired))
    living = [
        asyncio.create_task(_weather(values, chance)),
        asyncio.create_task(_scripts(live, chance)),
    ]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(chance.uniform(0, 0.15)):
            await killed.wait()
    for task in living:
        task.cancel()


class _Fate:
    """Decides, when something is on record, that this was the last that was."""

    def __init__(
        self, killed: asyncio.Event, chance: random.Random, fired: Counter[str | None]
    ) -> None:
        self._killed = killed
        self._chance = chance
        self._fired = fired

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Take an event."""
        if event.kind is EventKind.TRIGGER_FIRED:
            self._fired[event.cause] += 1
        if event.kind in TURNS_OF_FATE and self._chance.random() < 0.1:
            self._killed.set()


async def _weather(values: FakeRobot, chance: random.Random) -> None:
    while True:
        values.set(TEMPERATURE, chance.choice((0, 20, 30, 50, 63, 70)))
        await asyncio.sleep(chance.uniform(0, 0.01))


async def _scripts(live: LiveTriggers, chance: random.Random) -> None:
    """Let scripts end, by themselves and because they are asked to; some are started by hand."""
    instances = live.instances.book.all()
    while True:
        for execution_id in live.life.runner.started:
            script = await live.life.runner.script(execution_id)
            if not script.has_ended and (script.stops or chance.random() < 0.3):
                script.exit(chance.choice((0, 0, 3)))
        if chance.random() < 0.1:
            with contextlib.suppress(Exception):
                await live.instances.runs.start(chance.choice(instances).ref, actor=CLIENT)
        await asyncio.sleep(chance.uniform(0, 0.01))
