# SPDX-License-Identifier: Apache-2.0
"""The start: what it refuses, with one line that names the parameter, the value, what is right.

What cannot be written is a directory below a file: that holds for root too.
"""

import contextlib
import json
import os
from pathlib import Path
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import entry_point, gateway, nothing_left, refused, serving, started

from gateway_node import __version__
from gateway_node.before_start import MISCONFIGURED

DATABASE = 'gateway.sqlite3'
PROGRAM = Path(__file__).parents[1] / 'ros_programs' / 'tells_what_it_imported.py'
UNNEEDED = (
    'gateway_node.child.schema.worker',
    'gateway_node.child.script',
    'gateway_node.child.supervision.supervisor',
    'gateway_node.conditions.condition_reading',
    'gateway_node.conditions.evaluation',
    'gateway_node.conditions.values',
    'gateway_node.demo',
    'gateway_node.triggers.live_trigger',
    'gateway_node.triggers.watched_precondition',
    'jsonschema',
    'lark',
    'launch',
    'multiprocessing',
    'numpy.version',
    'pydoc',
    'rclpy.action',
    'rosidl_parser.parser',
    'setuptools',
    'tarfile',
    'unittest',
    'xml',
    'zoneinfo',
)
"""What would cost a start or memory, and belongs to others: to those who build, to the helpers, to
robots on which a script has preconditions or an instance."""


def assert_one_line(
    told: tuple[int, str], *parts: str, expected_status: int = MISCONFIGURED
) -> None:
    """Check that a start was refused, with one line of its own that has these parts."""
    status, output = told
    assert status == expected_status, output
    assert 'Traceback' not in output
    lines = [line for line in output.splitlines() if line.startswith('gateway_node: ')]
    assert len(lines) == 1, output
    assert output.endswith(lines[0])
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize(
    ('name', 'value', 'shown', 'allowed'),
    [
        ('server.port', 70000, '70000', 'from 0 to 65535'),
        ('scripts.default_timeout_sec', '5 s', "'5 s'", 'a number'),
        ('use_sim_time', 7, '7', 'true or false'),
    ],
)
def test_a_bad_value_stops_the_start(
    tmp_path: Path, name: str, value: object, shown: str, allowed: str
) -> None:
    """The line names the parameter, the value that it got, and what is allowed."""
    assert_one_line(
        refused(tmp_path, {name: value}), f'parameter {name} is {shown}; allowed: ', allowed
    )
    assert not (tmp_path / 'state').exists()


@pytest.mark.parametrize(
    ('name', 'value', 'part'),
    [
        ('proximity.topic', True, 'LOCALHOST without ROS_STATIC_PEERS'),
        ('proximity.verifier', 'no_such_module:badges', 'no_such_module'),
    ],
)
def test_what_would_prove_nothing_about_who_is_there_stops_the_start(
    tmp_path: Path, name: str, value: object, part: str
) -> None:
    """Codes that others on the network could read, and a verifier that is not there."""
    told = refused(tmp_path, {name: value}, environment={'ROS_STATIC_PEERS': '127.0.0.1'})
    assert_one_line(told, f'parameter {name} is {value!r}; allowed: ', part)


@pytest.mark.parametrize(
    ('arguments', 'parts'),
    [
        (['-p', 'server.prot:=1'], ["parameter 'server.prot'", 'server.port?']),
        (['--', '--port=8080'], ["'--port=8080'", 'server.port:=8080']),
        (['-r', '__ns:=no namespace'], ['no namespace']),
    ],
)
def test_an_unknown_argument_stops_the_start(
    tmp_path: Path, arguments: list[str], parts: list[str]
) -> None:
    """A parameter that does not exist, and what ROS itself refuses, is told the same way."""
    assert_one_line(refused(tmp_path, {}, *arguments), *parts)


def test_a_certificate_that_does_not_serve_stops_the_start(tmp_path: Path) -> None:
    """The line names the file; another start would be refused as well."""
    (tmp_path / 'key.pem').touch(mode=0o600)
    files = {
        f'server.tls.{name}_file': tmp_path / f'{name}.pem' for name in ('certificate', 'key')
    }
    told = refused(tmp_path, {name: str(file) for name, file in files.items()})
    assert_one_line(
        told, f'server.tls.certificate_file {tmp_path}/certificate.pem', 'No such file'
    )


def test_a_port_in_use_stops_the_start(tmp_path: Path) -> None:
    """The line names host and port and says that it is in use."""
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        told = refused(tmp_path, {'server.port': port})
    parts = ("server.host '127.0.0.1'", f'server.port {port}', 'in use')
    assert_one_line(told, *parts, expected_status=1)


@pytest.mark.parametrize('host', ['203.0.113.7', 'no-such-host.invalid'])
def test_an_address_that_is_not_ours_stops_the_start(tmp_path: Path, host: str) -> None:
    """An address of another machine, or a name that nobody knows, is named."""
    told = refused(tmp_path, {'server.host': host})
    assert_one_line(told, f"server.host '{host}'", expected_status=1)


def test_a_gateway_that_strangers_would_reach_does_not_start(tmp_path: Path) -> None:
    """Nor does one whose file of tokens lies open; the next start would be refused as well."""
    told = refused(tmp_path, {'server.host': '0.0.0.0'})
    assert_one_line(told, 'server.host names 0.0.0.0', 'set auth.tokens_file')
    tokens = tmp_path / 'tokens.yaml'
    tokens.write_text('tokens: []')
    tokens.chmod(0o644)
    told = refused(tmp_path, {'auth.tokens_file': str(tokens)})
    assert_one_line(told, f'parameter auth.tokens_file: {tokens} has mode', 'chmod 600')


def test_an_unwritable_state_dir_stops_the_start(tmp_path: Path) -> None:
    """The line names the directory and the reason."""
    file = tmp_path / 'file'
    file.touch()
    told = refused(tmp_path, state_dir=file / 'state')
    parts = ('state_dir', str(file / 'state'), 'Not a directory')
    assert_one_line(told, *parts, expected_status=1)


def test_an_unwritable_scripts_dir_stops_the_start(tmp_path: Path) -> None:
    """The line names the directory."""
    file = tmp_path / 'file'
    file.touch()
    told = refused(tmp_path, {'scripts.scripts_dir': f'{file}/scripts'})
    assert_one_line(told, f'{file}/scripts', expected_status=1)


@pytest.mark.parametrize(
    ('parameter', 'content', 'part'),
    [
        ('scripts.manifest', None, 'manifest.yaml'),
        ('entities.manifest', 'scrips: []\n', "'scrips'"),
    ],
)
def test_a_bad_manifest_stops_the_start(
    tmp_path: Path, parameter: str, content: str | None, part: str
) -> None:
    """Missing, or of another form: the line names the file and what is wrong."""
    file = tmp_path / 'manifest.yaml'
    if content is not None:
        file.write_text(content)
    assert_one_line(refused(tmp_path, {parameter: str(file)}), str(file), part)


def test_a_declared_component_cannot_be_the_host(tmp_path: Path) -> None:
    """An id that is the host's already stops the start."""
    host_id = socket.gethostname().replace('.', '_')
    file = tmp_path / 'entities.yaml'
    file.write_text(json.dumps({'components': [{'id': host_id, 'nodes': ['/*']}]}))
    assert_one_line(refused(tmp_path, {'entities.manifest': str(file)}), host_id)


def test_a_second_gateway_on_the_same_state_refuses(tmp_path: Path) -> None:
    """The line names the directory and the pid that holds it; the first one serves on."""
    with gateway(tmp_path) as first:
        told = refused(tmp_path)
        assert first.body('/health')['status'] == 'ok'
    parts = (str(tmp_path / 'state'), f'pid {first.process.pid}', 'in use')
    assert_one_line(told, *parts, expected_status=1)


def test_a_newer_database_stops_the_start(tmp_path: Path) -> None:
    """The line names the file and the versions; the file stays as it was."""
    with gateway(tmp_path):
        pass
    database = tmp_path / 'state' / DATABASE
    with sqlite3.connect(database) as connection:
        connection.execute('PRAGMA user_version = 999')
    connection.close()
    before = database.read_bytes()
    assert_one_line(refused(tmp_path), str(database), 'schema version 999')
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ('argument', 'told'),
    [('--version', f'gateway_node {__version__}\n'), ('--help', '--ros-args'), ('-h', 'usage: ')],
)
def test_help_and_version_are_answered_without_ros(
    tmp_path: Path, argument: str, told: str
) -> None:
    """On stdout, with status 0, also where ROS is not sourced and dependencies are too old."""
    broken_rclpy_and_old(tmp_path, 'aiohttp', '1.0')
    asked = run_entry_point(tmp_path, argument)
    assert (asked.returncode, asked.stderr) == (0, '')
    assert told in asked.stdout


def test_a_dependency_that_is_too_old_is_told_in_one_line(tmp_path: Path) -> None:
    """Before anything of it is imported: no traceback says what is missing in it."""
    broken_rclpy_and_old(tmp_path, 'jsonschema', '3.2.0')
    asked = run_entry_point(tmp_path)
    assert asked.returncode == MISCONFIGURED
    assert asked.stderr == 'gateway_node: jsonschema 3.2.0 is too old; at least 4.10.3 is needed\n'


def broken_rclpy_and_old(folder: Path, distribution: str, version: str) -> None:
    """Lay out an rclpy that cannot be imported, and the metadata of an old distribution."""
    (folder / 'rclpy').mkdir()
    (folder / 'rclpy' / '__init__.py').write_text('raise ImportError("no rclpy for a test")\n')
    metadata = folder / f'{distribution}-{version}.dist-info'
    metadata.mkdir()
    (metadata / 'METADATA').write_text(f'Name: {distribution}\nVersion: {version}\n')


def run_entry_point(folder: Path, *arguments: str) -> 'subprocess.CompletedProcess[str]':
    """Run the entry point with `folder` before everything that is installed."""
    return subprocess.run(
        [sys.executable, '-m', 'gateway_node', *arguments],
        env={**os.environ, 'PYTHONPATH': str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_the_start_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Whenever the signal comes, the process ends soon, and no child of it is left."""
    for delay_sec in (0.05, 0.4, 0.8):
        command = entry_point(tmp_path / 'state')
        with nothing_left(), started(command, tmp_path) as (process, log):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(delay_sec)
            process.send_signal(number)
            process.wait(30)
            assert 'serving' not in log.read_text() or process.returncode == 0


def test_ctrl_c_during_the_imports_ends_the_process(tmp_path: Path) -> None:
    """As KeyboardInterrupt it could be lost in a callback of the import system."""
    (tmp_path / 'rclpy').mkdir()
    begun = tmp_path / 'begun'
    (tmp_path / 'rclpy' / '__init__.py').write_text(
        f'import pathlib, time\npathlib.Path({str(begun)!r}).touch()\ntime.sleep(600)\n'
    )
    command = entry_point(tmp_path / 'state')
    slow = {'PYTHONPATH': str(tmp_path)}
    with nothing_left(), started(command, tmp_path, slow) as (process, log):
        wait_for(begun.exists, bool, what='the imports are under way')
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SEC) == -signal.SIGINT
    assert log.read_text() == ''


def test_what_is_right_starts(tmp_path: Path) -> None:
    """Whole numbers for fractional ones, no setup files, a prefix and further names are taken."""
    parameters = {
        'scripts.default_timeout_sec': 2,
        'scripts.max_file_size_mb': 1,
        'server.path_prefix': '/robot/front',
    }
    lists = [
        '-p',
        "environment.setup_files:=['']",
        '-p',
        "server.allowed_hosts:=['fleet.example']",
    ]
    with gateway(tmp_path, parameters, *lists) as api:
        assert api.url.endswith('/robot/front/api/v1')
        for host in (socket.gethostname(), f'{socket.gethostname()}.local', 'fleet.example'):
            assert status(api.url, host) == 200, host
        assert status(api.url, 'evil.example') == 421
        wait_for(lambda: api.log, lambda log: 'serving' in log, what='serving')


def test_serving_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """Neither at the start nor with the first execution; and garbage is collected again."""
    command = entry_point(tmp_path / 'state')
    command[1:3] = [str(PROGRAM)]
    with nothing_left(), started(command, tmp_path) as (process, log):
        api = serving(process, log)
        entity = f'components/{api.body("/components")["items"][0]["id"]}'
        href = api.start(entity, api.upload(entity, 'echo hello\n'))
        api.wait_for_status(href, 'completed')
        for path in ('/health', '/executions', f'{href}/output', '/apps'):
            api.body(path)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    told = json.loads(log.read_text().splitlines()[-1])
    assert 'rclpy' in told['imported']
    assert set(UNNEEDED) & set(told['imported']) == set()
    assert told['collects']


def status(url: str, host: str) -> int:
    """Return how a GET is answered that names this host."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={'Host': host})) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
