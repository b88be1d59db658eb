# SPDX-License-Identifier: Apache-2.0
"""A reader of a stream that loses its connection at random, and goes on behind what it saw."""

from collections.abc import Callable, Iterator
import contextlib
import http.client
import random
import threading
import time

from event_streams import EVENT_STREAM, EventParser, StreamedEvent

SOCKET_SEC = 20.0


class RandomReader:
    """Reads in a thread of its own, from whichever gateway there is at the moment."""

    def __init__(self, address: Callable[[], tuple[str, int]], path: str, seed: int) -> None:
        """`path` is the whole one; `address` gives host and port of the present gateway."""
        self.path = path
        self.seen: list[StreamedEvent] = []
        self.is_over = False
        """Whether it was told that nothing more comes."""
        self._address = address
        self._random = random.Random(seed)
        self._last_id = ''
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read_on, daemon=True)
        self._thread.start()

    @property
    def has_place(self) -> bool:
        """Whether it was told of a place, behind which it goes on and misses nothing."""
        return self._last_id != ''

    def stop(self) -> None:
        """Read no more, once the present connection is over."""
        self._stopped.set()
        self._thread.join(2 * SOCKET_SEC)
        assert not self._thread.is_alive()

    def named(self, name: str) -> list[StreamedEvent]:
        """Return what it saw of one name."""
        return [event for event in self.seen if event.name == name]

    def _read_on(self) -> None:
        while not self._stopped.is_set() and not self.is_over:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._read_once()
            # A moment in which a gateway may be another one.
            time.sleep(self._random.uniform(0, 0.02))

    def _read_once(self) -> None:
        host, port = self._address()
        connection = http.client.HTTPConnection(host, port, timeout=SOCKET_SEC)
        headers = {'Accept': EVENT_STREAM}
        if self._last_id:
            headers['Last-Event-ID'] = self._last_id
        try:
            connection.request('GET', self.path, headers=headers)
            response = connection.getresponse()
            self.is_over = response.status == 204
            if response.status == 200:
                self._take(response)
        finally:
            connection.close()

    def _take(self, response: http.client.HTTPResponse) -> None:
        parser = EventParser()
        parser.last_id = self._last_id
        for line in self._lines(response):
            event = parser.feed(line)
            if not line:
                # What is not dispatched is of no place yet.
                self._last_id = parser.last_id
            if event is not None:
                self.seen.append(event)

    def _lines(self, response: http.client.HTTPResponse) -> Iterator[str]:
        """Yield lines until the connection breaks, by itself or because this one has enough."""
        for _ in range(self._random.choice([3, 10, 40, 200, 2000])):
            line = response.readline()
            if not line.endswith(b'\n') or self._stopped.is_set():
                return
            yield line.decode().removesuffix('\n')
