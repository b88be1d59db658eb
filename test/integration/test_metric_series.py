# SPDX-License-Identifier: Apache-2.0
"""Series of a metric, as clients ask for them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from api_support import Api, BASE, serve_api
import pytest

SENSOR = 'apps/temp_sensor'
ENGINE = 'components/powertrain_engine'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway; each answer is held to the schema of its route."""
    async with serve_api(tmp_path) as served:
        yield served


async def measured(api: Api, entity: str, script_id: str, **printed: Any) -> str:
    """Execute a script that prints a result; return the execution's id."""
    execution_id, script = await api.running(entity, script_id)
    api.clock.advance(1)
    script.exit(printed=printed)
    await api.listener.wait_for(execution_id)
    return execution_id


async def series(api: Api, query: str) -> list[tuple[str, float]]:
    """Return the ids and values of one part of a series."""
    status, body = await api.json('GET', f'/executions/metrics?{query}')
    assert status == 200, body
    return [(each['execution_id'], each['value']) for each in body['items']]


async def test_a_series_tells_what_was_measured_where_and_when(api: Api) -> None:
    """By the end of each execution; what has no such metric is not in it."""
    script_id = await api.upload(SENSOR, name='check.sh')
    execution_id = await measured(
        api, SENSOR, script_id, metrics={'volts': 11.5, 'amps': 2}, verdict='WARN'
    )
    await measured(api, SENSOR, script_id, metrics={'amps': 3})
    await measured(api, SENSOR, script_id)
    await api.running(SENSOR, script_id)
    _, detail = await api.json('GET', f'/executions/{execution_id}')
    status, body = await api.json('GET', f'/executions/metrics?script={script_id}&name=volts')
    assert status == 200
    assert body == {
        'items': [
            {
                'execution_id': execution_id,
                'href': f'{BASE}/{SENSOR}/scripts/{script_id}/executions/{execution_id}',
                'entity': SENSOR,
                'script_id': script_id,
                'script_name': 'check.sh',
                'at': detail['completed_at'],
                'value': 11.5,
                'verdict': 'WARN',
            }
        ]
    }


async def test_a_series_is_found_by_what_lists_are_found_by(api: Api) -> None:
    """Script, by id or name, entity, time, verdict, status and all else."""
    one = await api.upload(SENSOR, name='check.sh')
    other = await api.upload(ENGINE, name='check.sh')
    third = await api.upload(ENGINE, name='probe.sh')
    ids = [
        await measured(api, entity, script_id, metrics={'v': number}, verdict=verdict)
        for number, (entity, script_id, verdict) in enumerate(
            [(SENSOR, one, 'PASS'), (ENGINE, other, 'FAIL'), (ENGINE, third, 'FAIL')]
        )
    ]
    _, second = await api.json('GET', f'/executions/{ids[1]}')
    for query, numbers in {
        '': [2, 1, 0],
        '&script=check.sh': [1, 0],
        f'&script={one},{third}': [2, 0],
        f'&script=check.sh&entity={ENGINE}': [1],
        '&entity=apps/*': [0],
        '&verdict=FAIL': [2, 1],
        f'&created_after={second["created_at"]}': [2, 1],
        f'&completed_before={second["completed_at"]}': [0],
        '&status=failed': [],
        '&script=nobody': [],
    }.items():
        found = await series(api, f'name=v{query}')
        assert found == [(ids[number], number) for number in numbers], query
    assert await series(api, 'name=V') == []


@pytest.mark.parametrize('limit', [1, 2, 3, -1, -2, -3])
async def test_a_series_is_walked_as_lists_are(api: Api, limit: int) -> None:
    """By `limit` and `id_exclusive`, newest first within a part; `next` leads through all."""
    script_id = await api.upload(SENSOR)
    points = []
    for number in range(5):
        await measured(api, SENSOR, script_id)
        metrics = {'v': number / 2}
        points.append((await measured(api, SENSOR, script_id, metrics=metrics), number / 2))
    path, walked = f'/executions/metrics?name=v&limit={limit}', []
    while path:
        status, body = await api.json('GET', path)
        assert status == 200
        part = [(each['execution_id'], each['value']) for each in body['items']]
        assert part == sorted(part, reverse=True)
        walked += part[::-1] if limit > 0 else part
        path = body.get('next', '').removeprefix(BASE)
    assert walked == (points if limit > 0 else points[::-1])
    assert await series(api, 'name=v&page=2&per_page=2') == points[1:3][::-1]


@pytest.mark.parametrize('name', ['Öl "1"', 'a,b', 'a\\b', "'; --", '$.x', '%', '💥' * 64, '+'])
async def test_a_name_is_taken_as_it_is(api: Api, name: str) -> None:
    """Commas divide nothing in it."""
    script_id = await api.upload(SENSOR)
    execution_id = await measured(api, SENSOR, script_id, metrics={name: 1, 'a': 2})
    assert await series(api, f'name={quote(name, safe="")}') == [(execution_id, 1)]


async def test_a_series_ends_with_its_executions(api: Api) -> None:
    """What is removed is in none."""
    script_id = await api.upload(SENSOR)
    execution_id = await measured(api, SENSOR, script_id, metrics={'v': 1})
    await api.request('DELETE', f'/executions/{execution_id}')
    assert await series(api, 'name=v') == []


@pytest.mark.parametrize(
    ('query', 'path'),
    [
        ('script=a', '/query/name'),
        ('name=', '/query/name'),
        ('name=a&name=b', '/query/name'),
        (f'name={"x" * 65}', '/query/name'),
        ('name=a%00', '/query/name'),
        ('name=a&limit=0', '/query/limit'),
        ('name=a&fields=id', '/query/fields'),
        ('name=a&metric=a', '/query/metric'),
    ],
)
async def test_a_bad_query_is_refused(api: Api, query: str, path: str) -> None:
    """400 names what is wrong."""
    status, body = await api.json('GET', f'/executions/metrics?{query}')
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert [each['path'] for each in body['parameters']['violations']] == [path]
