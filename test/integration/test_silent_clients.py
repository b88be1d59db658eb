# SPDX-License-Identifier: Apache-2.0
"""Clients that stop sending in the middle of a body, or send it for ever."""

import asyncio
from collections.abc import AsyncIterator, Iterable
import contextlib
import json
from pathlib import Path

from api_support import Api, BASE, serve_api
import pytest

from gateway_node.http_server.services import Patience

SILENCE_SEC = 1.0
DEADLINE_SEC = 60.0
ENTITY = 'apps/temp_sensor'
FORM_TYPE = 'multipart/form-data; boundary=b'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\ntrue\n'
METADATA = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"name": '
END = b'\r\n--b--\r\n'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway with little patience."""
    async with serve_api(tmp_path, patience=Patience(silence_sec=SILENCE_SEC)) as served:
        yield served


@contextlib.asynccontextmanager
async def sending(
    api: Api, method: str, path: str, content_type: str, length: int, pieces: Iterable[bytes]
) -> AsyncIterator[asyncio.StreamReader]:
    """Announce a body, send pieces of it with pauses, and read what comes."""
    reader, writer = await api.connect()
    head = f'{method} {BASE}{path} HTTP/1.1\r\nHost: robot\r\nContent-Type: {content_type}\r\n'
    try:
        async with asyncio.timeout(DEADLINE_SEC):
            writer.write(f'{head}Content-Length: {length}\r\n\r\n'.encode())
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(SILENCE_SEC / 5)
            yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Read an answer: status, headers, content."""
    first, *lines = (await reader.readuntil(b'\r\n\r\n')).decode().strip().split('\r\n')
    headers = dict(line.lower().split(': ', 1) for line in lines)
    content = await reader.readexactly(int(headers.get('content-length', '0')))
    return int(first.split()[1]), headers, content


def stored(directory: Path) -> set[Path]:
    """Return every file below a directory."""
    return {path for path in directory.rglob('*') if path.is_file()}


@pytest.mark.parametrize(
    ('method', 'path', 'content_type', 'begun'),
    [
        ('POST', '/scripts', FORM_TYPE, b''),
        ('POST', '/scripts', FORM_TYPE, FILE[:30]),
        ('POST', '/scripts', FORM_TYPE, FILE),
        ('POST', '/scripts', FORM_TYPE, METADATA),
        ('PUT', '/scripts/{script_id}', FORM_TYPE, FILE),
        ('POST', '/scripts/{script_id}/executions', 'application/json', b''),
        ('POST', '/scripts/{script_id}/executions', 'application/json', b'{"execution_type"'),
    ],
    ids=['nothing', 'headers', 'file', 'metadata', 'replacement', 'no JSON', 'half a JSON'],
)
async def test_a_client_that_falls_silent_is_refused(
    api: Api, tmp_path: Path, method: str, path: str, content_type: str, begun: bytes
) -> None:
    """408, the connection closes, and nothing of the upload is left on the disk."""
    script_id = await api.upload(ENTITY)
    before = stored(tmp_path)
    path = f'/{ENTITY}{path.format(script_id=script_id)}'
    async with sending(api, method, path, content_type, 10_000, [begun]) as reader:
        status, headers, content = await answer(reader)
    assert (status, json.loads(content)['error_code']) == (408, 'invalid-request')
    assert headers['connection'] == 'close'
    assert stored(tmp_path) == before


async def test_the_connection_of_a_silent_client_is_closed(api: Api) -> None:
    """The server lingers for some seconds over what may still come, then it lets go."""
    async with sending(api, 'POST', f'/{ENTITY}/scripts', FORM_TYPE, 10_000, [FILE]) as reader:
        assert (await answer(reader))[0] == 408
        assert await reader.read() == b''


async def test_a_slow_client_is_waited_for(api: Api) -> None:
    """What counts is silence: an upload may take far longer, piece by piece."""
    content = FILE + b'# on and on\n' * 10 + END
    pieces = [content[at : at + 24] for at in range(0, len(content), 24)]
    assert len(pieces) * SILENCE_SEC / 5 > SILENCE_SEC
    path = f'/{ENTITY}/scripts'
    async with sending(api, 'POST', path, FORM_TYPE, len(content), pieces) as reader:
        assert (await answer(reader))[0] == 201


@pytest.mark.parametrize('begun', [FORM_TYPE, 'application/json'])
async def test_a_client_that_trickles_is_refused(tmp_path: Path, begun: str) -> None:
    """Never silent for long, and yet slower than the floor: 408, and no file is left."""
    patience = Patience(silence_sec=DEADLINE_SEC, grace_sec=SILENCE_SEC / 2, bytes_per_sec=1000)
    path = f'/{ENTITY}/scripts'
    async with serve_api(tmp_path, patience=patience) as api:
        if begun != FORM_TYPE:
            path = f'{path}/{await api.upload(ENTITY)}/executions'
        before = stored(tmp_path)
        content = FILE if begun == FORM_TYPE else b'{' + b' ' * 100
        pieces = [content[at : at + 1] for at in range(5)]  # of one fifth of SILENCE_SEC each
        async with sending(api, 'POST', path, begun, 10_000, pieces) as reader:
            status, headers, body = await answer(reader)
        assert (status, headers['connection']) == (408, 'close')
        assert '1000 bytes a second' in json.loads(body)['message']
        assert stored(tmp_path) == before


async def test_a_poor_link_is_waited_for(tmp_path: Path) -> None:
    """Past the grace period what counts is the average, over the floor here."""
    patience = Patience(grace_sec=SILENCE_SEC / 2, bytes_per_sec=10)
    content = FILE + b'# on and on\n' * 10 + END
    pieces = [content[at : at + 24] for at in range(0, len(content), 24)]
    assert len(pieces) * SILENCE_SEC / 5 > patience.grace_sec
    path = f'/{ENTITY}/scripts'
    async with (
        serve_api(tmp_path, patience=patience) as api,
        sending(api, 'POST', path, FORM_TYPE, len(content), pieces) as reader,
    ):
        assert (await answer(reader))[0] == 201


async def test_a_client_that_goes_away_leaves_no_file_and_no_error(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropping an upload is the client's right, and no defect of the gateway."""
    staging = tmp_path / 'scripts' / '.incoming'
    async with sending(api, 'POST', f'/{ENTITY}/scripts', FORM_TYPE, 10_000, [FILE]):
        assert stored(staging)
    async with asyncio.timeout(DEADLINE_SEC):
        while stored(staging):
            assert (await api.request('GET', '/version-info')).status == 200
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


async def test_a_script_beyond_the_limit_is_refused_before_its_file_comes(tmp_path: Path) -> None:
    """429 to the head of the request; a new version of a script that is there is taken."""
    async with serve_api(tmp_path, max_scripts=1) as api:
        script_id = await api.upload(ENTITY)
        path = f'/{ENTITY}/scripts'
        async with sending(api, 'POST', path, FORM_TYPE, 1000, [FILE]) as reader:
            status, _, content = await answer(reader)
        assert (status, json.loads(content)['vendor_code']) == (429, 'x-gateway-limit-reached')
        whole = FILE + END
        async with sending(
            api, 'PUT', f'{path}/{script_id}', FORM_TYPE, len(whole), [whole]
        ) as reader:
            assert (await answer(reader))[0] == 200
