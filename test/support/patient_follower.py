# SPDX-License-Identifier: Apache-2.0
"""Who follows all that happens, however often the connection breaks."""

from collections.abc import Iterator
import contextlib
import http.client
import random
import ssl
import threading

from event_streams import EVENT_STREAM, EventParser, StreamedEvent

PATH = '/api/v1/events'
PAUSE_SEC = 0.05
ANSWER_SEC = 20.0


class PatientFollower:
    """Follows a stream, and goes on where it was."""

    def __init__(
        self,
        port: int,
        seed: float,
        *,
        token: str | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`trust` is what it takes to speak TLS; without it HTTP is spoken."""
        self.seen: list[StreamedEvent] = []
        """What has a place in the log; of progress nothing."""
        self._port = port
        self._shown = {} if token is None else {'Authorization': f'Bearer {token}'}
        self._trust = trust
        self._random = random.Random(seed)
        self._over = threading.Event()

    @property
    def sequences(self) -> list[int]:
        """The numbers of the events in the log, as they came."""
        return [int(each.id.split('-')[1]) for each in self.seen]

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Follow for a while."""
        thread = threading.Thread(target=self._follow)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(2 * ANSWER_SEC)
        assert not thread.is_alive()

    def _follow(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._follow_once()
            self._over.wait(PAUSE_SEC)

    def _follow_once(self) -> None:
        headers = {'Accept': EVENT_STREAM, **self._shown}
        if self.seen:
            headers['Last-Event-ID'] = self.seen[-1].id
        connection = self._connection()
        with contextlib.closing(connection):
            connection.request('GET', PATH, headers=headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            parser = EventParser()
            while not self._over.is_set() and (line := response.readline()):
                event = parser.feed(line.decode().removesuffix('\n'))
                if event is not None and event.name != 'progress':
                    self.seen.append(event)
                    if self._random.random() < 0.02:
                        return

    def _connection(self) -> http.client.HTTPConnection:
        if self._trust is None:
            return http.client.HTTPConnection('127.0.0.1', self._port, timeout=ANSWER_SEC)
        return http.client.HTTPSConnection(
            '127.0.0.1', self._port, timeout=ANSWER_SEC, context=self._trust
        )
