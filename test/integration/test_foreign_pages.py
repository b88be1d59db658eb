# SPDX-License-Identifier: Apache-2.0
"""What pages in a browser may do: those that are not the gateway's own, nothing.

A page whose name leads here (DNS rebinding) says so in `Host`, every other one in `Origin`.
"""

from collections.abc import AsyncIterator
import json
from pathlib import Path

from api_support import ALLOWED_HOST, BASE, HOST, serve_api
import pytest
from raw_requests import assert_refused, refused_by_parser, Target

from gateway_node.http_server.routes import ROUTES

SCRIPTS = '/apps/temp_sensor/scripts'
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\n'
    b'true\n\r\n--b--\r\n'
)
FORM_TYPE = 'multipart/form-data; boundary=b'
START = b'{"execution_type": "now"}'
EXPECT = 'Expect: 100-continue'
START_ROUTE = '/apps/{entity_id}/scripts/{script_id}/executions'


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    """Serve a gateway that holds one script."""
    async with serve_api(tmp_path) as api:
        yield Target(api=api, script_id=await api.upload('apps/temp_sensor'))


async def state(target: Target) -> tuple[list[str], int]:
    """Return the ids of the scripts that are there, and how many were started."""
    _, scripts = await target.api.json('GET', SCRIPTS)
    return [script['id'] for script in scripts['items']], len(target.api.runner.started)


def requests(target: Target) -> list[tuple[str, str]]:
    """Return method and path of every route, and of what has none."""
    served = [(route.method, target.path(route.path)) for route in ROUTES]
    more = [('HEAD', '/health'), ('OPTIONS', '/health'), ('PATCH', '/apps'), ('POST', '/nowhere')]
    return [*served, *((method, f'{BASE}{path}') for method, path in more), ('GET', '/')]


@pytest.mark.parametrize('more', [[], [EXPECT]], ids=['', 'expecting 100'])
@pytest.mark.parametrize(
    'host',
    ['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.nip.example'],
)
async def test_every_request_for_a_foreign_host_is_refused(
    target: Target, host: str, more: list[str]
) -> None:
    """421 on every route and method, before anything else is looked at; nothing happens."""
    before = await state(target)
    for method, path in requests(target):
        head = [f'{method} {path} HTTP/1.1', f'Host: {host}', 'Content-Length: 9999', *more]
        answer = await target.exchange(head)
        assert answer.status == 421, (method, path, answer)
        if method != 'HEAD':
            assert_refused(answer, 421, of=path)
            body = json.loads(answer.content)
            assert body['error_code'] == 'invalid-request'
            assert 'server.allowed_hosts' in body['message']
            assert f'{HOST}.local' not in body['message']
    assert await state(target) == before


@pytest.mark.parametrize(
    'host',
    [
        'localhost',
        'LocalHost.:8080',
        '127.0.0.1:1',
        '8.8.8.8',
        '[::1]:80',
        f'{HOST}:8080',
        f'{HOST}.local',
        f'{ALLOWED_HOST}:80',
        f'{ALLOWED_HOST}.',
    ],
)
async def test_addresses_and_own_names_are_answered(target: Target, host: str) -> None:
    """A robot behind NAT or a published port has an address that it does not know."""
    answer = await target.exchange([f'GET {BASE}/apps HTTP/1.1', f'Host: {host}'])
    assert answer.status == 200


@pytest.mark.parametrize(
    'lines',
    [
        [],
        ['Host:'],
        ['Host: robot', 'Host: robot'],
        ['Host: robot', 'Host: evil.example'],
        ['Host: robot:80a'],
        ['Host: me@robot'],
        ['Host: robot, evil.example'],
        ['Host: robot/'],
        ['Host: \xff'],
    ],
    ids=['none', 'empty', 'two', 'two different', 'port', 'user', 'list', 'path', 'no ASCII'],
)
async def test_a_request_without_one_proper_host_is_refused(
    target: Target, lines: list[str]
) -> None:
    """400, as RFC 9112, section 3.2, asks for."""
    answer = await target.exchange([f'GET {BASE}/apps HTTP/1.1', *lines])
    assert refused_by_parser(answer) or answer.is_generic_error
    assert answer.status == 400


async def test_a_program_of_the_time_before_host_is_answered(target: Target) -> None:
    """HTTP/1.0 knows no `Host`, and no browser speaks it; where there is one, it counts."""
    assert (await target.exchange([f'GET {BASE}/apps HTTP/1.0'])).status == 200
    head = [f'GET {BASE}/apps HTTP/1.0', 'Host: evil.example']
    assert (await target.exchange(head)).status == 421
    head = [f'POST {BASE}{SCRIPTS} HTTP/1.0', 'Origin: http://evil.example', 'Content-Length: 0']
    assert (await target.exchange(head)).status == 403


@pytest.mark.parametrize(
    ('start', 'host', 'status'),
    [
        ('http://evil.example', 'robot', 421),
        ('http://evil.example:8080', '127.0.0.1', 421),
        ('http://robot', 'evil.example', 200),
        ('HTTP://127.0.0.1:80', 'robot', 200),
        ('http://me@robot', 'robot', 400),
    ],
)
async def test_the_host_of_a_target_goes_before_the_header(
    target: Target, start: str, host: str, status: int
) -> None:
    """RFC 9112, section 3.2.2: a server ignores `Host` where the target has one."""
    answer = await target.exchange([f'GET {start}{BASE}/apps HTTP/1.1', f'Host: {host}'])
    assert answer.status == status, answer


@pytest.mark.parametrize(
    'authority', ['xn--a', 'robot:80a', 'robot:99999', '[::1', '[robot]', 'a..b', 'ro%20bot']
)
async def test_a_target_that_names_no_host_is_refused_and_holds_no_connection(
    target: Target, authority: str, caplog: pytest.LogCaptureFixture
) -> None:
    """400, or foreign; whatever aiohttp makes of it, the client is not left waiting."""
    head = [f'GET http://{authority}{BASE}/apps HTTP/1.1', 'Host: robot', 'Connection: close']
    answer = await target.exchange(head)
    assert answer.is_generic_error or refused_by_parser(answer), answer
    assert answer.status in (400, 421)
    assert 'Traceback' not in caplog.text


@pytest.mark.parametrize(
    'line',
    [
        'Origin: null',
        'Origin: http://evil.example',
        'Origin: http://127.0.0.1:3000',
        'Origin: http://robot:3000',
        'Origin: http://localhost',
        'Origin:',
        'Sec-Fetch-Site: cross-site',
        'Sec-Fetch-Site: same-site',
        'Origin: http://robot\r\nSec-Fetch-Site: cross-site',
        'Origin: http://robot\r\nOrigin: http://evil.example',
    ],
)
async def test_a_foreign_page_changes_nothing(target: Target, line: str) -> None:
    """403 on every route that changes something, before the body comes; nothing happens."""
    execution_id, _ = await target.api.running('apps/temp_sensor', target.script_id)
    before = await state(target)
    contents = {'executions': START, 'scripts': FORM, target.script_id: FORM}
    for method, template in ((route.method, route.path) for route in ROUTES):
        if method == 'GET':
            continue
        path = target.path(template, execution_id=execution_id)
        content = contents.get(path.rpartition('/')[2], b'{"action": "stop"}')
        content_type = FORM_TYPE if content == FORM else 'application/json'
        answer = await target.send(method, path, content, content_type, [line])
        assert_refused(answer, 403, of=path)
        assert json.loads(answer.content)['error_code'] == 'insufficient-access-rights'
        answer = await target.send(method, path, b'', content_type, [line, EXPECT], length=9999)
        assert_refused(answer, 403, of=path)
    assert await state(target) == before
    path = f'{SCRIPTS}/{target.script_id}/executions/{execution_id}'
    assert (await target.api.json('GET', path))[1]['status'] == 'running'


async def test_a_foreign_page_changes_nothing_by_a_method_that_nobody_knows(
    target: Target,
) -> None:
    """What is not known to change nothing counts as a change."""
    for method in ('PATCH', 'TRACE', 'PROPFIND'):
        answer = await target.send(method, f'{BASE}/apps', headers=['Origin: http://evil.example'])
        assert answer.status == 403, method


@pytest.mark.parametrize(
    'lines',
    [
        ['Host: robot:8080', 'Origin: http://robot:8080', 'Sec-Fetch-Site: same-origin'],
        ['Host: 10.1.2.3:8080', 'Origin: http://10.1.2.3:8080'],
        [f'Host: {ALLOWED_HOST}', f'Origin: https://{ALLOWED_HOST}'],
        ['Host: robot', 'Sec-Fetch-Site: none'],
        ['Host: robot'],
    ],
    ids=['by name', 'by address', 'behind a proxy with TLS', 'typed', 'no browser'],
)
async def test_an_own_page_and_a_program_start_scripts(target: Target, lines: list[str]) -> None:
    """A console that the gateway's own address serves may do what curl may."""
    head = [f'POST {target.path(START_ROUTE)} HTTP/1.1', *lines, 'Content-Type: application/json']
    answer = await target.exchange([*head, f'Content-Length: {len(START)}'], START)
    assert answer.status == 202, answer


async def test_a_foreign_page_can_read_nothing_either(target: Target) -> None:
    """A GET is answered, and no header lets the page see the answer; a preflight gets none."""
    foreign = ['Origin: http://evil.example', 'Sec-Fetch-Site: cross-site']
    asking = ['Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: x']
    for method in ('GET', 'OPTIONS'):
        answer = await target.send(method, f'{BASE}/apps', headers=[*foreign, *asking])
        assert not [name for name in answer.headers if name.startswith('access-control')]
    assert (await target.send('GET', f'{BASE}/apps', headers=foreign)).status == 200
