# SPDX-License-Identifier: Apache-2.0
"""A receiver of callbacks that takes some of them, answers 500 to others, or nothing."""

from collections.abc import Iterator
import contextlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import random
import threading
from typing import Any


class MoodyReceiver:
    """Notes each callback before it answers."""

    def __init__(self, seed: float) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        """The `webhook-id` of each, and the execution that it tells of."""
        self.calm = False
        """True where all are taken from now on."""
        self._random = random.Random(seed)
        self._server = ThreadingHTTPServer(('127.0.0.1', 0), self._handler())

    @property
    def url(self) -> str:
        """Where it is."""
        return f'http://127.0.0.1:{self._server.server_port}'

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take callbacks for a while."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name is that of the base class
                body = self.rfile.read(int(self.headers['Content-Length']))
                receiver.told.append((self.headers['webhook-id'], json.loads(body)))
                mood = 1.0 if receiver.calm else receiver._random.random()
                if mood > 0.1:
                    self.send_response(204 if mood > 0.25 else 500)
                    self.send_header('Content-Length', '0')
                    self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        return Handler
