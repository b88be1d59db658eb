# SPDX-License-Identifier: Apache-2.0
"""A gateway behind proxies that take a part of the path off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, hdrs
from api_support import BASE, form, serve_api
from proxies import PREFIX, PROXY, proxy
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.executions.actors import Actor
from gateway_node.executions.values import Execution

SCRIPTS = '/apps/temp_sensor/scripts'


def paths(body: Any) -> Iterator[str]:
    """Return every path in a body, but for those that are examples only."""
    if isinstance(body, dict):
        body = [value for name, value in body.items() if name != 'examples']
    elif isinstance(body, str):
        if '/api/v1' in body:
            yield body
        return
    elif not isinstance(body, list):
        return
    for each in body:
        yield from paths(each)


JSON = 'application/json'


async def follow(client: ClientSession, *begin: str) -> set[str]:
    """Read these paths, and all that the answers name; return them. Nothing may be missing."""
    due, seen = set(begin), set(begin)
    while due:
        answer = await client.get(due.pop())
        assert answer.status == 200, answer.url
        new = set(paths(await answer.json())) - seen if answer.content_type == JSON else set()
        due |= new
        seen |= new
    return seen


@pytest.mark.parametrize('path_prefix', ['', '/gateway'])
async def test_every_path_leads_back_through_the_proxy(tmp_path: Path, path_prefix: str) -> None:
    """`Location`, `next` and every href begin with what the proxy took off; all can be read."""
    async with (
        serve_api(tmp_path, trusted_proxies=PROXY, path_prefix=path_prefix) as api,
        proxy(api) as client,
    ):
        base = f'{PREFIX}{path_prefix}{BASE}'
        uploaded = await client.post(f'{base}{SCRIPTS}', data=form(b'true\n', 'check.sh'))
        script = uploaded.headers[hdrs.LOCATION]
        assert script == (await uploaded.json())['href']
        wish = {'execution_type': 'now_and_on_restart'}
        for _ in range(2):
            started = await client.post(f'{script}/executions', json=wish)
            execution = started.headers[hdrs.LOCATION]
            assert execution == (await started.json())['href']
        page = f'{script}/executions?limit=-1'
        unversioned = f'{PREFIX}{path_prefix}/version-info'
        seen = await follow(client, f'{base}/', unversioned, page)
        assert all(each.startswith(base) for each in seen - {unversioned})
        schedule = (await (await client.get(execution)).json())['schedule']
        assert {script, execution, schedule, f'{base}/apps/temp_sensor'} <= seen
        assert any('id_exclusive=' in each for each in seen)


async def test_who_is_not_trusted_changes_no_path(tmp_path: Path) -> None:
    """Without a trusted proxy the headers are as unknown as any, a bad prefix too."""
    async with serve_api(tmp_path, trusted_proxies=('192.0.2.0/24',)) as api:
        for prefix in (PREFIX, '//evil.example'):
            status, body = await api.json('GET', '/', headers={'X-Forwarded-Prefix': prefix})
            assert (status, body['apps']) == (200, f'{BASE}/apps')


async def test_a_bad_prefix_changes_nothing(tmp_path: Path) -> None:
    """The proxy is told what is wrong before anything is started."""
    async with serve_api(tmp_path, trusted_proxies=PROXY) as api:
        script_id = await api.upload('apps/temp_sensor')
        status, body = await api.json(
            'POST',
            f'{SCRIPTS}/{script_id}/executions',
            json={'execution_type': 'now'},
            headers={'X-Forwarded-Prefix': '//evil.example'},
        )
        assert (status, body['error_code']) == (400, 'invalid-request')
        assert "X-Forwarded-Prefix is '//evil.example'; allowed: once" in body['message']
        assert (await api.json('GET', f'{SCRIPTS}/{script_id}/executions'))[1] == {'items': []}


@pytest.mark.parametrize(('trusted', 'origin'), [(PROXY, '192.0.2.1'), (('::1',), '127.0.0.1')])
async def test_the_actor_comes_from_where_the_client_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: tuple[str, ...], origin: str
) -> None:
    """Of a trusted proxy the client's address is taken; else it is that of the connection."""
    actors = []
    async with serve_api(tmp_path, trusted_proxies=trusted) as api:
        start = api.executions.start

        async def note(*wanted: Any, actor: Actor) -> Execution:
            actors.append(actor)
            return await start(*wanted, actor=actor)

        monkeypatch.setattr(api.executions, 'start', note)
        script_id = await api.upload('apps/temp_sensor')
        forwarded = {'X-Forwarded-For': '203.0.113.9, 192.0.2.1', 'Forwarded': 'for=203.0.113.9'}
        status, _ = await api.json(
            'POST',
            f'{SCRIPTS}/{script_id}/executions',
            json={'execution_type': 'now'},
            headers=forwarded,
        )
    assert status == 202
    assert [actor.origin for actor in actors] == [origin]


async def test_a_proxy_cannot_speak_for_a_host(tmp_path: Path) -> None:
    """`X-Forwarded-Host` opens nothing: neither for an unknown `Host` nor for a foreign page."""
    async with serve_api(tmp_path, trusted_proxies=PROXY) as api:
        forwarded = {'X-Forwarded-Host': api.address}
        status, _ = await api.json('GET', '/', headers={'Host': 'evil.example', **forwarded})
        assert status == 421
        forwarded = {'X-Forwarded-Host': 'fleet.example', 'Origin': 'https://fleet.example'}
        status, _ = await api.json('DELETE', f'{SCRIPTS}/x', headers=forwarded)
        assert status == 403


@pytest.mark.parametrize(
    'forwarded',
    [
        {'X-Forwarded-For': '203.0.113.9'},
        {'x-forwarded-for': '127.0.0.1'},
        {'Forwarded': 'for=203.0.113.9'},
        {'X-Real-IP': '203.0.113.9'},
    ],
)
async def test_without_credentials_nobody_is_let_in_through_a_proxy(
    tmp_path: Path, forwarded: dict[str, str]
) -> None:
    """It stands on this host, and brings whoever asks it."""
    async with serve_api(tmp_path) as api:
        for path in ('/apps', '/health/live'):
            status, body = await api.json('GET', path, headers=forwarded)
            assert (status, body['error_code']) == (401, 'insufficient-access-rights')
        assert 'none of server.trusted_proxies' in body['message']
        assert (await api.request('GET', '/apps')).status == 200
    wanted = Authentication(allow_anonymous_access=True)
    async with serve_api(tmp_path / 'wanted', authentication=wanted) as api:
        assert (await api.request('GET', '/apps', headers=forwarded)).status == 200
