# SPDX-License-Identifier: Apache-2.0
"""The list of scripts across entities, as a client sees it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, BASE, form, serve_api
from assembled_gateway import assembled_gateway, OWN_NODE
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.values import Script, ScriptKind

APP = 'apps/temp_sensor'
COMPONENT = 'components/powertrain_engine'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway with a managed script for all components."""
    file = tmp_path / 'self_test.py'
    file.write_bytes(b'')
    script = Script(
        id='self_test', name='Self test', kind=ScriptKind.PYTHON, path=file, version='0', size=0
    )
    managed = (ManagedScript(script=script, entities=('components/*',)),)
    async with serve_api(tmp_path, managed=managed) as api:
        yield api


async def found(api: Api, query: str) -> list[tuple[str, str]]:
    status, body = await api.json('GET', f'/scripts{query}')
    assert status == 200, body
    return [(item['entity'], item['name']) for item in body['items']]


async def test_scripts_of_all_entities_are_in_one_list(api: Api) -> None:
    """Entity by entity; by entity, name, tag and kind, each with several values."""
    await api.upload(COMPONENT, name='b.sh', tags=['daily', 'brakes'])
    await api.upload(APP, name='a.sh', tags=['daily'])
    everywhere = [
        (APP, 'a.sh'),
        ('components/robot', 'Self test'),
        ('components/engine_ecu', 'Self test'),
        (COMPONENT, 'Self test'),
        (COMPONENT, 'b.sh'),
    ]
    assert sorted(await found(api, '')) == sorted(everywhere)
    assert (await found(api, ''))[0] == (APP, 'a.sh')
    assert await found(api, '?tag=daily') == [(APP, 'a.sh'), (COMPONENT, 'b.sh')]
    assert await found(api, '?tag=brakes,wheels') == [(COMPONENT, 'b.sh')]
    assert await found(api, '?name=a.sh&name=Self%20test&entity=apps/*') == [(APP, 'a.sh')]
    assert await found(api, f'?kind=python,bash&entity={COMPONENT}') == [(COMPONENT, 'Self test')]
    assert await found(api, '?tag=daily&kind=python') == []
    for query in ('?kind=perl', '?entity=temp_sensor', '?script=a', '?limit=1', '?per_page=0'):
        status, body = await api.json('GET', f'/scripts{query}')
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert 'allowed: ' in body['message']


async def test_the_list_of_scripts_has_pages(api: Api) -> None:
    """With links from each to the next one; each script is on one of them."""
    for number in range(5):
        await api.upload(APP, name=f'{number}.sh')
    names: list[str] = []
    path = '/scripts?entity=apps/*&per_page=2'
    for page in (1, 2, 3):
        answer = await api.request('GET', path)
        body = await answer.json()
        assert body['pagination'] == {
            'page': page, 'page_size': 2, 'total_items': 5, 'total_pages': 3
        }  # fmt: skip
        names += [item['name'] for item in body['items']]
        assert ('next' in answer.links) == ('next' in body) == (page < 3)
        path = body.get('next', '').removeprefix(BASE)
    assert names == [f'{number}.sh' for number in range(5)]


async def test_each_script_tells_what_it_last_did(api: Api) -> None:
    """How often it ended and how long that took; one that did nothing has no last execution."""
    script_id = await api.upload(APP)

    async def item() -> Any:
        status, body = await api.json('GET', '/scripts?entity=apps/*')
        assert status == 200
        (only,) = body['items']
        return only

    unused = await item()
    assert (unused['id'], unused['executions']) == (script_id, 0)
    assert not {'last_execution', 'median_duration_ms'} & unused.keys()
    for exit_code in (0, 3):
        execution_id, script = await api.running(APP, script_id)
        script.exit(exit_code)
        await api.listener.wait_for(execution_id)
    used = await item()
    assert used['executions'] == 2
    assert used['median_duration_ms'] >= 0
    assert used['last_execution']['status'] == 'failed'
    await api.running(APP, script_id)
    used = await item()
    assert used['executions'] == 2
    assert used['last_execution']['status'] == 'running'
    assert 'completed_at' not in used['last_execution']


async def test_the_assembled_gateway_tells_what_scripts_did(tmp_path: Path) -> None:
    """Through the database."""
    temp_sensor = NodeName(namespace='/powertrain', name='temp_sensor')
    graph = GraphSnapshot(nodes=frozenset({OWN_NODE, temp_sensor}))
    async with assembled_gateway(tmp_path, graph) as client:
        content = b'echo \'{"verdict": "WARN"}\'\n'
        uploaded = await client.post(f'{BASE}/{APP}/scripts', data=form(content, 'check.sh'))
        href = (await uploaded.json())['href']
        started = await client.post(f'{href}/executions', json={'execution_type': 'now'})
        execution = (await started.json())['href']
        while (await (await client.get(execution)).json())['status'] != 'completed':
            pass
        body = await (await client.get(f'{BASE}/scripts?name=check.sh')).json()
        (item,) = body['items']
        assert (item['href'], item['entity'], item['executions']) == (href, APP, 1)
        assert item['last_execution']['verdict'] == 'WARN'
        assert item['median_duration_ms'] >= 0
