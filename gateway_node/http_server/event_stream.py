# SPDX-License-Identifier: Apache-2.0
"""The response that is a stream of events, and its connection as their outlet."""

import asyncio
from collections.abc import Sequence
import logging
import random
import socket

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from gateway_node.access.guests import Guest
from gateway_node.executions.stream_news import News, Place
from gateway_node.http_server.calls import EventStream
from gateway_node.http_server.connections import Connection
from gateway_node.http_server.error_table import row_of
from gateway_node.http_server.event_frames import frame, place_text
from gateway_node.http_server.media_types import EVENT_STREAM
from gateway_node.http_server.ready_response import ReadyResponse

_log = logging.getLogger(__name__)

RETRY_MS = 2000
"""How long an EventSource waits before it connects again."""
LOOK_SEC = 1.0
"""How often something is sent to a client that has ended its side, to see whether it is there."""
SEND_BUFFER_BYTES = 128 * 1024
"""For a client that takes nothing; the system by itself keeps 4 MiB for each (man 7 tcp)."""

_EARLIEST = 0.75
"""Of the time between two heartbeats, when one is sent at the earliest."""
_BEGIN = f': gateway_node\nretry: {RETRY_MS}\n\n'.encode()


class EventStreamResponse(ReadyResponse):
    """Sends events until there are no more, or nobody is there any more.

    It ends with its connection: the same bytes are then right for each version of HTTP, and for
    every client.
    """

    def __init__(self, stream: EventStream, fields: dict[str, str]) -> None:
        """Take further fields of the header."""
        super().__init__(
            status=200,
            fields={
                **fields,
                hdrs.CONTENT_TYPE: EVENT_STREAM,
                hdrs.CACHE_CONTROL: 'no-store',
                # Of nginx, which else keeps events back until it has 4 KiB of them.
                'X-Accel-Buffering': 'no',
            },
            content=_BEGIN,
            goes_on=True,
        )
        self._stream = stream
        self._request: web.BaseRequest | None = None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Send the head, and something for proxies to pass on."""
        self._request = request
        return await super().prepare(request)

    async def write_eof(self, data: bytes = b'') -> None:
        """Send events; aiohttp says by this that the response is all its own now."""
        request = self._request
        if request is None or request.method == hdrs.METH_HEAD:
            return
        connection, transport = request.protocol, request.transport
        if transport is None or not isinstance(connection, Connection):
            return
        stream = self._stream
        shown = request.headers.getall(hdrs.AUTHORIZATION, ())
        guest = Guest(stream.authentication, shown, stream.reader)
        with stream.places.taken(stream.reader):
            outlet = StreamOutlet(
                request,
                connection,
                transport,
                stream.base,
                stream.places.settings.heartbeat_sec,
                guest,
            )
            with guest.changes_told_to(outlet.look_at_guest):
                await outlet.serve(asyncio.ensure_future(stream.follow(outlet)))


class StreamOutlet:
    """A connection over which events go; an Outlet, and the Watcher of the connection."""

    def __init__(
        self,
        request: web.BaseRequest,
        connection: Connection,
        transport: asyncio.Transport,
        base: str,
        heartbeat_sec: float,
        guest: Guest,
    ) -> None:
        self._request = request
        self._connection = connection
        self._transport = transport
        self._base = base
        self._heartbeat_sec = heartbeat_sec
        self._guest = guest
        self._loop = asyncio.get_running_loop()
        self._place: Place | None = None
        """Behind which the reader stands."""
        self._told: Place | None = None
        """The last one that the client was told."""
        self._wrote_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Future[None] | None = None

    async def serve(self, task: 'asyncio.Future[None]') -> None:
        """Let a task write here until it ends, or the connection does."""
        self._task = task
        # With any other limit nobody hears that all was taken, unless there was much.
        self._transport.set_write_buffer_limits(high=0)
        connection = self._transport.get_extra_info('socket')
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._connection.watch(self)
        self._arm()
        try:
            await asyncio.wait({task})
        finally:
            self._connection.watch(None)
            if self._timer is not None:
                self._timer.cancel()
            task.cancel()
            self._transport.set_write_buffer_limits()
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            # Of a defect, which nobody was to raise, it takes more to find it.
            _log.warning(
                '%s is not followed to the end: %s',
                self._request.path,
                error,
                exc_info=error if row_of(type(error)) is None else None,
            )

    @property
    def is_free(self) -> bool:
        """Whether all that was written has been taken."""
        return not self._transport.get_write_buffer_size()

    def write(self, news: Sequence[tuple[News, Place]]) -> None:
        """Write events."""
        base = self._base
        if len(news) == 1:
            ((each, place),) = news
            self._send(frame(base, each, place))
        else:
            self._send(b''.join([frame(base, each, place) for each, place in news]))
        self._place = self._told = news[-1][1]

    def stand(self, place: Place) -> None:
        """Note a place, for a heartbeat to tell; the first one is told at once."""
        self._place = place
        if self._told is None:
            self._told = place
            self._send(f'id: {place_text(place)}\n\n'.encode())

    async def wait_free(self) -> None:
        """Wait until all that was written has been taken; ConnectionError where it never is."""
        await self._request.writer.drain()

    def note_lost(self) -> None:
        """End: nobody is there."""
        if self._task is not None:
            self._task.cancel()

    def look_at_guest(self) -> None:
        """End where who follows is let in no more."""
        if not self._guest.is_let_in:
            self.note_lost()

    def note_half_closed(self) -> None:
        """Look whether somebody is there: who is gone answers what is sent by a reset."""
        self._heartbeat_sec = min(self._heartbeat_sec, LOOK_SEC)
        self._beat()

    def _send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._connection.note_output(len(data))
            self._transport.write(data)
            self._wrote_at = self._loop.time()

    def _beat(self) -> None:
        """Send a comment, with the place where that is another one."""
        if self.is_free:
            place_line = b''
            if self._place is not None and self._place != self._told:
                self._told = self._place
                place_line = f'id: {place_text(self._place)}\n'.encode()
            self._send(b':\n%b\n' % place_line)
        self._wrote_at = self._loop.time()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Not all at the same time, where many began at the same time.
        pause_sec = self._heartbeat_sec * random.uniform(_EARLIEST, 1.0)
        self._timer = self._loop.call_at(self._wrote_at + pause_sec, self._look)

    def _look(self) -> None:
        self.look_at_guest()
        if self._loop.time() - self._wrote_at >= self._heartbeat_sec * _EARLIEST:
            self._beat()
        else:
            self._arm()
