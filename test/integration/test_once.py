# SPDX-License-Identifier: Apache-2.0
"""Once and only once over HTTP: what is sent again under one Idempotency-Key makes nothing."""

import asyncio
import datetime
from pathlib import Path
from typing import Any

from api_support import Api, BASE, form, serve_api
import pytest

NOW = {'execution_type': 'now'}


def key(name: str = 'k-1') -> dict[str, str]:
    """Return the header of a key."""
    return {'Idempotency-Key': name}


async def start(api: Api, script_id: str, body: Any, **headers: str) -> tuple[int, Any, Any]:
    """Start under a key; return status, body and headers of the answer."""
    path = f'/apps/temp_sensor/scripts/{script_id}/executions'
    answer = await api.request('POST', path, json=body, headers={**key(), **headers})
    return answer.status, await answer.json(), answer.headers


async def ids(api: Api, script_id: str) -> list[str]:
    """Return the ids of all executions of a script."""
    path = f'/apps/temp_sensor/scripts/{script_id}/executions'
    _, listed = await api.json('GET', path)
    return [each['id'] for each in listed['items']]


async def test_a_start_that_is_sent_again_is_answered_with_what_was_started(
    tmp_path: Path,
) -> None:
    """The same status, Location and id, the execution as it is now, and that it is no new one."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        body = NOW | {'parameters': {'a': 1, 'b': [2]}, 'arguments': ['-v']}
        status, first, headers = await start(api, script_id, body)
        assert (status, 'Idempotency-Replayed' in headers) == (202, False)
        (await api.runner.script(first['id'])).exit(0)
        await api.listener.wait_for(first['id'])
        again = {'arguments': ['-v'], 'parameters': {'b': [2], 'a': 1}, 'execution_type': 'now'}
        status, second, replayed = await start(api, script_id, again)
        assert (status, second) == (202, first | {'status': 'completed'})
        assert replayed['Location'] == headers['Location']
        assert replayed['Idempotency-Replayed'] == 'true'
        assert await ids(api, script_id) == [first['id']]


async def test_the_same_moment_is_the_same_whatever_its_offset(tmp_path: Path) -> None:
    """Of a start that may wait until then; another moment is something else."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        noon = api.clock.now() + datetime.timedelta(hours=1)
        east = noon.astimezone(datetime.timezone(datetime.timedelta(hours=5)))
        later = noon + datetime.timedelta(seconds=1)
        answers = [
            await start(api, script_id, NOW | {'expires_at': moment.isoformat()})
            for moment in (noon, east, later)
        ]
        assert [status for status, _, _ in answers] == [202, 202, 409]
        assert await ids(api, script_id) == [answers[0][1]['id']] == [answers[1][1]['id']]


async def test_who_waits_for_the_end_may_send_the_start_again(tmp_path: Path) -> None:
    """`Prefer` is no part of what is asked for: the end is answered then."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        _, first, _ = await start(api, script_id, NOW)
        (await api.runner.script(first['id'])).exit(0)
        status, ended, headers = await start(api, script_id, NOW, Prefer='wait=60')
        assert (status, ended['status']) == (200, 'completed')
        assert headers['Idempotency-Replayed'] == 'true'


@pytest.mark.parametrize(
    'other',
    [
        {'execution_type': 'on_restart'},
        NOW | {'parameters': {'a': 1}},
        NOW | {'arguments': ['']},
    ],
)
async def test_a_key_with_other_fields_starts_nothing(
    tmp_path: Path, other: dict[str, Any]
) -> None:
    """409: it is a mistake of the client, which believes to send the same."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        await start(api, script_id, NOW)
        status, error, _ = await start(api, script_id, other)
        assert (status, error['vendor_code']) == (409, 'x-gateway-idempotency-key-reused')
        assert "'k-1'" in error['message']
        assert len(await ids(api, script_id)) == 1


async def test_a_start_that_was_removed_meanwhile_is_not_started_again(tmp_path: Path) -> None:
    """404: it was started once, and it is over."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        _, first, _ = await start(api, script_id, NOW)
        (await api.runner.script(first['id'])).exit(0)
        await api.listener.wait_for(first['id'])
        assert (await api.request('DELETE', f'/executions/{first["id"]}')).status == 204
        status, _, _ = await start(api, script_id, NOW)
        assert (status, await ids(api, script_id)) == (404, [])


async def test_a_start_that_was_refused_may_be_sent_again(tmp_path: Path) -> None:
    """Nothing was made, so nothing is kept: neither the refusal nor its fields."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        api.free_space.shortage = 'too little is free'
        assert (await start(api, script_id, NOW))[0] == 503
        api.free_space.shortage = None
        status, _, headers = await start(api, script_id, NOW | {'arguments': ['-v']})
        assert (status, 'Idempotency-Replayed' in headers) == (202, False)


async def test_a_schedule_that_is_sent_again_is_no_second_one(tmp_path: Path) -> None:
    """Both halves of `now_and_on_restart` are the first ones."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        both = {'execution_type': 'now_and_on_restart'}
        _, first, _ = await start(api, script_id, both)
        _, second, _ = await start(api, script_id, both)
        assert (first['id'], first['schedule']) == (second['id'], second['schedule'])
        assert len(await ids(api, script_id)) == 2


async def test_twins_in_flight_start_one_execution(tmp_path: Path) -> None:
    """Twenty at once, by one key: all are answered with the same id."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        answers = await asyncio.gather(*(start(api, script_id, NOW) for _ in range(20)))
        assert {status for status, _, _ in answers} == {202}
        assert [body['id'] for _, body, _ in answers] == [answers[0][1]['id']] * 20
        replayed = ['Idempotency-Replayed' in headers for _, _, headers in answers]
        assert replayed.count(False) == 1


async def test_a_key_is_of_one_path_however_that_is_written(tmp_path: Path) -> None:
    """Another script has keys of its own; a slash behind the path and escapes change nothing."""
    async with serve_api(tmp_path) as api:
        one, other = [await api.upload('apps/temp_sensor') for _ in range(2)]
        _, first, _ = await start(api, one, NOW)
        _, second, _ = await start(api, other, NOW)
        assert first['id'] != second['id']
        path = f'{BASE}/%61pps/temp_sensor/scripts/{one}/executions/'
        async with api.client.post(path, json=NOW, headers=key()) as answer:
            assert (await answer.json())['id'] == first['id']


@pytest.mark.parametrize('written', ['', 'a b', 'a,b', '"a'])
async def test_a_key_that_is_none_is_refused_by_name(tmp_path: Path, written: str) -> None:
    """Nothing is started: the client would believe that it can send it again."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload('apps/temp_sensor')
        status, error, _ = await start(api, script_id, NOW, **key(written))
        (violation,) = error['parameters']['violations']
        assert (status, violation['path']) == (400, '/header/Idempotency-Key')
        assert await ids(api, script_id) == []


async def test_an_upload_that_is_sent_again_makes_no_second_script(tmp_path: Path) -> None:
    """The same file, name and metadata: 201 with the first one's id, also where it was the last
    that may be uploaded."""
    async with serve_api(tmp_path, max_scripts=1) as api:
        path, sent = '/apps/temp_sensor/scripts', []
        for _ in range(2):
            data = form(b'true\n', 'check.sh', {'name': 'Check', 'tags': ['a']})
            answer = await api.request('POST', path, data=data, headers=key())
            assert answer.status == 201
            sent.append((await answer.json(), answer.headers['Location']))
        assert sent[0] == sent[1]
        assert answer.headers['Idempotency-Replayed'] == 'true'
        assert len((await api.json('GET', path))[1]['items']) == 1


@pytest.mark.parametrize(
    ('content', 'name', 'metadata'),
    [
        (b'false\n', 'check.sh', {'name': 'Check'}),
        (b'true\n', 'other.sh', {'name': 'Check'}),
        (b'true\n', 'check.sh', {'name': 'Other'}),
        (b'true\n', 'check.sh', {}),
    ],
)
async def test_another_upload_under_the_same_key_is_refused(
    tmp_path: Path, content: bytes, name: str, metadata: dict[str, str]
) -> None:
    """Each of its parts counts."""
    async with serve_api(tmp_path) as api:
        path = '/apps/temp_sensor/scripts'
        first = form(b'true\n', 'check.sh', {'name': 'Check'})
        await api.request('POST', path, data=first, headers=key())
        data = form(content, name, metadata)
        status, error = await api.json('POST', path, data=data, headers=key())
        assert (status, error['vendor_code']) == (409, 'x-gateway-idempotency-key-reused')
        assert len((await api.json('GET', path))[1]['items']) == 1


async def test_an_upload_that_was_refused_may_be_sent_again(tmp_path: Path) -> None:
    """With a remedy, under the same key."""
    async with serve_api(tmp_path) as api:
        path = '/apps/temp_sensor/scripts'
        broken = form(b'#!/nowhere\n', 'check')
        assert (await api.request('POST', path, data=broken, headers=key())).status == 400
        mended = form(b'true\n', 'check.sh')
        answer = await api.request('POST', path, data=mended, headers=key())
        assert (answer.status, 'Idempotency-Replayed' in answer.headers) == (201, False)
