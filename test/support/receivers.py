# SPDX-License-Identifier: Apache-2.0
"""Receivers of callbacks on the loopback, each with manners of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import dataclass, field
import json
import ssl
from typing import Any

Manners = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Told:
    """One request of a gateway."""

    target: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def execution(self) -> dict[str, Any]:
        """The execution that it tells of."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass
class Receiver:
    """Takes callbacks, and notes them before it answers."""

    manners: Manners
    port: int = 0
    told: list[Told] = field(default_factory=list)
    connections: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has ended."""

    async def wait_for(self, number: int) -> Told:
        """Wait until so many have come; return the last of them."""
        async with asyncio.timeout(30):
            while len(self.told) < number:
                self.news.clear()
                await self.news.wait()
        return self.told[number - 1]

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                self.told.append(await _read(reader))
                self.news.set()
                await self.manners(reader, writer)
                await writer.drain()
        finally:
            self.gone.set()
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Told:
    head = (await reader.readuntil(b'\r\n\r\n')).decode().split('\r\n')
    headers = {
        name.lower(): value for name, _, value in (line.partition(': ') for line in head[1:-2])
    }
    body = await reader.readexactly(int(headers['content-length']))
    return Told(target=head[0].split(' ')[1], headers=headers, body=body)


def answers(status: int, *headers: str, body: bytes = b'') -> Manners:
    """Return manners that answer so."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f'HTTP/1.1 {status} -', f'Content-Length: {len(body)}', *headers, '', '']
        writer.write('\r\n'.join(lines).encode() + body)

    return answer


def answers_one_after_another(*manners: Manners) -> Manners:
    """Return manners that are others, each for one request, the last for all that follow."""
    following = iter(manners)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await next(following, manners[-1])(reader, writer)

    return answer


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer nothing for as long as anybody waits."""
    await reader.read()


async def close_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer nothing and close."""
    writer.close()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Begin a header, byte by byte, that never ends."""
    writer.write(b'HTTP/1.1 200 OK\r\nX: ')
    while not reader.at_eof():
        writer.write(b'x')
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 200 and a body without an end."""
    writer.write(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    while not writer.transport.is_closing():
        writer.write(b'10000\r\n%s\r\n' % bytes(65536))
        await writer.drain()


@contextlib.asynccontextmanager
async def receiver(
    manners: Manners, *, tls: ssl.SSLContext | None = None, host: str = '127.0.0.1'
) -> AsyncIterator[Receiver]:
    """Let a receiver listen on a port of its own."""
    taken = Receiver(manners)
    server = await asyncio.start_server(taken.take, host, 0, ssl=tls)
    taken.port = server.sockets[0].getsockname()[1]
    try:
        yield taken
    finally:
        server.close()
