# SPDX-License-Identifier: Apache-2.0
"""What executions left, over HTTP: the list, files and their parts, and all as one archive."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
import hashlib
import io
from pathlib import Path
from typing import Any
import zipfile

from api_support import Api, serve_api
import pytest
from yarl import URL

ENTITY = 'apps/temp_sensor'
LEFT = {
    'docs': b'',
    'log.txt': b'0123456789',
    'plots/gemäß 1.png': bytes(range(256)) * 2000,
    'plots/page.html': b'<script>alert(1)</script>',
}


@dataclass(frozen=True, kw_only=True)
class Left:
    """An execution that has ended, and left files."""

    api: Api
    execution_id: str
    path: str

    async def get(self, below: str = '', **headers: str) -> tuple[int, bytes, Any]:
        """Return status, body and headers of what is answered."""
        answer = await self.api.request('GET', f'{self.path}{below}', headers=headers)
        return answer.status, await answer.read(), answer.headers


@pytest.fixture
async def left(tmp_path: Path) -> AsyncIterator[Left]:
    """Serve an execution that left files."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        execution_id, script = await api.running(ENTITY, script_id)
        script.exit()
        await api.listener.wait_for(execution_id)
        api.runner.artifacts.left[execution_id] = LEFT
        path = f'/{ENTITY}/scripts/{script_id}/executions/{execution_id}'
        yield Left(api=api, execution_id=execution_id, path=path)


@pytest.mark.parametrize('below', ['', '/log.txt', '/plots/page.html', '.zip'])
async def test_what_was_left_is_had_by_the_id_alone(left: Left, below: str) -> None:
    """The answer is the same, and its hrefs lead to the one place."""
    _, content, headers = await left.get(f'/artifacts{below}')
    answer = await left.api.request('GET', f'/executions/{left.execution_id}/artifacts{below}')
    assert (answer.status, await answer.read()) == (200, content)
    assert answer.headers['ETag'] == headers['ETag']


async def test_what_was_left_is_listed(left: Left) -> None:
    """By path, with what a client needs to fetch and to check each; the hrefs lead there."""
    status, body = await left.api.json('GET', f'{left.path}/artifacts')
    assert status == 200
    assert [each['path'] for each in body['items']] == [*LEFT]
    for each in body['items']:
        content = LEFT[each['path']]
        assert each['size'] == len(content)
        assert each['sha256'] == hashlib.sha256(content).hexdigest()
        assert each['modified_at'] == '2026-01-02T03:04:06.000Z'
        answer = await left.api.client.get(each['href'])
        assert (answer.status, await answer.read()) == (200, content)
        assert answer.content_type == each['media_type']
    assert [each['media_type'] for each in body['items']] == [
        'application/octet-stream',
        'text/plain',
        'image/png',
        'text/html',
    ]


async def test_an_unchanged_list_is_not_sent_again(left: Left) -> None:
    """As every list is named by its ETag."""
    _, _, headers = await left.get('/artifacts')
    status, body, _ = await left.get('/artifacts', **{'If-None-Match': headers['ETag']})
    assert (status, body) == (304, b'')


@pytest.mark.parametrize(
    'path', ['plots/gem%C3%A4%C3%9F%201.png', 'plots%2Fgem%c3%a4%c3%9f%201.png']
)
async def test_a_path_is_taken_as_it_is_or_encoded(left: Left, path: str) -> None:
    """Some clients encode each slash of what they put into a path, and some do not."""
    url = URL(f'/api/v1{left.path}/artifacts/{path}', encoded=True)
    answer = await left.api.client.get(url)
    assert await answer.read() == LEFT['plots/gemäß 1.png']
    assert answer.headers['Content-Disposition'] == (
        'attachment; filename="gem__ 1.png"; filename*=UTF-8\'\'gem%C3%A4%C3%9F%201.png'
    )


async def test_nothing_that_a_script_left_is_executed_by_a_browser(left: Left) -> None:
    """It is to be saved, and taken for nothing but what is said."""
    for below in ('/artifacts/plots/page.html', '/artifacts.zip'):
        _, _, headers = await left.get(below)
        assert headers['Content-Disposition'].startswith('attachment')
        assert headers['X-Content-Type-Options'] == 'nosniff'


@pytest.mark.parametrize(
    ('asked', 'status', 'body', 'within'),
    [
        ('bytes=2-4', 206, b'234', 'bytes 2-4/10'),
        ('bytes=8-', 206, b'89', 'bytes 8-9/10'),
        ('bytes=-3', 206, b'789', 'bytes 7-9/10'),
        ('bytes=0-1,4-5', 200, LEFT['log.txt'], None),
        ('lines=1-2', 200, LEFT['log.txt'], None),
    ],
)
async def test_a_part_of_a_file_is_answered(
    left: Left, asked: str, status: int, body: bytes, within: str | None
) -> None:
    """So that a download goes on where it broke off; what is no one range gets all of it."""
    got = await left.get('/artifacts/log.txt', Range=asked)
    assert got[:2] == (status, body)
    assert got[2].get('Content-Range') == within
    assert got[2]['Content-Length'] == str(len(body))
    assert got[2]['Accept-Ranges'] == 'bytes'


async def test_a_part_is_of_what_the_client_has_begun_with(left: Left) -> None:
    """`If-Range` with another tag gets all of it; a range behind the end is 416."""
    _, _, headers = await left.get('/artifacts/log.txt')
    assert headers['ETag'] == f'"{hashlib.sha256(LEFT["log.txt"]).hexdigest()}"'
    asked = {'Range': 'bytes=5-', 'If-Range': headers['ETag']}
    assert (await left.get('/artifacts/log.txt', **asked))[:2] == (206, b'56789')
    asked['If-Range'] = '"other"'
    assert (await left.get('/artifacts/log.txt', **asked))[:2] == (200, LEFT['log.txt'])
    status, _, headers = await left.get('/artifacts/log.txt', Range='bytes=10-')
    assert (status, headers['Content-Range']) == (416, 'bytes */10')
    known = {'If-None-Match': headers.get('ETag', '*')}
    assert (await left.get('/artifacts/log.txt', **known))[0] == 304


@pytest.mark.parametrize('below', ['/artifacts/log.txt', '/artifacts.zip'])
async def test_head_says_what_get_would(left: Left, below: str) -> None:
    """With the length, and without the content, also of a part."""
    _, body, headers = await left.get(below)
    answer = await left.api.client.head(
        f'/api/v1{left.path}{below}', headers={'Range': 'bytes=1-'}
    )
    assert (answer.status, await answer.read()) == (200, b'')
    for name in ('Content-Length', 'Content-Type', 'ETag', 'Content-Disposition'):
        assert answer.headers[name] == headers[name]
    assert headers['Content-Length'] == str(len(body))


@pytest.mark.parametrize(
    'path', ['nobody', 'plots', 'log.txt/x', 'LOG.TXT', '..%2Flog.txt', '%00', 'a//log.txt']
)
async def test_what_was_not_left_is_not_there(left: Left, path: str) -> None:
    """Nothing is looked for on the disk that is not in the list; folders have no content."""
    answer = await left.api.client.get(URL(f'/api/v1{left.path}/artifacts/{path}', encoded=True))
    assert answer.status == 404
    assert (await answer.json())['error_code'] == 'resource-not-found'


async def test_what_is_listed_and_lost_is_not_there(left: Left) -> None:
    """Neither by itself nor with the others: nobody takes a part for the whole."""
    left.api.runner.artifacts.lost.add('log.txt')
    assert (await left.get('/artifacts/log.txt'))[0] == 404
    assert (await left.get('/artifacts.zip'))[0] == 404
    assert (await left.get('/artifacts/docs'))[0] == 200


async def test_all_comes_as_one_archive(left: Left) -> None:
    """Whole, under the same paths, with times and permissions; of a known length."""
    status, body, headers = await left.get('/artifacts.zip')
    assert (status, headers['Content-Type']) == (200, 'application/zip')
    assert headers['Content-Length'] == str(len(body))
    assert headers['Content-Disposition'] == f'attachment; filename="{left.execution_id}.zip"'
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert {each: archive.read(each) for each in archive.namelist()} == LEFT
        for each in archive.infolist():
            assert each.date_time == (2026, 1, 2, 3, 4, 6)
            assert each.external_attr >> 16 == 0o100644


async def test_a_part_of_the_archive_is_answered(left: Left) -> None:
    """As of any file: hundreds of megabytes over a radio link are seldom had at once."""
    _, whole, headers = await left.get('/artifacts.zip')
    tag = headers['ETag']
    asked = {'Range': f'bytes=100-{len(whole) - 50}', 'If-Range': tag}
    status, body, headers = await left.get('/artifacts.zip', **asked)
    assert (status, body) == (206, whole[100 : len(whole) - 49])
    assert (await left.get('/artifacts.zip', **{'If-None-Match': tag}))[0] == 304
    left.api.runner.artifacts.left[left.execution_id] = {**LEFT, 'log.txt': b'9876543210'}
    assert (await left.get('/artifacts.zip', **asked))[0] == 200


async def test_an_execution_that_left_nothing_has_an_empty_list(tmp_path: Path) -> None:
    """And an empty archive; so has one that runs, however much there is by then."""
    async with serve_api(tmp_path) as api:
        execution_id, _ = await api.running(ENTITY, await api.upload(ENTITY))
        path = f'/executions/{execution_id}/artifacts'
        assert await api.json('GET', path) == (200, {'items': []})
        content = await (await api.request('GET', f'{path}.zip')).read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist() == []
        unknown = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
        for below in ('artifacts', 'artifacts/x', 'artifacts.zip'):
            assert (await api.request('GET', f'/executions/{unknown}/{below}')).status == 404
