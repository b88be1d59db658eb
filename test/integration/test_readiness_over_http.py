# SPDX-License-Identifier: Apache-2.0
"""Why a script would not start now, as clients are told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, OWN_NODE, serve_api
import pytest
from shown_codes import RecordingDisplay

from gateway_node.entities.values import GraphSnapshot
from gateway_node.executions.errors import RunnerUnavailable, ScriptNotRunnable

APP = 'apps/temp_sensor'
TEXT = 'The arm moves.'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway on which few scripts run at a time, and one may wait."""
    async with serve_api(
        tmp_path, max_executions=2, max_executions_per_entity=1, max_waiting=1, max_schedules=1
    ) as api:
        yield api


async def readiness(api: Api, script_id: str, query: str = '') -> tuple[bool, dict[str, Any]]:
    """Return whether a script is ready, and what is told of each need, by its reason."""
    status, body = await api.json('GET', f'/{APP}/scripts/{script_id}/readiness{query}')
    assert status == 200, body
    needs = {each['reason']: each for each in body['items']}
    assert len(needs) == len(body['items'])
    assert body['ready'] is all(each['ready'] for each in body['items'])
    return body['ready'], needs


async def test_what_nothing_stands_in_the_way_of_is_ready(api: Api) -> None:
    """All that a start asks is listed, in the order in which it asks; and nothing is started."""
    ready, needs = await readiness(api, await api.upload(APP))
    assert ready
    assert list(needs) == ['entity', 'lock', 'script', 'runner', 'disk', 'limits', 'line']
    assert api.runner.started == ()
    assert await api.store.open_executions() == ()


async def test_a_need_that_is_not_met_says_what_would_have_to_change(api: Api) -> None:
    """In the words of the refusal that a start would get."""
    script_id = await api.upload(APP)
    api.runner.not_ready = RunnerUnavailable('the spawner is being started')
    api.free_space.shortage = 'too little is free'
    ready, needs = await readiness(api, script_id)
    assert not ready
    assert needs['runner']['message'] == 'the spawner is being started'
    assert needs['disk']['message'] == 'too little is free'
    api.runner.refusal = ScriptNotRunnable(script_id, 'no zsh is installed')
    _, needs = await readiness(api, script_id)
    assert 'no zsh is installed' in needs['script']['message']


async def test_a_lock_of_somebody_else_is_told_as_a_start_is_refused(api: Api) -> None:
    """With its holder, and to the holder it is none."""
    script_id = await api.upload(APP)
    mine, yours = {'X-Client-Id': 'mine'}, {'X-Client-Id': 'yours'}
    lock = {'lock_expiration': 60}
    _, taken = await api.json('POST', f'/{APP}/locks', json=lock, headers=mine)
    start = f'/{APP}/scripts/{script_id}/executions'
    _, refused = await api.json('POST', start, json={'execution_type': 'now'}, headers=yours)
    path = f'/{APP}/scripts/{script_id}/readiness'
    _, body = await api.json('GET', path, headers=yours)
    (need,) = [each for each in body['items'] if each['reason'] == 'lock']
    told = refused['parameters']
    assert need == {'reason': 'lock', 'ready': False, 'message': refused['message'], **told}
    assert need['existing_lock_id'] == taken['id']
    _, body = await api.json('GET', path, headers=mine)
    assert body['ready']


async def test_full_places_say_whether_a_start_would_wait(api: Api) -> None:
    """In line as long as that is not full; refused then."""
    script_id = await api.upload(APP)
    await api.running(APP, script_id)
    ready, needs = await readiness(api, script_id)
    assert not ready
    assert (needs['limits']['ready'], needs['limits']['queues']) == (False, True)
    assert needs['line'] == {'reason': 'line', 'ready': True, 'waiting': 0}
    await api.start(APP, script_id)
    _, needs = await readiness(api, script_id)
    assert needs['limits']['queues'] is False
    assert (needs['line']['ready'], needs['line']['waiting']) == (False, 1)


async def test_a_held_line_and_a_single_execution_are_told_beside_each_other(api: Api) -> None:
    """All that is in the way at once, not the first of it."""
    script_id = await api.upload(APP, single_execution=True)
    execution_id, _ = await api.running(APP, script_id)
    await api.json('PUT', f'/{APP}/line', json={'paused': True})
    ready, needs = await readiness(api, script_id)
    assert not ready
    assert needs['single_execution']['execution'] == execution_id
    assert 'is paused' in needs['line']['message']
    assert not needs['limits']['ready']


async def test_what_a_start_has_to_bring_is_named(tmp_path: Path) -> None:
    """A confirmation by its text; of a proof no code is shown, and none is used up."""
    display = RecordingDisplay()
    async with serve_api(tmp_path, proximity=display.proximity) as api:
        script_id = await api.upload(APP, confirmation=TEXT, proximity_proof_required=True)
        ready, needs = await readiness(api, script_id)
        assert not ready
        assert needs['confirmation']['give'] == 'confirmed'
        assert needs['confirmation']['confirmation'] == TEXT
        assert needs['proximity']['give'] == 'proximity_response'
        assert display.shown == []
        _, needs = await readiness(api, script_id, '?execution_type=on_restart')
        assert 'give' not in needs['proximity']


async def test_a_proof_that_nothing_checks_cannot_be_given(api: Api) -> None:
    """It is said what to set."""
    script_id = await api.upload(APP, proximity_proof_required=True)
    _, needs = await readiness(api, script_id)
    assert 'give' not in needs['proximity']
    assert 'set proximity.command' in needs['proximity']['message']


async def test_a_door_that_is_closed_is_told(tmp_path: Path) -> None:
    """As long as no proof of the client would be looked at."""
    display = RecordingDisplay()
    async with serve_api(tmp_path, proximity=display.proximity) as api:
        script_id = await api.upload(APP, proximity_proof_required=True)
        wrong = {'execution_type': 'now', 'proximity_response': 'guessed'}
        for _ in range(5):
            await api.request('POST', f'/{APP}/scripts/{script_id}/executions', json=wrong)
        _, needs = await readiness(api, script_id)
        assert 'were refused' in needs['proximity']['message']


async def test_the_readiness_of_a_schedule_is_another_one(api: Api) -> None:
    """It needs a place among schedules, and none in the line; what it starts waits for the
    entity."""
    script_id = await api.upload(APP)
    await api.running(APP, script_id)
    query = '?execution_type=on_restart'
    ready, needs = await readiness(api, script_id, query)
    assert ready
    assert needs.keys() >= {'schedules', 'limits'}
    assert 'line' not in needs
    await api.start(APP, script_id, execution_type='on_restart')
    ready, needs = await readiness(api, script_id, query)
    assert not ready
    assert 'restart.max_schedules' in needs['schedules']['message']
    _, needs = await readiness(api, script_id, '?execution_type=now_and_on_restart')
    assert (needs['limits']['ready'], needs['schedules']['ready']) == (False, False)


async def test_a_dead_node_is_told_and_keeps_nothing_from_starting(api: Api) -> None:
    """A dead node is what one diagnoses."""
    script_id = await api.upload(APP)
    api.directory.update(GraphSnapshot(nodes=frozenset({OWN_NODE})))
    ready, needs = await readiness(api, script_id)
    assert ready
    assert needs['entity']['online'] is False
    assert 'does not wait' in needs['entity']['message']
    _, needs = await readiness(api, script_id, '?execution_type=on_restart')
    assert 'waits for it' in needs['entity']['message']
