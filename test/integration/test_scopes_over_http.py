# SPDX-License-Identifier: Apache-2.0
"""What a credential that is narrowed may change, and how it hears of what happens."""

from collections.abc import AsyncIterator
from pathlib import Path

from api_support import Api, BASE, form
from divided_robot import divided_robot, DividedRobot, executed, showing
from event_streams import EventSource
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import GATEWAY, Role
from gateway_node.executions.event_pages import EventPages
from gateway_node.executions.events import EventKind, Happening
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.scopes import Scope
from gateway_node.executions.values import Progress

ARM, NODE = 'apps/arm_left', 'apps/yy_node'
UNKNOWN = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
NARROWED = pytest.mark.parametrize('scope', ['entities', 'scripts', 'tags'])


@pytest.fixture
async def robot(tmp_path: Path) -> AsyncIterator[DividedRobot]:
    """Serve a robot of which some see a part."""
    async with divided_robot(tmp_path) as robot:
        yield robot


async def ids(api: Api, path: str, headers: dict[str, str]) -> set[str]:
    """Return the ids that a list has."""
    status, body = await api.json('GET', path, headers=headers)
    assert status == 200
    return {each['id'] for each in body['items']}


@pytest.mark.parametrize(
    ('scope', 'name', 'tags', 'reason'),
    [
        ('scripts', 'move.sh', ['open'], "its name is 'move.sh'; allowed: 'check*'"),
        ('tags', 'move.sh', [], "its tags are none; needed: one of 'op?n', 'public'"),
        ('tags', 'move.sh', ['secret'], "its tags are 'secret'; needed: one of"),
    ],
)
@pytest.mark.parametrize('replaces', [True, False])
async def test_nobody_brings_a_script_that_they_could_not_see_afterwards(
    robot: DividedRobot, scope: str, name: str, tags: list[str], reason: str, replaces: bool
) -> None:
    """403 says which globs it would have to match; nothing is changed."""
    headers = showing(Role.CONFIGURATOR, scope)
    path = f'/{ARM}/scripts'
    before = await robot.api.json('GET', path)
    status, body = await robot.api.json(
        'PUT' if replaces else 'POST',
        f'{path}/{robot.seen.script_id}' if replaces else path,
        data=form(b'true\n', name, {'tags': tags, 'name': name}),
        headers=headers,
    )
    assert (status, body['error_code']) == (403, 'insufficient-access-rights')
    assert reason in body['message']
    assert await robot.api.json('GET', path) == before


async def test_what_is_brought_within_is_seen(robot: DividedRobot) -> None:
    """By its name, or by what it keeps of its metadata when only the file is replaced."""
    headers = showing(Role.CONFIGURATOR, 'tags')
    answer = await robot.api.request(
        'PUT', f'/{ARM}/scripts/{robot.seen.script_id}', data=form(b'x', 'b.sh'), headers=headers
    )
    assert answer.status == 200
    status, made = await robot.api.json(
        'POST', f'/{ARM}/scripts', data=form(b'x', 'a.sh', {'tags': ['public']}), headers=headers
    )
    assert status == 201
    assert made['id'] in await ids(robot.api, f'/{ARM}/scripts', headers)


@NARROWED
async def test_a_group_has_what_its_starter_sees(robot: DividedRobot, scope: str) -> None:
    """Who started it sees it, where it is and in lists, although it is below the host; and so
    does whoever sees all that it asked for."""
    api, headers = robot.api, showing(Role.OPERATOR, scope)
    wish = {'script': 'check.sh', 'entities': ['apps/arm_*', '*']}
    status, group = await api.json('POST', '/executions', json=wish, headers=headers)
    assert (status, group['children']['total']) == (202, 1)
    assert NODE not in str(group) or scope != 'entities'
    for path in (group['href'].removeprefix(BASE), f'/executions/{group["id"]}'):
        status, shown = await api.json('GET', path, headers=headers)
        assert (status, shown['children']['total']) == (200, 1)
        assert (await api.request('GET', f'{path}/events', headers=headers)).status == 200
    asked = ['apps/arm_*', ARM if scope == 'entities' else '*']
    assert shown['group']['entities'] == asked
    assert group['id'] in await ids(api, '/executions', headers)
    assert group['id'] in await ids(api, '/executions?page=1', headers)
    hidden = showing(Role.ADMIN, 'nothing')
    assert await ids(api, '/executions', hidden) == set()
    assert (await api.request('GET', f'/executions/{group["id"]}', headers=hidden)).status == 404
    (child,) = await ids(api, f'/executions?parent={group["id"]}', headers)
    (await api.runner.script(child)).exit()
    await api.listener.wait_for(group['id'])
    status, shown = await api.json('GET', f'/executions/{group["id"]}', headers=headers)
    assert (status, shown['status']) == (200, 'completed')


@NARROWED
async def test_a_group_that_asks_for_an_id_is_found_again(robot: DividedRobot, scope: str) -> None:
    """Also by who sees the script by its name."""
    api, headers = robot.api, showing(Role.OPERATOR, scope)
    wish = {'script': robot.seen.script_id, 'entities': ['apps/arm_*']}
    status, group = await api.json('POST', '/executions', json=wish, headers=headers)
    assert status == 202
    status, shown = await api.json('GET', f'/executions/{group["id"]}', headers=headers)
    assert (status, shown['group']['script']) == (200, robot.seen.script_id)
    assert group['id'] in await ids(api, '/executions', headers)


async def test_that_a_group_is_deleted_is_told_to_who_saw_it(robot: DividedRobot) -> None:
    """It is below the host: who sees that need not see the group, nor who sees the group that."""
    api = robot.api
    headers = showing(Role.VIEWER, 'entities')
    groups = []
    for pattern in ('apps/*', 'apps/arm_*'):
        wish = {'script': 'check.sh', 'entities': [pattern]}
        _, group = await api.json('POST', '/executions', json=wish)
        (child,) = await ids(api, f'/executions?parent={group["id"]}', {})
        (await api.runner.script(child)).exit()
        await api.listener.wait_for(group['id'])
        groups.append(group['id'])
    async with EventSource(api.client, f'{BASE}/events', **headers) as source:
        for each in groups:
            await api.request('DELETE', f'/executions/{each}')
        (deleted,) = await source.take(1)
    assert deleted.payload['change']['kind'] == 'execution.deleted'
    assert deleted.payload['id'] == groups[1]
    host = EventPages(api.store, Scope(entities=(api.directory.host().path,)))
    page = await host.behind(None, 1000, host.filter(ExecutionFilter()).finds)
    assert [each.event.subject for each in page.events] == []


@NARROWED
async def test_a_group_of_more_than_is_seen_is_not_seen(robot: DividedRobot, scope: str) -> None:
    """But its executions are, where they are within."""
    api, headers = robot.api, showing(Role.ADMIN, scope)
    await api.upload(ARM, name='zz_all.sh')
    await api.upload(NODE, name='zz_all.sh')
    wish = {'script': 'zz_all.sh', 'entities': ['*']}
    status, group = await api.json('POST', '/executions', json=wish)
    assert (status, group['children']['total']) == (202, 2)
    assert (await api.request('GET', f'/executions/{group["id"]}', headers=headers)).status == 404
    path = group['href'].removeprefix(BASE)
    _, unknown = await api.json('GET', path.replace(group['id'], UNKNOWN), headers=headers)
    status, body = await api.json('GET', path, headers=headers)
    assert status == 404
    assert body['message'].replace(group['id'], UNKNOWN) == unknown['message']
    seen = await ids(api, '/executions', headers)
    assert group['id'] not in seen
    children = await ids(api, f'/executions?parent={group["id"]}', {})
    assert len(children) == 2
    assert len(children & seen) == (1 if scope == 'entities' else 0)


async def test_who_sees_no_entity_starts_nothing_anywhere(robot: DividedRobot) -> None:
    """As where there is no such script: whatever is asked for."""
    api = robot.api
    for scope in ('entities', 'nothing'):
        wish = {'script': 'yy_one.sh', 'entities': [NODE, 'apps/*']}
        status, body = await api.json(
            'POST', '/executions', json=wish, headers=showing(Role.OPERATOR, scope)
        )
        assert (status, body['error_code']) == (404, 'resource-not-found')
        assert f'{NODE}: there is no such entity' in body['message']


@NARROWED
async def test_children_are_counted_as_far_as_they_are_seen(
    robot: DividedRobot, scope: str
) -> None:
    """Also where somebody who sees more has asked before."""
    api, headers = robot.api, showing(Role.VIEWER, scope)
    part = robot.beyond[scope]
    parent, script = await api.running(ARM, robot.seen.script_id)
    child, child_script = await api.running(
        f'apps/{part.entity_id}', part.script_id, parent=parent
    )
    child_script.exit()
    script.exit()
    for each in (child, parent):
        await api.listener.wait_for(each)
    for _ in range(2):
        _, shown = await api.json('GET', f'/executions/{parent}')
        assert shown['children']['total'] == 1
        status, shown = await api.json('GET', f'/executions/{parent}', headers=headers)
        assert (status, shown['status']) == (200, 'completed')
        assert 'children' not in shown
        assert (await api.request('GET', f'/executions/{child}', headers=headers)).status == 404


@NARROWED
async def test_what_is_not_seen_becomes_no_parent(robot: DividedRobot, scope: str) -> None:
    """It is refused as what does not run."""
    api, headers = robot.api, showing(Role.OPERATOR, scope)
    part = robot.beyond[scope]
    parent, _ = await api.running(f'apps/{part.entity_id}', part.script_id)
    path = f'/{ARM}/scripts/{robot.seen.script_id}/executions'
    answers = []
    for each in (parent, UNKNOWN):
        start = {'execution_type': 'now', 'parent': each}
        status, body = await api.json('POST', path, json=start, headers=headers)
        answers.append((status, str(body).replace(each, '…')))
    assert answers[0] == answers[1]
    assert answers[0][0] == 409


@pytest.mark.parametrize('scope', ['scripts', 'tags'])
async def test_a_script_that_left_the_scope_is_started_no_more(
    robot: DividedRobot, scope: str
) -> None:
    """What it did within stays seen; to start it again is to start what it is now."""
    api, headers, part = robot.api, showing(Role.OPERATOR, scope), robot.seen
    path = f'/executions/{part.execution_id}'
    metadata = {'name': 'zz_moved.sh', 'tags': ['zz_tag']}
    data = form(b'false\n', 'zz_moved.sh', metadata)
    answer = await api.request('PUT', f'/{ARM}/scripts/{part.script_id}', data=data)
    assert answer.status == 200
    assert (await api.request('GET', path, headers=headers)).status == 200
    status, body = await api.json('POST', f'{path}/retry', headers=headers)
    assert (status, body['message']) == (404, f'{ARM} has no script {part.script_id!r}')
    act = {'action': 'retry', 'filter': {}}
    _, acted = await api.json('POST', '/executions/actions', json=act, headers=headers)
    assert [each['result'] for each in acted['items']] == ['refused']
    for below in ('', '/versions', '/content'):
        asked = f'/{ARM}/scripts/{part.script_id}{below}'
        assert (await api.request('GET', asked, headers=headers)).status == 404
        assert (await api.request('GET', asked)).status == 200


@NARROWED
async def test_many_are_acted_on_as_far_as_they_are_seen(robot: DividedRobot, scope: str) -> None:
    """By a filter that finds everything, too."""
    api, part = robot.api, robot.beyond[scope]
    act = {'action': 'delete', 'filter': {}}
    status, acted = await api.json(
        'POST', '/executions/actions', json=act, headers=showing(Role.OPERATOR, scope)
    )
    assert status == 200
    deleted = {each['id'] for each in acted['items']}
    assert robot.seen.execution_id in deleted
    assert part.execution_id not in deleted
    assert part.execution_id in await ids(api, '/executions', {})


async def test_a_page_that_one_was_given_is_not_given_to_another(robot: DividedRobot) -> None:
    """Lists are held as long as nothing happens: for those who see the same."""
    for scope, expected in (('everything', 3), ('tags', 1), ('nothing', 0), ('everything', 3)):
        headers = showing(Role.VIEWER, scope)
        for path in ('/executions', '/executions?page=1'):
            assert len(await ids(robot.api, path, headers)) == expected
        status, body = await robot.api.json('GET', '/executions/stats', headers=headers)
        assert (status, body['total']) == (200, expected)


async def test_exports_have_parameters_of_what_is_seen(robot: DividedRobot) -> None:
    """Those are read execution by execution."""
    for scope, expected in (('tags', {'check.sh'}), ('everything', {'check.sh', 'yy_one.sh'})):
        headers = {**showing(Role.VIEWER, scope), 'Accept': 'text/csv'}
        path = f'{BASE}/executions?fields=id&columns=input_parameters.said&entity=apps/*'
        async with robot.api.client.get(path, headers=headers) as response:
            lines = (await response.text()).split()[1:]
        assert {line.partition(',')[2] for line in lines} >= expected
        assert (len(lines) == 1) == (scope == 'tags')


async def test_filters_name_no_component_that_is_not_seen(robot: DividedRobot) -> None:
    """Not among those that are allowed either."""
    status, body = await robot.api.json(
        'GET', '/executions?component=powertrain_yy_ns', headers=showing(Role.VIEWER, 'entities')
    )
    assert status == 400
    assert body['message'].endswith('allowed: powertrain_arms')


@NARROWED
async def test_health_tells_nothing_of_others(robot: DividedRobot, scope: str) -> None:
    """Whether all is well, and which versions run here."""
    status, body = await robot.api.json('GET', '/health', headers=showing(Role.ADMIN, scope))
    assert status == 200
    assert {'status', 'uptime_sec', 'versions', 'entities'} <= body.keys()
    assert body.keys().isdisjoint({'executions', 'line', 'streams', 'connections', 'warnings'})
    assert body['entities']['apps'] == (1 if scope == 'entities' else 3)


@NARROWED
async def test_a_stream_tells_what_happens_within(robot: DividedRobot, scope: str) -> None:
    """Of scripts and what goes with them, executions, their progress and their deletion, and of
    the line."""
    api, part = robot.api, robot.beyond[scope]
    headers = showing(Role.VIEWER, scope)
    entity = f'apps/{part.entity_id}'
    async with EventSource(api.client, f'{BASE}/events', **headers) as source:
        hidden = await executed(api, entity, part.script_id, 'zz_said')
        await api.request('DELETE', f'/executions/{hidden}')
        await api.request('PUT', f'/{entity}/scripts/{part.script_id}', data=form(b'x', 'x.sh'))
        await api.request('DELETE', f'/{entity}/scripts/{part.script_id}')
        if scope == 'entities':
            for paused in (True, False):
                await api.json('PUT', f'/{entity}/line', json={'paused': paused})
        seen = await executed(api, ARM, robot.seen.script_id)
        await api.request('DELETE', f'/executions/{seen}')
        await api.request(
            'PUT', f'/{ARM}/scripts/{robot.seen.script_id}', data=form(b'x', 'check.sh')
        )
        await api.request('DELETE', f'/{ARM}/scripts/{robot.seen.script_id}')
        for paused in (True, False):
            await api.json('PUT', f'/{ARM}/line', json={'paused': paused})
        told = await source.take(9)
    assert [each.payload['change']['kind'] for each in told] == [
        'execution.accepted',
        'execution.running',
        'execution.ended',
        'execution.deleted',
        'script.replaced',
        'script.deleted',
        'instance.deleted',
        'line.paused',
        'line.resumed',
    ]
    assert not [each for each in robot.secrets(scope) if each in str(told)]


@NARROWED
async def test_what_happens_to_an_instance_is_told_who_sees_its_script(
    robot: DividedRobot, scope: str
) -> None:
    """And what its triggers do, as far as the log tells what its script was called."""
    api = robot.api
    for part in (robot.beyond[scope], robot.seen):
        entity = EntityRef.from_path(f'apps/{part.entity_id}')
        ref = InstanceRef(entity=entity, script_id=part.script_id, name='nightly')
        await api.store.record(
            [
                Happening(kind=kind, subject=ref.subject, actor=GATEWAY, changes={'count': 3})
                for kind in (EventKind.INSTANCE_CREATED, EventKind.TRIGGER_FIRED)
            ]
        )
    headers = showing(Role.VIEWER, scope)
    _, body = await api.json('GET', '/events?limit=-2', headers=headers)
    subject = f'{BASE}/{ARM}/scripts/{robot.seen.script_id}/instances/nightly'
    told = [each for each in body['items'] if each['event'] in ('instance', 'trigger')]
    assert [each['payload']['href'] for each in told] == [subject] * 2
    assert [each['payload']['change']['kind'] for each in told] == [
        'instance.created',
        'trigger.fired',
    ]
    assert told[1]['payload']['count'] == 3
    assert not [each for each in robot.secrets(scope) if each in str(body)]


@NARROWED
async def test_progress_of_others_is_not_told(robot: DividedRobot, scope: str) -> None:
    """On the stream of executions, which has it."""
    api, part = robot.api, robot.beyond[scope]
    headers = showing(Role.VIEWER, scope)
    async with EventSource(api.client, f'{BASE}/executions/events', **headers) as source:
        _, hidden = await api.running(f'apps/{part.entity_id}', part.script_id)
        seen, script = await api.running(ARM, robot.seen.script_id)
        hidden.report(Progress(percent=10))
        script.report(Progress(percent=20))
        event = await source.named('progress')
    assert (event.payload['id'], event.payload['progress']) == (seen, 20)


async def test_the_stream_of_one_execution_is_for_who_sees_it(robot: DividedRobot) -> None:
    """404 elsewhere, before there is a stream."""
    path = f'{BASE}/executions/{robot.beyond["tags"].execution_id}/events'
    for scope in ('tags', 'everything'):
        headers = {**showing(Role.VIEWER, scope), 'Accept': 'text/event-stream'}
        async with robot.api.client.get(path, headers=headers) as response:
            assert response.status == (404 if scope == 'tags' else 200)
