# SPDX-License-Identifier: Apache-2.0
"""Pages of the log: which events they have, what each left, and where they lead on."""

import asyncio
from pathlib import Path
import threading

from api_support import BASE, serve_api
from fakes import (
    add,
    FakeClock,
    new_execution,
    remove,
    update,
)
import pytest

from gateway_node.executions.documents import summary_of
from gateway_node.executions.event_pages import EventPage, EventPages
from gateway_node.executions.events import Cursor, EventKind, execution_subject, LogBounds
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.store_ports import ExecutionStore, LogPolicy
from gateway_node.executions.told_events import ToldEvent
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.mark import Mark

RUNNING, COMPLETED = ExecutionStatus.RUNNING, ExecutionStatus.COMPLETED


async def any_event(told: ToldEvent) -> bool:
    """Want every event."""
    return True


def sequences(told: tuple[ToldEvent, ...]) -> list[int]:
    """Return the sequences of events."""
    return [each.event.sequence for each in told]


def place(store: ExecutionStore, sequence: int) -> Cursor:
    """Return a place in a store's log."""
    return Cursor(epoch=store.log.end.epoch, sequence=sequence)


async def live(store: ExecutionStore, number: int) -> list[Execution]:
    """Have an execution begin, run and end; return what it was like after each of it."""
    prepared = new_execution(number)
    running = prepared.evolve(status=RUNNING, started_at=prepared.created_at)
    ended = running.evolve(status=COMPLETED, completed_at=prepared.created_at, exit_code=0)
    await add(store, prepared)
    await update(store, running)
    await update(store, ended)
    return [prepared, running, ended]


async def test_pages_lead_through_the_log_both_ways(store: ExecutionStore) -> None:
    """Each event is on one of them; the last page leads nowhere."""
    for number in range(1, 5):
        await live(store, number)
    pages = EventPages(store)
    for find in (pages.behind, pages.before):
        seen: list[int] = []
        at: Cursor | None = None
        while True:
            page = await find(at, 5, any_event)
            seen += sequences(page.events)
            if page.next is None:
                break
            at = page.next
        assert sorted(seen) == list(range(1, 13))
        assert len(seen) == 12
    assert sequences((await pages.before(None, 2, any_event)).events) == [11, 12]
    assert sequences((await pages.before(place(store, 3), 9, any_event)).events) == [1, 2]
    assert (await pages.behind(None, 100, any_event)).last == store.log.end


@pytest.mark.parametrize('of_one', [True, False])
async def test_a_page_tells_where_it_ends_whatever_happens_while_it_is_made(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch, of_one: bool
) -> None:
    """Who goes on behind its `last` is told each event once."""
    *_, ended = await live(store, 1)
    subject = execution_subject(ended.entity, ended.script_id, ended.id)
    pages, find_bounds = EventPages(store), store.log.bounds

    async def find(place: Cursor | None) -> EventPage:
        if of_one:
            return await pages.of_execution(subject, place, 100, backwards=False)
        return await pages.behind(place, 100, any_event)

    async def bounds() -> LogBounds:
        found = await find_bounds()
        await remove(store, ended.id)
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(store.log, 'bounds', bounds)
        first = await find(None)
    second = await find(first.last)
    assert sequences((*first.events, *second.events)) == [1, 2, 3, 4]
    assert second.last == store.log.end


async def test_what_is_written_and_not_told_yet_is_not_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who was told of an end here could else ask for the execution and find that it runs."""
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    await live(store, 1)
    bounds, end = await store.log.bounds(), store.log.end
    second = new_execution(2)
    subject = execution_subject(second.entity, second.script_id, second.id)
    written, go_on = threading.Event(), threading.Event()

    def write(mark: Mark, end: Cursor) -> None:
        written.set()
        go_on.wait()

    monkeypatch.setattr(Mark, 'write', write)
    adding = asyncio.create_task(add(store, second))
    try:
        await asyncio.to_thread(written.wait)
        assert await store.log.bounds() == bounds
        assert await store.log.events(end, limit=10) == ()
        newest = await store.log.newest(limit=10)
        assert [each.sequence for each in newest] == [1, 2, 3]
        assert await store.log.history([subject], limit=10) == {subject: ()}
    finally:
        go_on.set()
    event = await adding
    assert await store.log.events(end, limit=10) == (event,)
    assert await store.log.history([subject], limit=10) == {subject: (event,)}
    await store.close()


async def test_each_event_has_what_it_left(store: ExecutionStore) -> None:
    """Wherever the page begins: what came before it is looked up."""
    left = [summary_of(each) for each in [*await live(store, 1), *await live(store, 2)]]
    pages = EventPages(store)
    for sequence in range(7):
        page = await pages.behind(place(store, sequence), 10, any_event)
        assert [dict(told.summary) for told in page.events] == left[sequence:]
        assert all(told.is_whole for told in page.events)
    page = await pages.before(place(store, 6), 2, any_event)
    assert [dict(told.summary) for told in page.events] == left[3:5]
    told = await pages.event(5)
    assert told is not None
    assert told.summary == left[4]
    assert await pages.event(7) is None


async def test_what_the_log_does_not_know_is_left_out(store: ExecutionStore) -> None:
    """Where it does not reach back to the first event of an execution, and of a deletion."""
    _, _, ended = await live(store, 1)
    await remove(store, ended.id)
    await store.log.prune(LogPolicy(max_events=2, max_age_sec=0))
    page = await EventPages(store).behind(None, 10, any_event)
    end, deletion = page.events
    names = {'id': ended.id, 'entity': 'apps/temp_sensor', 'script_id': 'self_test'}
    assert names.items() <= end.summary.items()
    assert end.summary['status'] == 'completed'
    assert 'created_at' not in end.summary
    assert (end.is_whole, end.is_end) == (False, True)
    assert deletion.summary == names
    assert deletion.event.kind is EventKind.EXECUTION_DELETED


async def test_a_page_says_where_the_log_does_not_go_on(store: ExecutionStore) -> None:
    """It has then what there is."""
    for number in range(1, 4):
        await live(store, number)
    await store.log.prune(LogPolicy(max_events=4, max_age_sec=0))
    pages = EventPages(store)
    for lost in (place(store, 4), place(store, 10), Cursor(epoch='other', sequence=7)):
        page = await pages.behind(lost, 10, any_event)
        assert (page.missed, sequences(page.events)) == (True, [6, 7, 8, 9])
        page = await pages.before(lost, 2, any_event)
        assert (page.missed, sequences(page.events)) == (True, [8, 9])
    page = await pages.behind(place(store, 5), 10, any_event)
    assert (page.missed, sequences(page.events)) == (False, [6, 7, 8, 9])


async def test_a_filter_finds_events_by_what_they_left(store: ExecutionStore) -> None:
    """What is not known is not found, but for a deletion whose path is not ruled out."""
    _, _, ended = await live(store, 1)
    await live(store, 2)
    await remove(store, ended.id)
    pages = EventPages(store)

    async def found(**wanted: object) -> list[int]:
        events = pages.filter(ExecutionFilter(**wanted))  # type: ignore[arg-type]
        return sequences((await pages.behind(None, 10, events.finds)).events)

    assert await found() == [1, 2, 3, 4, 5, 6, 7]
    assert await found(statuses=frozenset({RUNNING})) == [2, 5, 7]
    assert await found(exit_codes=frozenset({0})) == [3, 6, 7]
    assert await found(entities=frozenset({'apps/t*'})) == [1, 2, 3, 4, 5, 6, 7]
    assert await found(entities=frozenset({'apps/x*'})) == []
    assert await found(parameters={'mode': frozenset({'fast'})}) == [7]


async def test_parameters_are_looked_up_where_they_are_asked_for(store: ExecutionStore) -> None:
    """The log has none; a result is there from the end on."""
    prepared = new_execution(1, input_parameters={'mode': 'fast'})
    await add(store, prepared)
    ended = prepared.evolve(status=COMPLETED, output_parameters={'volts': 11.5})
    await update(store, ended)
    pages = EventPages(store)
    fast = pages.filter(ExecutionFilter(parameters={'mode': frozenset({'fast'})}))
    assert sequences((await pages.behind(None, 10, fast.finds)).events) == [1, 2]
    volts = pages.filter(ExecutionFilter(result_contains='11.5'))
    assert sequences((await pages.behind(None, 10, volts.finds)).events) == [2]


async def test_a_page_looks_at_so_many_events_and_no_more(
    store: ExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is short then, perhaps empty, and leads on."""
    monkeypatch.setattr('gateway_node.executions.event_pages.MAX_LOOKED_AT', 100)
    for number in range(1, 41):
        await live(store, number)
    pages = EventPages(store)
    failed = pages.filter(ExecutionFilter(statuses=frozenset({ExecutionStatus.FAILED})))
    for find, leads_on in ((pages.behind, 100), (pages.before, 21)):
        page = await find(None, 10, failed.finds)
        assert page.events == ()
        assert page.next is not None
        assert page.next.sequence == leads_on
        assert (await find(page.next, 10, failed.finds)).next is None


async def test_the_log_is_read_over_http(tmp_path: Path) -> None:
    """All of it, or of executions alone; one event by itself, by the href of its item."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        execution_id, _ = await api.running('apps/temp_sensor', script_id)
        _, body = await api.json('GET', '/events')
        kinds = [item['payload']['change']['kind'] for item in body['items']]
        assert kinds == ['script.uploaded', 'execution.accepted', 'execution.running']
        assert [item['event'] for item in body['items']] == ['script', 'status', 'status']
        assert body['items'][0]['payload']['name'] == 'check.sh'
        assert body['last'] == body['items'][-1]['id']
        for item in body['items']:
            _, alone = await api.json('GET', item['href'].removeprefix(BASE))
            assert alone == item
        _, of_executions = await api.json('GET', '/executions/events')
        assert of_executions['items'] == body['items'][1:]
        _, page = await api.json('GET', f'/events?limit=1&after={body["items"][0]["id"]}')
        assert page['items'] == body['items'][1:2]
        _, page = await api.json('GET', page['next'].removeprefix(BASE))
        assert page['items'] == body['items'][2:]
        _, page = await api.json('GET', '/events?status=running&entity=apps/*')
        assert page['items'] == [body['items'][0], body['items'][2]]
        _, page = await api.json('GET', '/events?after=0123-7')
        assert page['reset'] == {'begins': 'in_memory-0', 'ends': 'in_memory-3'}
        _, page = await api.json('GET', f'/executions/{execution_id}/events')
        assert page['items'] == body['items'][1:]


@pytest.mark.parametrize(
    ('query', 'accept', 'wrong'),
    [
        ('after=x', 'application/json', '/query/after'),
        ('limit=0', 'application/json', '/query/limit'),
        ('limit=-1&after=ab-1', 'application/json', '/query/limit'),
        ('after=ab-1&before=ab-2', 'application/json', '/query/before'),
        ('last_event_id=ab-1', 'application/json', '/query/last_event_id'),
        ('last_event_id=x', 'text/event-stream', '/query/last_event_id'),
        ('limit=5', 'text/event-stream', '/query/limit'),
    ],
)
async def test_what_is_for_the_other_form_is_refused(
    tmp_path: Path, query: str, accept: str, wrong: str
) -> None:
    """And named, with what is allowed."""
    async with serve_api(tmp_path) as api:
        status, body = await api.json('GET', f'/events?{query}', headers={'Accept': accept})
        assert status == 400
        assert [each['path'] for each in body['parameters']['violations']] == [wrong]
