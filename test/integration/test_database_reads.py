# SPDX-License-Identifier: Apache-2.0
"""Reads and writes of one database do not hold each other up, and agree."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
from pathlib import Path
import sqlite3
import threading

from fakes import add, FakeClock, new_execution, update, whole_log
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage import database as database_module
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore

DEADLINE_SEC = 20
COUNT = 'SELECT count(*) FROM executions'


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database."""
    database = await Database.open(tmp_path)
    yield database
    await database.close()


@pytest.fixture
async def store(database: Database) -> SqliteExecutionStore:
    """Return a store in it."""
    return await SqliteExecutionStore.open(database, FakeClock())


class Held:
    """What a thread waits for, until a test lets it go on."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._go_on = threading.Event()

    def wait(self) -> None:
        """Wait, on the thread."""
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self._go_on.wait(DEADLINE_SEC)

    def release(self) -> None:
        """Let the thread go on."""
        self._go_on.set()


def counted(connection: sqlite3.Connection) -> int:
    """Return how many executions there are."""
    count: int = connection.execute(COUNT).fetchone()[0]
    return count


@contextlib.asynccontextmanager
async def reading(database: Database) -> AsyncIterator[asyncio.Task[tuple[int, int]]]:
    """Count twice in one read, between which the test does something."""
    held = Held()

    def query(connection: sqlite3.Connection) -> tuple[int, int]:
        first = counted(connection)
        held.wait()
        return first, counted(connection)

    task = asyncio.create_task(database.read(query))
    await held.begun.wait()
    try:
        yield task
    finally:
        held.release()
        await asyncio.wait({task})


async def test_a_long_read_holds_no_commit_up(
    database: Database, store: SqliteExecutionStore
) -> None:
    """What is recorded meanwhile is on the disk; the read sees one moment all the same."""
    await add(store, new_execution(1))
    async with reading(database) as task, asyncio.timeout(DEADLINE_SEC / 2):
        await add(store, new_execution(2))
        await update(store, new_execution(2).evolve(status=ExecutionStatus.FAILED))
        assert not task.done()
    assert await task == (1, 1)
    assert await database.read(counted) == 2


async def test_a_commit_holds_no_read_up(database: Database, store: SqliteExecutionStore) -> None:
    """A read that comes while something is being written sees what was before."""
    await add(store, new_execution(1))
    held = Held()

    def change(connection: sqlite3.Connection) -> None:
        connection.execute('DELETE FROM executions')
        held.wait()

    writing = asyncio.create_task(database.write(change))
    await held.begun.wait()
    async with asyncio.timeout(DEADLINE_SEC / 2):
        assert await database.read(counted) == 1
    held.release()
    await writing
    assert await database.read(counted) == 0


async def test_what_was_recorded_is_read(store: SqliteExecutionStore) -> None:
    """Whoever has recorded something finds it."""
    for number in range(1, 201):
        execution = new_execution(number)
        await add(store, execution)
        assert await store.get(execution.id) == execution
    assert len(await whole_log(store)) == 200


async def test_a_read_cannot_write(database: Database, store: SqliteExecutionStore) -> None:
    """That would be a commit that nobody knows of."""
    await add(store, new_execution(1))
    with pytest.raises(StoreUnavailable, match='readonly'):
        await database.read(lambda connection: connection.execute('DELETE FROM executions'))
    assert await database.read(counted) == 1


async def test_the_log_of_writes_is_bounded_though_somebody_always_reads(
    database: Database,
    store: SqliteExecutionStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It cannot be folded into the file while a read needs what is there; then it is."""
    wal = tmp_path / f'{FILE_NAME}-wal'
    monkeypatch.setattr(database_module, '_MAX_GROWN_WAL_BYTES', 2**21)
    bulky = [new_execution(number, input_parameters={'x': 'x' * 2**18}) for number in range(20)]
    async with reading(database):
        for execution in bulky[:10]:
            await add(store, execution)
        monkeypatch.setattr(database_module, '_MAX_GROWN_WAL_BYTES', 2**22)
        assert wal.stat().st_size > 2**21
    for execution in bulky[10:]:
        await add(store, execution)
        assert wal.stat().st_size <= 2**22
    assert await database.read(counted) == 20


async def test_room_is_given_back_though_somebody_reads(
    database: Database, store: SqliteExecutionStore
) -> None:
    """The commits that come then do not wait for the read."""
    bulky = [new_execution(number, input_parameters={'x': 'x' * 2**20}) for number in range(4)]
    for execution in bulky:
        await add(store, execution)
        await update(store, execution.evolve(status=ExecutionStatus.FAILED))
    async with reading(database), asyncio.timeout(DEADLINE_SEC / 2):
        await store.remove([each.id for each in bulky], actor=GATEWAY, cause='retention')
        await store.shrink()
        await add(store, new_execution(9))
    assert await database.read(counted) == 1


async def test_a_closed_database_answers_nobody(database: Database) -> None:
    """Neither who reads nor who writes; the WAL is gone, for it is in the file."""
    await database.close()
    await database.close()
    with pytest.raises(StoreUnavailable, match='closed'):
        await database.read(counted)
    with pytest.raises(StoreUnavailable, match='closed'):
        await database.write(counted)
    assert not database.path.with_name(f'{FILE_NAME}-wal').exists()
