# SPDX-License-Identifier: Apache-2.0
"""Lists of executions, as a client sees them: filters, columns, pages, links."""

from collections.abc import AsyncIterator
import dataclasses
from pathlib import Path
import re
from typing import Any

from api_support import Api, BASE, form, serve_api
from assembled_gateway import assembled_gateway, OWN_NODE
from fakes import add, FakeInstances, new_execution
import pytest

from gateway_node.entities.values import EntityRef, EntityType, GraphSnapshot, NodeName
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.values import ExecutionStatus, Trigger, TriggerType
from gateway_node.http_server.execution_queries import ExecutionQuery
from gateway_node.http_server.routes import ROUTES
from gateway_node.http_server.takes import Place, taken_by
from gateway_node.scripts.values import ScriptKind

APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')
COMPONENT = EntityRef(entity_type=EntityType.COMPONENT, entity_id='powertrain_engine')


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


async def record(api: Api, *numbers: int, **fields: Any) -> list[str]:
    """Put executions that have ended on record; return their ids."""
    fields.setdefault('status', ExecutionStatus.COMPLETED)
    executions = [new_execution(number, **fields) for number in numbers]
    for execution in executions:
        await add(api.store, execution)
    return [execution.id for execution in executions]


async def begin(api: Api) -> None:
    """Start an execution, with an id above those that tests make: up to it a list is settled."""
    await api.start('apps/temp_sensor', await api.upload('apps/temp_sensor'))


async def ids(api: Api, path: str) -> list[str]:
    status, body = await api.json('GET', path)
    assert status == 200, body
    return [item['id'] for item in body['items']]


async def test_what_ran_anywhere_is_in_one_list(api: Api) -> None:
    """Newest first; of an entity and of a script, those alone."""
    (first,) = await record(api, 1)
    (second,) = await record(api, 2, entity=COMPONENT)
    (third,) = await record(api, 3, script_id='other')
    assert await ids(api, '/executions') == [third, second, first]
    assert await ids(api, '/apps/temp_sensor/executions') == [third, first]
    assert await ids(api, '/components/powertrain_engine/executions') == [second]
    assert await ids(api, '/apps/temp_sensor/scripts/other/executions') == [third]
    assert await ids(api, '/executions?component=powertrain_engine') == [third, second, first]
    assert await ids(api, '/executions?entity=components/*') == [second]
    assert await ids(api, '/executions?entity=components/*&script=other') == []


async def test_what_is_searched_for_comes_in_several_values(api: Api) -> None:
    """Repeated or with commas; alternatives within a name, all names have to hold."""
    tagged = await record(api, 1, 2, script_tags=('brakes',), script_kind=ScriptKind.SH)
    (comma,) = await record(api, 3, script_tags=('left, right',), exit_code=3)
    assert await ids(api, '/executions?tag=brakes,wheels') == tagged[::-1]
    assert await ids(api, '/executions?tag=wheels&tag=brakes&kind=sh') == tagged[::-1]
    assert await ids(api, '/executions?tag=left%5C,%20right') == [comma]
    assert await ids(api, '/executions?tag=left%5C,%20right&exit_code=0,3') == [comma]
    assert await ids(api, '/executions?tag=brakes&exit_code=3') == []


async def test_what_ran_for_an_instance_is_found_by_it(api: Api) -> None:
    """By its script's id or name and its own name, and by what fired."""
    by = Trigger(type=TriggerType.CONDITION, setting='/battery below 20', firing=41)
    fields = {'script_name': 'Self: test', 'instance_version': 'v1'}
    (nightly,) = await record(api, 1, instance='nightly', trigger=by, **fields)
    (verbose,) = await record(api, 2, instance='verbose', stop_trigger=by, **fields)
    await record(api, 3)
    assert await ids(api, '/executions?instance=self_test:nightly') == [nightly]
    assert await ids(api, '/executions?instance=Self:%20test:nightly,self_test:verbose') == [
        verbose,
        nightly,
    ]
    assert await ids(api, '/executions?instance=other:nightly') == []
    assert await ids(api, '/executions?firing=41') == [verbose, nightly]
    assert await ids(api, '/executions?firing=40&firing=42') == []
    assert await ids(api, '/executions?trigger=condition') == [nightly]
    assert await ids(api, '/executions?trigger=condition:/battery%20below%2020') == [nightly]
    _, body = await api.json('GET', f'/executions/{nightly}')
    assert (body['instance'], body['instance_version']) == ('nightly', 'v1')
    assert body['trigger'] == {
        'type': 'condition',
        'setting': '/battery below 20',
        'firing': 41,
    }


@pytest.mark.parametrize('wanted', ['nightly', ':nightly', 'self_test:', 'a:b c', 'a:-b'])
async def test_an_instance_is_asked_for_with_its_script(api: Api, wanted: str) -> None:
    """Names of instances are unique among those of one script alone."""
    status, body = await api.json('GET', '/executions', params={'instance': wanted})
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert 'the name of an instance of it' in body['parameters']['violations'][0]['reason']


async def test_an_execution_is_outdated_with_its_instance(api: Api) -> None:
    """Where that was replaced, or is gone: told in lists, columns and details alike, and left out
    where that is wanted."""
    script_id = await api.upload('apps/temp_sensor')
    version = (await api.library.versions_of([(APP, script_id)]))[APP, script_id]
    fields = {'script_id': script_id, 'script_version': version}
    (plain,) = await record(api, 1, **fields)
    (execution,) = await record(api, 2, instance='nightly', instance_version='v1', **fields)
    ref = InstanceRef(entity=APP, script_id=script_id, name='nightly')
    for known, outdated in (({ref: 'v1'}, False), ({ref: 'v2'}, True), ({}, True)):
        api.executions.questions.instances = FakeInstances(known)
        _, detail = await api.json('GET', f'/executions/{execution}')
        _, listed = await api.json('GET', '/executions?instance=' + f'{script_id}:nightly')
        _, column = await api.json('GET', '/executions?fields=is_outdated')
        assert detail['is_outdated'] is outdated
        assert [each['is_outdated'] for each in listed['items']] == [outdated]
        assert [each['is_outdated'] for each in column['items']] == [outdated, False]
        present = [plain] if outdated else [execution, plain]
        assert await ids(api, '/executions?include_outdated=false') == present


async def test_those_of_one_status_have_a_path_of_their_own(api: Api) -> None:
    """A status that there is not is 400 with those that there are."""
    await record(api, 1)
    (failed,) = await record(api, 2, status=ExecutionStatus.FAILED)
    assert await ids(api, '/executions/status/failed') == [failed]
    assert await ids(api, '/executions/status/failed?status=completed,failed') == [failed]
    assert await ids(api, '/executions/status/failed?status=completed') == []
    status, body = await api.json('GET', '/executions/status/timeout')
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert body['message'].endswith('allowed: prepared, running, completed, failed, terminated')


async def test_a_moment_ends_before_itself(api: Api) -> None:
    """`after` is inclusive, `before` is not; a `+` that arrives as a space is understood."""
    moment = new_execution(1).created_at
    (one,) = await record(api, 1)
    text = '2026-03-01T13:00:00+01:00'
    assert moment.isoformat() == '2026-03-01T12:00:00+00:00'
    assert await ids(api, f'/executions?created_after={text}') == [one]
    assert await ids(api, f'/executions?created_after={text.replace("+", "%2B")}') == [one]
    assert await ids(api, f'/executions?created_before={text}') == []
    assert await ids(api, '/executions?created_before=2026-03-01T12:00:00.001Z') == [one]
    assert await ids(api, '/executions?completed_after=2000-01-01T00:00:00Z') == []


async def test_all_that_is_wrong_with_a_query_is_told_at_once(api: Api) -> None:
    """With what is allowed; nothing is looked up before."""
    status, body = await api.json(
        'GET', '/apps/nobody/executions?state=running&status=done&created_after=today&limit=0'
    )
    assert status == 400
    violations = body['parameters']['violations']
    assert [each['path'] for each in violations] == [
        '/query/state',
        '/query/limit',
        '/query/status',
        '/query/created_after',
    ]
    assert all('allowed: ' in each['reason'] for each in violations)
    status, body = await api.json('GET', '/executions?component=nobody')
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    status, body = await api.json('GET', '/apps/nobody/executions')
    assert (status, body['error_code']) == (404, 'resource-not-found')


async def test_columns_are_chosen(api: Api) -> None:
    """Those alone that are asked for, in their order; one that is unknown is 400 with all."""
    (one,) = await record(api, 1)
    _, body = await api.json('GET', '/executions?fields=status,id,exit_code')
    assert body['items'] == [{'status': 'completed', 'id': one}]
    assert list(body['items'][0]) == ['status', 'id']
    _, body = await api.json('GET', '/executions?fields=status')
    assert body['items'] == [{'status': 'completed'}]
    status, body = await api.json('GET', '/executions?fields=id,output')
    assert status == 400
    assert "fields is 'output'; allowed: id, status, href, " in body['message']


async def test_what_is_outdated_can_be_left_out(api: Api) -> None:
    """By the script that it is of: another one may have the same bytes."""
    replaced = await api.upload('apps/temp_sensor')
    twin = await api.upload('apps/temp_sensor')
    ended = []
    for script_id in (replaced, twin):
        execution_id, script = await api.running('apps/temp_sensor', script_id)
        script.exit(0)
        await api.listener.wait_for(execution_id)
        ended.append(execution_id)
    answer = await api.request(
        'PUT', f'/apps/temp_sensor/scripts/{replaced}', data=form(b'false\n', 'check.sh')
    )
    assert answer.status == 200
    (gone,) = await record(api, 1, script_id='gone')
    _, body = await api.json('GET', '/executions?fields=id,is_outdated')
    assert body['items'] == [
        {'id': ended[1], 'is_outdated': False},
        {'id': ended[0], 'is_outdated': True},
        {'id': gone, 'is_outdated': True},
    ]
    assert await ids(api, '/executions?include_outdated=false') == [ended[1]]
    assert await ids(api, '/executions?include_outdated=true') == [ended[1], ended[0], gone]


async def walk(api: Api, path: str) -> list[list[str]]:
    """Follow the links of a list to its end, as a client does that reads no body for that."""
    pages = []
    while True:
        answer = await api.request('GET', path)
        body = await answer.json()
        pages.append([item['id'] for item in body['items']])
        links = answer.links
        assert (body.get('next') is not None) == ('next' in links)
        if 'next' not in links:
            return pages
        assert str(links['next']['url']).endswith(body['next'])
        path = body['next'].removeprefix(BASE)


async def test_a_list_is_walked_by_its_links(api: Api) -> None:
    """RFC 8288: downwards, upwards and page by page; each execution once, with all filters."""
    await begin(api)
    every = await record(api, *range(1, 8), script_tags=('a b',))
    await record(api, 8)
    assert await walk(api, '/executions?limit=-3&tag=a%20b') == [
        every[6:3:-1], every[3:0:-1], every[:1]
    ]  # fmt: skip
    assert await walk(api, '/executions?limit=3&tag=a%20b') == [
        every[2::-1], every[5:2:-1], every[6:]
    ]  # fmt: skip
    assert await walk(api, '/executions?page=1&per_page=3&tag=a%20b') == [
        every[6:3:-1], every[3:0:-1], every[:1]
    ]  # fmt: skip
    assert await walk(api, f'/executions?before={every[3]}&limit=2&tag=a%20b') == [
        every[2:0:-1], every[:1]
    ]  # fmt: skip


async def test_the_links_of_a_page_lead_there_and_back(api: Api) -> None:
    """`prev` of what `next` leads to is where one came from; `first` and `last` are the ends."""
    await begin(api)
    every = await record(api, *range(1, 8))
    second = f'/executions?script=self_test&limit=-2&id_exclusive={every[5]}'
    answer = await api.request('GET', second)
    assert set(answer.links) == {'next', 'prev', 'first', 'last'}
    for relation, found in (
        ('next', every[2:0:-1]),
        ('prev', every[6:4:-1]),
        ('first', every[6:4:-1]),
        ('last', every[1::-1]),
    ):
        path = str(answer.links[relation]['url']).partition(BASE)[2]
        assert await ids(api, path) == found, relation


async def test_links_that_are_too_long_for_a_header_are_left_out(api: Api) -> None:
    """All of them, and not sent empty; `next` in the body leads on all the same."""
    await begin(api)
    every = await record(api, 1, 2, script_tags=('a' * 200,))
    tags = ','.join(f'{number:03}'.ljust(200, 'a') for number in range(19))
    path = f'/executions?limit=-1&tag={"a" * 200},{tags}&fields=id&result_contains={"a" * 1000}'
    answer = await api.request('GET', path)
    assert (answer.status, 'Link' in answer.headers) == (200, False)
    path = path.partition('&result_contains')[0] + f'&script=self_test,{"b" * 255}'
    answer = await api.request('GET', path)
    following = (await answer.json())['next'].removeprefix(BASE)
    assert await ids(api, following) == every[:1]


async def test_pages_have_numbers_and_an_order(api: Api) -> None:
    """Twenty to a page; what is sorted otherwise than by id has pages alone."""
    durations = [30, 10, 20]
    sorted_ids = [
        (await record(api, number, duration_ms=duration))[0]
        for number, duration in enumerate(durations, 1)
    ]
    _, body = await api.json('GET', '/executions?sort=duration&per_page=2')
    assert [item['duration_ms'] for item in body['items']] == [30, 20]
    assert body['pagination'] == {
        'page': 1, 'page_size': 2, 'total_items': 3, 'total_pages': 2
    }  # fmt: skip
    _, body = await api.json('GET', '/executions?page=1')
    assert [item['id'] for item in body['items']] == sorted_ids[::-1]
    assert body['pagination']['page_size'] == 20
    status, body = await api.json('GET', '/executions?page=1&limit=5')
    assert (status, body['message']) == (
        400, 'limit does not go with page; allowed: one of the two ways'
    )  # fmt: skip


async def test_a_short_page_that_is_not_complete_leads_on(api: Api) -> None:
    """Where only so much was looked at, the answer says so, whatever it found."""
    every = await record(api, 1, 2)
    found = api.store.find_texts

    async def find_texts(wanted: Any, page: Any) -> Any:
        whole = await found(wanted, page)
        return dataclasses.replace(
            whole, executions=whole.executions[:1], more=every[1], complete=False
        )

    api.store.find_texts = find_texts  # type: ignore[method-assign]
    _, body = await api.json('GET', '/executions')
    assert [item['id'] for item in body['items']] == [every[1]]
    assert body['complete'] is False
    assert body['next'] == f'{BASE}/executions?limit=-100&id_exclusive={every[1]}'


async def test_an_id_alone_is_a_short_way_to_an_execution(api: Api) -> None:
    """The same resource: read, stopped and removed; its href stays the long one."""
    script_id = await api.upload('apps/temp_sensor')
    execution_id, _ = await api.running('apps/temp_sensor', script_id)
    short, long = (
        f'/executions/{execution_id}',
        f'/apps/temp_sensor/scripts/{script_id}/executions/{execution_id}',
    )
    assert await api.json('GET', short) == await api.json('GET', long)
    status, body = await api.json('DELETE', short)
    assert (status, body['error_code']) == (409, 'invalid-request')
    status, body = await api.json('PUT', short, json={'action': 'halt'})
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    status, body = await api.json('PUT', short, json={'action': 'stop'})
    assert (status, body['status'], body['href']) == (200, 'terminated', f'{BASE}{long}')
    status, body = await api.json('PUT', short, json={'action': 'stop'})
    assert status == 409
    assert (await api.request('DELETE', short)).status == 204
    for method, options in (('GET', {}), ('PUT', {'json': {'action': 'stop'}}), ('DELETE', {})):
        status, body = await api.json(method, short, **options)
        assert (status, body['error_code']) == (404, 'resource-not-found')
        assert body['message'] == f'no execution {execution_id!r}'
    _, body = await api.json('GET', long)
    assert body['message'] == f'no execution {execution_id!r} of this script'


@pytest.mark.parametrize('path', ['status', 'status/', 'nobody', '%20'])
async def test_what_is_no_id_of_an_execution_is_refused(api: Api, path: str) -> None:
    """No word that a path has there can be one."""
    status, body = await api.json('GET', f'/executions/{path}')
    assert (status, body['error_code']) == (400, 'invalid-parameter')


async def test_a_page_asks_once_for_each_script(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many executions are on it; and for none where no column tells of them."""
    await record(api, *range(1, 50))
    await record(api, *range(50, 60), script_id='other')
    asked = []
    versions_of = api.library.versions_of

    async def note(scripts: Any) -> Any:
        asked.append(set(scripts))
        return await versions_of(scripts)

    monkeypatch.setattr(api.library, 'versions_of', note)
    await ids(api, '/executions')
    assert asked == [{(APP, 'self_test'), (APP, 'other')}]
    await ids(api, '/executions?fields=id,status')
    await api.request('GET', '/executions?fields=id', headers={'Accept': 'text/csv'})
    assert len(asked) == 1


async def test_the_assembled_gateway_finds_what_ran(tmp_path: Path) -> None:
    """Through the database: each filter is one that it knows."""
    temp_sensor = NodeName(namespace='/powertrain', name='temp_sensor')
    graph = GraphSnapshot(nodes=frozenset({OWN_NODE, temp_sensor}))
    async with assembled_gateway(tmp_path, graph) as client:
        uploaded = await client.post(
            f'{BASE}/apps/temp_sensor/scripts',
            data=form(b'echo \'{"mode": "fast"}\'\n', 'check.sh', {'tags': ['daily']}),
        )
        script = await uploaded.json()
        started = await client.post(
            f'{script["href"]}/executions',
            json={
                'execution_type': 'now',
                'parameters': {'mode': 'fast', 'range': [1, 5], 'deep': {'a': 1, 'b': 'x,y'}},
            },
        )
        execution = await started.json()
        while (await (await client.get(execution['href'])).json())['status'] != 'completed':
            pass
        for query in (
            'status=completed', 'entity=apps/*', 'component=powertrain',
            f'script={script["id"]}', 'script=check.sh', 'tag=daily', 'kind=sh', 'exit_code=0',
            'execution_type=now', 'trigger=manual', 'terminating=false', 'scheduled=false',
            'priority=50', 'created_after=2020-01-01T00:00:00Z', 'min_duration_ms=0',
            'started_after=2020-01-01T00:00:00Z', 'completed_after=2020-01-01T00:00:00Z',
            'max_duration_ms=999999', 'result_contains=FAST', 'parameter.mode=fast',
            'parameter.mode=slow&parameter.mode=fast', 'parameter.range=[1,5]',
            'parameter.deep={"b":"x,y","a":1}',
            'include_outdated=false', 'page=1', 'sort=duration', 'sort=completed', 'limit=5',
        ):  # fmt: skip
            body = await (await client.get(f'{BASE}/executions?{query}')).json()
            assert [item['id'] for item in body['items']] == [execution['id']], query
        for query in (
            'status=failed', 'entity=components/*', 'component=robot7,engine', 'script=nothing',
            'tag=weekly', 'kind=python', 'exit_code=1', 'signal=9', 'verdict=FAIL',
            'vendor_code=x-gateway-timeout', 'execution_type=on_restart', 'trigger=restart',
            'stop_trigger=manual', 'username=alice', f'parent={execution["id"]}',
            'terminating=true', 'scheduled=true', 'priority=0',
            'created_before=2020-01-01T00:00:00Z', 'result_contains=slow', 'parameter.mode=slow',
            'parameter.range=[1]', 'page=2',
        ):  # fmt: skip
            answer = await client.get(f'{BASE}/executions?{query}')
            if query.startswith('component='):
                assert answer.status == 400
                continue
            assert (await answer.json())['items'] == [], query


def test_the_documentation_names_all_that_lists_are_searched_by() -> None:
    """One row a name, or names that belong together."""
    page = (Path(__file__).parents[2] / 'docs' / 'api.md').read_text(encoding='utf-8')
    section = page.split('### Finding executions')[1].split('\n## ')[0]
    for taken in taken_by(ExecutionQuery):
        assert re.search(rf'`{re.escape(taken.shown_name)}`', section), taken.name


def test_every_list_of_executions_takes_the_same() -> None:
    """Whatever its path already says."""
    lists = [route for route in ROUTES if route.answers == 'ExecutionList']
    assert len(lists) == 4
    names = [
        {each.name for each in taken_by(route.takes) if each.place is Place.QUERY}
        for route in lists
    ]
    assert all(each == names[0] for each in names)
