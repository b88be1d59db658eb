# SPDX-License-Identifier: Apache-2.0
"""What of a script runs, as the API tells it."""

from collections.abc import AsyncIterator
from pathlib import Path

from api_support import Api, form, serve_api
import pytest

from gateway_node.executions.errors import ScriptNotRunnable

WINDOWS = b'\xef\xbb\xbf#!/bin/bash -e\r\nexit\r\n'
MENDED = ['byte-order-mark', 'line-ends']


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as served:
        yield served


async def scheduled(api: Api, script_id: str) -> str:
    """Schedule an execution; return its id."""
    return await api.start('apps/temp_sensor', script_id, execution_type='on_restart')


async def test_a_mended_script_says_so_and_keeps_its_bytes(api: Api) -> None:
    """In the script, in lists, and in its executions for good; the download is the upload."""
    script_id = await api.upload('apps/temp_sensor', content=WINDOWS)
    path = f'/apps/temp_sensor/scripts/{script_id}'
    _, detail = await api.json('GET', path)
    _, listed = await api.json('GET', '/apps/temp_sensor/scripts')
    assert (detail['mended'], listed['items'][0]['mended']) == (MENDED, MENDED)
    content = await api.request('GET', f'{path}/content')
    assert await content.read() == WINDOWS
    execution_id, script = await api.running('apps/temp_sensor', script_id)
    assert script.order.script.runs_from.read_bytes() == b'#!/bin/bash -e\nexit\n'
    _, schedule = await api.json('GET', f'{path}/executions/{await scheduled(api, script_id)}')
    assert schedule['mended'] == MENDED
    script.exit(0)
    await api.listener.wait_for(execution_id)
    _, replaced = await api.json('PUT', path, data=form(b'true\n', 'check.sh'))
    assert 'mended' not in replaced
    _, execution = await api.json('GET', f'{path}/executions/{execution_id}')
    assert execution['mended'] == MENDED
    later_id, _ = await api.running('apps/temp_sensor', script_id)
    _, later = await api.json('GET', f'{path}/executions/{later_id}')
    assert 'mended' not in later


async def test_a_first_line_of_another_kind_is_refused_with_words(api: Api) -> None:
    """400 names the line and what is allowed; bytes that are no UTF-8 are no defect."""
    for line in (b'#!/usr/bin/perl -w', b'#!/usr/bin/p\xff'):
        status, body = await api.json(
            'POST', '/apps/temp_sensor/scripts', data=form(line + b'\nprint 1\n', 'check.sh')
        )
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert 'the first line' in body['message']
        assert 'allowed: sh, dash, bash' in body['message']
    _, listed = await api.json('GET', '/apps/temp_sensor/scripts')
    assert listed['items'] == []


async def test_what_is_not_installed_is_refused_at_the_start(api: Api) -> None:
    """501 with words, and nothing is recorded."""
    script_id = await api.upload('apps/temp_sensor', content=b'#!/opt/bash\n')
    api.runner.refusal = ScriptNotRunnable(script_id, 'its first line asks for /opt/bash')
    path = f'/apps/temp_sensor/scripts/{script_id}/executions'
    status, body = await api.json('POST', path, json={'execution_type': 'now'})
    assert (status, body['error_code']) == (501, 'not-implemented')
    assert '/opt/bash' in body['message']
    assert await api.store.last_id() is None


async def test_a_request_cannot_name_an_executable(api: Api) -> None:
    """What is executed is chosen by who uploads, or by the manifest: no field takes a path."""
    script_id = await api.upload('apps/temp_sensor')
    path = f'/apps/temp_sensor/scripts/{script_id}/executions'
    for field in ('executable_name', 'path', 'script'):
        start = {'execution_type': 'now', field: '/bin/true'}
        status, body = await api.json('POST', path, json=start)
        assert (status, body['error_code']) == (400, 'invalid-request')
        assert field in body['message']
        upload = form(b'true\n', 'check.sh', {field: '/bin/true'})
        status, body = await api.json('POST', '/apps/temp_sensor/scripts', data=upload)
        assert status == 400
    assert api.runner.started == ()


async def test_there_is_one_way_to_what_the_documents_call_otherwise(api: Api) -> None:
    """Their names are on the page that maps them, and no second ones here."""
    script_id = await api.upload('apps/temp_sensor')
    path = f'/apps/temp_sensor/scripts/{script_id}/executions'
    for theirs in ('args', 'is_async', 'input', 'config'):
        status, body = await api.json('POST', path, json={'execution_type': 'now', theirs: {}})
        assert (status, body['error_code']) == (400, 'invalid-request')
        assert theirs in body['message']
    execution_id, _ = await api.running('apps/temp_sensor', script_id)
    assert (await api.request('POST', f'/executions/{execution_id}/cancel')).status == 404
    assert (await api.request('POST', '/executions/run')).status in (404, 405)
    for word in ('QUEUED', 'CANCEL_REQUESTED', 'cancelled', 'requested'):
        status, body = await api.json('GET', f'/executions?status={word}')
        assert (status, body['error_code']) == (400, 'invalid-parameter')
    _, stopped = await api.json('PUT', f'/executions/{execution_id}', json={'action': 'stop'})
    assert stopped['status'] == 'terminated'


async def test_what_ran_is_outdated_once_its_script_is_another(api: Api) -> None:
    """Replaced by other bytes, or deleted; by the same bytes it is the same."""
    script_id = await api.upload('apps/temp_sensor')
    path = f'/apps/temp_sensor/scripts/{script_id}'
    execution_id, script = await api.running('apps/temp_sensor', script_id)
    script.exit(0)
    await api.listener.wait_for(execution_id)

    async def is_outdated() -> bool:
        _, body = await api.json('GET', f'{path}/executions/{execution_id}')
        return bool(body['is_outdated'])

    assert not await is_outdated()
    await api.request('PUT', path, data=form(b'true\n', 'check.sh'))
    assert not await is_outdated()
    await api.request('PUT', path, data=form(b'false\n', 'check.sh'))
    assert await is_outdated()
    await api.request('PUT', path, data=form(b'true\n', 'check.sh'))
    await api.request('DELETE', path)
    assert await is_outdated()


async def test_an_execution_keeps_what_its_script_was_called(api: Api) -> None:
    """Its name, kind and tags, in lists and in the detail, though the script has others now."""
    script_id = await api.upload('apps/temp_sensor', tags=['daily'])
    path = f'/apps/temp_sensor/scripts/{script_id}'
    execution_id, script = await api.running('apps/temp_sensor', script_id)
    script.exit(0)
    await api.listener.wait_for(execution_id)
    other = form(b'pass\n', 'check.py', {'name': 'Other', 'tags': []})
    assert (await api.request('PUT', path, data=other)).status == 200
    _, detail = await api.json('GET', f'{path}/executions/{execution_id}')
    _, listed = await api.json('GET', '/executions?script=check.sh')
    for shown in (detail, listed['items'][0]):
        assert (shown['script_name'], shown['kind'], shown['tags']) == (
            'check.sh',
            'sh',
            ['daily'],
        )
    _, none = await api.json('GET', '/executions?script=Other')
    assert none['items'] == []
