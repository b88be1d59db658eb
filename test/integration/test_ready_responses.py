# SPDX-License-Identifier: Apache-2.0
"""A response that is sent in one piece is what aiohttp's own would be."""

import asyncio
from collections.abc import Mapping
import re

from aiohttp import hdrs, web
import pytest

from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.ready_response import ReadyResponse
from gateway_node.http_server.server import Server

DEADLINE_SEC = 30.0
FIELDS: Mapping[str, str] = {hdrs.ETAG: '"ä"', hdrs.CONTENT_TYPE: 'text/plain; charset=utf-8'}
CONTENT = 'gemäß'.encode()


async def exchange(sent: bytes, *, ready: bool, status: int, content: bytes) -> bytes:
    """Have a server answer with one or the other; return all that it sends."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if ready:
            return ReadyResponse(status=status, fields=FIELDS, content=content)
        return web.Response(status=status, headers=FIELDS, body=content)

    server = Server(answer, ConnectionLimits())
    (url,) = await server.bind('127.0.0.1', 0)
    await server.serve()
    try:
        reader, writer = await asyncio.open_connection('127.0.0.1', int(url.rsplit(':', 1)[1]))
        async with asyncio.timeout(DEADLINE_SEC):
            writer.write(sent)
            writer.write_eof()
            received = await reader.read()
        writer.close()
        return received
    finally:
        await server.stop_accepting()
        await server.close()


def parts_of(answer: bytes) -> tuple[bytes, Mapping[bytes, bytes], bytes]:
    """Return the status line, the fields without the moment, and the content."""
    head, _, content = answer.partition(b'\r\n\r\n')
    status, *lines = head.split(b'\r\n')
    fields = dict(line.split(b': ', 1) for line in lines)
    assert len(fields) == len(lines)
    assert re.fullmatch(rb'\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT', fields.pop(b'Date'))
    return status, fields, content


@pytest.mark.parametrize('status', [200, 202, 204, 206, 304, 307])
@pytest.mark.parametrize('version', ['1.0', '1.1'])
@pytest.mark.parametrize('method', ['GET', 'HEAD', 'POST'])
async def test_it_is_what_aiohttp_would_send(status: int, version: str, method: str) -> None:
    """Whoever asks how, and whether the connection stays or not."""
    content = b'' if status in (204, 304) else CONTENT
    for connection in ('', 'Connection: close\r\n', 'Connection: keep-alive\r\n'):
        sent = f'{method} / HTTP/{version}\r\nHost: robot\r\n{connection}\r\n'.encode()
        mine, theirs = [
            parts_of(await exchange(sent, ready=ready, status=status, content=content))
            for ready in (True, False)
        ]
        assert mine == theirs, connection


async def test_several_come_one_behind_the_other() -> None:
    """Each whole, however much of them waits for its reader."""
    content = bytes(1_000_000)
    ask = b'GET / HTTP/1.1\r\nHost: robot\r\n\r\n'
    received = await exchange(ask * 3, ready=True, status=200, content=content)
    assert received.count(b'HTTP/1.1 200 OK\r\n') == received.count(content) == 3


@pytest.mark.parametrize('text', ['/a\r\nSet-Cookie: b', '/a\n', '/a\0'])
def test_a_field_with_a_control_character_is_never_sent(text: str) -> None:
    """Somebody could make further fields of it."""
    with pytest.raises(ValueError, match='has a control character'):
        ReadyResponse(status=200, fields={hdrs.LOCATION: text})
