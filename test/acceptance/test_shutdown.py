# SPDX-License-Identifier: Apache-2.0
"""The end of the gateway: by one signal, by two, by a kill, and what is there afterwards."""

import contextlib
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from free_ports import free_port
from gateway_process import Answer, entry_point, gateway, GatewayProcess, nothing_left, started
from ros_support import bare_node, PROGRAMS, status_echo
from terminals import press_ctrl_c, terminal

ENTITY = 'apps/temp_sensor'
SLEEPS = 'echo ready\nexec sleep 600\n'
IGNORES_SIGTERM = "trap '' TERM\necho ready\nwhile :; do sleep 0.05; done\n"
TIDIES_UP = """
trap 'touch asked; while ! [ -e {go} ]; do sleep 0.01; done; echo tidied; exit 0' TERM
echo ready
while :; do sleep 0.05; done
"""
GRACE_SEC = 1.0
SLACK = 10
SHORT_GRACE = {'scripts.stop_grace_period_sec': GRACE_SEC}
LONG_GRACE = {'scripts.stop_grace_period_sec': 600}


@pytest.fixture(scope='module', autouse=True)
def node() -> Any:
    """Run a node in another process, whose app carries the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


def start_ready(api: GatewayProcess, content: str) -> str:
    """Start a script and wait until it says `ready`; return the execution's href."""
    api.wait_for_app('temp_sensor')
    href = api.start(ENTITY, api.upload(ENTITY, content))
    api.wait_for(
        href,
        lambda body: body['status'] == 'running' and 'ready' in body['output']['stdout'],
        what='the script is ready',
    )
    return href


def end_in_time(api: GatewayProcess, limit_sec: float) -> None:
    """Wait for a clean end: status 0, in time, and no traceback."""
    begun = time.monotonic()
    assert api.wait_ended() == 0, api.log
    assert time.monotonic() - begun < SLACK * limit_sec
    assert 'Traceback' not in api.log


def assert_shut_down(execution: Any) -> None:
    """Check that an execution failed because the gateway ended."""
    assert execution['status'] == 'failed'
    assert execution['error']['vendor_code'] == 'x-gateway-shutdown'
    assert execution['stop_trigger'] == {'type': 'system', 'setting': 'shutdown'}
    assert execution['output']['stdout'] == 'ready\n'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize('content', [SLEEPS, IGNORES_SIGTERM], ids=['sleeps', 'ignores_sigterm'])
def test_a_signal_ends_running_scripts_and_the_gateway(
    tmp_path: Path, number: signal.Signals, content: str
) -> None:
    """Exit 0 within the grace period plus 2 s; the execution is `failed` and says why."""
    with gateway(tmp_path, SHORT_GRACE) as api:
        href = start_ready(api, content)
        api.signal(number)
        end_in_time(api, GRACE_SEC + 2)
    with gateway(tmp_path) as again:
        execution = again.body(href)
    assert_shut_down(execution)
    assert execution['signal'] == (15 if content == SLEEPS else 9)


def test_a_script_that_had_ended_keeps_its_end_and_its_result(tmp_path: Path) -> None:
    """The shutdown met leftovers only: what the script did is done, and its result is kept."""
    alone = tmp_path / 'alone'
    content = (
        f"(trap '' TERM; while kill -0 $$; do sleep 0.01; done; touch {alone}; exec sleep 600) "
        '>/dev/null 2>&1 &\n'
        'echo \'{"volts": 12}\'\n'
    )
    with gateway(tmp_path) as api:
        api.wait_for_app('temp_sensor')
        href = api.start(ENTITY, api.upload(ENTITY, content))
        wait_for(alone.exists, bool, what='only the leftover lives')
        api.signal(signal.SIGTERM)
        end_in_time(api, 5 + 2)
    with gateway(tmp_path) as again:
        execution = again.body(href)
    assert (execution['status'], execution['exit_code']) == ('completed', 0)
    assert execution['parameters'] == {'volts': 12}
    assert 'stop_trigger' not in execution


def test_the_final_status_is_published_before_the_end(tmp_path: Path) -> None:
    """A subscriber sees `failed` of what the shutdown ended."""
    with gateway(tmp_path) as api, status_echo('/gateway_node/execution_status') as received:
        href = start_ready(api, SLEEPS)
        wait_for(lambda: len(received), lambda count: count >= 2, what='prepared and running')
        api.signal(signal.SIGTERM)
        end_in_time(api, 5 + 2)
        told = wait_for(
            lambda: [m['values']['status'] for m in tuple(received) if m['name'] == href],
            lambda statuses: len(statuses) >= 3,
            what='the final status',
        )
    assert told == ['prepared', 'running', 'failed']


@pytest.mark.parametrize('second', [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_kills_at_once(tmp_path: Path, second: signal.Signals) -> None:
    """It does not wait for the grace period, and cleans up all the same."""
    with gateway(tmp_path, LONG_GRACE) as api:
        href = start_ready(api, IGNORES_SIGTERM)
        api.signal(signal.SIGINT)
        wait_for(lambda: api.log, lambda log: 'shutting down' in log, what='shutting down')
        assert api.process.poll() is None
        end_by(api, second)
    with gateway(tmp_path) as again:
        execution = again.body(href)
    assert_shut_down(execution)
    assert execution['signal'] == 9


def test_what_comes_within_a_second_of_the_first_signal_kills_nothing(tmp_path: Path) -> None:
    """Ctrl-C under a parent that passes it on, as `ros2 run` does, is one graceful stop."""
    asked, go = tmp_path / 'asked', tmp_path / 'go'
    content = TIDIES_UP.replace('asked', str(asked)).format(go=go)
    passes_on = [sys.executable, str(PROGRAMS / 'passes_signals_on.py')]
    with (
        terminal() as (other_end, parent),
        gateway(tmp_path, LONG_GRACE, parent=[*parent, *passes_on]) as api,
    ):
        href = start_ready(api, content)
        press_ctrl_c(other_end)
        wait_for(asked.exists, bool, what='the script is asked to end')
        go.touch()
        end_in_time(api, 2)
    with gateway(tmp_path) as again:
        execution = again.body(href)
    assert execution['output']['stdout'] == 'ready\ntidied\n'
    assert execution['exit_code'] == 0
    assert execution['stop_trigger'] == {'type': 'system', 'setting': 'shutdown'}


def test_signals_may_come_in_any_number(tmp_path: Path) -> None:
    """However many come, to the last moment, the end is a clean one."""
    with gateway(tmp_path, LONG_GRACE) as api:
        start_ready(api, IGNORES_SIGTERM)
        end_by(api, signal.SIGTERM, signal.SIGINT)


def end_by(api: GatewayProcess, *numbers: signal.Signals) -> None:
    """Signal until the end, as somebody who is impatient; check that it is a clean one, and soon.

    What comes within a second of the first signal repeats it.
    """
    begun = time.monotonic()
    while api.process.poll() is None and time.monotonic() - begun < DEADLINE_SEC:
        for number in numbers:
            api.signal(number)
        # Signals that come together merge.
        with contextlib.suppress(subprocess.TimeoutExpired):
            api.process.wait(0.001)
    end_in_time(api, 2)
    assert time.monotonic() - begun < SLACK * 2


def test_the_port_is_free_at_once_for_the_next_one(tmp_path: Path) -> None:
    """The same port and state can be had again, and executions and scripts are there."""
    at_its_port = {'server.port': free_port()}
    with gateway(tmp_path, at_its_port) as api:
        href = start_ready(api, SLEEPS)
        api.signal(signal.SIGTERM)
        end_in_time(api, 5 + 2)
    with gateway(tmp_path, at_its_port) as again:
        assert again.port == at_its_port['server.port']
        assert_shut_down(again.body(href))
        script = href.split('/executions/')[0]
        assert again.request('GET', f'{script}/content').content == SLEEPS.encode()


def test_nothing_is_accepted_while_it_shuts_down(tmp_path: Path) -> None:
    """A new connection is refused; a start on an open one is answered 503 with Retry-After."""
    with gateway(tmp_path, LONG_GRACE) as api:
        href = start_ready(api, IGNORES_SIGTERM)
        with socket.create_connection((api.host, api.port), timeout=20) as kept:
            show_health(kept)
            api.signal(signal.SIGTERM)
            wait_for(lambda: api.log, lambda log: 'shutting down' in log, what='shutting down')
            wait_for(lambda: refuses(api), lambda refused: refused, what='connections refused')
            path = href.split('/executions/')[0]
            answer = send(kept, f'POST {path}/executions', b'{"execution_type": "now"}')
            assert answer.status == 503
            assert answer.body['vendor_code'] == 'x-gateway-shutting-down'
            assert int(answer.headers['retry-after']) > 0
        end_by(api, signal.SIGTERM)


def test_an_upload_that_never_ends_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """A client that stops in the middle of its upload leaves no half script."""
    with gateway(tmp_path) as api:
        api.wait_for_app('temp_sensor')
        with socket.create_connection((api.host, api.port), timeout=20) as slow:
            slow.sendall(
                f'POST /api/v1/{ENTITY}/scripts HTTP/1.1\r\nHost: localhost\r\n'.encode()
                + b'Content-Type: multipart/form-data; boundary=b\r\n'
                b'Content-Length: 100000\r\n\r\n--b\r\n'
                b'Content-Disposition: form-data; name="file"; filename="a.sh"\r\n\r\nsleep'
            )
            scripts = tmp_path / 'state' / 'scripts'
            wait_for(lambda: files_below(scripts), lambda files: files != [], what='the upload')
            api.signal(signal.SIGTERM)
            end_in_time(api, 2 + 2)
    with gateway(tmp_path) as again:
        again.wait_for_app('temp_sensor')
        assert again.body(f'/{ENTITY}/scripts')['items'] == []
        assert files_below(tmp_path / 'state' / 'scripts') == []


def test_nothing_is_left_after_a_kill(tmp_path: Path) -> None:
    """After SIGKILL its scripts' trees go too, and the next one gets its port and state."""
    at_its_port = {'server.port': free_port()}
    with gateway(tmp_path, at_its_port) as api:
        start_ready(api, "(trap '' TERM INT HUP; setsid sleep 600) &\n" + SLEEPS)
        os.kill(api.process.pid, signal.SIGKILL)
        assert api.wait_ended() == -signal.SIGKILL
    with gateway(tmp_path, at_its_port) as again:
        assert again.body('/health')['status'] == 'ok'


def test_requests_that_are_under_way_are_answered(tmp_path: Path) -> None:
    """A stop that waits for its script while the gateway ends gets its answer."""
    with gateway(tmp_path, SHORT_GRACE) as api:
        href = start_ready(api, IGNORES_SIGTERM)
        answers: list[Answer] = []
        stopping = threading.Thread(
            target=lambda: answers.append(api.request('PUT', href, json_body={'action': 'stop'}))
        )
        stopping.start()
        api.wait_for(href, lambda body: body.get('terminating'), what='terminating')
        api.signal(signal.SIGTERM)
        end_in_time(api, GRACE_SEC + 2)
        stopping.join(20)
    assert [answer.status for answer in answers] == [200]
    with gateway(tmp_path) as again:
        assert again.body(href)['status'] == 'terminated'


def refuses(api: GatewayProcess) -> bool:
    """Tell whether the gateway takes no connection any more."""
    try:
        socket.create_connection((api.host, api.port), timeout=20).close()
    except ConnectionRefusedError:
        return True
    return False


def files_below(directory: Path) -> list[Path]:
    """Return all files below a directory."""
    return [path for path in directory.rglob('*') if path.is_file()]


def show_health(connection: socket.socket) -> None:
    """Send a request on an open connection, and read its answer."""
    assert send(connection, 'GET /api/v1/health').status == 200


def send(connection: socket.socket, request: str, content: bytes = b'') -> Answer:
    """Send a request on an open connection; return the answer."""
    connection.sendall(
        f'{request} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
        f'Content-Length: {len(content)}\r\n\r\n'.encode()
        + content
    )
    received = b''
    while b'\r\n\r\n' not in received:
        received += _some(connection)
    head, body = received.split(b'\r\n\r\n', 1)
    first, *lines = head.decode().split('\r\n')
    headers = {name.lower(): value for name, _, value in (line.partition(': ') for line in lines)}
    while len(body) < int(headers['content-length']):
        body += _some(connection)
    return Answer(status=int(first.split()[1]), headers=headers, content=body)


def _some(connection: socket.socket) -> bytes:
    received = connection.recv(65536)
    assert received, 'the connection was closed'
    return received


@pytest.mark.parametrize('task', ['look after entities', 'keep a spawner alive'])
def test_a_defect_beside_the_requests_ends_the_gateway_with_its_reason(
    tmp_path: Path, task: str
) -> None:
    """Rather than one that answers and does not do its work: a status, one line, nothing left."""
    command = [sys.executable, str(PROGRAMS / 'failing_gateway.py'), task]
    options = entry_point(tmp_path / 'state')[3:]
    with nothing_left(), started([*command, *options], tmp_path) as (process, log):
        assert process.wait(DEADLINE_SEC) == 1
    assert log.read_text().splitlines()[-1] == (
        f'gateway_node: a side task failed, which is a defect: {task}: '
        "ValueError('a defect of a test')"
    )
