# SPDX-License-Identifier: Apache-2.0
"""One attempt to deliver a callback, whatever the receiver does; over real sockets."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
import contextlib
import hashlib
import hmac
from pathlib import Path
import socket
import ssl
import threading
from typing import Any

from fakes import FakeClock
import pytest
from receivers import (
    answers,
    close_early,
    drip,
    flood,
    hang,
    Manners,
    receiver,
)

from gateway_node.callbacks import sending
from gateway_node.callbacks.allowed import AllowedDestinations, entry_of
from gateway_node.callbacks.sending import Sender
from gateway_node.callbacks.values import Attempt

EXECUTION_ID = 'exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8'
BODY = b'{"id":"exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8"}'
KEY = bytes(range(32))
_GETADDRINFO = socket.getaddrinfo
SELF_SIGNED = Path(__file__).parents[1] / 'fixtures' / 'self_signed_receiver.pem'


@contextlib.asynccontextmanager
async def sender_to(*entries: str, secret_file: Path | None = None) -> AsyncIterator[Sender]:
    """Have a sender that may go to these, else to the loopback; it leaves nothing open."""
    allowed = AllowedDestinations(map(entry_of, entries or ['localhost']))
    sender = Sender(allowed, FakeClock(), secret_file=secret_file)
    before = asyncio.all_tasks()
    try:
        yield sender
    finally:
        await sender.close()
        # What aiohttp began in the background ends with it.
        while left := asyncio.all_tasks() - before:
            await asyncio.wait(left, timeout=30)


async def attempt(url: str, *entries: str, secret_file: Path | None = None) -> Attempt:
    """Make one attempt."""
    async with sender_to(*entries, secret_file=secret_file) as sender:
        return await sender.send(url, EXECUTION_ID, BODY)


def names(monkeypatch: pytest.MonkeyPatch, resolve: Callable[[str, int], list[str]]) -> None:
    """Let names lead where a test wants, as a name server that somebody else owns does."""

    def getaddrinfo(host: str, port: int, *rest: Any, **options: Any) -> Any:
        return [
            found
            for address in resolve(host, port)
            for found in _GETADDRINFO(address, port, type=socket.SOCK_STREAM)
        ]

    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait half a second for an answer."""
    monkeypatch.setattr(sending, 'TIMEOUT_SEC', 0.5)


async def test_a_callback_is_a_post_of_the_execution() -> None:
    """With the id and the moment of Standard Webhooks, and nothing of an earlier answer."""
    async with receiver(answers(204, 'Set-Cookie: a=b')) as told:
        url = f'http://localhost:{told.port}/ended/here?robot=7'
        async with sender_to() as sender:
            for _ in range(2):
                made = await sender.send(url, EXECUTION_ID, BODY)
                assert (made.status, made.error) == (204, None)
    assert [each.target for each in told.told] == ['/ended/here?robot=7'] * 2
    assert told.connections == 2
    for each in told.told:
        assert each.body == BODY
        assert each.headers['content-type'] == 'application/json'
        assert each.headers['connection'] == 'close'
        assert each.headers['webhook-id'] == EXECUTION_ID
        assert each.headers['webhook-timestamp'] == str(int(FakeClock().now().timestamp()))
        assert not each.headers.keys() & {'cookie', 'authorization', 'webhook-signature'}


async def test_a_callback_is_signed_with_the_secret_as_it_is_now(tmp_path: Path) -> None:
    """The file is read anew; where it holds no secret, nothing is sent."""
    secret_file = tmp_path / 'secret'
    async with receiver(answers(200)) as told:
        url = f'http://127.0.0.1:{told.port}/'
        for number, key in enumerate([KEY, KEY[::-1]], 1):
            secret_file.write_bytes(b'whsec_' + base64.b64encode(key))
            secret_file.chmod(0o600)
            assert (await attempt(url, secret_file=secret_file)).error is None
            headers = told.told[number - 1].headers
            signed = f'{EXECUTION_ID}.{headers["webhook-timestamp"]}.'.encode() + BODY
            expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
            assert headers['webhook-signature'] == f'v1,{expected}'
        secret_file.write_bytes(b'whsec_')
        made = await attempt(url, secret_file=secret_file)
        assert made.status is None
        assert 'holds no secret' in (made.error or '')
    assert len(told.told) == 2


async def test_a_secret_that_cannot_be_read_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that is only being read: whoever looks just then finds nothing wrong."""
    read, let_go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def read_slowly(path: Path) -> bytes:
        loop.call_soon_threadsafe(read.set)
        let_go.wait(60)
        return KEY

    monkeypatch.setattr(sending, 'read_secret', read_slowly)
    async with (
        receiver(answers(200)) as told,
        sender_to(secret_file=tmp_path / 'secret') as sender,
    ):
        url = f'http://127.0.0.1:{told.port}/'
        made = asyncio.create_task(sender.send(url, EXECUTION_ID, BODY))
        await read.wait()
        assert list(sender.warnings) == []
        let_go.set()
        assert (await made).error is None
        let_go.clear()
        monkeypatch.setattr(sending, 'TIMEOUT_SEC', 0.05)
        assert 'no answer' in ((await sender.send(url, EXECUTION_ID, BODY)).error or '')
        (warning,) = sender.warnings
        assert warning.endswith('/secret does not answer')
        let_go.set()


@pytest.mark.parametrize('status', [301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_any_answer_but_2xx_is_no_delivery_and_leads_nowhere(status: int) -> None:
    """A redirect neither: where it leads was not checked."""
    async with receiver(answers(200)) as elsewhere:
        location = f'Location: http://127.0.0.1:{elsewhere.port}/'
        async with receiver(answers(status, location)) as told:
            made = await attempt(f'http://127.0.0.1:{told.port}/')
    assert made.status == status
    assert made.error == f'the receiver answered {status}; a delivery is answered 2xx'
    assert (len(told.told), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize(
    ('value', 'seconds'),
    [
        ('120', 120),
        ('0', 0),
        ('-5', 0),
        ('1e9', 0),
        ('9' * 30, 0),
        ('Thu, 26 Nov 2026 17:00:00 GMT', 0),
    ],
)
async def test_a_receiver_may_say_when_it_wants_the_next_attempt(
    value: str, seconds: float
) -> None:
    """In seconds: a moment cannot be compared with the wall clock of a robot."""
    async with receiver(answers(503, f'Retry-After: {value}')) as told:
        made = await attempt(f'http://127.0.0.1:{told.port}/')
    assert made.retry_after_sec == seconds


@pytest.mark.parametrize('manners', [hang, drip])
@pytest.mark.usefixtures('impatient')
async def test_a_receiver_that_does_not_answer_is_left(manners: Manners) -> None:
    """Whether it says nothing, or a byte now and then: the time is that of the whole attempt."""
    async with receiver(manners) as told:
        made = await attempt(f'http://127.0.0.1:{told.port}/')
        assert (made.status, made.error) == (None, 'no answer within 0.5 s')
        async with asyncio.timeout(30):
            await told.gone.wait()


@pytest.mark.usefixtures('impatient')
async def test_a_receiver_that_takes_no_bytes_is_left() -> None:
    """However much there is to tell."""
    left = asyncio.Event()

    async def take_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await left.wait()
        writer.close()

    server = await asyncio.start_server(take_nothing, '127.0.0.1', 0)
    sender = Sender(AllowedDestinations([entry_of('localhost')]), FakeClock())
    async with server:
        url = f'http://127.0.0.1:{server.sockets[0].getsockname()[1]}/'
        made = await sender.send(url, EXECUTION_ID, bytes(16 * 1024 * 1024))
        assert (made.status, made.error) == (None, 'no answer within 0.5 s')
        left.set()
    await sender.close()


async def test_an_answer_without_end_is_not_read() -> None:
    """2xx is a delivery; the body is nobody's, and the connection ends."""
    async with receiver(flood) as told:
        made = await attempt(f'http://127.0.0.1:{told.port}/')
        assert (made.status, made.error) == (200, None)
        async with asyncio.timeout(30):
            await told.gone.wait()


async def test_a_receiver_that_closes_early_has_taken_nothing() -> None:
    """Nor one that is not there, nor one that does not speak HTTP."""

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'220 mail.example ESMTP\r\n')

    async def say_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 100_000 + b'\r\n\r\n')

    for manners in (close_early, babble, say_much):
        async with receiver(manners) as told:
            url = f'http://127.0.0.1:{told.port}/'
            made = await attempt(url)
            assert made.status is None
            assert made.error
            assert len(made.error) <= 300
    made = await attempt(url)
    assert made.status is None
    assert 'Connect call failed' in (made.error or '')


async def test_a_certificate_that_nobody_signed_is_refused() -> None:
    """Before anything is sent."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(SELF_SIGNED)
    async with receiver(answers(200), tls=tls) as told:
        made = await attempt(f'https://localhost:{told.port}/')
    assert (made.status, told.told) == (None, [])
    assert 'certificate verify failed' in (made.error or '')


async def test_whom_the_host_trusts_gets_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose certificates these are is read for the first message, and not when aiohttp is
    imported."""
    monkeypatch.setenv('SSL_CERT_FILE', str(SELF_SIGNED))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(SELF_SIGNED)
    async with receiver(answers(200), tls=tls) as told:
        made = await attempt(f'https://localhost:{told.port}/')
    assert (made.status, made.error) == (200, None)


@pytest.mark.parametrize(
    'address', ['127.0.0.1', '::ffff:127.0.0.1', '::1', '169.254.169.254', '64:ff9b::a00:1']
)
async def test_a_name_that_leads_inside_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """A listed name, and a name server that says it is the loopback, or a neighbour."""
    async with receiver(answers(200)) as told:
        names(monkeypatch, lambda host, port: [address])
        made = await attempt(f'http://fleet.example:{told.port}/', 'fleet.example')
    assert made.status is None
    assert made.error == (
        f'fleet.example leads to {address}: not public, and in no entry of callbacks.allowed'
    )
    assert told.connections == 0


async def test_a_name_that_changes_its_address_is_looked_up_once_an_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is connected to is what was checked: a second answer of the name server changes
    nothing."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ['127.0.0.1'] if len(asked) % 2 else ['127.0.0.2']

    names(monkeypatch, rebinding)
    async with receiver(answers(200), host='127.0.0.1') as told:
        url = f'http://fleet.example:{told.port}/'
        async with sender_to('fleet.example', '127.0.0.1') as sender:
            first, made, last = [await sender.send(url, EXECUTION_ID, BODY) for _ in range(3)]
        assert (first.status, made.status, last.status) == (200, None, 200)
        assert told.told[0].headers['host'] == f'fleet.example:{told.port}'
        assert made.error == (
            'fleet.example leads to 127.0.0.2: not public, and in no entry of callbacks.allowed'
        )
    assert (len(asked), told.connections) == (3, 2)


async def test_of_several_addresses_the_allowed_ones_are_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And no other one, where they do not answer."""
    async with receiver(answers(200), host='127.0.0.1') as told:
        names(monkeypatch, lambda host, port: ['127.0.0.1', '127.0.0.2'])
        url = f'http://fleet.example:{told.port}/'
        made = await attempt(url, 'fleet.example', '127.0.0.2')
        assert made.status is None
        assert "('127.0.0.2'," in (made.error or '')
        assert (await attempt(url, 'fleet.example', '127.0.0.1')).status == 200
    assert told.connections == 1


async def test_a_name_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the resolver tells it."""

    def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, 'Name or service not known')

    names(monkeypatch, nobody)
    made = await attempt('http://fleet.example/', 'fleet.example')
    assert made.status is None
    assert 'Name or service not known' in (made.error or '')


@pytest.mark.usefixtures('impatient')
async def test_a_resolver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on in a thread that nobody waits for."""
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hanging(host: str, port: int) -> list[str]:
        asyncio.run_coroutine_threadsafe(answered.wait(), loop).result(30)
        return []

    names(monkeypatch, hanging)
    sender = Sender(AllowedDestinations([entry_of('fleet.example')]), FakeClock())
    made = await sender.send('http://fleet.example/', EXECUTION_ID, BODY)
    assert made.error == 'no answer within 0.5 s'
    answered.set()
    await sender.close()


async def test_neither_a_proxy_nor_a_password_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are the robot's, and a proxy would look names up by itself."""
    netrc = tmp_path / 'netrc'
    netrc.write_text('machine 127.0.0.1 login kim password secret\n', encoding='ascii')
    netrc.chmod(0o600)
    monkeypatch.setenv('NETRC', str(netrc))
    async with receiver(answers(200)) as proxy:
        for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy'):
            monkeypatch.setenv(name, f'http://127.0.0.1:{proxy.port}')
        async with receiver(answers(200)) as told:
            assert (await attempt(f'http://127.0.0.1:{told.port}/')).status == 200
    assert (proxy.connections, len(told.told)) == (0, 1)
    assert 'authorization' not in told.told[0].headers


async def test_what_is_not_allowed_any_more_is_not_sent() -> None:
    """An earlier gateway had other entries."""
    async with receiver(answers(200)) as told:
        made = await attempt(f'http://127.0.0.1:{told.port}/', 'fleet.example')
    assert made.status is None
    assert 'callbacks.allowed' in (made.error or '')
    assert told.connections == 0
