"""A supervisor's end of the channel to its gateway."""

import select
import socket
import time
from typing import Any

from gateway_node.child.messages import encode, MessageBuffer, SupervisorOrder


class GatewayLink:
    """The supervisor's end of the channel to its gateway; it never blocks on it."""

    def __init__(self, channel: socket.socket, pidfd: int) -> None:
        self.channel = channel
        self.pidfd = pidfd
        self.lost = False
        self._incoming = MessageBuffer()
        self._outgoing = bytearray()
        self._early: list[dict[str, Any]] = []
        channel.setblocking(False)

    @property
    def idle(self) -> bool:
        """True where nothing waits to be sent."""
        return not self._outgoing

    def receive_order(self) -> SupervisorOrder | None:
        """Wait for the order; None where the gateway went before it was complete."""
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        poll.register(self.pidfd, select.POLLIN)
        while not self.lost:
            poll.poll()
            messages = self.receive()
            if messages:
                self._early = messages[1:]
                return messages[0]  # type: ignore[return-value]
        return None

    def receive(self) -> list[dict[str, Any]]:
        """Return what has arrived; notes where the gateway is gone."""
        messages, self._early = self._early, []
        while not self.lost:
            try:
                chunk = self.channel.recv(1 << 20)
            except BlockingIOError:
                break
            except OSError:
                chunk = b''
            if not chunk:
                self.lost = True
            messages += self._incoming.feed(chunk)
        readable, _, _ = select.select([self.pidfd], [], [], 0)
        self.lost = self.lost or bool(readable)
        return messages

    def send(self, message: Any) -> None:
        """Send the message, or keep it until there is room; without a gateway drop it."""
        if self.lost:
            return
        self._outgoing += encode(message)
        self.push()

    def push(self) -> None:
        """Send what waits, as far as there is room."""
        try:
            while self._outgoing:
                del self._outgoing[: self.channel.send(self._outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self.lost = True
            self._outgoing.clear()

    def flush(self, patience_sec: float) -> None:
        """Send what waits; gives up when the gateway is gone or after the patience."""
        deadline = time.monotonic() + patience_sec
        poll = select.poll()
        poll.register(self.channel, select.POLLOUT)
        poll.register(self.pidfd, select.POLLIN)
        while self._outgoing and not self.lost and time.monotonic() < deadline:
            poll.poll(100)
            self.push()
