# SPDX-License-Identifier: Apache-2.0
"""Walks the contract of docs/api.md: each request in each state, for apps and components."""

from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import dataclass
import io
from pathlib import Path
import re
import time
from typing import Any
import zipfile

from aiohttp import ClientResponse
from api_support import Api, form, OWN_NODE, RECEIVER, serve_api
from clients import KnownTokens
import pytest
from shown_codes import RecordingDisplay
from waiting import wait_until

from gateway_node.access.credentials import Credential
from gateway_node.access.failures import Failures
from gateway_node.access.sessions import Sessions
from gateway_node.clock import SystemClock
from gateway_node.entities.values import GraphSnapshot
from gateway_node.executions.actors import Role
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.executions.proximity import ProximityUnavailable
from gateway_node.http_server.error_table import ERROR_TABLE, row_of
from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.values import Script, ScriptKind

ENTITIES = ('apps/temp_sensor', 'components/powertrain_engine')
ABOUT_SCRIPTS = re.compile(r'\{entity\}| /executions| /events')
TOLD = f'https://{RECEIVER}/ended'
UNKNOWN_EXECUTION = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
INSTANCE = 'when_hot'
BODIES: dict[str, dict[str, Any]] = {
    '/locks': {'lock_expiration': 60},
    '/line': {'paused': True},
    f'/instances/{INSTANCE}/actions': {'action': 'disable'},
    f'/instances/{INSTANCE}/executions': {},
    '/instances': {'name': INSTANCE},
    '/actions': {'action': 'stop', 'filter': {}},
}
"""By what a path has in it; the first counts."""
WRONG_PROOF = {'proximity_response': 'guessed'}
DISPLAY, DARK_DISPLAY = RecordingDisplay(), RecordingDisplay()
DARK_DISPLAY.refusal = ProximityUnavailable('the display', 'is dark')
A_KEY = {'Idempotency-Key': '"8e03978e-40d5"'}
A_CLIENT = {'X-Client-Id': 'tablet_1'}
ANOTHER_CLIENT = 'tablet_2'


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the contract."""

    request: str
    state: str
    status: int
    body: str

    def __str__(self) -> str:
        return f'{self.request}, {self.state}: {self.status}'


def contract() -> list[Row]:
    """Read the table from the documentation."""
    text = (Path(__file__).parents[2] / 'docs' / 'api.md').read_text(encoding='utf-8')
    table = text.split('## Contract')[1].split('\n## ')[0]
    lines = re.findall(r'^\| `(.+?)` \| (.+?) \| (\d+) \| (.+?) \|$', table, re.MULTILINE)
    return [Row(request=q, state=s, status=int(c), body=b) for q, s, c, b in lines]


def walk() -> list[Any]:
    """Pair each row with the entities that it concerns."""
    return [
        pytest.param(row, entity, id=f'{row} ({entity})')
        for row in contract()
        for entity in (ENTITIES if '{entity}' in row.request else ENTITIES[:1])
    ]


@dataclass
class Scene:
    """What a state has set up."""

    api: Api
    entity: str
    script_id: str = 'script_unknown'
    execution_id: str = UNKNOWN_EXECUTION
    lock_id: str = 'lock_unknown'
    known: bool = True
    uploaded: tuple[int, Any] = (0, None)
    """What was answered to an upload."""
    callback: str | None = None
    """Of the executions that are started."""

    @property
    def options(self) -> dict[str, str]:
        """What is said at starts."""
        return {} if self.callback is None else {'callback': self.callback}


async def prepared(scene: Scene) -> None:
    scene.api.runner.hold_starts.clear()
    scene.execution_id = await scene.api.start(scene.entity, scene.script_id, **scene.options)


async def schedule(scene: Scene) -> None:
    scene.execution_id = await scene.api.start(
        scene.entity, scene.script_id, execution_type='on_restart', **scene.options
    )


async def running(scene: Scene) -> None:
    scene.execution_id, _ = await scene.api.running(scene.entity, scene.script_id, **scene.options)


async def terminating(scene: Scene) -> None:
    scene.execution_id, script = await scene.api.running(
        scene.entity, scene.script_id, **scene.options
    )
    script.obedient = False
    path = f'/{scene.entity}/scripts/{scene.script_id}/executions/{scene.execution_id}'
    status, body = await scene.api.json('PUT', path, json={'action': 'stop'})
    assert (status, body['status'], body['terminating']) == (200, 'running', True)


def ended(exit_code: int) -> Callable[[Scene], Awaitable[None]]:
    async def end(scene: Scene) -> None:
        scene.execution_id, script = await scene.api.running(
            scene.entity, scene.script_id, **scene.options
        )
        script.exit(exit_code)
        scene.api.runner.artifacts.left[scene.execution_id] = {'log.txt': b'said\n'}
        await scene.api.listener.wait_for(scene.execution_id)

    return end


async def witnessed(scene: Scene) -> None:
    api = scene.api
    scene.script_id = await api.upload(scene.entity, evidence='always')
    await ended(0)(scene)
    await wait_until(
        lambda: scene.execution_id in api.seen.files.kept, what='evidence that is kept'
    )


async def without_callback(scene: Scene) -> None:
    scene.callback = None
    await running(scene)


async def terminated(scene: Scene) -> None:
    await running(scene)
    path = f'/{scene.entity}/scripts/{scene.script_id}/executions/{scene.execution_id}'
    status, body = await scene.api.json('PUT', path, json={'action': 'stop'})
    assert (status, body['status']) == (200, 'terminated')


async def execution_deleted(scene: Scene) -> None:
    await terminated(scene)
    path = f'/{scene.entity}/scripts/{scene.script_id}/executions/{scene.execution_id}'
    assert (await scene.api.request('DELETE', path)).status == 204


async def script_deleted(scene: Scene) -> None:
    path = f'/{scene.entity}/scripts/{scene.script_id}'
    assert (await scene.api.request('DELETE', path)).status == 204


async def script_deleted_after_an_execution(scene: Scene) -> None:
    await terminated(scene)
    await script_deleted(scene)


async def script_replaced(scene: Scene) -> None:
    path = f'/{scene.entity}/scripts/{scene.script_id}'
    answer = await scene.api.request('PUT', path, data=form(b'false\n', 'check.sh'))
    assert answer.status == 200


async def script_managed(scene: Scene) -> None:
    scene.script_id = 'self_test'


async def instance_present(scene: Scene) -> None:
    path = f'/{scene.entity}/scripts/{scene.script_id}/instances'
    status, _ = await scene.api.json('POST', path, json={'name': INSTANCE})
    assert status == 201


async def instance_running(scene: Scene) -> None:
    await instance_present(scene)
    path = f'/{scene.entity}/scripts/{scene.script_id}/instances/{INSTANCE}/executions'
    _, started = await scene.api.json('POST', path)
    await scene.api.runner.script(started['id'])


async def instance_deleted(scene: Scene) -> None:
    await instance_present(scene)
    path = f'/{scene.entity}/scripts/{scene.script_id}/instances/{INSTANCE}'
    assert (await scene.api.request('DELETE', path)).status == 204


async def nothing_more(scene: Scene) -> None:
    pass


async def nothing_known(scene: Scene) -> None:
    scene.known = False


async def entity_offline(scene: Scene) -> None:
    scene.api.directory.update(GraphSnapshot(nodes=frozenset({OWN_NODE})))


async def entity_unknown(scene: Scene) -> None:
    scene.entity = scene.entity.split('/')[0] + '/nobody'


async def single_execution_running(scene: Scene) -> None:
    scene.script_id = await scene.api.upload(scene.entity, single_execution=True)
    await running(scene)


async def line_full(scene: Scene) -> None:
    await running(scene)
    await scene.api.start(scene.entity, scene.script_id)


async def in_line(scene: Scene) -> None:
    await running(scene)
    scene.execution_id = await scene.api.start(scene.entity, scene.script_id)


async def in_line_without_store(scene: Scene) -> None:
    await in_line(scene)
    await store_unavailable(scene)


async def proximity_needed(scene: Scene) -> None:
    scene.script_id = await scene.api.upload(scene.entity, proximity_proof_required=True)


async def proximity_closed(scene: Scene) -> None:
    await proximity_needed(scene)
    start = f'/{scene.entity}/scripts/{scene.script_id}/executions'
    for _ in range(5):
        await scene.api.request('POST', start, json={'execution_type': 'now', **WRONG_PROOF})


async def confirmation_needed(scene: Scene) -> None:
    scene.script_id = await scene.api.upload(scene.entity, confirmation='The arm may move.')


async def precondition_unmet(scene: Scene) -> None:
    needs = [{'condition': {'node': '/arm'}, 'max_age_sec': 0.1}]
    scene.script_id = await scene.api.upload(scene.entity, preconditions=needs)


async def shutting_down(scene: Scene) -> None:
    scene.api.executions.close()


async def runner_unavailable(scene: Scene) -> None:
    scene.api.runner.refusal = RunnerUnavailable('the spawner is being started')


async def disk_space_low(scene: Scene) -> None:
    scene.api.free_space.shortage = 'too little is free'


async def store_unavailable(scene: Scene) -> None:
    scene.api.store.unavailable = 'disk full'


async def audit_unavailable(scene: Scene) -> None:
    scene.api.audit_folder.touch()


async def prepared_without_store(scene: Scene) -> None:
    await prepared(scene)
    await store_unavailable(scene)


async def schedule_without_store(scene: Scene) -> None:
    await schedule(scene)
    await store_unavailable(scene)


async def key_used(scene: Scene) -> None:
    scripts = f'/{scene.entity}/scripts'
    file = form(b'echo new\n', 'new.sh')
    scene.uploaded = await scene.api.json('POST', scripts, data=file, headers=A_KEY)
    start = f'{scripts}/{scene.script_id}/executions'
    now = {'execution_type': 'now'}
    _, started = await scene.api.json('POST', start, json=now, headers=A_KEY)
    scene.execution_id = started['id']


async def key_used_otherwise(scene: Scene) -> None:
    scripts = f'/{scene.entity}/scripts'
    await scene.api.json('POST', scripts, data=form(b'echo old\n', 'new.sh'), headers=A_KEY)
    start = f'{scripts}/{scene.script_id}/executions'
    later = {'execution_type': 'on_restart'}
    await scene.api.json('POST', start, json=later, headers=A_KEY)


async def key_of_what_was_deleted(scene: Scene) -> None:
    await key_used(scene)
    scripts = f'/{scene.entity}/scripts'
    _, uploaded = scene.uploaded
    assert (await scene.api.request('DELETE', f'{scripts}/{uploaded["id"]}')).status == 204
    execution = f'{scripts}/{scene.script_id}/executions/{scene.execution_id}'
    await scene.api.json('PUT', execution, json={'action': 'stop'})
    assert (await scene.api.request('DELETE', execution)).status == 204


async def script_unknown(scene: Scene) -> None:
    scene.script_id = 'script_unknown'


def locked_by(client_id: str) -> Callable[[Scene], Awaitable[None]]:
    async def lock(scene: Scene) -> None:
        status, lock = await scene.api.json(
            'POST',
            f'/{scene.entity}/locks',
            json={'lock_expiration': 60},
            headers={'X-Client-Id': client_id},
        )
        assert status == 201
        scene.lock_id = lock['id']

    return lock


async def lock_released(scene: Scene) -> None:
    await locked_by(A_CLIENT['X-Client-Id'])(scene)
    path = f'/{scene.entity}/locks/{scene.lock_id}'
    assert (await scene.api.request('DELETE', path, headers=A_CLIENT)).status == 204


def one_after_another(
    *steps: Callable[[Scene], Awaitable[None]],
) -> Callable[[Scene], Awaitable[None]]:
    async def take(scene: Scene) -> None:
        for step in steps:
            await step(scene)

    return take


SCENES: dict[str, Callable[[Scene], Awaitable[None]]] = {
    '-': nothing_more,
    'known': nothing_more,
    'unknown': nothing_known,
    'entity online': nothing_more,
    'entity offline': entity_offline,
    'entity unknown': entity_unknown,
    'scripts off': nothing_more,
    'uploads off': nothing_more,
    'script present': nothing_more,
    'script replaced': script_replaced,
    'script managed': script_managed,
    'script deleted': script_deleted,
    'script deleted after an execution': script_deleted_after_an_execution,
    'script unknown': script_unknown,
    'script needs a proximity proof': proximity_needed,
    'proximity proof missing': proximity_needed,
    'proximity proof wrong': proximity_needed,
    'proximity proof wrong too often': proximity_closed,
    'proximity display out of order': proximity_needed,
    'script needs a confirmation': confirmation_needed,
    'precondition not met': precondition_unmet,
    'single-execution script running': single_execution_running,
    "entity's limit reached": running,
    "gateway's limit reached": running,
    "entity's limit reached, nobody waits": running,
    "gateway's limit reached, nobody waits": running,
    'line full': line_full,
    "schedules' limit reached": schedule,
    "scripts' limit reached": nothing_more,
    'gateway recovering': nothing_more,
    'gateway shutting down': shutting_down,
    'runner unavailable': runner_unavailable,
    'disk space low': disk_space_low,
    'store unavailable': store_unavailable,
    'audit off': nothing_more,
    'audit unavailable': audit_unavailable,
    'execution prepared': prepared,
    'schedule': schedule,
    'execution prepared, store unavailable': prepared_without_store,
    'schedule, store unavailable': schedule_without_store,
    'execution in line': in_line,
    'execution in line, store unavailable': in_line_without_store,
    'execution running': running,
    'execution terminating': terminating,
    'execution completed': ended(0),
    'execution failed': ended(3),
    'execution terminated': terminated,
    'execution without a callback': without_callback,
    'execution with evidence': witnessed,
    'execution deleted': execution_deleted,
    'execution unknown': nothing_more,
    'entity locked': locked_by(ANOTHER_CLIENT),
    'execution running, entity locked': one_after_another(running, locked_by(ANOTHER_CLIENT)),
    'execution completed, entity locked': one_after_another(ended(0), locked_by(ANOTHER_CLIENT)),
    'execution in line, entity locked': one_after_another(in_line, locked_by(ANOTHER_CLIENT)),
    'instance present': instance_present,
    'instance managed': script_managed,
    'instance running': instance_running,
    'instance deleted': instance_deleted,
    'instance present, entity locked': one_after_another(
        instance_present, locked_by(ANOTHER_CLIENT)
    ),
    'instance present, store unavailable': one_after_another(instance_present, store_unavailable),
    "instances' limit reached": nothing_more,
    'lock held': locked_by(A_CLIENT['X-Client-Id']),
    'lock held, store unavailable': one_after_another(
        locked_by(A_CLIENT['X-Client-Id']), store_unavailable
    ),
    'lock released': lock_released,
    'client known': nothing_more,
    'client unknown': nothing_more,
    'no clients': nothing_more,
    'Idempotency-Key used': key_used,
    'Idempotency-Key used with other fields': key_used_otherwise,
    'Idempotency-Key of what was deleted': key_of_what_was_deleted,
}
SESSIONS = Sessions(
    KnownTokens({'a_secret': Credential(name='anna', role=Role.VIEWER)}),
    Failures(time.monotonic),
    SystemClock(),
    access_sec=60,
    refresh_sec=60,
)
SETTINGS: dict[str, dict[str, Any]] = {
    'scripts off': {'scripts': False},
    'client known': {'sessions': SESSIONS},
    'client unknown': {'sessions': SESSIONS},
    'audit off': {'audited': False},
    'gateway recovering': {'recovering': True},
    "entity's limit reached": {'max_executions_per_entity': 1},
    "gateway's limit reached": {'max_executions': 1},
    "entity's limit reached, nobody waits": {'max_executions_per_entity': 1, 'max_waiting': 0},
    "gateway's limit reached, nobody waits": {'max_executions': 1, 'max_waiting': 0},
    'execution in line': {'max_executions': 1},
    'execution in line, store unavailable': {'max_executions': 1},
    'execution in line, entity locked': {'max_executions': 1},
    'line full': {'max_executions': 1, 'max_waiting': 1},
    "schedules' limit reached": {'max_schedules': 1},
    "scripts' limit reached": {'max_scripts': 1},
    "instances' limit reached": {'max_instances': 0},
    'proximity proof missing': {'proximity': DISPLAY.proximity},
    'proximity proof wrong': {'proximity': DISPLAY.proximity},
    'proximity proof wrong too often': {'proximity': DISPLAY.proximity},
    'proximity display out of order': {'proximity': DARK_DISPLAY.proximity},
}


@contextlib.asynccontextmanager
async def scene_of(row: Row, entity: str, tmp_path: Path) -> AsyncIterator[Scene]:
    """Serve a gateway in the row's state."""
    file = tmp_path / 'self_test.sh'
    file.write_bytes(b'true\n')
    script = Script(
        id='self_test', name='Self test', kind=ScriptKind.SH, path=file, version='0', size=5
    )
    instances = (InstanceDefinition(name=INSTANCE),) if row.state == 'instance managed' else ()
    managed = (ManagedScript(script=script, entities=('*',), instances=instances),)
    if row.state == 'uploads off':
        # A script from the time before uploads were turned off.
        async with serve_api(tmp_path) as earlier:
            script_id = await earlier.upload(entity)
        async with serve_api(tmp_path, allow_uploads=False) as api:
            yield Scene(api=api, entity=entity, script_id=script_id)
        return
    async with serve_api(tmp_path, managed=managed, **SETTINGS.get(row.state, {})) as api:
        callback = TOLD if row.request.endswith('/callback') else None
        scene = Scene(api=api, entity=entity, callback=callback)
        if row.state != 'scripts off' and ABOUT_SCRIPTS.search(row.request):
            scene.script_id = await api.upload(entity)
        await SCENES[row.state](scene)
        yield scene


def content_of(row: Row, scene: Scene, method: str, path: str) -> dict[str, Any]:
    """Return what a request says, well-formed, as options of the client."""
    if method == 'PATCH':
        return {'json': {'priority': 70}}
    if method not in ('POST', 'PUT') or path.endswith(('/callback', '/retry')):
        return {}
    if path.startswith('/auth'):
        client = {'client_id': 'anna', 'client_secret': 'a_secret', 'token': 'of_nobody'}
        wrong = {'client_secret': 'another'} if row.state == 'client unknown' else {}
        return {'json': {'grant_type': 'client_credentials', **client, **wrong}}
    for part, body in BODIES.items():
        if part in path:
            return {'json': body}
    if path.endswith('/executions'):
        schedules = row.state == "schedules' limit reached"
        start = {'execution_type': 'on_restart' if schedules else 'now'}
        if row.state.startswith('proximity proof wrong'):
            start |= WRONG_PROOF
        several = {'script': scene.script_id, 'entities': scene.entity}
        return {'json': start | (several if path == '/executions' else {})}
    if '/executions/' in path:
        return {'json': {'action': 'stop'}}
    return {'data': form(b'echo new\n', 'new.sh')}


async def send(row: Row, scene: Scene) -> ClientResponse:
    """Send the row's request, well-formed."""
    method, template = row.request.split(' ')
    entity_type = template.strip('/').split('/')[0]
    named = {
        'apps': 'temp_sensor',
        'components': 'powertrain_engine',
        'areas': 'powertrain',
        'functions': 'monitoring',
    }
    path = template.replace('{entity}', f'/{scene.entity}')
    path = path.replace('scripts/{id}', f'scripts/{scene.script_id}')
    path = path.replace('executions/{id}', f'executions/{scene.execution_id}')
    path = path.replace('locks/{id}', f'locks/{scene.lock_id}')
    path = path.replace('{instance}', INSTANCE)
    path = path.replace('{status}', 'running')
    path = path.replace('{sequence}', '1' if scene.known else '4711')
    path = path.replace('{path}', 'log.txt')
    path = path.replace('/comparison', f'/comparison?with={scene.execution_id}')
    path = path.replace('/executions/metrics', '/executions/metrics?name=volts')
    if entity_type in named:
        known = scene.known and not scene.entity.endswith('nobody')
        path = path.replace('{id}', named[entity_type] if known else 'nobody')
    options = content_of(row, scene, method, path)
    options['headers'] = A_CLIENT | (A_KEY if row.state in KEY_STATES else {})
    return await scene.api.request(method, path, **options)


FIELDS = {
    'server': {'name', 'version', 'apps', 'components', 'health', 'version-info', 'endpoints'},
    'description': {'openapi', 'info', 'servers', 'paths', 'components'},
    'health': {'status', 'sqlite_version', 'uptime_sec', 'versions', 'entities', 'executions'},
    'area': {'id', 'name', 'href', 'components'},
    'function': {'id', 'name', 'href', 'hosts'},
    'entity': {'id', 'name', 'href', 'online', 'scripts'},
    'instance': {'name', 'href', 'enabled', 'managed', 'version', 'start_triggers', 'executions'},
    'lock': {'id', 'owned', 'lock_expiration', 'holder'},
    'script': {
        'id',
        'name',
        'description',
        'href',
        'managed',
        'kind',
        'version',
        'size',
        'tags',
        'single_execution',
        'proximity_proof_required',
    },
    'execution': {
        'id',
        'status',
        'href',
        'entity',
        'script_id',
        'script_version',
        'is_outdated',
        'execution_type',
        'arguments',
        'priority',
        'trigger',
        'created_at',
        'output',
    },
}


async def check_body(row: Row, response: ClientResponse) -> None:
    """Check that the body is what the row says."""
    if row.body == '-':
        assert await response.read() == b''
    elif row.body == 'bytes':
        assert (await response.read()).endswith(b'\n')
    elif row.body == 'zip archive':
        assert zipfile.is_zipfile(io.BytesIO(await response.read()))
    elif row.status >= 400:
        body = await response.json()
        assert body['error_code'] == row.body.strip('`')
        # A route that does not exist would be a 404 for the wrong reason.
        assert not body['message'].startswith('no resource')
        if body['error_code'] == 'vendor-error':
            assert body['vendor_code'].startswith('x-gateway-')
        if row.status in (429, 503):
            assert int(response.headers['Retry-After']) > 0
    else:
        fields = FIELDS.get(row.body) or set(re.findall(r'`(\w+)`', row.body))
        assert fields
        assert fields <= (await response.json()).keys()


@pytest.mark.parametrize(('row', 'entity'), walk())
async def test_each_request_in_each_state_is_answered_as_documented(
    row: Row, entity: str, tmp_path: Path
) -> None:
    """Status, code and body of every row of the contract hold."""
    async with scene_of(row, entity, tmp_path) as scene:
        response = await send(row, scene)
        assert response.status == row.status, await response.text()
        await check_body(row, response)


CLIENT_STATES = {'client known', 'client unknown', 'no clients'}
ENTITY_STATES = {'entity online', 'entity offline', 'entity unknown'}
SCRIPT_STATES = {
    'script present',
    'script replaced',
    'script managed',
    'script deleted',
    'script unknown',
    'entity offline',
    'entity unknown',
    'scripts off',
}
"""A script that is present belongs to an entity that is online."""
USES_OF_A_SCRIPT = {'execution running', 'execution completed', 'schedule'}
EXECUTION_STATES = {
    'execution prepared',
    'schedule',
    'execution running',
    'execution terminating',
    'execution completed',
    'execution failed',
    'execution terminated',
    'execution deleted',
    'execution unknown',
    'script deleted after an execution',
    'entity unknown',
    'scripts off',
}
CALLBACK_STATES = EXECUTION_STATES | {'execution without a callback'}
EVIDENCE_STATES = {
    'execution with evidence',
    'execution running',
    'execution completed',
    'execution deleted',
    'execution unknown',
    'scripts off',
}
ARTIFACT_STATES = {
    'execution running',
    'execution completed',
    'execution deleted',
    'execution unknown',
    'scripts off',
}
REFUSALS_OF_A_START = {
    'single-execution script running',
    "entity's limit reached",
    "gateway's limit reached",
    "entity's limit reached, nobody waits",
    "gateway's limit reached, nobody waits",
    'line full',
    'script needs a proximity proof',
    'proximity proof missing',
    'proximity proof wrong',
    'proximity proof wrong too often',
    'proximity display out of order',
    'script needs a confirmation',
    'precondition not met',
    'gateway shutting down',
    'runner unavailable',
    'store unavailable',
    'entity locked',
}
KEY_STATES = {
    'Idempotency-Key used',
    'Idempotency-Key used with other fields',
    'Idempotency-Key of what was deleted',
}
IN_LINE = {
    'execution in line',
    'execution in line, store unavailable',
    'execution in line, entity locked',
}
RUNNING_LOCKED = {'execution running, entity locked'}
ENDED_LOCKED = {'execution completed, entity locked'}
INSTANCE_STATES = {
    'instance present',
    'instance managed',
    'instance running',
    'instance deleted',
    'script deleted',
    'entity unknown',
    'scripts off',
}
CHANGES_OF_AN_INSTANCE = {
    'instance present, entity locked',
    'instance present, store unavailable',
}
_INSTANCE = '{entity}/scripts/{id}/instances/{instance}'
CONCERNS: dict[str, set[str]] = {
    '{entity}/scripts/{id}/instances': SCRIPT_STATES,
    _INSTANCE: INSTANCE_STATES,
    f'{_INSTANCE}/executions': INSTANCE_STATES,
    f'{_INSTANCE}/actions': INSTANCE_STATES,
    '{entity}': ENTITY_STATES,
    '/apps/{id}/is-located-on': ENTITY_STATES,
    '/components/{id}/hosts': ENTITY_STATES,
    '/auth/authorize': CLIENT_STATES,
    '/auth/token': CLIENT_STATES,
    '/auth/revoke': CLIENT_STATES,
    '/areas/{id}': {'known', 'unknown'},
    '/areas/{id}/components': {'known', 'unknown'},
    '/functions/{id}': {'known', 'unknown'},
    '/functions/{id}/hosts': {'known', 'unknown'},
    '{entity}/scripts': {*ENTITY_STATES, 'scripts off'},
    '{entity}/scripts/{id}': SCRIPT_STATES,
    '{entity}/scripts/{id}/content': SCRIPT_STATES,
    '{entity}/scripts/{id}/readiness': {
        *SCRIPT_STATES,
        'runner unavailable',
        'disk space low',
        'entity locked',
    },
    '{entity}/scripts/{id}/versions': {*SCRIPT_STATES, 'script deleted after an execution'},
    '{entity}/scripts/{id}/executions': SCRIPT_STATES | USES_OF_A_SCRIPT,
    '{entity}/executions': {*ENTITY_STATES, 'scripts off'},
    '{entity}/scripts/{id}/executions/{id}': EXECUTION_STATES,
    '{entity}/locks': ENTITY_STATES | {'entity locked'},
    '{entity}/locks/{id}': {'entity locked', 'lock held', 'lock released', 'entity unknown'},
    '/scripts': {'-', 'scripts off'},
    '/line': {'-', 'scripts off'},
    '{entity}/line': {*ENTITY_STATES, 'scripts off'},
    '/executions': {'-', 'scripts off'},
    '/executions/stats': {'-', 'scripts off'},
    '/executions/status/{status}': {'-', 'scripts off'},
    '/executions/metrics': {'-', 'scripts off'},
    '/executions/actions': {'-', 'scripts off'},
    '/executions/{id}': EXECUTION_STATES - {'entity unknown'},
    '/executions/{id}/output': EXECUTION_STATES - {'entity unknown'},
    '/executions/{id}/retry': EXECUTION_STATES - {'entity unknown'},
    '{entity}/scripts/{id}/executions/{id}/retry': EXECUTION_STATES,
    '{entity}/scripts/{id}/executions/{id}/output': EXECUTION_STATES,
    '/executions/{id}/events': EXECUTION_STATES - {'entity unknown'},
    '{entity}/scripts/{id}/executions/{id}/events': EXECUTION_STATES,
    '/executions/events': {'-', 'scripts off'},
    '/events': {'-', 'scripts off'},
    '/events/{sequence}': {'known', 'unknown', 'scripts off'},
    '/executions/{id}/callback': CALLBACK_STATES - {'entity unknown'},
    '{entity}/scripts/{id}/executions/{id}/callback': CALLBACK_STATES,
    '{entity}/scripts/{id}/executions/{id}/artifacts': ARTIFACT_STATES,
    '{entity}/scripts/{id}/executions/{id}/artifacts/{path}': ARTIFACT_STATES,
    '{entity}/scripts/{id}/executions/{id}/artifacts.zip': ARTIFACT_STATES,
    '/executions/{id}/artifacts': ARTIFACT_STATES,
    '/executions/{id}/artifacts/{path}': ARTIFACT_STATES,
    '/executions/{id}/artifacts.zip': ARTIFACT_STATES,
    **{
        f'{where}/{what}': EVIDENCE_STATES
        for where in ('{entity}/scripts/{id}/executions/{id}', '/executions/{id}')
        for what in ('evidence', 'evidence.zip', 'comparison')
    },
}
"""The states that concern each kind of path, whatever the method; the others have one state."""
CONCERNS_ALSO: dict[str, set[str]] = {
    'POST {entity}/scripts': {*KEY_STATES, 'uploads off', 'entity locked'},
    'PUT {entity}/scripts/{id}': {*USES_OF_A_SCRIPT, 'uploads off', 'entity locked'},
    'DELETE {entity}/scripts/{id}': {*USES_OF_A_SCRIPT, 'uploads off', 'entity locked'},
    'GET {entity}/scripts/{id}/executions': {'script deleted after an execution'},
    'POST {entity}/scripts/{id}/executions': REFUSALS_OF_A_START | KEY_STATES,
    'GET {entity}/scripts/{id}/versions': {'store unavailable'},
    'GET {entity}/scripts/{id}/executions/{id}': {'execution in line'},
    'GET /executions/{id}': {'execution in line'},
    'PATCH {entity}/scripts/{id}/executions/{id}': IN_LINE,
    'PATCH /executions/{id}': IN_LINE,
    'PUT {entity}/scripts/{id}/executions/{id}': RUNNING_LOCKED,
    'PUT /executions/{id}': RUNNING_LOCKED,
    'DELETE {entity}/scripts/{id}/executions/{id}': ENDED_LOCKED,
    'DELETE /executions/{id}': ENDED_LOCKED,
    'POST {entity}/scripts/{id}/executions/{id}/retry': ENDED_LOCKED,
    'POST /executions/{id}/retry': ENDED_LOCKED,
    'POST {entity}/scripts/{id}/instances': {
        'instance present',
        "instances' limit reached",
        'entity locked',
        'disk space low',
        'store unavailable',
    },
    f'PUT {_INSTANCE}': CHANGES_OF_AN_INSTANCE,
    f'DELETE {_INSTANCE}': CHANGES_OF_AN_INSTANCE,
    f'POST {_INSTANCE}/executions': CHANGES_OF_AN_INSTANCE,
    f'POST {_INSTANCE}/actions': CHANGES_OF_AN_INSTANCE,
    'POST /executions': {'entity locked'},
    'PUT /line': {'store unavailable', 'entity locked'},
    'PUT {entity}/line': {'store unavailable', 'entity locked'},
    'POST {entity}/locks': {'store unavailable'},
    'PUT {entity}/locks/{id}': {'lock held, store unavailable'},
    'DELETE {entity}/locks/{id}': {'lock held, store unavailable'},
    'GET /audit': {'audit off', 'audit unavailable'},
    'GET /health/ready': {'gateway recovering', 'gateway shutting down', 'store unavailable'},
}
"""The states that concern one method."""


def documented(route: Route[Any, Any]) -> list[str]:
    """Return a route in the words of the contract; one for an app and for a component is one."""
    path = route.path.replace('/{collection}/{entity_id}', '{entity}')
    path = re.sub(r'\{\w+_id\}', '{id}', path)
    path = re.sub(r'^/(apps|components)/\{id\}$', '{entity}', path) or '/'
    return [route.method, path]


def served() -> set[tuple[str, str]]:
    """Return method and path of every route, in the words of the contract."""
    return {(method, path) for method, path in map(documented, ROUTES)}


def test_the_contract_has_a_row_for_each_route_in_each_state_that_concerns_it() -> None:
    """A route, or a state of what it names, that nobody wrote down fails here."""
    needed = {
        (f'{method} {path}', state)
        for method, path in served()
        for state in CONCERNS.get(path, {'-'}) | CONCERNS_ALSO.get(f'{method} {path}', set())
    }
    rows = [(row.request, row.state) for row in contract()]
    assert needed - set(rows) == set()
    assert len(rows) == len(set(rows))


def test_the_contract_names_no_other_route_and_every_scene() -> None:
    """What is not served has no row, what no row names has no scene and concerns no route."""
    rows = contract()
    assert {row.request for row in rows} <= {' '.join(route) for route in served()}
    assert {row.state for row in rows} == SCENES.keys()
    assert CONCERNS.keys() <= {path for _, path in served()}
    assert CONCERNS_ALSO.keys() <= {' '.join(route) for route in served()}


@pytest.mark.parametrize('route', ROUTES, ids=lambda route: f'{route.method} {route.path}')
def test_the_contract_of_a_route_says_what_its_row_of_the_table_says(
    route: Route[Any, Any],
) -> None:
    """The same status where nothing is wrong, and no error that the route does not declare."""
    rows = [row for row in contract() if row.request == ' '.join(documented(route))]
    assert {row.status for row in rows if row.status < 400} == {route.status}
    told = {(row.status, row.body.strip('`')) for row in rows if row.status >= 400}
    answers = [row for kind in route.all_errors if (row := row_of(kind)) is not None]
    assert told <= {(answer.status, answer.error_code) for answer in answers}
    assert {(row.body == '-') for row in rows if row.status < 400} == {route.answers is None}


NOT_OF_ONE_ROUTE = {
    (405, 'invalid-request', None),
    (500, 'vendor-error', 'x-gateway-internal-error'),
}
"""What is answered where a path has no such method, and where the gateway itself is broken."""


def test_the_documented_errors_are_those_of_the_table_of_errors() -> None:
    """An answer that is not written down fails here, and one that is never given."""
    text = (Path(__file__).parents[2] / 'docs' / 'api.md').read_text(encoding='utf-8')
    table = text.split('## Errors')[1].split('\n## ')[0]
    documented = set()
    for status, codes in re.findall(r'^\| (\d+) \| (.+?) \|', table, re.MULTILINE):
        error_code, *vendor_codes = re.findall(r'`([a-z-]+)`', codes)
        documented.add((int(status), error_code, *(vendor_codes or [None])))
    answered = {(row.status, row.error_code, row.vendor_code) for row in ERROR_TABLE.values()}
    assert documented == answered | NOT_OF_ONE_ROUTE
