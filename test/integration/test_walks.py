# SPDX-License-Identifier: Apache-2.0
"""A filtered list, walked page by page while executions come, end and go."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
import tempfile

from executions_at_random import executions, filters
from fakes import add, FakeClock, remove, update
from hypothesis import given, HealthCheck, settings, strategies
from hypothesis.strategies import SearchStrategy
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.matching import matches
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

KNOWN = 30
"""Executions that are there when a walk begins, at most."""
STEPS = 12
"""Pages that are asked for while there are changes; the rest of the walk is undisturbed."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What happens at once: a page is asked for, and executions come, end and go."""

    limit: int
    """Below 0 the walk goes on at its lower end, above at its upper end."""
    arrives: bool
    ends: int
    """Which of the open executions ends, modulo their number."""
    goes: int
    """Which of the ended executions is removed, modulo their number."""


@dataclass
class History:
    """What is in a store, what was in it, and what is still to come."""

    store: SqliteExecutionStore
    coming: list[Execution]
    present: dict[str, Execution] = field(default_factory=dict)
    states: dict[str, list[Execution]] = field(default_factory=dict)
    """Each state in which an execution was since the beginning of the walk."""

    async def begin(self, count: int) -> None:
        """Record some executions at once."""
        for each in self.coming[:count]:
            self.present[each.id] = each
            self.states[each.id] = [each]
        await self.store.record([Change.first(each, GATEWAY) for each in self.coming[:count]])
        del self.coming[:count]

    async def arrive(self) -> None:
        """Record the next execution, if there is one."""
        if self.coming:
            await self._note(self.coming.pop(0), new=True)

    async def end(self, number: int) -> None:
        """Bring an open execution to an end."""
        found = [each for each in self.present.values() if each.is_open]
        if found:
            execution = found[number % len(found)]
            status = ExecutionStatus.COMPLETED
            await self._note(execution.evolve(status=status, as_schedule=None, exit_code=0))

    async def remove(self, number: int) -> None:
        """Remove an ended execution."""
        found = [each for each in self.present.values() if not each.is_open]
        if found:
            execution_id = found[number % len(found)].id
            del self.present[execution_id]
            await remove(self.store, execution_id)

    async def _note(self, execution: Execution, *, new: bool = False) -> None:
        # Before it is on record: a page may show it then already.
        self.present[execution.id] = execution
        self.states.setdefault(execution.id, []).append(execution)
        await (add if new else update)(self.store, execution)


@dataclass
class Walk:
    """A part of a list that has been visited, and grows at both ends."""

    store: SqliteExecutionStore
    wanted: ExecutionFilter
    visited: list[Execution] = field(default_factory=list)
    """Newest first."""
    lower: str | None = None
    upper: str | None = None
    begun: bool = False

    async def step(self, limit: int) -> bool:
        """Visit the next page above or below; return False where there is none."""
        reference = self.upper if limit > 0 else self.lower
        found = await self.store.find(self.wanted, KeysetPage(limit=limit, reference=reference))
        assert len(found.executions) <= abs(limit)
        assert found.complete or found.more is not None
        if limit > 0:
            self.visited[:0] = found.executions
        else:
            self.visited.extend(found.executions)
        self._note_ends(limit, found.executions, found.more)
        return found.more is not None

    def _note_ends(self, limit: int, page: Sequence[Execution], more: str | None) -> None:
        last = more or (page and page[0 if limit > 0 else -1].id) or None
        if last is None:
            return
        if not self.begun:
            # The other end is where this page began.
            self.begun = True
            self.lower, self.upper = (page[-1].id, page[0].id) if page else (last, last)
        if limit > 0:
            self.upper = last
        else:
            self.lower = last

    async def finish(self) -> None:
        """Visit all that is left on both sides."""
        while await self.step(-3):
            pass
        while await self.step(2):
            pass


_limits = strategies.integers(1, 4) | strategies.integers(-4, -1)
_steps = strategies.lists(
    strategies.builds(
        Step,
        limit=_limits,
        arrives=strategies.booleans(),
        ends=strategies.integers(0, 30),
        goes=strategies.integers(0, 30),
    ),
    max_size=STEPS,
)


def histories(known: int) -> SearchStrategy[tuple[Execution, ...]]:
    """Return executions whose ids grow, so many at most, and some that come later."""
    return strategies.integers(1, known + STEPS).flatmap(
        lambda count: strategies.tuples(*map(executions, range(1, count)))
    )


async def walk(known: Sequence[Execution], wanted: ExecutionFilter, steps: list[Step]) -> None:
    """Walk while things happen, then to both ends; check what was visited."""
    with tempfile.TemporaryDirectory() as folder:
        store = await SqliteExecutionStore.open(await Database.open(Path(folder)), FakeClock())
        history = History(store, list(known))
        await history.begin(2 * len(known) // 3)
        going = Walk(store, wanted)
        for each in steps:
            await asyncio.gather(
                going.step(each.limit),
                history.arrive() if each.arrives else asyncio.sleep(0),
                history.end(each.ends),
                history.remove(each.goes),
            )
        await going.finish()
        await store.close()
    check(going, history)


def check(going: Walk, history: History) -> None:
    """Check that a walk visited each once, in order: whatever was found all the time, and
    nothing that was never wanted."""
    visited = [each.id for each in going.visited]
    assert visited == sorted(set(visited), reverse=True)
    for execution_id in visited:
        assert any(matches(going.wanted, state) for state in history.states[execution_id])
    all_the_time = {
        execution_id
        for execution_id in history.present
        if all(matches(going.wanted, state) for state in history.states[execution_id])
    }
    assert all_the_time <= set(visited)


@settings(max_examples=25, suppress_health_check=list(HealthCheck), print_blob=True)
@given(histories(KNOWN), filters(), _steps)
def test_a_walk_visits_each_once(
    known: tuple[Execution, ...], wanted: ExecutionFilter, steps: list[Step]
) -> None:
    """In order, in pages of any size in both directions, while executions come, end and go."""
    asyncio.run(walk(known, wanted, steps))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1000, suppress_health_check=list(HealthCheck), print_blob=True)
@given(histories(3 * KNOWN), filters(), _steps)
def test_many_walks_visit_each_once(
    known: tuple[Execution, ...], wanted: ExecutionFilter, steps: list[Step]
) -> None:
    """The same, longer."""
    asyncio.run(walk(known, wanted, steps))
