# SPDX-License-Identifier: Apache-2.0
"""Executions that have ended are answered as they were recorded, whatever happened since."""

import asyncio
from collections.abc import AsyncIterator
import dataclasses
from pathlib import Path
import random
from typing import Any

from api_support import Api, BASE, form, serve_api
from clients import CLIENT
import earlier_form
from executions_at_random import execution_at_random, without_instance
from fakes import add, AN_APP
from proxies import PREFIX, PROXY
import pytest

from gateway_node.executions.values import ExecutionStatus, Output

ENTITY = 'apps/temp_sensor'
UNKNOWN = 'exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8'
OPEN = (ExecutionStatus.PREPARED, ExecutionStatus.RUNNING)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path, trusted_proxies=PROXY) as api:
        yield api


async def ended(api: Api, script_id: str, **body: Any) -> str:
    """Run a script to its end; return the path of the execution."""
    execution_id = await api.start(ENTITY, script_id, **body)
    (await api.runner.script(execution_id)).exit(0)
    await api.listener.wait_for(execution_id)
    await api.executions.questions.get_by_id(execution_id)
    path = f'/{ENTITY}/scripts/{script_id}/executions/{execution_id}'
    while 'ETag' not in (await api.request('GET', path)).headers:
        pass  # each turn is a request: the loop goes on meanwhile
    return path


async def built_anew(api: Api, path: str, base: str = BASE) -> dict[str, Any]:
    """Return what the version before answered, from the record and what is kept beside it."""
    execution_id = path.rpartition('/')[2]
    execution = await api.store.get(execution_id)
    assert execution is not None
    script = (execution.entity, execution.script_id)
    version = (await api.library.versions_of([script]))[script]
    output = await api.runner.outputs.of(execution_id)
    body = earlier_form.answered(execution, base, version) | earlier_form.beside(execution)
    body['output'] = dataclasses.asdict(output)
    there = api.library.versions.has(execution.script_id, execution.script_version)
    if version == execution.script_version or there:
        content = f'{base}/{execution.entity.path}/scripts/{execution.script_id}/content'
        body['script_content'] = f'{content}?version={execution.script_version}'
    return body


async def check(api: Api, path: str) -> None:
    """Compare what is answered with what is built anew, twice, and through a proxy."""
    for _ in range(2):
        status, body = await api.json('GET', path)
        assert (status, body) == (200, await built_anew(api, path))
    headers = {'X-Forwarded-Prefix': PREFIX}
    _, body = await api.json('GET', path, headers=headers)
    assert body == await built_anew(api, path, f'{PREFIX}{BASE}')


async def tag_of(api: Api, path: str, **headers: str) -> str:
    """Return what names the present answer."""
    answer = await api.request('GET', path, headers=headers)
    assert answer.headers['Cache-Control'] == 'no-cache'
    return answer.headers['ETag']


async def test_a_client_that_has_it_is_told_so(api: Api) -> None:
    """In a list of validators, over several lines, by a weak one and by `*` too; HEAD as GET."""
    script_id = await api.upload(ENTITY)
    path = await ended(api, script_id)
    tag = await tag_of(api, path)
    short = f'/executions/{path.rpartition("/")[2]}'
    assert await tag_of(api, short) == tag
    for known in (tag, f'"other", {tag}', f'W/{tag}', '*', ' * '):
        for method in ('GET', 'HEAD'):
            answer = await api.request(method, path, headers={'If-None-Match': known})
            assert (answer.status, await answer.read()) == (304, b'')
            assert answer.headers['ETag'] == tag
    for unknown in ('"other"', tag.strip('"'), ''):
        answer = await api.request('GET', path, headers={'If-None-Match': unknown})
        assert answer.status == 200
    head = await api.request('HEAD', path)
    whole = await api.request('GET', path)
    assert (head.status, await head.read()) == (200, b'')
    assert head.headers['Content-Length'] == str(len(await whole.read()))
    assert whole.headers['Content-Type'] == 'application/json; charset=utf-8'
    reader, writer = await api.connect()
    writer.write(
        f'GET {BASE}{path} HTTP/1.1\r\nHost: {api.address}\r\nConnection: close\r\n'
        f'If-None-Match: "other"\r\nIf-None-Match: {tag}\r\n\r\n'.encode()
    )
    assert (await reader.read()).startswith(b'HTTP/1.1 304 ')
    writer.close()


async def test_what_is_open_has_no_validator(api: Api) -> None:
    """It is read again and again because it changes."""
    script_id = await api.upload(ENTITY)
    execution_id, script = await api.running(ENTITY, script_id)
    path = f'/{ENTITY}/scripts/{script_id}/executions/{execution_id}'
    answer = await api.request('GET', path, headers={'If-None-Match': '*'})
    assert (answer.status, 'ETag' in answer.headers) == (200, False)
    script.exit(0)
    await api.listener.wait_for(execution_id)


async def test_another_version_makes_it_another_answer(api: Api) -> None:
    """`is_outdated`, the file as it ran, and the validator with them; for each base its own."""
    script_id = await api.upload(ENTITY)
    path = await ended(api, script_id)
    tags = [await tag_of(api, path), await tag_of(api, path, **{'X-Forwarded-Prefix': PREFIX})]
    await check(api, path)
    await api.request('PUT', f'/{ENTITY}/scripts/{script_id}', data=form(b'false\n', 'check.sh'))
    assert (await api.json('GET', path))[1]['is_outdated'] is True
    await check(api, path)
    tags.append(await tag_of(api, path))
    await api.request('DELETE', f'/{ENTITY}/scripts/{script_id}')
    await check(api, path)
    await api.request('PUT', f'/{ENTITY}/scripts/{script_id}', data=form(b'true\n', 'check.sh'))
    assert len({*tags}) == 3


async def test_what_was_deleted_is_gone(api: Api) -> None:
    """By a client, or by the gateway; however often it was read before."""
    script_id = await api.upload(ENTITY)
    by_client, by_gateway = [await ended(api, script_id) for _ in range(2)]
    for path in (by_client, by_gateway):
        await check(api, path)
    assert (await api.request('DELETE', by_client)).status == 204
    execution_id = by_gateway.rpartition('/')[2]
    execution = await api.executions.questions.get_by_id(execution_id)
    await api.executions.delete(execution.entity, execution.script_id, execution_id, actor=CLIENT)
    for path in (by_client, by_gateway):
        assert (await api.request('GET', path)).status == 404
        assert (await api.request('GET', path, headers={'If-None-Match': '*'})).status == 404


async def test_what_is_deleted_while_it_is_read_is_gone_then(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it may have it once more; nobody else has."""
    script_id = await api.upload(ENTITY)
    execution_id = await api.start(ENTITY, script_id)
    (await api.runner.script(execution_id)).exit(0)
    await api.listener.wait_for(execution_id)
    reads, deleted, output = asyncio.Event(), asyncio.Event(), api.runner.outputs.of

    async def read_slowly(execution_id: str) -> Output:
        reads.set()
        await deleted.wait()
        return await output(execution_id)

    monkeypatch.setattr(api.runner.outputs, 'of', read_slowly)
    reading = asyncio.create_task(api.request('GET', f'/executions/{execution_id}'))
    await reads.wait()
    assert (await api.request('DELETE', f'/executions/{execution_id}')).status == 204
    deleted.set()
    assert (await reading).status == 200
    assert (await api.request('GET', f'/executions/{execution_id}')).status == 404


async def test_a_path_of_another_script_leads_to_none(api: Api) -> None:
    """Also where the execution is held as bytes."""
    script_id, other = [await api.upload(ENTITY) for _ in range(2)]
    path = await ended(api, script_id)
    await check(api, path)
    status, body = await api.json('GET', path.replace(script_id, other))
    assert (status, body['error_code']) == (404, 'resource-not-found')
    status, _ = await api.json('GET', path.replace('temp_sensor', 'no_sensor'))
    assert status == 404


async def test_who_waited_for_the_end_is_answered_the_same(api: Api) -> None:
    """Byte by byte, but without a validator: that is of what a GET is answered."""
    script_id = await api.upload(ENTITY)
    path = f'/{ENTITY}/scripts/{script_id}/executions'
    wish = {'execution_type': 'now', 'parameters': {'name': 'Prüfung'}}
    headers = {'Prefer': 'wait=60'}
    waiting = asyncio.create_task(api.request('POST', path, json=wish, headers=headers))
    while not (listed := (await api.json('GET', path))[1]['items']):
        pass  # each turn is a request: the loop goes on meanwhile
    (await api.runner.script(listed[0]['id'])).exit(0)
    waited = await waiting
    read = await api.request('GET', f'{path}/{listed[0]["id"]}')
    assert (waited.status, 'ETag' in waited.headers) == (200, False)
    assert await waited.read() == await read.read()


@pytest.mark.parametrize('seed', range(3))
async def test_whatever_happened_the_answer_is_what_the_record_says(api: Api, seed: int) -> None:
    """Executions of every kind, versions that come and go, deletions, in any order; in lists and
    one by one."""
    chance = random.Random(seed)
    scripts = [await api.upload(ENTITY) for _ in range(3)]
    paths: list[str] = []
    number = 0
    for _ in range(60):
        script_id = chance.choice(scripts)
        match chance.randrange(7):
            case 0 | 1:
                number += 1
                version = (await api.library.versions_of([(AN_APP, script_id)])) or {}
                execution = without_instance(execution_at_random(chance, number)).evolve(
                    entity=AN_APP,
                    script_id=script_id,
                    script_version=version.get((AN_APP, script_id)) or 'f' * 64,
                    group=None,
                )
                # A child that comes without being told would not be counted.
                execution = execution.evolve(parent=execution.parent and UNKNOWN)
                if execution.status not in OPEN:
                    await add(api.store, execution)
                    paths.append(f'/{ENTITY}/scripts/{script_id}/executions/{execution.id}')
            case 2 if len(paths) > 3:
                path = paths.pop(chance.randrange(len(paths)))
                assert (await api.request('DELETE', path)).status == 204
                assert (await api.request('GET', path)).status == 404
            case 3:
                content = form(chance.randbytes(4).hex().encode(), 'check.sh')
                await api.request('PUT', f'/{ENTITY}/scripts/{script_id}', data=content)
            case 4:
                await api.request('DELETE', f'/{ENTITY}/scripts/{script_id}')
                scripts[scripts.index(script_id)] = await api.upload(ENTITY)
            case _ if paths:
                await check(api, chance.choice(paths))
    for path in paths:
        await check(api, path)
    _, body = await api.json('GET', '/executions?limit=-1000')
    beside = (
        'output',
        'input_parameters',
        'updated_at',
        'executor',
        'parameters',
        'checks',
    )
    for item in body['items']:
        path = item['href'].removeprefix(BASE)
        known = await built_anew(api, path)
        assert item == {
            name: value for name, value in known.items() if name not in (*beside, 'script_content')
        }
    assert len(body['items']) == len(paths)
