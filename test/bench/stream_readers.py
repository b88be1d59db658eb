# SPDX-License-Identifier: Apache-2.0
"""A program that reads many streams of events, and counts what they tell.

Usage: stream_readers.py PORT PATH COUNT. It writes a line once all are connected; once its stdin
ends it writes how many events came, and ends.
"""

import contextlib
import selectors
import socket
import sys

_BEGUN = b'retry: '
_EVENT = b'\ndata: '
"""Each event has one such line."""


def main() -> None:
    """Connect, read, count."""
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    request = (
        f'GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n'
    ).encode()
    events = 0
    with contextlib.ExitStack() as open_sockets, selectors.DefaultSelector() as selector:
        for _ in range(count):
            stream = open_sockets.enter_context(socket.create_connection(('127.0.0.1', port)))
            stream.sendall(request)
            received = b''
            while _BEGUN not in received:
                piece = stream.recv(1 << 16)
                if not piece or not received.startswith(b'HTTP/1.1 200'[: len(received)]):
                    raise RuntimeError(f'answered {received!r}')
                received += piece
            selector.register(stream, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        _say('connected')
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    _say(str(events))
                    return
                assert isinstance(key.fileobj, socket.socket)
                events += key.fileobj.recv(1 << 16).count(_EVENT)


def _say(text: str) -> None:
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main()
