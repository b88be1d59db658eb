# SPDX-License-Identifier: Apache-2.0
"""The line as clients of the API see it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, serve_api
import pytest
from waiting import wait_until

TEMP_SENSOR = 'apps/temp_sensor'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway on which one script runs at a time, and two wait."""
    async with serve_api(tmp_path, max_executions=1, max_waiting=2) as api:
        yield api


async def start(api: Api, script_id: str, **body: Any) -> tuple[int, dict[str, str], Any]:
    """Start an execution; return status, headers and body of the answer."""
    path = f'/{TEMP_SENSOR}/scripts/{script_id}/executions'
    answer = await api.request('POST', path, json={'execution_type': 'now'} | body)
    return answer.status, dict(answer.headers), await answer.json()


async def test_the_answers_and_the_lists_tell_where_who_waits_stands(api: Api) -> None:
    """As long as it waits, and by that name alone where it is asked for."""
    script_id = await api.upload(TEMP_SENSOR)
    running, script = await api.running(TEMP_SENSOR, script_id)
    _, _, low = await start(api, script_id, priority=10)
    _, _, high = await start(api, script_id, priority=90)
    assert (low['queue_position'], high['queue_position']) == (1, 1)
    for path in ('/executions', '/executions?fields=id,queue_position'):
        _, listed = await api.json('GET', path)
        positions = {each['id']: each.get('queue_position') for each in listed['items']}
        assert positions == {running: None, low['id']: 2, high['id']: 1}
    status, changed = await api.json('PATCH', f'/executions/{low["id"]}', json={'priority': 100})
    assert (status, changed['priority'], changed['queue_position']) == (200, 100, 1)
    script.exit(0)
    await api.runner.script(low['id'])
    _, shown = await api.json('GET', f'/executions/{low["id"]}')
    assert 'queue_position' not in shown


async def test_who_waits_for_the_end_waits_in_line_too(api: Api) -> None:
    """The time in line counts as the rest does, and the answer is that of the end."""
    script_id = await api.upload(TEMP_SENSOR)
    _, first = await api.running(TEMP_SENSOR, script_id)
    path = f'/{TEMP_SENSOR}/scripts/{script_id}/executions'
    answering = asyncio.create_task(
        api.json('POST', path, json={'execution_type': 'now'}, headers={'Prefer': 'wait=1000'})
    )
    line = api.executions.line
    await wait_until(lambda: line.state().waiting == 1, what='it stands in line')
    first.exit(0)
    await wait_until(lambda: len(api.runner.started) == 2, what='its turn comes')
    (await api.runner.script(api.runner.started[-1])).exit(0)
    status, told = await answering
    assert (status, told['status']) == (200, 'completed')


async def test_a_start_that_may_not_wait_is_told_when_to_come_again(api: Api) -> None:
    """At a limit soon, later where the line is full, and later still where it is paused."""
    script_id = await api.upload(TEMP_SENSOR)
    await api.running(TEMP_SENSOR, script_id)
    waits = []
    for queue in (False, True, True, True):
        status, headers, body = await start(api, script_id, queue=queue)
        waits.append((status, body.get('vendor_code'), headers.get('Retry-After')))
    assert waits == [
        (429, 'x-gateway-limit-reached', '1'),
        (202, None, None),
        (202, None, None),
        (429, 'x-gateway-line-full', '10'),
    ]
    assert (await api.json('PUT', '/line', json={'paused': True}))[1]['paused'] is True
    status, headers, body = await start(api, script_id, queue=False)
    assert (status, body['vendor_code']) == (429, 'x-gateway-line-paused')
    assert headers['Retry-After'] == '60'
    assert 'the line is paused' in body['message']


async def test_the_health_tells_how_many_wait_and_for_how_long(api: Api) -> None:
    """The age of who has waited longest; nothing of it where nobody does."""
    _, health = await api.json('GET', '/health')
    assert health['line'] == {'paused': False, 'waiting': 0}
    script_id = await api.upload(TEMP_SENSOR)
    await api.running(TEMP_SENSOR, script_id)
    await start(api, script_id)
    api.clock.advance(12.5)
    for path, line in (('/health', 'line'), ('/line', None), (f'/{TEMP_SENSOR}/line', None)):
        _, told = await api.json('GET', path)
        shown = told if line is None else told[line]
        assert shown == {'paused': False, 'waiting': 1, 'oldest_wait_sec': 12.5}


@pytest.mark.parametrize(
    ('body', 'path'),
    [
        ({'expires_in_sec': 5, 'expires_at': '2030-01-01T00:00:00Z'}, '/body/expires_at'),
        ({'expires_in_sec': 0}, '/body/expires_in_sec'),
        ({'expires_at': 'soon'}, '/body/expires_at'),
        ({'execution_type': 'on_restart', 'expires_in_sec': 5}, '/body/expires_in_sec'),
        ({'priority': 101}, '/body/priority'),
        ({'queue': 'no'}, '/body/queue'),
    ],
)
async def test_what_no_line_can_do_is_refused(api: Api, body: dict[str, Any], path: str) -> None:
    """400 that names the member and what is allowed; nothing is started."""
    script_id = await api.upload(TEMP_SENSOR)
    status, _, told = await start(api, script_id, **body)
    assert (status, told['error_code']) == (400, 'invalid-parameter')
    assert [each['path'] for each in told['parameters']['violations']] == [path]
    assert 'allowed' in told['message']
    assert api.runner.started == ()


async def test_a_moment_that_is_over_is_refused_with_the_moment(api: Api) -> None:
    """By the clock of the gateway, which may be wrong: so the message says whose it is."""
    script_id = await api.upload(TEMP_SENSOR)
    status, _, told = await start(api, script_id, expires_at='2020-01-01T00:00:00Z')
    assert (status, told['error_code']) == (400, 'invalid-parameter')
    assert "'expires_at' is 2020-01-01T00:00:00.000Z" in told['message']
    assert [each['path'] for each in told['parameters']['violations']] == ['/body/expires_at']
