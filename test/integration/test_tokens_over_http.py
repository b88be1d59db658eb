# SPDX-License-Identifier: Apache-2.0
"""Tokens for a while over HTTP, as clients of OAuth ask for them, those of ros2_medkit too."""

import base64
from collections.abc import AsyncIterator, Mapping
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

from api_support import Api, BASE, serve_api
from clients import bearer, KnownTokens
from fakes import FakeClock
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.access.failures import Failures, FREE_FAILURES
from gateway_node.access.sessions import Sessions
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

FORM = {'Content-Type': 'application/x-www-form-urlencoded'}
JSON = {'Content-Type': 'application/json'}
OPERATOR = {'client_id': 'operator', 'client_secret': 'operator_secret'}
CLIENT = {'grant_type': 'client_credentials', **OPERATOR}
ODD_SECRET = 'a:b c+d%ä'
OPENING = pytest.mark.parametrize('path', ['/auth/authorize', '/auth/token'])
EVERY = pytest.mark.parametrize('path', ['/auth/authorize', '/auth/token', '/auth/revoke'])


@pytest.fixture
def tokens() -> KnownTokens:
    """Return a tokens file with an entry for each role, and one with an odd secret."""
    roles = {
        f'{role.value}_secret': Credential(name=role.value, role=role, scope=Scope())
        for role in Role
    }
    return KnownTokens(roles | {ODD_SECRET: Credential(name='o d:d', role=Role.VIEWER)})


@pytest.fixture
async def api(tmp_path: Path, tokens: KnownTokens) -> AsyncIterator[Api]:
    """Serve a gateway with these clients, and an audit."""
    clock = FakeClock()
    failures = Failures(clock.monotonic)
    sessions = Sessions(tokens, failures, clock, access_sec=3600, refresh_sec=86400)
    authentication = Authentication([tokens], made_here=[sessions], failures=failures)
    async with serve_api(tmp_path, authentication=authentication, sessions=sessions) as api:
        yield api


async def asked(
    api: Api, path: str, parameters: Mapping[str, str], *, as_form: bool = False, **headers: str
) -> tuple[int, dict[str, Any]]:
    """Send parameters as JSON or as a form; return status and body."""
    body = urlencode(parameters) if as_form else json.dumps(parameters)
    kind = FORM if as_form else JSON
    status, answer = await api.json('POST', path, data=body, headers={**kind, **headers})
    if status >= 400 and status != 429:
        assert answer['error_description'] == answer['message']
    return status, answer


async def opened(api: Api, **others: str) -> dict[str, Any]:
    """Begin a session; return what is answered."""
    status, answer = await asked(api, '/auth/authorize', {**CLIENT, **others})
    assert status == 200, answer
    return answer


def contents_below(directory: Path) -> list[bytes]:
    """Return what is in all files."""
    return [file.read_bytes() for file in directory.rglob('*') if file.is_file()]


async def seen(api: Api, token: str) -> int:
    """Return how a request with an access token is answered."""
    return (await api.request('GET', '/apps', headers=bearer(token))).status


@OPENING
@pytest.mark.parametrize('as_form', [True, False])
@pytest.mark.parametrize('role', Role)
async def test_a_client_gets_tokens_for_its_secret(
    api: Api, path: str, as_form: bool, role: Role
) -> None:
    """As a form, as RFC 6749 has it, and as JSON, as ros2_medkit does; what it gets opens."""
    parameters = {
        'grant_type': 'client_credentials',
        'client_id': role.value,
        'client_secret': f'{role.value}_secret',
    }
    status, answer = await asked(api, path, parameters, as_form=as_form)
    assert status == 200
    assert answer.keys() == {
        'access_token',
        'token_type',
        'expires_in',
        'scope',
        'refresh_token',
    }
    assert (answer['token_type'], answer['expires_in'], answer['scope']) == (
        'Bearer',
        3600,
        role.value,
    )
    assert await seen(api, answer['access_token']) == 200
    upload = await api.request(
        'POST', '/apps/temp_sensor/scripts', headers=bearer(answer['access_token'])
    )
    assert (upload.status == 403) == (role in (Role.VIEWER, Role.OPERATOR))


@OPENING
async def test_nobody_keeps_what_is_answered(api: Api, path: str) -> None:
    """Neither a browser nor a proxy (RFC 6749, section 5.1)."""
    answer = await api.request('POST', path, json=CLIENT)
    assert answer.headers['Cache-Control'] == 'no-store'
    assert answer.headers['Pragma'] == 'no-cache'


def basic(name: str, secret: str) -> str:
    """Return what a client says of itself in a header."""
    encoded = f'{quote_plus(name)}:{quote_plus(secret)}'.encode()
    return f'Basic {base64.b64encode(encoded).decode()}'


@OPENING
@pytest.mark.parametrize(('name', 'secret'), [('viewer', 'viewer_secret'), ('o d:d', ODD_SECRET)])
async def test_a_client_may_say_who_it_is_in_the_header(
    api: Api, path: str, name: str, secret: str
) -> None:
    """Whatever characters its name and its secret have (RFC 6749, section 2.3.1)."""
    status, answer = await asked(
        api,
        path,
        {'grant_type': 'client_credentials'},
        as_form=True,
        Authorization=basic(name, secret),
    )
    assert (status, answer['scope']) == (200, 'viewer')


@OPENING
async def test_a_wrong_client_is_told_so_and_no_more(api: Api, path: str) -> None:
    """The same for a wrong name and a wrong secret, in OAuth's words and in SOVD's."""
    wrong = ({'client_secret': 'wrong'}, {'client_id': 'unknown'}, {'client_id': 'admin'})
    bodies = []
    for each in wrong:
        answer = await api.request('POST', path, json=CLIENT | each)
        assert answer.status == 401
        assert answer.headers['WWW-Authenticate'] == 'Basic realm="gateway_node"'
        bodies.append(await answer.json())
    assert bodies[0] == bodies[1] == bodies[2]
    told = (bodies[0]['error'], bodies[0]['error_code'])
    assert told == ('invalid_client', 'insufficient-access-rights')
    assert bodies[0]['message'] == bodies[0]['error_description']


@EVERY
async def test_a_header_that_names_no_client_is_a_wrong_client(api: Api, path: str) -> None:
    """Whatever is in the body."""
    parameters = {'grant_type': 'client_credentials', 'token': 'x'}
    for header in (
        'Basic',
        'Basic !',
        'Basic b3BlcmF0b3I=',
        'Bearer operator_secret',
        'x',
        'Basic /w==',
    ):
        status, answer = await asked(api, path, parameters, Authorization=header)
        assert (status, answer['error']) == (401, 'invalid_client')


WRONG: tuple[tuple[dict[str, str], str], ...] = (
    ({}, 'invalid_request'),
    (OPERATOR, 'invalid_request'),
    (CLIENT | {'grant_type': ''}, 'invalid_request'),
    (CLIENT | {'client_id': ''}, 'invalid_request'),
    (CLIENT | {'client_secret': ''}, 'invalid_request'),
    ({'grant_type': 'client_credentials'}, 'invalid_request'),
    (CLIENT | {'grant_type': 'authorization_code'}, 'unsupported_grant_type'),
    (CLIENT | {'grant_type': 'password'}, 'unsupported_grant_type'),
    (CLIENT | {'scope': 'admin'}, 'invalid_scope'),
    (CLIENT | {'scope': 'viewer operator'}, 'invalid_scope'),
)


@OPENING
@pytest.mark.parametrize('as_form', [True, False])
async def test_a_wrong_request_is_answered_as_oauth_wants_it(
    api: Api, path: str, as_form: bool
) -> None:
    """400, with the words of RFC 6749, section 5.2."""
    for parameters, error in WRONG:
        status, answer = await asked(api, path, parameters, as_form=as_form)
        assert (status, answer['error']) == (400, error), parameters


BROKEN: tuple[tuple[dict[str, str], bytes], ...] = (
    (JSON, b'{'),
    (JSON, b'[]'),
    (JSON, b''),
    (JSON, b'{"grant_type": 7, "token": 7}'),
    (JSON, b'{"grant_type": "a", "grant_type": "b", "token": "c"}'),
    (FORM, b'grant_type=a&grant_type=b&token=c&token=d'),
    (FORM, b'grant_type=%ff&token=%ff'),
    (FORM, b'\xff'),
    (FORM, b''),
    (FORM, b'&'.join(b'a%d=1' % number for number in range(40))),
)


@EVERY
async def test_a_body_that_is_broken_is_an_invalid_request(api: Api, path: str) -> None:
    """A parameter that is there twice, too (RFC 6749, section 3.2)."""
    for kind, body in BROKEN:
        status, answer = await api.json('POST', path, data=body, headers=kind)
        assert (status, answer['error']) == (400, 'invalid_request'), body


@EVERY
async def test_a_body_is_a_form_or_json_and_small(api: Api, path: str) -> None:
    """Everything else has the answers that it has elsewhere."""
    text = await api.request('POST', path, data=b'x', headers={'Content-Type': 'text/plain'})
    assert text.status == 415
    assert (await api.request('POST', path, data=b'a' * 20_000, headers=FORM)).status == 413


@OPENING
async def test_what_is_not_known_is_ignored(api: Api, path: str) -> None:
    """RFC 6749, section 3.2, wants it so: clients send what other servers need."""
    status, _ = await asked(api, path, CLIENT | {'audience': 'x', 'resource': 'y'}, as_form=True)
    assert status == 200
    status, _ = await asked(api, path, CLIENT | {'scope': '', 'refresh_token': ''})
    assert status == 200


@OPENING
async def test_a_client_says_in_one_way_who_it_is(api: Api, path: str) -> None:
    """In the header or in the body (RFC 6749, section 2.3)."""
    header = basic('operator', 'operator_secret')
    status, answer = await asked(api, path, CLIENT, Authorization=header)
    assert (status, answer['error']) == (400, 'invalid_request')
    named = {'grant_type': 'client_credentials', 'client_id': 'operator'}
    assert (await asked(api, path, named, Authorization=header))[0] == 200
    other = named | {'client_id': 'admin'}
    assert (await asked(api, path, other, Authorization=header))[1]['error'] == 'invalid_request'


async def test_a_refresh_token_gets_the_next_tokens_once(api: Api) -> None:
    """As ros2_medkit's clients do it, without their secret; a second time ends the session."""
    first = await opened(api, scope='operator')
    refresh = {'grant_type': 'refresh_token', 'refresh_token': first['refresh_token']}
    status, second = await asked(api, '/auth/token', refresh)
    assert (status, second['scope']) == (200, 'operator')
    assert second['access_token'] != first['access_token']
    assert await seen(api, second['access_token']) == 200
    status, answer = await asked(api, '/auth/token', refresh)
    assert (status, answer['error']) == (400, 'invalid_grant')
    assert await seen(api, second['access_token']) == 401


async def test_a_refresh_is_for_the_token_endpoint_alone(api: Api) -> None:
    """And needs a token."""
    refresh = {'grant_type': 'refresh_token', 'refresh_token': 'x'}
    status, answer = await asked(api, '/auth/authorize', refresh)
    assert (status, answer['error']) == (400, 'unsupported_grant_type')
    assert answer['message'].endswith('allowed: client_credentials')
    status, answer = await asked(api, '/auth/token', {'grant_type': 'refresh_token'})
    assert (status, answer['error']) == (400, 'invalid_request')


async def test_a_client_that_refreshes_may_say_who_it_is(api: Api) -> None:
    """Then it has to be who it says, and the token its own."""
    refresh = {
        'grant_type': 'refresh_token',
        'refresh_token': (await opened(api))['refresh_token'],
    }
    wrong = refresh | {'client_id': 'operator', 'client_secret': 'wrong'}
    assert (await asked(api, '/auth/token', wrong))[0] == 401
    viewer = basic('viewer', 'viewer_secret')
    status, answer = await asked(api, '/auth/token', refresh, Authorization=viewer)
    assert (status, answer['error']) == (400, 'invalid_grant')
    assert (await asked(api, '/auth/token', refresh | OPERATOR))[0] == 200


@pytest.mark.parametrize('which', ['access_token', 'refresh_token'])
async def test_a_session_is_revoked_by_a_token_of_it(api: Api, which: str) -> None:
    """RFC 7009: whatever kind it is said to be; and again, and by one that never was."""
    for as_form in (True, False):
        for hint in ({}, {'token_type_hint': 'access_token'}, {'token_type_hint': 'made_up'}):
            issued = await opened(api)
            for token in (issued[which], issued[which], 'never'):
                revoke = {'token': token, **hint}
                status, answer = await asked(api, '/auth/revoke', revoke, as_form=as_form)
                assert (status, answer) == (200, {'status': 'revoked'})
            assert await seen(api, issued['access_token']) == 401
            refresh = {'grant_type': 'refresh_token', 'refresh_token': issued['refresh_token']}
            assert (await asked(api, '/auth/token', refresh))[1]['error'] == 'invalid_grant'


async def test_who_revokes_and_says_who_they_are_has_to_be(api: Api) -> None:
    """Possession of the token is enough, and a wrong secret too much."""
    issued = await opened(api)
    revoke = {'token': issued['access_token'], 'client_id': 'operator', 'client_secret': 'wrong'}
    status, answer = await asked(api, '/auth/revoke', revoke)
    assert (status, answer['error']) == (401, 'invalid_client')
    assert await seen(api, issued['access_token']) == 200


async def test_wrong_secrets_slow_down_as_wrong_tokens_do(api: Api) -> None:
    """They are counted together."""
    wrong = CLIENT | {'client_secret': 'wrong'}
    for _ in range(FREE_FAILURES):
        assert (await asked(api, '/auth/authorize', wrong))[0] == 401
    answer = await api.request('POST', '/auth/token', json=CLIENT)
    assert answer.status == 429
    assert int(answer.headers['Retry-After']) >= 1
    assert await seen(api, 'guess') == 429


async def test_a_session_ends_with_the_entry_of_its_client(api: Api, tokens: KnownTokens) -> None:
    """At once; a token that is taken out opens nothing by what it opened before."""
    issued = await opened(api)
    del tokens.credentials['operator_secret']
    assert await seen(api, issued['access_token']) == 401


@EVERY
async def test_without_clients_there_is_nothing_to_ask_for(tmp_path: Path, path: str) -> None:
    """The answer says which parameter there is."""
    async with serve_api(tmp_path) as api:
        status, answer = await api.json('POST', path, json=CLIENT | {'token': 'x'})
    assert (status, 'auth.tokens_file' in answer['message']) == (404, True)


async def test_no_secret_is_logged_or_answered(
    api: Api, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Right or wrong, whatever the level of the log is, and in no file."""
    caplog.set_level(logging.DEBUG)
    issued = await opened(api)
    shown = [*(issued[name] for name in ('access_token', 'refresh_token')), 'operator_secret']
    answered = ''
    for parameters in (
        CLIENT | {'client_secret': shown[0]},
        CLIENT | {'client_secret': shown[1], 'scope': 'root'},
        {'grant_type': 'refresh_token', 'refresh_token': shown[0]},
        {'grant_type': 'refresh_token', 'refresh_token': shown[1] + 'x'},
        {'grant_type': 'refresh_token', 'refresh_token': shown[1]},
    ):
        answered += await (await api.request('POST', '/auth/token', json=parameters)).text()
    answered += await (await api.request('GET', '/apps', headers=bearer(shown[1]))).text()
    kept = contents_below(tmp_path)
    for secret in shown:
        assert secret not in answered
        assert secret not in caplog.text
        assert not any(secret.encode() in content for content in kept)


async def test_the_audit_names_who_was_given_tokens(api: Api) -> None:
    """And of a wrong secret nobody: it may be anybody's."""
    await opened(api)
    await asked(api, '/auth/authorize', CLIENT | {'client_secret': 'wrong'})
    _, audit = await api.json('GET', '/audit', headers=bearer('admin_secret'))
    told = [(each['status'], each.get('name')) for each in audit['items']]
    assert sorted(told) == [(200, 'operator'), (401, None)]
    assert 'operator_secret' not in json.dumps(audit)


async def test_a_page_elsewhere_asks_for_nothing(api: Api) -> None:
    """Its browser may know neither secret nor token, and is refused as for every change."""
    answer = await api.client.post(
        f'{BASE}/auth/authorize', json=CLIENT, headers={'Origin': 'https://evil.example'}
    )
    assert answer.status == 403


async def test_the_audit_tells_as_whom_tokens_were_asked_for(api: Api) -> None:
    """The id that was given, right or not, in the body or in the header; no secret, though one
    stand in its place, and nothing that no client is called."""
    named = {'grant_type': 'client_credentials', 'client_secret': 'wrong'}
    pair = base64.b64encode(b'viewer:wrong').decode()
    await opened(api)
    await asked(api, '/auth/authorize', {**named, 'client_id': 'admin'}, as_form=True)
    await asked(
        api,
        '/auth/token',
        {'grant_type': 'client_credentials'},
        Authorization=f'Basic {pair}',
    )
    for no_id in ('gwt_in_the_wrong_place', 'a\nb'):
        await asked(api, '/auth/revoke', {**named, 'token': 'x', 'client_id': no_id})
    status, page = await api.json('GET', '/audit', headers=bearer('admin_secret'))
    assert status == 200
    assert [(each.get('asked_as'), each['status']) for each in reversed(page['items'])] == [
        ('operator', 200),
        ('admin', 401),
        ('viewer', 401),
        (None, 401),
        (None, 401),
    ]
    assert 'gwt_' not in json.dumps(page)
