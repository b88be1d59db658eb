# SPDX-License-Identifier: Apache-2.0
"""The launch files, launched by launch itself."""

from collections.abc import Iterator
import contextlib
from importlib.metadata import distribution
import importlib.util
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time
from typing import Any
import urllib.request

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')
# Not imported: launch has loggers that are made after it keep their records to themselves.
if importlib.util.find_spec('launch_ros') is None:
    pytest.skip('launch_ros comes with a ROS distribution only', allow_module_level=True)

from ros_support import ended_at_exit, PROGRAMS, python_program, ros_domain

pytestmark = pytest.mark.usefixtures(ros_domain.__name__)

ROOT = Path(__file__).parents[2]
READY_SEC = 40.0
RESPAWN_DELAY_SEC = 5.0


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lay the package out as colcon installs it, around this checkout."""
    prefix = tmp_path / 'prefix'
    share = prefix / 'share' / 'gateway_node'
    share.mkdir(parents=True)
    for folder in ('launch', 'config'):
        (share / folder).symlink_to(ROOT / folder)
    packages = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages'
    packages.mkdir(parents=True)
    (packages / 'gateway_node').touch()
    executables = prefix / 'lib' / 'gateway_node'
    executables.mkdir(parents=True)
    for script in distribution('gateway_node').entry_points.select(group='console_scripts'):
        executable = executables / script.name
        executable.write_text(
            f'#!{sys.executable}\nfrom {script.module} import {script.attr}\n{script.attr}()\n'
        )
        executable.chmod(0o755)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(prefix), prepend=':')
    monkeypatch.setenv('ROS_HOME', str(tmp_path / 'ros'))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))


def launch(file: str, *arguments: str) -> 'subprocess.Popen[str]':
    """Start launch with a file of the package."""
    return python_program(PROGRAMS / 'launch_file.py', [str(ROOT / 'launch' / file), *arguments])


def refused(file: str, *arguments: str) -> list[str]:
    """Launch a file, which has to fail; return what it told."""
    process = launch(file, *arguments)
    with ended_at_exit(process), group_ended(process):
        output, _ = process.communicate(timeout=READY_SEC)
    assert process.returncode == 1, output
    return output.splitlines()


@contextlib.contextmanager
def launched(file: str, *arguments: str) -> Iterator[tuple['subprocess.Popen[str]', str]]:
    """Launch a file on a free port; yield the process and the API's URI once it answers."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    process = launch(file, f'port:={port}', *arguments)
    with ended_at_exit(process), group_ended(process):
        base = f'http://127.0.0.1:{port}/api/v1'
        deadline = time.monotonic() + READY_SEC
        while True:
            with contextlib.suppress(OSError):
                answer(f'{base}/health')
                break
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, 'the gateway does not answer'
            time.sleep(0.1)
        yield process, base


@contextlib.contextmanager
def group_ended(process: 'subprocess.Popen[str]') -> Iterator[None]:
    """Leave nothing of launch's children, also where a test fails: launch orphans on SIGTERM."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def answer(uri: str, body: bytes | None = None, content_type: str = 'application/json') -> Any:
    """GET, or POST `body`; return the JSON that is answered."""
    request = urllib.request.Request(uri, data=body, headers={'Content-Type': content_type})
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


@pytest.mark.usefixtures('installed')
def test_the_demo_launches_and_ends_cleanly() -> None:
    """demo.launch.py starts both nodes, and SIGINT ends both without a kill."""
    with launched('demo.launch.py') as (process, base):
        deadline = time.monotonic() + READY_SEC
        while 'temp_sensor' not in [app['id'] for app in answer(f'{base}/apps')['items']]:
            assert time.monotonic() < deadline, 'the demo node is not discovered'
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert output.count('process has finished cleanly') == 2
    assert 'escalating' not in output


@pytest.mark.usefixtures('installed')
def test_launch_waits_for_the_longest_grace_period(tmp_path: Path) -> None:
    """A script that resists its stop gets its grace period; launch does not kill before."""
    config = tmp_path / 'gateway.yaml'
    config.write_text("'/**': {ros__parameters: {scripts: {stop_grace_period_sec: 7}}}\n")
    script = b'trap "" TERM\nwhile :; do sleep 0.1; done\n'
    with launched('gateway.launch.py', f'config_file:={config}') as (process, base):
        host = answer(f'{base}/components')['items'][0]['id']
        scripts = f'{base}/components/{host}/scripts'
        body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="resists.sh"\r\n\r\n'
            + script
            + b'\r\n--x--\r\n'
        )
        script_id = answer(scripts, body, 'multipart/form-data; boundary=x')['id']
        execution = answer(f'{scripts}/{script_id}/executions', b'{"execution_type": "now"}')
        uri = f'{scripts}/{script_id}/executions/{execution["id"]}'
        deadline = time.monotonic() + READY_SEC
        while answer(uri)['status'] != 'running':
            assert time.monotonic() < deadline, 'the script does not run'
            time.sleep(0.1)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=40)
    assert time.monotonic() - begun > 6.0
    assert process.returncode == 0
    assert 'process has finished cleanly' in output
    assert 'escalating' not in output


@pytest.mark.usefixtures('installed')
@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (None, 'cannot be read: No such file or directory'),
        ('', 'has no section for /gateway_node or /**; it has nothing'),
        ('gateway: {ros__parameters: {server.port: 1}}', 'it has /gateway'),
        ('gateway_node: {server: 1}', 'is malformed: line 1: gateway_node/server is no mapping'),
    ],
)
@pytest.mark.parametrize('file', ['gateway.launch.py', 'demo.launch.py'])
def test_a_file_without_parameters_for_the_gateway_ends_the_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, content: str | None, reason: str
) -> None:
    """Nothing starts with defaults that nobody chose; a path may be relative."""
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path('robot.yaml').write_text(content)
    told = refused(file, 'config_file:=robot.yaml')
    (line,) = [each for each in told if 'ERROR' in each]
    assert "launch argument config_file is 'robot.yaml', which " in line
    assert reason in line
    assert 'allowed: a YAML file with parameters for /gateway_node or /**' in line
    assert not any('process started' in each for each in told)


@pytest.mark.usefixtures('installed')
def test_launch_arguments_win_over_the_file(tmp_path: Path) -> None:
    """Whatever sections the file has, and in which order they stand."""
    config = tmp_path / 'gateway.yaml'
    config.write_text(
        '/**: {ros__parameters: {server.port: 1, server.host: 127.0.0.2}}\n'
        'gateway_node: {ros__parameters: {server.port: 2, server.host: 127.0.0.3}}\n'
    )
    with launched('gateway.launch.py', f'config_file:={config}', 'host:=127.0.0.1') as (_, base):
        assert answer(f'{base}/health')


@pytest.mark.usefixtures('installed')
@pytest.mark.parametrize('respawn', ['true', 'false'])
@pytest.mark.parametrize('file', ['gateway.launch.py', 'demo.launch.py'])
def test_a_refused_start_ends_the_launch_with_a_status(file: str, respawn: str) -> None:
    """It is not started again, for it would be refused again."""
    told = refused(file, 'port:=70000', f'respawn:={respawn}')
    assert any('parameter server.port is 70000' in line for line in told)
    assert any('ended with status 78: it refuses to start' in line for line in told)
    assert sum('gateway_node-' in line and 'process started' in line for line in told) == 1


@pytest.mark.usefixtures('installed')
@pytest.mark.parametrize('argument', ['respawn:=perhaps', 'required:=', 'name:=a b', 'port:=x'])
def test_a_bad_launch_argument_ends_the_launch_with_a_status(argument: str) -> None:
    """Launch refuses it, or the gateway does."""
    told = ' '.join(refused('gateway.launch.py', argument))
    assert argument.partition(':=')[2] in told


@pytest.mark.usefixtures('installed')
def test_a_gateway_that_is_not_required_may_fail_alone() -> None:
    """What else was launched goes on, and the refused gateway is not started again."""
    process = launch('demo.launch.py', 'port:=70000', 'required:=false', 'respawn:=true')
    lines = process.stdout
    assert lines is not None
    with ended_at_exit(process), group_ended(process):
        told: list[str] = []
        while not any('process has died' in line for line in told):
            told.append(lines.readline())
            assert told[-1], told
        time.sleep(RESPAWN_DELAY_SEC + 1)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=READY_SEC)
    assert process.returncode == 0
    assert 'process started' not in output


@pytest.mark.usefixtures('installed')
def test_a_killed_gateway_is_started_again_as_it_was(tmp_path: Path) -> None:
    """With its name, namespace and state; the status of the launch is its last end's."""
    state = tmp_path / 'state of mine'
    given = (f'state_dir:={state}', 'name:=gateway', 'namespace:=/robot1', 'respawn:=true')
    with launched('gateway.launch.py', *given) as (process, base):
        first = holder_of(state)
        assert Path(f'/proc/{first}/cmdline').read_bytes().count(b'__ns:=/robot1') == 1
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + READY_SEC
        while True:
            with contextlib.suppress(OSError):
                if holder_of(state) != first and answer(f'{base}/health'):
                    break
            assert time.monotonic() < deadline, 'the gateway is not started again'
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=READY_SEC)
    assert process.returncode == 0
    assert '[robot1.gateway]: serving' in output


def holder_of(state: Path) -> int:
    """Return the pid of the gateway that holds a state directory."""
    return int(json.loads((state / 'gateway.lock').read_text())['pid'])


@pytest.mark.usefixtures('installed')
def test_a_killed_gateway_fails_the_launch(tmp_path: Path) -> None:
    """Where it is required and does not come again."""
    state = tmp_path / 'state'
    with launched('gateway.launch.py', f'state_dir:={state}') as (process, _):
        os.kill(holder_of(state), signal.SIGKILL)
        output, _ = process.communicate(timeout=READY_SEC)
    assert process.returncode == 1
    assert 'the gateway ended with status -9: it failed' in output
