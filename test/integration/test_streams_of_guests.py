# SPDX-License-Identifier: Apache-2.0
"""A stream lasts only as long as whoever follows it is let in."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from aiohttp import ClientResponse
from api_support import Api, BASE, form, serve_api
from clients import bearer, KnownTokens
from event_streams import EVENT_STREAM
from fakes import FakeClock
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.access.failures import Failures, FREE_FAILURES
from gateway_node.access.sessions import ClientSecret, Sessions
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope
from gateway_node.http_server.stream_places import StreamSettings

ANNA = Credential(name='anna', role=Role.VIEWER)
CARL = Credential(name='carl', role=Role.CONFIGURATOR)
BERT = Credential(name='bert', role=Role.VIEWER)
DEADLINE_SEC = 30.0


async def follow(api: Api, token: str) -> ClientResponse:
    """Open a stream, and wait until it has begun."""
    headers: Mapping[str, str] = {**bearer(token), 'Accept': EVENT_STREAM}
    response = await api.client.get(f'{BASE}/events', headers=headers)
    assert response.status == 200
    while not (await response.content.readline()).startswith(b'id:'):
        pass  # what it begins with
    return response


async def read_to_the_end(*responses: ClientResponse) -> None:
    """Wait until streams have ended."""
    async with asyncio.timeout(DEADLINE_SEC):
        await asyncio.gather(*(each.read() for each in responses))


@pytest.mark.parametrize(
    'instead',
    [
        None,
        Credential(name='anna', role=Role.OPERATOR),
        Credential(name='anna', role=Role.VIEWER, scope=Scope(tags=())),
        Credential(name='other', role=Role.VIEWER),
    ],
)
async def test_a_stream_ends_with_what_let_its_reader_in(
    tmp_path: Path, instead: Credential | None
) -> None:
    """At once where a change is told; others go on. What is let in as another connects anew."""
    known = KnownTokens({'a': ANNA, 'b': BERT})
    authentication = Authentication([known])
    async with serve_api(tmp_path, authentication=authentication) as api:
        one, other = await follow(api, 'a'), await follow(api, 'b')
        if instead is None:
            del known.credentials['a']
        else:
            known.credentials['a'] = instead
        authentication.tell_change()
        await read_to_the_end(one)
        _, health = await api.json('GET', '/health', headers=bearer('b'))
        assert health['streams']['open'] == 1
        refused = await api.request('GET', '/apps', headers=bearer('a'))
        assert refused.status == (401 if instead is None else 200)
        other.close()


@pytest.mark.parametrize(
    'instead',
    [None, Credential(name='carl', role=Role.VIEWER), CARL],
    ids=['gone', 'less', 'same'],
)
@pytest.mark.parametrize('uploads', [True, False])
async def test_what_a_slow_body_is_for_is_done_for_who_is_let_in_at_its_end(
    tmp_path: Path, instead: Credential | None, uploads: bool
) -> None:
    """Nobody keeps a request half sent until after their token was taken away."""
    known = KnownTokens({'c': CARL, 'd': CARL})
    async with serve_api(tmp_path, authentication=Authentication([known])) as api:
        if uploads:
            path, kind = '/apps/temp_sensor/scripts', 'multipart/form-data; boundary=b'
            body = (
                b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\n'
                b'true\n\r\n--b--\r\n'
            )
        else:
            sent = form(b'true\n', 'check.sh')
            made = await api.request(
                'POST', '/apps/temp_sensor/scripts', data=sent, headers=bearer('d')
            )
            path = f'/apps/temp_sensor/scripts/{(await made.json())["id"]}/executions'
            kind, body = 'application/json', b'{"execution_type": "now"}'
        reader, writer = await api.connect()
        writer.write(
            f'POST {BASE}{path} HTTP/1.1\r\nHost: {api.address}\r\nAuthorization: Bearer c\r\n'
            f'Content-Type: {kind}\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n'
            'Connection: close\r\n\r\n'.encode()
        )
        async with asyncio.timeout(DEADLINE_SEC):
            assert await reader.readuntil(b'\r\n\r\n') == b'HTTP/1.1 100 Continue\r\n\r\n'
            if instead is None:
                del known.credentials['c']
            else:
                known.credentials['c'] = instead
            writer.write(body)
            answer = await reader.read()
        writer.close()
        made_status = b' 201 ' if uploads else b' 202 '
        assert (made_status if instead is CARL else b' 401 ') in answer.partition(b'\r\n')[0]


async def test_a_stream_ends_though_nobody_tells_of_the_change(tmp_path: Path) -> None:
    """As where a token runs out: with the next heartbeat."""
    known = KnownTokens({'a': ANNA})
    authentication = Authentication([known])
    settings = StreamSettings(heartbeat_sec=0.05)
    async with serve_api(tmp_path, authentication=authentication, streams=settings) as api:
        stream = await follow(api, 'a')
        del known.credentials['a']
        await read_to_the_end(stream)


async def test_streams_that_end_are_no_guesses(tmp_path: Path) -> None:
    """They slow down nobody behind the same address."""
    known = KnownTokens({'a': ANNA, 'b': BERT})
    authentication = Authentication([known], failures=Failures(FakeClock().monotonic))
    async with serve_api(tmp_path, authentication=authentication) as api:
        streams = [await follow(api, 'a') for _ in range(2 * FREE_FAILURES)]
        del known.credentials['a']
        authentication.tell_change()
        await read_to_the_end(*streams)
        assert (await api.request('GET', '/apps', headers=bearer('b'))).status == 200


@pytest.mark.parametrize('how', ['revoked', 'used twice'])
async def test_a_stream_ends_with_the_session_of_its_reader(tmp_path: Path, how: str) -> None:
    """At once, and those of other sessions go on."""
    known, clock = KnownTokens({'a': ANNA}), FakeClock()
    failures = Failures(clock.monotonic)
    sessions = Sessions(known, failures, clock, access_sec=60, refresh_sec=60)
    authentication = Authentication([known], made_here=[sessions], failures=failures)
    sessions.on_end(authentication.tell_change)
    anna = ClientSecret(name='anna', secret='a', address='127.0.0.1')
    async with serve_api(tmp_path, authentication=authentication, sessions=sessions) as api:
        issued, others = sessions.begin(anna), sessions.begin(anna)
        stream = await follow(api, issued.access_token)
        other = await follow(api, others.access_token)
        if how == 'revoked':
            revoke = {'token': issued.refresh_token}
            assert (await api.request('POST', '/auth/revoke', json=revoke)).status == 200
        else:
            refresh = {'grant_type': 'refresh_token', 'refresh_token': issued.refresh_token}
            statuses = [
                (await api.request('POST', '/auth/token', json=refresh)).status for _ in 'ab'
            ]
            assert statuses == [200, 400]
        await read_to_the_end(stream)
        _, health = await api.json('GET', '/health', headers=bearer(others.access_token))
        assert health['streams']['open'] == 1
        other.close()
