# SPDX-License-Identifier: Apache-2.0
"""What of a form is no file and no metadata: it ends, and it is not gathered."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import json
from pathlib import Path
import tracemalloc

from api_support import Api, BASE, serve_api
import pytest
from raw_requests import assert_refused, RawAnswer, read_answer, Target

MAX_FILE_BYTES = 1024 * 1024
MAX_FORM_BYTES = MAX_FILE_BYTES + 1024 * 1024 + 64 * 1024
"""The file, the metadata, and what is around them."""
MAX_PEAK = 2 * 1024 * 1024
"""Of memory: a few buffers; far less than is sent."""
SENT_MOST = 64 * 1024 * 1024
DEADLINE_SEC = 60.0
PATH = f'{BASE}/apps/temp_sensor/scripts'
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n'
FORM = PART + b'\r\ntrue\n\r\n--b--\r\n'
HEAD = [f'POST {PATH} HTTP/1.1', 'Host: robot', 'Content-Type: multipart/form-data; boundary=b']
ENDLESS = {
    'preamble': (b'', b'nothing\r\n' * 7000, 400),
    'line': (b'', b'x' * 60_000, 400),
    'header fields': (PART, b'X-Field: 1\r\n' * 5000, 400),
    'long header': (PART + b'X-Field: ', b'x' * 60_000, 400),
    'header of a second part': (FORM[:-4] + b'\r\n', b'X-Field: 1\r\n' * 5000, 400),
    'line behind': (FORM, b'x' * 60_000, 400),
    'lines behind': (FORM, b'nothing\r\n' * 7000, 413),
    'file': (PART + b'\r\n', b'x' * 60_000, 413),
}
"""How each begins, what comes then without end, and how it is answered."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path, max_file_bytes=MAX_FILE_BYTES) as served:
        yield served


async def endless(api: Api, begun: bytes, piece: bytes) -> RawAnswer:
    """Send a chunked form that has no end until the answer is there; return that."""
    reader, writer = await api.connect()
    chunk = b'%x\r\n%s\r\n' % (len(piece), piece)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            writer.write('\r\n'.join([*HEAD, 'Transfer-Encoding: chunked', '', '']).encode())
            writer.write(b'%x\r\n%s\r\n' % (len(begun), begun) if begun else b'')
            for _ in range(SENT_MOST // len(chunk)):
                writer.write(chunk)
                await writer.drain()

    sending = asyncio.create_task(send())
    try:
        async with asyncio.timeout(DEADLINE_SEC):
            return await read_answer(reader)
    finally:
        sending.cancel()
        writer.transport.abort()


@pytest.mark.parametrize(('begun', 'piece', 'status'), ENDLESS.values(), ids=ENDLESS)
async def test_nothing_of_a_form_is_endless(
    api: Api, tmp_path: Path, begun: bytes, piece: bytes, status: int
) -> None:
    """It is refused as a bound is passed, and until then little of it is in memory."""
    tracemalloc.start()
    try:
        answer = await endless(api, begun, piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert_refused(answer, status, of=begun)
    assert peak < MAX_PEAK
    assert [path for path in (tmp_path / 'scripts').rglob('*') if path.is_file()] == []


async def test_a_form_that_announces_too_much_is_refused_before_it_comes(api: Api) -> None:
    """413 by its Content-Length; one byte fewer would be read."""
    target = Target(api=api, script_id='')
    answer = await target.exchange([*HEAD, f'Content-Length: {MAX_FORM_BYTES + 1}'])
    assert_refused(answer, 413, of='one byte more')
    assert str(MAX_FORM_BYTES) in json.loads(answer.content)['message']


async def test_the_largest_form_is_taken(api: Api) -> None:
    """A file and a metadata of the most bytes each leave room for what is around them."""
    description = 'x' * 1000
    metadata = json.dumps({'name': 'a', 'description': description}).encode()
    metadata += b' ' * (1024 * 1024 - len(metadata))
    content = (
        b'A preamble\r\n' * 1000
        + b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + metadata + b'\r\n'
        + PART + b'\r\n' + b'#' * MAX_FILE_BYTES + b'\r\n--b--\r\n'
        + b'An epilogue\r\n' * 1000
    )  # fmt: skip
    target = Target(api=api, script_id='')
    answer = await target.exchange([*HEAD, f'Content-Length: {len(content)}'], content)
    assert answer.status == 201, answer
    assert (await api.request('GET', '/apps/temp_sensor/scripts')).status == 200
