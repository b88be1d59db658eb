# SPDX-License-Identifier: Apache-2.0
"""How many connections there are, and how long a client may keep one without any use of it."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import dataclasses
import functools
import gc
import json
import logging
from pathlib import Path
import resource
from typing import Any, cast

from aiohttp import web
from loop_clock import LoopClock
import pytest
from served_connections import ASK, DEADLINE_SEC, LARGE, served, served_over_tls, Serving

from gateway_node.http_server import open_connections
from gateway_node.http_server.connections import Connection
from gateway_node.http_server.open_connections import (
    ConnectionLimits,
    connections_within,
    OpenConnections,
)

LIMIT_SEC = 60.0
"""What a test sets a limit to: longer than any machine stalls, and let pass in no time."""


def looking(**limits: Any) -> ConnectionLimits:
    """Return limits that are looked at all the time, of which the others do not bind."""
    lax = ConnectionLimits(
        look_sec=0.02,
        handshake_sec=DEADLINE_SEC,
        header_sec=DEADLINE_SEC,
        keep_alive_sec=DEADLINE_SEC,
        stall_sec=DEADLINE_SEC,
        refusal_sec=DEADLINE_SEC,
    )
    return dataclasses.replace(lax, **limits)


@pytest.fixture(params=['plain', 'TLS'])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Serving:
    """Return what serves connections of either kind."""
    if request.param == 'plain':
        return served
    return functools.partial(served_over_tls, tmp_path)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    """Put the clock of the loop into the hands of the test."""
    return LoopClock(monkeypatch)


@pytest.mark.parametrize('begun', [b'GET /', ASK[:-2]], ids=['line', 'fields'])
@pytest.mark.parametrize('asked_before', [False, True])
async def test_half_a_header_is_not_waited_for_for_ever(
    serving: Serving, begun: bytes, asked_before: bool, clock: LoopClock
) -> None:
    """408 in the API's words, and the connection closes; bytes that trickle in change nothing."""
    async with serving(looking(header_sec=LIMIT_SEC)) as stage:
        client = await stage.connect()
        if asked_before:
            assert await client.ask() == 200
        client.writer.write(begun)
        answering = asyncio.ensure_future(client.answer())
        for _ in range(20):
            await clock.advance(LIMIT_SEC / 10)
            if answering.done():
                break
            client.writer.write(b'x')
        status, headers, content = await answering
        assert (status, headers['connection']) == (408, 'close')
        assert json.loads(content)['error_code'] == 'invalid-request'
        with contextlib.suppress(ConnectionError):
            assert await client.rest() == b''
        await stage.until_open(0)


async def test_a_header_that_began_behind_another_request_is_not_waited_for_for_ever(
    serving: Serving,
    clock: LoopClock,
) -> None:
    """Its time begins with the answer, however long that took."""
    async with serving(looking(header_sec=LIMIT_SEC)) as stage:
        client = await stage.connect(ASK.replace(b'/', b'/held', 1) + ASK)
        async with asyncio.timeout(DEADLINE_SEC):
            await stage.asked.wait()
        client.writer.write(ASK[:-2])
        await clock.advance(2 * LIMIT_SEC)
        stage.released.set()
        assert [(await client.answer())[0] for _ in range(2)] == [200, 200]
        await clock.advance(LIMIT_SEC + 1)
        assert (await client.answer())[0] == 408


async def test_a_connection_that_asks_for_nothing_is_closed(
    serving: Serving, clock: LoopClock
) -> None:
    """A new one after the time for a header."""
    async with serving(looking(header_sec=LIMIT_SEC)) as stage:
        client = await stage.connect()
        await stage.until_open(1)
        await clock.advance(LIMIT_SEC + 1)
        assert await client.rest() == b''
        await stage.until_open(0)


async def test_a_kept_connection_is_closed_when_it_is_idle_for_long(
    serving: Serving, clock: LoopClock
) -> None:
    """After an answer there is more time for the next request than for a header."""
    # aiohttp has a limit of its own, of 75 s.
    async with serving(looking(header_sec=LIMIT_SEC / 3, keep_alive_sec=LIMIT_SEC)) as stage:
        client = await stage.connect()
        for _ in range(2):
            assert await client.ask() == 200
            await clock.advance(LIMIT_SEC / 2)
        assert await client.ask() == 200
        await clock.advance(LIMIT_SEC + 1)
        assert await client.rest() == b''


async def test_work_takes_its_time(serving: Serving, clock: LoopClock) -> None:
    """A request that the gateway takes long over is under none of these limits."""
    limits = dict.fromkeys(('header_sec', 'keep_alive_sec', 'stall_sec'), LIMIT_SEC)
    async with serving(looking(**limits)) as stage:
        client = await stage.connect(ASK.replace(b'/', b'/held', 1))
        async with asyncio.timeout(DEADLINE_SEC):
            await stage.asked.wait()
        await clock.advance(5 * LIMIT_SEC)
        stage.released.set()
        assert (await client.answer())[2] == b'released'


IDLE = {'silent': b'', 'half a header': ASK[:-2], 'answered': ASK}


@pytest.mark.parametrize('sent', IDLE.values(), ids=IDLE)
async def test_idle_connections_keep_nobody_out(serving: Serving, sent: bytes) -> None:
    """Ten times as many as there are places: each new client is answered, the oldest goes."""
    async with serving(ConnectionLimits(total=20)) as stage:
        idle = [await stage.connect(sent) for _ in range(200)]
        for _ in range(20):
            assert await (await stage.connect()).ask() == 200
        assert stage.server.connections['open'] <= 20
        assert stage.server.connections['refused'] == 0
        with contextlib.suppress(ConnectionError):
            await idle[0].rest()


async def test_the_connection_that_waited_longest_gives_way(serving: Serving) -> None:
    """The others stay as they are, and so does one whose answer is under way."""
    async with serving(ConnectionLimits(total=6)) as stage:
        busy = await stage.connect(ASK.replace(b'/', b'/held', 1))
        await stage.until_open(1)
        first, second = [await stage.connect() for _ in range(2)]
        assert [await first.ask(), await second.ask(), await first.ask()] == [200] * 3
        third = await stage.connect()
        assert await third.ask() == 200
        assert await second.rest() == b''
        assert [await first.ask(), await third.ask()] == [200] * 2
        stage.released.set()
        assert (await busy.answer())[2] == b'released'


async def test_without_a_place_the_answer_is_503(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """With Retry-After, whether the client asks at once or not; one address gets half of them."""
    held = ASK.replace(b'/', b'/held', 1)
    async with serving(ConnectionLimits(total=4)) as stage:
        busy = [await stage.connect(held) for _ in range(2)]
        await stage.until_open(2)
        for sent in (b'', ASK):
            client = await stage.connect(sent)
            status, headers, content = await client.answer()
            assert (status, headers['connection']) == (503, 'close')
            assert int(headers['retry-after']) > 0
            assert json.loads(content)['vendor_code'] == 'x-gateway-too-many-connections'
            assert await client.rest() == b''
        busy += [await stage.connect(held, origin='127.0.0.2') for _ in range(2)]
        await stage.until_open(4)
        assert (await (await stage.connect(origin='127.0.0.3')).answer())[0] == 503
        assert stage.server.connections == {'open': 4, 'limit': 4, 'refused': 3}
        stage.released.set()
        assert [(await each.answer())[0] for each in busy] == [200] * 4
        assert await (await stage.connect()).ask() == 200
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        'a connection was refused: there is no room for more'
    ]


async def test_many_refused_connections_hold_nothing(
    monkeypatch: pytest.MonkeyPatch, clock: LoopClock
) -> None:
    """Some are told so and then closed, those beyond them are closed at once."""
    monkeypatch.setattr(open_connections, 'REFUSED_AT_A_TIME', 3)
    async with served(looking(total=2, refusal_sec=LIMIT_SEC)) as stage:
        await stage.connect(ASK.replace(b'/', b'/held', 1))
        await stage.until_open(1)
        refused = [await stage.connect() for _ in range(6)]
        told = 0
        for client in refused:
            with contextlib.suppress(ConnectionError):
                told += (await client.rest()).startswith(b'HTTP/1.1 503')
        assert told == 3
        await clock.advance(LIMIT_SEC + 1)
        assert not stage.server._places._refused


async def test_a_client_that_never_reads_loses_its_connection(
    serving: Serving, clock: LoopClock
) -> None:
    """With it goes the answer that was kept for it."""
    async with serving(looking(stall_sec=LIMIT_SEC)) as stage:
        await stage.connect_deaf(ASK.replace(b'/', b'/large', 1))
        await stage.until_open(1)
        async with asyncio.timeout(DEADLINE_SEC):
            while stage.server.connections['open']:
                await clock.advance(LIMIT_SEC / 4)


async def test_a_client_that_reads_slowly_gets_all_of_its_answer(
    serving: Serving, clock: LoopClock
) -> None:
    """What it takes buys it time, at 1 KiB/s."""
    async with serving(looking(stall_sec=LIMIT_SEC)) as stage:
        client = await stage.connect(ASK.replace(b'/', b'/large', 1))
        reading = cast(asyncio.Transport, client.writer.transport)
        received = 0
        async with asyncio.timeout(DEADLINE_SEC):
            while received < LARGE:
                reading.resume_reading()
                while received < LARGE and (piece := await client.reader.read(LARGE)):
                    received += len(piece)
                    if received // (LARGE // 4) > (received - len(piece)) // (LARGE // 4):
                        break
                reading.pause_reading()
                assert piece, received
                await clock.advance(LIMIT_SEC / 2)


class Wire(asyncio.Transport):
    """A transport to nobody, which notes whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False
        self.unsent_bytes = 0

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def pause_reading(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def write(self, data: object) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    abort = close


@pytest.mark.parametrize('first', [b'', ASK.replace(b'/', b'/held', 1)], ids=['idle', 'busy'])
async def test_a_flood_of_requests_is_no_defect(
    serving: Serving, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever aiohttp does just then, the log stays clean and others are answered."""
    gc.collect()  # of other tests
    caplog.clear()
    async with serving(ConnectionLimits()) as stage:
        await stage.connect(first + ASK * 3000)
        assert await (await stage.connect()).ask() == 200
        stage.released.set()
        assert await (await stage.connect()).ask() == 200
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []


@pytest.fixture
async def wired() -> AsyncIterator[tuple[Connection, Wire]]:
    """Make a connection to nobody, whose requests are answered only once the loop turns."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response()

    wire = Wire()
    connection = Connection(
        web.Server(answer), OpenConnections(ConnectionLimits()), loop=asyncio.get_running_loop()
    )
    connection.connection_made(wire)
    yield connection, wire
    connection.connection_lost(None)


async def test_requests_that_wait_on_a_connection_are_bounded(
    wired: tuple[Connection, Wire],
) -> None:
    """A client that asks without end fills no memory."""
    connection, _ = wired
    for _ in range(20):
        connection.data_received(ASK * 1000)
    assert len(connection._messages) <= 64


@pytest.mark.parametrize(('taken', 'stays'), [(65536, True), (1000, False), (0, False)])
async def test_what_was_taken_counts_although_as_much_came_behind_it(
    wired: tuple[Connection, Wire], taken: int, stays: bool
) -> None:
    """An answer that is made while it is sent has always something that waits."""
    connection, wire = wired
    wire.unsent_bytes = 65536
    for second in range(2000):
        connection.look(float(second))
        connection.note_output(taken)
    assert wire.closed is not stays


async def test_what_comes_behind_an_upgrade_is_not_kept(wired: tuple[Connection, Wire]) -> None:
    """The library would until it has answered, whether it knows the other protocol or not."""
    connection, _ = wired
    upgrade = b'Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n'
    connection.data_received(ASK[:-2] + upgrade)
    for _ in range(20):
        connection.data_received(b'x' * 65536)
    assert len(connection._message_tail) == 0


async def test_a_header_is_bounded(serving: Serving) -> None:
    """431, whatever the number of its fields: none of them is too long."""
    async with serving(ConnectionLimits()) as stage:
        fields = b''.join(b'X-%d: %s\r\n' % (number, b'x' * 8000) for number in range(9))
        client = await stage.connect(ASK[:-2] + fields)
        status, headers, content = await client.answer()
        assert (status, headers['connection']) == (431, 'close')
        assert json.loads(content)['error_code'] == 'invalid-request'


FIELD = b'X-Field: %s\r\n' % (b'x' * 8000)
TAKEN_MOST = 4 * 1024 * 1024
"""What may be taken of an endless header: 64 KiB, and what the sockets and reads hold."""


@pytest.mark.parametrize('behind', [b'', ASK, ASK * 3], ids=['one', 'two', 'four'])
async def test_a_header_is_bounded_while_another_request_is_answered(
    serving: Serving, behind: bytes
) -> None:
    """No more of it is kept; the answer under way comes whole, and then the connection closes."""
    async with serving(ConnectionLimits()) as stage:
        client = await stage.connect(ASK.replace(b'/', b'/held', 1) + behind + ASK[:-2])
        async with asyncio.timeout(DEADLINE_SEC):
            await stage.asked.wait()
        (connection,) = stage.server._places._members
        assert isinstance(connection, Connection)
        async with asyncio.timeout(DEADLINE_SEC):
            while not connection._close:
                client.writer.write(FIELD)
                await client.writer.drain()
        assert connection._header_bytes < TAKEN_MOST
        stage.released.set()
        assert (await client.answer())[2] == b'released'
        with contextlib.suppress(ConnectionError):
            assert await client.rest() == b''


@pytest.mark.parametrize('pieces', [1, 16], ids=['at once', 'in pieces'])
async def test_what_follows_the_end_of_a_chunked_body_is_bounded(
    wired: tuple[Connection, Wire], pieces: int
) -> None:
    """Trailer fields are gathered as those of a header are, and the body does not grow."""
    connection, _ = wired
    connection.data_received(ASK[:-2] + b'Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n')
    for _ in range(32 // pieces):
        connection.data_received(FIELD * pieces)
    assert connection._close


async def test_a_body_in_small_chunks_is_no_header(wired: tuple[Connection, Wire]) -> None:
    """However much more their frames are than the body."""
    connection, _ = wired
    connection.data_received(ASK[:-2] + b'Transfer-Encoding: chunked\r\n\r\n')
    for _ in range(20_000):
        connection.data_received(b'1\r\n')
        connection.data_received(b'x\r\n')
    connection.data_received(b'0\r\n\r\n')
    assert not connection._close
    assert connection._header_bytes == 0


@pytest.mark.parametrize(
    ('files', 'executions', 'connections'),
    [(1024, 5, 256), (1024, 180, 40), (300, 5, 28), (64, 5, 16)],
)
def test_connections_leave_descriptors_for_starts(
    files: int,
    executions: int,
    connections: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The limit of open files bounds them too, which the log tells."""
    monkeypatch.setattr(resource, 'getrlimit', lambda _: (files, 1_048_576))
    assert connections_within(256, executions) == connections
    assert bool(caplog.records) == (connections < 256)
