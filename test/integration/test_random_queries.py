# SPDX-License-Identifier: Apache-2.0
"""Queries at random, of every route that takes any, on a gateway with a history."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
import random
import time
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession
from assembled_gateway import assembled_gateway
from fakes import FakeClock
from made_up_history import BEGINS, MadeUpHistory
import pytest
from yarl import URL

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore

BASE = '/api/v1'
EXECUTIONS = 2000
ANSWERED_SEC = 5.0
"""A request has to be answered in one; the rest is for a busy machine."""
GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='app_00')}))
HOSTILE = (
    '',
    ' ',
    ',',
    ',,,',
    'a,,b',
    '\\',
    '\\,',
    '*',
    'apps/*',
    '*' * 400 + 'z',
    '*?' * 200 + 'z',
    '[a-',
    '(a+)+$',
    '%',
    '_%',
    "'",
    "' OR 1=1 --",
    '"; DROP TABLE executions; --',
    '\0',
    '\x1b[2J',
    '\ud800',
    '\ufeff',
    'ß',
    'İ' * 50,
    '\U0001f600',
    'x' * 5000,
    '0',
    '-0',
    '+1',
    '1e3',
    '0x10',
    '٣',
    '-1',
    '1',
    '7',
    '1000',
    '1001',
    '-1000',
    str(2**31),
    str(2**63),
    str(-(2**63) - 1),
    '9' * 400,
    '1.5',
    'NaN',
    'Infinity',
    'true',
    'false',
    'null',
    '[' * 1000,
    '{"a":' * 500,
    '2024-06-01T00:00:00Z',
    '2025-01-01T00:00:00+01:00',
    '0001-01-01T00:00:00+23:59',
    '9999-12-31T23:59:60-23:59',
    '2024-02-30T00:00:00Z',
    '2024-06-01',
    'exec_01HZG0FMG00006BCKXZ5JMQ08P',
    'exec_7ZZZZZZZZZZZZZZZZZZZZZZZZZ',
    'exec_00000000000000000000000000',
    'exec_',
    'manual:',
    'restart:exec_01HZG0FMG00006BCKXZ5JMQ08P',
    'status=failed',
    'self_test',
    'temperature',
    'brakes',
    'failed',
    'apps/app_00',
)
MOMENTS = (
    '2024-06-01T00:00:00Z',
    '2025-01-01T00:00:00+01:00',
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '0001-01-01T00:00:00.5+23:59',
    '0001-01-01T23:59:59-23:59',
    '9999-12-31T00:00:00+23:59',
    '9999-12-31T23:00:00Z',
    '9999-12-31T23:59:59Z',
    '9999-12-31T23:59:60.999999Z',
    '9999-12-31T23:59:59-23:59',
)
NAMES = ('parameter.depth', 'parameter.', 'parameter', 'Status', '', '\0', 'limit', 'status')
"""Beside the names that a route takes."""


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """A gateway that knows a history and one app of it."""
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock(BEGINS))
    history = [*MadeUpHistory(EXECUTIONS).executions()]
    await store.record([Change.first(each, GATEWAY) for each in history])
    await store.close()
    kept = {'history.max_executions': 0, 'history.max_age_days': 0}
    async with assembled_gateway(tmp_path, GRAPH, parameters=kept) as client:
        yield client


async def ask_at_random(client: ClientSession, count: int) -> None:
    """Ask so many times; each answer is good, or says what is wrong, and comes soon."""
    chance = random.Random()
    async with client.get(f'{BASE}/openapi.json') as response:
        routes = asked_routes(await response.json())
    statuses = set()
    for _ in range(count):
        path = random_path(chance, *chance.choice(routes))
        begun = time.monotonic()
        async with client.get(URL(path, encoded=True), headers=random_headers(chance)) as response:
            body = await response.read()
        assert response.status in (200, 206, 304, 400, 404, 406, 416), (path, body)
        assert time.monotonic() - begun < ANSWERED_SEC, path
        statuses.add(response.status)
    assert {200, 400} <= statuses


def asked_routes(description: Mapping[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the routes that take queries, with what is known of those."""
    routes = []
    for path, operations in description['paths'].items():
        taken = operations.get('get', {}).get('parameters', [])
        names = [each for each in taken if each.get('in') == 'query']
        if names:
            routes.append((path, names))
    return routes


def random_path(chance: random.Random, path: str, names: list[dict[str, Any]]) -> str:
    """Return a request's target: most names are known, some are there twice."""
    for name in ('collection', 'entity_id', 'script_id', 'execution_id', 'status'):
        known = {'collection': 'apps', 'entity_id': 'app_00', 'status': 'failed'}
        path = path.replace(f'{{{name}}}', known.get(name, chance.choice(['script_1', 'x'])))
    pairs = []
    for _ in range(chance.choice((1, 1, 2, 2, 3, 5))):
        taken = chance.choice(names)
        name = str(taken['name']) if chance.random() < 0.95 else chance.choice(NAMES)
        fitting = fitting_values(taken.get('schema', {}))
        values = fitting if fitting and chance.random() < 0.7 else HOSTILE
        value = ','.join(chance.choices(values, k=chance.choice((1, 1, 1, 2, 40))))
        pairs.append(f'{as_query(name)}={as_query(value)[:3000]}')
    prefix = '' if path.startswith(BASE) else BASE
    return f'{prefix}{path}?{"&".join(pairs)}'


def fitting_values(schema: Mapping[str, Any]) -> list[str]:
    """Return some of the values that a schema allows, as far as that is easily told."""
    schema = schema.get('items', schema)
    if 'enum' in schema:
        return [str(each) for each in schema['enum']]
    if schema.get('type') == 'integer':
        return ['1', '2', str(schema.get('minimum', -3)), str(schema.get('maximum', 10**6))]
    if schema.get('type') == 'boolean':
        return ['true', 'false']
    if schema.get('format') == 'date-time':
        return [*MOMENTS]
    return []


def random_headers(chance: random.Random) -> dict[str, str]:
    """Return what kind of answer is asked for."""
    kinds = ('*/*', 'application/json', 'text/csv', 'application/x-ndjson', 'text/plain')
    return {'Accept': chance.choice(kinds)}


def as_query(text: str) -> str:
    """Return a text as it stands in a query, lone surrogates as the bytes that they would be."""
    return quote(text.encode('utf-8', 'surrogatepass'), safe='')


async def test_a_query_at_random_is_answered_or_refused(gateway: ClientSession) -> None:
    """With 400 where it says what no route takes; never with a defect, and soon."""
    await ask_at_random(gateway, 300)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_ten_thousand_queries_are_answered_or_refused(gateway: ClientSession) -> None:
    """The same, for long."""
    await ask_at_random(gateway, 10_000)
