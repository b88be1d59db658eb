# SPDX-License-Identifier: Apache-2.0
"""The catalogue of hostile inputs against every route: refused in the API's own words, in time.

Never a 500, always a GenericError (what the HTTP parser refuses aside), the loop never held up.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
import gzip
import json
from pathlib import Path
import socket
import sys
import tracemalloc
from typing import Any
import zlib

from api_support import BASE, form, serve_api
import hostile_inputs
from hostile_inputs import HostileForm, HostileParameters, HostileSchema
import pytest
from raw_requests import (
    assert_refused,
    loop_watched,
    NAMES,
    RawAnswer,
    refused_by_parser,
    Target,
)

from gateway_node.http_server.routes import ROUTES
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.schema_worker import SchemaWorker


@pytest.fixture
async def target(tmp_path: Path) -> AsyncIterator[Target]:
    """Serve a gateway with the real check of schemas, and watch the loop meanwhile."""
    schemas = SchemaWorker(own_processes=OwnProcesses(), deadline_sec=1.0)
    async with serve_api(tmp_path, schemas=schemas) as api:
        script_id = await api.upload('apps/temp_sensor')
        async with loop_watched():
            yield Target(api=api, script_id=script_id)
    await schemas.close()


def routes() -> Iterator[tuple[str, str]]:
    """Return method and path of every route, once for each collection."""
    for method, path in ((route.method, route.path) for route in ROUTES):
        if '{collection' in path:
            for collection in ('apps', 'components'):
                yield method, path.replace('{collection}', collection)
        else:
            yield method, path


def slots(path: str) -> list[str]:
    """Return the names of the ids in a path."""
    return [name for name in (*NAMES, 'script_id') if f'{{{name}}}' in path]


JSON_ROUTES = (
    ('POST', '/apps/{entity_id}/scripts/{script_id}/executions'),
    ('PUT', '/apps/{entity_id}/scripts/{script_id}/executions/{execution_id}'),
)
FORM_ROUTES = (
    ('POST', '/apps/{entity_id}/scripts'),
    ('PUT', '/apps/{entity_id}/scripts/{script_id}'),
)


@pytest.mark.parametrize(('method', 'path'), [route for route in routes() if slots(route[1])])
async def test_a_hostile_id_is_refused_on_every_route(
    target: Target, method: str, path: str
) -> None:
    """400 for what is no id, 404 for what nobody has, in every place of every path."""
    content, content_type = body_for(method, path)
    for slot in slots(path):
        for name, text in hostile_inputs.PATH_SEGMENTS:
            sent = target.path(path, **{slot: text})
            answer = await target.send(method, sent, content, content_type)
            # Dots alone can stand for another path (RFC 3986, 5.2.4), with methods of its own.
            statuses = (400, 404, 405, 200) if 'encoded' in name else (400, 404)
            assert answer.status in statuses, (slot, name, answer)
            assert answer.status == 200 or answer.is_generic_error or refused_by_parser(answer)
            assert 'x-injected' not in answer.headers
    assert await target.api.json('GET', '/apps/temp_sensor/scripts/' + target.script_id)


def body_for(method: str, path: str) -> tuple[bytes, str]:
    """Return a body that is right for a route, and its type."""
    if (method, path.replace('/components/', '/apps/')) in FORM_ROUTES:
        form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\n'
        return form + b'true\n\r\n--b--\r\n', 'multipart/form-data; boundary=b'
    if path.endswith('/executions') and method == 'POST':
        return b'{"execution_type": "now"}', 'application/json'
    if method == 'PUT':
        return b'{"action": "stop"}', 'application/json'
    return b'', ''


@pytest.mark.parametrize('path', sorted({path for _, path in routes()}))
async def test_an_unknown_method_is_refused_on_every_path(target: Target, path: str) -> None:
    """405 with what is allowed; a method that is no word at all is the parser's to refuse."""
    served = {method for method, served_path in routes() if served_path == path}
    for method in set(hostile_inputs.METHODS) - served:
        answer = await target.send(method, target.path(path))
        assert answer.status == 405 or refused_by_parser(answer), (method, answer)
        if answer.status == 405:
            assert answer.is_generic_error
            assert 'GET' in answer.headers['allow'] or 'POST' in answer.headers['allow']


@pytest.mark.parametrize('path', sorted({path for _, path in routes()} | {'/nowhere'}))
async def test_head_is_get_without_a_body(target: Target, path: str) -> None:
    """The same status and headers; load balancers ask like that."""
    there, head = [await target.send(method, target.path(path)) for method in ('GET', 'HEAD')]
    assert (head.status, head.content) == (there.status, b'')
    assert head.headers.keys() == there.headers.keys()
    assert head.headers['content-type'] == there.headers['content-type']


@pytest.mark.parametrize('path', sorted({path for _, path in routes()} | {'/nowhere'}))
async def test_an_unknown_expectation_is_refused_on_every_path(target: Target, path: str) -> None:
    """417 as a GenericError, also for a method or a path that is not there."""
    for method in ('GET', 'POST', 'PUT', 'DELETE', 'PATCH'):
        answer = await target.send(method, target.path(path), headers=['Expect: tea'])
        assert_refused(answer, 417, of=method)
        assert "'tea'" in json.loads(answer.content)['message']


async def test_a_client_that_expects_100_continue_is_asked_for_its_body(target: Target) -> None:
    """The body follows the interim answer; what is refused is a GenericError all the same."""
    path = '/apps/temp_sensor/scripts'
    answer = await target.api.request('POST', path, data=form(b'true\n', 'a.sh'), expect100=True)
    assert answer.status == 201
    path = f'{path}/{target.script_id}/executions'
    answer = await target.api.request('POST', path, json={}, expect100=True)
    assert (answer.status, (await answer.json())['error_code']) == (400, 'invalid-request')


@pytest.mark.parametrize(('method', 'path'), JSON_ROUTES)
async def test_hostile_json_is_refused(target: Target, method: str, path: str) -> None:
    """400 invalid-request for what is no strict JSON object, 413 for what is too large."""
    execution_id = await target.api.start('apps/temp_sensor', target.script_id)
    sent = target.path(path, execution_id=execution_id)
    documents = [(name, text.encode()) for name, text in hostile_inputs.JSON_DOCUMENTS]
    for name, content in (*documents, *hostile_inputs.MORE_JSON_BYTES):
        answer = await target.send(method, sent, content, 'application/json')
        assert_refused(answer, 400, of=name)
        assert json.loads(answer.content)['error_code'] == 'invalid-request'
    huge = b'{"a": "' + b'x' * 1024 * 1024 + b'"}'
    assert_refused(await target.send(method, sent, huge, 'application/json'), 413, of='huge')


WRONG_VALUES: tuple[Any, ...] = (None, True, 7, -1.5, 'x', '', [], ['now'], {}, {'a': 1}, 10**400)


@pytest.mark.parametrize(
    ('method', 'path', 'fields'),
    [
        (*JSON_ROUTES[0], ('execution_type', 'parameters', 'arguments', 'proximity_response')),
        (*JSON_ROUTES[1], ('action',)),
    ],
)
async def test_values_of_a_wrong_type_are_refused(
    target: Target, method: str, path: str, fields: tuple[str, ...]
) -> None:
    """Whatever stands in a field is accepted or a 400, never more."""
    execution_id = await target.api.start('apps/temp_sensor', target.script_id)
    sent = target.path(path, execution_id=execution_id)
    for field in fields:
        for value in WRONG_VALUES:
            good: dict[str, Any] = {'execution_type': 'now'} if method == 'POST' else {}
            content = json.dumps(good | {field: value}).encode()
            answer = await target.send(method, sent, content, 'application/json')
            if answer.status != 202:
                assert_refused(answer, 400, of=(field, value))


@pytest.mark.parametrize(
    ('method', 'path', 'body', 'place'),
    [
        (*JSON_ROUTES[0], b'{"execution_type": "on_restart", "execution_type": "now"}',
         '/execution_type'),
        (*JSON_ROUTES[0], b'{"execution_type": "now", "parameters": {"a": [{"b": 1, "b": 1}]}}',
         '/parameters/a/0/b'),
        (*JSON_ROUTES[1], b'{"action": "x", "action": "stop"}', '/action'),
    ],
)  # fmt: skip
async def test_a_name_that_stands_twice_is_refused(
    target: Target, method: str, path: str, body: bytes, place: str
) -> None:
    """Which of the two was meant nobody can know; the answer says where it stands."""
    execution_id = await target.api.start('apps/temp_sensor', target.script_id)
    sent = target.path(path, execution_id=execution_id)
    answer = await target.send(method, sent, body, 'application/json')
    assert_refused(answer, 400, of=body)
    assert json.loads(answer.content) == {
        'error_code': 'invalid-request',
        'message': f'the body has a name twice, at {place}',
    }


async def test_a_byte_order_mark_is_skipped(target: Target) -> None:
    """Some editors and shells write one before every text; bodies and metadata may have it."""
    mark = b'\xef\xbb\xbf'
    path = target.path(JSON_ROUTES[0][1])
    answer = await target.send(
        'POST', path, mark + b'{"execution_type": "now"}', 'application/json'
    )
    assert answer.status == 202
    answer = await upload(target, mark + b'{"name": "marked"}')
    assert (answer.status, json.loads(answer.content)['name']) == (201, 'marked')


@pytest.mark.parametrize(
    'arguments',
    [['a'] * 257, ['a\0b'], ['x' * 32769], ['\ud800'], [1], 'text', {'0': 'a'}, [['a']], [None]],
    ids=['many', 'NUL', 'long', 'surrogate', 'number', 'text', 'object', 'nested', 'null'],
)
async def test_hostile_arguments_are_refused(target: Target, arguments: object) -> None:
    """400 at the start, and nothing starts."""
    content = json.dumps({'execution_type': 'now', 'arguments': arguments}).encode()
    path = target.path(JSON_ROUTES[0][1])
    assert_refused(await target.send('POST', path, content, 'application/json'), 400, of=arguments)
    assert target.api.runner.started == ()


async def test_hostile_query_values_are_refused(target: Target) -> None:
    """A bad `limit`, a `before` that is no id, and a name that nobody knows are 400."""
    path = target.path('/apps/{entity_id}/scripts/{script_id}/executions')
    for name, text in hostile_inputs.QUERY_VALUES:
        assert_refused(await target.send('GET', f'{path}?limit={text}'), 400, of=name)
    for name, text in hostile_inputs.PATH_SEGMENTS:
        answer = await target.send('GET', f'{path}?before={text}')
        assert answer.status == 400, (name, answer)
        assert answer.is_generic_error
    form = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
    for text in ('x', form[:-1], f'{form}0', form.lower(), form[5:], 'exec_8' + form[6:]):
        answer = await target.send('GET', f'{path}?before={text}')
        assert_refused(answer, 400, of=text)
        assert '"exec_" and 26 digits' in json.loads(answer.content)['message']
    assert (await target.send('GET', f'{path}?before={form}')).status == 200
    assert_refused(await target.send('GET', f'{path}?limit=1&nobody=knows'), 400, of='unknown')


@pytest.mark.parametrize('query', ['limit=1&limit=1000', 'limit=1&limit=1', 'limit=1&li%6dit='])
async def test_a_query_name_that_is_given_twice_is_refused(target: Target, query: str) -> None:
    """400 that names it, whatever the values, as a JSON body with a name twice is refused."""
    path = target.path('/{collection}/{entity_id}/scripts/{script_id}/executions')
    answer = await target.send('GET', f'{path}?{query}')
    assert_refused(answer, 400, of=query)
    body = json.loads(answer.content)
    assert body['error_code'] == 'invalid-parameter'
    assert body['message'] == 'limit is given 2 times; allowed: once'


@pytest.mark.parametrize(('method', 'path'), list(routes()))
async def test_an_unknown_query_parameter_is_refused_on_every_route(
    target: Target, method: str, path: str, tmp_path: Path
) -> None:
    """400 that names it, before a body is asked for: a misspelt parameter never goes unseen."""
    execution_id = await target.api.start('apps/temp_sensor', target.script_id)
    before = stored(tmp_path)
    content, content_type = body_for(method, path)
    filled = target.path(path, execution_id=execution_id)
    for sent in (filled, f'{filled}/', target.path(path, entity_id='nobody')):
        for query in ('?dry_run=true', '?limits', '?%00=%ff&x[]={}'):
            for headers in ([], ['Expect: 100-continue']):
                answer = await target.send(method, sent + query, content, content_type, headers)
                assert_refused(answer, 400, of=sent + query)
                assert 'unknown query parameter' in json.loads(answer.content)['message']
    assert stored(tmp_path) == before
    assert len(target.api.runner.started) == 1
    execution = f'/apps/temp_sensor/scripts/{target.script_id}/executions/{execution_id}'
    assert 'stop_trigger' not in (await target.api.json('GET', execution))[1]


@pytest.mark.parametrize(('method', 'path'), [*JSON_ROUTES, *FORM_ROUTES])
async def test_another_content_type_is_refused(target: Target, method: str, path: str) -> None:
    """415 for each, whatever the body is; a content type never chooses how it is read."""
    execution_id = await target.api.start('apps/temp_sensor', target.script_id)
    sent = target.path(path, execution_id=execution_id)
    content, _ = body_for(method, path)
    for name, content_type in hostile_inputs.CONTENT_TYPES:
        assert_refused(await target.send(method, sent, content, content_type), 415, of=name)


@pytest.mark.parametrize('form', hostile_inputs.MULTIPART, ids=lambda form: form.name)
@pytest.mark.parametrize(('method', 'path'), FORM_ROUTES, ids=['upload', 'replace'])
async def test_a_malformed_upload_is_refused_and_leaves_nothing(
    target: Target, method: str, path: str, form: HostileForm, tmp_path: Path
) -> None:
    """400 or 413, no new script, no changed one, and no file on the disk."""
    before = stored(tmp_path)
    answer = await target.send(method, target.path(path), form.content, form.content_type)
    assert_refused(answer, form.status, of=form.name)
    _, scripts = await target.api.json('GET', '/apps/temp_sensor/scripts')
    assert [script['id'] for script in scripts['items']] == [target.script_id]
    assert stored(tmp_path) == before


@pytest.mark.parametrize('form', hostile_inputs.ODD_MULTIPART, ids=lambda form: form.name)
async def test_an_odd_upload_is_refused_or_stored_as_it_is(
    target: Target, form: HostileForm
) -> None:
    """A header that no form has changes nothing about the bytes of the file."""
    path = target.path(FORM_ROUTES[0][1])
    answer = await target.send('POST', path, form.content, form.content_type)
    if answer.status != 201:
        assert_refused(answer, 400, of=form.name)
        return
    content = await target.send('GET', f'{path}/{json.loads(answer.content)["id"]}/content')
    assert content.content == b'true\n'


def stored(directory: Path) -> dict[Path, bytes]:
    """Return every file below a directory, with what it holds."""
    return {path: path.read_bytes() for path in directory.rglob('*') if path.is_file()}


async def test_hostile_file_names_are_refused(target: Target, tmp_path: Path) -> None:
    """400 for each, as they are or percent-encoded, and no file of such a name anywhere."""
    before = stored(tmp_path)
    for name, text in hostile_inputs.FILE_NAMES:
        raw = text.encode('utf-8', 'surrogatepass')
        encoded = ''.join(f'%{byte:02x}' for byte in raw)
        escaped = raw.replace(b'\\', b'\\\\')
        for parameter in (b'filename="' + escaped + b'"', f"filename*=utf-8''{encoded}".encode()):
            content = (
                b'--b\r\nContent-Disposition: form-data; name="file"; ' + parameter + b'\r\n\r\n'
                b'true\n\r\n--b--\r\n'
            )
            path, content_type = target.path('/apps/{entity_id}/scripts'), HostileForm('', b'')
            answer = await target.send('POST', path, content, content_type.content_type)
            assert_refused(answer, 400, of=(name, parameter))
    assert stored(tmp_path) == before


def bombs() -> list[Any]:
    """Return bodies that grow a thousandfold, and what only claims to be compressed."""
    zeros = b'\0' * 50_000_000
    spaces = b'{"a": "' + b' ' * 50_000_000 + b'"}'
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    return [
        pytest.param('gzip', gzip.compress(spaces), id='gzip'),
        pytest.param('deflate', zlib.compress(spaces), id='zlib'),
        pytest.param('deflate', raw.compress(spaces) + raw.flush(), id='deflate'),
        pytest.param('gzip', gzip.compress(gzip.compress(zeros)), id='gzip in gzip'),
        pytest.param('gzip', b'\x1f\x8bnothing', id='no gzip'),
        pytest.param('gzip', gzip.compress(spaces)[:1000], id='half a gzip'),
        pytest.param('br', b'\xff' * 100, id='no brotli'),
        pytest.param('gzip, gzip', gzip.compress(zeros), id='twice'),
        pytest.param('klingon', b'{}', id='unknown'),
    ]


@pytest.mark.parametrize(('encoding', 'content'), bombs())
async def test_no_compressed_body_is_inflated(
    target: Target, encoding: str, content: bytes
) -> None:
    """415, and what it would grow to is at no moment in the memory."""
    execution_id = await target.api.start('apps/temp_sensor', target.script_id)
    tracemalloc.start()
    try:
        for method, path in (*JSON_ROUTES, *FORM_ROUTES):
            sent = target.path(path, execution_id=execution_id)
            content_type = body_for(method, path)[1]
            header = f'Content-Encoding: {encoding}'
            answer = await target.send(method, sent, content, content_type, [header])
            assert_refused(answer, 415, of=path)
        assert tracemalloc.get_traced_memory()[1] < len(content) + 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize('coding', ['gzip', 'GZIP', 'identity, br', 'x', 'gzip;q=1', '"', '\xff'])
async def test_a_content_coding_is_refused_on_every_route_before_the_body_comes(
    target: Target, coding: str
) -> None:
    """415 that says what is taken, in place of 100 Continue too; the body is not waited for."""
    header = f'Content-Encoding: {coding}'
    for method, path in (*routes(), ('PATCH', '/apps'), ('POST', '/nowhere')):
        for headers in ([header], [header, 'Expect: 100-continue']):
            answer = await target.send(method, target.path(path), headers=headers, length=9999)
            assert_refused(answer, 415, of=(method, path))
            assert answer.headers['accept-encoding'] == 'identity'


async def test_the_coding_identity_is_none(target: Target) -> None:
    """`identity`, in any case, again and again, and an empty list change nothing."""
    path = '/apps/temp_sensor/scripts'
    for coding in ('identity', 'Identity', 'identity, identity', ','):
        answer = await target.api.request(
            'POST', path, data=form(b'true\n', 'a.sh'), headers={'Content-Encoding': coding}
        )
        assert answer.status == 201, coding


@pytest.mark.parametrize('schema', hostile_inputs.REFUSED_SCHEMAS, ids=lambda each: each.name)
async def test_a_hostile_schema_is_refused_at_upload(
    target: Target, schema: HostileSchema
) -> None:
    """400, and no script."""
    answer = await upload(target, json.dumps({'parameters_schema': schema.schema}).encode())
    assert_refused(answer, 400, of=schema.name)
    _, scripts = await target.api.json('GET', '/apps/temp_sensor/scripts')
    assert [script['id'] for script in scripts['items']] == [target.script_id]


@pytest.mark.parametrize('schema', hostile_inputs.ACCEPTED_SCHEMAS, ids=lambda each: each.name)
async def test_a_schema_that_only_looks_hostile_is_accepted(
    target: Target, schema: HostileSchema
) -> None:
    """201: what is no reference, no dialect and no pattern is data."""
    answer = await upload(target, json.dumps({'parameters_schema': schema.schema}).encode())
    assert answer.status == 201, answer


@pytest.mark.parametrize('case', hostile_inputs.COSTLY_PARAMETERS, ids=lambda case: case.name)
async def test_costly_parameters_are_refused_in_time(
    target: Target, case: HostileParameters
) -> None:
    """400 past the deadline of the check, while the gateway answers others."""
    answer = await upload(target, json.dumps({'parameters_schema': case.schema}).encode())
    assert answer.status == 201, answer
    path = target.path(JSON_ROUTES[0][1], script_id=json.loads(answer.content)['id'])
    body = json.dumps({'execution_type': 'now', 'parameters': case.parameters}).encode()
    starting = asyncio.create_task(target.send('POST', path, body, 'application/json'))
    health = await target.send('GET', f'{BASE}/health')
    assert health.status == 200
    assert_refused(await starting, 400, of=case.name)
    assert target.api.runner.started == ()


@pytest.mark.parametrize('document', hostile_inputs.METADATA, ids=lambda each: each.name)
async def test_hostile_metadata_are_refused(
    target: Target, document: hostile_inputs.HostileDocument
) -> None:
    """400 for each, whether the JSON or the metadata rules refuse it."""
    try:
        metadata = json.dumps(document.document).encode()
    except ValueError:  # a number with more digits than Python writes
        metadata = b'{"timeout_sec": 1' + b'0' * 5000 + b'}'
    assert_refused(await upload(target, metadata), 400, of=document.name)


async def test_no_schema_opens_a_url_or_a_file(target: Target, tmp_path: Path) -> None:
    """Nobody connects to a server that schemas refer to, and nobody opens the file."""
    file = tmp_path / 'schema.json'
    file.write_text('{}')
    opened: list[str] = []
    watching = True

    def audit(event: str, details: tuple[object, ...]) -> None:
        if watching and event == 'open' and str(details[0]).endswith('schema.json'):
            opened.append(str(details[0]))

    sys.addaudithook(audit)
    read_before = file.stat().st_atime_ns
    with socket.create_server(('127.0.0.1', 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        for keyword in ('$ref', '$dynamicRef', '$schema', '$id'):
            for reference in (f'http://127.0.0.1:{port}/schema.json', file.as_uri(), str(file)):
                for schema in ({keyword: reference}, {'properties': {'a': {keyword: reference}}}):
                    metadata = json.dumps({'parameters_schema': schema}).encode()
                    answer = await upload(target, metadata)
                    assert answer.status in (201, 400)
                    if answer.status == 201:
                        await start_with(target, json.loads(answer.content)['id'], {'a': 1})
        with pytest.raises(BlockingIOError):
            server.accept()
    watching = False
    assert opened == []
    assert file.stat().st_atime_ns == read_before


async def start_with(target: Target, script_id: str, parameters: dict[str, Any]) -> None:
    """Start a script with parameters, whatever comes of it."""
    body = json.dumps({'execution_type': 'now', 'parameters': parameters}).encode()
    path = target.path(JSON_ROUTES[0][1], script_id=script_id)
    answer = await target.send('POST', path, body, 'application/json')
    assert answer.status in (202, 400), answer


async def upload(target: Target, metadata: bytes) -> RawAnswer:
    """Upload a script with these metadata."""
    content = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\ntrue\n\r\n'
        b'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n' + metadata + b'\r\n'
        b'--b--\r\n'
    )
    path = target.path('/apps/{entity_id}/scripts')
    return await target.send('POST', path, content, 'multipart/form-data; boundary=b')
