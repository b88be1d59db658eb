# SPDX-License-Identifier: Apache-2.0
"""HTTP over TLS: what is told over plain HTTP holds there too, and handshakes are bounded.

What slow clients may do is in `test_connection_limits.py`, for both.
"""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import dataclasses
import functools
import json
import logging
from pathlib import Path
import random
import ssl
from typing import Any

from aiohttp import ClientSession, TCPConnector, web
from api_support import BASE, serve_api
from assembled_gateway import assembled_gateway
from certificates import Authority, certificates_in
from loop_clock import LoopClock
import pytest
from served_connections import (
    ASK,
    DEADLINE_SEC,
    LARGE,
    served,
    served_over_tls,
    Serving,
    Stage,
)
from tls_peer import TlsPeer
from waiting import wait_until

from gateway_node.entities.values import GraphSnapshot
from gateway_node.http_server import certificates as certificates_module
from gateway_node.http_server import open_connections
from gateway_node.http_server.answers import response_to
from gateway_node.http_server.calls import Answer, Stream
from gateway_node.http_server.certificates import Certificates
from gateway_node.http_server.connections import Connection
from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.server import Server
from gateway_node.http_server.tls_connections import TlsConnection

LIMIT_SEC = 60.0
HELD = ASK.replace(b'/', b'/held', 1)
LAST = ASK.replace(b'\r\n\r\n', b'\r\nConnection: close\r\n\r\n')
LAX = ConnectionLimits(
    look_sec=0.02,
    header_sec=DEADLINE_SEC,
    keep_alive_sec=DEADLINE_SEC,
    refusal_sec=DEADLINE_SEC,
    handshake_sec=DEADLINE_SEC,
)


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Return what serves over TLS."""
    return functools.partial(served_over_tls, tmp_path)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> LoopClock:
    """Put the clock of the loop into the hands of the test."""
    return LoopClock(monkeypatch)


def trust_of(stage: Stage) -> ssl.SSLContext:
    """Return what the clients of a stage have."""
    assert stage.trust is not None
    return stage.trust


async def peer_of(stage: Stage) -> TlsPeer:
    """Connect a client that a test moves byte by byte."""
    return await TlsPeer.connect(stage.port, trust_of(stage))


async def answered(stage: Stage) -> bool:
    """Tell whether a new client is answered."""
    return await (await stage.connect()).ask() == 200


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_of_either_version_is_answered(
    serving: Serving, version: ssl.TLSVersion
) -> None:
    """And told at the end that nothing was cut off."""
    async with serving(ConnectionLimits()) as stage:
        trust = trust_of(stage)
        trust.minimum_version = trust.maximum_version = version
        peer = await peer_of(stage)
        await peer.shake_hands()
        peer.write(LAST)
        assert (await peer.rest()).endswith(b'here')
        assert peer.said_farewell


async def test_a_client_of_an_older_version_is_not(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """It gets an alert, the log a line, and others are answered."""
    async with serving(ConnectionLimits()) as stage:
        peer = await peer_of(stage)
        # The extension that says which versions are known (RFC 8446, section 4.2.1).
        newer, older = b'\0\x2b\0\5\4\3\4\3\3', b'\0\x2b\0\5\4\3\2\3\1'
        greeting = peer.greeting()
        assert newer in greeting
        peer.writer.write(greeting.replace(newer, older))
        with pytest.raises(ssl.SSLError, match=r'(?i)alert'):
            await peer.rest()
        assert await answered(stage)
    assert 'a request was refused: TLS with 127.0.0.1 fails: unsupported protocol' in caplog.text


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(
    serving: Serving,
) -> None:
    """Clients do not wait before they ask (RFC 8446, section 2)."""
    async with serving(ConnectionLimits()) as stage:
        peer = await peer_of(stage)
        await peer.shake_hands(with_last=LAST)
        assert (await peer.rest()).endswith(b'here')


async def test_a_request_may_come_byte_by_byte(serving: Serving) -> None:
    """Whatever pieces the network makes of a handshake and of records."""
    async with serving(ConnectionLimits()) as stage:
        peer = await peer_of(stage)
        for byte in peer.greeting():
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await peer.shake_hands()
        for byte in peer.encrypted(LAST):
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await peer.rest()).endswith(b'here')


@pytest.mark.parametrize('with_farewell', [True, False])
async def test_a_client_may_end_its_direction_behind_its_requests(
    serving: Serving, with_farewell: bool
) -> None:
    """All of them are answered, as without TLS; then the connection closes."""
    async with serving(ConnectionLimits()) as stage:
        peer = await peer_of(stage)
        await peer.shake_hands()
        peer.write(HELD + ASK)
        peer.end(with_farewell=with_farewell)
        async with asyncio.timeout(DEADLINE_SEC):
            await stage.asked.wait()
        stage.released.set()
        received = await peer.rest()
        assert received.count(b'HTTP/1.1 200') == 2
        assert received.endswith(b'here')
        await stage.until_open(0)


async def test_what_comes_behind_the_farewell_of_a_client_is_not_kept(serving: Serving) -> None:
    """Nobody reads it: while the answer is waited for it would fill the memory."""
    async with serving(LAX) as stage:
        peer = await peer_of(stage)
        await peer.shake_hands()
        peer.write(HELD)
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.tls.unwrap()
        peer.flush()
        peer.writer.write(bytes(LARGE))
        async with asyncio.timeout(DEADLINE_SEC):
            await peer.writer.drain()
            await stage.asked.wait()
        (connection,) = stage.server._places._members
        assert isinstance(connection, Connection)
        assert isinstance(connection.transport, TlsConnection)
        peer.writer.write_eof()
        line = connection.transport
        await wait_until(lambda: line._line_has_ended, what='all of it has come')
        assert line._incoming.pending < LARGE / 2
        stage.released.set()
        assert (await peer.rest()).endswith(b'released')


@pytest.mark.parametrize('sent', [ASK, b'\x00', b'SSH-2.0-x\r\n'])
async def test_who_speaks_no_tls_is_told_so(serving: Serving, sent: bytes) -> None:
    """In plain HTTP, and at once."""
    async with serving(ConnectionLimits()) as stage:
        reader, writer = await asyncio.open_connection('127.0.0.1', stage.port)
        writer.write(sent)
        async with asyncio.timeout(DEADLINE_SEC):
            head, _, content = (await reader.read()).partition(b'\r\n\r\n')
        writer.close()
        assert head.startswith(b'HTTP/1.1 400')
        assert json.loads(content) == {
            'error_code': 'invalid-request',
            'message': 'TLS is spoken here; allowed: https://',
        }
        assert await answered(stage)


@pytest.mark.parametrize('sends', ['nothing', 'half a greeting', 'all but the end'])
async def test_a_handshake_takes_no_longer_than_it_may(
    serving: Serving, sends: str, clock: LoopClock
) -> None:
    """Whatever trickles in meanwhile."""
    async with serving(dataclasses.replace(LAX, handshake_sec=LIMIT_SEC)) as stage:
        peer = await peer_of(stage)
        if sends != 'nothing':
            greeting = peer.greeting()
            peer.writer.write(greeting[:-1] if sends == 'half a greeting' else greeting)
        await clock.advance(LIMIT_SEC / 2)
        assert stage.server.connections['open'] == 1
        await clock.advance(LIMIT_SEC)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(DEADLINE_SEC):
                await peer.reader.read()
        await stage.until_open(0)


async def test_handshakes_keep_nobody_out(serving: Serving) -> None:
    """They are among the connections that may be open, and give way to new ones."""
    async with serving(dataclasses.replace(LAX, total=20)) as stage:
        for number in range(100):
            peer = await peer_of(stage)
            peer.writer.write(peer.greeting() if number % 2 else b'')
        for _ in range(5):
            assert await answered(stage)
        assert stage.server.connections['open'] <= 20
        assert stage.server.connections['refused'] == 0


async def test_refused_connections_that_do_not_shake_hands_hold_nothing(
    serving: Serving, monkeypatch: pytest.MonkeyPatch, clock: LoopClock
) -> None:
    """Some get the time to hear it, those beyond them are closed at once."""
    monkeypatch.setattr(open_connections, 'REFUSED_AT_A_TIME', 3)
    limits = dataclasses.replace(LAX, total=2, refusal_sec=LIMIT_SEC)
    async with serving(limits) as stage:
        await stage.connect(HELD)
        await stage.until_open(1)
        peers = [await peer_of(stage) for _ in range(6)]
        await wait_until(lambda: stage.server.connections['refused'] == 6, what='all are refused')
        assert len(stage.server._places._refused) == 3
        await peers[0].shake_hands()
        assert (await peers[0].rest()).startswith(b'HTTP/1.1 503')
        await clock.advance(LIMIT_SEC + 1)
        assert not stage.server._places._refused


async def test_what_is_no_record_ends_the_connection(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """With an alert and a line in the log; nobody else notices."""
    async with serving(ConnectionLimits()) as stage:
        peer = await peer_of(stage)
        await peer.shake_hands()
        peer.writer.write(b'\x17\x03\x03\x00\x20' + bytes(32))
        with pytest.raises(ssl.SSLError, match=r'(?i)alert'):
            await peer.rest()
        assert await answered(stage)
    assert 'a request was refused: TLS with 127.0.0.1 fails' in caplog.text
    assert 'Traceback' not in caplog.text


async def test_a_connection_that_breaks_in_its_handshake_is_no_defect(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    """As load balancers and scanners do it all day."""
    async with serving(ConnectionLimits()) as stage:
        for sent in (b'', b'\x16'):
            peer = await peer_of(stage)
            peer.writer.write(sent)
            peer.writer.close()
            peer = await peer_of(stage)
            peer.writer.write(peer.greeting())
            await peer.reader.read(1)
            peer.writer.transport.abort()
        assert await answered(stage)
        await stage.until_open(1)
    assert not caplog.records


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return bytes of which some are others, missing, or too many."""
    where = chance.randrange(len(data))
    into = chance.choice([b'', chance.randbytes(1), chance.randbytes(300)])
    return data[:where] + into + data[where + chance.randint(0, 50) :]


@pytest.mark.parametrize('of_handshake', [True, False])
async def test_damaged_bytes_harm_nobody(
    serving: Serving, caplog: pytest.LogCaptureFixture, *, of_handshake: bool
) -> None:
    """Wherever they are: the connection ends, and neither a place nor a traceback is left."""
    async with serving(ConnectionLimits()) as stage:
        for seed in range(60):
            chance = random.Random(seed)
            peer = await peer_of(stage)
            if of_handshake:
                peer.writer.write(damaged(peer.greeting(), chance))
            else:
                await peer.shake_hands()
                peer.writer.write(damaged(peer.encrypted(ASK * 3), chance))
            peer.writer.close()
        await stage.until_open(0)
        assert await answered(stage)
    assert 'Traceback' not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@contextlib.asynccontextmanager
async def handling(directory: Path, handler: Any) -> AsyncIterator[Stage]:
    """Serve what a handler answers."""
    certificates, trust = await certificates_in(directory)
    server = Server(handler, ConnectionLimits(), certificates)
    (url,) = await server.bind('127.0.0.1', 0)
    await server.serve()
    stage = Stage(
        server=server,
        port=int(url.rsplit(':', 1)[1]),
        asked=asyncio.Event(),
        released=asyncio.Event(),
        trust=trust,
    )
    yield stage
    await stage.close()
    await server.stop_accepting()
    await server.close()


async def test_large_bodies_go_both_ways(tmp_path: Path) -> None:
    """However slowly they are read: TLS holds back what is not wanted yet."""
    content = bytes(range(256)) * (LARGE // 256)

    async def echo(request: web.BaseRequest) -> web.StreamResponse:
        received = bytearray()
        async for piece in request.content.iter_chunked(4096):
            received += piece
        return web.Response(body=bytes(received))

    async with handling(tmp_path, echo) as stage:
        connector = TCPConnector(ssl=trust_of(stage))
        async with ClientSession(connector=connector) as client:
            answer = await client.post(f'https://127.0.0.1:{stage.port}/', data=content)
            assert await answer.read() == content


async def test_an_answer_that_is_cut_off_does_not_pass_for_whole(tmp_path: Path) -> None:
    """To HTTP/1.0 the end of the connection is the end of the body: then nobody says farewell."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b'first'
        raise OSError('the disk is gone')

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = Stream(pieces=pieces(), media_type='text/csv', file_name='all.csv')
        return response_to(Answer(body=body), status=200, request=request)

    async with handling(tmp_path, answer) as stage:
        peer = await peer_of(stage)
        await peer.shake_hands()
        peer.write(b'GET / HTTP/1.0\r\nHost: robot\r\n\r\n')
        with contextlib.suppress(ConnectionError):
            await peer.rest()
        assert not peer.said_farewell


async def asked(peer: TlsPeer) -> bytes:
    """Return the answer to a request; a client of TLS 1.3 asks before it hears of a refusal."""
    await peer.shake_hands(with_last=LAST)
    return await peer.rest()


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_only_who_shows_a_certificate_of_the_authority_is_heard(
    tmp_path: Path, version: ssl.TLSVersion, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else gets as far as HTTP, and each is told why by an alert."""
    robots, clients, others = Authority('robots'), Authority('clients'), Authority('others')
    files = robots.issue().write(tmp_path / 'server', client_ca=clients.certificate)
    certificates = Certificates(files)
    await certificates.open()
    mine = robots.trust(clients.issue('anna').write(tmp_path / 'anna'))
    async with served(ConnectionLimits(), certificates=certificates, trust=mine) as stage:
        assert await answered(stage)
        for trust, reason in (
            (robots.trust(), 'peer did not return a certificate'),
            (robots.trust(others.issue('anna').write(tmp_path / 'a')), 'unable to get local'),
            (robots.trust(clients.issue(expired=True).write(tmp_path / 'b')), 'has expired'),
        ):
            caplog.clear()
            trust.maximum_version = version
            peer = await TlsPeer.connect(stage.port, trust)
            with pytest.raises(ssl.SSLError, match=r'(?i)alert'):
                await asked(peer)
            stage.server._refusals.close()
            assert reason in caplog.text
        assert await answered(stage)


async def test_no_session_outlives_the_certificate_that_was_shown_for_it(tmp_path: Path) -> None:
    """Nobody checks a certificate at a resumption, and each could be resumed in its turn."""
    robots, clients = Authority('robots'), Authority('clients')
    files = robots.issue().write(tmp_path / 'server', client_ca=clients.certificate)
    certificates = Certificates(files)
    await certificates.open()
    trust = robots.trust(clients.issue('anna').write(tmp_path / 'anna'))
    trust.minimum_version = ssl.TLSVersion.TLSv1_3
    async with served(ConnectionLimits(), certificates=certificates, trust=trust) as stage:
        peer = await peer_of(stage)
        assert (await asked(peer)).endswith(b'here')
        session = peer.tls.session
        assert session is None or not session.has_ticket


async def test_only_pages_of_https_are_own(tmp_path: Path) -> None:
    """Whoever stands in between can make one of http, of this very host and port."""
    certificates, trust = await certificates_in(tmp_path)
    async with serve_api(tmp_path, certificates=certificates, trust=trust) as api:
        for scheme, status in (('http', 403), ('https', 405)):
            headers = {'Origin': f'{scheme}://{api.address}'}
            answer = await api.client.patch(f'{BASE}/apps', headers=headers)
            assert answer.status == status


async def test_a_gateway_speaks_tls(tmp_path: Path) -> None:
    """And tells browsers to do so for a day, and what it serves to nobody else."""
    authority = Authority()
    files = authority.issue().write(tmp_path / 'tls')
    parameters = {
        'server.tls.certificate_file': str(files.certificate),
        'server.tls.key_file': str(files.key),
    }
    async with assembled_gateway(
        tmp_path / 'state',
        GraphSnapshot(nodes=frozenset()),
        parameters=parameters,
        trust=authority.trust(),
    ) as client:
        answer = await client.get('/api/v1/health')
        assert answer.status == 200
        assert answer.headers['Strict-Transport-Security'] == 'max-age=86400'
        assert (await answer.json())['status'] == 'ok'


async def warnings_of(client: ClientSession) -> list[str]:
    """Return what a gateway warns of."""
    health: dict[str, Any] = await (await client.get('/api/v1/health')).json()
    return list(health['warnings'])


async def test_a_gateway_that_is_running_takes_another_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For new connections; those that are open stay, and a wrong file is told in /health."""
    monkeypatch.setattr(certificates_module, 'LOOK_SEC', 0.05)
    old, new = Authority('old'), Authority('new')
    files = old.issue().write(tmp_path / 'tls')
    parameters = {
        'server.tls.certificate_file': str(files.certificate),
        'server.tls.key_file': str(files.key),
    }
    async with assembled_gateway(
        tmp_path / 'state',
        GraphSnapshot(nodes=frozenset()),
        parameters=parameters,
        trust=old.trust(),
    ) as client:
        assert (await client.get('/api/v1/health')).status == 200
        url = str(client._base_url)
        new.issue().write(tmp_path / 'tls')
        connector = TCPConnector(ssl=new.trust(), force_close=True)
        async with ClientSession(url, connector=connector) as later:

            async def is_new() -> bool:
                with contextlib.suppress(OSError):
                    return (await later.get('/api/v1/health')).status == 200
                return False

            async with asyncio.timeout(DEADLINE_SEC):
                while not await is_new():
                    pass  # each turn is a request: the loop goes on meanwhile
            # Over the connection that it had.
            assert await warnings_of(client) == []
            files.key.write_bytes(b'')
            async with asyncio.timeout(DEADLINE_SEC):
                while not await warnings_of(client):
                    pass
            assert 'TLS goes on with what was read before' in (await warnings_of(client))[0]
            assert await is_new()
