# SPDX-License-Identifier: Apache-2.0
"""A script shows the API a credential of its execution's own: see decision 056."""

from collections.abc import Iterator
import hashlib
import json
import logging
from pathlib import Path
import stat

from gateway_in_a_thread import ENTITY, gateway_in_a_thread
import pytest

from gateway_node.client import Execution, Gateway, GatewayError, Status

TOKEN, WRONG = 'anna-s-token', 'no-token-at-all'
CHECK = b'cat > "$GATEWAY_RESULT"\n'


@pytest.fixture(scope='module')
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of the gateway for all tests of this file."""
    return tmp_path_factory.mktemp('state')


@pytest.fixture(scope='module')
def address(state_dir: Path) -> Iterator[str]:
    """Serve a gateway that asks who one is."""
    tokens = state_dir / 'tokens.yaml'
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens.write_text(f'tokens: [{{name: anna, role: configurator, sha256: "{digest}"}}]')
    tokens.chmod(0o600)
    parameters = {'python.warm': False, 'auth.tokens_file': str(tokens)}
    with gateway_in_a_thread(state_dir / 'state', parameters) as address:
        yield address


@pytest.fixture
def gateway(address: str) -> Iterator[Gateway]:
    """Give a client that is let in, and stop at the end what it started."""
    with Gateway(f'http://{address}', token=TOKEN) as gateway:
        yield gateway
        gateway.stop_all()


def run(gateway: Gateway, content: str, file_name: str = 'parent.py') -> Execution:
    """Run a script to its end."""
    script = gateway.upload(ENTITY, content.encode(), file_name=file_name)
    return gateway.wait(gateway.start(ENTITY, script))


def status_of(gateway: Gateway, token: str) -> int | None:
    """Return with what a token is refused; None where it is not."""
    try:
        Gateway(gateway.url, token=token).entities()
    except GatewayError as error:
        return getattr(error, 'status', None)
    return None


def test_a_script_starts_another_and_waits_for_it(gateway: Gateway) -> None:
    """Nobody had to give it anything; the child is of the same person, and of its parent."""
    check = gateway.upload(ENTITY, CHECK, file_name='check.sh').id
    parent = run(
        gateway,
        'from gateway_node.script import result, start, wait\n'
        f'result({{"child": wait(start("{check}")).id}})',
    )
    assert (parent.status, parent.stderr) == (Status.COMPLETED, '')
    assert parent.parameters is not None
    child = gateway.execution(parent.parameters['child'])
    assert child.parent == parent.id
    assert child.fields['trigger'] == {'type': 'manual', 'username': 'anna'}


def test_a_shell_script_shows_it_without_a_word_on_its_command_line(gateway: Gateway) -> None:
    """The file is a header as curl takes it; what is started with it is a child by itself."""
    check = gateway.upload(ENTITY, CHECK, file_name='check.sh').id
    parent = run(
        gateway,
        'curl --fail-with-body -sS -H @"$GATEWAY_CREDENTIALS" '
        '--json \'{"execution_type": "now"}\' '
        f'"$GATEWAY_URL/{ENTITY}/scripts/{check}/executions"\n',
        'parent.sh',
    )
    assert parent.status is Status.COMPLETED, parent.stderr
    assert parent.parameters is not None
    assert gateway.execution(parent.parameters['id']).parent == parent.id


def test_it_is_a_file_for_the_gateways_user_alone_and_gone_at_the_end(
    gateway: Gateway, state_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing else has it: no variable, no command line, nothing that is kept, no line of the log;
    nor has anything the tokens of clients."""
    caplog.set_level(logging.DEBUG)
    ended = run(
        gateway,
        'import json, os, pathlib, stat\n'
        'path = pathlib.Path(os.environ["GATEWAY_CREDENTIALS"])\n'
        'token = path.read_text().split()[-1]\n'
        'told = [*os.environ.values(), pathlib.Path("/proc/self/cmdline").read_text()]\n'
        'print(json.dumps([str(path), stat.S_IMODE(path.stat().st_mode), '
        'any(token in each for each in told), token[::-1]]))',
    )
    assert ended.status is Status.COMPLETED, ended.stderr
    assert ended.stdout is not None
    path, mode, is_told, backwards = json.loads(ended.stdout)
    token = backwards[::-1]
    assert (mode, is_told) == (stat.S_IRUSR | stat.S_IWUSR, False)
    assert not Path(path).exists()
    for wrong in (token, WRONG):
        assert status_of(gateway, wrong) == 401
    kept = [each for each in state_dir.rglob('*') if each.is_file()]
    assert kept
    for secret in (token, TOKEN, WRONG):
        assert [each for each in kept if secret.encode() in each.read_bytes()] == []
        assert secret not in caplog.text


def test_what_a_gateway_that_was_killed_left_is_gone(tmp_path: Path) -> None:
    """It lets nobody in any more, and lies nowhere; also where no credential is needed now."""
    left = tmp_path / 'credentials' / 'exec_1'
    left.parent.mkdir()
    left.write_text('Authorization: Bearer gwx_left\n')
    with gateway_in_a_thread(tmp_path, {'python.warm': False}):
        assert not left.exists()


def test_it_is_good_while_the_script_runs_and_names_no_other_parent(gateway: Gateway) -> None:
    """403 says which one is its own."""
    waits = gateway.upload(ENTITY, b'cat "$GATEWAY_CREDENTIALS"; sleep 3600\n', file_name='a.sh')
    one, other = gateway.start(ENTITY, waits), gateway.start(ENTITY, waits)
    line = next(iter(gateway.lines(one)))
    token = line.text.split()[-1]
    with Gateway(gateway.url, token=token) as script:
        child = script.start(ENTITY, waits.id)
        assert (child.parent or gateway.execution(child.id).parent) == one.id
        with pytest.raises(GatewayError, match=f'that of {one.id}') as refused:
            script.start(ENTITY, waits.id, parent=other.id)
        assert getattr(refused.value, 'status', None) == 403
    gateway.stop(one)
    gateway.wait(one)
    assert status_of(gateway, token) == 401


def test_without_a_credential_a_script_is_nobody(gateway: Gateway) -> None:
    """Whatever runs on this host needs one, once there are any."""
    ended = run(
        gateway,
        'import os\nfrom gateway_node.client import Gateway, GatewayError\n'
        'url = os.environ["GATEWAY_URL"]\ndel os.environ["GATEWAY_URL"]\n'
        'try:\n    Gateway(url).entities()\nexcept GatewayError as error:\n'
        '    print(error.status)\n',
    )
    assert ended.stdout == '401\n', ended.stderr
