# SPDX-License-Identifier: Apache-2.0
"""A robot with instances over several lives of its gateway: real SQLite, fakes for the scripts and
for what is read of the robot."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import json
from pathlib import Path
import sqlite3
from typing import Any

from clients import CLIENT
from fakes import FakeRobot
from lives import Life, Robot

from gateway_node.access.lock_book import LockBook
from gateway_node.clock import SystemClock
from gateway_node.entities.values import EntityRef
from gateway_node.storage.database import FILE_NAME
from gateway_node.storage.instance_store import SqliteInstanceStore
from gateway_node.triggers.firing import Triggers
from gateway_node.triggers.firings import TASK
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_service import Instances, InstanceSettings
from gateway_node.triggers.timers import Timers
from gateway_node.triggers.turns import Turns
from gateway_node.triggers.watches import Watches


class LiveTriggers:
    """Instances and triggers in one life of the gateway."""

    def __init__(self, robot: Robot, life: Life, values: FakeRobot) -> None:
        store = SqliteInstanceStore(life.database)
        self.life = life
        self.instances = Instances(
            book=InstanceBook(),
            library=life.library,
            executions=life.executions,
            ledger=life.ledger,
            store=store,
            guard=LockBook(robot.clock, life.store.up_sec),
            clock=robot.clock,
            settings=InstanceSettings(max_instances=1000, max_rate_hz=20),
        )
        # Of the robot's own nobody moves the hands: what is damped would be so for ever.
        clock, turns = SystemClock(), Turns()
        self.triggers = Triggers(
            instances=self.instances,
            executions=life.executions,
            ledger=life.ledger,
            store=store,
            turns=turns,
            watches=Watches(values, turns),
            timers=Timers(clock.monotonic, turns),
            clock=clock,
            records=life.store,
        )

    async def make(self, entity: EntityRef, script_id: str, document: dict[str, Any]) -> None:
        """Make an instance."""
        await self.instances.create(entity, script_id, document, actor=CLIENT)


@contextlib.asynccontextmanager
async def life_with_triggers(robot: Robot, values: FakeRobot) -> AsyncIterator[LiveTriggers]:
    """Start a gateway; leave it as a SIGKILL would."""
    async with robot.gateway() as life:
        live = LiveTriggers(robot, life, values)
        await live.instances.open(life.directory.refs())
        await live.triggers.open()
        keeping = asyncio.create_task(live.triggers.keep_truths())
        try:
            yield live
        finally:
            keeping.cancel()
            # Before the database goes: nobody is to look whether it comes back.
            while tasks := [each for each in asyncio.all_tasks() if each.get_name() == TASK]:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)


class Record:
    """What the database tells of firings once all is over."""

    def __init__(self, state_dir: Path) -> None:
        uri = f'file:{state_dir / FILE_NAME}?mode=ro'
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            self.events: list[tuple[int, str, str, str, dict[str, Any]]] = [
                (sequence, kind, cause, subject, json.loads(changes))
                for sequence, kind, cause, subject, changes in connection.execute(
                    'SELECT sequence, kind, cause, subject, changes FROM events ORDER BY sequence'
                )
            ]
            (self.pending,) = connection.execute('SELECT count(*) FROM pending_firings').fetchone()

    def fired(self, does: str) -> list[int]:
        """Return the sequences of what fired to `start`, or to `stop`."""
        return [
            sequence
            for sequence, kind, cause, _, _ in self.events
            if kind == 'trigger.fired' and cause == does
        ]

    @property
    def dropped(self) -> list[int]:
        """The firings that led to nothing."""
        return [
            changes['firing']
            for _, kind, _, _, changes in self.events
            if kind == 'trigger.dropped'
        ]

    @property
    def started(self) -> list[int]:
        """The firings that executions name as what started them."""
        return [
            changes['trigger']['firing']
            for _, kind, _, _, changes in self.events
            if kind == 'execution.accepted' and 'firing' in changes['trigger']
        ]

    @property
    def ends_fired(self) -> list[str]:
        """The executions whose ends fired something, in order."""
        return [
            part['value']['execution']
            for _, kind, _, _, changes in self.events
            if kind == 'trigger.fired'
            for part in changes['values']
        ]

    @property
    def stopped(self) -> set[tuple[str, int]]:
        """The executions that name a firing as what stopped them, each with that."""
        return {
            (subject, changes['stop_trigger']['firing'])
            for _, _, _, subject, changes in self.events
            if 'firing' in (changes.get('stop_trigger') or {})
        }

    def check(self) -> None:
        """Check that each firing came to one end: an execution, a stop, or a drop; none came to
        two, and no two executions have one."""
        assert self.pending == 0
        stopped = [firing for _, firing in self.stopped]
        starts, stops = self.fired('start'), self.fired('stop')
        ends = [*self.started, *stopped, *self.dropped]
        assert sorted(ends) == sorted([*starts, *stops])
        assert set(self.started) <= set(starts)
        assert set(stopped) <= set(stops)
