# SPDX-License-Identifier: Apache-2.0
"""Instances of scripts as clients of the API use them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from api_support import Api, BASE, serve_api
from clients import bearer, KnownTokens
from execution_stage import Gate
from fakes import FakeSchemaChecker
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.access.lock_book import LockBook
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Change, Event, EventKind, Happening
from gateway_node.executions.instance_refs import InstanceRef, KeptInstance
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.scopes import Scope
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.instances import parse_instance
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.values import Script, ScriptKind
from gateway_node.triggers.instance_book import InstanceBook
from gateway_node.triggers.instance_service import Instances, InstanceSettings
from gateway_node.triggers.values import Instance
from gateway_node.violations import Violation

ARM = 'apps/temp_sensor'
HOT = {'topic': '/temperature', 'field': 'celsius', 'above': 60}
WHEN_HOT: dict[str, Any] = {
    'name': 'when_hot',
    'parameters': {'fan': 2},
    'start_triggers': [{'condition': HOT, 'min_interval_sec': 60}],
    'stop_triggers': [{'condition': {'topic': '/temperature', 'field': 'celsius', 'below': 40}}],
}
GUEST = Actor(name=None, role=Role.ADMIN, origin='127.0.0.1')
TOO_FAST = ParametersInvalid('/fan is too fast', (Violation(path='/fan', reason='is too fast'),))
SOMEBODY = {'X-Client-Id': 'somebody'}
SOMEBODY_ELSE = {'X-Client-Id': 'somebody_else'}


class Heard:
    """Notes what a listener is told of instances."""

    def __init__(self) -> None:
        self.changes: list[tuple[Instance | None, Instance | None]] = []

    def on_instance(self, before: Instance | None, after: Instance | None) -> None:
        """Note it."""
        self.changes.append((before, after))

    @property
    def last(self) -> Instance | None:
        """As it is after the last change."""
        return self.changes[-1][1]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


async def script_and_path(api: Api, **metadata: Any) -> tuple[str, str]:
    """Upload a script; return its id and the path of its instances."""
    script_id = await api.upload(ARM, **metadata)
    return script_id, f'/{ARM}/scripts/{script_id}/instances'


async def create(api: Api, path: str, document: dict[str, Any] = WHEN_HOT) -> dict[str, Any]:
    """Make an instance; return its detail."""
    status, body = await api.json('POST', path, json=document)
    assert status == 201, body
    return dict(body)


async def kinds_of(api: Api, subject: str) -> list[str]:
    """Return the kinds of the events of an instance, in order."""
    _, body = await api.json('GET', '/events?limit=1000')
    payloads = (each['payload'] for each in body['items'])
    return [each['change']['kind'] for each in payloads if each['href'].endswith(subject)]


async def test_an_instance_is_made_in_one_request_and_shown(api: Api) -> None:
    """With all that it is, and where its executions are."""
    script_id, path = await script_and_path(api)
    answer = await api.request('POST', path, json=WHEN_HOT)
    made = await answer.json()
    assert (answer.status, answer.headers['Location']) == (201, made['href'])
    assert await api.json('GET', f'{path}/when_hot') == (200, made)
    (trigger,) = made['start_triggers']
    assert trigger.pop('state')['armed'] is True
    assert made['start_triggers'] == [
        {
            'condition': HOT,
            'text': '/temperature celsius above 60',
            'min_interval_sec': 60,
            'while_down': 'fire',
            'on_limit': 'wait',
        }
    ]
    assert (made['name'], made['parameters'], made['enabled']) == ('when_hot', {'fan': 2}, True)
    assert made['executions'].endswith(f'/{ARM}/executions?instance={script_id}:when_hot')
    assert 'fault' not in made
    status, body = await api.json('GET', path)
    (listed,) = body['items']
    assert status == 200
    assert listed == {name: made[name] for name in listed}


async def test_a_change_is_on_record_before_it_is_told(api: Api) -> None:
    """The log has it, the store has it, and then listeners hear it."""
    _, path = await script_and_path(api)
    heard = Heard()
    api.instances.book.add_listener(heard)
    await create(api, path)
    await api.json('PUT', f'{path}/when_hot', json={'priority': 80})
    await api.json('POST', f'{path}/when_hot/actions', json={'action': 'disable'})
    await api.json('POST', f'{path}/when_hot/actions', json={'action': 'disable'})
    await api.json('POST', f'{path}/when_hot/actions', json={'action': 'enable'})
    assert (await api.request('DELETE', f'{path}/when_hot')).status == 204
    assert await kinds_of(api, 'instances/when_hot') == [
        'instance.created',
        'instance.replaced',
        'instance.disabled',
        'instance.enabled',
        'instance.deleted',
    ]
    enabled = [after and after.enabled for _, after in heard.changes]
    assert enabled == [True, True, False, True, None]
    assert await api.store.instance_store.instances() == ()


async def test_the_log_tells_what_is_different(api: Api) -> None:
    """All of a new one, and then what was changed."""
    _, path = await script_and_path(api)
    made = await create(api, path)
    _, replaced = await api.json('PUT', f'{path}/when_hot', json=WHEN_HOT | {'priority': 80})
    _, body = await api.json('GET', '/events?limit=1000')
    created, changed = (each for each in body['items'] if each['event'] == 'instance')
    told = {name: created['payload'][name] for name in WHEN_HOT}
    assert told == WHEN_HOT
    payload = changed['payload']
    assert payload.keys() == {'href', 'change', 'priority', 'version'}
    assert (payload['priority'], payload['version']) == (80, replaced['version'])
    assert created['payload']['version'] == made['version']


async def test_all_that_is_wrong_is_told_by_pointer(api: Api) -> None:
    """Each with its value and what is allowed; nothing is made."""
    _, path = await script_and_path(api)
    status, body = await api.json(
        'POST',
        path,
        json={
            'name': 'a b',
            'priority': 'high',
            'start_triggers': [{'condition': {'topic': 'x', 'above': 1}}, {'on_limit': 'queue'}],
        },
    )
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    told = {each['path'] for each in body['parameters']['violations']}
    assert told >= {
        '/body/name',
        '/body/priority',
        '/body/start_triggers/1/on_limit',
        '/body/start_triggers/1/condition',
    }
    assert any(each.startswith('/body/start_triggers/0/condition') for each in told)
    assert (await api.json('GET', path))[1] == {'items': []}


async def test_parameters_are_those_of_the_script(tmp_path: Path) -> None:
    """They are checked against its schema, as those of a start; secrets are not kept."""
    schemas = FakeSchemaChecker()
    async with serve_api(tmp_path, schemas=schemas) as api:
        schema = {'type': 'object', 'properties': {'fan': {'type': 'integer'}}}
        _, path = await script_and_path(api, parameters_schema=schema)
        schemas.parameters_error = TOO_FAST
        status, body = await api.json('POST', path, json=WHEN_HOT)
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert body['parameters']['violations'] == [{'path': '/fan', 'reason': 'is too fast'}]
        schemas.parameters_error = None
        _, path = await script_and_path(
            api, parameters_schema={'properties': {'fan': {'writeOnly': True}}}
        )
        status, body = await api.json('POST', path, json=WHEN_HOT)
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert 'is a secret, which no instance keeps' in body['message']


async def test_a_script_that_was_replaced_shows_why_an_instance_would_not_start(
    tmp_path: Path,
) -> None:
    """Its instance stays; `fault` says what is wrong with it now."""
    schemas = FakeSchemaChecker()
    async with serve_api(tmp_path, schemas=schemas) as api:
        _, path = await script_and_path(api, parameters_schema={'type': 'object'})
        await create(api, path)
        schemas.parameters_error = TOO_FAST
        _, shown = await api.json('GET', f'{path}/when_hot')
        assert 'is too fast' in shown['fault']


async def test_one_name_is_given_once(api: Api) -> None:
    """Of two that make it together one is told that it is there; case makes another name."""
    _, path = await script_and_path(api)
    answers = await asyncio.gather(*(api.json('POST', path, json=WHEN_HOT) for _ in range(2)))
    assert sorted(status for status, _ in answers) == [201, 409]
    await create(api, path, WHEN_HOT | {'name': 'When_Hot'})
    _, body = await api.json('GET', path)
    assert [each['name'] for each in body['items']] == ['When_Hot', 'when_hot']
    assert (await api.json('GET', f'{path}/when%5Fhot'))[0] == 200
    assert (await api.json('GET', f'{path}/WHEN_HOT'))[0] == 404
    assert (await api.json('GET', f'{path}/when%2Fhot'))[0] in (400, 404)


async def test_a_key_makes_an_instance_once(api: Api) -> None:
    """Sent again it is answered with what was made, and with another document refused."""
    _, path = await script_and_path(api)
    key = {'Idempotency-Key': 'once'}
    first = await api.request('POST', path, json=WHEN_HOT, headers=key)
    again = await api.request('POST', path, json=WHEN_HOT, headers=key)
    assert (first.status, again.status) == (201, 201)
    assert again.headers['Idempotency-Replayed'] == 'true'
    assert (await again.json()) == (await first.json())
    other = await api.request('POST', path, json=WHEN_HOT | {'name': 'other'}, headers=key)
    assert other.status == 409
    assert len(api.instances.book.all()) == 1


async def test_a_key_whose_instance_was_not_made_makes_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is kept in the commit of the instance: where that fails, nothing was asked for; once
    it is made and deleted, it is not made again."""
    _, path = await script_and_path(api)
    key = {'Idempotency-Key': 'once'}
    record = api.store.record

    async def refuse(news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        monkeypatch.setattr(api.store, 'record', record)
        raise StoreUnavailable('disk full')

    monkeypatch.setattr(api.store, 'record', refuse)
    statuses = [
        (await api.request('POST', path, json=WHEN_HOT, headers=key)).status for _ in range(2)
    ]
    assert statuses == [503, 201]
    await api.request('DELETE', f'{path}/when_hot')
    assert (await api.request('POST', path, json=WHEN_HOT, headers=key)).status == 404
    assert api.instances.book.all() == ()


async def test_what_replaces_an_instance_leaves_it_enabled_or_not(api: Api) -> None:
    """Unless it says that, too; all else it does not say is so by default."""
    _, path = await script_and_path(api)
    made = await create(api, path, WHEN_HOT | {'enabled': False})
    assert made['enabled'] is False
    status, body = await api.json('PUT', f'{path}/when_hot', json={'name': 'when_hot'})
    assert status == 200
    assert (body['enabled'], body['start_triggers'], body['parameters']) == (False, [], {})
    assert body['created_at'] == made['created_at']
    _, body = await api.json('PUT', f'{path}/when_hot', json={'enabled': True})
    assert body['enabled'] is True
    status, body = await api.json('PUT', f'{path}/when_hot', json={'name': 'cold'})
    assert (status, body['parameters']['violations'][0]['path']) == (400, '/body/name')


async def test_an_instance_is_started_by_hand_with_what_it_says(api: Api) -> None:
    """Its execution names it, and is the only one that is open."""
    _, path = await script_and_path(api)
    made = await create(api, path, WHEN_HOT | {'arguments': ['--quick'], 'priority': 60})
    status, started = await api.json('POST', f'{path}/when_hot/executions')
    assert status == 202
    await api.runner.script(started['id'])
    _, shown = await api.json('GET', f'/executions/{started["id"]}')
    assert (shown['instance'], shown['instance_version']) == ('when_hot', made['version'])
    assert (shown['input_parameters'], shown['arguments'], shown['priority']) == (
        {'fan': 2},
        ['--quick'],
        60,
    )
    assert (shown['trigger']['type'], shown['is_outdated']) == ('manual', False)
    status, body = await api.json('POST', f'{path}/when_hot/executions', json={})
    assert (status, body['error_code']) == (409, 'invalid-request')
    assert started['id'] in body['message']
    _, body = await api.json('GET', f'{path}/when_hot')
    assert body['execution'] == {'id': started['id'], 'href': started['href']}
    status, _ = await api.json(
        'POST', f'{path}/when_hot/executions', json={'execution_type': 'on_restart'}
    )
    assert status == 400


async def test_a_running_instance_is_replaced_and_not_deleted(api: Api) -> None:
    """Its execution is outdated then; it is stopped before the instance can go."""
    _, path = await script_and_path(api)
    await create(api, path)
    _, started = await api.json('POST', f'{path}/when_hot/executions')
    await api.runner.script(started['id'])
    await api.json('PUT', f'{path}/when_hot', json=WHEN_HOT | {'priority': 10})
    assert (await api.json('GET', f'/executions/{started["id"]}'))[1]['is_outdated'] is True
    status, body = await api.json('DELETE', f'{path}/when_hot')
    assert (status, body['error_code']) == (409, 'invalid-request')
    assert started['id'] in body['message']
    status, body = await api.json('POST', f'{path}/when_hot/actions', json={'action': 'stop'})
    assert (status, 'execution' in body) == (200, False)
    assert (await api.json('GET', f'/executions/{started["id"]}'))[1]['status'] == 'terminated'
    status, body = await api.json('POST', f'{path}/when_hot/actions', json={'action': 'stop'})
    assert (status, body['message']) == (409, "instance 'when_hot' has no open execution")
    assert (await api.request('DELETE', f'{path}/when_hot')).status == 204


async def test_an_instance_that_is_being_let_in_cannot_be_stopped_yet(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and names no execution that nobody knows."""
    _, path = await script_and_path(api)
    await create(api, path)
    gate, vet = Gate(), api.runner.vet

    async def vet_late(order: StartOrder) -> None:
        await gate.wait()
        await vet(order)

    monkeypatch.setattr(api.runner, 'vet', vet_late)
    starting = asyncio.create_task(api.json('POST', f'{path}/when_hot/executions'))
    await gate.reached.wait()
    status, body = await api.json('POST', f'{path}/when_hot/actions', json={'action': 'stop'})
    assert (status, body['message']) == (409, "instance 'when_hot' has no open execution")
    gate.set()
    assert (await starting)[0] == 202


async def test_instances_go_with_their_script(api: Api) -> None:
    """In the name of who deleted it, behind that it is gone."""
    script_id, path = await script_and_path(api)
    await create(api, path)
    await create(api, path, WHEN_HOT | {'name': 'other'})
    heard = Heard()
    api.instances.book.add_listener(heard)
    assert (await api.request('DELETE', f'/{ARM}/scripts/{script_id}')).status == 204
    assert api.instances.book.all() == ()
    assert heard.last is None
    _, body = await api.json('GET', '/events?limit=1000')
    changes = (each['payload']['change'] for each in body['items'][-3:])
    told = [(each['kind'], each.get('cause')) for each in changes]
    assert told == [
        ('script.deleted', None),
        ('instance.deleted', 'script'),
        ('instance.deleted', 'script'),
    ]
    assert (await api.json('GET', path))[0] == 404


async def test_a_store_that_is_lost_leaves_all_as_it_was(api: Api) -> None:
    """503, and nothing half: neither a new one, nor a change."""
    _, path = await script_and_path(api)
    made = await create(api, path)
    api.store.unavailable = 'the disk is gone'
    asked = (
        api.json('POST', path, json=WHEN_HOT | {'name': 'other'}),
        api.json('PUT', f'{path}/when_hot', json={}),
        api.json('DELETE', f'{path}/when_hot'),
        api.json('POST', f'{path}/when_hot/actions', json={'action': 'disable'}),
        api.json('POST', f'{path}/when_hot/executions'),
    )
    for answer in asked:
        status, body = await answer
        assert (status, body['vendor_code']) == (503, 'x-gateway-storage-unavailable')
    api.store.unavailable = None
    assert (await api.json('GET', f'{path}/when_hot'))[1] == made
    assert len(api.instances.book.all()) == 1


async def test_there_is_a_bound_on_instances(tmp_path: Path) -> None:
    """`triggers.max_instances`; a replaced one is no further one."""
    async with serve_api(tmp_path, max_instances=1) as api:
        _, path = await script_and_path(api)
        await create(api, path)
        status, body = await api.json('POST', path, json=WHEN_HOT | {'name': 'other'})
        assert (status, body['vendor_code']) == (429, 'x-gateway-limit-reached')
        assert (await api.json('PUT', f'{path}/when_hot', json=WHEN_HOT))[0] == 200


async def test_a_thousand_instances_are_listed(api: Api) -> None:
    """By name, in one answer that the client need not be sent twice."""
    _, path = await script_and_path(api)
    for number in range(1000):
        await api.instances.create(
            EntityRef.from_path(ARM),
            path.split('/')[4],
            {'name': f'n{number:03}'},
            actor=GUEST,
        )
    answer = await api.request('GET', path)
    names = [each['name'] for each in (await answer.json())['items']]
    assert names == [f'n{number:03}' for number in range(1000)]
    known = {'If-None-Match': answer.headers['ETag']}
    assert (await api.request('GET', path, headers=known)).status == 304


async def test_what_others_hold_is_not_changed(api: Api) -> None:
    """A lock on the entity keeps others from its instances; who holds it goes on."""
    _, path = await script_and_path(api)
    await create(api, path)
    status, _ = await api.json(
        'POST', f'/{ARM}/locks', json={'lock_expiration': 60}, headers=SOMEBODY
    )
    assert status == 201
    for method, where, body in (
        ('POST', path, WHEN_HOT | {'name': 'other'}),
        ('PUT', f'{path}/when_hot', WHEN_HOT),
        ('DELETE', f'{path}/when_hot', None),
        ('POST', f'{path}/when_hot/actions', {'action': 'disable'}),
        ('POST', f'{path}/when_hot/executions', {}),
    ):
        status, answer = await api.json(method, where, json=body, headers=SOMEBODY_ELSE)
        assert (status, answer['error_code']) == (409, 'invalid-request'), (method, where)
        assert answer['parameters']['holder'] == {'client_id': 'somebody'}
    status, _ = await api.json('PUT', f'{path}/when_hot', json=WHEN_HOT, headers=SOMEBODY)
    assert status == 200


async def test_what_has_to_be_confirmed_is_confirmed_once_for_all_triggers(api: Api) -> None:
    """Without triggers each start by hand confirms it; another text is not confirmed."""
    _, path = await script_and_path(api, confirmation='The arm is free to move.')
    status, body = await api.json('POST', path, json=WHEN_HOT)
    assert (status, body['error_code']) == (409, 'precondition-not-fulfilled')
    assert body['parameters']['confirmation'] == 'The arm is free to move.'
    made = await create(api, path, WHEN_HOT | {'confirmed': True})
    assert made['confirmation'] == 'The arm is free to move.'
    await create(api, path, {'name': 'by_hand'})
    status, _ = await api.json('POST', f'{path}/by_hand/executions')
    assert status == 409
    status, _ = await api.json('POST', f'{path}/by_hand/executions', json={'confirmed': True})
    assert status == 202


async def test_nobody_stands_there_when_a_trigger_fires(api: Api) -> None:
    """A script that requires a proof of proximity has instances that are started by hand."""
    _, path = await script_and_path(api, proximity_proof_required=True)
    status, body = await api.json('POST', path, json=WHEN_HOT)
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert body['parameters']['violations'][0]['path'] == '/start_triggers'
    await create(api, path, {'name': 'by_hand'})


@contextlib.asynccontextmanager
async def known_clients(directory: Path, **scopes: Scope) -> AsyncIterator[Api]:
    """Serve a gateway that knows configurators by their scopes, and `all` of no bound."""
    tokens = {
        name: Credential(name=name, role=Role.CONFIGURATOR, scope=scope)
        for name, scope in {'all': Scope(), **scopes}.items()
    }
    authentication = Authentication([KnownTokens(tokens)])
    async with serve_api(directory, authentication=authentication) as api:
        api.client.headers.update(bearer('all'))
        yield api


async def test_who_is_narrowed_to_entities_may_not_look_at_the_graph(tmp_path: Path) -> None:
    """Topics and nodes are of no entity; time is everybody's."""
    async with known_clients(tmp_path, some=Scope(entities=(ARM,))) as api:
        _, path = await script_and_path(api)
        status, body = await api.json('POST', path, json=WHEN_HOT, headers=bearer('some'))
        assert (status, body['error_code']) == (403, 'insufficient-access-rights')
        assert '/start_triggers/0/condition looks at the graph' in body['message']
        nightly = {'name': 'nightly', 'start_triggers': [{'condition': {'cron': '0 3 * * *'}}]}
        status, body = await api.json('POST', path, json=nightly, headers=bearer('some'))
        assert (status, body['created_by'].partition('@')[0]) == (201, 'some')
        (made,) = api.instances.book.all()
        assert made.rights is not None
        assert (made.rights.name, made.rights.scope) == ('some', Scope(entities=(ARM,)))


async def test_a_script_makes_no_instance(tmp_path: Path) -> None:
    """By the credential of its execution, which ends with it: the instance would act with the
    rights of who started the script for ever."""
    tokens = {
        'all': Credential(name='all', role=Role.ADMIN),
        'of_script': Credential(name='all', role=Role.ADMIN, execution='exec_1'),
    }
    authentication = Authentication([KnownTokens(tokens)])
    async with serve_api(tmp_path, authentication=authentication) as api:
        api.client.headers.update(bearer('all'))
        _, path = await script_and_path(api)
        made = await create(api, path)
        for method, where in (('POST', path), ('PUT', f'{path}/when_hot')):
            status, body = await api.json(
                method, where, json=WHEN_HOT, headers=bearer('of_script')
            )
            assert (status, body['error_code']) == (403, 'insufficient-access-rights')
            assert 'the credential of exec_1 ends with it, and an instance' in body['message']
        assert (await api.json('GET', f'{path}/when_hot'))[1]['version'] == made['version']
        action = {'action': 'disable'}
        status, body = await api.json(
            'POST', f'{path}/when_hot/actions', json=action, headers=bearer('of_script')
        )
        assert (status, body['enabled']) == (200, False)


async def test_instances_are_seen_with_their_script(tmp_path: Path) -> None:
    """Who does not see the script hears of none."""
    async with known_clients(tmp_path, other=Scope(scripts=('other*',))) as api:
        _, path = await script_and_path(api)
        await create(api, path)
        for where in (path, f'{path}/when_hot'):
            status, body = await api.json('GET', where, headers=bearer('other'))
            assert status == 404
            assert 'when_hot' not in body['message']
        _, body = await api.json('GET', '/events?limit=1000', headers=bearer('other'))
        assert body['items'] == []


def managed_script(tmp_path: Path, *instances: dict[str, Any]) -> ManagedScript:
    """Return a script of the manifest, with instances."""
    file = tmp_path / 'check_disk'
    file.write_text('#!/bin/sh\n')
    file.chmod(0o755)
    return ManagedScript(
        script=Script(
            id='check_disk',
            name='check_disk',
            kind=ScriptKind.EXECUTABLE,
            path=file,
            version='0' * 64,
            size=10,
            managed=True,
        ),
        entities=('apps/*',),
        instances=tuple(parse_instance(each, max_rate_hz=20.0) for each in instances),
    )


async def test_a_managed_instance_is_switched_and_started_and_no_more(tmp_path: Path) -> None:
    """The manifest says what it is, on each entity that has the script."""
    managed = managed_script(tmp_path, WHEN_HOT)
    async with serve_api(tmp_path / 'state', managed=(managed,)) as api:
        path = f'/{ARM}/scripts/check_disk/instances'
        _, shown = await api.json('GET', f'{path}/when_hot')
        assert (shown['managed'], shown['enabled'], 'created_at' in shown) == (True, True, False)
        for method, body in (('PUT', WHEN_HOT), ('DELETE', None)):
            status, answer = await api.json(method, f'{path}/when_hot', json=body)
            assert (status, answer['error_code']) == (409, 'invalid-request')
            assert 'comes from the scripts manifest' in answer['message']
        assert (await api.json('POST', path, json=WHEN_HOT))[0] == 409
        status, body = await api.json(
            'POST', f'{path}/when_hot/actions', json={'action': 'disable'}
        )
        assert (status, body['enabled']) == (200, False)
        assert (await api.json('POST', f'{path}/when_hot/executions'))[0] == 202
        kept = await api.store.instance_store.instances()
        assert [each.document for each in kept] == [{'managed': True, 'enabled': False}]


async def test_a_managed_instance_leads_to_its_own_executions(tmp_path: Path) -> None:
    """Its script is on other entities, too, with an instance of that name."""
    managed = replace(managed_script(tmp_path, WHEN_HOT), entities=(ARM, 'components/engine_ecu'))
    async with serve_api(tmp_path / 'state', managed=(managed,)) as api:
        started = {}
        for entity in managed.entities:
            path = f'/{entity}/scripts/check_disk/instances/when_hot'
            _, made = await api.json('POST', f'{path}/executions')
            started[path] = made['id']
        for path, execution_id in started.items():
            _, shown = await api.json('GET', path)
            _, listed = await api.json('GET', shown['executions'].removeprefix(BASE))
            assert [each['id'] for each in listed['items']] == [execution_id]


async def test_the_manifest_changes_its_instances_while_the_gateway_runs(tmp_path: Path) -> None:
    """What is switched stays so; what a client made of a name that the manifest takes stays."""
    other = {'name': 'other', 'priority': 10}
    async with serve_api(
        tmp_path / 'state', managed=(managed_script(tmp_path, WHEN_HOT, other),)
    ) as api:
        path = f'/{ARM}/scripts/check_disk/instances'
        await api.json('POST', f'{path}/when_hot/actions', json={'action': 'disable'})
        await create(api, path, {'name': 'mine', 'priority': 90})
        heard = Heard()
        api.instances.book.add_listener(heard)
        heard.changes.clear()
        api.library.take_managed(
            [managed_script(tmp_path, WHEN_HOT | {'priority': 80}, {'name': 'mine'})]
        )
        api.instances.take_managed(api.directory.refs())
        _, shown = await api.json('GET', f'{path}/when_hot')
        assert (shown['priority'], shown['enabled']) == (80, False)
        assert (await api.json('GET', f'{path}/mine'))[1]['priority'] == 90
        assert (await api.json('GET', f'{path}/other'))[0] == 404
        assert [
            (before and before.ref.name, after and after.ref.name)
            for before, after in heard.changes
            if (before or after) and _of_arm(before or after)
        ] == [
            ('when_hot', 'when_hot'),
            ('other', None),
        ]
        assert any('a client made one of that name' in each for each in api.instances.warnings)


async def test_a_managed_instance_takes_true_in_place_of_1(tmp_path: Path) -> None:
    """What Python takes for equal is not the same in JSON."""
    before, after = (
        managed_script(tmp_path, {'name': 'a', 'parameters': {'x': x}}) for x in (1, True)
    )
    async with serve_api(tmp_path / 'state', managed=(before,)) as api:
        api.library.take_managed([after])
        api.instances.take_managed(api.directory.refs())
        _, shown = await api.json('GET', f'/{ARM}/scripts/check_disk/instances/a')
        assert shown['parameters']['x'] is True


def _of_arm(instance: Instance | None) -> bool:
    return instance is not None and instance.ref.entity.path == ARM


async def test_instances_of_a_managed_script_stay_while_it_is_away(tmp_path: Path) -> None:
    """They are shown, say so, and can be removed; a script of the manifest may come back."""
    managed = managed_script(tmp_path)
    async with serve_api(tmp_path / 'state', managed=(managed,)) as api:
        path = f'/{ARM}/scripts/check_disk/instances'
        await create(api, path)
        api.library.take_managed([])
        api.instances.take_managed(api.directory.refs())
        _, shown = await api.json('GET', f'{path}/when_hot')
        assert 'no script' in shown['fault']
        assert (await api.json('POST', f'{path}/when_hot/executions'))[0] == 404
        assert api.instances.book.holds(EntityRef.from_path(ARM))
        assert (await api.request('DELETE', f'{path}/when_hot')).status == 204
        assert (await api.json('GET', path))[0] == 404


async def reopened(api: Api) -> Instances:
    """Return the instances as the next gateway on the same store has them."""
    instances = Instances(
        book=InstanceBook(),
        library=api.library,
        executions=api.executions,
        ledger=api.ledger,
        store=api.store.instance_store,
        guard=LockBook(api.clock, api.store.up_sec),
        clock=api.clock,
        settings=InstanceSettings(max_instances=10, max_rate_hz=1.0),
    )
    await instances.open(api.directory.refs())
    return instances


def _sorted(instances: Instances) -> list[Instance]:
    return sorted(instances.book.all(), key=lambda each: each.ref.subject)


async def test_instances_outlive_the_gateway(tmp_path: Path) -> None:
    """As they were, with what somebody switched of those of the manifest."""
    managed = managed_script(tmp_path, {'name': 'nightly'})
    async with serve_api(tmp_path / 'state', managed=(managed,)) as api:
        _, path = await script_and_path(api)
        await create(api, path)
        await api.json('POST', f'{path}/when_hot/actions', json={'action': 'disable'})
        nightly = f'/{ARM}/scripts/check_disk/instances/nightly/actions'
        await api.json('POST', nightly, json={'action': 'disable'})
        later = await reopened(api)
        assert _sorted(later) == _sorted(api.instances)
        assert [
            each.enabled for each in later.book.of(EntityRef.from_path(ARM), 'check_disk')
        ] == [False]


async def test_what_a_crash_left_of_a_deleted_script_goes_at_the_next_start(api: Api) -> None:
    """The log tells that its instances are gone, too."""
    script_id, path = await script_and_path(api)
    await create(api, path)
    await api.library.delete(EntityRef.from_path(ARM), script_id)
    later = await reopened(api)
    assert later.book.all() == ()
    assert await api.store.instance_store.instances() == ()
    assert (await kinds_of(api, 'instances/when_hot'))[-1] == 'instance.deleted'


async def test_a_record_that_cannot_be_read_stops_no_start(api: Api) -> None:
    """It is named, stays, and a client may make the instance anew."""
    script_id, _ = await script_and_path(api)
    ref = InstanceRef(entity=EntityRef.from_path(ARM), script_id=script_id, name='when_hot')
    strange = KeptInstance(ref=ref, document={'definition': {'name': 'when_hot', 'hue': 'red'}})
    kind = EventKind.INSTANCE_CREATED
    told = Happening(kind=kind, subject=ref.subject, actor=GUEST, instance=strange)
    await api.ledger.record(told)
    later = await reopened(api)
    assert later.book.all() == ()
    assert later.warnings == (f'{ref.subject} cannot be read, and does nothing',)
    assert len(await api.store.instance_store.instances()) == 1
    await later.create(ref.entity, script_id, WHEN_HOT | {'start_triggers': []}, actor=GUEST)
    assert not later.warnings


async def test_who_changed_which_instance_is_noted(api: Api) -> None:
    """In the audit, with its name, and no parameter but as a hash."""
    _, path = await script_and_path(api)
    await create(api, path)
    await api.json('POST', f'{path}/when_hot/actions', json={'action': 'disable'})
    _, body = await api.json('GET', '/audit')
    switched, made = body['items'][:2]
    assert (switched['instance'], switched['action']) == ('when_hot', 'disable')
    assert (made['result'], 'parameters_hmac' in made) == ('when_hot', True)
