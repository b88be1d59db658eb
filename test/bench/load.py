# SPDX-License-Identifier: Apache-2.0
"""Clients of HTTP that cost little, so that what is measured is the server.

One thread keeps any number of connections busy; each sends its next request once it has the
answer to the last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import itertools
import json
import re
import selectors
import socket
import time
from typing import Any

PATIENCE_SEC = 60.0
_LENGTH = re.compile(rb'\r\ncontent-length: *(\d+)', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is sent, and what its answer has to have in it."""

    port: int
    content: bytes
    expected: bytes


class Connection:
    """One connection, kept open."""

    def __init__(self, port: int) -> None:
        self._expected = b''
        self._received = b''
        self.socket = socket.create_connection(('127.0.0.1', port), PATIENCE_SEC)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, asked: Request) -> None:
        """Send a request."""
        self._expected = asked.expected
        self.socket.sendall(asked.content)

    def receive(self) -> bool:
        """Take what has come; return whether the answer is whole."""
        piece = self.socket.recv(1 << 20)
        self._received += piece
        head, gap, body = self._received.partition(b'\r\n\r\n')
        length = _LENGTH.search(head)
        whole = gap and length is not None and len(body) == int(length.group(1))
        if not piece or (whole and self._expected not in self._received):
            raise RuntimeError(f'answered {self._received[:1000]!r}')
        if whole:
            self._received = b''
        return bool(whole)

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def request(
    port: int,
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    expected: str = ' 200 ',
) -> Request:
    """Build a request."""
    content = b'' if body is None else json.dumps(body).encode()
    lines = [f'{method} {path} HTTP/1.1', f'Host: 127.0.0.1:{port}']
    lines += [f'{name}: {value}' for name, value in (headers or {}).items()]
    if content:
        lines += ['Content-Type: application/json', f'Content-Length: {len(content)}']
    return Request(
        port=port,
        content='\r\n'.join([*lines, '', '']).encode() + content,
        expected=expected.encode(),
    )


class Clients:
    """So many connections to one server, which ask in turns what is to be asked."""

    def __init__(self, asked: Sequence[Request], count: int) -> None:
        self._asked = itertools.cycle(asked)
        self._connections = [Connection(asked[0].port) for _ in range(count)]

    def ms_each(self) -> float:
        """Return what one request of one client takes, in milliseconds."""
        return self._seconds(1) * 1000

    def rate(self, count: int) -> float:
        """Return how many requests a second all of them get answered, `count` in all."""
        return count / self._seconds(count)

    def _seconds(self, count: int) -> float:
        with selectors.DefaultSelector() as selector:
            for each in self._connections:
                selector.register(each.socket, selectors.EVENT_READ, each)
            begun = time.perf_counter()
            first = self._connections[:count]
            for each in first:
                each.send(next(self._asked))
            unsent, unanswered = count - len(first), count
            while unanswered:
                ready = selector.select(PATIENCE_SEC)
                if not ready:
                    raise TimeoutError(f'{unanswered} answers have not come')
                for key, _ in ready:
                    if key.data.receive():
                        unanswered -= 1
                        if unsent:
                            key.data.send(next(self._asked))
                            unsent -= 1
            return time.perf_counter() - begun

    def close(self) -> None:
        """Close the connections."""
        for each in self._connections:
            each.close()
