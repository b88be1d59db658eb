# SPDX-License-Identifier: Apache-2.0
"""The output of executions over HTTP: as lines, and as text."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
import datetime
from pathlib import Path
from typing import Any

from api_support import Api, serve_api
import pytest

from gateway_node.clock import rfc3339
from gateway_node.executions.output_lines import OutputStream
from gateway_node.executions.values import ExecutionStatus

ENTITY = 'apps/temp_sensor'
TEXT = {'Accept': 'text/plain'}


@dataclass(frozen=True, kw_only=True)
class Told:
    """An execution that runs, and its output."""

    api: Api
    execution_id: str
    path: str

    def say(self, *lines: str) -> None:
        """Write lines to stdout."""
        for line in lines:
            self.api.runner.outputs.say(self.execution_id, line)

    def say_error(self, line: str) -> None:
        """Write a line to stderr."""
        self.say(line)
        said = self.api.runner.outputs.said[self.execution_id]
        said[-1] = replace(said[-1], stream=OutputStream.STDERR)

    async def end(self) -> None:
        """Let the script exit."""
        (await self.api.runner.script(self.execution_id)).exit()
        await self.api.listener.wait_for(self.execution_id)

    async def lines(self, query: str = '', status: int = 200) -> Any:
        """Return what is answered as JSON."""
        answered, body = await self.api.json('GET', f'{self.path}{query}')
        assert answered == status, body
        return body

    async def numbers(self, query: str = '') -> list[int]:
        """Return the numbers of the lines that are answered."""
        return [item['number'] for item in (await self.lines(query))['items']]

    async def text(self, query: str = '', **headers: str) -> tuple[int, bytes, Any]:
        """Return status, body and headers of what is answered as text."""
        answer = await self.api.request('GET', f'{self.path}{query}', headers=TEXT | headers)
        return answer.status, await answer.read(), answer.headers


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """Serve an execution that runs."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        execution_id, _ = await api.running(ENTITY, script_id)
        path = f'/{ENTITY}/scripts/{script_id}/executions/{execution_id}/output'
        yield Told(api=api, execution_id=execution_id, path=path)


async def test_lines_are_numbered_over_both_streams(told: Told) -> None:
    """Each with its stream and its time, oldest first; the numbers stay where one is chosen."""
    told.say('one')
    told.say_error('two')
    told.say('three')
    body = await told.lines()
    assert [(i['number'], i['stream'], i['text']) for i in body['items']] == [
        (1, 'stdout', 'one'),
        (2, 'stderr', 'two'),
        (3, 'stdout', 'three'),
    ]
    assert (body['dropped'], body['unfinished'], body['last']) == ([], [], 3)
    assert await told.numbers('?stream=stdout') == [1, 3]
    assert await told.numbers('?stream=stderr') == [2]


async def test_the_id_alone_is_a_short_way_to_the_output(told: Told) -> None:
    """To the same, in either form; what leads on is the long way."""
    told.say('one', 'two')
    short = f'/executions/{told.execution_id}/output'
    _, body = await told.api.json('GET', f'{short}?limit=1')
    assert body == await told.lines('?limit=1')
    answer = await told.api.request('GET', short, headers=TEXT)
    assert await answer.read() == b'one\ntwo\n'


@pytest.mark.parametrize(
    ('elapsed_ms', 'until_end', 'seconds'),
    [(400, 1.0, 0.4), (1100, 1.0, 1.0), (400, -3600.0, 0.4)],
    ids=['before the end', 'not after the end', 'the clock was set back'],
)
async def test_a_line_is_never_later_than_the_end(
    told: Told, elapsed_ms: int, until_end: float, seconds: float
) -> None:
    """Although it is with a delay that the gateway hears of the start."""
    told.say('the last thing')
    said = told.api.runner.outputs.said[told.execution_id]
    said[-1] = replace(said[-1], elapsed_ms=elapsed_ms)
    started_at = told.api.clock.wall
    told.api.clock.wall += datetime.timedelta(seconds=until_end)
    await told.end()
    (line,) = (await told.lines())['items']
    assert line['time'] == rfc3339(started_at + datetime.timedelta(seconds=seconds))


async def test_limit_follows_a_number_or_precedes_it(told: Told) -> None:
    """By its sign; without a number it begins at the oldest, or at the newest."""
    told.say(*map(str, range(1, 11)))
    assert await told.numbers('?limit=3') == [1, 2, 3]
    assert await told.numbers('?limit=3&number_exclusive=4') == [5, 6, 7]
    assert await told.numbers('?limit=-3') == [8, 9, 10]
    assert await told.numbers('?limit=-3&number_exclusive=4') == [1, 2, 3]
    assert await told.numbers('?number_exclusive=8') == [9, 10]
    assert await told.numbers('?number_exclusive=4294967296') == []
    for limit in ('0', '1001', '-1001'):
        assert 'but not 0' in (await told.lines(f'?limit={limit}', status=400))['message']


async def test_who_follows_next_sees_each_line_to_the_end(told: Told) -> None:
    """While the script runs there is always a next page; where it is empty, ask again."""
    told.say('one', 'two', 'three')
    seen: list[str] = []

    async def follow(path: str) -> str | None:
        status, body = await told.api.json('GET', path.removeprefix('/api/v1'))
        assert status == 200
        seen.extend(item['text'] for item in body['items'])
        return str(body['next']) if 'next' in body else None

    following = await follow(f'{told.path}?limit=2&stream=stdout&plain=true')
    for _ in range(3):
        assert following is not None
        assert 'stream=stdout&plain=true' in following
        following = await follow(following)
    told.say('four')
    await told.end()
    while following is not None:
        following = await follow(following)
    assert seen == ['one', 'two', 'three', 'four']


async def test_next_leads_back_to_the_oldest_line(told: Told) -> None:
    """In the direction that was asked for, and no further."""
    told.say(*map(str, range(1, 11)))
    query: str | None = '?limit=-4'
    seen: list[list[int]] = []
    while query is not None:
        body = await told.lines(query)
        seen.append([item['number'] for item in body['items']])
        query = f'?{body["next"].partition("?")[2]}' if 'next' in body else None
    assert seen == [[7, 8, 9, 10], [3, 4, 5, 6], [1, 2]]


async def test_what_has_not_begun_has_lines_to_come(tmp_path: Path) -> None:
    """A client may follow from the moment at which the start is answered."""
    async with serve_api(tmp_path) as api:
        api.runner.hold_starts.clear()
        script_id = await api.upload(ENTITY)
        execution_id = await api.start(ENTITY, script_id)
        path = f'/{ENTITY}/scripts/{script_id}/executions/{execution_id}'
        _, body = await api.json('GET', path)
        assert body['status'] == ExecutionStatus.PREPARED.value
        # Its first lines can be there before it is on record that it runs.
        api.runner.outputs.say(execution_id, 'early')
        _, newest = await api.json('GET', f'{path}/output?limit=-5')
        assert (newest['items'], newest['last']) == ([], 0)
        _, body = await api.json('GET', f'{path}/output')
    assert (body['items'], body['last']) == ([], 0)
    assert body['next'].endswith('/output?limit=100&number_exclusive=0')


async def test_text_is_what_accept_asks_for(told: Told) -> None:
    """Lists vary by it; an error is JSON all the same."""
    told.say('one', 'two')
    status, text, headers = await told.text()
    assert (status, text) == (200, b'one\ntwo\n')
    assert headers['Content-Type'] == 'text/plain; charset=utf-8'
    assert headers['Accept-Ranges'] == 'bytes'
    assert 'Content-Disposition' not in headers
    as_list = await told.api.request('GET', told.path, headers={'Accept': '*/*'})
    assert as_list.content_type == 'application/json'
    assert as_list.headers['Vary'] == 'Accept'
    missing = await told.api.request('GET', f'{told.path[:-8]}x/output', headers=TEXT)
    assert (missing.status, missing.content_type) == (404, 'application/json')


async def test_tail_and_download_are_text_by_themselves(told: Told) -> None:
    """A link in a page sends no Accept of its own."""
    told.say('one', 'two', 'three')
    tail = await told.api.request('GET', f'{told.path}?tail=2')
    assert (tail.content_type, await tail.read()) == ('text/plain', b'two\nthree\n')
    saved = await told.api.request('GET', f'{told.path}?download=true&stream=stdout')
    assert saved.content_type == 'text/plain'
    name = f'attachment; filename="{told.execution_id}-stdout.txt"'
    assert saved.headers['Content-Disposition'] == name
    for tail_of in (3, 4, 1_000_000):
        assert (await told.text(f'?tail={tail_of}'))[1] == b'one\ntwo\nthree\n'


async def test_the_end_of_a_text_counts_what_has_no_end_yet(told: Told) -> None:
    """As tail(1) does; an empty output has no lines."""
    assert (await told.text('?tail=1'))[1] == b''
    told.say('one', 'two', '')
    assert (await told.text('?tail=1'))[1] == b'\n'
    assert (await told.text('?tail=2'))[1] == b'two\n\n'


@pytest.mark.parametrize('query', ['limit=5', 'number_exclusive=1', 'limit=5&number_exclusive=1'])
async def test_what_is_for_lines_is_refused_for_text(told: Told, query: str) -> None:
    """By its name, and not ignored."""
    for path in (f'{told.path}?tail=1&{query}', f'{told.path}?download=true&{query}'):
        status, body = await told.api.json('GET', path)
        assert status == 400
        paths = [each['path'] for each in body['parameters']['violations']]
        assert paths == [f'/query/{each.split("=")[0]}' for each in query.split('&')]


async def test_plain_leaves_nothing_for_a_terminal(told: Told) -> None:
    """In lines and in text; without it all is as it was said."""
    coloured = '\x1b[31mred\x1b[0m \x1b]0;title\a10 %\r20 %'
    told.say(coloured, 'next')
    assert (await told.lines())['items'][0]['text'] == coloured
    assert (await told.lines('?plain=true'))['items'][0]['text'] == 'red 10 % 20 %'
    assert (await told.text())[1] == f'{coloured}\nnext\n'.encode()
    assert (await told.text('?plain=true'))[1] == b'red 10 % 20 %\nnext\n'
    assert (await told.text('?plain=false&tail=2'))[1] == f'{coloured}\nnext\n'.encode()


@pytest.mark.parametrize(
    ('asked', 'part', 'where'),
    [
        ('bytes=0-3', b'0123', '0-3/10'),
        ('bytes=4-', b'45678\n', '4-9/10'),
        ('BYTES=4-400', b'45678\n', '4-9/10'),
        ('bytes=-2', b'8\n', '8-9/10'),
        ('bytes=-20', b'012345678\n', '0-9/10'),
    ],
)
async def test_a_part_of_the_text_will_do(told: Told, asked: str, part: bytes, where: str) -> None:
    """RFC 9110, section 14: 206, with which part it is."""
    told.say('012345678')
    status, text, headers = await told.text(Range=asked)
    assert (status, text, headers['Content-Range']) == (206, part, f'bytes {where}')
    assert headers['Content-Length'] == str(len(part))


@pytest.mark.parametrize(
    'asked',
    ['lines=1-2', 'bytes=1-2,4-5', 'bytes=5-2', 'bytes=-', 'bytes', '', f'bytes={"9" * 40}-'],
)
async def test_what_is_no_range_here_is_answered_with_the_whole(told: Told, asked: str) -> None:
    """Unknown units must be ignored, and the others may be (RFC 9110, section 14.2)."""
    told.say('012345678')
    assert (await told.text(Range=asked))[:2] == (200, b'012345678\n')


@pytest.mark.parametrize('asked', ['bytes=10-', 'bytes=100-200', 'bytes=-0'])
async def test_a_part_behind_the_end_is_416(told: Told, asked: str) -> None:
    """With how many bytes there are: who follows by ranges asks again from there."""
    told.say('012345678')
    status, _, headers = await told.text(Range=asked)
    assert (status, headers['Content-Range']) == (416, 'bytes */10')


async def test_nothing_has_no_parts(told: Told) -> None:
    """Who follows may begin before the script said anything; HEAD knows no ranges."""
    assert (await told.text(Range='bytes=0-'))[:2] == (200, b'')
    told.say('012345678')
    url = f'/api/v1{told.path}'
    head = await told.api.client.head(url, headers=TEXT | {'Range': 'bytes=0-3'})
    assert (head.status, head.headers['Content-Length']) == (200, '10')


async def test_a_part_is_of_what_the_client_has(told: Told) -> None:
    """Where it is not, the whole is answered: another validator, or a date, which none is."""
    told.say('012345678')
    _, _, headers = await told.text()
    tag = headers['ETag']
    part = {'Range': 'bytes=4-'}
    assert (await told.text(**part, **{'If-Range': tag}))[0] == 206
    for other in ('"another"', f'W/{tag}', 'Thu, 26 Nov 2026 10:00:00 GMT'):
        assert (await told.text(**part, **{'If-Range': other}))[0] == 200
    told.say('more')
    assert (await told.text(**part, **{'If-Range': tag}))[:2] == (200, b'012345678\nmore\n')


async def test_a_client_that_has_it_all_is_told_so(told: Told) -> None:
    """304 without a body; what goes before a range (RFC 9110, section 13.2.2)."""
    told.say('one')
    tag = (await told.text())[2]['ETag']
    for known in (tag, f'"a", W/{tag}', '*'):
        status, body, headers = await told.text(Range='bytes=0-1', **{'If-None-Match': known})
        assert (status, body, headers['ETag']) == (304, b'', tag)
        assert headers['Vary'] == 'Accept'
    told.say('two')
    assert (await told.text(**{'If-None-Match': tag}))[0] == 200
    assert (await told.text('?tail=1', **{'If-None-Match': tag}))[0] == 200


async def test_behind_a_304_the_connection_is_in_order(told: Told) -> None:
    """It says of no body that there is one."""
    told.say('one')
    tag = (await told.text())[2]['ETag']
    reader, writer = await told.api.connect()
    request = (
        f'GET /api/v1{told.path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n'
        f'If-None-Match: {tag}\r\n'
    )
    writer.write(f'{request}\r\n{request}Connection: close\r\n\r\n'.encode())
    async with asyncio.timeout(20):
        answers = await reader.read()
    writer.close()
    assert answers.count(b'HTTP/1.1 304') == 2
    assert b'Content-Length: 0' not in answers
