# SPDX-License-Identifier: Apache-2.0
"""Executions that the version before documents were what is answered recorded: answered as it
answered them, from documents that stay as they are."""

from collections.abc import AsyncIterator
import contextlib
import json
from pathlib import Path
import sqlite3
import tarfile
from typing import Any

from aiohttp import ClientSession
from assembled_gateway import assembled_gateway
from make_state import shortened
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.summary_texts import is_present_text
from gateway_node.storage.database import FILE_NAME

FIXTURE = Path(__file__).parents[1] / 'fixtures' / 'earlier_form'
GRAPH = GraphSnapshot(
    nodes=frozenset({NodeName(namespace='/powertrain/engine', name='temp_sensor')})
)
EXECUTIONS = '/api/v1/executions'
FINAL = ('completed', 'failed', 'terminated')


def ended() -> dict[str, dict[str, Any]]:
    """Return the executions that had ended then, as that version answered them, by path."""
    answers = json.loads(FIXTURE.with_suffix('.json').read_text('utf-8'))
    return {path: body for path, body in answers.items() if body.get('status') in FINAL}


def listed_then() -> dict[str, dict[str, Any]]:
    """Return the same, as they stood in lists, by id."""
    answers = json.loads(FIXTURE.with_suffix('.json').read_text('utf-8'))
    lists = [body['items'] for path, body in answers.items() if path.endswith('/executions')]
    return {each['id']: each for items in lists for each in items if each['status'] in FINAL}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """Serve what that version left."""
    with tarfile.open(FIXTURE.with_suffix('.tar.gz')) as archive:
        archive.extractall(tmp_path, filter='data')
    async with assembled_gateway(tmp_path, GRAPH) as client:
        yield client


async def body_of(client: ClientSession, path: str) -> Any:
    """GET what is there."""
    async with client.get(path) as answer:
        assert answer.status == 200, path
        return shortened(await answer.json())


async def test_each_is_answered_as_it_was(client: ClientSession) -> None:
    """Member by member: alone, also the second time, and in lists, with columns and as a file."""
    then = ended()
    assert {body['status'] for body in then.values()} == {*FINAL}
    for path, known in then.items():
        assert await body_of(client, path) == await body_of(client, path) == known
    now = (await body_of(client, f'{EXECUTIONS}?limit=-1000'))['items']
    listed = {each['id']: each for each in now if each['id'] in listed_then()}
    assert listed == listed_then()
    names = ('error', 'kind', 'tags', 'trigger', 'progress_message', 'is_outdated', 'schedule')
    columns = f'?limit=-1000&fields=id,{",".join(names)}'
    for item in (await body_of(client, f'{EXECUTIONS}{columns}'))['items']:
        known = listed_then().get(item['id'], item)
        assert item == {name: known[name] for name in ('id', *names) if name in known}
    accept = {'Accept': 'application/x-ndjson'}
    async with client.get(EXECUTIONS, headers=accept) as answer:
        lines = map(json.loads, (await answer.text()).splitlines())
        exported = {each['id']: each for each in lines if each['id'] in listed}
    assert exported == listed


@pytest.mark.parametrize(
    ('name', 'value_of'),
    [
        ('status', lambda body: body['status']),
        ('vendor_code', lambda body: body.get('error', {}).get('vendor_code')),
        ('kind', lambda body: body['kind']),
        ('tag', lambda body: body.get('tags', [None])[0]),
        ('signal', lambda body: body.get('signal')),
        ('trigger', lambda body: body['trigger']['type']),
        ('exit_code', lambda body: body.get('exit_code')),
    ],
)
async def test_each_is_found_by_what_it_has(
    client: ClientSession, name: str, value_of: Any
) -> None:
    """By an index, or by its row."""
    then = [*listed_then().values()]
    values = {str(value) for body in then if (value := value_of(body)) is not None}
    assert values
    for value in values:
        found = (await body_of(client, f'{EXECUTIONS}?limit=-1000&{name}={value}'))['items']
        meant = {body['id'] for body in then if str(value_of(body)) == value}
        assert {each['id'] for each in found} >= meant
        assert all(str(value_of(each)) == value for each in found)


async def test_moments_part_them_as_before(client: ClientSession) -> None:
    """To the microsecond that is on record, whatever is shown; and sorted by them."""
    for body in listed_then().values():
        at = body['completed_at'].replace('+', '%2B')
        for query, there in ((f'completed_after={at}', True), (f'completed_before={at}', False)):
            found = (await body_of(client, f'{EXECUTIONS}?limit=-1000&{query}'))['items']
            assert (body['id'] in {each['id'] for each in found}) is there, query
    items = (await body_of(client, f'{EXECUTIONS}?sort=completed&per_page=1000'))['items']
    moments = [each['completed_at'] for each in items if 'completed_at' in each]
    assert moments == sorted(moments, reverse=True)


async def test_a_document_is_made_anew_when_its_execution_changes(
    client: ClientSession, tmp_path: Path
) -> None:
    """And not before: the documents of those that had ended are what they were."""
    then = {body['id'] for body in ended().values()}
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        rows = connection.execute('SELECT id, status, document FROM executions').fetchall()
    forms = {execution_id: is_present_text(document) for execution_id, _, document in rows}
    assert not any(forms[each] for each in then)
    ended_since = [each for each, status, _ in rows if status in FINAL and each not in then]
    assert ended_since
    assert all(forms[each] for each in ended_since)


async def test_what_is_deleted_of_them_leaves_no_trace(client: ClientSession) -> None:
    """Nor do filters find it."""
    for path, body in ended().items():
        async with client.delete(path) as answer:
            assert answer.status == 204
        async with client.get(path) as answer:
            assert answer.status == 404
        found = await body_of(client, f'{EXECUTIONS}?status={body["status"]}&limit=-1000')
        assert body['id'] not in {each['id'] for each in found['items']}


async def test_the_log_tells_them_as_they_were(client: ClientSession) -> None:
    """Its events are as that version wrote them; filters find them by what they mean today."""
    page = await body_of(client, f'{EXECUTIONS}/events?limit=1000&status={",".join(FINAL)}')
    told = {
        item['payload']['id']: {n: v for n, v in item['payload'].items() if n != 'change'}
        for item in page['items']
        if item['payload']['change']['kind'] == 'execution.ended'
    }
    assert told
    listed = listed_then()
    for execution_id in told.keys() & listed.keys():
        del listed[execution_id]['is_outdated']
        assert told[execution_id] == listed[execution_id]
    assert told.keys() & listed.keys()
