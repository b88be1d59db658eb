# SPDX-License-Identifier: Apache-2.0
"""Retention as properties of any life that a store may lead, put to every implementation."""

import asyncio
from collections.abc import Collection, Sequence
import contextlib
from dataclasses import dataclass, field
import datetime
from pathlib import Path
import sqlite3
import tempfile

from fakes import add, FakeClock, InMemoryExecutionStore, new_execution, remove, update
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import Robot
import pytest
from waiting import DEADLINE_SEC

from gateway_node.executions.documents import to_document, to_parameters
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.store_ports import ExecutionStore, RetentionPolicy
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus, FINAL_STATUSES
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore


@dataclass(frozen=True)
class Begin:
    """A new execution, or a schedule, comes into the store."""

    scheduled: bool


@dataclass(frozen=True)
class End:
    """One of the open executions ends."""

    which: int
    status: ExecutionStatus
    kept_bytes: int | None
    """None where nobody measures it."""


@dataclass(frozen=True)
class Measure:
    """What was not measured is."""

    kept_bytes: int
    limit: int


@dataclass(frozen=True)
class Pass:
    """The gateway is up for some seconds."""

    seconds: int


@dataclass(frozen=True)
class Jump:
    """The wall clock is set, forwards or backwards."""

    days: int


@dataclass(frozen=True)
class Restart:
    """The gateway is off for any time; the machine's monotonic clock begins anew."""


@dataclass(frozen=True)
class CleanUp:
    """What has expired is removed, a few at a time."""

    limit: int


Event = Begin | End | Measure | Pass | Jump | Restart | CleanUp

FINAL = st.sampled_from(sorted(FINAL_STATUSES, key=str))
KEPT = st.sampled_from([0, 5_000, 20_000])
LIVES = st.lists(
    st.builds(Begin, scheduled=st.booleans())
    | st.builds(
        End,
        which=st.integers(0, 9),
        status=st.sampled_from(sorted(FINAL_STATUSES, key=str)),
        kept_bytes=st.none() | KEPT,
    )
    | st.builds(Measure, kept_bytes=KEPT, limit=st.integers(1, 4))
    | st.builds(Pass, seconds=st.integers(0, 50))
    | st.builds(Jump, days=st.integers(-10_000, 10_000))
    | st.just(Restart())
    | st.builds(CleanUp, limit=st.integers(1, 4)),
    max_size=40,
)
BOUNDS = st.sampled_from([0, 1, 3, 10])
AGES = st.sampled_from([0.0, 10.0, 60.0])
POLICIES = st.builds(
    RetentionPolicy,
    max_executions=BOUNDS,
    max_age_sec=AGES,
    max_failed_age_sec=AGES,
    max_disk_bytes=st.sampled_from([0, 1, 4_000, 12_000, 50_000]),
)


ENDS = st.lists(
    st.builds(
        End,
        which=st.just(0),
        status=st.sampled_from(sorted(FINAL_STATUSES, key=str)),
        kept_bytes=st.sampled_from([None, 0, 5_000, 20_000]),
    ),
    min_size=4,
    max_size=10,
)
DISK_POLICIES = st.builds(
    RetentionPolicy,
    max_executions=st.sampled_from([0, 6]),
    max_age_sec=st.sampled_from([0.0, 3.0]),
    max_failed_age_sec=st.sampled_from([0.0, 3.0]),
    max_disk_bytes=st.sampled_from([1, 8_000, 20_000, 60_000]),
)


@dataclass
class Model:
    """What a store should hold, kept the plain way."""

    policy: RetentionPolicy
    up_sec: int = 0
    open: dict[str, Execution] = field(default_factory=dict)
    ended: dict[str, tuple[int, Execution]] = field(default_factory=dict)
    """When it ended, in seconds up, and its last state; by id."""
    measured: dict[str, int] = field(default_factory=dict)
    """Bytes of the disk, documents included; by id."""

    def measure(self, execution_id: str, kept_bytes: int) -> None:
        """Note what is kept of an ended execution beside its record."""
        _, execution = self.ended[execution_id]
        documents = to_document(execution), to_parameters(execution)
        self.measured[execution_id] = kept_bytes + sum(map(len, documents))

    def expired(self) -> list[str]:
        """Return what the policy does not keep, the longest ended first; then, for the disk, the
        longest ended of those that failed while these take more than half of it, of those that
        did not fail, and of those that did."""
        order = sorted(self.ended, key=lambda each: (self.ended[each][0], each))
        kept = order[-self.policy.max_executions :] if self.policy.max_executions else order
        gone = [each for each in order if each not in kept or self._too_old(each)]
        left = [each for each in order if each not in gone and each in self.measured]
        failed = [each for each in left if self._failed(each)]
        half = self.policy.max_disk_bytes / 2
        beyond_half = []
        while failed and self._taken(failed) > half:
            beyond_half.append(failed.pop(0))
        others = [each for each in left if not self._failed(each)]
        for each in (*beyond_half, *others, *failed):
            if 0 < self.policy.max_disk_bytes < self._taken({*order} - {*gone}):
                gone.append(each)
        return gone

    def _taken(self, ids: Collection[str]) -> int:
        return sum(self.measured.get(each, 0) for each in ids)

    def _failed(self, execution_id: str) -> bool:
        return self.ended[execution_id][1].status is ExecutionStatus.FAILED

    def _too_old(self, execution_id: str) -> bool:
        failed = self._failed(execution_id)
        max_age = self.policy.max_failed_age_sec if failed else self.policy.max_age_sec
        return max_age > 0 and self.up_sec - self.ended[execution_id][0] > max_age


def summed(state_dir: Path) -> int:
    """Return the sum that the database keeps beside its rows."""
    with contextlib.closing(sqlite3.connect(state_dir / FILE_NAME)) as connection:
        rows, kept = (
            connection.execute(f'SELECT coalesce(sum(kept_bytes), 0) FROM {table}').fetchone()[0]
            for table in ('executions', 'status_counts')
        )
    assert rows == kept
    return int(kept)


class Life:
    """A store and the model that it is compared with."""

    def __init__(self, policy: RetentionPolicy, state_dir: Path | None) -> None:
        self.model = Model(policy)
        self._state_dir = state_dir
        self._clock = FakeClock()
        self._store: ExecutionStore = InMemoryExecutionStore(self._clock)
        self._next = 0

    async def lead(self, events: Sequence[Event], *, compare_each: bool = True) -> None:
        """Go through the events; the store agrees with the model after each, or after all."""
        if self._state_dir is not None:
            await self._open(self._state_dir)
        for event in events:
            await self._meet(event)
            if compare_each:
                await self._compare()
        await self._compare()
        while expired := self.model.expired():
            await self._clean_up(limit=2)
            assert len(self.model.expired()) < len(expired)
        await self._compare()
        await self._store.close()
        if self._state_dir is not None:
            assert summed(self._state_dir) == sum(self.model.measured.values())

    async def _open(self, state_dir: Path) -> None:
        self._store = await SqliteExecutionStore.open(await Database.open(state_dir), self._clock)

    async def _meet(self, event: Event) -> None:
        match event:
            case Begin():
                as_schedule = Schedule() if event.scheduled else None
                execution = new_execution(self._next, as_schedule=as_schedule)
                self._next += 1
                await add(self._store, execution)
                self.model.open[execution.id] = execution
            case End():
                await self._end(event)
            case Measure():
                await self._measure(event)
            case Pass():
                self._clock.advance(event.seconds)
                self.model.up_sec += event.seconds
            case Jump():
                self._clock.wall = FakeClock().wall + datetime.timedelta(days=event.days)
            case Restart() if self._state_dir is not None:
                await self._store.close()
                self._clock.seconds = 3.0
                await self._open(self._state_dir)
            case CleanUp():
                await self._clean_up(event.limit)

    async def _end(self, event: End) -> None:
        if not self.model.open:
            return
        execution_id = sorted(self.model.open)[event.which % len(self.model.open)]
        execution = self.model.open.pop(execution_id)
        if event.status is ExecutionStatus.COMPLETED:
            execution = advance(execution, ExecutionStatus.RUNNING)
        ended = advance(execution, event.status)
        await update(self._store, ended, 'ended', kept_bytes=event.kept_bytes)
        self.model.ended[execution_id] = (self.model.up_sec, ended)
        if event.kept_bytes is not None:
            self.model.measure(execution_id, event.kept_bytes)

    async def _measure(self, event: Measure) -> None:
        unmeasured = await self._store.unmeasured(limit=event.limit)
        missing = sorted(self.model.ended.keys() - self.model.measured.keys())
        assert unmeasured == tuple(missing[: event.limit])
        await self._store.measure(dict.fromkeys(unmeasured, event.kept_bytes))
        for execution_id in unmeasured:
            self.model.measure(execution_id, event.kept_bytes)

    async def _clean_up(self, limit: int) -> None:
        for execution_id in await self._store.expired(self.model.policy, limit=limit):
            await remove(self._store, execution_id)
            del self.model.ended[execution_id]
            self.model.measured.pop(execution_id, None)

    async def _compare(self) -> None:
        expired = self.model.expired()
        for limit in (1, 3, 100):
            found = await self._store.expired(self.model.policy, limit=limit)
            assert found == tuple(expired[:limit])
        opened = {execution.id for execution in await self._store.open_executions()}
        assert opened == self.model.open.keys()


@given(POLICIES, LIVES)
def test_in_memory_retention_keeps_what_the_policy_says(
    policy: RetentionPolicy, events: list[Event]
) -> None:
    """Exactly what the policy does not keep expires; never an open execution or a schedule."""
    asyncio.run(Life(policy, None).lead(events))


@settings(max_examples=60)
@given(POLICIES, LIVES)
def test_retention_keeps_what_the_policy_says_over_restarts_and_jumps(
    policy: RetentionPolicy, events: list[Event]
) -> None:
    """The same for SQLite, whatever restarts and jumps of the clock lie in between."""
    with tempfile.TemporaryDirectory() as state_dir:
        asyncio.run(Life(policy, Path(state_dir)).lead(events))


@settings(max_examples=40)
@given(DISK_POLICIES, ENDS)
@pytest.mark.parametrize('in_memory', [True, False])
def test_what_is_kept_fits_the_disk(
    in_memory: bool, policy: RetentionPolicy, ends: list[End]
) -> None:
    """The longest ended go, failed ones after all others but what of them takes more than half,
    and none that nobody measured."""
    events = [each for end in ends for each in (Begin(scheduled=False), end, Pass(seconds=1))]
    with tempfile.TemporaryDirectory() as state_dir:
        life = Life(policy, None if in_memory else Path(state_dir))
        asyncio.run(life.lead(events, compare_each=False))


@pytest.mark.parametrize('in_memory', [True, False])
@pytest.mark.parametrize(('failed_bytes', 'goes'), [(10_000, 0), (6_000, 1)])
async def test_failures_that_fill_the_disk_leave_half_of_it_to_others(
    in_memory: bool, tmp_path: Path, failed_bytes: int, goes: int
) -> None:
    """So that whoever started what ends well can read how; else failed ones go last."""
    clock = FakeClock()
    store: ExecutionStore = InMemoryExecutionStore(clock)
    if not in_memory:
        store = await SqliteExecutionStore.open(await Database.open(tmp_path), clock)
    policy = RetentionPolicy(
        max_executions=0, max_age_sec=0, max_failed_age_sec=0, max_disk_bytes=15_000
    )
    failed, completed = new_execution(0), new_execution(1)
    for execution in (failed, completed):
        await add(store, execution)
    await update(store, advance(failed, ExecutionStatus.FAILED), kept_bytes=failed_bytes)
    clock.advance(1)
    running = advance(completed, ExecutionStatus.RUNNING)
    await update(store, running)
    await update(store, advance(running, ExecutionStatus.COMPLETED), kept_bytes=10_000)
    assert await store.expired(policy, limit=50) == ((failed, completed)[goes].id,)
    await store.close()


async def test_a_sweep_that_is_cancelled_ends_though_the_store_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that it would still ask of the store takes the place of the cancellation."""
    begun = asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(SqliteExecutionStore, 'expired', hang)
    robot = Robot(tmp_path)
    async with asyncio.timeout(DEADLINE_SEC):
        # Its end closes the store, and cancels the sweeper, which would look for old events next.
        async with robot.gateway():
            await begun.wait()
            robot.clock.advance(86400)
