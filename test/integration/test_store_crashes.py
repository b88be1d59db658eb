# SPDX-License-Identifier: Apache-2.0
"""Power cuts and kills: what was acknowledged is there, and nothing that never was."""

import asyncio
from dataclasses import dataclass, field, replace
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys
from typing import Any

from fakes import add, FakeClock, new_execution, update, whole_log
from import_path import IMPORT_PATH
import pytest

from gateway_node.executions.document_reading import execution_of
from gateway_node.executions.documents import evolved
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore

WRITES_WITHOUT_END = """
import asyncio, itertools, pathlib, sys
from fakes import add, FakeClock, new_execution, next_change, remove
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

async def main(state_dir, number, writers):
    database = await Database.open(state_dir)
    store = await SqliteExecutionStore.open(database, FakeClock())
    numbers = itertools.count(number)
    await asyncio.gather(*(write(store, numbers) for _ in range(writers)))

async def write(store, numbers):
    for number in numbers:
        prepared = new_execution(number, arguments=('x' * (number % 7 * 1000),))
        tell(await add(store, prepared))
        running = advance(prepared, ExecutionStatus.RUNNING)
        ended = advance(running, ExecutionStatus.COMPLETED)
        changes = [next_change(running), next_change(ended, 'told')]
        for together in [changes] if number % 2 else [[each] for each in changes]:
            tell(*await store.record(together))
        if number % 3 == 0:
            tell(*await remove(store, ended.id))

def tell(*events):
    for event in events:
        print(event.sequence, event.subject_id, event.kind.value, flush=True)

asyncio.run(main(pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
"""
"""Says each thing that the store acknowledged, after it did."""
WRITERS = 8
UNTOLD = 2 * WRITERS
"""Events at most that are on record and were not told yet: two of each writer, which waits."""


@dataclass
class Told:
    """What writers said before they were cut off."""

    events: set[tuple[int, str, str]] = field(default_factory=set)
    """Sequence, execution id, kind."""

    def take(self, line: str) -> None:
        """Take a line; one that the cut left without its end is none."""
        if line.endswith('\n'):
            sequence, execution_id, kind = line.split()
            self.events.add((int(sequence), execution_id, kind))

    def check(self, log: tuple[Event, ...], *, lives: int) -> None:
        """Compare with the log: all that was told is there, and of what was not hardly more."""
        present = {(each.sequence, each.subject_id, each.kind.value) for each in log}
        assert self.events <= present
        assert len(present - self.events) <= lives * UNTOLD


async def sound_log(state_dir: Path) -> tuple[Event, ...]:
    """Open a store that was cut off, check that all of it agrees and return its log."""
    database = await Database.open(state_dir)
    assert database.set_aside == ()
    finding = await database.read(
        lambda connection: connection.execute('PRAGMA integrity_check').fetchone()[0]
    )
    assert finding == 'ok'
    store = await SqliteExecutionStore.open(database, FakeClock())
    log = await whole_log(store)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    summaries: dict[str, dict[str, Any]] = {}
    for event in log:
        before = summaries.pop(event.subject_id, {})
        if event.kind is EventKind.EXECUTION_DELETED:
            assert not execution_of(before).is_open
            assert await store.get(event.subject_id) is None
        else:
            summaries[event.subject_id] = evolved(before, event.changes)
    counts = dict.fromkeys(ExecutionStatus, 0)
    for execution_id, summary in summaries.items():
        assert await store.get(execution_id) == execution_of(summary)
        counts[ExecutionStatus(summary['status'])] += 1
    assert await store.counts() == counts
    await store.close()
    return log


def writing(state_dir: Path, number: int) -> subprocess.Popen[str]:
    """Start a process that writes executions from `number` on, several at once."""
    arguments = [str(state_dir), str(number), str(WRITERS)]
    command = [sys.executable, '-c', WRITES_WITHOUT_END, *arguments]
    env = {**os.environ, 'PYTHONPATH': IMPORT_PATH}
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
        number = max(int(each.subject_id[-26:-13]) for each in log) + 1


async def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path: Path) -> None:
    """Whenever the writer is killed, also in a commit of several changes, the store opens clean
    and holds what was acknowledged."""
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
            present = {(each.sequence, each.subject_id, each.kind.value) for each in log}
            assert told.events <= present
        process.kill()


async def test_a_log_cut_at_any_byte_holds_the_beginning_of_the_history(tmp_path: Path) -> None:
    """A power cut that tears the WAL costs its end, never the beginning or the middle."""
    state_dir = tmp_path / 'state'
    state_dir.mkdir()
    store = await SqliteExecutionStore.open(await Database.open(state_dir), FakeClock())
    for number in range(30):
        execution = new_execution(number, arguments=('x' * (number % 5 * 3000),))
        await add(store, execution)
        await update(store, execution.evolve(status=ExecutionStatus.RUNNING), 'started')
    whole, epoch = await whole_log(store), store.log.end.epoch
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
        # A copy of the files is another history.
        log = tuple(replace(each, epoch=epoch) for each in await sound_log(copy))
        assert log == whole[: len(log)]
        lengths.add(len(log))
    assert len(lengths) > 10
