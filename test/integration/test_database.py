# SPDX-License-Identifier: Apache-2.0
"""The SQLite file: versions, corruption, restarts, a disk that cannot be written."""

import asyncio
from collections.abc import Callable, Iterator
import gc
import logging
import os
from pathlib import Path
import sqlite3
import subprocess
import threading

from earlier_form import to_document
from fakes import add, FakeClock, new_execution, next_change, remove, update, whole_log
import pytest
from small_disks import filled, mounted

from gateway_node.entities.identities import Identity
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Change
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.errors import StoreVersionError
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.identity_store import SqliteIdentityStore
from gateway_node.storage.schema import STEPS, Steps

LATER_STEP: Steps = (
    (
        'ALTER TABLE executions ADD COLUMN colour TEXT',
        "UPDATE executions SET colour = 'green'",
    ),
)
"""A step that a later gateway might bring."""


async def opened(state_dir: Path, clock: FakeClock | None = None) -> SqliteExecutionStore:
    """Open the store of a state directory."""
    return await SqliteExecutionStore.open(await Database.open(state_dir), clock or FakeClock())


def pragma(state_dir: Path, name: str) -> object:
    """Read a pragma from outside."""
    connection = sqlite3.connect(state_dir / FILE_NAME)
    try:
        return connection.execute(f'PRAGMA {name}').fetchone()[0]
    finally:
        connection.close()


def made_at_version(state_dir: Path, version: int) -> None:
    """Leave the file that the gateway of an earlier schema version would have left."""
    connection = sqlite3.connect(state_dir / FILE_NAME, isolation_level=None)
    if version:
        connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
        connection.execute(f'PRAGMA user_version = {version}')
    for step in STEPS[:version]:
        for statement in step:
            connection.execute(statement)
    connection.close()


def _copied(state_dir: Path) -> Path:
    """Return a copy of a state directory as a kill would leave it now."""
    copy = state_dir / 'copy'
    copy.mkdir()
    for name in (FILE_NAME, f'{FILE_NAME}-wal'):
        (copy / name).write_bytes((state_dir / name).read_bytes())
    return copy


async def test_everything_is_there_again_after_a_restart(tmp_path: Path) -> None:
    """Executions, log, sequence, counts, greatest id and identities outlive the process."""
    execution = new_execution(1)
    identity = Identity(
        ref=EntityRef(entity_type=EntityType.APP, entity_id='arm'),
        holder='/robot/arm',
        unseen_sec=12.5,
    )
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    first = await add(store, execution)
    await SqliteIdentityStore(database).save_identities([identity])
    await store.close()

    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    assert await store.open_executions() == (execution,)
    assert await whole_log(store) == (first,)
    assert (await store.counts())[ExecutionStatus.PREPARED] == 1
    assert await store.last_id() == execution.id
    assert (await add(store, new_execution(2))).sequence == 2
    assert await SqliteIdentityStore(database).load_identities() == (identity,)
    await store.close()


async def test_ages_count_only_the_time_that_the_gateway_was_up(tmp_path: Path) -> None:
    """A gateway that was off for years finds nothing older than when it went off."""
    policy = RetentionPolicy(max_executions=0, max_age_sec=100, max_failed_age_sec=100)
    clock = FakeClock()
    store = await opened(tmp_path, clock)
    execution = new_execution(1)
    await add(store, execution)
    await update(store, execution.evolve(status=ExecutionStatus.COMPLETED), 'exited')
    clock.advance(60)
    await store.close()

    rebooted = FakeClock()
    rebooted.seconds = 5.0
    store = await opened(tmp_path, rebooted)
    assert await store.expired(policy, limit=10) == ()
    rebooted.advance(39)
    assert await store.expired(policy, limit=10) == ()
    rebooted.advance(2)
    assert await store.expired(policy, limit=10) == (execution.id,)
    await store.close()


async def test_the_time_up_survives_a_kill(tmp_path: Path) -> None:
    """A gateway that is asked what expired, and is then killed, forgets at most a minute."""
    policy = RetentionPolicy(max_executions=0, max_age_sec=1000, max_failed_age_sec=1000)
    clock = FakeClock()
    store = await opened(tmp_path, clock)
    execution = new_execution(1)
    await add(store, execution)
    await update(store, execution.evolve(status=ExecutionStatus.COMPLETED), 'exited')
    for _ in range(10):
        clock.advance(70)
        await store.expired(policy, limit=10)

    copy = _copied(tmp_path)
    await store.close()
    later = FakeClock()
    store = await opened(copy, later)
    later.advance(1000 - 700 + 1)
    assert await store.expired(policy, limit=10) == (execution.id,)
    await store.close()


async def test_what_happens_tells_the_time_up_to_a_gateway_after_a_kill(tmp_path: Path) -> None:
    """The time of the last event was a time up, whatever else was noted."""
    policy = RetentionPolicy(max_executions=0, max_age_sec=1000, max_failed_age_sec=1000)
    clock = FakeClock()
    store = await opened(tmp_path, clock)
    execution = new_execution(1)
    await add(store, execution)
    await update(store, execution.evolve(status=ExecutionStatus.COMPLETED), 'exited')
    clock.advance(700)
    await add(store, new_execution(2))

    later = FakeClock()
    other = await opened(_copied(tmp_path), later)
    await store.close()
    later.advance(1000 - 700 + 1)
    assert await other.expired(policy, limit=10) == (execution.id,)
    await other.close()


async def written_pages(state_dir: Path, store: SqliteExecutionStore, *news: Change) -> int:
    """Record something; return the pages that this wrote."""
    log = state_dir / f'{FILE_NAME}-wal'
    before = log.stat().st_size
    await store.record(news)
    frame = 24 + 4096  # sqlite.org/fileformat2.html, section 4.1
    return (log.stat().st_size - before) // frame


async def test_a_change_that_ends_nothing_writes_four_pages(tmp_path: Path) -> None:
    """Of the flash: the row, the counts of statuses, the event and its number; no index."""
    store = await opened(tmp_path, FakeClock())
    execution = new_execution(1)
    await add(store, execution)
    running = next_change(execution.evolve(status=ExecutionStatus.RUNNING))
    assert await written_pages(tmp_path, store, running) == 4
    await store.close()


async def test_what_ends_at_once_writes_no_page_more_for_having_run(tmp_path: Path) -> None:
    """Both changes lie in the pages of the end."""
    store = await opened(tmp_path, FakeClock())
    pages = []
    for number, at_once in ((1, False), (2, False), (3, True)):
        prepared = new_execution(number)
        await add(store, prepared)
        states = [advance(prepared, ExecutionStatus.RUNNING)] if at_once else []
        states.append(advance(states[0] if at_once else prepared, ExecutionStatus.FAILED))
        pages.append(await written_pages(tmp_path, store, *map(next_change, states)))
    # The first one has terms that no execution had before.
    assert pages[0] > pages[1] == pages[2]
    await store.close()


async def test_the_file_is_made_as_the_design_says(tmp_path: Path) -> None:
    """WAL, full synchronisation and incremental vacuum hold from the first table on."""
    database = await Database.open(tmp_path)

    def settings(connection: sqlite3.Connection) -> list[object]:
        names = ('journal_mode', 'synchronous', 'auto_vacuum')
        return [connection.execute(f'PRAGMA {name}').fetchone()[0] for name in names]

    full, incremental = 2, 2
    assert await database.read(settings) == ['wal', full, incremental]
    await database.close()


@pytest.mark.parametrize('version', range(len(STEPS)))
async def test_every_earlier_version_is_brought_forward(tmp_path: Path, version: int) -> None:
    """A file of any earlier schema version is usable and then has the newest."""
    made_at_version(tmp_path, version)
    store = await opened(tmp_path)
    await add(store, new_execution(1))
    await store.close()
    assert pragma(tmp_path, 'user_version') == len(STEPS)
    assert pragma(tmp_path, 'auto_vacuum') == 2


async def test_a_later_step_keeps_what_is_there(tmp_path: Path) -> None:
    """A migration changes the file once and loses no execution."""
    store = await opened(tmp_path)
    await add(store, new_execution(1))
    await store.close()
    for _ in range(2):
        database = await Database.open(tmp_path, steps=STEPS + LATER_STEP)
        colours = await database.read(
            lambda connection: connection.execute('SELECT colour FROM executions').fetchall()
        )
        assert colours == [('green',)]
        store = await SqliteExecutionStore.open(database, FakeClock())
        assert await store.get(new_execution(1).id) == new_execution(1)
        await store.close()


async def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    """Migrations happen together or not at all; the old file stays usable."""
    store = await opened(tmp_path)
    await add(store, new_execution(1))
    await store.close()
    broken: Steps = (('CREATE TABLE halfway (x)',), ('CREATE nonsense',))
    with pytest.raises(sqlite3.OperationalError, match='nonsense'):
        await Database.open(tmp_path, steps=STEPS + broken)
    assert pragma(tmp_path, 'user_version') == len(STEPS)
    store = await opened(tmp_path)
    assert await store.get(new_execution(1).id) == new_execution(1)
    await store.close()


async def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A gateway that is older than its database says so and touches nothing."""
    await (await Database.open(tmp_path, steps=STEPS + LATER_STEP)).close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StoreVersionError, match='at least as new') as refused:
        await Database.open(tmp_path)
    assert (refused.value.found, refused.value.supported) == (len(STEPS) + 1, len(STEPS))
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert not (tmp_path / f'{FILE_NAME}.corrupt-1').exists()


def garbage(path: Path) -> None:
    """Leave something that is no database at all."""
    path.write_bytes(b'not a database, ' * 4096)


def torn_page(path: Path) -> None:
    """Overwrite pages in the middle of the file."""
    size = path.stat().st_size
    with path.open('r+b') as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(16384))


def cut_short(path: Path) -> None:
    """Cut the second half of the file off."""
    os.truncate(path, path.stat().st_size // 2)


def foreign(path: Path) -> None:
    """Leave another program's database."""
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute('CREATE TABLE executions (something_else)')
    connection.commit()
    connection.close()


@pytest.mark.parametrize('damage', [garbage, torn_page, cut_short, foreign])
async def test_a_corrupt_file_is_set_aside(
    tmp_path: Path, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The gateway starts with a fresh file; the corrupt one is kept, named and never lost."""
    for number in (1, 2):
        store = await opened(tmp_path)
        for each in range(200):
            await add(store, new_execution(each))
        await store.close()
        damage(tmp_path / FILE_NAME)
        damaged = (tmp_path / FILE_NAME).read_bytes()
        with caplog.at_level(logging.ERROR):
            database = await Database.open(tmp_path)
        store = await SqliteExecutionStore.open(database, FakeClock())
        assert await store.open_executions() == ()
        kept = tmp_path / f'{FILE_NAME}.corrupt-{number}'
        assert kept.read_bytes() == damaged
        assert database.set_aside[-1] == kept
        assert len(database.set_aside) == number
        assert str(kept) in caplog.text
        await store.close()


async def test_the_log_of_a_corrupt_file_is_kept_with_it(tmp_path: Path) -> None:
    """The WAL goes with the file that it belongs to, untouched, and not with the fresh one."""
    garbage(tmp_path / FILE_NAME)
    (tmp_path / f'{FILE_NAME}-wal').write_bytes(b'of the corrupt one')
    store = await opened(tmp_path)
    kept = tmp_path / f'{FILE_NAME}.corrupt-1-wal'
    assert kept.read_bytes() == b'of the corrupt one'
    assert await store.open_executions() == ()
    await store.close()


async def test_corruption_that_shows_later_is_found_at_the_next_start(tmp_path: Path) -> None:
    """A reader that meets a corrupt page answers unavailable; the next start sets it aside."""
    store = await opened(tmp_path)
    for number in range(300):  # more than SQLite's page cache holds
        await add(store, new_execution(number, arguments=('x' * 20_000,)))
    await store.close()
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    size = (tmp_path / FILE_NAME).stat().st_size
    with (tmp_path / FILE_NAME).open('r+b') as file:
        file.seek(8 * 4096)
        file.write(b'\xff' * (size - 8 * 4096))
    with pytest.raises(StoreUnusable, match=r'malformed.*start the gateway again'):
        await store.open_executions()
    assert (tmp_path / f'{FILE_NAME}.suspect').exists()
    await store.close()
    database = await Database.open(tmp_path)
    assert len(database.set_aside) == 1
    assert not (tmp_path / f'{FILE_NAME}.suspect').exists()
    await database.close()


async def test_a_cancelled_write_is_done_all_the_same(tmp_path: Path) -> None:
    """What was submitted is written, even where its caller went away before its turn."""
    store = await opened(tmp_path)
    writes = [asyncio.ensure_future(add(store, new_execution(number))) for number in range(20)]
    await asyncio.sleep(0)
    for write in writes:
        write.cancel()
    await asyncio.gather(*writes, return_exceptions=True)
    await add(store, new_execution(20))
    assert len(await store.open_executions()) == 21
    await store.close()


async def test_a_call_whose_caller_went_away_fails_unheard(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As at the gateway's end: an outage is nobody's business then, a defect is one line."""
    database = await Database.open(tmp_path)
    begun, closed = threading.Event(), threading.Event()

    def fail_with(error: Exception) -> Callable[[object], None]:
        def read(_: object) -> None:
            begun.set()
            closed.wait(20)
            raise error

        return read

    outage, defect = StoreUnavailable('it is closed'), sqlite3.ProgrammingError('nonsense')
    reads = [
        asyncio.create_task(database.read(fail_with(error))) for error in (outage, outage, defect)
    ]
    await asyncio.to_thread(begun.wait, 20)
    for read in reads:
        read.cancel()
    await asyncio.wait(reads)
    closed.set()
    await database.close()
    reads.clear()
    gc.collect()
    assert caplog.messages == [
        f"failed, and nobody waits for it: {database.path}: ProgrammingError('nonsense')"
    ]


async def test_the_file_shrinks_in_steps(tmp_path: Path) -> None:
    """After removals, pages go back to the file system a little at a time; a spare stays."""
    database = await Database.open(tmp_path)
    store = await SqliteExecutionStore.open(database, FakeClock())
    bulky = [new_execution(number, input_parameters={'x': 'x' * 2**20}) for number in range(8)]
    for execution in bulky:
        await add(store, execution)
        await update(store, execution.evolve(status=ExecutionStatus.COMPLETED), 'exited')
    full = (tmp_path / FILE_NAME).stat().st_size
    for execution in bulky:
        await remove(store, execution.id)
    assert await database.shrink()
    assert (tmp_path / FILE_NAME).stat().st_size > full / 2
    await store.shrink()
    assert 2**20 <= (tmp_path / FILE_NAME).stat().st_size < 2 * 2**20
    assert not await database.shrink()
    await store.close()


async def test_a_lock_held_from_outside_makes_it_unavailable_for_that_time(
    tmp_path: Path,
) -> None:
    """A sqlite3 shell in a transaction costs a clear error, not the record."""
    store = await opened(tmp_path)
    shell = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    shell.execute('BEGIN IMMEDIATE')
    with pytest.raises(StoreUnavailable, match='locked') as locked:
        await add(store, new_execution(1))
    assert not isinstance(locked.value, StoreUnusable)
    shell.execute('ROLLBACK')
    shell.close()
    await add(store, new_execution(1))
    await store.close()


async def test_a_file_removed_under_the_gateway_is_noticed(tmp_path: Path) -> None:
    """What is written into a file without a name would be lost: it is refused instead."""
    store = await opened(tmp_path)
    (tmp_path / FILE_NAME).rename(tmp_path / 'elsewhere')
    with pytest.raises(StoreUnusable, match='removed or replaced'):
        await add(store, new_execution(1))
    sqlite3.connect(tmp_path / FILE_NAME).execute('CREATE TABLE another (x)').connection.close()
    with pytest.raises(StoreUnusable, match='removed or replaced'):
        await add(store, new_execution(1))
    await store.close()


@pytest.mark.parametrize(
    ('statement', 'error'),
    [
        ('CREATE nonsense', sqlite3.OperationalError),
        ('INSERT INTO store_state (only, up_sec) VALUES (1, 0.0)', sqlite3.IntegrityError),
        ('SELECT ?', sqlite3.ProgrammingError),
    ],
)
async def test_a_defect_is_no_outage(
    tmp_path: Path, statement: str, error: type[sqlite3.Error]
) -> None:
    """What another attempt cannot change is raised as what it is, and leaves the file usable."""
    database = await Database.open(tmp_path)
    with pytest.raises(error):
        await database.write(lambda connection: connection.execute(statement))
    assert database.write_error is None
    store = await SqliteExecutionStore.open(database, FakeClock())
    await add(store, new_execution(1))
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of one megabyte."""
    with mounted(tmp_path / 'small', 'size=1m') as disk:
        yield disk


async def test_a_full_disk_is_told_and_got_over(small_disk: Path) -> None:
    """On a full disk writes fail and change nothing, reads go on; with room again all works."""
    store = await opened(small_disk)
    running = new_execution(1)
    await add(store, running)
    bulky = new_execution(2, arguments=('x' * 200_000,))
    with filled(small_disk):
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match='full'):
                await add(store, bulky)
        assert await store.get(running.id) == running
        assert await store.get(bulky.id) is None
        assert len(await whole_log(store)) == 1
    assert (await add(store, bulky)).sequence == 2
    await store.close()
    store = await opened(small_disk)
    assert await store.open_executions() == (running, bulky)
    await store.close()


async def test_a_start_on_a_full_disk_is_refused_and_harmless(small_disk: Path) -> None:
    """Where the file cannot even be opened the error names it, and nothing is set aside."""
    store = await opened(small_disk)
    await add(store, new_execution(1))
    await store.close()
    with filled(small_disk), pytest.raises(StoreUnavailable, match=FILE_NAME):
        await Database.open(small_disk)
    database = await Database.open(small_disk)
    assert database.set_aside == ()
    store = await SqliteExecutionStore.open(database, FakeClock())
    assert await store.open_executions() == (new_execution(1),)
    await store.close()


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system that a test can make read-only."""
    with mounted(tmp_path / 'read_only', 'size=8m') as disk:
        yield disk


async def test_a_read_only_directory_is_told_and_got_over(read_only_disk: Path) -> None:
    """A state directory that cannot be written is refused by name, and usable again later."""
    store = await opened(read_only_disk)
    await add(store, new_execution(1))
    await store.close()
    _remount(read_only_disk, 'ro')
    with pytest.raises(StoreUnavailable, match=FILE_NAME):
        await Database.open(read_only_disk)
    _remount(read_only_disk, 'rw')
    store = await opened(read_only_disk)
    assert await store.open_executions() == (new_execution(1),)
    await store.close()


def _remount(path: Path, mode: str) -> None:
    subprocess.run(['mount', '-o', f'remount,{mode}', str(path)], check=True)


async def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    """The error names the file that cannot be opened."""
    with pytest.raises(StoreUnavailable, match='nowhere'):
        await Database.open(tmp_path / 'nowhere')


async def test_the_versions_that_kept_executions_name_are_counted_at_the_migration(
    tmp_path: Path,
) -> None:
    """Those of executions that an earlier version of the gateway recorded."""
    made_at_version(tmp_path, 3)
    connection = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    for number in (1, 2):
        execution = new_execution(number)
        connection.execute(
            """
            INSERT INTO executions (
                id, entity, script_id, status, scheduled, created_at, document, parameters
            ) VALUES (?, 'apps/temp_sensor', 'self_test', 'prepared', 0, '', ?, '[{},null]')
            """,
            (execution.id, to_document(execution)),
        )
    connection.close()
    store = await opened(tmp_path)
    assert await store.versions_named('self_test') == {new_execution(1).script_version: 2}
    await store.close()
