# SPDX-License-Identifier: Apache-2.0
"""The hardened configuration that comes with the package, with files made as its comments say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import http.client
import json
from pathlib import Path
import re
import ssl
import subprocess
import sys
from typing import Any

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from certificates import Authority
from gateway_process import Answer, entry_point, nothing_left, refused, started

HARDENED = Path(__file__).parents[2] / 'config' / 'hardened.yaml'
FOLDER = '/etc/gateway_node'
"""Where its files are."""
_SERVING = re.compile(r'serving https://\S+:(\d+)/api/v1')

SHOW_CODE = '#!/bin/sh\ncat > "${0%/*}/shown.json"\n'
"""In place of a display."""


@dataclass(frozen=True, kw_only=True)
class HardenedGateway:
    """A gateway that serves, as the network sees it."""

    port: int
    authorities: Path
    client: tuple[Path, Path]
    """The certificate of a client, and its key."""
    tokens: Mapping[str, str]
    folder: Path

    def request(
        self,
        name: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        with_certificate: bool = True,
    ) -> Answer:
        """Send a request, with the token of who it is; form data where the body is bytes."""
        headers = {} if name is None else {'Authorization': f'Bearer {self.tokens[name]}'}
        if isinstance(body, bytes):
            headers['Content-Type'] = 'multipart/form-data; boundary=b'
        elif body is not None:
            headers['Content-Type'] = 'application/json'
            body = json.dumps(body)
        tls = ssl.create_default_context(cafile=str(self.authorities))
        if with_certificate:
            tls.load_cert_chain(*self.client)
        connection = http.client.HTTPSConnection(
            '127.0.0.1', self.port, context=tls, timeout=DEADLINE_SEC
        )
        try:
            connection.request(method, f'/api/v1{path}', body, headers)
            response = connection.getresponse()
            told = {key.lower(): value for key, value in response.getheaders()}
            return Answer(status=response.status, headers=told, content=response.read())
        finally:
            connection.close()


def make_token(file: Path, name: str, role: str, *options: str) -> str:
    """Make a token as an operator does; return it."""
    command = [sys.executable, '-m', 'gateway_node.access.token_command']
    command += ['--file', str(file), '--name', name, '--role', role, *options]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return made.stdout.strip()


def made_in(folder: Path) -> tuple[Path, dict[str, str]]:
    """Make the files that the configuration names; return it as it is there, and the tokens."""
    authority, clients = Authority(), Authority('clients')
    authority.issue().write(folder, client_ca=clients.certificate)
    (folder / 'authority.pem').write_bytes(authority.certificate)
    clients.issue('fleet').write(folder / 'client')
    show_code = folder / 'show_code'
    show_code.write_text(SHOW_CODE)
    show_code.chmod(0o755)
    tokens_file = folder / 'tokens.yaml'
    tokens = {
        'vera': make_token(tokens_file, 'vera', 'viewer'),
        'anna': make_token(tokens_file, 'anna', 'operator', '--scripts', 'move*'),
        'carl': make_token(tokens_file, 'carl', 'configurator', '--expires-in', '90d'),
        'root': make_token(tokens_file, 'root', 'admin'),
    }
    configuration = folder / 'hardened.yaml'
    configuration.write_text(HARDENED.read_text().replace(FOLDER, str(folder)))
    return configuration, tokens


@pytest.fixture(scope='module')
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HardenedGateway]:
    """Return a gateway that was started with it."""
    folder = tmp_path_factory.mktemp('hardened')
    configuration, tokens = made_in(folder)
    command = entry_point(folder / 'state', {}, '--params-file', str(configuration))
    with nothing_left(), started(command, folder) as (process, log):
        found = wait_for(
            lambda: _SERVING.search(log.read_text(encoding='utf-8')),
            lambda found: found is not None or process.poll() is not None,
            what='the gateway serves',
        )
        assert found is not None, log.read_text()
        yield HardenedGateway(
            port=int(found[1]),
            authorities=folder / 'authority.pem',
            client=(folder / 'client/certificate.pem', folder / 'client/key.pem'),
            tokens=tokens,
            folder=folder,
        )
        process.terminate()
        assert process.wait(DEADLINE_SEC) == 0
        said = log.read_text()
    assert 'Traceback' not in said
    assert not [token for token in tokens.values() if token in said]


def form(name: str, *, needs_proof: bool = False) -> bytes:
    """Build the form of an upload."""
    parts = {
        f'name="file"; filename="{name}.sh"': 'echo \'{"moved": true}\'\n',
        'name="metadata"': json.dumps({'name': name, 'proximity_proof_required': needs_proof}),
    }
    lines = [
        f'--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n'
        for head, content in parts.items()
    ]
    return f'{"".join(lines)}--b--\r\n'.encode()


def test_who_has_no_certificate_gets_no_answer(hardened: HardenedGateway) -> None:
    """Not even that something is wrong with the request."""
    with pytest.raises(ssl.SSLError, match='certificate required'):
        hardened.request('root', 'GET', '/health', with_certificate=False)


def test_a_certificate_is_no_credential(hardened: HardenedGateway) -> None:
    """No path is open to who shows no token."""
    for path in ('/health/live', '/version-info', '/apps', '/auth/authorize'):
        answer = hardened.request(None, 'GET', path)
        assert answer.status in (401, 405), path
    assert hardened.request('vera', 'GET', '/health').status == 200


def test_each_does_what_their_role_allows(hardened: HardenedGateway) -> None:
    """From the upload to the audit, with a proof of who stands beside the robot."""
    host = hardened.request('vera', 'GET', '/components').body['items'][0]['id']
    scripts = f'/components/{host}/scripts'
    upload = form('move_arm', needs_proof=True)
    assert hardened.request('anna', 'POST', scripts, upload).status == 403
    answer = hardened.request('carl', 'POST', scripts, upload)
    assert answer.status == 201, answer
    other = hardened.request('carl', 'POST', scripts, form('other')).body['id']
    assert hardened.request('anna', 'GET', f'{scripts}/{other}').status == 404
    executions = f'{scripts}/{answer.body["id"]}/executions'
    wish = {'execution_type': 'now'}
    assert hardened.request('vera', 'POST', executions, wish).status == 403
    assert hardened.request('anna', 'POST', executions, wish).status == 409
    code = json.loads((hardened.folder / 'shown.json').read_text())['code']
    started = hardened.request('anna', 'POST', executions, {**wish, 'proximity_response': code})
    assert started.status == 202, started
    path = started.body['href'].removeprefix('/api/v1')
    ended = wait_for(
        lambda: hardened.request('vera', 'GET', path).body,
        lambda body: body['status'] not in ('prepared', 'running'),
        what='the execution has ended',
    )
    assert ended['status'] == 'completed'
    assert ended['trigger'] == {'type': 'manual', 'username': 'anna'}
    assert hardened.request('carl', 'GET', '/audit').status == 403
    notes = hardened.request('root', 'GET', '/audit').body['items']
    told = [(each.get('name'), each['status']) for each in reversed(notes) if 'status' in each]
    assert told[-8:] == [
        ('anna', 403),
        ('carl', 201),
        ('carl', 201),
        ('anna', 404),
        ('vera', 403),
        ('anna', 409),
        ('anna', 202),
        ('carl', 403),
    ]


def test_tokens_that_others_may_read_stop_the_start(tmp_path: Path) -> None:
    """With one line that says what to do."""
    configuration, _ = made_in(tmp_path)
    (tmp_path / 'tokens.yaml').chmod(0o644)
    status, said = refused(tmp_path, {}, '--params-file', str(configuration))
    assert status == 78
    assert 'chmod 600' in said
    assert len(said.splitlines()) == 1
