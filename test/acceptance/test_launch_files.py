# SPDX-License-Identifier: Apache-2.0
"""The launch files, launched by launch itself."""

from collections.abc import Iterator
import contextlib
from importlib.metadata import distribution
import importlib.util
import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import threading
import time
from typing import Any
import urllib.request

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')
# Not imported: launch has loggers that are made after it keep their records to themselves.
if importlib.util.find_spec('launch_ros') is None:
    pytest.skip('launch_ros comes with a ROS distribution only', allow_module_level=True)

from ros_support import ended_at_exit, PROGRAMS, python_program

ROOT = Path(__file__).parents[2]
SERVING = r'serving (http://\S+)'
GATEWAY_DIED = r'(process has died) .*gateway_node/gateway_node'
DEMO_NODE_PID = r'temp_sensor-\d+\]: process started with pid \[(\d+)\]'


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


class Launch:
    """A launch that goes on."""

    def __init__(self, process: 'subprocess.Popen[str]') -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def told(self) -> str:
        """What it has written so far."""
        return ''.join(self._lines)

    def wait_for(self, pattern: str) -> str:
        """Return the first group of a pattern once something that was written matches it."""
        found = wait_for(
            lambda: re.search(pattern, self.told),
            lambda found: found is not None or not self._reader.is_alive(),
            what=f'launch writes {pattern}',
        )
        found = found or re.search(pattern, self.told)
        assert found is not None, self.told
        return str(found[1])

    def interrupt(self) -> int:
        """Ask it to end; return its status."""
        self.process.send_signal(signal.SIGINT)
        return self.wait_ended()

    def wait_ended(self) -> int:
        """Wait for its end; return its status."""
        status = self.process.wait(DEADLINE_SEC)
        self._reader.join(DEADLINE_SEC)
        return status

    def close(self) -> None:
        """Leave nothing of it, also where a test fails: launch orphans its children on SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._lines.extend(self.process.stdout)


@contextlib.contextmanager
def launch(file: str | Path, *arguments: str) -> Iterator[Launch]:
    """Start launch with a file, of the package or another one."""
    path = ROOT / 'launch' / file
    with ended_at_exit(python_program(PROGRAMS / 'launch_file.py', [str(path), *arguments])) as it:
        launched = Launch(it)
        try:
            yield launched
        finally:
            launched.close()


def refused(file: str, *arguments: str) -> list[str]:
    """Launch a file, which has to fail; return what it told."""
    with launch(file, *arguments) as launched:
        assert launched.wait_ended() == 1, launched.told
        return launched.told.splitlines()


@contextlib.contextmanager
def serving(file: str, *arguments: str) -> Iterator[tuple[Launch, str]]:
    """Launch a file on a free port; yield the launch and the API's URI."""
    with launch(file, 'port:=0', *arguments) as launched:
        yield launched, launched.wait_for(SERVING)


def answer(uri: str, body: bytes | None = None, content_type: str = 'application/json') -> Any:
    """GET, or POST `body`; return the JSON that is answered."""
    request = urllib.request.Request(uri, data=body, headers={'Content-Type': content_type})
    with urllib.request.urlopen(request, timeout=5) as response:
        return json.load(response)


@pytest.mark.usefixtures('installed')
def test_the_demo_launches_and_ends_cleanly() -> None:
    """demo.launch.py starts both nodes, and SIGINT ends both without a kill."""
    with serving('demo.launch.py') as (launched, base):
        wait_for(
            lambda: [app['id'] for app in answer(f'{base}/apps')['items']],
            lambda apps: 'temp_sensor' in apps,
            what='the demo node is discovered',
        )
        assert launched.interrupt() == 0
    assert launched.told.count('process has finished cleanly') == 2
    assert 'escalating' not in launched.told


@pytest.mark.usefixtures('installed')
def test_launch_waits_for_the_longest_grace_period(tmp_path: Path) -> None:
    """A script that resists its stop gets its grace period; launch does not kill before."""
    config = tmp_path / 'gateway.yaml'
    config.write_text("'/**': {ros__parameters: {scripts: {stop_grace_period_sec: 7}}}\n")
    script = b'trap "" TERM\nwhile :; do sleep 0.1; done\n'
    with serving('gateway.launch.py', f'config_file:={config}') as (launched, base):
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
        wait_for(
            lambda: answer(uri)['status'],
            lambda status: status == 'running',
            what='the script runs',
        )
        begun = time.monotonic()
        assert launched.interrupt() == 0
    assert time.monotonic() - begun > 6.0
    assert 'process has finished cleanly' in launched.told
    assert 'escalating' not in launched.told


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
    with serving('gateway.launch.py', f'config_file:={config}', 'host:=127.0.0.1') as (_, base):
        assert answer(f'{base}/health')


@pytest.mark.usefixtures('installed')
def test_a_file_for_the_namespaced_node_alone_is_taken(tmp_path: Path) -> None:
    """Its section is the one of the node that the arguments name."""
    config = tmp_path / 'gateway.yaml'
    config.write_text('/robot1/gateway_node: {ros__parameters: {server.path_prefix: /robot1}}\n')
    given = (f'config_file:={config}', 'namespace:=/robot1')
    with serving('gateway.launch.py', *given) as (_, base):
        assert base.endswith('/robot1/api/v1')
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
@pytest.mark.parametrize(
    'argument',
    ['name:=bad name', 'name:=robot-7', 'name:=7', 'namespace:=/robot-7', 'namespace:=a//b'],
)
def test_a_name_that_ros_does_not_take_is_told_as_such(argument: str) -> None:
    """And what is allowed; the file with the parameters has no part in it."""
    told = refused('gateway.launch.py', argument)
    name, _, value = argument.partition(':=')
    line = next(line for line in told if 'launch argument' in line)
    assert f"launch argument {name} is '{value}', which ROS does not take; allowed: " in line
    assert 'letters of ASCII, digits and _, no digit first' in line
    assert not any('config_file' in line for line in told)


@pytest.mark.usefixtures('installed')
def test_a_gateway_that_is_not_required_may_fail_alone() -> None:
    """What else was launched goes on, and the refused gateway is not started again."""
    arguments = ('port:=70000', 'required:=false', 'respawn:=true')
    with launch('demo.launch.py', *arguments) as launched:
        launched.wait_for(GATEWAY_DIED)
        assert_the_demo_node_ends_it(launched)


@pytest.mark.usefixtures('installed')
@pytest.mark.parametrize('around', ['GroupAction([{}])', '{}'])
def test_what_the_gateway_was_launched_with_holds_to_its_end(tmp_path: Path, around: str) -> None:
    """In a group of its own, and whatever an argument's name stands for later in the launch."""
    gateway = (
        f'IncludeLaunchDescription({str(ROOT / "launch" / "gateway.launch.py")!r},'
        " launch_arguments=[('port', '70000'), ('required', 'false'), ('respawn', 'false')])"
    )
    robot = tmp_path / 'robot.launch.py'
    robot.write_text(
        'from launch import LaunchDescription\n'
        'from launch.actions import (\n'
        '    GroupAction, IncludeLaunchDescription, SetLaunchConfiguration\n'
        ')\n'
        'from launch_ros.actions import Node\n'
        'def generate_launch_description():\n'
        '    return LaunchDescription([\n'
        f'        {around.format(gateway)},\n'
        '        SetLaunchConfiguration("required", "true"),\n'
        '        Node(package="gateway_node", executable="temp_sensor", output="screen"),\n'
        '    ])\n'
    )
    with launch(robot) as launched:
        launched.wait_for(GATEWAY_DIED)
        assert_the_demo_node_ends_it(launched)


def assert_the_demo_node_ends_it(launched: Launch) -> None:
    """End the demo node; launch waits for nothing else, such as a gateway that comes again."""
    os.kill(int(launched.wait_for(DEMO_NODE_PID)), signal.SIGINT)
    assert launched.wait_ended() == 0, launched.told
    assert launched.told.count('process started') == 2


@pytest.mark.usefixtures('installed')
def test_a_killed_gateway_is_started_again_as_it_was(tmp_path: Path) -> None:
    """With its name, namespace and state; the status of the launch is its last end's."""
    state = tmp_path / 'state of mine'
    given = (f'state_dir:={state}', 'name:=gateway', 'namespace:=/robot1', 'respawn:=true')
    with serving('gateway.launch.py', *given) as (launched, _):
        first = holder_of(state)
        assert Path(f'/proc/{first}/cmdline').read_bytes().count(b'__ns:=/robot1') == 1
        os.kill(first, signal.SIGKILL)
        launched.wait_for(rf'(?s){SERVING}.*\[robot1\.gateway\]: serving')
        assert holder_of(state) != first
        assert launched.interrupt() == 0


def holder_of(state: Path) -> int:
    """Return the pid of the gateway that holds a state directory."""
    return int(json.loads((state / 'gateway.lock').read_text())['pid'])


@pytest.mark.usefixtures('installed')
def test_a_killed_gateway_fails_the_launch(tmp_path: Path) -> None:
    """Where it is required and does not come again."""
    state = tmp_path / 'state'
    with serving('gateway.launch.py', f'state_dir:={state}') as (launched, _):
        os.kill(holder_of(state), signal.SIGKILL)
        assert launched.wait_ended() == 1
    assert 'the gateway ended with status -9: it failed' in launched.told
