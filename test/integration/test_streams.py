# SPDX-License-Identifier: Apache-2.0
"""Answers that are made while they are sent: whole, or seen not to be."""

import asyncio
from collections.abc import AsyncIterator, Callable
import contextlib
from dataclasses import dataclass, field
import logging
from typing import cast

from aiohttp import web
from loop_clock import LoopClock
import pytest
from waiting import wait_until

from gateway_node.http_server.answers import response_to
from gateway_node.http_server.calls import Answer, Stream
from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.server import Server

LIMIT_SEC = 60.0
DEADLINE_SEC = 1000.0
PIECE = b'x' * 65536
LAST_CHUNK = b'0\r\n\r\n'


@dataclass(kw_only=True)
class Source:
    """Where a stream's pieces come from."""

    pieces: int = 3
    error: Exception | None = None
    """Raised after the last piece."""
    given: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when nothing is taken from it any more."""

    async def stream(self) -> AsyncIterator[bytes]:
        """Give the pieces."""
        try:
            for _ in range(self.pieces):
                self.given += 1
                yield PIECE
                await asyncio.sleep(0)
            if self.error is not None:
                raise self.error
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def serving(
    source: Source, *, stall_sec: float = DEADLINE_SEC
) -> AsyncIterator[tuple[Server, int]]:
    """Serve a stream wherever one asks."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        stream = Stream(pieces=source.stream(), media_type='text/csv', file_name='all.csv')
        return response_to(Answer(body=stream), status=200, request=request)

    server = Server(answer, ConnectionLimits(look_sec=0.02, stall_sec=stall_sec))
    (url,) = await server.bind('127.0.0.1', 0)
    await server.serve()
    try:
        yield server, int(url.rsplit(':', 1)[1])
    finally:
        await server.stop_accepting()
        await server.close()


@contextlib.asynccontextmanager
async def asking(
    port: int, *, method: str = 'GET', version: str = '1.1'
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.Transport]]:
    """Ask for the stream."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port, limit=10 * len(PIECE))
    writer.write(f'{method} / HTTP/{version}\r\nHost: robot\r\n\r\n'.encode())
    try:
        async with asyncio.timeout(DEADLINE_SEC):
            yield reader, cast(asyncio.Transport, writer.transport)
    finally:
        writer.transport.abort()


async def test_a_stream_ends_with_its_last_chunk() -> None:
    """It is to be saved, and the connection is there for the next request."""
    source = Source()
    async with serving(source) as (_, port), asking(port) as (reader, _transport):
        head = (await reader.readuntil(b'\r\n\r\n')).decode()
        assert 'Content-Type: text/csv; charset=utf-8' in head
        assert 'Content-Disposition: attachment; filename="all.csv"' in head
        assert 'Transfer-Encoding: chunked' in head
        content = await reader.readuntil(LAST_CHUNK)
    assert content.count(PIECE) == source.pieces


async def test_a_stream_that_fails_is_seen_not_to_be_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The connection ends without the last chunk; the log says why, in one line."""
    source = Source(error=RuntimeError('the disk is gone'))
    with caplog.at_level(logging.WARNING):
        async with serving(source) as (_, port), asking(port) as (reader, _transport):
            received = await reader.read(-1)
    assert received.count(PIECE) == source.pieces
    assert not received.endswith(LAST_CHUNK)
    assert b'error_code' not in received
    (record,) = caplog.records
    assert record.getMessage() == 'GET / was not answered to the end: the disk is gone'
    assert record.exc_info is None


async def test_where_the_end_of_the_connection_is_the_end_of_the_body_it_is_reset() -> None:
    """HTTP/1.0 has no chunks."""
    source = Source(error=RuntimeError('the disk is gone'))
    async with serving(source) as (_, port), asking(port, version='1.0') as (reader, _transport):
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
    whole = Source()
    async with serving(whole) as (_, port), asking(port, version='1.0') as (reader, _transport):
        assert (await reader.read(-1)).endswith(PIECE)


async def test_head_makes_nothing_of_it() -> None:
    """It has the headers."""
    source = Source()
    async with serving(source) as (_, port), asking(port, method='HEAD') as (reader, _transport):
        assert b'text/csv' in await reader.readuntil(b'\r\n\r\n')
    assert source.given == 0


async def test_nothing_is_made_for_a_client_that_does_not_read() -> None:
    """But what the connection holds; it goes on when the client does."""
    source = Source(pieces=10_000)
    async with serving(source) as (_, port), asking(port) as (reader, transport):
        await reader.readexactly(1)
        transport.pause_reading()
        held = await standing_still(lambda: source.given)
        assert held < 500
        transport.resume_reading()
        await reader.readexactly((held + 10) * len(PIECE))
        assert source.given > held


async def standing_still(value: Callable[[], int]) -> int:
    """Wait until a value that grows grows no more; return it."""
    before = -1
    while (now := value()) != before:
        before = now
        await asyncio.sleep(0.2)
    return before


async def test_a_client_that_goes_away_ends_a_stream(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing more is made, and the log has nothing to say."""
    source = Source(pieces=10**9)
    with caplog.at_level(logging.WARNING):
        async with serving(source) as (server, port):
            async with asking(port) as (reader, _transport):
                await reader.readexactly(len(PIECE))
            async with asyncio.timeout(DEADLINE_SEC):
                await source.ended.wait()
            await wait_until(lambda: server.connections['open'] == 0, what='it is closed')
    assert caplog.records == []


@pytest.mark.parametrize('version', ['1.0', '1.1'])
async def test_the_end_of_the_gateway_ends_a_stream(version: str) -> None:
    """However long it would be; what came is seen not to be all."""
    source = Source(pieces=10**9)
    async with serving(source) as (server, port), asking(port, version=version) as (reader, _):
        await reader.readexactly(len(PIECE))
        reading = asyncio.ensure_future(rest(reader))
        await server.stop_accepting()
        await server.close()
        last, is_reset = await reading
    assert is_reset or (version == '1.1' and not last.endswith(LAST_CHUNK))


async def rest(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    """Read to the end; return the last bytes, and whether the connection was reset behind them."""
    last = b''
    try:
        while piece := await reader.read(len(PIECE)):
            last = (last + piece)[-100:]
    except ConnectionResetError:
        return last, True
    return last, False


async def test_a_client_that_takes_nothing_of_a_stream_loses_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was made for it counts as little as what waits."""
    clock = LoopClock(monkeypatch)
    source = Source(pieces=10_000)
    async with (
        serving(source, stall_sec=LIMIT_SEC) as (server, port),
        asking(port) as (_reader, transport),
    ):
        transport.pause_reading()
        await standing_still(lambda: source.given)
        for _ in range(100):
            await clock.advance(LIMIT_SEC / 4)
            if source.ended.is_set():
                break
        assert server.connections['open'] == 0
