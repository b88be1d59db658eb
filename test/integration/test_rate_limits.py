# SPDX-License-Identifier: Apache-2.0
"""Requests that come too often, as clients see it."""

from pathlib import Path
from typing import Any

from aiohttp import ClientResponse
from api_support import Api, BASE, form, serve_api
from clients import bearer, KnownTokens

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.access.rates import RateSettings
from gateway_node.executions.actors import Role

THREE_AT_ONCE = RateSettings(requests_per_sec=0.5, burst=3)
PROXY = ('127.0.0.1',)
"""Of which it is believed where a request comes from."""
TOKENS = KnownTokens(
    {
        'secret_a': Credential(name='anna', role=Role.ADMIN),
        'secret_b': Credential(name='bert', role=Role.VIEWER),
    }
)


def comes_from(client: str, token: str | None = None) -> dict[str, str]:
    """Return the headers of a request that a proxy passes on."""
    return {'X-Forwarded-For': client, **({} if token is None else bearer(token))}


async def statuses(api: Api, times: int, headers: dict[str, str], **options: Any) -> list[int]:
    """Ask for the apps again and again."""
    return [
        (await api.request('GET', '/apps', headers=headers, **options)).status
        for _ in range(times)
    ]


async def test_who_asks_too_often_is_told_to_wait(tmp_path: Path) -> None:
    """Nothing is looked up, and nothing of a body is read; after the wait it passes."""
    async with serve_api(tmp_path, rates=THREE_AT_ONCE, trusted_proxies=PROXY) as api:
        client = comes_from('192.0.2.7')
        assert await statuses(api, 4, client) == [200, 200, 200, 429]
        path = '/apps/temp_sensor/scripts'
        answer = await api.request('POST', path, data=form(b'true\n', 'a.sh'), headers=client)
        body = await answer.json()
        assert (answer.status, body['vendor_code']) == (429, 'x-gateway-rate-limited')
        assert answer.headers['Retry-After'] == '2'
        assert (await api.request('GET', '/apps/nobody', headers=client)).status == 429
        assert await statuses(api, 4, comes_from('192.0.2.8')) == [200, 200, 200, 429]
        api.clock.advance(2)
        assert await statuses(api, 2, client) == [200, 429]


async def test_a_body_that_nobody_reads_is_not_asked_for(tmp_path: Path) -> None:
    """A client that waits for `100 Continue` is told at once."""
    async with serve_api(tmp_path, rates=THREE_AT_ONCE, trusted_proxies=PROXY) as api:
        await statuses(api, 3, comes_from('192.0.2.7'))
        reader, writer = await api.connect()
        writer.write(
            f'POST {BASE}/apps/temp_sensor/locks HTTP/1.1\r\nHost: {api.address}\r\n'
            'X-Forwarded-For: 192.0.2.7\r\nExpect: 100-continue\r\n'
            'Content-Length: 9999\r\n\r\n'.encode()
        )
        assert (await reader.readline()).startswith(b'HTTP/1.1 429')
        writer.close()


async def test_identities_have_buckets_of_their_own(tmp_path: Path) -> None:
    """Wherever they come from; who shows no right credential has that of the address."""
    async with serve_api(
        tmp_path,
        rates=THREE_AT_ONCE,
        trusted_proxies=PROXY,
        authentication=Authentication([TOKENS]),
    ) as api:
        assert await statuses(api, 4, comes_from('192.0.2.7')) == [401, 401, 401, 429]
        assert await statuses(api, 4, comes_from('192.0.2.7', 'wrong')) == [429] * 4
        anna = comes_from('192.0.2.7', 'secret_a')
        assert await statuses(api, 4, anna) == [200, 200, 200, 429]
        assert await statuses(api, 1, comes_from('192.0.2.9', 'secret_a')) == [429]
        assert await statuses(api, 1, comes_from('192.0.2.7', 'secret_b')) == [200]


async def test_this_host_is_not_counted(tmp_path: Path) -> None:
    """With a credential as without: scripts and their gateways ask as often as they like."""
    async with serve_api(tmp_path, rates=THREE_AT_ONCE) as api:
        assert await statuses(api, 20, {}) == [200] * 20


async def test_a_preflight_is_not_counted(tmp_path: Path) -> None:
    """It says nothing of who sends it, and a page's requests would wait for it."""
    async with serve_api(tmp_path, rates=THREE_AT_ONCE, trusted_proxies=PROXY) as api:
        client = comes_from('192.0.2.7')
        for _ in range(10):
            assert (await api.request('OPTIONS', '/apps', headers=client)).status == 204
        assert await statuses(api, 3, client) == [200] * 3


async def test_a_stream_counts_once(tmp_path: Path) -> None:
    """However long it is read."""
    stream = {'Accept': 'text/event-stream'}
    async with serve_api(tmp_path, rates=THREE_AT_ONCE, trusted_proxies=PROXY) as api:
        client = comes_from('192.0.2.7')
        streaming: ClientResponse = await api.client.get(f'{BASE}/events', headers=client | stream)
        assert streaming.status == 200
        assert await statuses(api, 3, client) == [200, 200, 429]
        streaming.close()
