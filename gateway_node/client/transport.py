# SPDX-License-Identifier: Apache-2.0
"""Requests over connections that are kept, and sent again where that does no harm."""

from collections.abc import Iterator, Mapping
import contextlib
from dataclasses import dataclass, field, replace
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
import io
import random
import select
import threading
import time
from urllib.parse import urlsplit

from gateway_node.client.errors import (
    AnswerLate,
    AnswerLost,
    AnswerNotUnderstood,
    GatewayUnreachable,
)

API = '/api/v1'
_MAX_IDLE = 8
"""Connections that are kept; more threads than that open one a request."""
_MAX_PAUSE_SEC = 2.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked."""

    method: str
    target: str
    """Path and query below the base."""
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does what sending it once does (RFC 9110, 9.2.2)."""
        return self.method != 'POST'

    def __str__(self) -> str:
        return f'{self.method} {self.target}'


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was answered."""

    status: int
    headers: HTTPMessage
    content: bytes
    repeated: bool = False
    """The request was sent more than once: an earlier one may have done what it asks for."""


class Transport:
    """Connections to one gateway. Threads share it; processes do not."""

    def __init__(self, url: str, *, timeout_sec: float, patience_sec: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'a gateway has a URL such as http://127.0.0.1:8080, not {url!r}')
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f'the URL of a gateway has host, port and path only, not {url!r}')
        self._host, self._port = parts.hostname, parts.port
        self._kind = HTTPSConnection if parts.scheme == 'https' else HTTPConnection
        self._path = parts.path.rstrip('/').removesuffix(API) + API
        self.url = f'{parts.scheme}://{parts.netloc}{self._path}'
        """The base of the API."""
        self._timeout_sec = timeout_sec
        self._patience_sec = patience_sec
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def exchange(
        self, request: Request, *, answer_sec: float = 0.0, known: bool = False
    ) -> Answer:
        """Send a request; return the whole answer, for which the gateway has `answer_sec` more.

        Where the connection ends before that, one that is repeatable is sent again, until the
        patience is over; one to a gateway that was `known` to be there also where no connection
        comes about.

        Raises:
            GatewayUnreachable, AnswerLost, AnswerLate, AnswerNotUnderstood.
        """
        repeated = False
        for pause in pauses(self._patience_sec):
            try:
                answer = self._once(request, answer_sec)
            except GatewayUnreachable:
                if pause is None or not (known or repeated):
                    raise
            except AnswerLost:
                if pause is None or not request.repeatable:
                    raise
                repeated = True
            else:
                # 503: it ends, or has just begun.
                if pause is None or answer.status != 503 or not (known or repeated):
                    return replace(answer, repeated=repeated)
            time.sleep(pause)
        raise AssertionError('pauses end with None')

    def close(self) -> None:
        """Close the connections that are kept; the next request opens one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _once(self, request: Request, answer_sec: float) -> Answer:
        # What must not be sent twice never meets a connection that ends just then.
        connection = self._kept() if request.repeatable else None
        connection = connection or self._connected()
        try:
            with self._failures(request, answer_sec):
                response = self._response(connection, request, answer_sec)
                content = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return Answer(status=response.status, headers=response.headers, content=content)

    def _response(
        self, connection: HTTPConnection, request: Request, answer_sec: float
    ) -> HTTPResponse:
        headers, body = dict(request.headers), None
        if request.content is not None:
            # As a file it is sent piece by piece, each of which has the whole timeout.
            body = io.BytesIO(request.content)
            headers['Content-Length'] = str(len(request.content))
        # A gateway that refuses a long body closes before it has all of it: the answer is there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(request.method, self._path + request.target, body, headers)
        if connection.sock is not None:
            connection.sock.settimeout(self._timeout_sec + answer_sec)
        return connection.getresponse()

    @contextlib.contextmanager
    def _failures(self, request: Request, answer_sec: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise AnswerLate(str(request), self._timeout_sec + answer_sec) from error
        except (OSError, IncompleteRead) as error:
            raise AnswerLost(str(request), error) from error
        except HTTPException as error:
            raise AnswerNotUnderstood(str(request), repr(error)) from error

    def _connected(self) -> HTTPConnection:
        connection = self._kind(self._host, self._port, timeout=self._timeout_sec)
        try:
            connection.connect()
        except OSError as error:
            raise GatewayUnreachable(self.url, error) from error
        return connection

    def _kept(self) -> HTTPConnection | None:
        """Take a connection that nothing came over since: not even its end."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not _is_readable(connection):
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def pauses(patience_sec: float) -> Iterator[float | None]:
    """Go through the pauses between attempts: none, then growing ones; None once all is tried.

    They differ from client to client, so that a gateway that is back is not stormed.
    """
    end = time.monotonic() + patience_sec
    yield 0.0
    pause = 0.05
    while time.monotonic() < end:
        yield min(pause * random.uniform(0.5, 1.0), max(end - time.monotonic(), 0.0))
        pause = min(2 * pause, _MAX_PAUSE_SEC)
    yield None


def _is_readable(connection: HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
