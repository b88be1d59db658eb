# SPDX-License-Identifier: Apache-2.0
"""A network between a client and a gateway, which ends connections as networks do."""

from collections.abc import Iterator
import contextlib
import select
import socket
import struct
import threading

from waiting import DEADLINE_SEC

_NO_LINGER = struct.pack('ii', 1, 0)
"""Closing sends a reset (man 7 socket, SO_LINGER)."""


class Relay:
    """Passes on what comes to `address`, to wherever `gateway` is."""

    def __init__(self, gateway: str | None) -> None:
        self.gateway = gateway
        """`host:port`; None refuses every connection once it is made."""
        self.connections = 0
        """How many came."""
        self.budgets: Iterator[int] = iter(())
        """After how many bytes of answers each connection ends that comes from now on."""
        self.lose_answer_to: bytes | None = None
        """What is asked for where the connection ends before the answer, once."""
        self._listening = socket.create_server(('127.0.0.1', 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        host, port = self._listening.getsockname()
        self.address = f'{host}:{port}'

    def serve(self) -> None:
        """Accept connections until `close`."""
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            cut = list(self._open)
        for each in cut:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Accept no more, and end what is there."""
        # Closing alone wakes nobody who waits in accept.
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def _pass_on(self, client: socket.socket) -> None:
        if self.gateway is None:
            client.close()
            return
        host, _, port = self.gateway.partition(':')
        try:
            gateway = socket.create_connection((host, int(port)), DEADLINE_SEC)
        except OSError:
            client.close()
            return
        with self._lock:
            self._open |= {client, gateway}
        with contextlib.suppress(OSError):
            self._both_ways(client, gateway)
        with self._lock:
            self._open -= {client, gateway}
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        client.close()
        gateway.close()

    def _both_ways(self, client: socket.socket, gateway: socket.socket) -> None:
        left, asked = next(self.budgets, None), b''
        while left is None or left > 0:
            ready, _, _ = select.select([client, gateway], [], [])
            for source in ready:
                passed = source.recv(65536)
                if not passed:
                    return
                if source is client:
                    gateway.sendall(passed)
                    asked += passed
                elif self.lose_answer_to is not None and self.lose_answer_to in asked:
                    self.lose_answer_to = None
                    return
                else:
                    client.sendall(passed if left is None else passed[:left])
                    left = None if left is None else left - len(passed)


@contextlib.contextmanager
def relay_to(gateway: str | None) -> Iterator[Relay]:
    """Pass connections on to a gateway."""
    relay = Relay(gateway)
    thread = threading.Thread(target=relay.serve)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(DEADLINE_SEC)
    assert not thread.is_alive()
