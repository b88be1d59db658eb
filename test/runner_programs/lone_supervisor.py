# SPDX-License-Identifier: Apache-2.0
"""A supervisor without spawner and gateway, for moments that cannot be hit from outside.

argv: a directory, an order's changes as JSON, the name of a moment or nothing. The last
word is the directory's end file.
"""

from collections.abc import Callable
import json
import os
from pathlib import Path
import signal
import socket
import sys
import time
from unittest import mock

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.messages import AskerNote, Dismissal, EndWish, SupervisorMessage
from gateway_node.child.supervision import program as program_module
from gateway_node.child.supervision import script_start
from gateway_node.child.supervision.gateway_link import GatewayLink
from gateway_node.child.supervision.program import Begun, execute, Program
from gateway_node.child.wire import encode, MessageBuffer

CLIENT = AskerNote(type='manual', setting='stop', username=None)
OURS, THEIRS = socket.socketpair()


class Telling(GatewayLink):
    """The gateway writes down how a script ended, and dismisses a supervisor that waits then."""

    def send(self, message: SupervisorMessage, descriptor: int | None = None) -> None:
        """Send it, and take the gateway's part."""
        super().send(message, descriptor)
        if message['event'] == 'ended' and message['reusable']:
            Path(sys.argv[1], 'end.json').write_text(json.dumps(message))
            THEIRS.sendall(encode(Dismissal(dismissed=True)))


class DyingWithProgress(Telling):
    """The gateway goes after the supervisor has looked for it, before it is told of progress."""

    def send(self, message: SupervisorMessage, descriptor: int | None = None) -> None:
        """Send what comes before."""
        if message['event'] == 'progress':
            THEIRS.close()
        super().send(message, descriptor)


def executed_and_ended(program: Program, wait: Callable[[int], None]) -> Begun:
    """Return only when the script has ended, its output unread."""
    begun = execute(program, wait)
    os.waitid(os.P_PID, begun.pid, os.WEXITED | os.WNOWAIT)
    return begun


def ended_then_stopped(program: Program, wait: Callable[[int], None]) -> Begun:
    """Return when the script has ended and a stop has come, neither of them noticed."""
    begun = executed_and_ended(program, wait)
    THEIRS.sendall(encode(EndWish(end='stop', asked_by=CLIENT)))
    return begun


def begun_and_given_up(program: Program, wait: Callable[[int], None]) -> Begun:
    """Give the script up when it has begun and has said so in a file."""
    execute(program, wait)
    while not Path(program.working_directory, '..', '..', 'begun').exists():
        time.sleep(0.01)
    raise InterruptedError('its end was asked for')


def hang(*_: object) -> None:
    """Take the place of an exec that does not come back."""
    time.sleep(30)
    os._exit(0)


def main() -> None:
    """Supervise one script to its end."""
    directory, changes, *moment = sys.argv[1:]
    bounds = ('cpu_sec', 'memory_mb', 'processes', 'open_files', 'file_size_mb', 'output_mb')
    order = {
        'execution_id': 'exec_0001',
        'directory': directory,
        'argv': ['/bin/sh', '-c', 'exit 0'],
        'environment': {'PATH': os.environ['PATH']},
        'stdin': '{}',
        'timeout_sec': 60.0,
        'grace_sec': 5.0,
        'stop_signal': int(signal.SIGTERM),
        'limits': dict.fromkeys(bounds),
        'keep_working_directory': False,
        **json.loads(changes),
    }
    Path(directory).mkdir(exist_ok=True)
    THEIRS.sendall(encode(order))
    link = DyingWithProgress if moment[0].endswith('gateway dies') else Telling
    start = {
        'ended at once': executed_and_ended,
        'ended, then gateway dies': executed_and_ended,
        'ended, then stopped': ended_then_stopped,
        'begun, then given up': begun_and_given_up,
    }.get(moment[0], execute)
    if moment == ['hangs, then stopped']:
        THEIRS.sendall(encode(EndWish(end='stop', asked_by=CLIENT)))
    become = hang if moment[0].startswith('hangs') else program_module._become
    # Only where it forks there is a moment between fork and exec.
    folders = () if moment[0].startswith('hangs') else program_module._SYSTEM_FOLDERS
    # A plain directory in a cgroup's place has no such file.
    procs = '/dev/null' if moment == ['in a plain leaf'] else CgroupLeaf.procs
    with (
        mock.patch.object(CgroupLeaf, 'procs', procs),
        mock.patch.object(script_start, 'GatewayLink', link),
        mock.patch.object(program_module, '_become', become),
        mock.patch.object(program_module, '_SYSTEM_FOLDERS', folders),
    ):
        script_start.supervise(OURS, os.pidfd_open(os.getpid()), start, f'{directory}/own')
    if moment[0].startswith(('hangs', 'begun')):
        said = MessageBuffer().feed(THEIRS.recv(65536))
        Path(directory, 'end.json').write_text(json.dumps(said[-1]))
    if moment == ['measured']:
        Path(directory, 'io').write_text(Path('/proc/thread-self/io').read_text())


main()
