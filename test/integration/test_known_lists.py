# SPDX-License-Identifier: Apache-2.0
"""Who has a list of scripts or of entities already need not be sent it (RFC 9110, section 13)."""

from collections.abc import AsyncIterator
from pathlib import Path

from api_support import Api, OWN_NODE, serve_api
import pytest

from gateway_node.entities.values import GraphSnapshot
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.routes import ROUTES

LISTS = (
    '/apps',
    '/components',
    '/areas',
    '/functions',
    '/apps/temp_sensor',
    '/apps/temp_sensor/is-located-on',
    '/components/powertrain_engine',
    '/components/powertrain_engine/hosts',
    '/areas/powertrain',
    '/areas/powertrain/components',
    '/functions/monitoring',
    '/functions/monitoring/hosts',
    '/apps/temp_sensor/scripts',
    '/apps/temp_sensor/scripts/{script_id}/instances',
    '/scripts',
)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway with a script."""
    async with serve_api(tmp_path) as api:
        await api.upload('apps/temp_sensor')
        yield api


@pytest.mark.parametrize('path', LISTS)
async def test_who_has_it_is_told_so(api: Api, path: str) -> None:
    """304 with the tag, and without a body; whoever has another one gets it."""
    (script,) = (await api.json('GET', '/scripts'))[1]['items']
    path = path.format(script_id=script['id'])
    first = await api.request('GET', path)
    tag = first.headers['ETag']
    assert first.headers['Cache-Control'] == 'no-cache'
    for known in (tag, f'W/{tag}, "other"', '*'):
        answer = await api.request('GET', path, headers={'If-None-Match': known})
        assert (answer.status, answer.headers['ETag']) == (304, tag)
        assert await answer.read() == b''
    other = await api.request('GET', path, headers={'If-None-Match': '"other"'})
    assert (other.status, await other.read()) == (200, await first.read())


async def test_a_list_that_changed_is_another(api: Api) -> None:
    """By a script that came, by a node that went, and below another prefix."""
    for path in ('/apps/temp_sensor/scripts', '/scripts'):
        before = (await api.request('GET', path)).headers['ETag']
        await api.upload('apps/temp_sensor')
        answer = await api.request('GET', path, headers={'If-None-Match': before})
        assert (answer.status, answer.headers['ETag'] != before) == (200, True)
    before = (await api.request('GET', '/apps')).headers['ETag']
    api.directory.update(GraphSnapshot(nodes=frozenset({OWN_NODE})))
    answer = await api.request('GET', '/apps', headers={'If-None-Match': before})
    assert answer.status == 200


async def test_a_query_has_its_own_tag(api: Api) -> None:
    """What is answered is another thing."""
    tags = [
        (await api.request('GET', f'/scripts{query}')).headers['ETag']
        for query in ('', '?name=nobody', '?per_page=1&page=2')
    ]
    assert len(set(tags)) == 3


def test_every_list_of_entities_and_scripts_is_among_these() -> None:
    """And whatever else of entities there is to see."""
    shown = {
        route.path
        for route in ROUTES
        if route.method == 'GET' and issubclass(route.takes, OfKnown) and '{exec' not in route.path
    }
    assert len(shown) == len(LISTS)
