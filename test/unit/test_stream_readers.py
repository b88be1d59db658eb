# SPDX-License-Identifier: Apache-2.0
"""Readers of streams are told of news a few at a time, and read on by themselves where they are
slow."""

import asyncio
from collections.abc import Sequence
import random

from fakes import FakeClock, FakeScriptRunner, InMemoryExecutionStore, new_execution
import pytest

from gateway_node.executions import stream_delivery, stream_readers
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.documents import summary_of
from gateway_node.executions.event_filters import EventFilter
from gateway_node.executions.events import Change, Cursor, Event, EventKind, Happening
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.stream_delivery import Delivery
from gateway_node.executions.stream_news import EventNews, News, Place
from gateway_node.executions.stream_readers import LogReader
from gateway_node.executions.streams import Streams
from gateway_node.executions.told_events import ToldEvent
from gateway_node.executions.values import ExecutionStatus


class FakeOutlet:
    """An outlet whose client takes what is written when a test says so."""

    def __init__(self, *, greedy: bool = True) -> None:
        """`greedy`: it takes everything at once."""
        self.told: list[News] = []
        self.places: list[Place] = []
        self._taken = asyncio.Event()
        self.written = asyncio.Event()
        self.greedy = greedy
        self._taken.set()

    @property
    def sequences(self) -> list[int]:
        """Of the events that were written."""
        return [each.told.event.sequence for each in self.told if isinstance(each, EventNews)]

    @property
    def is_free(self) -> bool:
        """Whether all that was written has been taken."""
        return self._taken.is_set()

    def write(self, news: Sequence[tuple[News, Place]]) -> None:
        """Note news."""
        self.written.set()
        self.told += [each for each, _ in news]
        self.places.append(news[-1][1])
        if not self.greedy:
            self._taken.clear()

    def stand(self, place: Place) -> None:
        """Note a place."""
        self.places.append(place)

    async def wait_free(self) -> None:
        """Wait for `take`."""
        await self._taken.wait()

    def take(self) -> None:
        """Take all that was written."""
        self._taken.set()


class Stage:
    """A log, and the streams of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = InMemoryExecutionStore(self.clock)
        self.ledger = Ledger(self.store)
        self.streams = Streams(
            log=self.store.log,
            outputs=FakeScriptRunner().outputs,
            questions=None,  # type: ignore[arg-type]
            clock=self.clock,
        )
        self.ledger.add_listener(self.streams)
        self._number = 0

    def follow(self, outlet: FakeOutlet, after: Cursor | None = None) -> 'asyncio.Task[None]':
        """Have an outlet told of everything."""
        wanted = EventFilter(ExecutionFilter(), self.store)
        return asyncio.create_task(
            self.streams.follow_log(outlet, after, of_executions=False, wanted=wanted)
        )

    async def happen(self, count: int = 1) -> None:
        """Let so many executions be accepted."""
        for _ in range(count):
            self._number += 1
            await self.ledger.begin(new_execution(self._number), actor=GATEWAY)

    @property
    def all_sequences(self) -> list[int]:
        """What the log has."""
        return list(range(1, self.store.log.end.sequence + 1))


async def seen_by(outlet: FakeOutlet, sequences: Sequence[int]) -> None:
    """Wait until these events were written to an outlet, and no others."""
    while outlet.sequences != list(sequences):
        assert len(outlet.sequences) < len(sequences)
        outlet.written.clear()
        await outlet.written.wait()


async def test_who_has_something_to_hand_on_is_served_in_turn() -> None:
    """First come, first served."""
    delivery, served = Delivery(), list[int]()
    for number in range(100):
        delivery.put(lambda number=number: served.append(number))  # type: ignore[misc]
    await delivery.done()
    assert served == list(range(100))


async def test_one_that_fails_keeps_nothing_from_the_others() -> None:
    """They are handed what is theirs all the same."""
    delivery, served = Delivery(), list[int]()

    def fail() -> None:
        raise RuntimeError('a defect')

    delivery.put(fail)
    delivery.put(lambda: served.append(1))
    await delivery.done()
    assert served == [1]


async def test_others_have_their_turn_between_the_readers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many readers there are: what asks meanwhile is answered in between."""
    monkeypatch.setattr(stream_delivery, 'TURN_SEC', 0)
    delivery, served, loop = Delivery(), list[str](), asyncio.get_running_loop()

    def ask() -> None:
        served.append('request')
        if served.count('reader') < 10:
            loop.call_soon(ask)

    loop.call_soon(ask)
    for _ in range(10):
        delivery.put(lambda: served.append('reader'))
    await delivery.done()
    assert served[:20] == ['request', 'reader'] * 10


async def test_a_slow_reader_is_told_nothing_until_it_took_what_it_has() -> None:
    """What comes meanwhile waits in the log and takes no memory; then it is read there."""
    stage, slow, quick = Stage(), FakeOutlet(greedy=False), FakeOutlet()
    tasks = [stage.follow(slow), stage.follow(quick)]
    await asyncio.sleep(0)
    await stage.happen(1)
    await seen_by(slow, [1])
    await seen_by(quick, [1])
    await stage.happen(200)
    await seen_by(quick, stage.all_sequences)
    assert slow.sequences == [1]
    slow.greedy = True
    slow.take()
    await seen_by(slow, stage.all_sequences)
    await stage.happen(3)
    await seen_by(slow, stage.all_sequences)
    await seen_by(quick, stage.all_sequences)
    await stage.streams.close()
    assert all(task.cancelled() for task in tasks)


async def test_news_that_come_faster_than_turns_do_are_read_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No more than so many wait for one reader."""
    monkeypatch.setattr(stream_readers, 'MAX_PENDING', 5)
    stage, outlet = Stage(), FakeOutlet()
    stage.follow(outlet)
    await asyncio.sleep(0)
    changes = [Change.first(new_execution(number), GATEWAY) for number in range(1, 50)]
    await stage.ledger.record(*changes)
    await seen_by(outlet, stage.all_sequences)
    await stage.streams.close()


async def test_what_many_are_told_is_written_once() -> None:
    """They share the news, and with it what was made of them."""
    stage = Stage()
    outlets = [FakeOutlet() for _ in range(10)]
    for outlet in outlets:
        stage.follow(outlet)
    await asyncio.sleep(0)
    await stage.happen(1)
    for outlet in outlets:
        await seen_by(outlet, [1])
    assert len({id(outlet.told[0]) for outlet in outlets}) == 1
    await stage.streams.close()


async def test_what_an_event_left_is_read_in_the_log_where_nobody_tells_it() -> None:
    """That an execution has to wait is told without it, unless it is accepted with that."""
    stage, outlet = Stage(), FakeOutlet()
    stage.follow(outlet)
    await asyncio.sleep(0)
    one, two = new_execution(1), new_execution(2)
    await stage.ledger.begin(one, actor=GATEWAY)
    await stage.ledger.record(Happening.queued(one.entity, one.script_id, one.id))
    await seen_by(outlet, [1, 2])
    await stage.ledger.begin(two, actor=GATEWAY, queued=True)
    await seen_by(outlet, [1, 2, 3, 4])
    events = [each for each in outlet.told if isinstance(each, EventNews)]
    assert [each.told.summary for each in events] == [
        summary_of(each) for each in (one, one, two, two)
    ]
    assert [each.execution for each in events[1:]] == [None, two, two]
    await stage.streams.close()


def an_event(sequence: int) -> EventNews:
    """Return an event of an execution, as it is told."""
    execution = new_execution(1, status=ExecutionStatus.RUNNING)
    event = Event(
        epoch='e',
        sequence=sequence,
        at=execution.created_at,
        kind=EventKind.EXECUTION_RUNNING,
        subject=f'apps/temp_sensor/scripts/self_test/executions/{execution.id}',
        actor=GATEWAY,
        cause=None,
        changes={},
    )
    told = ToldEvent(event=event, summary={'entity': 'apps/temp_sensor'})
    return EventNews(told=told, execution=execution)


async def test_a_gap_is_read_and_what_was_read_is_not_told() -> None:
    """Whoever tells of events: each is taken in its turn, or read in the log."""
    outlet, store = FakeOutlet(), InMemoryExecutionStore(FakeClock())
    reader = LogReader(
        outlet,
        Delivery(),
        Cursor(epoch='e', sequence=4),
        of_executions=False,
        wanted=EventFilter(ExecutionFilter(), store),
    )
    reader.go_live()
    assert reader.take(an_event(4)) is None
    assert reader.take(an_event(5)) == ('e', 5, None, False)
    assert reader.take(an_event(7)) is None
    await asyncio.wait_for(reader.wait_behind(), 10)
    assert reader.cursor.sequence == 5


@pytest.mark.parametrize('seed', range(25))
async def test_readers_that_come_and_go_see_what_the_log_has(seed: int) -> None:
    """Each event once, in order, however slow they are and whenever they connect again."""
    chance, stage = random.Random(seed), Stage()
    places: list[Cursor | None] = [Cursor(epoch=stage.store.log.end.epoch, sequence=0)] * 3
    seen: list[list[int]] = [[], [], []]
    for _ in range(8):
        outlets = [FakeOutlet(greedy=chance.random() < 0.5) for _ in seen]
        tasks = [stage.follow(each, at) for each, at in zip(outlets, places, strict=True)]
        for _ in range(chance.randint(0, 10)):
            what = chance.random()
            if what < 0.5:
                await stage.happen(chance.choice([1, 1, 2, 60, 110]))
            elif what < 0.8:
                chance.choice(outlets).take()
            else:
                await asyncio.sleep(0)
        for number, (task, outlet) in enumerate(zip(tasks, outlets, strict=True)):
            task.cancel()
            # What was written and lost on the way is told again: the place is the client's.
            arrived = chance.randint(0, len(outlet.sequences))
            seen[number] += outlet.sequences[:arrived]
            last = seen[number][-1] if seen[number] else 0
            places[number] = Cursor(epoch=stage.store.log.end.epoch, sequence=last)
        await asyncio.wait(tasks)
    for number, at in enumerate(places):
        outlet = FakeOutlet()
        stage.follow(outlet, at)
        await seen_by(outlet, stage.all_sequences[len(seen[number]) :])
        assert seen[number] + outlet.sequences == stage.all_sequences
    await stage.streams.close()
