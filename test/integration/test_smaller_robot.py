# SPDX-License-Identifier: Apache-2.0
"""Who is narrowed is answered as if there were nothing else: asked of a robot that has nothing
else."""

from collections.abc import AsyncIterator, Mapping
import contextlib
from pathlib import Path
import re

from api_support import Api, BASE, serve_api
from clients import KnownTokens
from divided_robot import executed, part_of, SCOPES, showing, token_of
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Role

ARM = NodeName(namespace='/powertrain/arms', name='arm_left')
NODE = NodeName(namespace='/powertrain/yy_ns', name='yy_node')
HAND = NodeName(namespace=ARM.namespace, name='yy_hand')
LISTS = (
    '',
    '/apps',
    '/components',
    '/components/robot',
    '/components/powertrain_arms/hosts',
    '/components/powertrain_arms/executions?page=1',
    '/components/robot/scripts/group/executions',
    '/areas/powertrain/components',
    '/functions/monitoring/hosts',
    '/apps/arm_left',
    '/apps/arm_left/scripts',
    '/apps/arm_left/line',
    '/apps/arm_left/locks',
    '/apps/arm_left/executions?page=1',
    '/apps/yy_node',
    '/apps/yy_node/executions',
    '/apps/yy_node/docs',
    '/scripts',
    '/scripts?page=2&per_page=1',
    '/executions',
    '/executions?limit=-1',
    '/executions?page=2&per_page=1',
    '/executions?include_outdated=false',
    '/executions?scripts=zz_two.sh',
    '/executions?entity=apps/yy_node',
    '/executions?component=powertrain_yy_ns',
    '/executions?username=admin-everything',
    '/executions/status/running?page=1',
    '/executions/stats?interval=day',
    '/executions/metrics?name=volts',
    '/executions/events?limit=1000',
    '/events?limit=1000',
    '/health',
    '/line',
)
_VARYING = {'Date', 'Content-Length', 'Etag'}
_CHANCE = (
    (r'(in_memory|[0-9a-f]{16})-\d+', 'PLACE'),
    (r'events/\d+', 'events/N'),
    (r'"(sequence|uptime_sec)": ?[\d.]+', r'"\1":N'),
    (r'\d{4}-\d\d-\d\dT[\d:.]+Z', 'TIME'),
)
"""What differs from robot to robot, however much there is."""


@contextlib.asynccontextmanager
async def robot(
    directory: Path, scope: str, *, has_all: bool
) -> AsyncIterator[tuple[Api, Mapping[str, str]]]:
    """Serve what a scope has, or all; with what names the same on both."""
    narrowed = Credential(name='narrowed', role=Role.ADMIN, scope=SCOPES[scope])
    everything = Credential(name='admin-everything', role=Role.ADMIN)
    tokens = {
        token_of(Role.ADMIN, scope): narrowed,
        token_of(Role.ADMIN, 'everything'): everything,
    }
    async with serve_api(directory, authentication=Authentication([KnownTokens(tokens)])) as api:
        api.client.headers.update(showing(Role.ADMIN, 'everything'))
        nodes = {ARM, NODE, HAND} if has_all or scope != 'entities' else {ARM}
        api.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
        seen = await part_of(api, 'arm_left', 'powertrain_arms', 'check.sh', 'open')
        names = {seen.script_id: 'SCRIPT', seen.execution_id: 'FIRST'}
        if has_all or scope == 'entities':
            beside = await part_of(api, 'arm_left', 'powertrain_arms', 'zz_two.sh', 'zz_tag')
            names |= {beside.script_id: 'BESIDE', beside.execution_id: 'OF_BESIDE'}
        parent, script = await api.running('apps/arm_left', seen.script_id)
        if has_all:
            hidden = await part_of(api, 'yy_node', 'powertrain_yy_ns', 'yy_one.sh', 'yy_tag')
            await _leave_traces(api, hidden.script_id, parent)
        script.exit()
        await api.listener.wait_for(parent)
        running, _ = await api.running('apps/arm_left', seen.script_id)
        yield api, names | {parent: 'PARENT', running: 'RUNNING'}


async def _leave_traces(api: Api, script_id: str, parent: str) -> None:
    """Have a child of what is seen, a group, a schedule, and things deleted, all of it hidden."""
    entity = 'apps/yy_node'
    child, script = await api.running(entity, script_id, parent=parent)
    script.exit()
    await api.listener.wait_for(child)
    await api.running(entity, script_id)
    for path, wish in (
        ('/executions', {'script': 'yy_one.sh', 'entities': ['*']}),
        (f'/{entity}/scripts/{script_id}/executions', {'execution_type': 'on_restart'}),
    ):
        status, _ = await api.json('POST', path, json=wish)
        assert status == 202
    deleted = await executed(api, entity, script_id)
    assert (await api.request('DELETE', f'/executions/{deleted}')).status == 204
    gone = await api.upload(entity, name='yy_gone.sh')
    assert (await api.request('DELETE', f'/{entity}/scripts/{gone}')).status == 204


@pytest.mark.parametrize('scope', ['entities', 'scripts', 'tags'])
async def test_answers_are_those_of_a_robot_that_has_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, scope: str
) -> None:
    """Status, headers and body, but for ids, times and numbers of events."""
    assert await _answers(tmp_path_factory.mktemp('all'), scope, has_all=True) == await _answers(
        tmp_path_factory.mktemp('seen'), scope, has_all=False
    )


async def _answers(
    directory: Path, scope: str, *, has_all: bool
) -> dict[tuple[str, str], tuple[int, str, dict[str, str]]]:
    answers = {}
    async with robot(directory, scope, has_all=has_all) as (api, names):

        def alike(text: str) -> str:
            for name, known in names.items():
                text = text.replace(name, known)
            for pattern, known in _CHANCE:
                text = re.sub(pattern, known, text)
            return text

        of_parts = (f'/executions/{each}' for each, known in names.items() if known == 'PARENT')
        for path in (*LISTS, *of_parts):
            for accept in ('application/json', 'text/csv'):
                headers = {**showing(Role.ADMIN, scope), 'Accept': accept}
                async with api.client.get(f'{BASE}{path}', headers=headers) as response:
                    told = {
                        name: alike(value)
                        for name, value in response.headers.items()
                        if name not in _VARYING
                    }
                    answers[alike(path), accept] = (
                        response.status,
                        alike(await response.text()),
                        told,
                    )
    return answers
