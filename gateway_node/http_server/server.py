"""The server: listening on an address and letting go of it."""

import asyncio
import errno
import logging
import socket
import time
from typing import Any

from aiohttp import web

from gateway_node.http_server.connections import connections_of
from gateway_node.http_server.refusals import RefusalLog

_log = logging.getLogger(__name__)

HANDLERS_END_SEC = 1.0
"""Seconds that requests under way get to end at the close, and clients to take their answers."""
_COMPLAINT_INTERVAL_SEC = 10.0


class ListenFailed(Exception):
    """The address of the server cannot be had."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on server.host '{host}', server.port {port}: {reason}")
        self.host = host
        self.port = port


class Server:
    """Serves one application on one address."""

    def __init__(self, application: web.Application) -> None:
        self._refusals = RefusalLog(_log)
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            # aiohttp waits twice: for handlers to end, and again once it has cancelled them.
            shutdown_timeout=HANDLERS_END_SEC / 2,
        )
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self._complain_at = 0.0

    async def bind(self, host: str, port: int) -> int:
        """Take the address and return the port, which port 0 leaves to the kernel.

        Clients that connect wait until `serve`. ListenFailed.
        """
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, address in dict.fromkeys((each[0], each[4][0]) for each in found):
                bound = socket.create_server((str(address), port), family=family, backlog=128)
                self._sockets.append(bound)
                port = bound.getsockname()[1]
        except OSError as error:
            raise ListenFailed(host, port, error.strerror or str(error)) from error
        return port

    async def serve(self) -> None:
        """Answer clients on the address that `bind` took."""
        await self._runner.setup()
        assert self._runner.server is not None
        connections = connections_of(self._runner.server, self._refusals)
        loop = asyncio.get_running_loop()
        for bound in self._sockets:
            self._listeners.append(await loop.create_server(connections, sock=bound))

    async def stop_accepting(self) -> None:
        """Release the port; connections that exist are served on."""
        for listener in self._listeners:
            listener.close()
        for bound in self._sockets:
            bound.close()

    async def close(self) -> None:
        """Let requests under way end, then close every connection."""
        await self._runner.cleanup()
        self._refusals.close()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say once in a while that no connection can be accepted.

        The loop says it 128 times a second, each time with a traceback, and tries again by itself.
        """
        error = context.get('exception')
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._complain_at:
            self._complain_at = time.monotonic() + _COMPLAINT_INTERVAL_SEC
            _log.error('no connection can be accepted: %s', error.strerror)
