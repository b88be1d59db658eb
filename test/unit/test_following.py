# SPDX-License-Identifier: Apache-2.0
"""Followers hear of every event once, in order, or are told where the log begins."""

import asyncio
import random
from typing import Any

from clients import CLIENT
from fakes import FakeClock, InMemoryExecutionStore, new_execution, whole_log
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import LogBegins, StoreUnavailable
from gateway_node.executions.events import Change, Cursor, Event, EventKind, Happening
from gateway_node.executions.following import Follower, OpenSummaries
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.store_ports import LogPolicy
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    Progress,
    Trigger,
    TriggerType,
)

LIMIT = 3
A_HAPPENING = Happening(kind=EventKind.SCRIPT_DELETED, subject='apps/a/scripts/s', actor=CLIENT)


@pytest.fixture
def store() -> InMemoryExecutionStore:
    """Return an empty store."""
    return InMemoryExecutionStore(FakeClock())


@pytest.fixture
def ledger(store: InMemoryExecutionStore, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """Return its ledger; followers hold three events."""
    monkeypatch.setattr('gateway_node.executions.following.LIMIT', LIMIT)
    return Ledger(store)


async def happen(ledger: Ledger, times: int) -> None:
    """Let something happen."""
    for _ in range(times):
        await ledger.record(A_HAPPENING)


def taken(follower: Follower) -> list[int]:
    """Take what a follower holds; return the sequences."""
    found = []
    while (event := follower.take()) is not None:
        found.append(event.sequence)
    return found


async def read(follower: Follower, number: int) -> list[int]:
    """Wait for so many events; return the sequences."""
    async with asyncio.timeout(10):
        return [(await follower.next()).sequence for _ in range(number)]


async def test_who_keeps_up_reads_nothing(
    store: InMemoryExecutionStore, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told is taken as it is told, from then on."""
    await happen(ledger, 2)
    told: list[int] = []
    follower = ledger.follow(on_news=lambda: told.extend(taken(follower)))
    monkeypatch.setattr(store.log, 'events', None)
    await happen(ledger, 5)
    assert told == [3, 4, 5, 6, 7]
    assert follower.caught_up
    assert follower.cursor == store.log.end


async def test_who_falls_behind_reads_what_it_missed(ledger: Ledger) -> None:
    """However much it was: it holds a bounded number of events."""
    follower = ledger.follow()
    await happen(ledger, 11)
    assert not follower.caught_up
    assert taken(follower) == [1, 2, 3]
    assert follower.behind
    assert await read(follower, 8) == list(range(4, 12))
    assert follower.caught_up
    await happen(ledger, 1)
    assert taken(follower) == [12]


async def test_who_rests_keeps_no_executions(ledger: Ledger) -> None:
    """But one: the parameters of each may take two MiB, and what happened to it tells the rest."""
    follower = ledger.follow()
    for number in range(1, LIMIT + 1):
        await ledger.begin(new_execution(number), actor=CLIENT)
    held = [follower.take_told() for _ in range(LIMIT)]
    assert [each is not None and each[1] is not None for each in held] == [True, False, False]


async def test_a_follower_goes_on_from_any_place(
    store: InMemoryExecutionStore, ledger: Ledger
) -> None:
    """From the beginning of the log, or where it was when it was there last."""
    await happen(ledger, 4)
    beginning = ledger.follow((await store.log.bounds()).begins)
    assert await read(beginning, 2) == [1, 2]
    again = ledger.follow(beginning.cursor)
    await happen(ledger, 1)
    assert await read(again, 3) == [3, 4, 5]
    assert await read(beginning, 3) == [3, 4, 5]


async def test_a_follower_waits_for_more(ledger: Ledger) -> None:
    """`next` returns when something happens."""
    follower = ledger.follow()
    waiting = asyncio.ensure_future(follower.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    await happen(ledger, 1)
    assert (await waiting).sequence == 1


@pytest.mark.parametrize(
    'place',
    [
        Cursor(epoch='in_memory', sequence=2),
        Cursor(epoch='in_memory', sequence=99),
        Cursor(epoch='another', sequence=7),
    ],
)
async def test_who_cannot_go_on_is_told_where_the_log_begins(
    store: InMemoryExecutionStore, ledger: Ledger, place: Cursor
) -> None:
    """From there, or from what comes next, it can."""
    await happen(ledger, 8)
    await store.log.prune(LogPolicy(max_events=3, max_age_sec=0))
    follower = ledger.follow(place)
    await happen(ledger, 1)
    assert taken(follower) == []
    with pytest.raises(LogBegins) as refused:
        await follower.next()
    assert await read(ledger.follow(refused.value.begins), 4) == [6, 7, 8, 9]
    assert follower.skip() == (place.sequence, 9)
    await happen(ledger, 1)
    assert taken(follower) == [10]


async def test_an_outage_loses_nothing(store: InMemoryExecutionStore, ledger: Ledger) -> None:
    """A log that could not be read is read later."""
    follower = ledger.follow()
    await happen(ledger, 5)
    taken(follower)
    store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await follower.next()
    store.unavailable = None
    assert await read(follower, 2) == [4, 5]


async def test_who_has_left_is_told_nothing_more(ledger: Ledger) -> None:
    """And costs nothing."""
    follower = ledger.follow()
    ledger.remove_listener(follower)
    await happen(ledger, 1)
    assert follower.caught_up


async def test_what_is_told_late_or_out_of_order_comes_once_and_in_order(
    store: InMemoryExecutionStore, ledger: Ledger
) -> None:
    """An event can be read from the log before the follower hears of it."""
    follower = ledger.follow()
    first, second, third = await store.record([A_HAPPENING] * 3)
    follower.on_event(second, None)
    assert await read(follower, 3) == [1, 2, 3]
    for late in (first, third):
        follower.on_event(late, None)
    assert follower.caught_up
    await happen(ledger, 1)
    assert taken(follower) == [4]


async def test_gaps_of_earlier_versions_hold_nobody_up(ledger: Ledger) -> None:
    """They removed rows together with executions: also the newest ones."""
    store = InMemoryExecutionStore(FakeClock())
    events = await store.record([A_HAPPENING] * 6)

    class WithGaps:
        """A log without its second and its last event."""

        end = store.log.end

        async def events(self, after: Cursor, *, limit: int) -> tuple[Event, ...]:
            found = [each for each in events[:5] if each.sequence != 2]
            return tuple(each for each in found if each.sequence > after.sequence)[:limit]

    log: Any = WithGaps()
    follower = Follower(log, Cursor(epoch='in_memory', sequence=0), on_news=lambda: None)
    assert await read(follower, 4) == [1, 3, 4, 5]
    while follower.behind:
        await follower.read_on()
    assert follower.caught_up


@pytest.mark.parametrize('seed', range(30))
async def test_whatever_the_pace_each_event_comes_once(seed: int, ledger: Ledger) -> None:
    """Readers that take, read and rest as they like hear of everything in order."""
    choose = random.Random(seed)
    followers = [ledger.follow() for _ in range(3)]
    heard: list[list[int]] = [[], [], []]
    happened = 0
    for _ in range(200):
        which = choose.randrange(3)
        step = choose.random()
        if step < 0.5:
            await happen(ledger, 1)
            happened += 1
        elif step < 0.8:
            event = followers[which].take()
            heard[which] += [event.sequence] if event else []
        elif followers[which].behind:
            await followers[which].read_on()
    for follower, sequences in zip(followers, heard, strict=True):
        rest = await read(follower, happened - len(sequences))
        assert sequences + rest == list(range(1, happened + 1))


class History:
    """Lets executions and schedules live at random; the store is compared at each event."""

    def __init__(self, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self.choose = random.Random(seed)
        self.open: dict[str, Execution] = {}
        self.ended: list[str] = []
        self.number = 0
        self.states: list[Execution | None] = []
        """The state of the execution after each event, as it was recorded."""

    async def step(self) -> None:
        """Let something happen to some execution."""
        if not self.open or self.choose.random() < 0.3:
            await self._begin()
        elif self.ended and self.choose.random() < 0.1:
            await self.ledger.remove(self.ended.pop(), actor=GATEWAY, cause='retention')
            self.states.append(None)
        else:
            await self._go_on(self.choose.choice(list(self.open.values())))

    async def _begin(self) -> None:
        self.number += 1
        schedule = Schedule() if self.choose.random() < 0.3 else None
        execution = new_execution(self.number, as_schedule=schedule, arguments=('-v', 'ä'))
        await self.ledger.begin(execution, actor=CLIENT)
        self._note(execution)

    async def _go_on(self, execution: Execution) -> None:
        if execution.as_schedule is not None and self.choose.random() < 0.5:
            skipped = execution.evolve(as_schedule=execution.as_schedule.skipped())
            kind = EventKind.SCHEDULE_SKIPPED
            await self.ledger.record(Change(execution=skipped, kind=kind, actor=GATEWAY))
            self._note(skipped)
        elif execution.as_schedule is not None:
            self._note(await self.ledger.use_up(execution))
        elif execution.stop_trigger is None and self.choose.random() < 0.3:
            stopped = execution.evolve(
                stop_trigger=Trigger(type=TriggerType.MANUAL, setting='stop', username='ada')
            )
            assert await self.ledger.note_stop(stopped, CLIENT)
            self._note(stopped)
        else:
            await self._advance(execution)

    async def _advance(self, execution: Execution) -> None:
        progress = Progress(percent=self.choose.randint(0, 100))
        if execution.status is ExecutionStatus.PREPARED:
            running = transition(
                execution,
                ExecutionStatus.RUNNING,
                started_at=execution.created_at,
                progress=self.choose.choice([None, progress]),
            )
            await self.ledger.persist(running)
            self._note(running.execution)
            return
        end = transition(
            execution.evolve(progress=self.choose.choice([None, progress])),
            ExecutionStatus.FAILED,
            'exited',
            exit_code=3,
            completed_at=execution.created_at,
            warnings=self.choose.choice([(), ('odd',)]),
        )
        await self.ledger.persist(end)
        self._note(end.execution)
        self.ended.append(end.execution.id)

    def _note(self, execution: Execution) -> None:
        self.states.append(execution)
        self.open[execution.id] = execution
        if not execution.is_open:
            del self.open[execution.id]


@pytest.mark.parametrize('seed', range(20))
async def test_the_events_make_every_summary(
    seed: int, store: InMemoryExecutionStore, ledger: Ledger
) -> None:
    """At each event a reader that has nothing but the log knows what the store knew then, also
    one that began in the middle with what was open, and one that was told of some of them."""
    history = History(ledger, seed)
    for _ in range(60):
        await history.step()
    begun, later = len(history.states), await ledger.open_summaries()
    for _ in range(60):
        await history.step()
    summaries, told_of_some = OpenSummaries([]), OpenSummaries([])
    chance = random.Random(seed)
    for number, (event, state) in enumerate(
        zip(await whole_log(store), history.states, strict=True)
    ):
        assert summaries.apply(event) == state
        assert told_of_some.apply(event, chance.choice([state, None])) == state
        if number >= begun:
            assert later.apply(event) == state
