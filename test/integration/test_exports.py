# SPDX-License-Identifier: Apache-2.0
"""Lists of executions as files."""

from collections.abc import AsyncIterator
import csv
import datetime
import io
import json
from pathlib import Path
from typing import Any

from aiohttp import ClientPayloadError
from api_support import Api, BASE, serve_api
from fakes import add, new_execution
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.export import PAGE_ROWS

CSV = {'Accept': 'text/csv'}
NDJSON = {'Accept': 'application/x-ndjson'}
ALL = 2 * PAGE_ROWS + 5


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


async def record(api: Api, *numbers: int, **fields: Any) -> list[str]:
    """Put executions that have ended on record; return their ids, newest first."""
    fields.setdefault('status', ExecutionStatus.COMPLETED)
    executions = [new_execution(number, **fields) for number in numbers]
    for execution in executions:
        await add(api.store, execution)
    return [execution.id for execution in reversed(executions)]


async def rows(api: Api, path: str) -> list[dict[str, str]]:
    """Return what a list is as CSV, by the names in its header."""
    answer = await api.request('GET', path, headers=CSV)
    assert answer.status == 200
    content = (await answer.read()).decode()
    return list(csv.DictReader(io.StringIO(content, newline=''), strict=True))


async def lines(api: Api, path: str) -> list[Any]:
    """Return what a list is as NDJSON."""
    answer = await api.request('GET', path, headers=NDJSON)
    assert answer.status == 200
    return [json.loads(line) for line in (await answer.read()).splitlines()]


async def test_a_filtered_list_is_exported_as_a_whole(api: Api) -> None:
    """All of it, newest first, however many pages that are."""
    completed = await record(api, *range(ALL))
    failed = await record(api, ALL, ALL + 1, status=ExecutionStatus.FAILED)
    assert [row['id'] for row in await rows(api, '/executions')] == failed + completed
    assert [row['id'] for row in await rows(api, '/executions?status=completed')] == completed
    assert [line['id'] for line in await lines(api, '/executions?status=failed')] == failed
    assert await rows(api, '/executions?status=terminated') == []
    assert await lines(api, '/executions?status=terminated') == []


@pytest.mark.parametrize(
    'path',
    [
        '/executions',
        '/executions/status/completed',
        '/apps/temp_sensor/executions',
        '/apps/temp_sensor/scripts/script_1/executions',
    ],
)
async def test_a_line_is_what_the_list_has(api: Api, path: str) -> None:
    """In NDJSON member by member, in CSV the same in cells; on every list of executions."""
    await record(api, 1, 2, exit_code=3, summary='-', script_id='script_1')
    _, body = await api.json('GET', path)
    assert len(body['items']) == 2
    assert await lines(api, path) == body['items']
    for row, item in zip(await rows(api, path), body['items'], strict=True):
        assert (row['id'], row['exit_code'], row['summary']) == (item['id'], '3', "'-")
        assert row['trigger.type'] == item['trigger']['type']
        assert json.loads(row['arguments']) == item['arguments']


async def test_a_file_is_to_be_saved(api: Api) -> None:
    """By a name that says what it is and when it began, in UTC: `curl -OJ` leaves a file that is
    there as it is. Lists vary by Accept."""
    await record(api, 1)
    api.clock.wall = datetime.datetime(2026, 1, 31, 9, 5, 7, 999, tzinfo=datetime.UTC)
    for headers, suffix in ((CSV, 'csv'), (NDJSON, 'ndjson')):
        name = f'executions-20260131T090507Z.{suffix}'
        answer = await api.request('GET', '/executions', headers=headers)
        assert answer.headers['Content-Type'] == f'{headers["Accept"]}; charset=utf-8'
        assert answer.headers['Content-Disposition'] == f'attachment; filename="{name}"'
        assert answer.headers['Vary'] == 'Accept'
    as_list = await api.request('GET', '/executions', headers={'Accept': 'text/html'})
    assert as_list.content_type == 'application/json'


async def test_the_form_of_the_cells_is_chosen(api: Api) -> None:
    """Columns by `fields`, metrics and parameters besides, and defused or not."""
    await record(
        api,
        1,
        summary='=1',
        metrics={'volt': 11.5},
        input_parameters={'mode': '@fast', 'a,b': 2},
        output_parameters={'found': [1]},
    )
    columns = 'columns=metrics.volt,input_parameters.mode&columns=input_parameters.a%5C,b'
    path = f'/executions?fields=summary,exit_code&{columns},parameters.found'
    answer = await api.request('GET', path, headers=CSV)
    assert await answer.read() == (
        b'summary,exit_code,metrics.volt,input_parameters.mode,"input_parameters.a,b",'
        b"parameters.found\r\n'=1,,11.5,'@fast,2,[1]\r\n"
    )
    (row,) = await rows(api, f'{path}&defuse=false')
    assert (row['summary'], row['input_parameters.mode']) == ('=1', '@fast')
    (line,) = await lines(api, path)
    assert line == {
        'summary': '=1',
        'metrics.volt': 11.5,
        'input_parameters.mode': '@fast',
        'input_parameters.a,b': 2,
        'parameters.found': [1],
    }


@pytest.mark.parametrize(
    ('query', 'headers', 'wrong'),
    [
        ('columns=metrics.a', {}, ['columns']),
        ('defuse=true&columns=metrics.a', {}, ['columns', 'defuse']),
        ('defuse=false', NDJSON, ['defuse']),
        ('columns=id', CSV, ['columns']),
        ('columns=metrics.', CSV, ['columns']),
        ('columns=metrics.a,,', CSV, ['columns', 'columns']),
        ('sort=duration', CSV, ['sort']),
        ('sort=completed', NDJSON, ['sort']),
    ],
)
async def test_what_is_for_another_form_is_refused(
    api: Api, query: str, headers: dict[str, str], wrong: list[str]
) -> None:
    """By its name; a column that is no metric and no parameter, too, and an order that has pages
    alone without one: the first page would pass for the whole."""
    answer = await api.request('GET', f'/executions?{query}', headers=headers)
    assert answer.status == 400
    violations = (await answer.json())['parameters']['violations']
    assert sorted({each['path'] for each in violations}) == [
        f'/query/{name}' for name in sorted(set(wrong))
    ]


async def test_series_and_statistics_are_no_files(api: Api) -> None:
    """They are JSON whatever is asked for."""
    for path in ('/executions/metrics?name=volts', '/executions/stats'):
        answer = await api.request('GET', path, headers=CSV)
        assert (answer.status, answer.content_type) == (200, 'application/json')


async def test_a_page_is_exported_where_one_is_asked_for(api: Api) -> None:
    """By either way through the list; `Link` leads on."""
    known = await record(api, 1, 2, 3, 4, 5)
    assert [row['id'] for row in await rows(api, '/executions?limit=-2')] == known[:2]
    assert [row['id'] for row in await rows(api, f'/executions?before={known[1]}')] == known[2:]
    path = '/executions?page=2&per_page=2'
    assert [line['id'] for line in await lines(api, path)] == known[2:4]
    path = '/executions?per_page=2&sort=created'
    assert [line['id'] for line in await lines(api, path)] == known[:2]
    answer = await api.request('GET', path, headers=CSV)
    assert 'rel="next"' in answer.headers['Link']


async def test_an_error_before_the_first_line_is_an_error(api: Api) -> None:
    """With its status; nothing of a file was sent by then."""
    missing = await api.request('GET', '/apps/temp_sensor/scripts/none/executions', headers=CSV)
    assert (missing.status, missing.content_type) == (404, 'application/json')
    api.store.unavailable = 'disk full'
    assert (await api.request('GET', '/executions', headers=CSV)).status == 503


async def test_an_error_in_the_middle_does_not_pass_for_the_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk fails: the client sees that there is no end."""
    await record(api, *range(2 * PAGE_ROWS + 1))
    find = api.store.find_texts
    asked = 0

    async def fails_later(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            api.store.unavailable = 'disk full'
        return await find(*args)

    monkeypatch.setattr(api.store, 'find_texts', fails_later)
    answer = await api.client.get(f'{BASE}/executions', headers=NDJSON)
    assert answer.status == 200
    with pytest.raises(ClientPayloadError):
        await answer.read()


async def test_what_is_removed_meanwhile_is_passed_over(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is new is not there: each of the others is there once."""
    known = await record(api, *range(1, 2 * PAGE_ROWS + 5))
    find = api.store.find_texts
    asked = 0

    async def changes_later(*args: Any) -> Any:
        nonlocal asked
        asked += 1
        found = await find(*args)
        if asked == 1:
            for execution_id in (known[PAGE_ROWS - 1], known[PAGE_ROWS], known[-1]):
                await api.store.remove([execution_id], actor=GATEWAY, cause='test')
            await record(api, 10_000)
        return found

    monkeypatch.setattr(api.store, 'find_texts', changes_later)
    exported = [line['id'] for line in await lines(api, '/executions?fields=id')]
    assert exported == [each for each in known if each not in (known[PAGE_ROWS], known[-1])]
    assert asked == 3
