"""The systemd unit of the docs: valid, and complete, so that what it starts works."""

import os
from pathlib import Path
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import nothing_left, started, wait_for

PAGE = Path(__file__).parents[2] / 'docs' / 'operating.md'
PROGRAM = 'opt/robot/install/gateway_node/lib/gateway_node/gateway_node'
GRAPH = ('ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')


def unit() -> str:
    """Return the unit as the page shows it."""
    (found,) = re.findall(r'```ini\n(\[Unit\]\n.*?)```', PAGE.read_text(), re.DOTALL)
    return str(found)


def settings(name: str) -> list[str]:
    """Return what the unit says for a name, each line; a line may go on in the next one."""
    joined = re.sub(r'\\\n\s*', ' ', unit())
    return re.findall(rf'^{name}=(.*)$', joined, re.MULTILINE)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """Every setting of the unit is known, and its commands are there."""
    if shutil.which('systemd-analyze') is None:
        pytest.skip('systemd is not installed')
    file = tmp_path / 'gateway_node.service'
    file.write_text(unit())
    verified = subprocess.run(
        ['systemd-analyze', 'verify', '--man=no', '--recursive-errors=no', str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, '')


def test_what_the_unit_starts_needs_nothing_else(tmp_path: Path) -> None:
    """With the unit's environment alone it serves, is reloaded at any time, and ends with 0."""
    robot_of(tmp_path)
    (command,) = (shlex.split(each) for each in settings('ExecStart'))
    command = [re.sub(r'(?<![\w.])/(?=opt/|var/|etc/)', f'{tmp_path}/', word) for word in command]
    given = dict(each.split('=', 1) for each in settings('Environment'))
    environment = [f'{name}={tmp_path}{value}' for name, value in given.items()]
    path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin'  # man 5 systemd.exec
    (tmp_path / 'var' / 'lib' / settings('StateDirectory')[0]).mkdir(parents=True)
    with (
        nothing_left(),
        started(['/usr/bin/env', '-i', path, *environment, *command], tmp_path) as (process, log),
    ):
        wait_for((tmp_path / 'sourcing').exists, bool, what='bash sources')
        process.send_signal(signal.SIGHUP)
        (tmp_path / 'go').touch()
        wait_for(
            lambda: 'serving' in log.read_text() or process.poll() is not None,
            bool,
            what='it serves',
        )
        assert process.poll() is None, log.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    home = tmp_path / 'var' / 'lib' / 'gateway_node'
    assert sorted(entry.name for entry in home.iterdir()) == ['log', 'state']
    assert (home / 'state' / 'gateway.sqlite3').exists()
    assert list((home / 'log').iterdir())


def robot_of(folder: Path) -> None:
    """Put what the unit names below a folder: set-up files, the program, its parameters."""
    program = folder / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gateway_node "$@"\n')
    program.chmod(0o755)
    distribution = folder / 'opt' / 'ros' / 'kilted'
    distribution.mkdir(parents=True)
    exports = ''.join(f'export {name}={os.environ[name]}\n' for name in GRAPH)
    (distribution / 'setup.bash').write_text(exports)
    (folder / 'opt' / 'robot' / 'install' / 'setup.bash').write_text(
        f'touch {folder}/sourcing\nwhile ! [ -e {folder}/go ]; do sleep 0.01; done\n'
        '[ -f /no/such/file ] && source /no/such/file\n'
    )
    parameters = folder / 'etc' / 'gateway_node.yaml'
    parameters.parent.mkdir()
    parameters.write_text('/**:\n  ros__parameters:\n    server:\n      port: 0\n')
