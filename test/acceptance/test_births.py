# SPDX-License-Identifier: Apache-2.0
"""The gateway born into a bad place: it works, or ends with one line that says what to do."""

import contextlib
import os
from pathlib import Path
import pwd
import re
import shlex
import signal
import socket
import sys

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from free_ports import free_port
from gateway_process import entry_point, gateway, nothing_left, refused, started
from open_descriptors import descriptors
from ros_support import PROGRAMS
from terminals import terminal

from gateway_node.before_start import MISCONFIGURED
from gateway_node.child.process_tree import descendants

HOST = f'components/{socket.gethostname().replace(".", "_")}'
SAYS_WHERE_IT_IS = """
echo "$HOME"
printf %s "$ODD_BYTES" | od -An -tx1
ls -l /proc/self/fd
echo up
sleep 600
"""


def under(shell: str) -> list[str]:
    """Return a parent that does something first: a line for sh."""
    return ['/bin/sh', '-c', f'{shell}; exec "$@"', 'sh']


def test_a_hostile_parent_changes_nothing(tmp_path: Path) -> None:
    """Whatever it left, scripts run, find a HOME and their own bytes, and inherit nothing."""
    inherited = tmp_path / 'inherited'
    inherited.touch()
    parent = [sys.executable, str(PROGRAMS / 'hostile_parent.py'), str(inherited)]
    with gateway(tmp_path, parent=parent) as api:
        script = api.upload(
            HOST, SAYS_WHERE_IT_IS, name='где.sh', parameters_schema={'type': 'object'}
        )
        execution = api.start(HOST, script)
        said = api.wait_for(
            execution, lambda body: 'up\n' in body['output']['stdout'], what='it has said all'
        )['output']['stdout']
        home, odd_bytes, *_ = said.splitlines()
        assert home == pwd.getpwuid(os.getuid()).pw_dir
        assert odd_bytes.split() == ['e9', 'ff']
        assert str(inherited) not in said
        children = [entry.pid for entry in descendants(api.process.pid)]
        assert len(children) >= 4, 'spawner, supervisor, script, schema child'
        assert str(inherited) not in {file for pid in children for file in open_files(pid)}
        assert open_files(api.process.pid)[:2] == ['/dev/null', '/dev/null']


def open_files(pid: int) -> list[str]:
    """Return what a process has open, in the order of its descriptors."""
    found = []
    folder = Path(f'/proc/{pid}/fd')
    for fd in sorted(descriptors(pid)):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(os.readlink(folder / str(fd)))
    return found


def test_without_standard_streams_it_serves(tmp_path: Path) -> None:
    """No socket and no file of the state takes the place of stdin, stdout or stderr."""
    port = free_port()
    command = entry_point(tmp_path / 'state', {'server.port': port})
    parent = under('exec <&- >&- 2>&-')
    with nothing_left(), started([*parent, *command], tmp_path) as (process, _):
        wait_for(lambda: answers(port) or process.poll(), bool, what='it serves')
        assert open_files(process.pid)[:3] == ['/dev/null'] * 3
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def answers(port: int) -> bool:
    """Tell whether somebody listens on the port."""
    with contextlib.suppress(OSError), socket.create_connection(('127.0.0.1', port)):
        return True
    return False


@pytest.mark.parametrize(
    ('shell', 'parameters', 'parts'),
    [
        ('ulimit -n 20', {}, ['20 open files', 'at least 64', 'ulimit -n', 'LimitNOFILE=']),
        ('ulimit -f 8', {}, ['of a file', 'at least 1 ', 'ulimit -f', 'LimitFSIZE=']),
        ('ulimit -t 60', {}, ['60 s of processor', 'at least 3600 ', 'ulimit -t', 'LimitCPU=']),
        ('ulimit -v 300000', {}, ['of addresses', 'at least 1024 ', 'ulimit -v', 'LimitAS=']),
        (
            'mkdir gone; cd gone; rmdir ../gone',
            {'state_dir': 'somewhere'},
            ['state_dir', 'somewhere', 'an absolute path', 'working directory'],
        ),
        ('export RCUTILS_COLORIZED_OUTPUT=perhaps', {}, ['ROS does not start', 'RCUTILS_']),
        ('export PYTHONPATH=broken', {}, ['no rclpy for a test', 'set-up file']),
    ],
)
def test_what_cannot_be_mended_is_told_in_one_line(
    tmp_path: Path, shell: str, parameters: dict[str, object], parts: list[str]
) -> None:
    """The line says what is missing, how much is needed, and where to set it."""
    broken = tmp_path / 'broken' / 'rclpy'
    broken.mkdir(parents=True)
    (broken / '__init__.py').write_text('raise ImportError("no rclpy for a test")\n')
    parent = under(f'cd {shlex.quote(str(tmp_path))}; {shell}')
    status, output = refused(tmp_path, parameters, parent=parent)
    assert status == MISCONFIGURED, output
    assert 'Traceback' not in output
    (line,) = [line for line in output.splitlines() if line.startswith('gateway_node: ')]
    assert output.endswith(line)
    for part in parts:
        assert part in line


def test_a_home_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    """It may be there the next time, such as one on another file system."""
    parent = under('unset ROS_LOG_DIR ROS_HOME; export HOME=/proc/none')
    status, output = refused(tmp_path, parent=parent)
    assert status == 1, output
    assert 'Traceback' not in output
    line = output.splitlines()[-1]
    assert line.startswith('gateway_node: ')
    for part in ('/proc/none', 'HOME', 'ROS_LOG_DIR', 'state_dir'):
        assert part in line


def test_no_thread_is_told_in_one_line(tmp_path: Path) -> None:
    """Where the kernel gives none, the line says what limits there are; all are tried in vain."""
    program = str(PROGRAMS / 'threadless_gateway.py')
    command = [sys.executable, program, *entry_point(tmp_path / 'state')[3:]]
    with nothing_left(), started(command, tmp_path) as (process, log):
        assert process.wait(30) == 1
    assert 'Traceback' not in log.read_text()
    assert "gateway_node: can't start new thread: " in log.read_text().splitlines()[-1]


@pytest.fixture
def sourced(tmp_path: Path) -> Path:
    """Return a file that grows by a byte with each sourcing of `setup.bash` beside it."""
    count = tmp_path / 'count'
    (tmp_path / 'setup.bash').write_text(f'printf x >> {count}\n')
    return count


def set_up(folder: Path) -> tuple[str, str]:
    """Return the arguments that have `setup.bash` of the folder sourced."""
    return '-p', f"environment.setup_files:=['{folder}/setup.bash']"


def test_it_ends_with_its_terminal(tmp_path: Path, sourced: Path) -> None:
    """Before, SIGHUP means the set-up files, whose state /health tells; then it means the end."""
    with (
        terminal() as (other_end, parent),
        gateway(tmp_path, None, *set_up(tmp_path), parent=parent) as api,
    ):
        api.signal(signal.SIGHUP)
        wait_for(sourced.read_text, lambda text: text == 'xx', what='sourced anew')
        assert api.body('/health')['status'] == 'ok'
        (tmp_path / 'setup.bash').write_text('exit 3\n')
        api.signal(signal.SIGHUP)
        health = api.wait_for('/health', lambda body: body['warnings'], what='a failed sourcing')
        assert health['status'] == 'degraded'
        assert re.match(
            rf'scripts cannot start since 2\S+Z: {tmp_path}/setup.bash .* status 3',
            health['warnings'][0],
        )
        os.close(other_end)
        assert api.wait_ended() == 0
        assert 'shutting down' in api.log
        assert not answers(api.port)


def test_it_ends_with_the_terminal_of_its_shell(tmp_path: Path) -> None:
    """The shell of the terminal, not the gateway, is told by the kernel, and passes it on."""
    shell = ['/bin/bash', '--norc', '-i', '-c', '"$@"; :', 'bash']
    with (
        terminal() as (other_end, parent),
        gateway(tmp_path, parent=[*parent, *shell]) as api,
    ):
        os.close(other_end)
        api.wait_ended()
        wait_for(lambda: answers(api.port), lambda does: not does, what='the port is free')
        wait_for(lambda: api.log, lambda log: 'shutting down' in log, what='a graceful end')


def test_nohup_is_honoured(tmp_path: Path, sourced: Path) -> None:
    """With SIGHUP ignored at birth, the end of the terminal is no reason to end."""
    with (
        terminal() as (other_end, parent),
        gateway(tmp_path, None, *set_up(tmp_path), parent=[*parent, 'nohup']) as api,
    ):
        os.close(other_end)
        wait_for(sourced.read_text, lambda text: text == 'xx', what='SIGHUP has come')
        assert api.body('/health')['status'] == 'ok'


def test_sighup_before_the_start_is_remembered(tmp_path: Path, sourced: Path) -> None:
    """An early `systemctl reload` ends nothing, and is done once the gateway has started."""
    command = entry_point(tmp_path / 'state', None, *set_up(tmp_path))
    with nothing_left(), started(command, tmp_path) as (process, log):
        wait_for(lambda: blocks_sighup(process.pid), bool, what='the entry point was reached')
        process.send_signal(signal.SIGHUP)
        wait_for(sourced.exists, bool, what='sourced at the start')
        wait_for(sourced.read_text, lambda text: text == 'xx', what='sourced by SIGHUP')
        assert not blocks_sighup(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()


def blocks_sighup(pid: int) -> bool:
    """Tell whether a process lets SIGHUP wait (man 5 proc_pid_status)."""
    status = Path(f'/proc/{pid}/status').read_text()
    (line,) = [line for line in status.splitlines() if line.startswith('SigBlk:')]
    return bool(int(line.split()[1], 16) >> (signal.SIGHUP - 1) & 1)
