# SPDX-License-Identifier: Apache-2.0
"""What the HTTP parser refuses is one line of the log, or counted."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
import pytest

from gateway_node.http_server.open_connections import ConnectionLimits
from gateway_node.http_server.refusals import RefusalLog
from gateway_node.http_server.server import Server

DEADLINE_SEC = 30.0
LOGGER = 'gateway_node.http_server.server'
REFUSED = {
    'no HTTP': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x1b[31m\r\n\r\n',
    'no method': b'G{}T / HTTP/1.1\r\nHost: robot\r\n\r\n',
    'no version': b'GET / HTTP/9.x\r\nHost: robot\r\n\r\n',
    'no header': b'GET / HTTP/1.1\r\nHost: robot\r\nno colon here\r\n\r\n',
    'endless line': b'GET /' + b'x' * 9000 + b' HTTP/1.1\r\nHost: robot\r\n\r\n',
    'endless header': b'GET / HTTP/1.1\r\nHost: robot\r\nX: ' + b'x' * 9000 + b'\r\n\r\n',
    'two lengths': b'POST / HTTP/1.1\r\nHost: robot\r\nContent-Length: 1\r\nContent-Length: 2'
    b'\r\n\r\nab',
    'length of both kinds': b'POST / HTTP/1.1\r\nHost: robot\r\nTransfer-Encoding: chunked\r\n'
    b'Content-Length: 2\r\n\r\nab',
    'bad length': b'POST / HTTP/1.1\r\nHost: robot\r\nContent-Length: -1\r\n\r\n',
    'bad chunk': b'POST / HTTP/1.1\r\nHost: robot\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n',
    'second is bad': b'GET / HTTP/1.1\r\nHost: robot\r\n\r\n\x16\x03\x01\r\n\r\n',
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Serve one route that reads its body."""

    async def answer(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response()

    server = Server(answer, ConnectionLimits())
    (url,) = await server.bind('127.0.0.1', 0)
    await server.serve()
    yield int(url.rsplit(':', 1)[1])
    await server.stop_accepting()
    await server.close()


async def exchange(port: int, sent: bytes) -> bytes:
    """Send bytes; return what comes until the server closes."""
    reader, writer = await asyncio.open_connection('127.0.0.1', port)
    try:
        async with asyncio.timeout(DEADLINE_SEC):
            writer.write(sent)
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize('sent', REFUSED.values(), ids=REFUSED)
async def test_a_refused_request_is_one_line(
    port: int, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """A warning with the reason, whatever aiohttp's version would say, and no traceback."""
    caplog.set_level(logging.INFO)
    assert b' 400 Bad Request\r\n' in await exchange(port, sent)
    (record,) = caplog.records
    message = record.getMessage()
    assert (record.name, record.levelname, record.exc_info) == (LOGGER, 'WARNING', None)
    assert message.startswith('a request was refused: ')
    assert message.isprintable()
    assert len(message) < 300


@pytest.mark.parametrize(
    'sent',
    [
        b'GET / HTTP/1.1\r\nHost: robot\r\nAuthorization : Bearer it\'s "seKret"\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: robot\r\nAuthorization: Bearer seKret'
        + b'x' * 9000
        + b'\r\n\r\n',
        b'GET / HTTP/1.1\r\nHost: robot\r\nAuthorization Bearer seKret\r\n\r\n',
        b'GET /?token=seKret HTTP/9.x\r\nHost: robot\r\n\r\n',
    ],
)
async def test_nothing_of_a_refused_request_is_logged(
    port: int, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """It may be a credential: aiohttp quotes the line that it does not understand."""
    caplog.set_level(logging.DEBUG)
    assert b' 400 Bad Request\r\n' in await exchange(port, sent)
    assert 'a request was refused: ' in caplog.text
    assert 'seKret' not in caplog.text


class Lines(logging.Handler):
    """Queues what is logged, so that a test can wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.told: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.told.put_nowait(record.getMessage())


async def test_many_refused_requests_are_counted() -> None:
    """The first is a line, those of the interval after it are one line together."""
    lines = Lines()
    logger = logging.Logger('refusals')
    logger.addHandler(lines)
    log = RefusalLog(logger, interval_sec=0.01)
    for number in range(100):
        log.exception('Error handling it', exc_info=HttpProcessingError(message=f'no {number}'))
    async with asyncio.timeout(DEADLINE_SEC):
        told = [await lines.told.get() for _ in range(2)]
    log.close()
    assert told == [
        'a request was refused: no 0',
        'more requests were refused (99), the last: no 99',
    ]
    assert lines.told.empty()


async def test_what_was_counted_is_told_at_the_close(caplog: pytest.LogCaptureFixture) -> None:
    """The end of the gateway does not wait for the interval, and loses no count."""
    log = RefusalLog(logging.getLogger(LOGGER), interval_sec=600)
    for _ in range(3):
        log.debug('Error handling request', exc_info=HttpProcessingError(message='no'))
    log.close()
    assert caplog.records[1].getMessage() == 'more requests were refused (2), the last: no'


async def test_what_is_no_refusal_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A defect inside of aiohttp is told in full, each time."""
    log = RefusalLog(logging.getLogger(LOGGER))
    for _ in range(2):
        log.exception('Unhandled exception', exc_info=ValueError('broken'))
    assert [record.levelname for record in caplog.records] == ['ERROR', 'ERROR']
    assert all(record.exc_info for record in caplog.records)
