# SPDX-License-Identifier: Apache-2.0
"""Executions that scripts start: over HTTP, and by real scripts that ask the gateway they run
below."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from api_support import Api, BASE, form, serve_api
from assembled_gateway import assembled_gateway
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName

ENTITY = 'apps/temp_sensor'
GRAPH = GraphSnapshot(
    nodes=frozenset({NodeName(namespace='/powertrain/engine', name='temp_sensor')})
)
PREFIX = '/robot'
DEADLINE_SEC = 60.0

STARTS_ANOTHER = b"""\
import json
import os
import urllib.request

url = f'{os.environ["GATEWAY_URL"]}/apps/temp_sensor/scripts/{os.environ["PARAM_SCRIPT"]}'
body = {'execution_type': 'now', 'parent': os.environ['GATEWAY_EXECUTION_ID']}
request = urllib.request.Request(
    f'{url}/executions', json.dumps(body).encode(), {'Content-Type': 'application/json'}
)
request.add_header('Prefer', 'wait=60')
with urllib.request.urlopen(request) as answer:
    child = json.load(answer)
print(json.dumps({'child': child['id'], 'status': child['status']}))
"""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


def executions_of(script_id: str) -> str:
    """Return the path of a script's executions."""
    return f'/{ENTITY}/scripts/{script_id}/executions'


async def test_a_start_names_its_parent(api: Api) -> None:
    """The child tells it, the parent counts its children, and a list finds them by it."""
    script_id = await api.upload(ENTITY)
    parent, _ = await api.running(ENTITY, script_id)
    _, alone = await api.json('GET', f'/executions/{parent}')
    assert 'children' not in alone
    child = await api.start(ENTITY, script_id, parent=parent)
    (await api.runner.script(child)).exit(0, printed={'verdict': 'PASS'})
    await api.listener.wait_for(child)
    _, shown = await api.json('GET', f'/executions/{child}')
    assert shown['parent'] == parent
    _, shown = await api.json('GET', f'/executions/{parent}')
    none = dict.fromkeys(('prepared', 'running', 'failed', 'terminated'), 0)
    assert shown['children'] == {
        'total': 1,
        'by_status': none | {'completed': 1},
        'by_verdict': {'PASS': 1},
    }
    _, found = await api.json('GET', f'/executions?parent={parent}')
    assert [each['id'] for each in found['items']] == [child]
    assert 'children' not in found['items'][0]


@pytest.mark.parametrize('execution_type', ['now_and_on_restart', 'on_restart', 'once_on_restart'])
async def test_a_child_runs_now_and_no_more(api: Api, execution_type: str) -> None:
    """A parent does not outlive the gateway: 400, and the message tells what is allowed."""
    script_id = await api.upload(ENTITY)
    parent, _ = await api.running(ENTITY, script_id)
    body = {'execution_type': execution_type, 'parent': parent}
    status, error = await api.json('POST', executions_of(script_id), json=body)
    assert (status, error['error_code']) == (400, 'invalid-parameter')
    assert error['parameters']['violations'][0]['path'] == '/body/parent'
    assert f"'{execution_type}'; allowed: with execution_type 'now'" in error['message']


async def test_bounds_of_a_parent_are_told_apart(api: Api) -> None:
    """Too many children: 429, and again later; too deep: 429 for good; not running: 409."""
    script_id = await api.upload(ENTITY)
    parent, _ = await api.running(ENTITY, script_id)
    path, now = executions_of(script_id), {'execution_type': 'now'}
    for _ in range(20):
        last = await api.start(ENTITY, script_id, parent=parent)
    answer = await api.request('POST', path, json=now | {'parent': parent})
    error = await answer.json()
    assert (answer.status, error['vendor_code']) == (429, 'x-gateway-limit-children')
    assert 'Retry-After' in answer.headers
    for _ in range(2):
        await api.runner.script(last)
        last = await api.start(ENTITY, script_id, parent=last)
    await api.runner.script(last)
    answer = await api.request('POST', path, json=now | {'parent': last})
    error = await answer.json()
    assert (answer.status, error['vendor_code']) == (429, 'x-gateway-limit-depth')
    assert 'Retry-After' not in answer.headers
    await api.json('PUT', f'/executions/{parent}', json={'action': 'stop'})
    status, error = await api.json('POST', path, json=now | {'parent': parent})
    assert (status, error['error_code']) == (409, 'invalid-request')


@pytest.mark.parametrize('stop_children', [True, False, None])
async def test_a_stop_says_whether_children_go_on(api: Api, stop_children: bool | None) -> None:
    """They end with their parent where it says nothing."""
    script_id = await api.upload(ENTITY)
    parent, _ = await api.running(ENTITY, script_id)
    child = await api.start(ENTITY, script_id, parent=parent)
    script = await api.runner.script(child)
    body = {'action': 'stop'} | ({} if stop_children is None else {'stop_children': stop_children})
    status, stopped = await api.json('PUT', f'/executions/{parent}', json=body)
    assert (status, stopped['status']) == (200, 'terminated')
    assert script.stops == ([] if stop_children is False else script.stops[:1])
    if stop_children is not False:
        assert (await api.listener.wait_for(child)).status.value == 'terminated'


async def upload(client: ClientSession, content: bytes, name: str) -> str:
    """Upload a script; return its id."""
    answer = await client.post(f'{PREFIX}{BASE}/{ENTITY}/scripts', data=form(content, name))
    return str((await answer.json())['id'])


async def run(client: ClientSession, script_id: str, **parameters: str) -> Any:
    """Run a script to its end; return the execution."""
    answer = await client.post(
        f'{PREFIX}{BASE}{executions_of(script_id)}',
        json={'execution_type': 'now', 'parameters': parameters},
        headers={'Prefer': 'wait=60'},
    )
    assert answer.status == 200
    return await answer.json()


async def test_a_script_starts_another_and_waits_for_it(tmp_path: Path) -> None:
    """It finds the gateway, below its prefix, by what stands in its environment; with a place for
    one execution alone, its child has no need of another one."""
    parameters = {
        'server.path_prefix': PREFIX,
        'scripts.max_concurrent_executions': 1,
        'scripts.max_concurrent_executions_per_entity': 1,
    }
    async with (
        asyncio.timeout(DEADLINE_SEC),
        assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client,
    ):
        said = await upload(client, b'echo child\n', 'says.sh')
        starts = await upload(client, STARTS_ANOTHER, 'starts.py')
        parent = await run(client, starts, script=said)
        assert (parent['status'], parent['parameters']['status']) == ('completed', 'completed')
        answer = await client.get(f'{PREFIX}{BASE}/executions/{parent["parameters"]["child"]}')
        child = await answer.json()
        assert (child['parent'], child['output']['stdout']) == (parent['id'], 'child\n')
