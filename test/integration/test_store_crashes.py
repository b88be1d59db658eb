# SPDX-License-Identifier: Apache-2.0
"""Power cuts and kills: what was acknowledged is there, and nothing that never was."""

import asyncio
from dataclasses import dataclass, field
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys

from fakes import add, FakeClock, new_execution, update
import pytest

from gateway_node.executions.transitions import ALLOWED
from gateway_node.executions.values import ExecutionStatus, Transition
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.executions import SqliteExecutionStore

WRITES_WITHOUT_END = """
import asyncio, pathlib, sys
from fakes import add, FakeClock, new_execution, update
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.executions import SqliteExecutionStore

async def main(state_dir, number):
    database = await Database.open(state_dir)
    store = await SqliteExecutionStore.open(database, FakeClock())
    while True:
        execution = new_execution(number, arguments=('x' * (number % 7 * 1000),))
        transition = await add(store, execution)
        print('kept', execution.id, 'prepared', transition.sequence, flush=True)
        for status in (ExecutionStatus.RUNNING, ExecutionStatus.COMPLETED):
            execution = advance(execution, status)
            transition = await update(store, execution, 'told')
            print('kept', execution.id, status.value, transition.sequence, flush=True)
        if number % 3 == 0:
            print('removing', execution.id, flush=True)
            await store.remove(execution.id)
            print('removed', execution.id, flush=True)
        number += 1

asyncio.run(main(pathlib.Path(sys.argv[1]), int(sys.argv[2])))
"""
"""Says each thing that the store acknowledged, after it did."""


@dataclass
class Told:
    """What writers said before they were cut off."""

    kept: set[tuple[int, str, str]] = field(default_factory=set)
    """Sequence, execution id, status."""
    removing: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)

    def take(self, line: str) -> None:
        """Take a line; one that the cut left without its end is none."""
        if not line.endswith('\n'):
            return
        verb, execution_id, *rest = line.split()
        if verb == 'kept':
            self.kept.add((int(rest[1]), execution_id, rest[0]))
        else:
            (self.removing if verb == 'removing' else self.removed).add(execution_id)

    def check(self, log: tuple[Transition, ...], *, lives: int) -> None:
        """Compare with the log: all that was told is there, and one change a life at most that
        was not."""
        present = {(each.sequence, each.execution_id, each.status.value) for each in log}
        ids = {each.execution_id for each in log}
        missing = {each for each in self.kept if each not in present}
        assert {execution_id for _, execution_id, _ in missing} <= self.removing
        assert ids.isdisjoint(self.removed)
        assert len(present - self.kept) <= lives


async def sound_log(state_dir: Path) -> tuple[Transition, ...]:
    """Open a store that was cut off, check that all of it agrees and return its log."""
    database = await Database.open(state_dir)
    assert database.set_aside == ()
    finding = await database.read(
        lambda connection: connection.execute('PRAGMA integrity_check').fetchone()[0]
    )
    assert finding == 'ok'
    store = await SqliteExecutionStore.open(database, FakeClock())
    log = await store.transitions(after=0, limit=1_000_000)
    statuses: dict[str, ExecutionStatus] = {}
    for transition in log:
        before = statuses.get(transition.execution_id)
        allowed = {ExecutionStatus.PREPARED} if before is None else ALLOWED[before]
        assert transition.status in allowed
        statuses[transition.execution_id] = transition.status
    counts = dict.fromkeys(ExecutionStatus, 0)
    for execution_id, status in statuses.items():
        execution = await store.get(execution_id)
        assert execution is not None
        assert execution.status is status
        counts[status] += 1
    assert await store.counts() == counts
    await store.close()
    return log


def writing(state_dir: Path, number: int) -> subprocess.Popen[str]:
    """Start a process that writes executions from `number` on."""
    command = [sys.executable, '-c', WRITES_WITHOUT_END, str(state_dir), str(number)]
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)


def listen(process: subprocess.Popen[str], told: Told, lines: int) -> None:
    """Take what a writer says next."""
    assert process.stdout is not None
    for _ in range(lines):
        line = process.stdout.readline()
        assert line, 'the writer died by itself'
        told.take(line)


def kill_after(process: subprocess.Popen[str], told: Told, lines: int) -> None:
    """Take some lines, kill the writer in whatever it does, and take what it still said."""
    assert process.stdout is not None
    with process:
        listen(process, told, lines)
        process.kill()
        for line in process.stdout:
            told.take(line)


def copy_at_one_moment(process: subprocess.Popen[str], state_dir: Path, copy: Path) -> None:
    """Copy the files while their writer stands still, wherever it is."""
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    shutil.copytree(state_dir, copy)
    process.send_signal(signal.SIGCONT)


async def kill_campaign(state_dir: Path, cycles: int, chance: random.Random) -> None:
    """Let writers follow one another, each killed; check after each."""
    told = Told()
    number = 0
    for life in range(1, cycles + 1):
        process = writing(state_dir, number)
        await asyncio.to_thread(kill_after, process, told, chance.randrange(1, 300))
        log = await sound_log(state_dir)
        told.check(log, lives=life)
        # Removed ones too: an id is given once.
        given = {each.execution_id for each in log} | told.removing
        number = max(int(execution_id[-26:]) for execution_id in given) + 1


async def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    """Whenever the writer is killed, the store opens clean and holds what was acknowledged."""
    await kill_campaign(tmp_path, 5, random.Random())


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_acknowledged_is_lost_by_a_hundred_kills(tmp_path: Path) -> None:
    """The same over a hundred lives on one database."""
    await kill_campaign(tmp_path, 100, random.Random())


async def test_a_copy_of_the_files_at_any_moment_opens_clean(tmp_path: Path) -> None:
    """The database with its WAL, as they were at one moment, hold what was acknowledged by
    then."""
    state_dir = tmp_path / 'state'
    state_dir.mkdir()
    told = Told()
    chance = random.Random()
    with writing(state_dir, 0) as process:
        for attempt in range(12):
            await asyncio.to_thread(listen, process, told, chance.randrange(1, 100))
            copy = tmp_path / str(attempt)
            await asyncio.to_thread(copy_at_one_moment, process, state_dir, copy)
            log = await sound_log(copy)
            # Lines are still in the pipe: more may be there than was told, but nothing less.
            present = {(each.sequence, each.execution_id, each.status.value) for each in log}
            assert all(_is_removed_at_its_end(each[1]) for each in told.kept - present)
            assert told.removed.isdisjoint(each.execution_id for each in log)
        process.kill()


def _is_removed_at_its_end(execution_id: str) -> bool:
    return int(execution_id[-26:]) % 3 == 0


async def test_a_log_cut_at_any_byte_holds_the_beginning_of_the_history(tmp_path: Path) -> None:
    """A power cut that tears the WAL costs its end, never the beginning or the middle."""
    state_dir = tmp_path / 'state'
    state_dir.mkdir()
    store = await SqliteExecutionStore.open(await Database.open(state_dir), FakeClock())
    for number in range(30):
        execution = new_execution(number, arguments=('x' * (number % 5 * 3000),))
        await add(store, execution)
        await update(store, execution.evolve(status=ExecutionStatus.RUNNING), 'started')
    whole = await store.transitions(after=0, limit=100)
    wal = (state_dir / f'{FILE_NAME}-wal').read_bytes()
    database = (state_dir / FILE_NAME).read_bytes()
    await store.close()
    lengths = set()
    chance = random.Random()
    for attempt, cut in enumerate(sorted(chance.sample(range(len(wal)), 40))):
        copy = tmp_path / str(attempt)
        copy.mkdir()
        (copy / FILE_NAME).write_bytes(database)
        (copy / f'{FILE_NAME}-wal').write_bytes(wal[:cut])
        log = await sound_log(copy)
        assert log == whole[: len(log)]
        lengths.add(len(log))
    assert len(lengths) > 10
