# SPDX-License-Identifier: Apache-2.0
"""TLS between a connection and what speaks HTTP over it.

asyncio's own does not say which connections are in their handshake, keeps unsent bytes where
nobody sees them, and ends both directions when a client ends its own. This is the `ssl` module's
state machine over two buffers, and nothing more.
"""

import asyncio
from collections.abc import Callable
import socket
import ssl
import struct
from typing import Any, cast

from gateway_node.http_server.certificates import Certificates
from gateway_node.http_server.error_table import whole_answer
from gateway_node.http_server.errors import InvalidRequest, TooManyConnections
from gateway_node.http_server.open_connections import OpenConnections
from gateway_node.http_server.refusals import RefusalLog

_HANDSHAKE = 0x16
"""The type of a client's first record (RFC 8446, section 5.1); no text begins with it."""
_RECORD_BYTES = 16 * 1024


def tls_connections_of(
    connections: Callable[[], asyncio.Protocol],
    certificates: Certificates,
    log: RefusalLog,
    places: OpenConnections,
) -> Callable[[], asyncio.Protocol]:
    """Return what makes the protocol of each connection, over which `connections` speak HTTP."""
    return lambda: TlsConnection(connections, certificates, log, places)


class TlsConnection(asyncio.Transport, asyncio.Protocol):
    """The protocol of a line, and the transport of the HTTP over it.

    During the handshake it has a place among the open connections; then HTTP takes its own.
    """

    def __init__(
        self,
        connections: Callable[[], asyncio.Protocol],
        certificates: Certificates,
        log: RefusalLog,
        places: OpenConnections,
    ) -> None:
        super().__init__()
        self.client = ''
        self._connections = connections
        self._certificates = certificates
        self._log = log
        self._places = places
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._line: asyncio.Transport
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        """None until the client's first byte."""
        self._http: asyncio.Protocol | None = None
        """None until the handshake is done."""
        self._is_refused = False
        self._is_paused = False
        self._line_has_ended = False
        """Whether nothing more comes over the line."""
        self._has_ended = False
        """Whether HTTP has been told of that, or of the client's farewell."""
        self._is_closing = False

    # What comes over the line.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place; a connection without one is told so once its handshake is done."""
        self._line = cast(asyncio.Transport, transport)
        self.client = str((transport.get_extra_info('peername') or ('',))[0])
        if not self._places.enter(self):
            self._is_refused = True
            self._places.refuse(self._line)

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, or hand on what the client says until its farewell."""
        if self._is_closing or self._has_ended:
            return
        if self._tls is None:
            if data[0] != _HANDSHAKE:
                self._line.write(
                    whole_answer(InvalidRequest('TLS is spoken here; allowed: https://'))
                )
                self._let_go()
                return
            self._tls = self._certificates.context.wrap_bio(
                self._incoming, self._outgoing, server_side=True
            )
        self._incoming.write(data)
        self._go_on()

    def eof_received(self) -> bool:
        """Tell HTTP of the end behind what came before it; it decides whether the line stays."""
        if self._http is None:
            return False
        # OpenSSL itself is not told: behind an end without a farewell it would send nothing more.
        self._line_has_ended = True
        self._go_on()
        return True

    def pause_writing(self) -> None:
        """Pass on that the line takes no more."""
        if self._http is not None:
            self._http.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the line takes more again."""
        if self._http is not None:
            self._http.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back, and tell HTTP."""
        self._is_closing = True
        self._places.leave(self)
        self._places.forget_refused(self._line)
        if self._http is not None:
            self._http.connection_lost(exc)

    # A connection with a place, until its handshake is done.

    @property
    def waiting_since(self) -> float | None:
        """Since when: it waits for its client."""
        return self._since

    def give_way(self) -> None:
        """Close at once."""
        self._line.abort()

    def look(self, now: float) -> None:
        """Close where the handshake takes too long."""
        if now - self._since > self._places.limits.handshake_sec:
            self._line.abort()

    # The transport of HTTP.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self.is_closing() or self._tls is None:
            return
        left = memoryview(data)
        while left:
            left = left[self._tls.write(left) :]
        self._flush()

    def close(self) -> None:
        """Say farewell behind what is not sent yet, and close."""
        if self.is_closing():
            return
        if not self._is_to_be_reset():
            self._say_farewell()
        self._is_closing = True
        self._line.close()

    def abort(self) -> None:
        """Close at once; without a farewell what was sent does not pass for all."""
        self._line.abort()

    def is_closing(self) -> bool:
        """Tell whether nothing is sent any more."""
        return self._is_closing or self._line.is_closing()

    def pause_reading(self) -> None:
        """Hand on nothing."""
        self._is_paused = True
        self._line.pause_reading()

    def resume_reading(self) -> None:
        """Hand on what has come, soon, and what comes."""
        if self._is_paused:
            self._is_paused = False
            self._line.resume_reading()
            self._loop.call_soon(self._go_on)

    def is_reading(self) -> bool:
        """Tell whether what comes is handed on."""
        return not self._is_paused

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when HTTP is told to write no more."""
        self._line.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how many encrypted bytes are not sent."""
        return self._line.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when HTTP is told to write on, and to write no more."""
        return self._line.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        """Tell that one direction alone is not ended from here."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the line, and of its TLS (`sslcontext`, `ssl_object`)."""
        if name == 'ssl_object':
            return self._tls
        if name == 'sslcontext':
            return default if self._tls is None else self._tls.context
        return self._line.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Speak another protocol."""
        self._http = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return what is spoken."""
        return self if self._http is None else self._http

    # Between the two.

    def _go_on(self) -> None:
        """Do what can be done with what has come; let go of a client whose TLS is wrong."""
        try:
            if self._http is None:
                self._shake_hands()
            else:
                self._hand_on(self._http)
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            # The outgoing buffer has the alert.
            self._flush()
            self._log.refused(f'TLS with {self.client} fails: {_reason(error)}')
            self._let_go()

    def _shake_hands(self) -> None:
        """Begin with HTTP once the handshake is done; SSLError."""
        assert self._tls is not None
        self._tls.do_handshake()
        self._flush()
        if self._is_refused:
            self.write(whole_answer(TooManyConnections(self._places.limits.total)))
            self._say_farewell()
            self._let_go()
            return
        # Its place is free now, so that HTTP finds one.
        self._places.leave(self)
        self._http = self._connections()
        self._http.connection_made(self)
        # A turn of the loop later: aiohttp's own task waits for requests by then.
        self._loop.call_soon(self._go_on)

    def _hand_on(self, http: asyncio.Protocol) -> None:
        """Hand on what has come as long as it is wanted; SSLError."""
        assert self._tls is not None
        while not (self._is_paused or self._has_ended or self.is_closing()):
            try:
                data = self._tls.read(_RECORD_BYTES)
            except ssl.SSLWantReadError:
                if not self._line_has_ended:
                    raise
                # Without a farewell: HTTP knows what belongs to a request.
                data = b''
            if data:
                http.data_received(data)
                continue
            self._has_ended = True
            if not http.eof_received():
                self.close()

    def _flush(self) -> None:
        if self._outgoing.pending and not self._line.is_closing():
            self._line.write(self._outgoing.read())

    def _say_farewell(self) -> None:
        """Send what tells that nothing was cut off (RFC 8446, section 6.1)."""
        assert self._tls is not None
        try:
            self._tls.unwrap()
        except ssl.SSLError:
            # It would wait for that of the client.
            self._flush()

    def _let_go(self) -> None:
        """Send nothing more, and close soon: at once, the client might not read why."""
        self._is_closing = True
        self._places.leave(self)
        if self._is_refused or self._places.let_read(self._line):
            self._line.write_eof()

    def _is_to_be_reset(self) -> bool:
        """Tell whether somebody wants no proper end (man 7 socket, SO_LINGER)."""
        line = self._line.get_extra_info('socket')
        option = line.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.calcsize('ii'))
        return bool(struct.unpack('ii', option)[0])


def _reason(error: ssl.SSLError) -> str:
    """Return what OpenSSL says in words."""
    verification = getattr(error, 'verify_message', '')
    return verification or (error.reason or str(error)).replace('_', ' ').lower()
