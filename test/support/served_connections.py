# SPDX-License-Identifier: Apache-2.0
"""A server of connections, plain or over TLS, and clients that a test moves byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Callable
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
import socket
import ssl

from aiohttp import web
from certificates import certificates_in
from waiting import wait_until

from gateway_node.http_server.certificates import Certificates
from gateway_node.http_server.connections import Connection
from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.server import Server

DEADLINE_SEC = 1000.0
"""Longer than all that a test lets pass."""
LARGE = 8 * 1024 * 1024
ASK = b'GET / HTTP/1.1\r\nHost: robot\r\n\r\n'


Serving = Callable[[ConnectionLimits], contextlib.AbstractAsyncContextManager['Stage']]


@dataclass(kw_only=True)
class Stage:
    """A server, and the clients that a test connects to it."""

    server: Server
    port: int
    asked: asyncio.Event
    """Set once /held is asked for."""
    released: asyncio.Event
    """Lets /held be answered."""
    trust: ssl.SSLContext | None
    """What its clients have where they speak TLS."""
    _undo: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def connect(self, sent: bytes = b'', *, origin: str = '127.0.0.1') -> 'Client':
        """Connect a client from an address, and have it send bytes."""
        reader, writer = await asyncio.open_connection(
            '127.0.0.1',
            self.port,
            local_addr=(origin, 0),
            limit=2 * LARGE,
            ssl=self.trust,
        )
        self._undo.callback(writer.transport.abort)
        writer.write(sent)
        return Client(reader=reader, writer=writer)

    async def connect_deaf(self, sent: bytes) -> None:
        """Connect a client that sends bytes, and reads nothing."""

        def connect() -> socket.socket:
            client = socket.create_connection(('127.0.0.1', self.port))
            if self.trust is not None:
                client = self.trust.wrap_socket(client, server_hostname='127.0.0.1')
            client.sendall(sent)
            return client

        self._undo.callback((await asyncio.to_thread(connect)).close)

    async def until_open(self, count: int) -> None:
        """Wait until so many connections are open, and their handshakes done."""

        def are_open() -> bool:
            members = self.server._places._members
            return len(members) == count and all(isinstance(each, Connection) for each in members)

        await wait_until(are_open, what=f'{count} connections are open')

    async def close(self) -> None:
        """Let go of all clients."""
        await self._undo.aclose()


@dataclass(frozen=True, kw_only=True)
class Client:
    """One end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, content."""
        async with asyncio.timeout(DEADLINE_SEC):
            head = await self.reader.readuntil(b'\r\n\r\n')
            first, *lines = head.decode().strip().split('\r\n')
            headers = dict(line.lower().split(': ', 1) for line in lines)
            content = await self.reader.readexactly(int(headers['content-length']))
        return int(first.split()[1]), headers, content

    async def ask(self) -> int:
        """Send a request; return the status of its answer."""
        self.writer.write(ASK)
        return (await self.answer())[0]

    async def rest(self) -> bytes:
        """Read until the server closes."""
        async with asyncio.timeout(DEADLINE_SEC):
            return await self.reader.read()


@contextlib.asynccontextmanager
async def served(
    limits: ConnectionLimits,
    *,
    certificates: Certificates | None = None,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[Stage]:
    """Serve `/`, which answers, `/large`, which answers much, and `/held`, which waits."""
    asked, released = asyncio.Event(), asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == '/held':
            asked.set()
            await released.wait()
            return web.Response(text='released')
        if request.path == '/large':
            return web.Response(body=bytes(LARGE))
        return web.Response(text='here')

    server = Server(answer, limits, certificates)
    (url,) = await server.bind('127.0.0.1', 0)
    await server.serve()
    stage = Stage(
        server=server,
        port=int(url.rsplit(':', 1)[1]),
        asked=asked,
        released=released,
        trust=trust,
    )
    try:
        yield stage
    finally:
        released.set()
        await stage.close()
        await server.stop_accepting()
        await server.close()


@contextlib.asynccontextmanager
async def served_over_tls(directory: Path, limits: ConnectionLimits) -> AsyncIterator[Stage]:
    """Serve the same over TLS, with a certificate that lies in a directory."""
    certificates, trust = await certificates_in(directory)
    async with served(limits, certificates=certificates, trust=trust) as stage:
        yield stage
