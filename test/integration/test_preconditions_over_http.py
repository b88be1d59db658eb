# SPDX-License-Identifier: Apache-2.0
"""Preconditions, from the metadata to the start."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, form, serve_api
from assembled_gateway import assembled_gateway, OWN_NODE
from clients import bearer, KnownTokens
from fakes import FakeRobot
import pytest
from watched_robot import CHARGED, SPEED, STANDS, VOLTAGE

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

APP = 'apps/temp_sensor'
NEEDS: list[dict[str, Any]] = [
    {'condition': dict(CHARGED), 'description': 'Charge it first.', 'max_age_sec': 60},
    {'condition': dict(STANDS), 'hold': True, 'max_age_sec': 60},
]
"""No machine is so slow that a value of the test is old by then."""
NOW = {'execution_type': 'now'}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway on a robot that stands, and is not charged."""
    async with serve_api(tmp_path) as api:
        api.robot.set(VOLTAGE, 9)
        api.robot.set(SPEED, 0)
        yield api


async def test_a_script_shows_its_preconditions_as_they_were_given(api: Api) -> None:
    """In its detail, in lists, of its versions, and where its start is described."""
    script_id = await api.upload(APP, preconditions=NEEDS)
    script = f'/{APP}/scripts/{script_id}'
    _, shown = await api.json('GET', script)
    _, listed = await api.json('GET', f'/{APP}/scripts')
    _, versions = await api.json('GET', f'{script}/versions')
    told = [shown, *listed['items'], *versions['items']]
    assert [each['preconditions'] for each in told] == [NEEDS] * 3
    _, described = await api.json('GET', f'{script}/docs')
    start = described['paths'][f'{script}/executions']['post']
    assert start['x-gateway-preconditions'] == NEEDS
    _, kept = await api.json('PUT', script, data=form(b'false\n', 'check.sh'))
    assert kept['preconditions'] == NEEDS
    without = form(b'exit 1\n', 'check.sh', {'preconditions': None})
    _, replaced = await api.json('PUT', script, data=without)
    assert 'preconditions' not in replaced


async def test_all_that_is_wrong_with_preconditions_is_told_at_the_upload(api: Api) -> None:
    """By JSON Pointer; a moment is none, for nothing is true in it for long."""
    wrong = [{'condition': {'interval_sec': 5}}, {'hold': 'yes'}]
    status, body = await api.json(
        'POST', f'/{APP}/scripts', data=form(b'true\n', 'a.sh', {'preconditions': wrong})
    )
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    paths = [each['path'] for each in body['parameters']['violations']]
    assert paths == [
        '/preconditions/0/condition/interval_sec',
        '/preconditions/1/hold',
        '/preconditions/1',
    ]


async def test_a_start_is_refused_with_each_that_is_not_met(api: Api) -> None:
    """What was wanted, the value, its age; of all that is refused nothing is recorded."""
    script_id = await api.upload(APP, preconditions=NEEDS)
    start = f'/{APP}/scripts/{script_id}/executions'
    status, refused = await api.json('POST', start, json=NOW)
    assert (status, refused['error_code']) == (409, 'precondition-not-fulfilled')
    (unmet,) = refused['parameters']['unmet']
    assert (unmet['path'], unmet['value'], unmet['description']) == (
        '/preconditions/0', 9, 'Charge it first.'
    )  # fmt: skip
    assert unmet['wanted'] == '/battery voltage above 10'
    assert unmet['age_sec'] >= 0
    assert api.runner.started == ()


async def test_readiness_has_each_precondition_with_its_value(api: Api) -> None:
    """Met or not, and in one list with all else."""
    script_id = await api.upload(APP, preconditions=NEEDS)
    _, body = await api.json('GET', f'/{APP}/scripts/{script_id}/readiness')
    needs = [each for each in body['items'] if each['reason'] == 'precondition']
    assert [(each['ready'], each['value']) for each in needs] == [(False, 9), (True, 0)]
    assert 'is 9' in needs[0]['message']
    assert not body['ready']
    later = f'/{APP}/scripts/{script_id}/readiness?execution_type=on_restart'
    _, body = await api.json('GET', later)
    assert body['ready']


async def test_an_instance_requires_more_than_its_script(api: Api) -> None:
    """Both are looked at, and told apart; readiness knows it too, and whether it runs."""
    script_id = await api.upload(APP, preconditions=NEEDS[1:])
    instances = f'/{APP}/scripts/{script_id}/instances'
    body = {'name': 'charged', 'preconditions': NEEDS[:1]}
    status, made = await api.json('POST', instances, json=body)
    assert status == 201, made
    start = f'{instances}/charged/executions'
    status, refused = await api.json('POST', start, json={})
    assert (status, refused['error_code']) == (409, 'precondition-not-fulfilled')
    (unmet,) = refused['parameters']['unmet']
    assert (unmet['of'], unmet['path'], unmet['value']) == ('instance', '/preconditions/0', 9)
    await api.start(APP, script_id)
    readiness = f'/{APP}/scripts/{script_id}/readiness?instance=charged'
    _, body = await api.json('GET', readiness)
    needs = [(each['of'], each['ready']) for each in body['items'] if 'of' in each]
    assert needs == [('script', True), ('instance', False)]
    api.robot.set(VOLTAGE, 12)
    while (await api.json('GET', readiness))[1]['ready'] is False:
        pass  # each turn is a request: the loop goes on meanwhile
    _, started = await api.json('POST', start, json={})
    _, body = await api.json('GET', readiness)
    (need,) = [each for each in body['items'] if each['reason'] == 'instance']
    assert (need['ready'], need['execution']) == (False, started['id'])


async def test_an_instance_that_is_not_there_is_not_ready_nor_otherwise(api: Api) -> None:
    """404; and of one that is there only a start that runs now can be meant."""
    readiness = f'/{APP}/scripts/{await api.upload(APP)}/readiness'
    status, body = await api.json('GET', f'{readiness}?instance=nobody')
    assert (status, body['error_code']) == (404, 'resource-not-found')
    query = '?instance=nobody&execution_type=on_restart'
    status, body = await api.json('GET', f'{readiness}{query}')
    assert status == 400
    assert [each['path'] for each in body['parameters']['violations']] == ['/query/execution_type']


async def test_who_sees_a_script_sees_what_its_conditions_read(tmp_path: Path) -> None:
    """In its readiness and in its instances alike, whatever the role; who is narrowed to its
    entity too: somebody who is not made the condition."""
    narrowed = {'entities': Scope(entities=(APP,)), 'tags': Scope(tags=('*',))}
    people = {role.value: Credential(name=role.value, role=role) for role in Role} | {
        name: Credential(name=name, role=Role.VIEWER, scope=scope)
        for name, scope in narrowed.items()
    }
    instance = {'name': 'low', 'start_triggers': [{'condition': dict(CHARGED)}]}
    async with serve_api(tmp_path, authentication=Authentication([KnownTokens(people)])) as api:
        api.robot.set(VOLTAGE, 9)
        api.client.headers.update(bearer('admin'))
        script_id = await api.upload(APP, preconditions=NEEDS[:1], tags=['arm'])
        script = f'/{APP}/scripts/{script_id}'
        await api.json('POST', f'{script}/instances', json=instance)
        for name in people:
            _, ready = await api.json('GET', f'{script}/readiness', headers=bearer(name))
            (need,) = [each for each in ready['items'] if each['reason'] == 'precondition']
            assert need['value'] == 9, name
            assert need['message'].startswith('/battery voltage above 10: is 9, ')
            _, shown = await api.json('GET', f'{script}/instances/low', headers=bearer(name))
            part = shown['start_triggers'][0]['state']['parts']
            assert part['value'] == 9, name


@pytest.mark.parametrize('replaces', [True, False])
async def test_who_is_narrowed_to_entities_makes_no_precondition_on_the_graph(
    tmp_path: Path, *, replaces: bool
) -> None:
    """By it they could read any topic; what is there stays where they do not say otherwise, and
    who is narrowed to scripts or tags may."""
    role = Role.CONFIGURATOR
    people = {
        'admin': Credential(name='admin', role=Role.ADMIN),
        'entities': Credential(name='entities', role=role, scope=Scope(entities=('*',))),
        'tags': Credential(name='tags', role=role, scope=Scope(tags=('*',))),
    }
    async with serve_api(tmp_path, authentication=Authentication([KnownTokens(people)])) as api:
        api.client.headers.update(bearer('admin'))
        script_id = await api.upload(APP, preconditions=NEEDS[:1], tags=['arm'])
        method = 'PUT' if replaces else 'POST'
        path = f'/{APP}/scripts' + (f'/{script_id}' if replaces else '')

        async def bring(name: str, **metadata: Any) -> tuple[int, Any]:
            brought = form(b'true\n', 'check.sh', metadata or None)
            return await api.json(method, path, data=brought, headers=bearer(name))

        status, body = await bring('entities', preconditions=NEEDS, tags=['arm'])
        assert (status, body['error_code']) == (403, 'insufficient-access-rights')
        assert body['message'].startswith('/preconditions/0/condition looks at the graph')
        status, body = await bring('tags', preconditions=NEEDS, tags=['arm'])
        assert status in {200, 201}, body
        if replaces:
            status, body = await bring('entities')
            assert (status, body['preconditions']) == (200, NEEDS)


async def test_an_execution_whose_precondition_is_lost_says_so(api: Api) -> None:
    """Its error has the value, its stop trigger says that the gateway stopped it."""
    script_id = await api.upload(APP, preconditions=NEEDS[1:])
    execution_id, script = await api.running(APP, script_id)
    api.robot.set(SPEED, 2)
    await script.wait_stop_asked()
    await api.listener.wait_for(execution_id)
    _, shown = await api.json('GET', f'/executions/{execution_id}')
    assert (shown['status'], shown['error']['vendor_code']) == (
        'failed', 'x-gateway-precondition-lost'
    )  # fmt: skip
    assert shown['error']['parameters']['lost']['value'] == 2
    assert shown['stop_trigger'] == {'type': 'system', 'setting': 'precondition'}


async def test_the_assembled_gateway_looks_at_its_robot(tmp_path: Path) -> None:
    """A real script is ended where what it requires is lost, as with a stop."""
    robot = FakeRobot()
    temp_sensor = NodeName(namespace='/powertrain', name='temp_sensor')
    graph = GraphSnapshot(nodes=frozenset({OWN_NODE, temp_sensor}))
    async with assembled_gateway(tmp_path, graph, robot=robot) as client:
        base = f'/api/v1/{APP}/scripts'
        waits = b'trap "exit 7" TERM\necho begun\nwhile :; do sleep 0.05; done\n'
        needs = [{'condition': {'node': '/arm'}, 'hold': True, 'max_age_sec': 0.2}]
        data = form(waits, 'waits.sh', {'preconditions': needs})
        script_id = (await (await client.post(base, data=data)).json())['id']
        start = f'{base}/{script_id}/executions'
        refused = await client.post(start, json=NOW)
        assert refused.status == 409
        (unmet,) = (await refused.json())['parameters']['unmet']
        (source,) = robot.watched
        robot.set(source, True)
        assert unmet['truth'] is None
        while (started := await client.post(start, json=NOW)).status == 409:
            pass  # each turn is a request: the loop goes on meanwhile
        execution = (await started.json())['href']

        async def shown() -> Any:
            return await (await client.get(execution)).json()

        while not (await shown())['output']['stdout']:
            pass
        robot.set(source, False)
        while 'completed_at' not in (ended := await shown()):
            pass
        assert ended['error']['vendor_code'] == 'x-gateway-precondition-lost'
        assert (ended['status'], ended['exit_code']) == ('failed', 7)
        assert ended['error']['parameters']['lost']['path'] == '/preconditions/0'
