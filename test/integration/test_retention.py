# SPDX-License-Identifier: Apache-2.0
"""Retention as properties of any life that a store may lead, put to every implementation."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
import datetime
from pathlib import Path
import tempfile

from fakes import add, FakeClock, InMemoryExecutionStore, new_execution, remove, update
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_node.executions.ports import ExecutionStore, RetentionPolicy
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus, FINAL_STATUSES, Schedule
from gateway_node.storage.database import Database
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


Event = Begin | End | Pass | Jump | Restart | CleanUp

FINAL = st.sampled_from(sorted(FINAL_STATUSES, key=str))
LIVES = st.lists(
    st.builds(Begin, scheduled=st.booleans())
    | st.builds(
        End, which=st.integers(0, 9), status=st.sampled_from(sorted(FINAL_STATUSES, key=str))
    )
    | st.builds(Pass, seconds=st.integers(0, 50))
    | st.builds(Jump, days=st.integers(-10_000, 10_000))
    | st.just(Restart())
    | st.builds(CleanUp, limit=st.integers(1, 4)),
    max_size=40,
)
BOUNDS = st.sampled_from([0, 1, 3, 10])
AGES = st.sampled_from([0.0, 10.0, 60.0])
POLICIES = st.builds(
    RetentionPolicy, max_executions=BOUNDS, max_age_sec=AGES, max_failed_age_sec=AGES
)


@dataclass
class Model:
    """What a store should hold, kept the plain way."""

    policy: RetentionPolicy
    up_sec: int = 0
    open: dict[str, Execution] = field(default_factory=dict)
    ended: dict[str, tuple[int, ExecutionStatus]] = field(default_factory=dict)
    """When it ended, in seconds up, and how; by id."""

    def expired(self) -> list[str]:
        """Return what the policy does not keep, the longest ended first."""
        order = sorted(self.ended, key=lambda each: (self.ended[each][0], each))
        kept = order[-self.policy.max_executions :] if self.policy.max_executions else order
        return [each for each in order if each not in kept or self._too_old(each)]

    def _too_old(self, execution_id: str) -> bool:
        ended_at, status = self.ended[execution_id]
        failed = status is ExecutionStatus.FAILED
        max_age = self.policy.max_failed_age_sec if failed else self.policy.max_age_sec
        return max_age > 0 and self.up_sec - ended_at > max_age


class Life:
    """A store and the model that it is compared with."""

    def __init__(self, policy: RetentionPolicy, state_dir: Path | None) -> None:
        self.model = Model(policy)
        self._state_dir = state_dir
        self._clock = FakeClock()
        self._store: ExecutionStore = InMemoryExecutionStore(self._clock)
        self._next = 0

    async def lead(self, events: Sequence[Event]) -> None:
        """Go through the events; the store agrees with the model after each."""
        if self._state_dir is not None:
            await self._open(self._state_dir)
        for event in events:
            await self._meet(event)
            await self._compare()
        while expired := self.model.expired():
            await self._clean_up(limit=2)
            assert len(self.model.expired()) < len(expired)
        await self._compare()
        await self._store.close()

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
        await update(self._store, advance(execution, event.status), 'ended')
        self.model.ended[execution_id] = (self.model.up_sec, event.status)

    async def _clean_up(self, limit: int) -> None:
        for execution_id in await self._store.expired(self.model.policy, limit=limit):
            await remove(self._store, execution_id)
            del self.model.ended[execution_id]

    async def _compare(self) -> None:
        expired = self.model.expired()
        for limit in (1, 3, 100):
            found = await self._store.expired(self.model.policy, limit=limit)
            assert found == tuple(expired[:limit])
        opened = {execution.id for execution in await self._store.open_executions()}
        assert opened == self.model.open.keys()


@settings(deadline=None)
@given(POLICIES, LIVES)
def test_in_memory_retention_keeps_what_the_policy_says(
    policy: RetentionPolicy, events: list[Event]
) -> None:
    """Exactly what the policy does not keep expires; never an open execution or a schedule."""
    asyncio.run(Life(policy, None).lead(events))


@settings(deadline=None, max_examples=60)
@given(POLICIES, LIVES)
def test_retention_keeps_what_the_policy_says_over_restarts_and_jumps(
    policy: RetentionPolicy, events: list[Event]
) -> None:
    """The same for SQLite, whatever restarts and jumps of the clock lie in between."""
    with tempfile.TemporaryDirectory() as state_dir:
        asyncio.run(Life(policy, Path(state_dir)).lead(events))
