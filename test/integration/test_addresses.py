# SPDX-License-Identifier: Apache-2.0
"""The addresses of the server: several, of both families, as far as they can be had."""

import asyncio
from collections.abc import AsyncIterator, Iterator
import contextlib
import errno
import socket
from typing import Any

from aiohttp import web
import pytest

from gateway_node.http_server.addresses import ListenFailed, reachable_here
from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.server import Server

DEADLINE_SEC = 30.0


def has_ipv6() -> bool:
    """Tell whether this machine has `::1`."""
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason='this machine has no IPv6')


async def nothing(request: web.BaseRequest) -> web.Response:
    return web.Response(status=404)


@contextlib.asynccontextmanager
async def serving(host: str, port: int = 0) -> AsyncIterator[tuple[Server, tuple[str, ...]]]:
    """Serve nothing; yield the server and its URLs."""
    server = Server(nothing, ConnectionLimits())
    urls = await server.bind(host, port)
    try:
        await server.serve()
        yield server, urls
    finally:
        await server.stop_accepting()
        await server.close()


def port_of(urls: tuple[str, ...]) -> int:
    """Return the port that all URLs share."""
    (port,) = {int(url.rsplit(':', 1)[1]) for url in urls}
    return port


async def answers(address: str, port: int) -> bool:
    """Tell whether an HTTP server answers on an address."""
    async with asyncio.timeout(DEADLINE_SEC):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b'GET / HTTP/1.1\r\nHost: robot\r\nConnection: close\r\n\r\n')
        answer = await reader.read()
        writer.close()
        return answer.startswith(b'HTTP/1.1 404')


@contextlib.contextmanager
def held(address: str) -> Iterator[int]:
    """Hold a port on an address, as another program does."""
    with socket.create_server((address, 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def ipv6_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse sockets of IPv6, as a kernel without it does."""
    create = socket.create_server

    def create_server(address: Any, *, family: int = socket.AF_INET, **options: Any) -> Any:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, 'Address family not supported by protocol')
        return create(address, family=family, **options)

    monkeypatch.setattr(socket, 'create_server', create_server)


@pytest.fixture
def localhost_in_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the resolver name `::1` and `127.0.0.1`, as most hosts files do."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *rest: Any, **options: Any) -> Any:
        names = ('::1', '127.0.0.1') if host == 'localhost' else (host,)
        return [each for name in names for each in resolve(name, port, *rest, **options)]

    monkeypatch.setattr(socket, 'getaddrinfo', getaddrinfo)


@needs_ipv6
@pytest.mark.usefixtures(localhost_in_both.__name__)
@pytest.mark.parametrize(
    ('host', 'urls'),
    [
        ('127.0.0.1', ['http://127.0.0.1']),
        ('::1', ['http://[::1]']),
        ('[::1]', ['http://[::1]']),
        ('localhost', ['http://[::1]', 'http://127.0.0.1']),
        ('127.0.0.1, [::1],localhost', ['http://127.0.0.1', 'http://[::1]']),
        ('0.0.0.0', ['http://0.0.0.0']),
        ('::', ['http://[::]', 'http://0.0.0.0']),
        ('0.0.0.0,::', ['http://0.0.0.0', 'http://[::]']),
        ('127.0.0.1,::1,::', ['http://[::]', 'http://0.0.0.0']),
        ('0.0.0.0,127.0.0.1,::1', ['http://0.0.0.0', 'http://[::1]']),
    ],
)
async def test_every_address_that_is_named_is_served(host: str, urls: list[str]) -> None:
    """A name means all its addresses, `::` all of both families; one port, each address once."""
    async with serving(host) as (server, told):
        port = port_of(told)
        assert list(told) == [f'{url}:{port}' for url in urls]
        assert server.warnings == ()
        for url in urls:
            address = url.removeprefix('http://').strip('[]')
            assert await answers({'0.0.0.0': '127.0.0.1', '::': '::1'}.get(address, address), port)


@pytest.mark.usefixtures(ipv6_off.__name__, localhost_in_both.__name__)
@pytest.mark.parametrize(('host', 'url'), [('localhost', '127.0.0.1'), ('::', '0.0.0.0')])
async def test_without_ipv6_a_name_means_its_other_addresses(host: str, url: str) -> None:
    """IPv4 is served, and nothing is amiss: the machine has no more."""
    async with serving(host) as (server, told):
        port = port_of(told)
        assert (told, server.warnings) == ((f'http://{url}:{port}',), ())
        assert await answers('127.0.0.1', port)


@pytest.mark.usefixtures(ipv6_off.__name__)
async def test_an_address_that_this_machine_lacks_is_told() -> None:
    """It was named by itself, so that somebody counts on it; the other one is served."""
    async with serving('127.0.0.1,::1') as (server, urls):
        assert await answers('127.0.0.1', port_of(urls))
        (warning,) = server.warnings
    assert warning == 'not served: ::1: Address family not supported by protocol'


@pytest.mark.parametrize('other', ['203.0.113.7', 'no-such-host.invalid', 'a..b'])
async def test_what_cannot_be_bound_is_told_and_the_rest_served(
    other: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log and in the warnings: an address of another machine, a name that nobody knows."""
    async with serving(f'{other},127.0.0.1') as (server, urls):
        assert await answers('127.0.0.1', port_of(urls))
        (warning,) = server.warnings
    assert warning.startswith(f'not served: {other}: ')
    assert warning in caplog.text


@pytest.mark.usefixtures(localhost_in_both.__name__)
@needs_ipv6
async def test_an_address_that_another_program_holds_is_told() -> None:
    """Also where it is one of a name's several: who asks there reaches that program."""
    with held('127.0.0.1') as port:
        async with serving('localhost', port) as (server, urls):
            assert urls == (f'http://[::1]:{port}',)
            assert server.warnings == (
                'not served: localhost (127.0.0.1): Address already in use',
            )


async def test_nothing_bound_is_an_error_with_each_reason() -> None:
    """One line names the parameter, its value, the reasons and what is allowed."""
    with held('127.0.0.1') as port, pytest.raises(ListenFailed) as caught:
        await Server(nothing, ConnectionLimits()).bind('127.0.0.1, 203.0.113.7', port)
    assert str(caught.value) == (
        f"cannot listen on server.host '127.0.0.1, 203.0.113.7', server.port {port}: "
        '127.0.0.1: Address already in use; 203.0.113.7: Cannot assign requested address; '
        'allowed: names and addresses of this machine on which the port is free'
    )


@needs_ipv6
async def test_port_0_is_one_that_is_free_on_every_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel picks it for the first address; where another holds it on the next, once more."""
    create = socket.create_server
    picked: list[socket.socket] = []

    def create_server(address: Any, **options: Any) -> Any:
        made = create(address, **options)
        if not picked and address[1] == 0:
            picked.append(create(('127.0.0.1', made.getsockname()[1])))
        return made

    monkeypatch.setattr(socket, 'create_server', create_server)
    async with serving('::1,127.0.0.1') as (server, urls):
        assert server.warnings == ()
        assert port_of(urls) != picked[0].getsockname()[1]
    picked[0].close()


@pytest.mark.parametrize(
    ('urls', 'reachable'),
    [
        (['http://127.0.0.1:8080'], 'http://127.0.0.1:8080'),
        (['http://0.0.0.0:8080'], 'http://127.0.0.1:8080'),
        (['http://[::]:8080', 'http://0.0.0.0:8080'], 'http://[::1]:8080'),
        (['http://192.168.1.2:8080', 'http://[::1]:8080'], 'http://[::1]:8080'),
        (['http://192.168.1.2:80', 'http://10.0.0.1:80'], 'http://192.168.1.2:80'),
    ],
)
def test_who_is_on_this_host_reaches_it_by_loopback(urls: list[str], reachable: str) -> None:
    """Where that is served, or all addresses are; else by the first address."""
    assert reachable_here(urls) == reachable
