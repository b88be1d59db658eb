# SPDX-License-Identifier: Apache-2.0
"""Behind each path is its description: as a document, and to a browser as a page."""

from collections.abc import AsyncIterator
import hashlib
import json
from pathlib import Path
import re
from typing import Any

from aiohttp import ClientSession
from api_support import Api, BASE, serve_api
from browser import browser_page, find_browser, Page
from clients import bearer, KnownTokens
from declared_answers import validate
from proxies import PREFIX, PROXY, proxy
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role
from gateway_node.http_server import docs_page
from gateway_node.http_server.routes import ROUTES

ENTITY = '/apps/temp_sensor'
HTML = {'Accept': 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'}
UNKNOWN_EXECUTION = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
SWAGGER_UI = """
cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30  LICENSE
0d20d1adef18aee3f40dd258172155521ce702ac445cb5f7b7d60ed32dad2fb2  NOTICE
3ec28e655772dce4a5853510ebdd64963b0582a633e274e036273deff361e33c  package.json
e6a898692f2d768e807c3ba4626068a69a2c5dd960dd6c76f3e4d3a3de180af2  swagger-ui-bundle.js
37eb6e7e59aed57b2c1acf076574b818ea07b74265717e0bd67b59e0baf9abbb  swagger-ui-bundle.js.LICENSE.txt
5ed08757e53da3e026d6cbecc61fe5d43585c9560b302d534ad56692519a273d  swagger-ui.css
"""
"""The files of swagger-ui-dist that are kept, as they are in that package (sha256sum)."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway that trusts a proxy."""
    async with serve_api(tmp_path / 'state', trusted_proxies=PROXY) as api:
        yield api


async def status_of(client: ClientSession, path: str) -> int:
    """Read a path to the end; return the status."""
    async with client.get(path) as answer:
        await answer.read()
        return answer.status


async def described(api: Api, path: str, status: int = 200) -> Any:
    """Return the description of a path."""
    answer = await api.client.get(f'{BASE}{path}/docs')
    assert answer.status == status, path
    assert answer.content_type == 'application/json'
    body = await answer.json()
    validate('Description' if status == 200 else 'GenericError', body)
    return body


async def test_each_path_of_the_table_has_its_description(api: Api) -> None:
    """Which has what is served there; but where scripts give the names of what is below."""
    script_id = await api.upload('apps/temp_sensor', parameters_schema={'type': 'object'})
    instances = f'/apps/temp_sensor/scripts/{script_id}/instances'
    assert (await api.request('POST', instances, json={'name': 'nightly'})).status == 201
    values = {
        'collection': 'apps',
        'entity_id': 'temp_sensor',
        'script_id': script_id,
        'execution_id': UNKNOWN_EXECUTION,
        'area_id': 'powertrain',
        'function_id': 'monitoring',
        'status': 'running',
        'sequence': '1',
        'lock_id': 'lock_1',
        'instance': 'nightly',
    }
    named_by_scripts = re.compile('/artifacts(/.*)?$')
    for path in dict.fromkeys(route.path for route in ROUTES):
        if named_by_scripts.search(path):
            continue
        there = re.sub(r'\{(\w+)\}', lambda name: values[name[1]], path)
        there = there.replace('/components/temp_sensor', '/components/powertrain_engine')
        document = await described(api, there)
        assert (there or '/') in document['paths']


async def test_a_part_is_openapi(api: Api) -> None:
    """As the whole is; also with the parameters of a script, which refer to each other."""
    openapi = pytest.importorskip(
        'openapi_spec_validator', '0.7', "what goes with Ubuntu's jsonschema is too old"
    )
    schema = {'properties': {'limit': {'$ref': '#/$defs/limit'}}, '$defs': {'limit': {}}}
    script_id = await api.upload('apps/temp_sensor', parameters_schema=schema)
    for path in (f'{ENTITY}/scripts/{script_id}', '/areas'):
        document = await described(api, path)
        assert list(openapi.OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_a_script_is_described_with_its_own_parameters(api: Api) -> None:
    """Of one that is gone, the executions are described as those of any."""
    script_id = await api.upload('apps/temp_sensor', parameters_schema={'maxProperties': 3})
    path = f'{ENTITY}/scripts/{script_id}'

    async def told() -> Any:
        document = await described(api, f'{path}/executions')
        start = document['paths'][f'{path}/executions']['post']
        (content,) = start['requestBody']['content'].values()
        return content['schema']

    assert (await told())['properties']['parameters'] == {'maxProperties': 3}
    assert (await api.request('DELETE', path)).status == 204
    assert await told() == {'$ref': '#/components/schemas/StartBody'}


@pytest.mark.parametrize(
    'path',
    [
        '/apps/nobody',
        '/components/nobody/scripts',
        '/areas/nowhere/components',
        '/functions/nothing',
        f'{ENTITY}/scripts/nothing',
        f'{ENTITY}/scripts/nothing/content',
        f'{ENTITY}/nothing',
        '/nothing',
        '/docs',
    ],
)
async def test_what_is_not_there_is_not_described(api: Api, path: str) -> None:
    """404, as for itself; to a browser too."""
    body = await described(api, path, 404)
    assert body['error_code'] == 'resource-not-found'
    assert (await api.client.get(f'{BASE}{path}/docs', headers=HTML)).status == 404


async def test_scripts_that_are_turned_off_are_not_described(tmp_path: Path) -> None:
    """501, as for themselves; the rest is described."""
    async with serve_api(tmp_path, scripts=False) as api:
        await described(api, ENTITY)
        for path in (f'{ENTITY}/scripts', f'{ENTITY}/executions', '/executions'):
            await described(api, path, 501)


@pytest.mark.parametrize('method', ['POST', 'PUT', 'DELETE'])
async def test_a_description_is_read_only(api: Api, method: str) -> None:
    """405 with what is allowed."""
    answer = await api.client.request(method, f'{BASE}{ENTITY}/scripts/docs')
    assert (answer.status, answer.headers['Allow']) == (405, 'GET,HEAD,OPTIONS')


async def test_a_browser_gets_a_page_in_which_no_script_stands(api: Api) -> None:
    """Which may load from its own origin only; whoever asks for anything else gets JSON."""
    answer = await api.client.get(f'{BASE}{ENTITY}/docs/', headers=HTML)
    page = await answer.text()
    assert (answer.status, answer.content_type) == (200, 'text/html')
    assert 'Accept' in answer.headers['Vary']
    policy = answer.headers['Content-Security-Policy']
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert 'unsafe' not in policy
    assert re.findall(r'<script(?! src="/api/v1/docs/[\w.-]+"></script>)', page) == []
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert [each for each in named if not each.startswith(f'{BASE}/docs/')] == ['data:,']
    for path in named[1:]:
        assert await status_of(api.client, path) == 200
    for accept in ('*/*', 'application/json', 'application/json, text/html;q=0.9', 'image/png'):
        answer = await api.client.get(f'{BASE}/docs', headers={'Accept': accept})
        assert answer.content_type == 'application/json'
        await answer.read()


async def test_a_file_of_the_page_is_sent_once(api: Api) -> None:
    """It has a validator, by which a browser asks for it again."""
    for file in docs_page.PageFile:
        path = f'{BASE}/docs/{file.value}'
        first = await api.client.get(path)
        content = await first.read()
        assert (first.status, first.headers['Cache-Control']) == (200, 'no-cache')
        assert first.content_type in {'text/javascript', 'text/css'}
        assert first.headers['X-Content-Type-Options'] == 'nosniff'
        again = await api.client.get(path, headers={'If-None-Match': first.headers['ETag']})
        assert (again.status, await again.read()) == (304, b'')
        other = await api.client.get(path, headers={'If-None-Match': '"other"'})
        assert await other.read() == content != b''


async def test_descriptions_stand_below_the_base_that_the_client_sees(api: Api) -> None:
    """The files of the page too."""
    async with proxy(api) as client:
        document = await (await client.get(f'{PREFIX}{BASE}{ENTITY}/docs')).json()
        assert document['servers'] == [{'url': f'{PREFIX}{BASE}'}]
        page = await (await client.get(f'{PREFIX}{BASE}/docs', headers=HTML)).text()
        for path in re.findall(r'(?:src|href)="(/[^"]+)"', page):
            assert await status_of(client, path) == 200


@pytest.mark.parametrize('path_prefix', ['', '/gateway'])
async def test_a_browser_is_led_from_the_root_to_the_page(
    tmp_path: Path, path_prefix: str
) -> None:
    """Through a proxy, too; whoever wants anything else finds nothing there."""
    async with (
        serve_api(tmp_path, trusted_proxies=PROXY, path_prefix=path_prefix) as api,
        proxy(api) as client,
    ):
        root = f'{PREFIX}{path_prefix}/'
        led = await client.get(root, headers=HTML, allow_redirects=False)
        assert (led.status, led.headers['Location']) == (307, f'{root}api/v1/docs')
        assert (await client.get(root, headers=HTML)).content_type == 'text/html'
        other = await client.get(root)
        assert (other.status, other.content_type) == (404, 'application/json')
        assert (await other.json())['message'] == f'no resource {root.removesuffix("/")!r}'


KNOWN = Authentication([KnownTokens({'a': Credential(name='anna', role=Role.VIEWER)})])


async def test_the_page_is_open_and_what_it_shows_is_not(tmp_path: Path) -> None:
    """A browser has no credential to send with an address: of what is there and of what is not it
    gets one page, which asks for a token."""
    async with serve_api(tmp_path, authentication=KNOWN) as api:
        pages = {}
        for path in ('', ENTITY, '/apps/nobody', f'{ENTITY}/scripts/nothing'):
            address = f'{BASE}{path}/docs'
            answer = await api.client.get(address, headers=HTML)
            assert (answer.status, answer.content_type) == (200, 'text/html')
            pages[path] = (await answer.text()).replace(f'<title>{path or "/"} ', '<title>')
            assert await status_of(api.client, address) == 401
        assert len(set(pages.values())) == 1
        assert 'temp_sensor' not in pages['']
        for file in docs_page.PageFile:
            assert await status_of(api.client, f'{BASE}/docs/{file.value}') == 200
        root = await api.client.get('/', headers=HTML, allow_redirects=False)
        assert (root.status, root.headers['Location']) == (307, f'{BASE}/docs')
        assert (await api.client.get('/')).status == 401


async def test_the_page_needs_a_credential_where_nothing_is_open(tmp_path: Path) -> None:
    """`auth.open_probes` says so; then a credential that may not see finds nothing there."""
    async with serve_api(tmp_path, authentication=KNOWN, open_probes=False) as api:
        for path in ('/docs', '/docs/docs.js', f'{ENTITY}/docs'):
            for headers, status in ((HTML, 401), (HTML | bearer('a'), 200)):
                answer = await api.client.get(f'{BASE}{path}', headers=headers)
                await answer.read()
                assert answer.status == status


def test_the_files_of_others_are_as_they_were_published() -> None:
    """Swagger UI 5.35.0, with its licence, and what the licences of its parts want to be told."""
    folder = Path(docs_page.__file__).parent / 'pages' / 'swagger-ui-dist'
    kept = {
        f'{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}'
        for each in folder.iterdir()
    }
    assert kept == set(SWAGGER_UI.strip().split('\n'))
    package = json.loads((folder / 'package.json').read_text())
    assert (package['name'], package['version'], package['license']) == (
        'swagger-ui-dist', '5.35.0', 'Apache-2.0'
    )  # fmt: skip


@pytest.mark.skipif(find_browser() is None, reason='no browser is installed')
async def test_a_browser_shows_the_page_and_tries_what_it_shows(api: Api, tmp_path: Path) -> None:
    """Through a proxy: an upload, and a start with what the page proposes; it asks nobody else,
    and the browser has no complaint."""
    script = tmp_path / 'check.sh'
    script.write_text('true\n')
    async with proxy(api) as client, browser_page(tmp_path / 'browser') as page:
        base = str((await client.get(f'{PREFIX}{BASE}')).url)
        await page.open(f'{base}{ENTITY}/scripts/docs')
        uploaded = await tried(page, 'scripts-upload_script', script)
        assert uploaded['name'] == 'check.sh'
        await page.open(f'{base}{ENTITY}/scripts/{uploaded["id"]}/docs')
        started = await tried(page, 'executions-start_execution')
        assert started['href'].startswith(f'{PREFIX}{BASE}{ENTITY}/scripts/{uploaded["id"]}/')
        asked = [each for each in page.requests if not each.startswith('data:')]
        assert [each for each in asked if not each.startswith(base)] == []
        assert page.complaints == []


@pytest.mark.skipif(find_browser() is None, reason='no browser is installed')
async def test_a_browser_asks_for_a_token_and_keeps_it_in_the_page(tmp_path: Path) -> None:
    """A wrong one is told; the right one shows the description and goes with what is tried, and
    is kept nowhere."""
    async with (
        serve_api(tmp_path / 'state', authentication=KNOWN) as api,
        browser_page(tmp_path / 'browser') as page,
    ):
        await page.open(f'http://{api.address}{BASE}/docs')
        await give_token(page, 'wrong')
        await page.wait_for('document.querySelector("#refusal").textContent.includes("not known")')
        await give_token(page, 'a')
        entities = await tried(page, 'entities-list_apps')
        assert [each['id'] for each in entities['items']]
        assert await page.evaluate('document.querySelector("#credential").hidden')
        kept = 'JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])'
        assert json.loads(await page.evaluate(kept)) == ['', {}, {}]
        assert 'Bearer' not in await page.evaluate('document.documentElement.outerHTML')
        assert page.complaints
        assert [each for each in page.complaints if '401' not in each] == []


async def give_token(page: Page, token: str) -> None:
    """Type a token into the form, and send it."""
    await page.wait_for('!document.querySelector("#credential").hidden')
    await page.evaluate(f'document.querySelector("#token").value = {json.dumps(token)}')
    await page.click('#credential button')


async def tried(page: Page, operation: str, file: Path | None = None) -> Any:
    """Try an operation as the page proposes; return what it says that the answer was."""
    await page.click(f'#operations-{operation} .opblock-summary-control')
    await page.click(f'#operations-{operation} .try-out__btn')
    if file is not None:
        await page.wait_for('document.querySelector("input[type=file]")')
        await page.choose_file('input[type=file]', file)
    await page.click(f'#operations-{operation} .execute')
    shown = await page.text(f'#operations-{operation} .live-responses-table .microlight code')
    return json.loads(shown)
