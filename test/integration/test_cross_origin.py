# SPDX-License-Identifier: Apache-2.0
"""Pages of other origins that are listed use the gateway from a browser, and no others do."""

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path

from api_support import Api, BASE, serve_api
from clients import KnownTokens
import pytest
from raw_requests import Target

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role
from gateway_node.http_server.routes import ROUTES

FLEET = 'https://fleet.example'
EVIL = 'https://evil.example'
ALLOW = 'access-control-allow-'
SCRIPTS = f'{BASE}/apps/temp_sensor/scripts'
START = b'{"execution_type": "now"}'
DEADLINE_SEC = 60.0


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    """Serve a gateway that wants a credential, and allows the page of the fleet."""
    authentication = Authentication(
        [KnownTokens({'token': Credential(name='kim', role=Role.ADMIN)})]
    )
    async with serve_api(tmp_path, allowed_origins=(FLEET,), authentication=authentication) as api:
        api.client.headers['Authorization'] = 'Bearer token'
        yield Target(api=api, script_id=await api.upload('apps/temp_sensor'))


async def test_a_preflight_of_an_allowed_page_is_answered_before_credentials_are_asked_for(
    target: Target,
) -> None:
    """On every path, with its methods; browsers send no credential with it (Fetch, 4.8)."""
    methods: dict[str, set[str]] = {}
    for route in ROUTES:
        methods.setdefault(target.path(route.path), set()).add(route.method)
    for path, expected in methods.items():
        asked = [f'Origin: {FLEET}', 'Access-Control-Request-Method: POST']
        answer = await target.send('OPTIONS', path, headers=asked)
        assert answer.status == 204, (path, answer)
        assert answer.headers[f'{ALLOW}origin'] == FLEET
        assert expected <= set(answer.headers[f'{ALLOW}methods'].split(',')), path
        assert answer.headers['access-control-max-age'] == '600'
        assert answer.headers['vary'] == 'Origin'
        assert answer.content == b''


async def test_a_preflight_names_all_that_a_request_may_bring(target: Target) -> None:
    """Whatever the table of routes takes of headers, credentials and the client's name."""
    asked = [f'Origin: {FLEET}', 'Access-Control-Request-Method: GET']
    answer = await target.send('OPTIONS', f'{BASE}/apps', headers=asked)
    allowed = set(answer.headers[f'{ALLOW}headers'].split(','))
    assert {
        'Authorization',
        'Content-Type',
        'Idempotency-Key',
        'If-None-Match',
        'If-Range',
        'Last-Event-ID',
        'Prefer',
        'Range',
        'X-Client-Id',
    } <= allowed
    assert '*' not in allowed


@pytest.mark.parametrize(
    'origin',
    [EVIL, 'null', 'http://fleet.example', f'{FLEET}:8443', f'{FLEET}.evil.example', f'{FLEET}/'],
)
async def test_a_page_that_is_not_listed_is_told_nothing_and_changes_nothing(
    target: Target, origin: str
) -> None:
    """Scheme, name and port have to be those of the list, every one of them."""
    headers = [f'Origin: {origin}', 'Access-Control-Request-Method: POST']
    preflight = await target.send('OPTIONS', SCRIPTS, headers=headers)
    reading = await target.send('GET', SCRIPTS, headers=[*headers, 'Authorization: Bearer token'])
    writing = await target.send(
        'POST', SCRIPTS, headers=[f'Origin: {origin}', 'Authorization: Bearer token']
    )
    assert [preflight.status, reading.status, writing.status] == [204, 200, 403]
    for answer in (preflight, reading, writing):
        assert not [name for name in answer.headers if name.startswith('access-control-')]
        # A cache that keeps this answer must not hand it to the page that is allowed.
        assert answer.headers['vary'] == 'Origin'


async def test_an_allowed_page_starts_a_script(target: Target) -> None:
    """With a credential that it has of its own, and reads where the execution is."""
    answer = await target.send(
        'POST',
        f'{SCRIPTS}/{target.script_id}/executions',
        START,
        'application/json',
        [f'Origin: {FLEET}', 'Sec-Fetch-Site: cross-site', 'Authorization: Bearer token'],
    )
    assert answer.status == 202, answer
    assert answer.headers[f'{ALLOW}origin'] == FLEET
    exposed = answer.headers['access-control-expose-headers'].lower().split(',')
    assert {'location', 'etag', 'link', 'retry-after', 'www-authenticate'} <= set(exposed)


async def test_an_origin_beside_the_allowed_one_is_foreign(target: Target) -> None:
    """No browser sends two: whoever does is not believed."""
    headers = [f'Origin: {FLEET}', f'Origin: {EVIL}', 'Authorization: Bearer token']
    assert (await target.send('POST', SCRIPTS, headers=headers)).status == 403


@pytest.mark.parametrize(
    ('method', 'path', 'headers', 'status'),
    [
        ('GET', '/apps', [], 401),
        ('GET', '/nowhere', ['Authorization: Bearer token'], 404),
        ('PATCH', '/apps', ['Authorization: Bearer token'], 405),
        ('GET', '/apps?x=1', ['Authorization: Bearer token'], 400),
        ('POST', '/apps/temp_sensor/scripts', ['Authorization: Bearer token'], 415),
    ],
)
async def test_an_allowed_page_reads_why_it_was_refused(
    target: Target, method: str, path: str, headers: list[str], status: int
) -> None:
    """An answer without these headers is a network error to a page, whatever it says."""
    answer = await target.send(method, f'{BASE}{path}', headers=[f'Origin: {FLEET}', *headers])
    assert answer.status == status
    assert answer.headers[f'{ALLOW}origin'] == FLEET
    assert json.loads(answer.content)['message']


async def test_no_answer_lets_a_page_use_credentials_of_the_browser(target: Target) -> None:
    """Cookies, passwords and client certificates are the user's; a page has its own token."""
    for method, path in (('OPTIONS', '/apps'), ('GET', '/apps'), ('GET', '/nowhere')):
        headers = [f'Origin: {FLEET}', 'Access-Control-Request-Method: GET']
        answer = await target.send(method, f'{BASE}{path}', headers=headers)
        assert f'{ALLOW}credentials' not in answer.headers
        assert answer.headers[f'{ALLOW}origin'] != '*'


async def test_an_allowed_page_follows_a_stream(target: Target) -> None:
    """An EventSource of another origin asks without a preflight and reads this header."""
    reader, writer = await target.api.connect()
    lines = ['Host: robot', f'Origin: {FLEET}', 'Authorization: Bearer token']
    writer.write('\r\n'.join([f'GET {BASE}/events HTTP/1.1', *lines, '', '']).encode())
    async with asyncio.timeout(DEADLINE_SEC):
        head = (await reader.readuntil(b'\r\n\r\n')).decode().lower()
    writer.transport.abort()
    assert f'{ALLOW}origin: {FLEET}' in head
    assert 'cache-control: no-store' in head


async def _answers(api: Api) -> list[tuple[str, dict[str, str]]]:
    """Return answers of every make: lists, texts, pages, errors, nothing, the API's and others."""
    answers = []
    for method, path in (
        ('GET', f'{BASE}/apps'),
        ('HEAD', f'{BASE}/apps'),
        ('GET', f'{BASE}/docs'),
        ('GET', f'{BASE}/executions/export?format=csv'),
        ('GET', f'{BASE}/nowhere'),
        ('DELETE', f'{BASE}/apps'),
        ('OPTIONS', f'{BASE}/apps'),
        ('OPTIONS', '*'),
    ):
        reader, writer = await api.connect()
        lines = [f'{method} {path} HTTP/1.1', 'Host: robot', 'Connection: close']
        lines += ['Accept: text/html, */*', 'Authorization: Bearer token']
        writer.write('\r\n'.join([*lines, '', '']).encode())
        async with asyncio.timeout(DEADLINE_SEC):
            head = (await reader.readuntil(b'\r\n\r\n')).decode()
        writer.transport.abort()
        fields = [line.split(': ', 1) for line in head.strip().split('\r\n')[1:]]
        names = [name for name, _ in fields if name != 'Vary']
        assert len(set(names)) == len(names), (path, names)
        answers.append((f'{method} {path}', dict[str, str](fields)))
    return answers


async def test_every_answer_has_what_protects_a_browser(target: Target) -> None:
    """Once each; the page of the docs has a policy of its own, by which it can run."""
    for asked, fields in await _answers(target.api):
        assert fields['X-Content-Type-Options'] == 'nosniff', asked
        assert fields['Referrer-Policy'] == 'no-referrer', asked
        assert fields['Cross-Origin-Resource-Policy'] == 'same-origin', asked
        policy = fields['Content-Security-Policy']
        assert "default-src 'none'" in policy, asked
        assert "frame-ancestors 'none'" in policy, asked
        assert ("script-src 'self'" in policy) == asked.endswith('/docs'), asked


async def test_nobody_keeps_an_answer_that_credentials_decide_about(target: Target) -> None:
    """Unless it says itself how it is kept: asked about before it is used."""
    for asked, fields in await _answers(target.api):
        assert fields['Cache-Control'] in ('no-store', 'no-cache'), asked


async def test_without_credentials_and_a_list_the_answers_say_nothing_of_them(
    tmp_path: Path,
) -> None:
    """So that nothing changes for who uses neither."""
    async with serve_api(tmp_path) as api:
        answer = await api.request('GET', '/areas', headers={'Origin': FLEET})
        assert answer.status == 200
        assert 'Vary' not in answer.headers
        assert answer.headers.get('Cache-Control') != 'no-store'
        assert 'Access-Control-Allow-Origin' not in answer.headers
