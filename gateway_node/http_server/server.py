# SPDX-License-Identifier: Apache-2.0
"""The server: listening on its addresses and letting go of them."""

import asyncio
from collections.abc import Awaitable, Callable
import errno
import logging
import socket
import time
from typing import Any, TYPE_CHECKING
import warnings

from aiohttp import web

from gateway_node.http_server.addresses import listen, reachable_here
from gateway_node.http_server.connections import connections_of
from gateway_node.http_server.open_connections import ConnectionLimits, OpenConnections
from gateway_node.http_server.refusals import RefusalLog

if TYPE_CHECKING:
    from gateway_node.http_server.certificates import Certificates

_log = logging.getLogger(__name__)

HANDLERS_END_SEC = 1.0
"""Seconds that requests under way get to end at the close, and clients to take their answers."""
_COMPLAINT_INTERVAL_SEC = 10.0
_LOOPBACK = '127.0.0.1,::1'
"""One of them suffices: IPv6 may be off, and hosts without IPv4 are to come."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """Has one handler answer every request that comes to the addresses of `server.host`."""

    def __init__(
        self,
        handler: Handler,
        limits: ConnectionLimits,
        certificates: 'Certificates | None' = None,
    ) -> None:
        """TLS is spoken, and nothing else, where there are `certificates`."""
        self._handler = handler
        self._certificates = certificates
        self._places = OpenConnections(limits)
        self._refusals = RefusalLog(_log)
        self._connections: web.Server | None = None
        self._sockets: tuple[socket.socket, ...] = ()
        self._sockets_of_scripts: tuple[socket.socket, ...] = ()
        self._listeners: list[asyncio.Server] = []
        self.url_of_scripts = ''
        """Where scripts reach it, once it is bound."""
        self._complain_at = 0.0
        self._unbound: tuple[str, ...] = ()
        """What of `server.host` could not be bound, a sentence each."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is amiss with its addresses and certificates, a sentence each."""
        of_tls = () if self._certificates is None else self._certificates.warnings
        return (*self._unbound, *of_tls)

    @property
    def connections(self) -> dict[str, int]:
        """How many connections are open, may be, and were refused."""
        places = self._places
        return {
            'open': len(places),
            'limit': places.limits.total,
            'refused': places.refused_total,
        }

    async def bind(self, host: str, port: int) -> tuple[str, ...]:
        """Take the addresses; return their URLs, all with the port that port 0 leaves open.

        Clients that connect wait until `serve`. ListenFailed.
        """
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        listening = await listen(host, port)
        self._sockets = listening.sockets
        self._unbound = tuple(f'not served: {unbound}' for unbound in listening.unbound)
        for warning in self._unbound:
            _log.warning('%s', warning)
        urls = listening.urls('http' if self._certificates is None else 'https')
        self.url_of_scripts = reachable_here(urls)
        if self._certificates is not None:
            # A script knows no authority, and has no certificate: it stays on this host.
            of_scripts = await listen(_LOOPBACK, 0)
            self._sockets_of_scripts = of_scripts.sockets
            self.url_of_scripts = reachable_here(of_scripts.urls('http'))
        return urls

    async def serve(self) -> None:
        """Answer clients on the addresses that `bind` took."""
        # What a client may write into a form, and each time with its text on stderr.
        warnings.filterwarnings('ignore', module='aiohttp.multipart')
        self._connections = web.Server(self._handler)
        connections = connections_of(self._connections, self._refusals, self._places)
        if self._certificates is not None:
            # Without TLS no start waits for its modules.
            from gateway_node.http_server.tls_connections import tls_connections_of

            connections = tls_connections_of(
                connections, self._certificates, self._refusals, self._places
            )
        loop = asyncio.get_running_loop()
        for bound in self._sockets:
            self._listeners.append(await loop.create_server(connections, sock=bound))
        of_scripts = connections_of(
            self._connections, self._refusals, self._places, of_scripts=True
        )
        for bound in self._sockets_of_scripts:
            self._listeners.append(await loop.create_server(of_scripts, sock=bound))

    async def stop_accepting(self) -> None:
        """Release the port; connections that exist are served on."""
        for listener in self._listeners:
            listener.close()
        for bound in (*self._sockets, *self._sockets_of_scripts):
            bound.close()

    async def close(self) -> None:
        """Let requests under way end, then close every connection."""
        if self._connections is not None:
            # What came before this is handed out first.
            await asyncio.sleep(0)
            self._connections.pre_shutdown()
            # aiohttp waits twice: for handlers to end, and again once it has cancelled them.
            await self._connections.shutdown(HANDLERS_END_SEC / 2)
        self._places.close()
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
