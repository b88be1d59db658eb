# SPDX-License-Identifier: Apache-2.0
"""Where TLS is spoken, scripts reach their gateway over a port of their own."""

from collections.abc import AsyncIterator
import contextlib
from dataclasses import dataclass
import hashlib
from pathlib import Path

from aiohttp import ClientSession, FormData
from api_support import Api, BASE, serve_api
from assembled_gateway import assembled_gateway
from certificates import Authority
from clients import bearer, KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Role
from gateway_node.http_server.certificates import Certificates

NODE = NodeName(namespace='/', name='temp_sensor')
ASKS_ITS_GATEWAY = b"""
import json, os, urllib.request
request = urllib.request.Request(os.environ['GATEWAY_URL'] + '/apps/temp_sensor')
if credentials := os.environ.get('GATEWAY_CREDENTIALS'):
    request.add_header(*open(credentials).read().strip().split(': ', 1))
with urllib.request.urlopen(request) as answer:
    found = json.load(answer)['id']
print(json.dumps({'url': answer.url, 'found': found, 'has_credentials': bool(credentials)}))
"""
TOKEN = 'gwt_of_anna'


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A gateway that speaks TLS and lets in who shows a certificate, and what its script has."""

    api: Api
    script: ClientSession


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Serve it to a person, and on its port of scripts."""
    robots, people = Authority('robots'), Authority('people')
    files = robots.issue().write(tmp_path / 'server', client_ca=people.certificate)
    certificates = Certificates(files)
    await certificates.open()
    anna = Credential(name='anna', role=Role.OPERATOR)
    of_script = Credential(name='anna', role=Role.OPERATOR, execution='exec_1')
    async with contextlib.AsyncExitStack() as undo:
        api = await undo.enter_async_context(
            serve_api(
                tmp_path,
                certificates=certificates,
                trust=robots.trust(people.issue('anna').write(tmp_path / 'anna')),
                authentication=Authentication(
                    [KnownTokens({'person': anna})], made_here=[KnownTokens({'script': of_script})]
                ),
                trusted_proxies=('127.0.0.0/8',),
            )
        )
        yield Stage(
            api=api, script=await undo.enter_async_context(ClientSession(api.url_of_scripts))
        )


async def test_a_script_needs_no_certificate_and_knows_no_authority(stage: Stage) -> None:
    """Plain HTTP on loopback; no browser is told that TLS is spoken there."""
    assert stage.api.url_of_scripts.startswith('http://127.0.0.1:')
    answer = await stage.script.get(f'{BASE}/apps', headers=bearer('script'))
    assert answer.status == 200
    assert 'Strict-Transport-Security' not in answer.headers


@pytest.mark.parametrize('path', ['/apps', '/health', '/health/live', '/version-info', '/'])
async def test_nobody_else_gets_past_the_wall_there(stage: Stage, path: str) -> None:
    """A person's token is not taken, nor is anything open to all."""
    for headers in ({}, bearer('person'), bearer('nonsense')):
        assert (await stage.script.get(f'{BASE}{path}', headers=headers)).status in (401, 404)
    assert (await stage.api.client.get(f'{BASE}/apps', headers=bearer('person'))).status == 200


async def test_no_proxy_is_believed_there(stage: Stage) -> None:
    """Whoever sends these headers is a script, and nowhere else."""
    headers = {'X-Forwarded-For': '192.0.2.9', 'X-Forwarded-Prefix': '/elsewhere'}
    answer = await stage.script.get(f'{BASE}/apps', headers=headers | bearer('script'))
    assert (await answer.json())['items'][0]['href'].startswith(BASE)


@pytest.mark.parametrize('asks_for_credentials', [False, True])
async def test_a_script_asks_its_gateway(tmp_path: Path, *, asks_for_credentials: bool) -> None:
    """With what it has in its environment, and nothing more."""
    robots, people = Authority('robots'), Authority('people')
    files = robots.issue().write(tmp_path / 'server', client_ca=people.certificate)
    parameters = {
        'server.tls.certificate_file': str(files.certificate),
        'server.tls.key_file': str(files.key),
        'server.tls.client_ca_file': str(files.client_ca),
        'python.warm': False,
    }
    if asks_for_credentials:
        tokens = tmp_path / 'tokens.yaml'
        tokens.touch(mode=0o600)
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        tokens.write_text(f'tokens: [{{name: anna, role: admin, sha256: "{digest}"}}]\n')
        parameters['auth.tokens_file'] = str(tokens)
    async with assembled_gateway(
        tmp_path / 'state',
        GraphSnapshot(nodes=frozenset({NODE})),
        parameters=parameters,
        trust=robots.trust(people.issue('anna').write(tmp_path / 'anna')),
    ) as client:
        client.headers.update(bearer(TOKEN) if asks_for_credentials else {})
        form = FormData()
        form.add_field('file', ASKS_ITS_GATEWAY, filename='asks.py')
        scripts = f'{BASE}/apps/temp_sensor/scripts'
        script = await (await client.post(scripts, data=form)).json()
        answer = await client.post(
            f'{scripts}/{script["id"]}/executions',
            json={'execution_type': 'now'},
            headers={'Prefer': 'wait=60'},
        )
        execution = await answer.json()
        assert execution['status'] == 'completed', execution
        said = execution['parameters']
        assert said.pop('url').startswith('http://127.0.0.1:')
        assert said == {'found': 'temp_sensor', 'has_credentials': asks_for_credentials}
