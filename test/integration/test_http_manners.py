# SPDX-License-Identifier: Apache-2.0
"""What programs expect of any HTTP server: OPTIONS, slashes, names of downloads, half-closing."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import json
import os
from pathlib import Path
from typing import Any

from api_support import Api, BASE, form, serve_api
import pytest
from raw_requests import assert_refused, NAMES, needed_query, RawAnswer, read_answer, Target

from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES

ENTITY = 'apps/temp_sensor'
SCRIPTS = f'/{ENTITY}/scripts'
DEADLINE_SEC = 60.0
PATHS = sorted({route.path for route in ROUTES})


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    """Serve a gateway that holds one script, and a lock that keeps nobody from anything."""
    async with serve_api(tmp_path, max_file_bytes=8 * 1024 * 1024) as api:
        script_id = await api.upload(ENTITY)
        wish = {'lock_expiration': 600, 'scopes': ['data']}
        _, lock = await api.json(
            'POST', f'/{ENTITY}/locks', json=wish, headers={'X-Client-Id': 'tab-1'}
        )
        path = f'{SCRIPTS}/{script_id}/instances'
        await api.json('POST', path, json={'name': NAMES['instance']})
        yield Target(api=api, script_id=script_id, lock_id=lock['id'])


@pytest.mark.parametrize('path', PATHS)
async def test_options_tells_the_methods_of_a_path(target: Target, path: str) -> None:
    """204 without a body; the path need not name what is there, nor be asked without a slash."""
    methods = {route.method for route in ROUTES if route.path == path} | {'OPTIONS'}
    methods |= {'HEAD'} if 'GET' in methods else set()
    for filled in (target.path(path), target.path(path, entity_id='nobody') + '/'):
        answer = await target.send('OPTIONS', filled)
        assert (answer.status, answer.content) == (204, b'')
        assert answer.headers['allow'] == ','.join(sorted(methods))
        refused = await target.send('PROPFIND', filled)
        assert (refused.status, refused.headers['allow']) == (405, answer.headers['allow'])


@pytest.mark.parametrize('more', [[], ['Expect: 100-continue']])
async def test_options_tells_the_methods_of_the_server(target: Target, more: list[str]) -> None:
    """`*` stands for the whole server (RFC 9110, section 9.3.7); it is no path for the others."""
    answer = await target.send('OPTIONS', '*', headers=more)
    assert answer.status == 204
    assert answer.headers['allow'] == 'DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT'
    assert_refused(await target.send('OPTIONS', f'{BASE}/nowhere', headers=more), 404, of='path')
    assert (await target.send('GET', '*', headers=more)).status in (400, 404)


@pytest.mark.parametrize(
    'route',
    [each for each in ROUTES if each.method == 'GET' and '{execution_id}' not in each.path],
    ids=lambda route: route.path,
)
async def test_a_slash_behind_a_path_changes_nothing(
    target: Target, route: Route[Any, Any]
) -> None:
    """The answer is the same, without a redirect; two slashes are another path."""
    path, query = route.path, needed_query(route)
    bare, slashed, twice = [
        await target.send('GET', f'{target.path(path)}{slashes}{query}')
        for slashes in ('', '/', '//')
    ]
    assert (slashed.status, slashed.headers.keys()) == (200, bare.headers.keys())
    if path != '/health':
        assert slashed.content == bare.content
    assert_refused(twice, 404, of=path)


async def test_a_slash_behind_a_path_changes_nothing_for_a_change(target: Target) -> None:
    """Uploads, starts, stops and deletions work alike; so does the unversioned version-info."""
    status, script = await target.api.json('POST', f'{SCRIPTS}/', data=form(b'true\n', 'a.sh'))
    assert status == 201
    path = f'{SCRIPTS}/{script["id"]}'
    status, execution = await target.api.json(
        'POST', f'{path}/executions/', json={'execution_type': 'on_restart'}
    )
    assert status == 202
    stop = {'action': 'stop'}
    execution_path = f'{path}/executions/{execution["id"]}/'
    assert (await target.api.json('PUT', execution_path, json=stop))[0] == 200
    assert (await target.api.request('DELETE', execution_path)).status == 204
    assert (await target.api.request('DELETE', f'{path}/')).status == 204
    assert (await target.send('GET', '/version-info/')).status == 200


async def test_the_answer_to_an_upload_names_the_script(target: Target) -> None:
    """`href` leads where Location does."""
    answer = await target.api.request('POST', SCRIPTS, data=form(b'true\n', 'a.sh'))
    body = await answer.json()
    assert body == {
        'id': body['id'],
        'name': 'a.sh',
        'href': f'{BASE}{SCRIPTS}/{body["id"]}',
    }
    assert answer.headers['Location'] == body['href']
    assert (await target.api.client.get(body['href'])).status == 200


def lines(method: str, path: str, content: bytes = b'') -> bytes:
    """Return a request that leaves the connection open."""
    head = f'{method} {path} HTTP/1.1\r\nHost: robot\r\nContent-Type: application/json\r\n'
    return f'{head}Content-Length: {len(content)}\r\n\r\n'.encode() + content


@contextlib.asynccontextmanager
async def half_closed(api: Api, *requests: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """Send these bytes and end the own side, as `nc -N` does; the other side is read on."""
    reader, writer = await api.connect()
    try:
        async with asyncio.timeout(DEADLINE_SEC):
            writer.write(b''.join(requests))
            writer.write_eof()
            yield reader
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answers(api: Api, *requests: bytes) -> list[RawAnswer]:
    """Return an answer to each request; the connection must be closed after the last."""
    async with half_closed(api, *requests) as reader:
        found = [await read_answer(reader) for _ in requests]
        assert await reader.read() == b''
        return found


async def test_a_client_that_ends_its_side_gets_its_answer(target: Target) -> None:
    """An execution that was started is told to who started it."""
    path = f'{BASE}{SCRIPTS}/{target.script_id}/executions'
    (answer,) = await answers(target.api, lines('POST', path, b'{"execution_type": "now"}'))
    assert answer.status == 202
    assert (await target.api.client.get(json.loads(answer.content)['href'])).status == 200


async def test_an_answer_that_takes_time_comes_to_a_half_closed_connection(
    target: Target,
) -> None:
    """The end of the client's side comes long before the answer: a stop waits for the tree."""
    execution_id, script = await target.api.running(ENTITY, target.script_id)
    script.obedient = False
    path = f'{BASE}{SCRIPTS}/{target.script_id}/executions/{execution_id}'
    (answer,) = await answers(target.api, lines('PUT', path, b'{"action": "stop"}'))
    assert (answer.status, json.loads(answer.content)['terminating']) == (200, True)


async def test_all_requests_of_a_half_closed_connection_are_answered(target: Target) -> None:
    """In their order, those that wait behind another one included."""
    path = f'{BASE}{SCRIPTS}/{target.script_id}/executions'
    start = lines('POST', path, b'{"execution_type": "now"}')
    got = await answers(target.api, start, lines('GET', f'{BASE}/nowhere'), start)
    assert [answer.status for answer in got] == [202, 404, 202]


async def test_a_long_answer_comes_whole_to_a_half_closed_connection(target: Target) -> None:
    """Whatever is still to be written when the client's end comes."""
    content = os.urandom(5 * 1024 * 1024)
    script_id = await target.api.upload(ENTITY, content=content)
    (answer,) = await answers(target.api, lines('GET', f'{BASE}{SCRIPTS}/{script_id}/content'))
    assert answer.content == content


async def test_a_half_closed_connection_without_a_request_is_closed(target: Target) -> None:
    """At once, before the first request and after one that was answered."""
    assert await answers(target.api) == []
    reader, writer = await target.api.connect()
    async with asyncio.timeout(DEADLINE_SEC):
        writer.write(lines('GET', f'{BASE}/version-info'))
        assert (await read_answer(reader)).status == 200
        writer.write_eof()
        assert await reader.read() == b''
    writer.close()


@pytest.mark.parametrize('content', [b'', b'{"execution_type": "now"'], ids=['none', 'half'])
async def test_a_body_that_ends_too_early_is_refused(
    target: Target, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """400 at once, and nothing starts: what came is not all, whatever it looks like."""
    path = f'{BASE}{SCRIPTS}/{target.script_id}/executions'
    whole = lines('POST', path, content + b' ' * 100)
    (answer,) = await answers(target.api, whole[:-100])
    assert_refused(answer, 400, of=content)
    assert 'ended in the middle' in json.loads(answer.content)['message']
    assert target.api.runner.started == ()
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


@pytest.mark.parametrize('first', [True, False])
@pytest.mark.parametrize('charset', [b'utf-8', b'\xff', b'x' * 1000])
async def test_a_form_that_names_a_charset_is_told_so(
    target: Target, charset: bytes, first: bool
) -> None:
    """The part of RFC 7578, section 4.6, is refused by its name, wherever it stands."""
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + charset,
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\ntrue\n',
    ]
    content = b'\r\n'.join([*(parts if first else reversed(parts)), b'--b--\r\n'])
    answer = await target.send(
        'POST', f'{BASE}{SCRIPTS}', content, 'multipart/form-data; boundary=b'
    )
    assert_refused(answer, 400, of='_charset_')
    assert 'the part "_charset_" is not allowed' in json.loads(answer.content)['message']


NO_END = {
    'no boundary': b'true\n',
    'a line behind': b'true\n\r\n',
    'half a boundary': b'true\n\r\n--b-',
    'another part begins': b'true\n\r\n--b\r\n',
    'another part': b'true\n\r\n--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{}',
    'long': b'true\n' * 100_000,
}


@pytest.mark.parametrize('content', NO_END.values(), ids=NO_END.keys())
async def test_a_form_without_its_end_is_told_so(target: Target, content: bytes) -> None:
    """The message says what is missing: the closing boundary."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\n'
    answer = await target.send(
        'POST', f'{BASE}{SCRIPTS}', head + content, 'multipart/form-data; boundary=b'
    )
    assert_refused(answer, 400, of=content[:20])
    assert 'its closing boundary is missing' in json.loads(answer.content)['message']


@pytest.mark.parametrize(('count', 'status'), [(7, 200), (9, 431)], ids=['56 KB', '72 KB'])
async def test_a_header_that_comes_at_once_is_bounded_too(
    target: Target, count: int, status: int
) -> None:
    """64 KiB are the bound, whether the network brings them in one piece or in many."""
    fields = [f'X-{number}: {"x" * 8000}' for number in range(count)]
    answer = await target.send('GET', f'{BASE}/version-info', headers=fields)
    assert answer.status == status
    if status == 431:
        assert_refused(answer, 431, of=count)
        assert answer.headers['connection'] == 'close'


async def test_an_absolute_target_without_a_path_is_the_whole_server(target: Target) -> None:
    """To OPTIONS it is `*` (RFC 9112, section 3.2.4), to the others no resource; with a slash it
    is what leads a browser on."""
    answer = await target.send('OPTIONS', 'http://robot')
    assert answer.status == 204
    assert answer.headers['allow'] == 'DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT'
    slash = await target.send('OPTIONS', 'http://robot/')
    assert (slash.status, slash.headers['allow']) == (204, 'GET,HEAD,OPTIONS')
    assert_refused(await target.send('GET', 'http://robot'), 404, of='GET')


async def test_connect_is_refused(target: Target) -> None:
    """405 with what is allowed, and the connection closes: nothing here is a tunnel."""
    answer = await target.exchange(['CONNECT robot:80 HTTP/1.1', 'Host: robot:80'])
    assert_refused(answer, 405, of='CONNECT')
    assert answer.headers['allow'] == 'DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT'
    assert answer.headers['connection'] == 'close'


@pytest.mark.parametrize('protocol', ['h2c', 'websocket', 'TLS/1.0'])
@pytest.mark.parametrize('content', [b'', b'{"execution_type": "now"}'], ids=['GET', 'POST'])
@pytest.mark.parametrize('behind', [0, 1, 3])
async def test_behind_a_request_for_another_protocol_the_connection_closes(
    target: Target, protocol: str, content: bytes, behind: int
) -> None:
    """It is answered in HTTP, and what came behind it is not left without an answer for ever.

    aiohttp 3.9 does not tell the body of such a request from what comes behind it.
    """
    path = f'{BASE}{SCRIPTS}/{target.script_id}/executions'
    first = lines('POST' if content else 'GET', path, content)
    upgrade = f'Connection: Upgrade\r\nUpgrade: {protocol}\r\nContent-Type'.encode()
    reader, writer = await target.api.connect()
    try:
        async with asyncio.timeout(DEADLINE_SEC):
            writer.write(first.replace(b'Content-Type', upgrade, 1))
            writer.write(lines('GET', f'{BASE}/version-info') * behind)
            answer = await read_answer(reader)
            assert answer.status in ((202, 400) if content else (200,))
            assert answer.headers['connection'] == 'close'
            if answer.status == 400:
                assert 'leave Upgrade out' in json.loads(answer.content)['message']
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b''
    finally:
        writer.close()


@pytest.mark.parametrize(
    ('fields', 'status'),
    [
        (['Expect: 100-continue', 'Expect: tea'], 417),
        (['Expect: 100-continue, tea'], 417),
        (['Expect: 100-continue, 100-Continue'], 200),
        (['Expect: 100-continue', 'Expect: 100-continue'], 200),
    ],
)
async def test_all_that_is_expected_counts(target: Target, fields: list[str], status: int) -> None:
    """However it is spread over fields and lists."""
    head = [f'GET {BASE}/version-info HTTP/1.1', 'Host: robot', *fields]
    answer = await target.exchange(head)
    if answer.status == 100:
        assert status == 200
    else:
        assert_refused(answer, status, of=fields)


@pytest.mark.parametrize('codings', ['gzip, chunked', 'deflate,chunked'])
async def test_a_transfer_coding_that_nobody_undoes_is_refused(
    target: Target, codings: str
) -> None:
    """501 (RFC 9112, section 6.1), and nothing is taken for what it is not."""
    path = f'{BASE}{SCRIPTS}/{target.script_id}/executions'
    head = [f'POST {path} HTTP/1.1', 'Host: robot', 'Content-Type: application/json']
    content = b'{"execution_type": "now"}'
    chunks = b'%x\r\n%s\r\n0\r\n\r\n' % (len(content), content)
    answer = await target.exchange([*head, f'Transfer-Encoding: {codings}'], chunks)
    assert_refused(answer, 501, of=codings)
    assert target.api.runner.started == ()
    answer = await target.exchange([*head, 'Transfer-Encoding: Chunked'], chunks)
    assert answer.status == 202


@pytest.mark.parametrize(
    ('settings', 'status'), [({'allow_uploads': False}, 403), ({'scripts': False}, 501)]
)
async def test_what_is_turned_off_is_told_before_what_is_wrong_with_the_form(
    tmp_path: Path, settings: dict[str, Any], status: int
) -> None:
    """Whoever mends the content type would only then hear that nothing is taken."""
    async with serve_api(tmp_path, **settings) as api:
        answered, _ = await api.json('POST', '/apps/temp_sensor/scripts', json={})
    assert answered == status


async def test_a_form_that_aiohttp_wonders_about_writes_nothing(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    """A warning of Python's would go to stderr with the client's text, past the log."""
    content = (
        b"--b\r\nContent-Disposition: form-data; name=file; filename*=utf-8''%ed%a0%80.sh\r\n"
        b'\r\ntrue\r\n--b--\r\n'
    )
    headers = {'Content-Type': 'multipart/form-data; boundary=b'}
    async with serve_api(tmp_path) as api:
        await api.request('POST', '/apps/temp_sensor/scripts', data=content, headers=headers)
    assert [str(warning.message) for warning in recwarn if 'multipart' in warning.filename] == []
