# SPDX-License-Identifier: Apache-2.0
"""Executions name who started and who stopped them, by the credentials that were shown."""

from collections.abc import AsyncIterator
import csv
import io
from pathlib import Path

from api_support import Api, serve_api
from clients import bearer, KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role

APP = 'apps/temp_sensor'
CARL, ANNA, BERT = bearer('c'), bearer('a'), bearer('b')
TOKENS = KnownTokens(
    {
        'c': Credential(name='carl', role=Role.CONFIGURATOR),
        'a': Credential(name='anna', role=Role.OPERATOR),
        'b': Credential(name='bert', role=Role.OPERATOR),
    }
)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway to three clients that have names."""
    async with serve_api(tmp_path, authentication=Authentication([TOKENS])) as api:
        yield api


@pytest.fixture
async def script_id(api: Api) -> str:
    """Upload a script."""
    api.client.headers.update(CARL)
    script_id = await api.upload(APP)
    del api.client.headers['Authorization']
    return script_id


async def test_an_execution_names_who_started_and_who_stopped_it(api: Api, script_id: str) -> None:
    """In its detail, in lists, in what the filter `username` finds, and in exports."""
    path = f'/{APP}/scripts/{script_id}/executions'
    now = {'execution_type': 'now'}
    _, by_anna = await api.json('POST', path, json=now, headers=ANNA)
    _, by_bert = await api.json('POST', path, json=now, headers=BERT)
    stop = {'action': 'stop'}
    await api.json('PUT', f'{path}/{by_anna["id"]}', json=stop, headers=BERT)
    _, shown = await api.json('GET', f'{path}/{by_anna["id"]}', headers=ANNA)
    assert shown['trigger'] == {'type': 'manual', 'username': 'anna'}
    assert shown['stop_trigger'] == {'type': 'manual', 'setting': 'stop', 'username': 'bert'}
    for name, execution in (('anna', by_anna), ('bert', by_bert)):
        _, found = await api.json('GET', f'/executions?username={name}', headers=ANNA)
        assert [each['id'] for each in found['items']] == [execution['id']]
    as_csv = {**ANNA, 'Accept': 'text/csv'}
    answer = await api.request('GET', '/executions?username=anna', headers=as_csv)
    (row,) = csv.DictReader(io.StringIO(await answer.text(), newline=''))
    assert (row['trigger.username'], row['stop_trigger.username']) == ('anna', 'bert')


async def test_a_schedule_and_a_group_name_who_made_them(api: Api, script_id: str) -> None:
    """And so does each child of the group."""
    path = f'/{APP}/scripts/{script_id}/executions'
    await api.json('POST', path, json={'execution_type': 'on_restart'}, headers=ANNA)
    group = {'execution_type': 'now', 'script': script_id, 'entities': APP}
    _, started = await api.json('POST', '/executions', json=group, headers=BERT)
    _, schedules = await api.json('GET', '/executions?scheduled=true', headers=ANNA)
    assert [each['trigger'] for each in schedules['items']] == [
        {'type': 'manual', 'username': 'anna'}
    ]
    _, parent = await api.json('GET', f'/executions/{started["id"]}', headers=ANNA)
    _, children = await api.json('GET', f'/executions?parent={started["id"]}', headers=ANNA)
    assert [each['trigger']['username'] for each in (parent, *children['items'])] == ['bert'] * 2


async def test_what_happened_names_who_did_it(api: Api, script_id: str) -> None:
    """Each event of the log has its actor by name; what the gateway does itself has none."""
    path = f'/{APP}/scripts/{script_id}/executions'
    now = {'execution_type': 'now'}
    _, started = await api.json('POST', path, json=now, headers=ANNA)
    await api.json('PUT', f'{path}/{started["id"]}', json={'action': 'stop'}, headers=BERT)
    _, page = await api.json('GET', '/events', headers=ANNA)
    told = [each['payload']['change'] for each in page['items']]
    by = {each['kind']: each['actor'].get('name') for each in told}
    assert by['script.uploaded'] == 'carl'
    assert by['execution.accepted'] == 'anna'
    assert by['execution.stop_accepted'] == 'bert'
    assert by['execution.ended'] is None
