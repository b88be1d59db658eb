# SPDX-License-Identifier: Apache-2.0
"""A follower that is killed at any moment hears of every event once, in order, or is told where
the log begins."""

import asyncio
import os
from pathlib import Path
import random
import subprocess
import sys

from fakes import FakeClock
import pytest

from gateway_node.executions.events import Cursor
from gateway_node.executions.ledger import Ledger
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore

PROGRAM = Path(__file__).parents[1] / 'runner_programs' / 'log_follower.py'


class Robot:
    """The lives of one gateway with its follower, and a backup of the database."""

    def __init__(self, folder: Path) -> None:
        self.state_dir = folder / 'state'
        self.state_dir.mkdir()
        self.heard = folder / 'heard'
        self._backup: dict[str, bytes] = {}

    def live(self, executions: int, seed: int) -> None:
        """Start it, wait for so many executions, and kill it in whatever it does."""
        command = [sys.executable, str(PROGRAM), str(self.state_dir), str(self.heard), str(seed)]
        env = {**os.environ, 'PYTHONPATH': str(PROGRAM.parents[1])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
            assert process.stdout is not None
            for _ in range(1 + executions):
                assert process.stdout.readline(), 'it died by itself'
            process.kill()
            process.stdout.read()

    def back_up(self) -> None:
        """Copy the database as it lies there, without what lies beside it."""
        names = (FILE_NAME, f'{FILE_NAME}-wal')
        self._backup = {name: (self.state_dir / name).read_bytes() for name in names}

    def restore(self) -> bool:
        """Put the backup in its place, where there is one."""
        for name, content in self._backup.items():
            (self.state_dir / name).write_bytes(content)
        (self.state_dir / f'{FILE_NAME}-shm').unlink(missing_ok=True)
        return bool(self._backup)

    def check_heard(self) -> list[Cursor]:
        """Check what the follower heard; return where it was told that the log begins."""
        told: list[Cursor] = []
        events: dict[Cursor, list[str]] = {}
        place: Cursor | None = None
        for line in self.heard.read_text('ascii').splitlines():
            verb, epoch, number, *what = line.split()
            now = Cursor(epoch=epoch, sequence=int(number))
            if verb == 'begins':
                # It lost events that it had not heard of, or the history is another one.
                assert place is None or epoch != place.epoch or now.sequence > place.sequence
                told.append(now)
            else:
                first = Cursor(epoch=epoch, sequence=0)
                before = place or first
                assert now == Cursor(epoch=before.epoch, sequence=before.sequence + 1), line
                events[now] = what
            place = now
        self.events = events
        return told

    async def check_end(self) -> None:
        """Check that the follower's place leads to the end, and what it heard is in the log."""
        database = await Database.open(self.state_dir)
        store = await SqliteExecutionStore.open(database, FakeClock())
        bounds = await store.log.bounds()
        kept = await store.log.events(bounds.begins, limit=10_000)
        for event in kept:
            heard = self.events.get(event.cursor, [event.subject_id, event.kind.value])
            assert heard == [event.subject_id, event.kind.value]
        last = max((each for each in self.events if each.epoch == bounds.ends.epoch), key=_number)
        if last.sequence >= bounds.begins.sequence:
            follower = Ledger(store).follow(last)
            rest = [await follower.next() for _ in range(bounds.ends.sequence - last.sequence)]
            assert [each.sequence for each in rest] == [
                *range(last.sequence + 1, bounds.ends.sequence + 1)
            ]
        await store.close()


def _number(place: Cursor) -> int:
    return place.sequence


async def campaign(
    folder: Path, lives: int, chance: random.Random, *, longest: int = 60
) -> tuple[int, list[Cursor]]:
    """Let a robot live and die, now and then for `longest` executions; return how often its
    database was restored, and where its follower was told that the log begins."""
    robot = Robot(folder)
    restored = 0
    for _ in range(lives):
        executions = chance.randrange(longest if chance.random() < 0.2 else 60)
        await asyncio.to_thread(robot.live, executions, chance.randrange(2**31))
        step = chance.random()
        if step < 0.3:
            robot.back_up()
        elif step < 0.6:
            restored += robot.restore()
    await asyncio.to_thread(robot.live, 60, chance.randrange(2**31))
    told = robot.check_heard()
    await robot.check_end()
    return restored, told


async def test_a_killed_follower_hears_of_every_event_once(tmp_path: Path) -> None:
    """A few lives, restored backups among them."""
    await campaign(tmp_path, 5, random.Random())


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_a_follower_hears_of_every_event_once_over_a_hundred_lives(tmp_path: Path) -> None:
    """The same for long: it is told of other histories, and of places that are gone."""
    restored, told = await campaign(tmp_path, 100, random.Random(), longest=500)
    assert restored > 5
    assert len({place.epoch for place in told}) > 1
    assert len(told) > len({place.epoch for place in told})
