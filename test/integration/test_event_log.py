# SPDX-License-Identifier: Apache-2.0
"""What is kept of the log, for whom, and when it is another history."""

from collections.abc import AsyncIterator
import contextlib
import os
from pathlib import Path
import shutil

from fakes import (
    add,
    FakeClock,
    InMemoryExecutionStore,
    new_execution,
    update,
    whole_log,
)
import pytest

from gateway_node.executions.errors import LogBegins
from gateway_node.executions.events import Cursor
from gateway_node.executions.store_ports import ExecutionStore, LogPolicy
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage import event_log as event_log_module
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.mark import FILE_NAME as MARK

FIVE = LogPolicy(max_events=5, max_age_sec=0)
A_MINUTE = LogPolicy(max_events=0, max_age_sec=60)


@pytest.fixture(params=['in_memory', 'sqlite'])
async def store(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ExecutionStore]:
    """Each implementation, empty, that looks at ages whenever it is asked to."""
    monkeypatch.setattr(event_log_module, '_LOOK_SEC', 0)
    if request.param == 'in_memory':
        yield InMemoryExecutionStore(clock)
        return
    async with opened(tmp_path, clock) as store:
        yield store


@contextlib.asynccontextmanager
async def opened(
    state_dir: Path, clock: FakeClock | None = None
) -> AsyncIterator[SqliteExecutionStore]:
    """Open the store of a state directory for a while."""
    database = await Database.open(state_dir)
    store = await SqliteExecutionStore.open(database, clock or FakeClock())
    try:
        yield store
    finally:
        await store.close()


async def grow(store: ExecutionStore, *numbers: int) -> None:
    """Add events."""
    for number in numbers:
        await add(store, new_execution(number))


async def kept(store: ExecutionStore) -> list[int]:
    """Return the sequences that the log has, and check where it says that it begins."""
    sequences = [event.sequence for event in await whole_log(store)]
    bounds = await store.log.bounds()
    assert bounds.ends == store.log.end
    assert bounds.begins.sequence == store.log.end.sequence - len(sequences)
    return sequences


def place(store: ExecutionStore, sequence: int) -> Cursor:
    """Return a place in a store's log."""
    return Cursor(epoch=store.log.end.epoch, sequence=sequence)


async def test_the_oldest_events_go_past_the_number(store: ExecutionStore) -> None:
    """The newest stay, however old the executions are that they tell of."""
    await grow(store, *range(1, 9))
    await store.log.prune(FIVE)
    assert await kept(store) == [4, 5, 6, 7, 8]
    assert await store.get(new_execution(1).id) == new_execution(1)


async def test_events_go_by_the_time_that_the_gateway_was_up(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """Not by the wall clock, which jumps."""
    await grow(store, 1, 2)
    clock.advance(40)
    clock.wall = clock.wall.replace(year=2031)
    await grow(store, 3)
    await store.log.prune(A_MINUTE)
    assert await kept(store) == [1, 2, 3]
    clock.advance(21)
    await store.log.prune(A_MINUTE)
    assert await kept(store) == [3]
    clock.advance(61)
    await store.log.prune(A_MINUTE)
    assert await kept(store) == []
    await grow(store, 4)
    assert await kept(store) == [4]


async def test_without_bounds_every_event_stays(store: ExecutionStore, clock: FakeClock) -> None:
    """0 sets no bound."""
    await grow(store, *range(1, 9))
    clock.advance(1e9)
    await store.log.prune(LogPolicy(max_events=0, max_age_sec=0))
    assert len(await kept(store)) == 8


async def test_what_a_follower_holds_stays_for_a_while(store: ExecutionStore) -> None:
    """Up to twice as many events; then it loses its place, and is told where the log begins."""
    await grow(store, *range(1, 4))
    await store.log.hold('hub', place(store, 2))
    await store.log.hold('callbacks', place(store, 3))
    await grow(store, *range(4, 11))
    await store.log.prune(FIVE)
    assert await kept(store) == list(range(3, 11))
    assert await store.log.held('hub') == place(store, 2)
    await store.log.hold('hub', place(store, 7))
    await store.log.prune(FIVE)
    assert await kept(store) == list(range(4, 11))
    await grow(store, *range(11, 16))
    await store.log.prune(FIVE)
    assert await kept(store) == list(range(8, 16))
    assert await store.log.held('hub') == place(store, 7)
    assert await store.log.held('callbacks') is None
    with pytest.raises(LogBegins) as refused:
        await store.log.events(place(store, 3), limit=10)
    assert refused.value.begins == place(store, 7)


async def test_what_a_follower_holds_stays_for_a_longer_time(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """For twice the time up."""
    await store.log.hold('hub', place(store, 0))
    await grow(store, 1, 2)
    clock.advance(119)
    await store.log.prune(A_MINUTE)
    assert await kept(store) == [1, 2]
    clock.advance(2)
    await store.log.prune(A_MINUTE)
    assert await kept(store) == []
    assert await store.log.held('hub') is None


async def test_who_lets_go_holds_nothing(store: ExecutionStore) -> None:
    """A follower that is no more costs no room."""
    await store.log.hold('hub', place(store, 0))
    await store.log.release('hub')
    await store.log.release('hub')
    assert await store.log.held('hub') is None
    await grow(store, *range(1, 9))
    await store.log.prune(FIVE)
    assert len(await kept(store)) == 5


async def test_only_a_place_in_the_log_can_be_held(store: ExecutionStore) -> None:
    """Who asks for another one is told where the log begins."""
    await grow(store, *range(1, 9))
    await store.log.prune(FIVE)
    for after in (place(store, 2), place(store, 9), Cursor(epoch='another', sequence=5)):
        with pytest.raises(LogBegins):
            await store.log.hold('hub', after)
    assert await store.log.held('hub') is None


async def test_events_go_many_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one with each that comes, for each time is a commit, nor all in one."""
    monkeypatch.setattr(event_log_module, '_PRUNED_AT_ONCE', 4)
    policy = LogPolicy(max_events=100, max_age_sec=0)
    async with opened(tmp_path) as store:
        await grow(store, *range(1, 104))
        await store.log.prune(policy)
        assert len(await kept(store)) == 103
        await grow(store, *range(104, 111))
        await store.log.prune(policy)
        assert len(await kept(store)) == 100


async def test_a_place_that_is_held_outlives_the_gateway(tmp_path: Path) -> None:
    """And so does the epoch, which names the history."""
    async with opened(tmp_path) as store:
        await grow(store, 1, 2)
        held = place(store, 1)
        await store.log.hold('hub', held)
    async with opened(tmp_path) as store:
        assert await store.log.held('hub') == held
        assert [event.sequence for event in await store.log.events(held, limit=9)] == [2]


async def test_a_restored_backup_is_another_history(tmp_path: Path) -> None:
    """Who read what the backup does not know is told that the log begins anew, though the
    sequences come to where it was again."""
    database = tmp_path / FILE_NAME
    async with opened(tmp_path) as store:
        await grow(store, 1, 2)
        await store.log.hold('hub', place(store, 1))
    backup = database.read_bytes()
    async with opened(tmp_path) as store:
        await grow(store, 3)
        read_to = store.log.end
    database.write_bytes(backup)
    async with opened(tmp_path) as store:
        await grow(store, 4, 5)
        assert store.log.end.sequence > read_to.sequence
        assert store.log.end.epoch != read_to.epoch
        assert await store.log.held('hub') is None
        with pytest.raises(LogBegins) as refused:
            await store.log.events(read_to, limit=9)
        told = [each.subject_id for each in await store.log.events(refused.value.begins, limit=9)]
        assert told == [new_execution(number).id for number in (1, 2, 4, 5)]


async def test_a_backup_that_nobody_read_past_is_the_same_history(tmp_path: Path) -> None:
    """As long as nothing was told that it does not know, it is no other one."""
    async with opened(tmp_path) as store:
        await grow(store, 1, 2)
        end = store.log.end
    backup = (tmp_path / FILE_NAME).read_bytes()
    async with opened(tmp_path):
        pass
    (tmp_path / FILE_NAME).write_bytes(backup)
    async with opened(tmp_path) as store:
        assert store.log.end == end


async def test_a_copy_is_another_history(tmp_path: Path) -> None:
    """Two robots that were set up from one directory do not tell the same."""
    first, second = tmp_path / 'first', tmp_path / 'second'
    first.mkdir()
    async with opened(first) as store:
        await grow(store, 1)
        end = store.log.end
    shutil.copytree(first, second)
    async with opened(first) as store:
        assert store.log.end == end
    async with opened(second) as store:
        assert store.log.end.epoch != end.epoch
        assert store.log.end.sequence == 1


@pytest.mark.parametrize('content', [None, b'', b'\0' * 60, b'not a mark of any log at all\n'])
async def test_a_mark_that_is_lost_means_another_history(
    tmp_path: Path, content: bytes | None
) -> None:
    """Nobody can tell then what was read; it is there again for the next start."""
    async with opened(tmp_path) as store:
        epoch = store.log.end.epoch
    if content is None:
        (tmp_path / MARK).unlink()
    else:
        (tmp_path / MARK).write_bytes(content)
    async with opened(tmp_path) as store:
        another = store.log.end.epoch
        assert another != epoch
    async with opened(tmp_path) as store:
        assert store.log.end.epoch == another


async def test_a_mark_that_is_behind_makes_no_difference(tmp_path: Path) -> None:
    """A power cut takes what was not synced: the database is at least as new."""
    async with opened(tmp_path) as store:
        await grow(store, 1)
        mark = (tmp_path / MARK).read_bytes()
        await grow(store, 2)
        end = store.log.end
        assert (tmp_path / MARK).read_bytes() != mark
    (tmp_path / MARK).write_bytes(mark)
    async with opened(tmp_path) as store:
        assert store.log.end == end


async def test_where_no_mark_can_be_written_the_next_start_tells_another_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What happened is recorded and told all the same; one that is behind would hide a restored
    backup, so none is left."""

    def fails(*_: object) -> int:
        raise OSError(28, 'No space left on device')

    async with opened(tmp_path) as store:
        epoch = store.log.end.epoch
        monkeypatch.setattr(os, 'pwrite', fails)
        await grow(store, 1)
        await update(store, new_execution(1).evolve(status=ExecutionStatus.FAILED))
        monkeypatch.undo()
        assert len(await whole_log(store)) == 2
        assert not (tmp_path / MARK).exists()
    said = [each.getMessage() for each in caplog.records if 'epoch' in each.getMessage()]
    assert len(said) == 1
    assert 'No space left on device' in said[0]
    async with opened(tmp_path) as store:
        assert store.log.end.epoch != epoch
