# SPDX-License-Identifier: Apache-2.0
"""What waits while one commit runs goes into the next one, and each change stands for itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
import contextlib
from pathlib import Path
import random
import sqlite3
import threading
from typing import Any

from fakes import add, FakeClock, new_execution, next_change, whole_log
import pytest
from small_disks import filled, mounted

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Change, Event, EventKind, Happening
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

DEADLINE_SEC = 20
TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table'"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """Open a database with a table of the tests' own."""
    database = await Database.open(tmp_path)
    await database.write(lambda connection: connection.execute('CREATE TABLE kept (x UNIQUE)'))
    yield database
    await database.close()


@contextlib.asynccontextmanager
async def held(database: Database) -> AsyncIterator[None]:
    """Keep the thread that writes busy: what is asked for meanwhile waits."""
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(_: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(DEADLINE_SEC)

    holding = asyncio.create_task(database.write(wait))
    await begun.wait()
    try:
        yield
    finally:
        go_on.set()
        await holding


async def together(database: Database, *changes: Callable[[sqlite3.Connection], Any]) -> list[Any]:
    """Make changes in one group; return what each returned or raised."""
    async with held(database):
        writes = [asyncio.create_task(database.write(change)) for change in changes]
        await asyncio.sleep(0)
    return await asyncio.gather(*writes, return_exceptions=True)


def keeping(value: object, statement: str = 'INSERT') -> Callable[[sqlite3.Connection], object]:
    """Return what keeps a value, and fails where it is kept."""

    def keep(connection: sqlite3.Connection) -> object:
        connection.execute(f'{statement} INTO kept VALUES (?)', (value,))
        return value

    return keep


def keeping_and_failing(value: object) -> Callable[[sqlite3.Connection], object]:
    """Return what writes something and then fails."""

    def fail(connection: sqlite3.Connection) -> object:
        keeping(value)(connection)
        raise ZeroDivisionError(value)

    return fail


async def kept(database: Database) -> list[object]:
    """Return what is kept, in the order in which it came."""
    query = 'SELECT x FROM kept ORDER BY rowid'
    return await database.read(lambda connection: [x for (x,) in connection.execute(query)])


async def commits(database: Database) -> list[str]:
    """Return a list to which each commit from now on is added."""
    seen: list[str] = []

    def note(statement: str) -> None:
        if statement == 'COMMIT':
            seen.append(statement)

    await database.write(lambda connection: connection.set_trace_callback(note))
    seen.clear()
    return seen


async def test_what_waits_is_written_with_one_commit(database: Database) -> None:
    """However many they are; in the order in which they were asked for, each with its answer."""
    seen = await commits(database)
    answers = await together(database, *map(keeping, range(100)))
    assert answers == list(range(100))
    assert await kept(database) == answers
    assert len(seen) == 2, 'the one that was waited for, and the other'


async def test_what_comes_after_a_commit_is_told_once_after_it(database: Database) -> None:
    """`then` is given what all changes of the commit returned, which a reader can see by then."""
    told: list[object] = []
    reader = sqlite3.connect(database.path, check_same_thread=False)

    def then(results: Sequence[object]) -> None:
        seen = [x for (x,) in reader.execute('SELECT x FROM kept ORDER BY rowid')]
        told.append((results, seen))

    async with held(database):
        writes = [asyncio.create_task(database.write(keeping(each), then=then)) for each in (1, 2)]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)
    assert told == [([1, 2], [1, 2])]
    await asyncio.gather(
        *[database.write(keeping(each), then=then) for each in (2, 3)], return_exceptions=True
    )
    assert told[1:] == [([3], [1, 2, 3])]
    reader.close()


async def test_a_change_that_fails_takes_nobody_along(database: Database) -> None:
    """What it wrote is taken back, and it alone hears of it."""
    one, failed, twice, other = await together(
        database, keeping(1), keeping_and_failing(2), keeping(1), keeping(3)
    )
    assert (one, other) == (1, 3)
    assert isinstance(failed, ZeroDivisionError)
    assert isinstance(twice, sqlite3.IntegrityError)
    assert await kept(database) == [1, 3]


async def test_a_change_with_which_all_is_taken_back_takes_nobody_along(
    database: Database,
) -> None:
    """SQLite may give up the transaction by itself, as on a full disk."""
    give_up = keeping(1, 'INSERT OR ROLLBACK')
    one, *failed, other, last = await together(
        database, keeping(1), give_up, keeping_and_failing(2), give_up, keeping(3), keeping(4)
    )
    assert (one, other, last) == (1, 3, 4)
    assert [type(each) for each in failed] == [
        sqlite3.IntegrityError,
        ZeroDivisionError,
        sqlite3.IntegrityError,
    ]
    assert await kept(database) == [1, 3, 4]


async def test_where_the_commit_fails_nothing_is_made(database: Database) -> None:
    """All hear of it, and the next group is another one."""

    def break_at_the_commit(connection: sqlite3.Connection) -> None:
        connection.execute('INSERT INTO child VALUES (1)')

    def prepare(connection: sqlite3.Connection) -> None:
        connection.execute('CREATE TABLE parent (id PRIMARY KEY)')
        connection.execute(
            'CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)'
        )

    await database.write(prepare)
    await database._writer.use(lambda each: each.execute('PRAGMA foreign_keys = ON'))
    answers = await together(database, keeping(1), break_at_the_commit, keeping(3))
    assert [type(each) for each in answers] == [sqlite3.IntegrityError] * 3
    assert await kept(database) == []
    assert await together(database, keeping(1), keeping(3)) == [1, 3]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of one megabyte."""
    with mounted(tmp_path / 'small', 'size=1m') as disk:
        yield disk


async def test_a_group_on_a_full_disk_is_told_and_got_over(small_disk: Path) -> None:
    """Nobody is told that something is on record that is not."""
    database = await Database.open(small_disk)
    store = await SqliteExecutionStore.open(database, FakeClock())
    executions = [new_execution(each, arguments=('x' * 50_000,)) for each in range(1, 5)]
    with filled(small_disk):
        async with held(database):
            adding = [asyncio.create_task(add(store, each)) for each in executions]
            await asyncio.sleep(0)
        answers = await asyncio.gather(*adding, return_exceptions=True)
        assert [type(each) for each in answers] == [StoreUnavailable] * 4
        assert database.write_error is not None
    assert await store.open_executions() == ()
    async with held(database):
        adding = [asyncio.create_task(add(store, each)) for each in executions]
        await asyncio.sleep(0)
    assert [each.sequence for each in await asyncio.gather(*adding)] == [1, 2, 3, 4]
    assert database.write_error is None
    await store.close()


async def test_who_waited_in_a_group_and_went_away_changes_nothing(database: Database) -> None:
    """What was submitted is written, and everybody else is answered."""
    async with held(database):
        writes = [asyncio.create_task(database.write(keeping(each))) for each in range(4)]
        await asyncio.sleep(0)
        writes[1].cancel()
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert [answers[0], *answers[2:]] == [0, 2, 3]
    assert await kept(database) == [0, 1, 2, 3]


class Robot:
    """Asks a store for changes at random, some of which cannot be made."""

    def __init__(self, chance: random.Random, wrong: float) -> None:
        self.chance = chance
        self.wrong = wrong
        """How often it asks for what cannot be made."""
        self.states: dict[str, Execution] = {}
        """As they would be, had all been made."""
        self.number = 0

    def news(self) -> list[Change | Happening]:
        """Return what is to be recorded together."""
        news: list[Change | Happening] = []
        for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
            news += self.chance.choice([self._new, self._next, self._next])()
        if self.chance.random() < self.wrong:
            news += self._wrong()
        return news

    def _new(self) -> list[Change | Happening]:
        self.number += 1
        tags = tuple(self.chance.sample(['a', 'b', 'c'], self.chance.randrange(3)))
        execution = new_execution(self.number, script_tags=tags)
        self.states[execution.id] = execution
        return [Change.first(execution, GATEWAY)]

    def _next(self) -> list[Change | Happening]:
        open_ones = [each for each in self.states.values() if each.is_open]
        if not open_ones:
            return self._new()
        execution = self.chance.choice(open_ones)
        changes: list[Change | Happening] = []
        if execution.status is ExecutionStatus.PREPARED:
            execution = advance(execution, ExecutionStatus.RUNNING)
            changes.append(next_change(execution))
        if not changes or self.chance.random() < 0.5:
            code = self.chance.randrange(3)
            execution = advance(execution, ExecutionStatus.COMPLETED, exit_code=code)
            changes.append(next_change(execution, 'exited'))
        self.states[execution.id] = execution
        return changes

    def _wrong(self) -> list[Change | Happening]:
        happening = Happening(kind=EventKind.SCRIPT_UPLOADED, subject='a/b/c/d', actor=GATEWAY)
        if self.chance.random() < 0.5 or not self.states:
            # Of what nobody knows.
            return [happening, next_change(new_execution(10**6))]
        return [happening, Change.first(self.chance.choice(list(self.states.values())), GATEWAY)]


Ask = Callable[[SqliteExecutionStore], Awaitable[tuple[Event, ...]]]


def _asked(robot: Robot) -> Ask:
    """Return one change that is asked of a store."""
    if robot.chance.random() < 0.15 and robot.states:
        open_too = robot.chance.random() < robot.wrong
        known = [each.id for each in robot.states.values() if open_too or not each.is_open]
        ids = robot.chance.sample(known, min(2, len(known)))
        return lambda store: store.remove(ids, actor=GATEWAY, cause='client')
    news = robot.news()
    return lambda store: store.record(news)


async def _answer(store: SqliteExecutionStore, ask: Ask) -> object:
    try:
        events = await ask(store)
    except Exception as error:
        return type(error), str(error)
    return [(each.sequence, each.kind, each.subject, each.changes) for each in events]


async def _everything(database: Database) -> dict[str, list[Any]]:
    """Return all rows of all tables but the name of the history."""

    def read(connection: sqlite3.Connection) -> dict[str, list[Any]]:
        tables = [name for (name,) in connection.execute(TABLES) if name != 'store_state']
        return {
            name: sorted(connection.execute(f'SELECT * FROM {name}'), key=repr) for name in tables
        }

    return await database.read(read)


@pytest.fixture
async def stores(
    tmp_path: Path,
) -> AsyncIterator[list[tuple[Database, SqliteExecutionStore]]]:
    """Open two stores, each with its database."""
    opened = []
    for name in ('one', 'other'):
        (tmp_path / name).mkdir()
        database = await Database.open(tmp_path / name)
        opened.append((database, await SqliteExecutionStore.open(database, FakeClock())))
    yield opened
    for _, store in opened:
        await store.close()


@pytest.mark.parametrize('wrong', [0.0, 0.05, 0.3])
async def test_groups_leave_what_one_by_one_would_have_left(
    stores: list[tuple[Database, SqliteExecutionStore]], wrong: float
) -> None:
    """Each change has the same answer, and every table the same rows, whatever fails."""
    (alone, one_by_one), (grouped, in_groups) = stores
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    robot = Robot(chance, wrong)
    asked = [_asked(robot) for _ in range(300)]
    expected = [await _answer(one_by_one, each) for each in asked]
    seen = await commits(grouped)
    answers = []
    for each in asked:
        answers.append(asyncio.create_task(_answer(in_groups, each)))
        if chance.random() < 0.2:
            await asyncio.sleep(0)
        if chance.random() < 0.02:
            await answers[-1]
    assert await asyncio.gather(*answers) == expected, f'seed {seed}'
    assert await _everything(grouped) == await _everything(alone), f'seed {seed}'
    log = [(each.sequence, each.kind, each.changes) for each in await whole_log(in_groups)]
    assert log == [
        (each.sequence, each.kind, each.changes) for each in await whole_log(one_by_one)
    ]
    refused = [each for each in expected if isinstance(each, tuple)]
    assert bool(refused) is bool(wrong)
    assert wrong or len(seen) < 200, f'seed {seed}'
