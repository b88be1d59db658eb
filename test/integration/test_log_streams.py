# SPDX-License-Identifier: Apache-2.0
"""The streams of the log and of all executions, and what holds for every stream."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
import socket
from unittest.mock import AsyncMock

from aiohttp import ClientSession
from api_support import Api, BASE, serve_api
from certificates import certificates_in
from event_streams import EVENT_STREAM, EventSource, names_of
import pytest
from tls_peer import TlsPeer

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Cursor, Event
from gateway_node.executions.store_ports import LogPolicy
from gateway_node.executions.values import Progress
from gateway_node.http_server.connections import Connection
from gateway_node.http_server.event_stream import SEND_BUFFER_BYTES
from gateway_node.http_server.stream_places import StreamSettings

ENTITY = 'apps/temp_sensor'
ASK = f'GET {BASE}/events HTTP/1.1\r\nHost: robot\r\nAccept: {EVENT_STREAM}\r\n\r\n'.encode()
ACCEPTED, RUNNING, ENDED = (
    f'status execution.{each}' for each in ('accepted', 'running', 'ended')
)


@pytest.fixture(params=['plain', 'TLS'])
async def api(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    certificates = trust = None
    if request.param == 'TLS':
        certificates, trust = await certificates_in(tmp_path)
    async with serve_api(tmp_path, certificates=certificates, trust=trust) as api:
        yield api


def stream(api: Api, path: str = '/events', after: str | None = None) -> EventSource:
    """Connect to a stream."""
    return EventSource(api.client, f'{BASE}{path}', after=after)


async def live(api: Api, script_id: str) -> str:
    """Have an execution begin, run and end; return its id."""
    execution_id, script = await api.running(ENTITY, script_id)
    script.exit()
    await api.listener.wait_for(execution_id)
    return execution_id


async def test_the_log_is_told_from_now_on(api: Api) -> None:
    """Executions, schedules and scripts, as a page of it has them, to the byte."""
    await api.upload(ENTITY)
    async with stream(api) as source:
        script_id = await api.upload(ENTITY)
        await live(api, script_id)
        events = await source.take(4)
    assert names_of(events) == ['script', ACCEPTED, RUNNING, ENDED]
    _, body = await api.json('GET', f'/events?after={body_id(events[0].id, -1)}')
    assert [item['id'] for item in body['items']] == [event.id for event in events]
    assert [(item['timestamp'], item['payload']) for item in body['items']] == [
        (event.data['timestamp'], event.payload) for event in events
    ]


def body_id(event_id: str, offset: int) -> str:
    """Return the id of an event that many events further."""
    epoch, _, sequence = event_id.partition('-')
    return f'{epoch}-{int(sequence) + offset}'


async def test_readers_that_are_behind_read_one_after_the_other(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come at once: a request waits for one page of one of them at most."""
    script_id = await api.upload(ENTITY)
    await live(api, script_id)
    _, body = await api.json('GET', '/events?limit=1')
    begin = body_id(body['last'], -1)
    find, reading, most = api.store.log.events, 0, 0

    async def events(after: Cursor, *, limit: int) -> tuple[Event, ...]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        try:
            await asyncio.sleep(0)
            return await find(after, limit=limit)
        finally:
            reading -= 1

    monkeypatch.setattr(api.store.log, 'events', events)

    async def read() -> list[str]:
        async with stream(api, after=begin) as source:
            return names_of(await source.take(4))

    told = await asyncio.gather(*(read() for _ in range(10)))
    assert told == [['script', ACCEPTED, RUNNING, ENDED]] * 10
    assert most == 1


async def test_a_stream_that_a_defect_ends_is_told_with_the_traceback(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log: its client only sees that it ends. What storage lacks needs none."""
    for error, has_traceback in ((KeyError('lost'), True), (StoreUnavailable('gone'), False)):
        caplog.clear()
        monkeypatch.setattr(api.streams, 'follow_log', AsyncMock(side_effect=error))
        async with stream(api) as source:
            assert await source.rest() == []
        (record,) = (each for each in caplog.records if 'not followed to the end' in each.message)
        assert (record.exc_info is not None) == has_traceback


async def test_the_system_keeps_little_of_a_stream_that_nobody_takes(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it takes some MiB for each of a thousand."""
    transports, connection_made = [], Connection.connection_made

    def note(connection: Connection, transport: asyncio.BaseTransport) -> None:
        transports.append(transport)
        connection_made(connection, transport)

    monkeypatch.setattr(Connection, 'connection_made', note)
    async with stream(api) as source:
        await api.upload(ENTITY)
        await source.take(1)
        connection = transports[0].get_extra_info('socket')
        kept = connection.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    # The system takes twice as much as it is told (man 7 socket).
    assert kept <= 2 * SEND_BUFFER_BYTES


async def test_the_line_is_told_of_too(api: Api) -> None:
    """By the path where its state is."""
    async with stream(api) as source:
        await api.json('PUT', '/line', json={'paused': True})
        await api.json('PUT', f'/{ENTITY}/line', json={'paused': True})
        paused, of_entity = await source.take(2)
    _, page = await api.json('GET', '/events')
    assert [each['event'] for each in page['items']] == [paused.name, of_entity.name]
    assert (paused.name, paused.payload['href']) == ('line', f'{BASE}/line')
    assert of_entity.payload['href'] == f'{BASE}/{ENTITY}/line'
    assert of_entity.payload['change']['kind'] == 'line.paused'


async def test_who_has_to_wait_is_told_as_the_log_has_it(tmp_path: Path) -> None:
    """Live too with all that is known of it, and only where filters find that."""
    async with serve_api(tmp_path, max_executions=1) as api:
        script_id = await api.upload(ENTITY)
        async with (
            stream(api) as source,
            stream(api, '/executions/events?status=completed') as of_ended,
        ):
            _, script = await api.running(ENTITY, script_id)
            await api.start(ENTITY, script_id)
            *_, queued = events = await source.take(4)
            assert names_of(events)[2:] == [ACCEPTED, 'status execution.queued']
            _, page = await api.json('GET', '/events?limit=-1')
            assert [each['payload'] for each in page['items']] == [queued.payload]
            script.exit()
            assert names_of(await of_ended.take(1)) == [ENDED]


async def test_of_executions_alone_there_is_progress_too(api: Api) -> None:
    """It is no part of the log, and of no place."""
    script_id = await api.upload(ENTITY)
    async with stream(api, '/executions/events') as source, stream(api) as of_log:
        await api.upload(ENTITY)
        execution_id, script = await api.running(ENTITY, script_id)
        script.report(Progress(percent=40, message='looking'))
        events = await source.take(3)
        assert names_of(events) == [ACCEPTED, RUNNING, 'progress']
        assert events[2].id == events[1].id
        assert events[2].payload == {
            'id': execution_id,
            'status': 'running',
            'href': events[1].payload['href'],
            'entity': ENTITY,
            'script_id': script_id,
            'progress': 40,
            'progress_message': 'looking',
        }
        script.exit()
        assert names_of(await of_log.take(4)) == ['script', ACCEPTED, RUNNING, ENDED]


async def test_a_reader_goes_on_behind_what_it_saw(api: Api) -> None:
    """What happened meanwhile comes first, then what happens."""
    script_id = await api.upload(ENTITY)
    async with stream(api) as source:
        await live(api, script_id)
        seen = await source.take(2)
    await live(api, script_id)
    async with stream(api, after=seen[1].id) as source:
        events = await source.take(4)
        assert names_of(events) == [ENDED, ACCEPTED, RUNNING, ENDED]
        assert [event.payload['status'] for event in events] == [
            'completed',
            'prepared',
            'running',
            'completed',
        ]
        await live(api, script_id)
        assert names_of(await source.take(3)) == [ACCEPTED, RUNNING, ENDED]
    async with stream(api, f'/events?last_event_id={seen[0].id}') as source:
        assert names_of(await source.take(2)) == [RUNNING, ENDED]


async def test_a_reader_that_saw_nothing_has_a_place_all_the_same(api: Api) -> None:
    """It is told with the begin: a connection that breaks before the first event loses none."""
    script_id = await api.upload(ENTITY)
    async with stream(api) as source:
        while not source.parser.last_id:
            line = await source.response.content.readline()
            source.parser.feed(line.decode().removesuffix('\n'))
    await live(api, script_id)
    async with stream(api, after=source.parser.last_id) as source:
        assert names_of(await source.take(3)) == [ACCEPTED, RUNNING, ENDED]


async def test_the_filters_of_lists_choose(api: Api) -> None:
    """Events behind which the execution is among what they find, told live or read later."""
    script_id = await api.upload(ENTITY)
    path = '/executions/events?status=completed,failed&entity=apps/*'
    async with stream(api, path) as source, stream(api, '/executions/events?status=failed') as no:
        first = await live(api, script_id)
        second = await live(api, script_id)
        events = await source.take(2)
        assert names_of(events) == [ENDED, ENDED]
        assert [event.payload['id'] for event in events] == [first, second]
        _, script = await api.running(ENTITY, script_id)
        script.exit(3)
        failed = await no.take(1)
        assert failed[0].payload['error']['vendor_code'] == 'x-gateway-script-failed'
    async with stream(api, path, after=events[0].id) as source:
        assert [each.payload['id'] for each in await source.take(1)] == [second]


async def test_where_the_log_does_not_go_on_there_is_one_reset(api: Api) -> None:
    """Then the stream goes on from now."""
    script_id = await api.upload(ENTITY)
    for _ in range(3):
        await live(api, script_id)
    await api.store.log.prune(LogPolicy(max_events=3, max_age_sec=0))
    cases = [('in_memory-2', 'expired'), ('in_memory-99', 'other_log'), ('ab-5', 'other_log')]
    for after, reason in cases:
        async with stream(api, after=after) as source:
            (reset,) = await source.take(1)
            assert (reset.name, reset.payload['reason']) == ('reset', reason)
            assert reset.id == reset.payload['ends']
            await live(api, script_id)
            assert names_of(await source.take(3)) == [ACCEPTED, RUNNING, ENDED]


async def test_a_silent_stream_has_heartbeats_that_tell_where_it_is(tmp_path: Path) -> None:
    """What a filter passed over need not be read again by who comes back."""
    settings = StreamSettings(heartbeat_sec=0.05)
    async with serve_api(tmp_path, streams=settings) as api:
        script_id = await api.upload(ENTITY)
        async with stream(api, '/events?status=failed') as source:
            await live(api, script_id)
            _, body = await api.json('GET', '/events?limit=-1')
            while source.parser.last_id != body['last'] or source.parser.comments < 4:
                line = await source.response.content.readline()
                assert source.parser.feed(line.decode().removesuffix('\n')) is None


async def test_streams_are_bounded_for_a_client_and_in_all(tmp_path: Path) -> None:
    """One more is 429; who closes one makes room."""
    settings = StreamSettings(max_streams=3, max_per_client=2)
    headers = {'Accept': EVENT_STREAM}
    proxies = ('127.0.0.1',)
    async with serve_api(tmp_path, streams=settings, trusted_proxies=proxies) as api:

        def of(client: str) -> EventSource:
            path = f'{BASE}/events'
            return EventSource(api.client, path, **{'X-Forwarded-For': client})

        async def refused(client: str) -> str:
            whose = headers | {'X-Forwarded-For': client}
            answer = await api.request('GET', '/events', headers=whose)
            assert (answer.status, answer.headers['Retry-After']) == (429, '1')
            body = await answer.json()
            assert body['vendor_code'] == 'x-gateway-limit-reached'
            return str(body['message'])

        async with of('10.0.0.1'), of('10.0.0.2'):
            async with of('10.0.0.1'):
                assert 'streams.max_per_client' in await refused('10.0.0.1')
                assert '(streams.max)' in await refused('10.0.0.3')
                _, health = await api.json('GET', '/health')
                assert health['streams'] == {'open': 3, 'limit': 3, 'refused': 2}
                _, page = await api.json('GET', '/events')
                assert page['items'] == []
            while (await _status(api.client, '10.0.0.1')) != 200:
                pass  # until the gateway has heard that it is gone; each turn is a request


async def _status(client: ClientSession, address: str) -> int:
    headers = {'Accept': EVENT_STREAM, 'X-Forwarded-For': address}
    async with client.get(f'{BASE}/events', headers=headers) as answer:
        answer.close()
        return answer.status


async def test_a_client_that_reads_nothing_for_long_is_told_all_of_it_then(api: Api) -> None:
    """More than any buffer holds is written meanwhile; another one is told at once."""
    script_id = await api.upload(ENTITY)
    execution_id, script = await api.running(ENTITY, script_id)
    path = f'/executions/{execution_id}/events'
    async with stream(api, path) as slow, stream(api, path) as quick:
        assert names_of(await slow.take(1)) == names_of(await quick.take(1)) == [ACCEPTED]
        for number in range(1, 2001):
            api.runner.outputs.say(execution_id, f'{number} ' * 2000)
        script.exit()
        told = names_of(await quick.rest())
        assert told == [RUNNING, *(f'line {n}' for n in range(1, 2001)), ENDED, 'result']
        assert names_of(await slow.rest()) == told


async def test_a_client_that_ends_its_side_may_read_on(tmp_path: Path) -> None:
    """As with `nc -N`: it is not taken for gone as long as it takes what is sent."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        reader, writer = await api.connect()
        writer.write(ASK)
        await reader.readuntil(b'retry: 2000\n\n')
        writer.write_eof()
        await live(api, script_id)
        assert b'execution.ended' in await reader.readuntil(b'execution.ended')
        writer.close()


async def test_a_client_that_ends_its_side_over_tls_may_read_on(tmp_path: Path) -> None:
    """The same, behind its farewell."""
    certificates, trust = await certificates_in(tmp_path)
    async with serve_api(tmp_path, certificates=certificates, trust=trust) as api:
        script_id = await api.upload(ENTITY)
        peer = await TlsPeer.connect(int(api.address.rpartition(':')[2]), trust)
        await peer.shake_hands(with_last=ASK)
        # OpenSSL wants nothing to wait unread at a farewell.
        await peer.until(b'retry: 2000\n\nid: ')
        peer.end(with_farewell=True)
        await live(api, script_id)
        await peer.until(b'execution.ended')
        peer.writer.close()


@pytest.mark.parametrize('version', ['1.0', '1.1'])
async def test_a_stream_is_the_same_in_each_version_of_http(api: Api, version: str) -> None:
    """Not in chunks; it ends with its connection, as the gateway ends it."""
    script_id = await api.upload(ENTITY)
    execution_id = await live(api, script_id)
    reader, writer = await api.connect()
    path = f'{BASE}/executions/{execution_id}/events'
    writer.write(
        f'GET {path} HTTP/{version}\r\nHost: localhost\r\nAccept: {EVENT_STREAM}\r\n\r\n'.encode()
    )
    head, _, content = (await reader.read()).partition(b'\r\n\r\n')
    writer.close()
    assert b'\r\nTransfer-Encoding' not in head
    assert (b'\r\nConnection: close' in head) is (version == '1.1')
    assert content.startswith(b': ')
    assert content.endswith(b'}\n\n')


async def test_a_gateway_that_ends_ends_its_streams(tmp_path: Path) -> None:
    """Once they have told the ends of the executions that end with it."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        execution_id, _ = await api.running(ENTITY, script_id)
        async with (
            stream(api) as of_log,
            stream(api, f'/executions/{execution_id}/events') as of_one,
        ):
            await of_one.take(2)
            closing = asyncio.create_task(api.close())
            stop = 'status execution.stop_accepted'
            assert [each for each in names_of(await of_log.rest()) if each != stop] == [ENDED]
            assert [each for each in names_of(await of_one.rest()) if each != stop] == [
                ENDED,
                'result',
            ]
            await closing
            answer = await api.client.get(f'{BASE}/events', headers={'Accept': EVENT_STREAM})
            assert answer.status == 503
