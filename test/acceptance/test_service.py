# SPDX-License-Identifier: Apache-2.0
"""The systemd unit of the package: valid, and complete, so that what it starts works."""

import os
from pathlib import Path
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import nothing_left, serving, started
from ros_support import PROFILES

from gateway_node.before_start import MISCONFIGURED
from gateway_node.main import START_DEADLINE_SEC

UNIT = Path(__file__).parents[2] / 'config' / 'gateway_node.service'
GRAPH = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE', PROFILES)


def settings(name: str) -> list[str]:
    """Return what the unit says for a name, each line; a line may go on in the next one."""
    joined = re.sub(r'\\\n\s*', ' ', UNIT.read_text())
    return re.findall(rf'^{name}=(.*)$', joined, re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_the_unit() -> None:
    """Every setting of the unit is known, and its commands are there."""
    if shutil.which('systemd-analyze') is None:
        pytest.skip('systemd is not installed')
    verified = subprocess.run(
        ['systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, '')


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('KillMode', 'mixed'),
        ('Delegate', 'yes'),
        ('OOMPolicy', 'continue'),
        ('Restart', 'on-failure'),
        ('TimeoutStopSec', '20'),
        ('User', 'gateway'),
        ('RestartPreventExitStatus', str(MISCONFIGURED)),
    ],
)
def test_the_unit_keeps_what_the_gateway_relies_on(name: str, value: str) -> None:
    """It ends its own scripts, each in its cgroup, before systemd kills, and is no root."""
    assert settings(name) == [value]


def test_nodes_of_other_users_are_not_hidden() -> None:
    """Fast DDS would hide them in shared memory; see test_nodes_of_other_users.py."""
    assert 'FASTDDS_BUILTIN_TRANSPORTS=UDPv4' in settings('Environment')


def test_starts_that_go_on_failing_come_to_an_end() -> None:
    """Also where each start takes as long as one can: each leaves a log of ROS behind."""
    (interval_sec, burst, restart_sec) = (
        int(value)
        for name in ('StartLimitIntervalSec', 'StartLimitBurst', 'RestartSec')
        for value in settings(name)
    )
    assert burst * (restart_sec + START_DEADLINE_SEC) < interval_sec


def test_what_the_unit_starts_needs_nothing_else(tmp_path: Path) -> None:
    """With the unit's environment alone it runs scripts, is reloaded any time, and ends with 0."""
    given = [each.split('=', 1) for each in settings('Environment')]
    environment = {name: re.sub('^/', f'{tmp_path}/', value) for name, value in given}
    robot_of(tmp_path, Path(environment['GATEWAY_SETUP']), Path(environment['GATEWAY_PROGRAM']))
    (command,) = (shlex.split(each.replace('$$', '$')) for each in settings('ExecStart'))
    command = [re.sub(r'(?<![\w.])/(?=var/|etc/)', f'{tmp_path}/', word) for word in command]
    home = tmp_path / 'var' / 'lib' / settings('StateDirectory')[0]
    home.mkdir(parents=True)
    path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'  # man 5 systemd.exec
    assignments = [f'{name}={value}' for name, value in environment.items()]
    with (
        nothing_left(),
        started(['/usr/bin/env', '-i', path, *assignments, *command], tmp_path) as (process, log),
    ):
        wait_for((tmp_path / 'sourcing').exists, bool, what='bash sources')
        process.send_signal(signal.SIGHUP)
        (tmp_path / 'go').touch()
        api = serving(process, log)
        host = f'components/{api.body("/components")["items"][0]["id"]}'
        href = api.start(host, api.upload(host, 'echo "$HOME $SOURCED"\n'))
        ended = api.wait_for_status(href, 'completed')
        assert ended['output']['stdout'] == f'{home} by the unit\n'
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    assert sorted(entry.name for entry in home.iterdir()) == ['log', 'state']
    assert (home / 'state' / 'gateway.sqlite3').exists()
    assert list((home / 'log').iterdir())


def robot_of(folder: Path, setup: Path, program: Path) -> None:
    """Put what the unit names below a folder: a set-up file, the program, its parameters."""
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway_node "$@"\n')
    program.chmod(0o755)
    setup.write_text(
        ''.join(f'export {name}={os.environ[name]}\n' for name in GRAPH)
        + 'export SOURCED="by the unit"\n'
        f'touch {folder}/sourcing\nwhile ! [ -e {folder}/go ]; do sleep 0.01; done\n'
        '[ -f /no/such/file ] && source /no/such/file\n'
    )
    parameters = folder / 'etc' / 'gateway_node.yaml'
    parameters.parent.mkdir()
    parameters.write_text('/**:\n  ros__parameters:\n    server:\n      port: 0\n')
