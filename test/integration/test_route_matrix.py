# SPDX-License-Identifier: Apache-2.0
"""Every route, with every role, with and without globs: who may, and what nobody hears of."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
import itertools
from pathlib import Path
import re
from typing import Any

from api_support import BASE, form
from declared_answers import check_declared
from divided_robot import (
    divided_robot,
    DividedRobot,
    executed,
    instantiated,
    locked,
    Part,
    SCOPES,
    showing,
)
import pytest

from gateway_node.executions.actors import Role
from gateway_node.http_server.docs import docs_of
from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES, UNVERSIONED

REFUSED = {401, 403, 404}
NOBODY = {
    'entity_id': 'zz_none',
    'area_id': 'zz_none',
    'function_id': 'zz_none',
    'script_id': 'script_zz_none',
    'execution_id': 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV',
    'sequence': '9007199254740991',
    'lock_id': 'lock_zz_none',
    'instance': 'zz_none',
}
"""Names of what nobody ever heard of."""
_VARYING = {'Date', 'Content-Length', 'Server'}


@dataclass(frozen=True, kw_only=True)
class Ask:
    """How a route is asked for, beside its path."""

    query: str = ''
    json: Any = None
    uploads: bool = False
    accepts: tuple[str, ...] = ('*/*',)
    spends: str = ''
    """What may be gone afterwards, `script`, `execution`, `lock` or `instance`: one of its own is
    asked for."""
    of_all: bool = False
    """Whether it takes a credential that is not narrowed."""

    def options(self, part: Part) -> dict[str, Any]:
        """Return what aiohttp is given."""
        if self.uploads:
            return {'data': form(b'true\n', 'check_more.sh', {'tags': ['open']})}
        if self.json is None:
            return {}
        return {'json': _filled(self.json, part.names)}


_FILES = ('application/json', 'text/csv', 'application/x-ndjson')
_LOCK = {'lock_expiration': 600, 'scopes': ['configurations']}
_START = {'execution_type': 'now'}
_SCRIPT = '/{collection}/{entity_id}/scripts/{script_id}'
_INSTANCES = f'{_SCRIPT}/instances'
_INSTANCE = f'{_INSTANCES}/{{instance}}'
_LOCKS = '/{collection}/{entity_id}/locks'
_EXECUTIONS = (f'{_SCRIPT}/executions/{{execution_id}}', '/executions/{execution_id}')

ASKS: Mapping[tuple[str, str], Ask] = {
    **{
        ('GET', path): Ask()
        for path in (
            '',
            '/version-info',
            '/openapi.json',
            '/health',
            '/health/live',
            '/health/ready',
            '/apps',
            '/apps/{entity_id}',
            '/apps/{entity_id}/is-located-on',
            '/components',
            '/components/{entity_id}',
            '/components/{entity_id}/hosts',
            '/areas',
            '/areas/{area_id}',
            '/areas/{area_id}/components',
            '/functions',
            '/functions/{function_id}',
            '/functions/{function_id}/hosts',
            '/{collection}/{entity_id}/scripts',
            _SCRIPT,
            f'{_SCRIPT}/content',
            f'{_SCRIPT}/versions',
            _INSTANCES,
            _INSTANCE,
            f'{_SCRIPT}/readiness',
            '/events/{sequence}',
            '/executions/stats',
            '/{collection}/{entity_id}/line',
            *(
                f'{each}{below}'
                for each in _EXECUTIONS
                for below in ('', '/output', '/events', '/callback', '/artifacts')
            ),
            *(f'{each}/artifacts.zip' for each in _EXECUTIONS),
            *(f'{each}/artifacts/{{path}}' for each in _EXECUTIONS),
        )
    },
    **{
        ('GET', path): Ask(accepts=_FILES)
        for path in (
            '/executions',
            '/executions/status/{status}',
            '/{collection}/{entity_id}/executions',
            f'{_SCRIPT}/executions',
        )
    },
    ('GET', '/scripts'): Ask(query='?per_page=100'),
    ('GET', '/events'): Ask(query='?limit=1000'),
    ('GET', '/executions/events'): Ask(query='?limit=1000'),
    ('GET', '/executions/metrics'): Ask(query='?name=volts'),
    **{('POST', f'/auth/{each}'): Ask(json={}) for each in ('authorize', 'token', 'revoke')},
    ('GET', '/audit'): Ask(of_all=True),
    ('GET', '/line'): Ask(of_all=True),
    **{
        ('GET', f'{each}/{what}'): Ask(of_all=True)
        for each in _EXECUTIONS
        for what in ('evidence', 'evidence.zip')
    },
    **{('GET', f'{each}/comparison'): Ask(query='?with={execution_id}') for each in _EXECUTIONS},
    ('PUT', '/line'): Ask(of_all=True, json={'paused': False}),
    ('PUT', '/{collection}/{entity_id}/line'): Ask(json={'paused': False}),
    ('POST', '/{collection}/{entity_id}/scripts'): Ask(uploads=True),
    ('PUT', _SCRIPT): Ask(uploads=True),
    ('DELETE', _SCRIPT): Ask(spends='script'),
    ('POST', f'{_SCRIPT}/executions'): Ask(json=_START),
    ('POST', '/executions'): Ask(json={'script': '{script_id}', 'entities': 'apps/{entity_id}'}),
    ('POST', '/executions/actions'): Ask(json={'action': 'retry', 'filter': {}, 'dry_run': True}),
    **{('PUT', each): Ask(json={'action': 'stop'}) for each in _EXECUTIONS},
    **{('PATCH', each): Ask(json={'priority': 3}) for each in _EXECUTIONS},
    **{('DELETE', each): Ask(spends='execution') for each in _EXECUTIONS},
    ('POST', _INSTANCES): Ask(json={'name': 'another'}),
    ('PUT', _INSTANCE): Ask(json={'priority': 3}),
    ('DELETE', _INSTANCE): Ask(spends='instance'),
    ('POST', f'{_INSTANCE}/executions'): Ask(json={}),
    ('POST', f'{_INSTANCE}/actions'): Ask(json={'action': 'enable'}),
    ('GET', _LOCKS): Ask(),
    ('POST', _LOCKS): Ask(json=_LOCK),
    ('GET', f'{_LOCKS}/{{lock_id}}'): Ask(spends='lock'),
    ('PUT', f'{_LOCKS}/{{lock_id}}'): Ask(spends='lock', json={'lock_expiration': 600}),
    ('DELETE', f'{_LOCKS}/{{lock_id}}'): Ask(spends='lock'),
    **{('POST', f'{each}/retry'): Ask() for each in _EXECUTIONS},
    **{('POST', f'{each}/callback'): Ask() for each in _EXECUTIONS},
}
"""By method and path of the table of routes. A new row stands here, or a test fails."""

EVERY_SCOPE = pytest.mark.parametrize('scope', SCOPES)
NARROWED = pytest.mark.parametrize('scope', [each for each in SCOPES if each != 'everything'])
OF_SEEN = pytest.mark.parametrize('scope', [each for each in SCOPES if each != 'nothing'])


@pytest.fixture
async def robot(tmp_path: Path) -> AsyncIterator[DividedRobot]:
    """Serve a robot of which some see a part."""
    async with divided_robot(tmp_path) as robot:
        yield robot


def test_every_route_is_asked_for() -> None:
    """Whoever adds one says here how."""
    assert ASKS.keys() == {(route.method, route.path) for route in ROUTES}


@dataclass(frozen=True)
class Answered:
    """What came of one request."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


async def ask(
    robot: DividedRobot,
    route: Route[Any, Any],
    part: Part,
    headers: Mapping[str, str],
    accept: str = '*/*',
    **names: str,
) -> Answered:
    """Ask for a route of one part; `names` are other values for its placeholders."""
    how = ASKS.get((route.method, route.path), Ask())
    named = {**_of_components(route, part), **names}
    path = _filled(f'{route.path}{how.query}', {**part.names, **named})
    below = '' if route in UNVERSIONED else BASE
    response = await robot.api.client.request(
        route.method,
        f'{below}{path}' or '/',
        headers={**headers, 'Accept': accept},
        allow_redirects=False,
        **how.options(part),
    )
    text = (await response.read()).decode('latin-1')
    if route in ROUTES:
        await check_declared(route.method, path, response)
    told = {name: each for name, each in response.headers.items() if name not in _VARYING}
    return Answered(response.status, text, told)


@OF_SEEN
async def test_a_role_may_do_what_the_table_says(robot: DividedRobot, scope: str) -> None:
    """With and without globs, of what is within; what it may not is refused whatever there is."""
    for role, route in itertools.product(Role, (*ROUTES, *UNVERSIONED)):
        how = ASKS.get((route.method, route.path), Ask())
        may = role.includes(route.role)
        headers = showing(role, scope)
        part = await _to_spend(robot, how, role, scope) if may else robot.seen
        answer = await ask(robot, route, part, headers)
        allowed = may and not (how.of_all and scope != 'everything')
        if route.is_open:
            # Nobody is asked who they are: what they ask for says it, or is for all.
            assert answer.status == (400 if route.path.startswith('/auth/') else 200)
        elif route in UNVERSIONED:
            assert answer.status == 404, 'there is nothing here but for browsers'
        elif allowed:
            assert answer.status not in REFUSED, (route.method, route.path, answer)
        else:
            assert answer.status == 403, (route.method, route.path, answer)


@NARROWED
async def test_what_is_beyond_is_as_what_never_was(robot: DividedRobot, scope: str) -> None:
    """Status, body and headers are those of a name that nobody ever heard of."""
    part = robot.beyond[scope]
    beyond = {name for name in NOBODY if not _is_shared(name, scope)}
    for role, route in itertools.product(Role, (*ROUTES, *docs_of(ROUTES))):
        placeholders = beyond.intersection(re.findall(r'\{(\w+)\}', route.path))
        if route.path.endswith('/docs'):
            # The same is said of all of them.
            placeholders -= {'sequence', 'execution_id'}
        if not placeholders:
            continue
        headers = showing(role, scope)
        unknown = {name: NOBODY[name] for name in placeholders}
        there = await ask(robot, route, part, headers)
        nowhere = await ask(robot, route, part, headers, **unknown)
        names = {**part.names, **_of_components(route, part)}
        for name in placeholders:
            there = _replaced(there, names[name], unknown[name])
        assert there == nowhere, (route.method, route.path)


@NARROWED
async def test_nothing_that_is_answered_tells_of_what_is_beyond(
    robot: DividedRobot, scope: str
) -> None:
    """Neither lists, in any form, nor counts, descriptions, errors and headers."""
    asked = [
        *itertools.product(Role, (*ROUTES, *UNVERSIONED)),
        # Descriptions are long, and the same for every role.
        *itertools.product([Role.VIEWER], docs_of(ROUTES)),
    ]
    for role, route in asked:
        how = ASKS.get((route.method, route.path), Ask())
        if how.spends:
            continue
        for accept in how.accepts:
            answer = await ask(robot, route, robot.seen, showing(role, scope), accept)
            found = [each for each in robot.secrets(scope) if each in str(answer)]
            assert not found, (route.method, route.path, accept, answer)


@EVERY_SCOPE
async def test_lists_have_all_that_is_within(robot: DividedRobot, scope: str) -> None:
    """And totals count that alone."""
    executions = {'everything': 3, 'entities': 2, 'nothing': 0}.get(scope, 1)
    headers = showing(Role.VIEWER, scope)

    async def told(path: str) -> Any:
        status, body = await robot.api.json('GET', path, headers=headers)
        assert status == 200
        return body

    assert (await told('/executions?page=1'))['pagination']['total_items'] == executions
    assert (await told('/executions/status/completed?page=1'))['pagination']['total_items'] == (
        executions
    )
    assert len((await told('/executions/metrics?name=volts'))['items']) == executions
    statistics = await told('/executions/stats')
    assert statistics['total'] == sum(statistics['entities'].values()) == executions
    assert statistics['durations']['count'] == executions
    scripts = await told('/scripts')
    assert scripts['pagination']['total_items'] == len(scripts['items']) == executions
    assert [each['executions'] for each in scripts['items']] == [1] * executions
    events = await told('/events?limit=1000')
    for ids in (r'exec_\w+', r'script_[0-9a-f]+'):
        assert len({*re.findall(ids, str(events))}) == executions


def _of_components(route: Route[Any, Any], part: Part) -> dict[str, str]:
    return {'entity_id': part.component} if route.path.startswith('/components') else {}


def _is_shared(name: str, scope: str) -> bool:
    """Tell whether what is beyond a scope has this in common with what is within."""
    if scope == 'entities':
        return name in ('area_id', 'function_id')
    shared = ('entity_id', 'area_id', 'function_id', 'lock_id', 'instance')
    return scope != 'nothing' and name in shared


async def _to_spend(robot: DividedRobot, how: Ask, role: Role, scope: str) -> Part:
    """Return what is seen, with one more of what is spent; a lock is held by who asks, or by the
    next one who may."""
    api, seen, entity = robot.api, robot.seen, f'apps/{robot.seen.entity_id}'
    if how.spends == 'script':
        script_id = await api.upload(entity, name='check_it.sh', tags=['open'])
        return replace(seen, script_id=script_id)
    if how.spends == 'execution':
        return replace(seen, execution_id=await executed(api, entity, seen.script_id))
    if how.spends == 'instance':
        name = f'spent_{role.value}'
        await instantiated(api, entity, seen.script_id, name)
        return replace(seen, instance=name)
    if how.spends == 'lock':
        holder = Role.OPERATOR if role is Role.VIEWER else role
        return replace(seen, lock_id=await locked(api, entity, showing(holder, scope)))
    return seen


def _replaced(answer: Answered, old: str, new: str) -> Answered:
    def changed(text: str) -> str:
        return text.replace(old, new)

    headers = {name: changed(value) for name, value in answer.headers.items()}
    return Answered(answer.status, changed(answer.text), headers)


def _filled(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, names) for key, each in value.items()}
    if not isinstance(value, str):
        return value
    return re.sub(r'\{(\w+)\}', lambda found: names[found[1]], value)
