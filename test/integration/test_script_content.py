# SPDX-License-Identifier: Apache-2.0
"""Downloads of scripts: all bytes, or a GenericError."""

from collections.abc import AsyncIterator, Callable
import io
import os
from pathlib import Path
import threading

import aiohttp
from api_support import Api, serve_api
import pytest
from waiting import wait_until

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.values import Script, ScriptKind

ENTITY = 'apps/temp_sensor'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway with the managed script `self_test`."""
    file = tmp_path / 'self_test.sh'
    file.write_bytes(b'true\n')
    script = Script(
        id='self_test', name='Self test', kind=ScriptKind.SH, path=file, version='0', size=5
    )
    managed = (ManagedScript(script=script, entities=('*',)),)
    async with serve_api(tmp_path, managed=managed, max_file_bytes=8 * 1024 * 1024) as served:
        yield served


def open_files_below(directory: Path) -> list[str]:
    """Return the files below a directory that this process holds open."""
    held = []
    for fd in Path('/proc/self/fd').iterdir():
        try:
            held.append(os.readlink(fd))
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return [path for path in held if path.startswith(str(directory / 'scripts'))]


async def test_a_large_script_comes_back_whole(api: Api, tmp_path: Path) -> None:
    """Every byte, with its length, and the file is closed afterwards."""
    content = os.urandom(5 * 1024 * 1024)
    script_id = await api.upload(ENTITY, content=content)
    answer = await api.request('GET', f'/{ENTITY}/scripts/{script_id}/content')
    assert await answer.read() == content
    assert answer.headers['Content-Type'] == 'application/octet-stream'
    assert answer.headers['Content-Length'] == str(len(content))
    await wait_until(lambda: open_files_below(tmp_path) == [], what='the file is closed')


@pytest.mark.parametrize(
    'header',
    [
        {'Range': 'bytes=1-2'},
        {'Range': 'bytes=900-1000'},
        {'Range': 'lines=x'},
        {'If-Match': '"other"'},
        {'If-None-Match': '*'},
        {'If-Unmodified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT'},
        {'If-Modified-Since': 'Fri, 01 Jan 2100 00:00:00 GMT'},
    ],
    ids=str,
)
async def test_ranges_and_conditions_are_ignored(api: Api, header: dict[str, str]) -> None:
    """A server may ignore both (RFC 9110, sections 13 and 14.2): the answer is the whole file."""
    script_id = await api.upload(ENTITY, content=b'echo hello\n')
    path = f'/{ENTITY}/scripts/{script_id}/content'
    answer = await api.request('GET', path, headers=header)
    assert (answer.status, await answer.read()) == (200, b'echo hello\n')


async def test_a_download_has_a_file_name(api: Api) -> None:
    """Browsers, and curl with `-OJ`, store the file under it, whatever the script is called."""
    answer = await api.request('GET', f'/{ENTITY}/scripts/self_test/content')
    assert answer.headers['Content-Disposition'] == 'attachment; filename="self_test.sh"'
    mended = b'\xef\xbb\xbftrue\n'
    script_id = await api.upload(ENTITY, name='check.sh', content=mended)
    answer = await api.request('GET', f'/{ENTITY}/scripts/{script_id}/content')
    assert await answer.read() == mended
    assert answer.headers['Content-Disposition'] == 'attachment; filename="check.sh"'


async def test_the_content_of_a_managed_script_whose_file_is_gone_is_not_found(
    api: Api, tmp_path: Path
) -> None:
    """404 that names the script, while its detail is still there."""
    (tmp_path / 'self_test.sh').unlink()
    status, body = await api.json('GET', f'/{ENTITY}/scripts/self_test/content')
    assert (status, body['error_code']) == (404, 'resource-not-found')
    assert "'self_test'" in body['message']
    assert (await api.json('GET', f'/{ENTITY}/scripts/self_test'))[0] == 200


async def test_a_file_that_cannot_be_read_is_told(api: Api, tmp_path: Path) -> None:
    """503 with the reason; the client may try again."""
    (tmp_path / 'self_test.sh').unlink()
    (tmp_path / 'self_test.sh').symlink_to('self_test.sh')
    status, body = await api.json('GET', f'/{ENTITY}/scripts/self_test/content')
    assert (status, body['vendor_code']) == (503, 'x-gateway-storage-unavailable')
    assert 'Too many levels of symbolic links' in body['message']


@pytest.mark.parametrize(
    'make', [Path.mkdir, os.mkfifo, lambda path: path.symlink_to('/dev/zero')]
)
async def test_what_is_no_plain_file_is_not_found(
    api: Api, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    """404: to try again does not help."""
    (tmp_path / 'self_test.sh').unlink()
    make(tmp_path / 'self_test.sh')
    answer = await api.request('GET', f'/{ENTITY}/scripts/self_test/content')
    body = await answer.json()
    assert (answer.status, body['error_code']) == (404, 'resource-not-found')
    assert body['message'] == "the file of script 'self_test' is no plain file"
    assert 'Retry-After' not in answer.headers


async def test_a_file_that_stops_answering_breaks_the_answer(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client does not wait for ever, nor does the loop for the file to be closed."""
    monkeypatch.setattr('gateway_node.scripts.content._PATIENCE_SEC', 0.2)
    answers = threading.Event()

    class Silent(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            answers.wait(60)
            return b''

    monkeypatch.setattr('gateway_node.scripts.content._open', lambda _path: (Silent(), 5))
    try:
        with pytest.raises(aiohttp.ClientError):
            await (await api.request('GET', f'/{ENTITY}/scripts/self_test/content')).read()
        assert (await api.json('GET', '/health'))[0] == 200
    finally:
        answers.set()


async def test_a_script_that_is_replaced_during_the_download_comes_in_its_new_version(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old file is gone between the look-up and the opening, and the script is not."""
    script_id = await api.upload(ENTITY)
    get = api.library.get
    replacements = [b'false\n']

    async def get_and_replace(entity: EntityRef, wanted: str) -> Script:
        script = await get(entity, wanted)
        while replacements:
            async with api.library.begin_upload() as upload:
                await upload.write(replacements.pop())
                await api.library.replace(entity, wanted, upload)
        return script

    monkeypatch.setattr(api.library, 'get', get_and_replace)
    answer = await api.request('GET', f'/{ENTITY}/scripts/{script_id}/content')
    assert (answer.status, await answer.read()) == (200, b'false\n')


async def test_a_file_that_gets_shorter_breaks_the_answer(api: Api, tmp_path: Path) -> None:
    """Its length was told: what comes must not be taken for all of it."""
    content = os.urandom(5 * 1024 * 1024)
    (tmp_path / 'self_test.sh').write_bytes(content)
    answer = await api.request('GET', f'/{ENTITY}/scripts/self_test/content')
    os.truncate(tmp_path / 'self_test.sh', 1000)
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()
    head = await api.request('HEAD', f'/{ENTITY}/scripts/self_test/content')
    assert head.headers['Content-Length'] == '1000'
