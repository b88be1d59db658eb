# SPDX-License-Identifier: Apache-2.0
"""What is asked of the gateway is in its audit, and admins read it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import contextlib
from dataclasses import replace
import json
from pathlib import Path
from typing import Any

from aiohttp import ClientError
from api_support import Api, form, serve_api
from clients import bearer, KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope
from gateway_node.http_server.routes import ROUTES

APP = 'apps/temp_sensor'
SCRIPTS = f'/{APP}/scripts'
NOW = {'execution_type': 'now'}
SECRET = 'correct-horse-battery-staple'
TOKENS = {
    'admin-token': Credential(name='root', role=Role.ADMIN),
    'anna-token': Credential(name='anna', role=Role.CONFIGURATOR),
    'viewer-token': Credential(name='vera', role=Role.VIEWER),
    'narrow-token': Credential(
        name='nora', role=Role.VIEWER, scope=Scope(entities=('apps/arm_*',))
    ),
    'script-token': Credential(name='anna', role=Role.OPERATOR, execution='exec_parent'),
}
ADMIN, ANNA, VERA, NORA, SCRIPT = (bearer(token) for token in TOKENS)


@contextlib.asynccontextmanager
async def served(tmp_path: Path, **options: Any) -> AsyncIterator[Api]:
    """Serve a gateway to clients that have names."""
    authentication = Authentication([KnownTokens(TOKENS)])
    async with serve_api(tmp_path, authentication=authentication, **options) as api:
        yield api


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve one as it is by default."""
    async with served(tmp_path) as api:
        yield api


async def upload(api: Api) -> str:
    """Upload a script as anna; return its id."""
    file = form(b'true\n', 'check.sh')
    _, body = await api.json('POST', SCRIPTS, data=file, headers=ANNA)
    return str(body['id'])


async def start(api: Api, script_id: str, **body: Any) -> str:
    """Start an execution as anna; return its id."""
    path = f'{SCRIPTS}/{script_id}/executions'
    status, answer = await api.json('POST', path, json={**NOW, **body}, headers=ANNA)
    assert status == 202, answer
    return str(answer['id'])


async def audit(api: Api, query: str = '') -> list[dict[str, Any]]:
    """Return the notes, the newest first."""
    status, body = await api.json('GET', f'/audit{query}', headers=ADMIN)
    assert status == 200, body
    return list(body['items'])


def told(note: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a note says of a request, without when and in which place."""
    left_out = ('sequence', 'time', 'boot', 'up_sec', 'kind')
    return {name: value for name, value in note.items() if name not in left_out}


async def test_each_change_is_noted_with_who_made_it(api: Api) -> None:
    """An upload, a start, a stop by the id alone, a delete: with what came into being."""
    script_id = await upload(api)
    execution = await start(api, script_id)
    by_id = f'/executions/{execution}'
    named = {**ANNA, 'X-Client-Id': 'tab-1'}
    await api.json('PUT', by_id, json={'action': 'stop'}, headers=named)
    await api.request('DELETE', by_id, headers=SCRIPT)
    anna = {'name': 'anna', 'role': 'configurator', 'origin': '127.0.0.1'}
    of_execution = {'entity': APP, 'script': script_id, 'execution': execution}
    by_id_route = '/executions/{execution_id}'
    scripts_route = '/{collection}/{entity_id}/scripts'
    assert [told(note) for note in reversed(await audit(api))] == [
        {
            **anna,
            'method': 'POST',
            'route': scripts_route,
            'entity': APP,
            'status': 201,
            'result': script_id,
        },
        {
            **anna,
            'method': 'POST',
            'route': f'{scripts_route}/{{script_id}}/executions',
            'entity': APP,
            'script': script_id,
            'status': 202,
            'result': execution,
        },
        {
            **anna,
            'client_id': 'tab-1',
            'method': 'PUT',
            'route': by_id_route,
            **of_execution,
            'action': 'stop',
            'status': 200,
        },
        {
            **anna,
            'role': 'operator',
            'by_execution': 'exec_parent',
            'method': 'DELETE',
            'route': by_id_route,
            **of_execution,
            'status': 204,
        },
    ]


async def test_what_is_only_read_is_not_noted(api: Api) -> None:
    """Nor is what is not there, for who may see everything."""
    for path, status in (('/apps', 200), ('/apps/nobody', 404), ('/nowhere', 404)):
        assert (await api.request('GET', path, headers=VERA)).status == status
    assert await audit(api) == []


async def test_each_refusal_is_noted(api: Api) -> None:
    """Of reading too, with what was asked for; a request that changes something in any case."""
    foreign = {**ANNA, 'Origin': 'https://evil.example'}
    unknown = f'/{APP}/scripts/nothing/executions'
    requests: list[tuple[str, str, dict[str, str], int, str | None]] = [
        ('GET', '/apps', {}, 401, None),
        ('GET', '/apps', bearer('wrong'), 401, None),
        ('POST', unknown, VERA, 403, 'vera'),
        ('POST', unknown, foreign, 403, None),
        ('GET', '/apps', {**VERA, 'Host': 'evil.example'}, 421, None),
        ('GET', '/audit', VERA, 403, 'vera'),
        ('POST', unknown, ANNA, 404, 'anna'),
        ('DELETE', '/apps', ANNA, 405, None),
        ('POST', '/nowhere', {}, 404, None),
    ]
    for method, path, headers, status, _ in requests:
        assert (await api.request(method, path, headers=headers)).status == status
    noted = list(reversed(await audit(api)))
    assert [(each['method'], each['status'], each.get('name')) for each in noted] == [
        (method, status, name) for method, _, _, status, name in requests
    ]
    assert noted[2]['entity'] == APP
    assert noted[2]['script'] == 'nothing'
    assert 'route' not in noted[-1]


async def test_what_a_narrowed_credential_may_not_see_is_noted(api: Api) -> None:
    """It is told that nothing is there; the audit has that it asked."""
    assert (await api.request('GET', '/apps/base', headers=NORA)).status == 404
    (note,) = await audit(api)
    assert (note['name'], note['entity'], note['status']) == ('nora', 'apps/base', 404)


async def test_parameters_are_noted_as_a_hash(api: Api) -> None:
    """Equal ones as equal ones; nothing that a client said or showed is in the file."""
    script_id = await upload(api)
    for given in ({'pin': SECRET}, {'pin': SECRET}, {'pin': 'other'}, {}):
        await start(api, script_id, parameters=given)
    hashes = [note.get('parameters_hmac') for note in reversed(await audit(api))][1:]
    assert hashes[0] == hashes[1] != hashes[2]
    assert hashes[3] is None
    text = '\n'.join(path.read_text() for path in api.audit_folder.iterdir())
    assert SECRET not in text
    assert not any(token in text for token in TOKENS)


async def test_what_was_made_before_is_noted_as_replayed(api: Api) -> None:
    """A request under a key that was used already makes nothing."""
    script_id = await upload(api)
    keyed = {**ANNA, 'Idempotency-Key': '"8e03978e"'}
    for _ in range(2):
        await api.json('POST', f'{SCRIPTS}/{script_id}/executions', json=NOW, headers=keyed)
    again, first = (await audit(api))[:2]
    assert (first.get('replayed'), again['replayed']) == (None, True)
    assert first['result'] == again['result']


async def test_an_error_is_noted_with_its_code(api: Api) -> None:
    """Such as a disk that is too full."""
    script_id = await upload(api)
    api.free_space.shortage = 'too little is free'
    path = f'{SCRIPTS}/{script_id}/executions'
    assert (await api.json('POST', path, json=NOW, headers=ANNA))[0] == 503
    (note, _) = await audit(api)
    assert (note['status'], note['vendor_code']) == (503, 'x-gateway-disk-space-low')


async def test_a_flood_of_refusals_is_counted(api: Api) -> None:
    """It pushes nothing out of the audit; changes of the same client are noted all the same."""
    script_id = await upload(api)
    for _ in range(30):
        await api.request('GET', '/audit', headers=ANNA)
    await start(api, script_id)
    api.clock.advance(60)
    await api.request('GET', '/audit', headers=ANNA)
    notes = list(reversed(await audit(api)))
    assert [note.get('status') for note in notes] == [201, *[403] * 10, 202, None, 403]
    counted = notes[-2]
    assert told(counted) == {
        'name': 'anna',
        'origin': '127.0.0.1',
        'since': counted['since'],
        'repeated': 20,
        'statuses': {'403': 20},
    }
    assert counted['kind'] == 'repeated'


async def test_the_audit_is_paged_and_searched(api: Api) -> None:
    """Newest first, by links; by who, where, when, and what came before or after."""
    script_id = await upload(api)
    for _ in range(5):
        await start(api, script_id)
    component = '/components/powertrain_engine/scripts'
    await api.json('POST', component, data=form(b'true\n', 'x.sh'), headers=ADMIN)
    status, page = await api.json('GET', '/audit?limit=3&name=anna', headers=ADMIN)
    assert (status, [note['sequence'] for note in page['items']]) == (200, [6, 5, 4])
    path = page['next'].removeprefix('/api/v1')
    _, rest = await api.json('GET', path, headers=ADMIN)
    assert [note['sequence'] for note in rest['items']] == [3, 2, 1]
    assert 'next' not in rest
    assert [note['sequence'] for note in await audit(api, '?after=5')] == [7, 6]
    assert [note['name'] for note in await audit(api, '?entity=components/*')] == ['root']
    moment = page['items'][0]['time']
    assert len(await audit(api, f'?from={moment}')) == 7
    assert await audit(api, f'?to={moment}') == []


async def test_all_of_it_is_a_file_where_that_is_asked_for(api: Api) -> None:
    """A note a line; so many where there is a limit."""
    script_id = await upload(api)
    for _ in range(5):
        await start(api, script_id)
    as_lines = {**ADMIN, 'Accept': 'application/x-ndjson'}
    for query, found in (('', [6, 5, 4, 3, 2, 1]), ('?limit=2', [6, 5]), ('?after=6', [])):
        answer = await api.request('GET', f'/audit{query}', headers=as_lines)
        assert answer.headers['Content-Disposition'].startswith('attachment; filename="audit-')
        lines = (await answer.text()).splitlines()
        assert [json.loads(line)['sequence'] for line in lines] == found


async def test_bad_questions_are_refused(api: Api) -> None:
    """With what is allowed."""
    for query in (
        'limit=0',
        'limit=1001',
        'before=x',
        'entity=arm',
        'from=today',
        'from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z',
    ):
        status, body = await api.json('GET', f'/audit?{query}', headers=ADMIN)
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert 'allowed: ' in body['message']


async def test_what_a_crash_left_is_told(api: Api) -> None:
    """As a number of lines that cannot be read."""
    await upload(api)
    with (api.audit_folder / 'audit.jsonl').open('a') as file:
        file.write('{"sequence":2,"ti\n')
    await upload(api)
    _, body = await api.json('GET', '/audit', headers=ADMIN)
    assert ([note['sequence'] for note in body['items']], body['unreadable']) == ([2, 1], 1)


def break_audit(api: Api) -> None:
    """Have nothing kept any more: a file is where the folder was, for as long as it may take until
    that is seen."""
    api.audit_folder.rename(api.audit_folder.with_name(f'{api.audit_folder.name}_before'))
    api.audit_folder.touch()
    api.clock.advance(1)


async def test_a_required_audit_notes_a_change_before_it_is_made(tmp_path: Path) -> None:
    """Then what came of it, which names the first note; what is refused before is not begun."""
    async with served(tmp_path, audit_required=True) as api:
        script_id = await upload(api)
        await api.request('POST', f'/{APP}/scripts/nothing/executions', headers=ANNA)
        execution = await start(api, script_id, parameters={'a': 1})
        notes = list(reversed(await audit(api)))
    assert [(each['kind'], each.get('status')) for each in notes] == [
        ('begun', None),
        ('request', 201),
        ('request', 404),
        ('begun', None),
        ('request', 202),
    ]
    begun, made = notes[-2:]
    assert (made['begun'], made['result']) == (begun['sequence'], execution)
    assert begun['parameters_hmac'] == made['parameters_hmac']


async def test_a_required_audit_that_cannot_be_written_lets_nothing_be_changed(
    tmp_path: Path,
) -> None:
    """503, and nothing was made; reading goes on."""
    async with served(tmp_path, audit_required=True) as api:
        script_id = await upload(api)
        break_audit(api)
        path = f'{SCRIPTS}/{script_id}/executions'
        status, body = await api.json('POST', path, json=NOW, headers=ANNA)
        assert (status, body['vendor_code']) == (503, 'x-gateway-audit-unavailable')
        assert (await api.request('DELETE', f'{SCRIPTS}/{script_id}', headers=ANNA)).status == 503
        _, listed = await api.json('GET', '/executions', headers=ANNA)
        assert listed['items'] == []
        status, _ = await api.json('GET', f'{SCRIPTS}/{script_id}', headers=ANNA)
        assert status == 200


async def test_an_audit_that_is_not_required_stops_nothing(api: Api) -> None:
    """Where it cannot be written, what is asked for is done all the same."""
    script_id = await upload(api)
    break_audit(api)
    await start(api, script_id)
    status, body = await api.json('GET', '/audit', headers=ADMIN)
    assert (status, body['vendor_code']) == (503, 'x-gateway-audit-unavailable')


async def test_an_audit_that_is_turned_off_is_not_there(tmp_path: Path) -> None:
    """And nothing is written."""
    async with served(tmp_path, audited=False) as api:
        await upload(api)
        status, body = await api.json('GET', '/audit', headers=ADMIN)
        assert (status, body['error_code']) == (501, 'not-implemented')
        assert not (api.audit_folder / 'audit.jsonl').exists()


async def test_a_request_that_is_not_answered_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway ended before; it may have changed something."""
    monkeypatch.setattr('gateway_node.http_server.server.HANDLERS_END_SEC', 0.1)
    begun = asyncio.Event()

    async def hang(_: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    routes = [
        replace(route, handler=hang) if route.path.endswith('/retry') else route
        for route in ROUTES
    ]
    async with served(tmp_path, routes=routes) as api:
        execution = await start(api, await upload(api))
        retry = api.request('POST', f'/executions/{execution}/retry', headers=ANNA)
        waiting = asyncio.create_task(retry)
        await begun.wait()
    await asyncio.wait({waiting})
    assert isinstance(waiting.exception(), ClientError)
    *_, last = (api.audit_folder / 'audit.jsonl').read_text().splitlines()
    note = json.loads(last)
    assert (note['method'], note['execution']) == ('POST', execution)
    assert 'status' not in note
