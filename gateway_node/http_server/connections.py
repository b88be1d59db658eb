"""Connections: how aiohttp's own treats its client, where that is not as this gateway wants it."""

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway_node.http_server.refusals import RefusalLog

_SETTINGS: dict[str, Any] = {
    'access_log': None,
    # A body is counted as it comes; inflated, a small one grows a thousandfold before that.
    'auto_decompress': False,
}


def connections_of(server: web.Server, log: RefusalLog) -> Callable[[], asyncio.Protocol]:
    """Return what makes the protocol of each connection of a server."""
    loop = asyncio.get_running_loop()
    return lambda: Connection(server, loop=loop, logger=log, **_SETTINGS)


class Connection(web.RequestHandler):
    """One connection; a client that ends its side of it (`nc -N`) still gets its answers."""

    __slots__ = ('_half_closed',)

    def __init__(self, manager: web.Server, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._half_closed = False

    def eof_received(self) -> Any:
        """Tell whether the connection stays: until all requests that came are answered.

        asyncio asks for a bool here; aiohttp always answers None, which closes.
        """
        if self._waiter is not None and not self._messages:
            return False
        self._half_closed = True
        self._end_body()
        return True

    def log_access(self, *answered: Any) -> None:
        """Note that a request was answered; close where no further one can come."""
        super().log_access(*answered)
        if self._half_closed and not self._messages:
            self.close()

    def _end_body(self) -> None:
        """Let nobody wait for the rest of a body whose client has ended."""
        if self._messages:
            body = self._messages[-1][1]
        elif self._current_request is not None:
            body = self._current_request.content
        else:
            return
        if not body.is_eof():
            body.set_exception(ConnectionResetError('the client ended in the middle of the body'))
            body.feed_eof()
