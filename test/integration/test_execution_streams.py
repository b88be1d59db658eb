# SPDX-License-Identifier: Apache-2.0
"""The stream of one execution: its events, its progress, its output, its result."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api_support import Api, BASE, serve_api
from event_streams import EVENT_STREAM, EventSource, names_of
import pytest

from gateway_node.executions.values import Progress

ENTITY = 'apps/temp_sensor'
ACCEPTED, RUNNING, ENDED = (
    f'status execution.{each}' for each in ('accepted', 'running', 'ended')
)


@dataclass(frozen=True, kw_only=True)
class Followed:
    """An execution that runs."""

    api: Api
    execution_id: str
    path: str
    """Below the base."""

    def stream(self, after: str | None = None, query: str = '') -> EventSource:
        """Connect to its stream."""
        return EventSource(self.api.client, f'{BASE}{self.path}/events{query}', after=after)

    def say(self, *lines: str) -> None:
        """Write lines to stdout."""
        for line in lines:
            self.api.runner.outputs.say(self.execution_id, line)

    async def end(self) -> None:
        """Let the script exit."""
        (await self.api.runner.script(self.execution_id)).exit()
        await self.api.listener.wait_for(self.execution_id)

    async def detail(self) -> Any:
        """Return what its GET answers."""
        _, body = await self.api.json('GET', self.path)
        return body


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    """Serve an execution that runs."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        execution_id, _ = await api.running(ENTITY, script_id)
        path = f'/{ENTITY}/scripts/{script_id}/executions/{execution_id}'
        yield Followed(api=api, execution_id=execution_id, path=path)


async def test_a_stream_tells_an_execution_from_its_begin_to_its_result(
    followed: Followed,
) -> None:
    """What happened before it was opened, what happens then, and its end; then it ends too."""
    followed.say('one')
    async with followed.stream() as stream:
        assert names_of(await stream.take(3)) == [ACCEPTED, RUNNING, 'line 1']
        followed.say('two')
        assert names_of(await stream.take(1)) == ['line 2']
        followed.say('three')
        await followed.end()
        *_, result = events = await stream.rest()
    assert names_of(events) == ['line 3', ENDED, 'result']
    assert result.payload == await followed.detail()


async def test_a_status_is_the_summary_as_it_was(followed: Followed) -> None:
    """With what happened and who did it; the same as lists show, but for `is_outdated`."""
    async with followed.stream() as stream:
        accepted, running = await stream.take(2)
    assert accepted.payload['status'] == 'prepared'
    assert accepted.payload['href'] == f'{BASE}{followed.path}'
    assert accepted.payload['change']['actor'] == {'role': 'admin', 'origin': '127.0.0.1'}
    _, listed = await followed.api.json('GET', '/executions')
    (shown,) = listed['items']
    del shown['is_outdated']
    assert {n: v for n, v in running.payload.items() if n != 'change'} == shown
    assert running.payload['change']['kind'] == 'execution.running'


async def test_who_reads_live_and_who_comes_later_are_told_the_same(followed: Followed) -> None:
    """To the byte, but for the progress, which nobody keeps."""
    async with followed.stream() as live:
        await live.take(2)
        followed.say('one', 'two')
        await live.take(2)
        await followed.end()
        told = await live.rest()
    async with followed.stream() as later:
        assert (await later.rest())[4:] == told


async def test_the_stream_of_one_that_ended_plays_it_to_its_end(followed: Followed) -> None:
    """Also where nothing of it happens any more."""
    followed.say(*map(str, range(1, 501)))
    await followed.end()
    async with followed.stream() as stream:
        told = names_of(await stream.rest())
    lines = [f'line {number}' for number in range(1, 501)]
    assert told == [ACCEPTED, RUNNING, *lines, ENDED, 'result']


async def test_a_client_goes_on_behind_what_it_saw(followed: Followed) -> None:
    """No status and no line again, none left out, wherever it was cut off."""
    followed.say('one', 'two')
    await followed.end()
    async with followed.stream() as stream:
        everything = await stream.rest()
    for number, event in enumerate(everything[:-1]):
        async with followed.stream(after=event.id) as stream:
            rest = await stream.rest()
        assert names_of(rest) == names_of(everything[number + 1 :])
        query = f'?last_event_id={event.id}'
        async with followed.stream(query=query) as stream:
            assert names_of(await stream.rest()) == names_of(rest)


async def test_a_browser_that_has_all_is_told_to_connect_no_more(followed: Followed) -> None:
    """An EventSource connects again whenever a stream ends, unless it is answered 204."""
    await followed.end()
    async with followed.stream() as stream:
        *_, result = await stream.rest()
    answer = await followed.api.request(
        'GET',
        f'{followed.path}/events',
        headers={'Accept': EVENT_STREAM, 'Last-Event-ID': result.id},
    )
    assert (answer.status, await answer.read()) == (204, b'')


async def test_the_place_of_another_execution_keeps_no_later_line_back(
    followed: Followed,
) -> None:
    """Behind lines that this one does not have comes what it says from then on."""
    followed.say('one')
    async with followed.stream() as stream:
        accepted, *_ = await stream.take(3)
    place = accepted.id.removesuffix('-0')
    for line in (4711, 10**18 - 1):
        async with followed.stream(after=f'{place}-{line}') as stream:
            assert names_of(await stream.take(1)) == [RUNNING]
            followed.say('more')
            assert (await stream.named('output')).payload['text'] == 'more'


async def test_no_browser_is_told_to_stop_before_the_end(followed: Followed) -> None:
    """Whatever the end is of whose place it has."""
    followed.say('one')
    async with followed.stream() as stream:
        *_, running, line = await stream.take(3)
    async with followed.stream(after=f'{running.id.removesuffix("-0")}-end') as stream:
        assert names_of(await stream.take(1)) == names_of([line])


@pytest.mark.parametrize(
    'place', ['0123456789abcdef-1-0', 'in_memory-4711-0', 'of another server']
)
async def test_a_place_in_another_log_resets_the_stream(followed: Followed, place: str) -> None:
    """Once, with how the execution stands; what comes then is told as ever."""
    followed.say('one')
    async with followed.stream(after=place) as stream:
        reset, status, line = await stream.take(3)
        assert names_of([reset, status, line]) == ['reset', 'status', 'line 1']
        assert reset.payload['reason'] == 'other_log'
        assert status.payload['status'] == 'running'
        await followed.end()
        assert names_of(await stream.rest()) == [ENDED, 'result']
    async with followed.stream(after=status.id) as stream:
        assert names_of(await stream.rest()) == ['line 1', ENDED, 'result']


async def test_progress_is_told_as_it_comes_and_of_no_place(followed: Followed) -> None:
    """The last of it always; who goes on behind an event may hear of it again."""
    script = await followed.api.runner.script(followed.execution_id)
    async with followed.stream() as stream:
        *_, running = await stream.take(2)
        for percent in range(0, 101, 10):
            script.report(Progress(percent=percent, message='warming up'))
        progress = await stream.named('progress')
        while progress.payload['progress'] != 100:
            progress = await stream.named('progress')
        assert progress.payload['progress_message'] == 'warming up'
        assert progress.id == running.id
    async with followed.stream(after=running.id) as stream:
        assert (await stream.named('progress')).payload['progress'] == 100


async def test_many_follow_one_execution_wherever_they_are(followed: Followed) -> None:
    """Each from its own place on; the output is read once for those who are at the same."""
    followed.say('one', 'two')
    async with followed.stream() as first:
        seen = await first.take(4)
        async with followed.stream() as second, followed.stream(after=seen[2].id) as third:
            assert names_of(await second.take(4)) == names_of(seen)
            assert names_of(await third.take(1)) == ['line 2']
            followed.say('three')
            await followed.end()
            ends = await asyncio.gather(first.rest(), second.rest(), third.rest())
    assert [names_of(each) for each in ends] == [['line 3', ENDED, 'result']] * 3


async def test_a_stream_is_not_kept_back_by_proxies(followed: Followed) -> None:
    """It begins at once, is not to be buffered or stored, and says when to connect again."""
    async with followed.stream() as stream:
        headers = stream.response.headers
        assert headers['Cache-Control'] == 'no-store'
        assert headers['X-Accel-Buffering'] == 'no'
        assert headers['Vary'] == 'Accept'
        assert 'Content-Length' not in headers
        await stream.take(1)
        assert (stream.parser.comments, stream.parser.retry_ms) == (1, 2000)
    head = await followed.api.request(
        'HEAD', f'{followed.path}/events', headers={'Accept': EVENT_STREAM}
    )
    assert (head.status, head.headers['Content-Type']) == (200, EVENT_STREAM)


async def test_what_is_deleted_while_it_is_told_has_no_result(followed: Followed) -> None:
    """The stream says so and ends; who comes later finds nothing."""
    async with followed.stream() as stream:
        await stream.take(2)
        # More than any buffer holds.
        followed.say(*['much ' * 2000] * 2000)
        await followed.end()
        answer = await followed.api.request('DELETE', followed.path)
        assert answer.status == 204
        *_, last = told = names_of(await stream.rest())
    assert last == 'status execution.deleted'
    assert 'result' not in told
    answer = await followed.api.request('GET', f'{followed.path}/events')
    assert answer.status == 404


async def test_who_is_behind_others_ends_with_them_where_it_is_deleted(followed: Followed) -> None:
    """What it was not told in time is kept nowhere; the end and the result were made by then."""
    async with followed.stream() as slow, followed.stream() as quick:
        await slow.take(2)
        followed.say(*['much ' * 2000] * 2000)
        await followed.end()
        assert names_of(await quick.rest())[-2:] == [ENDED, 'result']
        await followed.api.request('DELETE', followed.path)
        told = names_of(await slow.rest())
        assert told[-1] == 'result'
        assert told[-2] in (ENDED, 'status execution.deleted')
        assert len(told) < 2002


async def test_the_events_of_an_execution_are_a_list_too(followed: Followed) -> None:
    """What a stream of it tells as its statuses, in the order of the log, page by page."""
    await followed.end()
    async with followed.stream() as stream:
        statuses = [event for event in await stream.rest() if event.name == 'status']
    _, body = await followed.api.json('GET', f'{followed.path}/events')
    assert [{'timestamp': i['timestamp'], 'payload': i['payload']} for i in body['items']] == [
        event.data for event in statuses
    ]
    ids = [item['id'] for item in body['items']]
    _, first = await followed.api.json('GET', f'{followed.path}/events?limit=2')
    assert [item['id'] for item in first['items']] == ids[:2]
    _, second = await followed.api.json('GET', first['next'].removeprefix(BASE))
    assert [item['id'] for item in second['items']] == ids[2:]
    assert 'next' not in second
    _, newest = await followed.api.json('GET', f'{followed.path}/events?limit=-1')
    assert [item['id'] for item in newest['items']] == ids[-1:]
