# SPDX-License-Identifier: Apache-2.0
"""A supervisor's end of the channel to its gateway."""

import os
import select
import socket
import time
from typing import Any, cast

from gateway_node.child.messages import EndWish, SupervisorMessage, SupervisorOrder
from gateway_node.child.wire import encode, MessageBuffer

_EARLY_WAIT_SEC = 0.05
_READ_BYTES = 64 * 1024


class GatewayLink:
    """The supervisor's end of the channel to its gateway; it never blocks on it."""

    def __init__(self, channel: socket.socket, pidfd: int) -> None:
        self.channel = channel
        self.pidfd = pidfd
        self.lost = False
        self.moved_on = False
        """True where an order or a dismissal came, be the gateway lost by now: the end before is
        on record."""
        self._incoming = MessageBuffer()
        self._outgoing = bytearray()
        self._outgoing_descriptor: int | None = None
        self._early: list[EndWish] = []
        channel.setblocking(False)
        self._idle_poll = select.poll()
        self._idle_poll.register(channel, select.POLLIN)
        self._idle_poll.register(pidfd, select.POLLIN)

    @property
    def idle(self) -> bool:
        """True where nothing waits to be sent."""
        return not self._outgoing

    @property
    def has_early(self) -> bool:
        """True where a wish came together with the order, or while the program began."""
        return bool(self._early)

    def receive_order(self) -> SupervisorOrder | None:
        """Wait for the next order; None where there is none: the gateway is gone or dismisses.

        It is gone be the order complete or not. A wish for an end that comes before an order is
        late, and that of an end that was told.
        """
        while not self.lost:
            waits = 0 if self.idle else select.POLLOUT
            self._idle_poll.modify(self.channel, select.POLLIN | waits)
            ready = [source for source, _ in self._idle_poll.poll()]
            self.push()
            messages: list[Any] = self.receive() if self.channel.fileno() in ready else []
            self.lost = self.lost or self.pidfd in ready
            self.moved_on = any('argv' in each or 'dismissed' in each for each in messages)
            while messages and not self.lost:
                message = messages.pop(0)
                if 'dismissed' in message:
                    return None
                if 'argv' in message:
                    self._early = messages
                    return cast(SupervisorOrder, message)
        return None

    def wait_readable(self, descriptor: int, timeout_sec: float) -> None:
        """Wait until the descriptor can be read, as long as the gateway wants it.

        Raises:
            OSError: the gateway is gone or asks for the end, or the time is over.
        """
        deadline = time.monotonic() + timeout_sec
        poll = select.poll()
        for source in (descriptor, self.channel.fileno(), self.pidfd):
            poll.register(source, select.POLLIN)
        while True:
            left_sec = max(0.0, deadline - time.monotonic())
            # What came together with something else wakes no poll.
            wait_sec = min(left_sec, _EARLY_WAIT_SEC) if self._early else left_sec
            ready = [source for source, _ in poll.poll(wait_sec * 1000)]
            if descriptor in ready:
                return
            self._early = self.receive()
            self.lost = self.lost or self.pidfd in ready
            if self.lost:
                raise ConnectionResetError('the gateway is gone')
            if self._early:
                raise InterruptedError('its end was asked for before it had begun')
            if left_sec == 0.0:
                raise TimeoutError(f'it had not begun after {timeout_sec:g} s')

    def receive(self) -> list[EndWish]:
        """Return what has arrived; notes where the gateway has closed the channel."""
        messages, self._early = self._early, []
        while not self.lost:
            try:
                chunk = self.channel.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                chunk = b''
            self.lost = not chunk
            messages += self._incoming.feed(chunk)
            if len(chunk) < _READ_BYTES:
                break
        return messages

    def send(self, message: SupervisorMessage, descriptor: int | None = None) -> None:
        """Send the message, or keep it until there is room; without a gateway drop it.

        A descriptor goes with it where it can be passed on, and is closed here.
        """
        if self.lost:
            if descriptor is not None:
                os.close(descriptor)
            return
        self._outgoing += encode(message)
        if descriptor is not None:
            self._outgoing_descriptor = descriptor
        self.push()

    def push(self) -> None:
        """Send what waits, as far as there is room."""
        try:
            while self._outgoing:
                del self._outgoing[: self._send_some()]
        except BlockingIOError:
            return
        except OSError:
            self.lost = True
            self._outgoing.clear()

    def _send_some(self) -> int:
        descriptor = self._outgoing_descriptor
        if descriptor is None:
            return self.channel.send(self._outgoing)
        try:
            sent = socket.send_fds(self.channel, [self._outgoing], [descriptor])
        except BlockingIOError:
            raise
        except OSError:
            # The system may have too many on their way (man 7 unix, ETOOMANYREFS); whether the
            # gateway is lost is told by what is sent without.
            sent = 0
        self._outgoing_descriptor = None
        os.close(descriptor)
        return sent

    def flush(self, patience_sec: float) -> None:
        """Send what waits; gives up when the gateway is gone or after the patience."""
        deadline = time.monotonic() + patience_sec
        poll = select.poll()
        poll.register(self.channel, select.POLLOUT)
        poll.register(self.pidfd, select.POLLIN)
        while self._outgoing and not self.lost and time.monotonic() < deadline:
            poll.poll(100)
            self.push()
