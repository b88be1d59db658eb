# SPDX-License-Identifier: Apache-2.0
"""Requests over connections that are kept, and sent again where that does no harm."""

from collections.abc import Callable, Iterator, Mapping
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
import os
import random
import select
import ssl
import threading
import time
from urllib.parse import urlsplit

from gateway_node.client.errors import (
    AnswerLate,
    AnswerLost,
    AnswerNotUnderstood,
    GatewayError,
    GatewayUnreachable,
)

API = '/api/v1'
IDEMPOTENCY_KEY = 'Idempotency-Key'
_MAX_IDLE = 8
"""Connections that are kept; more threads than that open one a request."""
_MAX_PAUSE_SEC = 2.0
_PIECE_BYTES = 64 * 1024


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
        return self.method != 'POST' or IDEMPOTENCY_KEY in self.headers

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


class Body:
    """The content of an answer, while it comes; raises as `Transport.exchange` does."""

    def __init__(
        self,
        response: HTTPResponse,
        failures: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._response = response
        self._failures = failures

    def lines(self) -> Iterator[bytes]:
        """Go through its lines, each with its end; the last one may have none."""
        with self._failures():
            while line := self._response.readline():
                yield line

    def pieces(self) -> Iterator[bytes]:
        """Go through all of it; that it ends does not say that it is whole."""
        with self._failures():
            while piece := self._response.read(_PIECE_BYTES):
                yield piece


class Transport:
    """Connections to one gateway. Threads may share it."""

    def __init__(
        self,
        url: str,
        *,
        timeout_sec: float,
        patience_sec: float,
        headers: Mapping[str, str] | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """`headers` go with each request."""
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ValueError(f'a gateway has a URL such as http://127.0.0.1:8080, not {url!r}')
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f'the URL of a gateway has host, port and path only, not {url!r}')
        self._host, self._port = parts.hostname, parts.port
        if ssl_context is not None and parts.scheme != 'https':
            raise ValueError(f'an ssl_context is for a URL with https, not {url!r}')
        self._is_tls, self._ssl_context = parts.scheme == 'https', ssl_context
        self._path = parts.path.rstrip('/').removesuffix(API) + API
        self.url = f'{parts.scheme}://{parts.netloc}{self._path}'
        """The base of the API."""
        self._headers = dict(headers or {})
        self._timeout_sec = timeout_sec
        self._patience_sec = patience_sec
        self.has_answered = False
        """Whether there was a gateway, ever."""
        self._process = os.getpid()
        self._idle: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def exchange(self, request: Request, *, pursued: bool = False) -> Answer:
        """Send a request; return the whole answer.

        Where the connection ends before that, one that is repeatable is sent again, until the
        patience is over; one that is `pursued` also where a gateway that has answered before is
        not reached, or not ready.

        Raises:
            GatewayUnreachable, AnswerLost, AnswerLate, AnswerNotUnderstood.
        """
        repeated = False
        for pause in self.pauses():
            pursued_now = pause is not None and (repeated or (pursued and self.has_answered))
            try:
                answer = self._once(request)
            except GatewayUnreachable:
                if not pursued_now:
                    raise
            except AnswerLost:
                if pause is None or not request.repeatable:
                    raise
                repeated = True
            else:
                # 503: it ends, or has just begun.
                if answer.status != 503 or not pursued_now:
                    return replace(answer, repeated=repeated)
            time.sleep(pause or 0)
        raise AssertionError('pauses end with None')

    @contextlib.contextmanager
    def stream(self, request: Request, silence_sec: float) -> Iterator[tuple[Answer, 'Body']]:
        """Send a request; give the answer, and what comes of its content while it comes.

        Only what is no success has its content in the answer.

        Raises:
            What `exchange` does, also from within the content.
        """
        connection = self._connected()
        # Of an answer behind which the connection ends it is the answer's.
        socket = connection.sock
        try:
            with self._failures(request, self._timeout_sec):
                response = self._response(connection, request)
                content = b'' if response.status < 300 else response.read()
            answer = Answer(status=response.status, headers=response.headers, content=content)
            # Behind an answer that has been read the connection may be closed.
            if response.status < 300:
                socket.settimeout(silence_sec)
            yield answer, Body(response, lambda: self._failures(request, silence_sec))
        finally:
            connection.close()

    def pauses(self) -> Iterator[float | None]:
        """Go through the pauses between attempts: none, then growing ones; None once all is tried.

        They differ from client to client, so that a gateway that is back is not stormed.
        """
        end = time.monotonic() + self._patience_sec
        yield 0.0
        pause = 0.05
        while (left := end - time.monotonic()) > 0:
            yield min(pause * random.uniform(0.5, 1.0), left)
            pause = min(2 * pause, _MAX_PAUSE_SEC)
        yield None

    def close(self) -> None:
        """Close the connections that are kept; the next request opens one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _once(self, request: Request) -> Answer:
        # What must not be sent twice never meets a connection that ends just then.
        connection = self._kept() if request.repeatable else None
        connection = connection or self._connected()
        try:
            with self._failures(request, self._timeout_sec):
                response = self._response(connection, request)
                content = response.read()
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            self._keep(connection)
        return Answer(status=response.status, headers=response.headers, content=content)

    def _response(self, connection: HTTPConnection, request: Request) -> HTTPResponse:
        headers, body = {**self._headers, **request.headers}, None
        if request.content is not None:
            # As a file it is sent piece by piece, each of which has the whole timeout.
            body = io.BytesIO(request.content)
            headers['Content-Length'] = str(len(request.content))
        # A gateway that refuses a long body closes before it has all of it: the answer is there.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(request.method, self._path + request.target, body, headers)
        response = connection.getresponse()
        self.has_answered = True
        return response

    @contextlib.contextmanager
    def _failures(self, request: Request, silence_sec: float) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise AnswerLate(str(request), silence_sec) from error
        except ssl.SSLError as error:
            # In TLS 1.3 whoever connects hears behind the handshake only that it is refused.
            if 'ALERT' in (error.reason or ''):
                raise GatewayUnreachable(self.url, error) from error
            raise AnswerLost(str(request), error) from error
        except (OSError, IncompleteRead) as error:
            raise AnswerLost(str(request), error) from error
        except HTTPException as error:
            raise AnswerNotUnderstood(str(request), repr(error)) from error

    def _connected(self) -> HTTPConnection:
        connection = self._connection()
        try:
            connection.connect()
        except OSError as error:
            raise GatewayUnreachable(self.url, error) from error
        return connection

    def _connection(self) -> HTTPConnection:
        to, timeout_sec = (self._host, self._port), self._timeout_sec
        if not self._is_tls:
            return HTTPConnection(*to, timeout=timeout_sec)
        return HTTPSConnection(*to, timeout=timeout_sec, context=self._ssl_context)

    def _kept(self) -> HTTPConnection | None:
        """Take a connection that nothing came over since: not even its end."""
        while True:
            with self._lock:
                if self._process != os.getpid():
                    # A fork: what it has of the connections is its parent's.
                    self._idle, self._process = [], os.getpid()
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


class Pursuit:
    """One thing that is tried again until the patience is over in which nothing of it came."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._pauses = transport.pauses()

    def after(self, failure: GatewayError, *, got_on: bool) -> None:
        """Pause before the next attempt; raise the failure where there is none."""
        if got_on:
            self._pauses = self._transport.pauses()
        pause = next(self._pauses)
        if pause is None:
            raise failure
        time.sleep(pause)


def _is_readable(connection: HTTPConnection) -> bool:
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
