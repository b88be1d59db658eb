# SPDX-License-Identifier: Apache-2.0
"""Clients that stop sending in the middle of a body, or send it for ever."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import contextlib
from dataclasses import dataclass, field
import json
from pathlib import Path

from api_support import Api, BASE, serve_api
from loop_clock import LoopClock
import pytest

from gateway_node.http_server.services import Patience

SILENCE_SEC = 60.0
PAUSE_SEC = 40.0
DEADLINE_SEC = 600.0
"""Longer than all that a test lets pass."""
ENTITY = 'apps/temp_sensor'
FORM_TYPE = 'multipart/form-data; boundary=b'
FILE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\ntrue\n'
METADATA = b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{"name": '
END = b'\r\n--b--\r\n'


@dataclass(frozen=True, kw_only=True)
class WatchedPatience(Patience):
    """Tells when a body is waited for: how much of it has come by then."""

    received: asyncio.Queue[int] = field(default_factory=asyncio.Queue, init=False)

    def left_sec(self, received: int, waited_sec: float) -> float:
        self.received.put_nowait(received)
        return super().left_sec(received, waited_sec)

    async def until_waiting_behind(self, count: int) -> None:
        """Wait until the gateway has taken so many bytes and waits for more."""
        while await self.received.get() != count:
            pass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A gateway, and the time that it waits by."""

    api: Api
    clock: LoopClock
    patience: WatchedPatience

    @contextlib.asynccontextmanager
    async def sending(
        self, method: str, path: str, content_type: str, length: int, pieces: Sequence[bytes]
    ) -> AsyncIterator[asyncio.StreamReader]:
        """Announce a body, send pieces of it with pauses between them, and read what comes."""
        reader, writer = await self.api.connect()
        head = f'{method} {BASE}{path} HTTP/1.1\r\nHost: robot\r\nContent-Type: {content_type}\r\n'
        while not self.patience.received.empty():
            self.patience.received.get_nowait()
        sent = 0
        try:
            async with asyncio.timeout(DEADLINE_SEC):
                writer.write(f'{head}Content-Length: {length}\r\n\r\n'.encode())
                for number, piece in enumerate(pieces):
                    if number:
                        await self.clock.advance(PAUSE_SEC)
                    writer.write(piece)
                    sent += len(piece)
                    if sent < length:
                        await self.patience.until_waiting_behind(sent)
                yield reader
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def staged(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    patience: WatchedPatience,
    *,
    max_scripts: int = 0,
) -> AsyncIterator[Stage]:
    """Serve a gateway with this patience."""
    clock = LoopClock(monkeypatch)
    async with serve_api(directory, max_scripts=max_scripts, patience=patience) as api:
        yield Stage(api=api, clock=clock, patience=patience)


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Serve a gateway that minds nothing but silence."""
    patience = WatchedPatience(silence_sec=SILENCE_SEC, grace_sec=DEADLINE_SEC)
    async with staged(tmp_path, monkeypatch, patience) as served:
        yield served


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
    stage: Stage, tmp_path: Path, method: str, path: str, content_type: str, begun: bytes
) -> None:
    """408, the connection closes, and nothing of the upload is left on the disk."""
    script_id = await stage.api.upload(ENTITY)
    before = stored(tmp_path)
    path = f'/{ENTITY}{path.format(script_id=script_id)}'
    async with stage.sending(method, path, content_type, 10_000, [begun]) as reader:
        await stage.clock.advance(SILENCE_SEC)
        status, headers, content = await answer(reader)
    assert (status, json.loads(content)['error_code']) == (408, 'invalid-request')
    assert headers['connection'] == 'close'
    assert stored(tmp_path) == before


async def test_the_connection_of_a_silent_client_is_closed(stage: Stage) -> None:
    """The server lingers for some seconds over what may still come, then it lets go."""
    async with stage.sending('POST', f'/{ENTITY}/scripts', FORM_TYPE, 10_000, [FILE]) as reader:
        await stage.clock.advance(SILENCE_SEC)
        assert (await answer(reader))[0] == 408
        rest = asyncio.ensure_future(reader.read())
        while not rest.done():
            await stage.clock.advance(1)
        assert await rest == b''


async def test_a_slow_client_is_waited_for(stage: Stage) -> None:
    """What counts is silence: an upload may take far longer, piece by piece."""
    content = FILE + b'# on and on\n' * 10 + END
    pieces = [content[at : at + 48] for at in range(0, len(content), 48)]
    assert (len(pieces) - 1) * PAUSE_SEC > 2 * SILENCE_SEC
    path = f'/{ENTITY}/scripts'
    async with stage.sending('POST', path, FORM_TYPE, len(content), pieces) as reader:
        assert (await answer(reader))[0] == 201


async def test_bytes_of_one_line_are_no_silence(stage: Stage) -> None:
    """However long a line of a form takes, as the header of a part byte by byte."""
    content = FILE + END
    pieces = [content[at : at + 1] for at in range(6)] + [content[6:]]
    path = f'/{ENTITY}/scripts'
    async with stage.sending('POST', path, FORM_TYPE, len(content), pieces) as reader:
        assert (await answer(reader))[0] == 201


@pytest.mark.parametrize('begun', [FORM_TYPE, 'application/json'])
async def test_a_client_that_trickles_is_refused(
    tmp_path: Path, begun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never silent for long, and yet slower than the floor: 408, and no file is left."""
    patience = WatchedPatience(
        silence_sec=DEADLINE_SEC, grace_sec=4 * PAUSE_SEC, bytes_per_sec=1000
    )
    path = f'/{ENTITY}/scripts'
    async with staged(tmp_path, monkeypatch, patience) as stage:
        if begun != FORM_TYPE:
            path = f'{path}/{await stage.api.upload(ENTITY)}/executions'
        before = stored(tmp_path)
        content = FILE if begun == FORM_TYPE else b'{' + b' ' * 100
        pieces = [content[at : at + 1] for at in range(4)]
        async with stage.sending('POST', path, begun, 10_000, pieces) as reader:
            await stage.clock.advance(PAUSE_SEC + 1)
            status, headers, body = await answer(reader)
        assert (status, headers['connection']) == (408, 'close')
        assert '1000 bytes a second' in json.loads(body)['message']
        assert stored(tmp_path) == before


async def test_a_poor_link_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the grace period what counts is the average, over the floor here."""
    patience = WatchedPatience(silence_sec=SILENCE_SEC, grace_sec=SILENCE_SEC, bytes_per_sec=1)
    content = FILE + b'# on and on\n' * 10 + END
    pieces = [content[at : at + 48] for at in range(0, len(content), 48)]
    assert (len(pieces) - 1) * PAUSE_SEC > 2 * patience.grace_sec
    path = f'/{ENTITY}/scripts'
    async with (
        staged(tmp_path, monkeypatch, patience) as stage,
        stage.sending('POST', path, FORM_TYPE, len(content), pieces) as reader,
    ):
        assert (await answer(reader))[0] == 201


async def test_a_client_that_goes_away_leaves_no_file_and_no_error(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropping an upload is the client's right, and no defect of the gateway."""
    staging = tmp_path / 'scripts' / '.incoming'
    async with stage.sending('POST', f'/{ENTITY}/scripts', FORM_TYPE, 10_000, [FILE]):
        assert stored(staging)
    async with asyncio.timeout(DEADLINE_SEC):
        while stored(staging):
            assert (await stage.api.request('GET', '/version-info')).status == 200
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


async def test_a_script_beyond_the_limit_is_refused_before_its_file_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """429 to the head of the request; a new version of a script that is there is taken."""
    async with staged(tmp_path, monkeypatch, WatchedPatience(), max_scripts=1) as stage:
        script_id = await stage.api.upload(ENTITY)
        path = f'/{ENTITY}/scripts'
        async with stage.sending('POST', path, FORM_TYPE, 1000, []) as reader:
            status, _, content = await answer(reader)
        assert (status, json.loads(content)['vendor_code']) == (429, 'x-gateway-limit-reached')
        whole = FILE + END
        path = f'{path}/{script_id}'
        async with stage.sending('PUT', path, FORM_TYPE, len(whole), [whole]) as reader:
            assert (await answer(reader))[0] == 200
