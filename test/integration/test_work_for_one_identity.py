# SPDX-License-Identifier: Apache-2.0
"""How much of the gateway one identity has at a time, from wherever it asks."""

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path
from typing import Any

from api_support import Api, BASE, serve_api
from clients import KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role
from gateway_node.http_server.open_connections import ConnectionLimits

Connected = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PEERS = ('127.0.0.2', '127.0.0.3')
"""Proxies: each is one address, which has half of the connections."""
LIMITS = ConnectionLimits(total=8)
KNOWN = Authentication(
    [KnownTokens({name: Credential(name=name, role=Role.ADMIN) for name in ('anna', 'bert')})]
)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway behind two proxies."""
    async with serve_api(
        tmp_path, authentication=KNOWN, trusted_proxies=PEERS, connections=LIMITS
    ) as api:
        yield api


async def ask(
    api: Api, peer: str, head: str, name: str, client: str | None = None
) -> tuple[Connected, bytes]:
    """Send the header of a request over a connection of its own; return the first line of what is
    answered."""
    host, _, port = api.address.partition(':')
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(peer, 0))
    forwarded = '' if client is None else f'X-Forwarded-For: {client}\r\n'
    header = f'{head}\r\nHost: {api.address}\r\nAuthorization: Bearer {name}\r\n{forwarded}\r\n'
    writer.write(header.encode())
    return (reader, writer), await reader.readline()


async def begin_upload(api: Api) -> asyncio.StreamWriter:
    """Begin an upload, of which nothing comes."""
    head = (
        f'POST {BASE}/apps/temp_sensor/scripts HTTP/1.1\r\nContent-Length: 100\r\n'
        'Content-Type: multipart/form-data; boundary=x\r\nExpect: 100-continue'
    )
    (_, writer), line = await ask(api, PEERS[0], head, 'anna', '192.0.2.1')
    assert line == b'HTTP/1.1 100 Continue\r\n'
    return writer


async def status_of(api: Api, name: str, client: str | None = '192.0.2.2') -> tuple[int, Any]:
    """Ask for something short; return status and answer."""
    head = f'GET {BASE}/apps HTTP/1.1\r\nConnection: close'
    (reader, writer), line = await ask(api, PEERS[1], head, name, client)
    header, _, body = (await reader.read()).partition(b'\r\n\r\n')
    writer.close()
    assert (b'Retry-After' in header) == (b' 429 ' in line)
    return int(line.split()[1]), json.loads(body)


async def test_one_identity_has_half_of_the_connections_at_work(api: Api) -> None:
    """From however many addresses: others, and who is on this host, are answered; what is over
    counts no more, also where the client went away."""
    uploads = [await begin_upload(api) for _ in range(LIMITS.per_client)]
    status, body = await status_of(api, 'anna')
    assert (status, body['vendor_code']) == (429, 'x-gateway-limit-reached')
    assert "4 requests of 'anna' are being answered" in body['message']
    assert (await status_of(api, 'bert'))[0] == 200
    assert (await status_of(api, 'anna', client=None))[0] == 200
    uploads[0].close()
    async with asyncio.timeout(30):
        while (await status_of(api, 'anna'))[0] != 200:
            pass
    for _ in range(2 * LIMITS.per_client):
        assert (await status_of(api, 'anna'))[0] == 200
    for each in uploads[1:]:
        each.close()
