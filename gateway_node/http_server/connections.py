# SPDX-License-Identifier: Apache-2.0
"""Connections: how aiohttp's own treats its client, where that is not as this gateway wants it.

Of aiohttp's private parts it knows the queue of requests (`_messages`), what came behind them
(`_message_tail`), the future that waits for the next one (`_waiter`) and the task that serves them
(`_task_handler`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast, Protocol

from aiohttp import StreamReader, web
from aiohttp.http_exceptions import BadHttpMessage

from gateway_node.http_server.error_table import whole_answer
from gateway_node.http_server.errors import (
    HeaderLate,
    HeaderTooLarge,
    InvalidRequest,
    MAX_HEADER_BYTES,
    TooManyConnections,
)
from gateway_node.http_server.open_connections import ConnectionLimits, OpenConnections
from gateway_node.http_server.refusals import RefusalLog

_SETTINGS: dict[str, Any] = {
    'access_log': None,
    # A body is counted as it comes; inflated, a small one grows a thousandfold before that.
    'auto_decompress': False,
}
_MAX_PIPELINED = 64
"""Requests that may wait on a connection; aiohttp 3.9 by itself takes any number."""


def connections_of(
    server: web.Server, log: RefusalLog, places: OpenConnections, *, of_scripts: bool = False
) -> Callable[[], asyncio.Protocol]:
    """Return what makes the protocol of each connection of a server.

    `of_scripts` come over a port that is there for scripts, and for nobody else.
    """
    settings = {'loop': asyncio.get_running_loop(), 'logger': log, **_SETTINGS}
    return lambda: Connection(server, places, of_scripts=of_scripts, **settings)


def is_of_script(request: web.BaseRequest) -> bool:
    """Tell whether a request came over a port that is there for scripts."""
    connection = request.protocol
    return isinstance(connection, Connection) and connection.of_scripts


def work_for(request: web.BaseRequest, name: str) -> None:
    """Count a request as one of an identity's, until it is answered; TooManyAtWork."""
    connection = request.protocol
    if isinstance(connection, Connection):
        connection.work_for(name)


class Watcher(Protocol):
    """Who answers for long, and wants to hear of the client meanwhile."""

    def note_lost(self) -> None:
        """Take note that the connection is gone."""

    def note_half_closed(self) -> None:
        """Take note that the client sends nothing more: it may be gone, or read on."""


class Connection(web.RequestHandler):
    """One connection, which has a place among the open ones and is told to hurry.

    A client that ends its side of it (`nc -N`) still gets its answers.
    """

    __slots__ = (
        '_answered',
        '_half_closed',
        '_header_bytes',
        '_header_since',
        '_is_owing',
        '_last_body',
        '_outgoing',
        '_places',
        '_since',
        '_stall',
        '_watcher',
        'client',
        'of_scripts',
    )

    def __init__(
        self,
        manager: web.Server,
        places: OpenConnections,
        *,
        of_scripts: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(manager, **settings)
        self.client = ''
        self.of_scripts = of_scripts
        self._places = places
        self._half_closed = False
        self._last_body: StreamReader | None = None
        """Of the last request that came."""
        self._is_owing = False
        """Whether a request came that is not answered."""
        self._answered = False
        self._since = self._loop.time()
        self._header_since: float | None = None
        self._header_bytes = 0
        self._outgoing: asyncio.Transport | None = None
        self._stall = _Stall(places.limits)
        self._watcher: Watcher | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place; a connection without one is told so by another protocol."""
        outgoing = cast(asyncio.Transport, transport)
        self.client = str((outgoing.get_extra_info('peername') or ('',))[0])
        if self._places.enter(self):
            self._outgoing = outgoing
            super().connection_made(transport)
            assert self._task_handler is not None
            self._task_handler.add_done_callback(self._note_end)
            return
        outgoing.set_protocol(_Refused(self._places, outgoing))
        if self._places.refuse(outgoing):
            outgoing.write(whole_answer(TooManyConnections(self._places.limits.total)))
            outgoing.write_eof()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        self._places.leave(self)
        self._outgoing = None
        super().connection_lost(exc)
        if self._watcher is not None:
            self._watcher.note_lost()

    def data_received(self, data: bytes) -> None:
        """Note when a request begins to come, and when its header is complete."""
        waiting, taken_before = len(self._messages), self._taken_of_body()
        try:
            super().data_received(data)
        except ValueError as error:
            self._refuse_target(error)
            return
        if len(self._messages) > waiting:
            self._last_body, self._is_owing = self._messages[-1][1], True
            self._header_since, self._header_bytes = None, 0
        elif self._taken_of_body() != taken_before:
            self._header_since, self._header_bytes = None, 0
        elif data and not self._message_tail:
            self._count_of_header(len(data))
        # Behind a request for another protocol; its answer closes the connection.
        self._message_tail = b''
        if len(self._messages) > _MAX_PIPELINED:
            self._flooded()

    def _taken_of_body(self) -> int | None:
        """Return how many bytes have come of a body that goes on; None where none does."""
        body = self._last_body
        return None if body is None or body.is_eof() else body.total_bytes

    def _count_of_header(self, received: int) -> None:
        """Count what made no header complete and belongs to no body, in whatever state."""
        if self._header_since is None:
            self._header_since = self._loop.time() if self._answered else self._since
        self._header_bytes += received
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse_header()

    def _refuse_header(self) -> None:
        """Say so where nothing has to be answered first; else close after that answer."""
        if self._waiter is not None and not self._messages:
            self._close_with(HeaderTooLarge(MAX_HEADER_BYTES))
        else:
            self._flooded()

    @property
    def waiting_since(self) -> float | None:
        """The loop's time since when it waits for a request; None while it has work or output."""
        if self._waiter is None or self._messages or self._unsent_bytes():
            return None
        return self._since

    def note_output(self, size: int) -> None:
        """Note that so many bytes of a body go to where what is not sent waits."""
        self._stall.note_output(size)

    def watch(self, watcher: Watcher | None) -> None:
        """Tell somebody of what the client does while it is answered; None for nobody."""
        self._watcher = watcher
        if watcher is not None and self._half_closed:
            watcher.note_half_closed()

    def work_for(self, name: str) -> None:
        """Count what is being answered as an identity's; TooManyAtWork."""
        self._places.work_for(self, name)

    def give_way(self) -> None:
        """Close at once: another client needs the place."""
        self.force_close()

    def look(self, now: float) -> None:
        """Close where the client took too long over a header, a next request, or an answer."""
        limits, since = self._places.limits, self.waiting_since
        if self._outgoing is not None and self._stall.is_too_long(now, self._unsent_bytes()):
            self._outgoing.abort()
        elif since is None:
            return
        elif self._header_since is not None:
            if now - max(self._header_since, since) > limits.header_sec:
                self._close_with(HeaderLate(limits.header_sec))
        elif now - since > (limits.keep_alive_sec if self._answered else limits.header_sec):
            self.force_close()

    def _note_end(self, serving: asyncio.Task[None]) -> None:
        """Close what aiohttp leaves open, and unserved, where it cannot make a request.

        Such as of `http://xn--a/`, with the newest version too; before 3.10 also of a bad port.
        """
        error = None if serving.cancelled() else serving.exception()
        if isinstance(error, ValueError):
            self._refuse_target(error)
        elif error is not None:
            self.log_exception('a connection cannot be served', exc_info=error)
            self.force_close()

    def _refuse_target(self, error: ValueError) -> None:
        reason = f'the target of the request cannot be read: {error}'
        self.log_exception(reason, exc_info=BadHttpMessage(reason))
        self._close_with(InvalidRequest(reason))

    def _close_with(self, error: Exception) -> None:
        if self.transport is not None:
            self.transport.write(whole_answer(error))
            self.force_close()

    def _flooded(self) -> None:
        """Keep nothing of what came too fast, take nothing more, and close after the next answer.

        Not at once: aiohttp may be about to take the first request.
        """
        while len(self._messages) > 1:
            self._messages.pop()
        self._message_tail = b''
        self.close()

    def _unsent_bytes(self) -> int:
        return 0 if self._outgoing is None else self._outgoing.get_write_buffer_size()

    def eof_received(self) -> Any:
        """Tell whether the connection stays: until all requests that came are answered.

        asyncio asks for a bool here; aiohttp always answers None, which closes.
        """
        if self._last_body is None or not self._is_owing:
            return False
        self._half_closed = True
        if self._watcher is not None:
            self._watcher.note_half_closed()
        if not self._last_body.is_eof():
            self._last_body.set_exception(
                ConnectionResetError('the client ended in the middle of the body')
            )
            self._last_body.feed_eof()
        return True

    def log_access(self, *answered: Any) -> None:
        """Note that a request was answered; close where no further one can come."""
        self._answered = True
        self._places.end_work(self)
        self._since = self._loop.time()
        if not self._messages:
            self._is_owing = False
            if self._half_closed:
                self.close()


class _Stall:
    """How well a client takes its answers, as seen at one look after another.

    What an answer adds in between counts only as far as it is noted; what is sent piece by piece
    has to be.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._since: float | None = None
        self._unsent = 0
        self._added = 0
        self._taken = 0

    def note_output(self, size: int) -> None:
        """Note what is added to the output."""
        self._added += size

    def is_too_long(self, now: float, unsent: int) -> bool:
        """Tell whether output has waited for longer than what was taken of it is worth."""
        taken = max(0, self._unsent + self._added - unsent)
        self._unsent, self._added = unsent, 0
        if not unsent:
            self._since = None
            return False
        if self._since is None:
            self._since, self._taken = now, 0
        else:
            self._taken += taken
        limits = self._limits
        return now - self._since > limits.stall_sec + self._taken / limits.bytes_per_sec


class _Refused(asyncio.Protocol):
    """A connection for which there was no place: it reads nothing of what comes."""

    def __init__(self, places: OpenConnections, transport: asyncio.Transport) -> None:
        self._places = places
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._places.forget_refused(self._transport)
