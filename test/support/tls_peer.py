# SPDX-License-Identifier: Apache-2.0
"""A client whose TLS a test moves byte by byte, which no client library lets it."""

import asyncio
from collections.abc import Callable
import contextlib
import ssl
from typing import TypeVar

_Result = TypeVar('_Result')

DEADLINE_SEC = 1000.0
"""Longer than all that a test lets pass."""


class TlsPeer:
    """One end of a connection, which sends what it is told to and nothing more."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trust: ssl.SSLContext
    ) -> None:
        self.reader = reader
        self.writer = writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = trust.wrap_bio(self._incoming, self._outgoing, server_hostname='127.0.0.1')
        self.said_farewell = False
        """Whether the server has told that nothing was cut off."""

    @classmethod
    async def connect(cls, port: int, trust: ssl.SSLContext) -> 'TlsPeer':
        """Connect, and say nothing."""
        reader, writer = await asyncio.open_connection('127.0.0.1', port)
        return cls(reader, writer, trust)

    def greeting(self) -> bytes:
        """Return the first message of the handshake, which is not sent."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    async def shake_hands(self, *, with_last: bytes = b'') -> None:
        """Do the handshake; its last message brings a request along."""
        await self._done(self.tls.do_handshake, flushes=not with_last)
        if with_last:
            self.tls.write(with_last)
            self.flush()

    def encrypted(self, data: bytes) -> bytes:
        """Return what bytes are over the line, which are not sent."""
        self.tls.write(data)
        return self._outgoing.read()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(self.encrypted(data))

    def end(self, *, with_farewell: bool) -> None:
        """End this direction, and go on reading."""
        if with_farewell:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.unwrap()
            self.flush()
        self.writer.write_eof()

    async def rest(self) -> bytes:
        """Read until the server ends its direction."""
        received = b''
        while True:
            try:
                piece = await self._done(lambda: self.tls.read(65536))
            except ssl.SSLEOFError:
                return received
            if not piece:
                self.said_farewell = True
                return received
            received += piece

    async def until(self, marker: bytes) -> None:
        """Read until something has come."""
        received = b''
        while marker not in received:
            piece = await self._done(lambda: self.tls.read(65536))
            assert piece, received
            received += piece

    def flush(self) -> None:
        """Send what TLS has to say."""
        if self._outgoing.pending:
            self.writer.write(self._outgoing.read())

    async def _done(self, call: Callable[[], _Result], *, flushes: bool = True) -> _Result:
        async with asyncio.timeout(DEADLINE_SEC):
            while True:
                try:
                    result = call()
                except ssl.SSLWantReadError:
                    self.flush()
                    data = await self.reader.read(65536)
                    self._incoming.write(data) if data else self._incoming.write_eof()
                    continue
                if flushes:
                    self.flush()
                return result
