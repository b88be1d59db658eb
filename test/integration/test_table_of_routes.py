# SPDX-License-Identifier: Apache-2.0
"""Requests are read, refused and answered by the table of routes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, BASE, serve_api
from assembled_gateway import assembled_gateway, OWN_NODE
from declared_answers import check_declared
import pytest
from raw_requests import needed_query

from gateway_node.entities.values import GraphSnapshot
from gateway_node.executions.actors import Role
from gateway_node.executions.errors import ExecutionNotFound
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.route import Route
from gateway_node.http_server.routes import ROUTES
from gateway_node.http_server.subjects import Nothing


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


def paths_of(body: Any) -> list[str]:
    return [violation['path'] for violation in body['parameters']['violations']]


async def test_all_that_is_wrong_with_a_body_is_told_at_once(api: Api) -> None:
    """One 400 names every field by JSON Pointer; nothing starts."""
    script_id = await api.upload('apps/temp_sensor')
    status, body = await api.json(
        'POST',
        f'/apps/temp_sensor/scripts/{script_id}/executions',
        json={'execution_type': 'later', 'parameters': [], 'arguments': ['a', 'b\0']},
    )
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert paths_of(body) == ['/body/execution_type', '/body/parameters', '/body/arguments/1']
    assert body['message'] == (
        "execution_type is 'later'; allowed: now, now_and_on_restart, on_restart, "
        'once_on_restart (and 2 more)'
    )
    assert api.runner.started == ()


async def test_all_that_is_wrong_with_path_and_query_is_told_at_once(api: Api) -> None:
    """Before anything is looked up: what nobody can have need not be searched for."""
    status, body = await api.json(
        'GET', '/apps/-x/scripts/-y/executions?limit=0&before=b&limits=1'
    )
    assert (status, body['error_code']) == (400, 'invalid-parameter')
    assert paths_of(body) == [
        '/query/limits',
        '/path/entity_id',
        '/path/script_id',
        '/query/limit',
        '/query/before',
    ]


@pytest.mark.parametrize('entity', ['apps/nobody', 'apps/temp_sensor'])
async def test_what_is_not_there_is_told_before_the_body_is_looked_at(
    api: Api, entity: str
) -> None:
    """404 for an unknown entity or script, whatever was sent."""
    path = f'/{entity}/scripts/nothing/executions'
    status, body = await api.json('POST', path, data=b'{', headers={'Content-Type': 'text/plain'})
    assert (status, body['error_code']) == (404, 'resource-not-found')


async def raise_undeclared(call: Call[Nothing, None]) -> Answer:
    raise ExecutionNotFound('exec_1')


UNDECLARED = Route('GET', '/undeclared', Role.VIEWER, raise_undeclared, Nothing, status=204)
DECLARED = Route(
    'GET', '/declared', Role.VIEWER, raise_undeclared, Nothing, status=204,
    errors=(ExecutionNotFound,),
)  # fmt: skip


@pytest.mark.parametrize(
    ('path', 'strict', 'status'),
    [
        ('/declared', True, 404),
        ('/declared', False, 404),
        ('/undeclared', True, 500),
        ('/undeclared', False, 404),
    ],
)
async def test_an_error_that_a_route_does_not_declare_fails_the_tests(
    tmp_path: Path, path: str, strict: bool, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Tests get 500; whoever asks a gateway gets the answer, and its log has the traceback, which
    no test that starts the entry point lets pass."""
    async with serve_api(tmp_path, routes=(UNDECLARED, DECLARED), strict=strict) as api:
        answer = await api.client.get(f'{BASE}{path}')
        assert answer.status == status
    for told in ('does not declare', 'Traceback'):
        assert (told in caplog.text) == (path == '/undeclared')


async def test_the_assembled_gateway_answers_what_the_table_says(tmp_path: Path) -> None:
    """With all that the other rooms add to /health."""
    async with assembled_gateway(tmp_path, GraphSnapshot(nodes=frozenset({OWN_NODE}))) as client:
        for route in ROUTES:
            if route.method == 'GET' and '{' not in route.path:
                answer = await client.get(f'/api/v1{route.path}{needed_query(route)}')
                await check_declared('GET', route.path, answer)
                assert answer.status == 200
