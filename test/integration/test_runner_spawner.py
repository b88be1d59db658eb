# SPDX-License-Identifier: Apache-2.0
"""The spawner by itself, with a gateway that does not listen."""

from collections.abc import Iterator
import contextlib
import json
import os
from pathlib import Path
import resource
import signal
import socket
import subprocess
import sys
import time
from typing import Any

from gateway_node.child.messages import ProcessNote
from gateway_node.child.process_tree import descendants
from gateway_node.child.wire import receive_packet

PATIENCE_SEC = 45
MAIN = 'from gateway_node.child.supervision.spawner import main; main()'
REQUESTS = 400
"""Whose answers, two for each, are more than a socket holds."""


@contextlib.contextmanager
def spawner(
    gateway: int, program: str = MAIN
) -> Iterator[tuple[socket.socket, 'subprocess.Popen[bytes]']]:
    """Yield the control socket of a spawner, and the spawner."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pidfd = os.pidfd_open(gateway)
    argv = [sys.executable, '-c', program, str(theirs.fileno()), str(pidfd)]
    with ours, subprocess.Popen(argv, pass_fds=(theirs.fileno(), pidfd)) as process:
        theirs.close()
        os.close(pidfd)
        try:
            yield ours, process
        finally:
            process.kill()


def request(control: socket.socket, name: str) -> None:
    """Ask for a supervisor that ends at once: its channel is closed."""
    ours, theirs = socket.socketpair()
    ours.close()
    with theirs:
        socket.send_fds(control, [name.encode()], [theirs.fileno()])


def receive(control: socket.socket) -> dict[str, Any]:
    """Return what the spawner says next; the pidfd that may come with it is closed."""
    packet, descriptors = receive_packet(control)
    for descriptor in descriptors:
        os.close(descriptor)
    message: dict[str, Any] = json.loads(packet)
    return message


def test_a_gateway_that_does_not_listen_holds_nothing_up() -> None:
    """Answers for which there is no room wait, requests are served, and nothing is lost."""
    with spawner(os.getpid()) as (control, _):
        control.settimeout(PATIENCE_SEC)
        for number in range(REQUESTS):
            request(control, f'exec_{number}')
        said: dict[str, list[str]] = {}
        while sum('gone' in events for events in said.values()) < REQUESTS:
            message = receive(control)
            said.setdefault(message.get('name', ''), []).append(message['event'])
    assert said.pop('') == ['ready']
    assert set(map(tuple, said.values())) == {('forked', 'gone')}


def test_a_spawner_whose_answers_nobody_takes_ends_with_its_gateway() -> None:
    """With answers still waiting it notices that the gateway is gone."""
    with subprocess.Popen(['sleep', '60']) as gateway, spawner(gateway.pid) as (control, process):
        control.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            for number in range(REQUESTS):
                request(control, f'exec_{number}')
        gateway.kill()
        assert process.wait(PATIENCE_SEC) == 0


LEAVES_ONE = """
import os
from gateway_node.child.supervision import spawner

def supervise(*_):
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', '600'])

spawner.supervise = supervise
spawner.main()
"""


def test_what_a_supervisor_leaves_is_ended_however_it_ended() -> None:
    """Nobody else would: a supervisor's good end is no proof that its tree is gone."""
    with spawner(os.getpid(), LEAVES_ONE) as (control, process):
        control.settimeout(PATIENCE_SEC)
        request(control, 'exec_1')
        while (message := receive(control))['event'] != 'gone':
            pass
        assert (message['name'], message['unkillable']) == ('exec_1', [])
        assert descendants(process.pid) == []


DEAF_ONE = """
import os
from gateway_node.child import killing
from gateway_node.child.supervision import spawner
from gateway_node.child.process_tree import Sent

def supervise(*_):
    try:
        os.mkdir({marker!r})
    except FileExistsError:
        return
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', '600'])

killing.KILL_PATIENCE_SEC = 0.5
spawner.supervise = supervise
killing.signal_all = lambda entries, number: Sent(reached=[], refused=[])
spawner.main()
"""


def test_what_cannot_be_killed_holds_no_report_up_for_ever(tmp_path: Path) -> None:
    """Others that end meanwhile give it no other lease of life, and it is not told as theirs."""
    program = DEAF_ONE.format(marker=str(tmp_path / 'marker'))
    told: dict[str, list[ProcessNote]] = {}
    with spawner(os.getpid(), program) as (control, _):
        control.settimeout(PATIENCE_SEC)
        for number in range(REQUESTS):
            request(control, f'exec_{number}')
            while (message := receive(control))['event'] != 'forked':
                if message['event'] == 'gone':
                    told[message['name']] = message['unkillable']
            if told:
                break
            time.sleep(0.05)  # longer than a supervisor lives, shorter than the patience
        while len(told) <= number:
            if (message := receive(control))['event'] == 'gone':
                told[message['name']] = message['unkillable']
    (note,) = told.pop('exec_0')
    os.kill(note['pid'], signal.SIGKILL)
    assert (note['command'], note['permitted']) == ('sleep 600', True)
    assert told
    assert all(notes == [] for notes in told.values())


def test_a_spawner_without_free_descriptors_refuses_and_goes_on() -> None:
    """The kernel drops the channel that comes with a request then; later ones are served."""
    with spawner(os.getpid()) as (control, process):
        control.settimeout(PATIENCE_SEC)
        assert receive(control) == {'event': 'ready'}
        soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, hard))
        request(control, 'exec_1')
        assert receive(control) == {
            'event': 'refused',
            'name': 'exec_1',
            'message': 'Too many open files',
        }
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        request(control, 'exec_2')
        assert [receive(control)['event'] for _ in range(2)] == ['forked', 'gone']
        assert (process.poll(), descendants(process.pid)) == (None, [])
