# SPDX-License-Identifier: Apache-2.0
"""Locks as clients of the API use them, those of ros2_medkit among them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
import datetime
from pathlib import Path
from typing import Any

from api_support import Api, form, serve_api
from clients import bearer, KnownTokens
from fakes import FakeSchemaChecker
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role

TEMP_SENSOR = 'apps/temp_sensor'
COMPONENT = 'components/powertrain_engine'
HOST = 'components/robot'
LOCKS = f'/{TEMP_SENSOR}/locks'
A, B = {'X-Client-Id': 'client_a'}, {'X-Client-Id': 'client_b'}
FOR_A_WHILE = {'lock_expiration': 300}
NOW = {'execution_type': 'now'}


class HeldSchemas(FakeSchemaChecker):
    """Checks parameters, and what is `marked` of the schemas, when a test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def check_schema(self, schema: Mapping[str, Any]) -> None:
        """Wait until it is let, where the schema is marked."""
        if 'marked' in schema.get('properties', {}):
            await self._be_held()

    async def check_parameters(
        self, schema: Mapping[str, Any], parameters: Mapping[str, Any]
    ) -> Sequence[str]:
        """Wait until it is let."""
        await self._be_held()
        return ()

    async def _be_held(self) -> None:
        self.asked.set()
        await self.go_on.wait()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway on which one script runs at a time, and one waits."""
    async with serve_api(tmp_path, max_executions=1) as api:
        yield api


async def lock(api: Api, entity: str = TEMP_SENSOR, **body: Any) -> str:
    """Lock an entity as client A; return the lock's id."""
    status, answer = await api.json('POST', f'/{entity}/locks', json=FOR_A_WHILE | body, headers=A)
    assert status == 201, answer
    return str(answer['id'])


async def test_a_lock_is_taken_shown_extended_and_given_back(api: Api) -> None:
    """As ros2_medkit's clients do it."""
    answer = await api.request('POST', LOCKS, json=FOR_A_WHILE, headers=A)
    taken = await answer.json()
    assert (answer.status, taken['owned'], 'scopes' in taken) == (201, True, False)
    assert answer.headers['Location'] == f'/api/v1{LOCKS}/{taken["id"]}'
    path = f'{LOCKS}/{taken["id"]}'
    assert await api.json('GET', path, headers=A) == (200, taken)
    api.clock.advance(299)
    assert (await api.request('PUT', path, json={'lock_expiration': 600}, headers=A)).status == 204
    _, extended = await api.json('GET', path, headers=A)
    until = datetime.datetime.fromisoformat(extended['lock_expiration'])
    assert until == api.clock.now() + datetime.timedelta(seconds=600)
    assert (await api.request('DELETE', path, headers=A)).status == 204
    assert await api.json('GET', LOCKS) == (200, {'items': []})
    assert (await api.request('DELETE', path, headers=A)).status == 404


@pytest.mark.parametrize(('headers', 'owned'), [(A, True), (B, False), ({}, False)])
async def test_each_client_sees_whether_it_is_their_own(
    api: Api, headers: dict[str, str], owned: bool
) -> None:
    """And everybody who holds it."""
    lock_id = await lock(api, scopes=['configurations', 'scripts'])
    _, body = await api.json('GET', LOCKS, headers=headers)
    (shown,) = body['items']
    assert (shown['id'], shown['owned']) == (lock_id, owned)
    assert shown['scopes'] == ['configurations', 'scripts']
    assert shown['holder'] == {'client_id': 'client_a'}


@pytest.mark.parametrize(
    ('headers', 'body', 'named'),
    [
        ({}, FOR_A_WHILE, 'X-Client-Id'),
        (A, {}, 'lock_expiration'),
        (A, {'lock_expiration': 0}, 'lock_expiration'),
        (A, {'lock_expiration': -5}, 'lock_expiration'),
        (A, {'lock_expiration': 3601}, 'lock_expiration'),
        (A, {'lock_expiration': 1.5}, 'lock_expiration'),
        (A, {'lock_expiration': '300'}, 'lock_expiration'),
        (A, FOR_A_WHILE | {'scopes': ['engines']}, 'scopes'),
        (A, FOR_A_WHILE | {'scopes': 'scripts'}, 'scopes'),
        (A, FOR_A_WHILE | {'owner': 'me'}, 'owner'),
        ({'X-Client-Id': 'ä'}, FOR_A_WHILE, 'X-Client-Id'),
    ],
)
async def test_a_wish_that_is_wrong_locks_nothing(
    api: Api, headers: dict[str, str], body: dict[str, Any], named: str
) -> None:
    """It says which value it is."""
    status, answer = await api.json('POST', LOCKS, json=body, headers=headers)
    assert status == 400
    assert named in answer['message']
    assert await api.json('GET', LOCKS) == (200, {'items': []})


async def test_who_comes_second_hears_who_holds_it(api: Api) -> None:
    """By names that programs read; the holder, too, takes it once."""
    lock_id = await lock(api)
    for headers in (A, B):
        status, body = await api.json('POST', LOCKS, json=FOR_A_WHILE, headers=headers)
        assert (status, body['error_code']) == (409, 'invalid-request')
        assert body['parameters'] == {
            'entity': TEMP_SENSOR,
            'existing_lock_id': lock_id,
            'holder': {'client_id': 'client_a'},
            'lock_expiration': '2026-03-01T12:05:00.000Z',
        }


async def test_an_admin_breaks_a_lock(api: Api) -> None:
    """The new holder has it alone; while nobody is authenticated this host is admin."""
    lock_id = await lock(api)
    breaking = FOR_A_WHILE | {'break_lock': True}
    status, body = await api.json('POST', LOCKS, json=breaking, headers=B)
    assert (status, body['owned']) == (201, True)
    assert (await api.request('GET', f'{LOCKS}/{lock_id}')).status == 404


async def test_where_locks_are_not_breakable_none_is_broken(tmp_path: Path) -> None:
    """409, as where nothing is to be broken."""
    async with serve_api(tmp_path, locks_breakable=False) as api:
        await lock(api)
        breaking = FOR_A_WHILE | {'break_lock': True}
        status, body = await api.json('POST', LOCKS, json=breaking, headers=B)
        assert (status, body['error_code']) == (409, 'invalid-request')
        assert 'locks.breakable' in body['message']


async def test_the_holder_alone_changes_anything(api: Api) -> None:
    """Each request that does is refused to the others and passes for the holder; all may look."""
    script_id = await api.upload(TEMP_SENSOR)
    scripts = f'/{TEMP_SENSOR}/scripts'
    script = f'{scripts}/{script_id}'
    ended_id, ended = await api.running(TEMP_SENSOR, script_id)
    ended.exit(0)
    await api.listener.wait_for(ended_id)
    running_id, _ = await api.running(TEMP_SENSOR, script_id)
    waiting_id = await api.start(TEMP_SENSOR, script_id)
    of_all = {'script': script_id, 'entities': TEMP_SENSOR}
    changes: list[tuple[str, str, Any, int]] = [
        ('POST', f'{script}/executions', NOW, 202),
        ('POST', f'{script}/executions', {'execution_type': 'on_restart'}, 202),
        ('POST', '/executions', of_all, 202),
        ('POST', f'/executions/{ended_id}/retry', {}, 202),
        ('PATCH', f'/executions/{waiting_id}', {'priority': 80}, 200),
        ('PUT', f'/{TEMP_SENSOR}/line', {'paused': True}, 200),
        ('PUT', '/line', {'paused': False}, 200),
        ('PUT', f'{script}/executions/{running_id}', {'action': 'stop'}, 200),
        ('DELETE', f'/executions/{ended_id}', None, 204),
        ('POST', scripts, b'true\n', 201),
        ('PUT', script, b'false\n', 200),
    ]
    other_id = await api.upload(TEMP_SENSOR)
    changes.append(('DELETE', f'{scripts}/{other_id}', None, 204))
    await lock(api)
    for method, path, body, _ in changes:
        for headers in (B, {}):
            status, answer = await api.json(method, path, headers=headers, **content(body))
            assert (status, answer['parameters']['entity']) == (409, TEMP_SENSOR), (method, path)
    _, acted = await api.json(
        'POST', '/executions/actions', json={'action': 'stop', 'filter': {}}, headers=B
    )
    assert {each['error']['parameters']['entity'] for each in acted['items']} == {TEMP_SENSOR}
    for path in (f'/executions/{running_id}', script, f'/{TEMP_SENSOR}/line'):
        assert (await api.request('GET', path, headers=B)).status == 200
    for method, path, body, expected in changes:
        answer = await api.request(method, path, headers=A, **content(body))
        assert answer.status == expected, (method, path, await answer.text())


def content(body: dict[str, Any] | bytes | None) -> dict[str, Any]:
    """Return what a request says, as options of the client: JSON, or a file."""
    if isinstance(body, bytes):
        return {'data': form(body, 'new.sh')}
    return {'json': body}


@pytest.mark.parametrize(
    ('client_id', 'status'),
    [('x' * 256, 201), ('My tablet #1', 201), ('x' * 257, 400), ('t\u00e4blet', 400), ('', 400)],
)
async def test_a_client_may_call_itself_what_it_may_at_ros2_medkit(
    api: Api, client_id: str, status: int
) -> None:
    """As long as that is ASCII; an empty name is none, and keeps nobody from looking."""
    headers = {'X-Client-Id': client_id}
    assert (await api.request('POST', LOCKS, json=FOR_A_WHILE, headers=headers)).status == status
    expected = 200 if status == 201 or not client_id else 400
    answer = await api.request('GET', LOCKS, headers=headers)
    assert answer.status == expected
    if status == 201:
        assert [each['owned'] for each in (await answer.json())['items']] == [True]


async def test_a_lock_on_the_host_holds_the_robot(api: Api) -> None:
    """Nothing is started anywhere by anybody else, in no group either."""
    script_id = await api.upload(TEMP_SENSOR)
    await lock(api, HOST)
    path = f'/{TEMP_SENSOR}/scripts/{script_id}/executions'
    _, body = await api.json('POST', path, json=NOW, headers=B)
    assert body['parameters']['entity'] == HOST
    several = {'script': script_id, 'entities': ['apps/*', 'components/*']}
    status, body = await api.json('POST', '/executions', json=several, headers=B)
    assert (status, body['parameters']['entity']) == (409, HOST)
    assert (await api.request('POST', path, json=NOW, headers=A)).status == 202


async def test_what_the_holders_script_starts_is_the_holders(tmp_path: Path) -> None:
    """Its children, and theirs, though no request of a script names the client; what another
    client's script starts is not."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(TEMP_SENSOR)
        elsewhere = await api.upload(COMPONENT)
        path = f'/{TEMP_SENSOR}/scripts/{script_id}/executions'
        there = f'/{COMPONENT}/scripts/{elsewhere}/executions'
        _, strange = await api.json('POST', there, json=NOW, headers=B)
        await lock(api)
        _, parent = await api.json('POST', there, json=NOW, headers=A)
        for each in (strange, parent):
            await api.runner.script(each['id'])
        status, child = await api.json('POST', path, json=NOW | {'parent': parent['id']})
        assert status == 202
        await api.runner.script(child['id'])
        of_child = NOW | {'parent': child['id']}
        assert (await api.request('POST', path, json=of_child)).status == 202
        of_strange = NOW | {'parent': strange['id']}
        assert (await api.request('POST', path, json=of_strange)).status == 409


async def test_a_script_with_a_credential_acts_as_who_had_it_started(tmp_path: Path) -> None:
    """As that client of theirs, so that the lock is its own, whatever it does; another script of
    the same identity, and of another client, is somebody else."""
    anna = Credential(name='anna', role=Role.CONFIGURATOR)
    tokens = {
        'anna': anna,
        'script_a': replace(anna, execution='exec_a', client_id='client_a'),
        'script_b': replace(anna, execution='exec_b', client_id='client_b'),
    }
    authentication = Authentication([KnownTokens(tokens)])
    async with serve_api(tmp_path, authentication=authentication) as api:
        as_anna, as_script, as_other = A | bearer('anna'), bearer('script_a'), bearer('script_b')
        status, taken = await api.json('POST', LOCKS, json=FOR_A_WHILE, headers=as_anna)
        assert (status, taken['holder']) == (201, {'name': 'anna', 'client_id': 'client_a'})
        scripts = f'/{TEMP_SENSOR}/scripts'
        for headers, expected in ((as_other, 409), (as_script, 201)):
            answer = await api.request(
                'POST', scripts, data=form(b'true\n', 'a.sh'), headers=headers
            )
            assert answer.status == expected
        _, lock = await api.json('GET', f'{LOCKS}/{taken["id"]}', headers=as_script)
        assert lock['owned'] is True
        answer = await api.request('DELETE', f'{LOCKS}/{taken["id"]}', headers=as_script)
        assert answer.status == 204


async def test_who_stops_a_parent_leaves_alone_what_others_hold(tmp_path: Path) -> None:
    """Unless they say so, the parent goes on too: its children are to end with it."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(TEMP_SENSOR)
        elsewhere = await api.upload(HOST)
        parent_id, _ = await api.running(HOST, elsewhere)
        child_id, _ = await api.running(TEMP_SENSOR, script_id, parent=parent_id)
        await lock(api)
        path = f'/executions/{parent_id}'
        stop = {'action': 'stop'}
        status, body = await api.json('PUT', path, json=stop, headers=B)
        assert (status, body['parameters']['entity']) == (409, TEMP_SENSOR)
        alone = stop | {'stop_children': False}
        status, body = await api.json('PUT', path, json=alone, headers=B)
        assert (status, body['status']) == (200, 'terminated')
        _, child = await api.json('GET', f'/executions/{child_id}')
        assert child['status'] == 'running'


async def test_a_start_that_was_on_its_way_when_the_lock_was_taken_is_refused(
    tmp_path: Path,
) -> None:
    """Who got the lock sees nobody else's start come after it."""
    schemas = HeldSchemas()
    async with serve_api(tmp_path, schemas=schemas) as api:
        script_id = await api.upload(TEMP_SENSOR, parameters_schema={'type': 'object'})
        path = f'/{TEMP_SENSOR}/scripts/{script_id}/executions'
        starting = asyncio.create_task(api.json('POST', path, json=NOW, headers=B))
        await schemas.asked.wait()
        await lock(api)
        schemas.go_on.set()
        status, body = await starting
        assert (status, body['parameters']['entity']) == (409, TEMP_SENSOR)
        _, listed = await api.json('GET', path)
        assert listed['items'] == []


@pytest.mark.parametrize('replaces', [False, True])
async def test_an_upload_that_was_on_its_way_when_the_lock_was_taken_is_refused(
    tmp_path: Path, replaces: bool
) -> None:
    """The holder sees no script come, or change, by anybody else, however long it was checked."""
    schemas = HeldSchemas()
    async with serve_api(tmp_path, schemas=schemas) as api:
        scripts = f'/{TEMP_SENSOR}/scripts'
        script_id = await api.upload(TEMP_SENSOR)
        _, before = await api.json('GET', scripts)
        marked = {'parameters_schema': {'type': 'object', 'properties': {'marked': {}}}}
        method, path = ('PUT', f'{scripts}/{script_id}') if replaces else ('POST', scripts)
        file = form(b'false\n', 'new.sh', marked)
        bringing = asyncio.create_task(api.json(method, path, data=file, headers=B))
        await schemas.asked.wait()
        await lock(api)
        schemas.go_on.set()
        status, body = await bringing
        assert (status, body['parameters']['entity']) == (409, TEMP_SENSOR)
        assert await api.json('GET', scripts) == (200, before)


async def test_the_log_tells_of_locks(api: Api) -> None:
    """As an event by that name, with its path."""
    lock_id = await lock(api, scopes=['scripts'])
    _, page = await api.json('GET', '/events')
    (event,) = page['items']
    assert event['event'] == 'lock'
    assert event['payload'] == {
        'href': f'/api/v1{LOCKS}/{lock_id}',
        'id': lock_id,
        'entity': TEMP_SENSOR,
        'holder': {'client_id': 'client_a'},
        'scopes': ['scripts'],
        'lock_expiration': '2026-03-01T12:05:00.000Z',
        'change': {
            'kind': 'lock.acquired',
            'sequence': 1,
            'actor': {'role': 'admin', 'origin': '127.0.0.1'},
        },
    }
