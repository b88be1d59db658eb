# SPDX-License-Identifier: Apache-2.0
"""What has ended is started again by its id: the same script, given the same."""

from pathlib import Path
from typing import Any

from api_support import Api, BASE, form, serve_api
import pytest

GIVEN: dict[str, Any] = {'parameters': {'depth': 3}, 'arguments': ['-v']}


async def ended(api: Api, script_id: str, **body: Any) -> str:
    """Have an execution end; return its id."""
    execution_id = await api.start('apps/temp_sensor', script_id, **GIVEN, **body)
    (await api.runner.script(execution_id)).exit(3)
    await api.listener.wait_for(execution_id)
    return execution_id


async def retry(api: Api, path: str, **options: Any) -> tuple[int, Any]:
    """Start something again; return status and body of the answer."""
    return await api.json('POST', f'{path}/retry', **options)


async def shown(api: Api, execution_id: str) -> Any:
    """Return an execution as it is shown."""
    return (await api.json('GET', f'/executions/{execution_id}'))[1]


@pytest.mark.parametrize('below', ['', '/apps/temp_sensor/scripts/{script}'])
async def test_what_has_ended_is_started_again_with_the_same(tmp_path: Path, below: str) -> None:
    """By both paths, and without a body: a new execution of a client, whose parent it is."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        first = await ended(api, script_id)
        path = f'{below.format(script=script_id)}/executions/{first}'
        status, answer = await retry(api, path)
        assert (status, answer['status']) == (202, 'prepared')
        order = (await api.runner.script(answer['id'])).order
        assert (order.parameters, order.arguments) == ({'depth': 3}, ('-v',))
        again = await shown(api, answer['id'])
        assert (again['parent'], again['trigger']) == (first, {'type': 'manual'})
        assert (await shown(api, first))['children']['total'] == 1
        (listed,) = (await api.json('GET', f'/executions?parent={first}'))[1]['items']
        assert listed['id'] == answer['id']


@pytest.mark.parametrize(
    ('body', 'given'),
    [
        ({}, ({'depth': 3}, ('-v',))),
        ({'parameters': {}}, ({}, ('-v',))),
        ({'arguments': []}, ({'depth': 3}, ())),
        ({'parameters': {'depth': 4}, 'arguments': ['-q']}, ({'depth': 4}, ('-q',))),
        ({'parameters': None}, ({'depth': 3}, ('-v',))),
    ],
)
async def test_what_is_given_otherwise_takes_the_place_of_the_same(
    tmp_path: Path, body: dict[str, Any], given: tuple[Any, Any]
) -> None:
    """Each by itself."""
    async with serve_api(tmp_path) as api:
        first = await ended(api, await api.upload('apps/temp_sensor'))
        _, answer = await retry(api, f'/executions/{first}', json=body)
        order = (await api.runner.script(answer['id'])).order
        assert (order.parameters, order.arguments) == given


async def test_what_is_started_again_is_the_script_as_it_is_now(tmp_path: Path) -> None:
    """Whoever replaced a script that failed wants the new one to be tried."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        first = await ended(api, script_id)
        path = f'/apps/temp_sensor/scripts/{script_id}'
        await api.request('PUT', path, data=form(b'false\n', 'check.sh'))
        _, answer = await retry(api, f'/executions/{first}')
        versions = [(await shown(api, each))['script_version'] for each in (first, answer['id'])]
        assert versions[0] != versions[1]
        assert (await shown(api, first))['is_outdated']


async def test_a_schedule_that_ended_is_not_started_again(tmp_path: Path) -> None:
    """Nothing was executed under its id."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        schedule = await api.start('apps/temp_sensor', script_id, execution_type='on_restart')
        await api.json('PUT', f'/executions/{schedule}', json={'action': 'stop'})
        status, error = await retry(api, f'/executions/{schedule}')
        assert (status, error['error_code']) == (409, 'invalid-request')
        assert 'is a schedule' in error['message']


async def test_neither_what_is_open_nor_several_are_started_again(tmp_path: Path) -> None:
    """An execution has to have an end, and a process of its own."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        running, _ = await api.running('apps/temp_sensor', script_id)
        status, error = await retry(api, f'/executions/{running}')
        assert (status, error['error_code']) == (409, 'invalid-request')
        assert 'is running' in error['message']
        start = {'script': script_id, 'entities': 'apps/temp_sensor'}
        _, group = await api.json('POST', '/executions', json=start)
        await api.json('PUT', f'/executions/{group["id"]}', json={'action': 'stop'})
        await api.listener.wait_for(group['id'])
        status, error = await retry(api, f'/executions/{group["id"]}')
        assert (status, error['error_code']) == (409, 'invalid-request')
        assert 'start those again' in error['message']


async def test_a_retry_is_refused_as_a_start_is(tmp_path: Path) -> None:
    """What it is given is checked, and fields that no retry has are none."""
    async with serve_api(tmp_path, max_executions=1) as api:
        script_id = await api.upload('apps/temp_sensor')
        first = await ended(api, script_id)
        status, error = await retry(api, f'/executions/{first}', json={'execution_type': 'now'})
        assert (status, error['error_code']) == (400, 'invalid-request')
        status, _ = await retry(api, f'/executions/{first}', json={'arguments': [1]})
        assert status == 400
        async with api.client.post(f'{BASE}/executions/{first}/retry', data=b'{') as answer:
            assert answer.status == 415
        await api.request('DELETE', f'/apps/temp_sensor/scripts/{script_id}')
        assert (await retry(api, f'/executions/{first}'))[0] == 404


async def test_a_retry_that_is_sent_again_starts_nothing(tmp_path: Path) -> None:
    """Under its key, as a start; who waits for its end is answered that."""
    async with serve_api(tmp_path) as api:
        first = await ended(api, await api.upload('apps/temp_sensor'))
        headers = {'Idempotency-Key': 'k'}
        _, one = await retry(api, f'/executions/{first}', headers=headers)
        _, other = await retry(api, f'/executions/{first}', json={}, headers=headers)
        assert one['id'] == other['id']
        (await api.runner.script(one['id'])).exit(0)
        headers['Prefer'] = 'wait=60'
        status, body = await retry(api, f'/executions/{first}', headers=headers)
        assert (status, body['id'], body['status']) == (200, one['id'], 'completed')
