# SPDX-License-Identifier: Apache-2.0
"""The process above the gateway, as PID 1 of a namespace, with another program below it."""

from collections.abc import Iterator
import contextlib
import os
import signal
import subprocess
import sys

import pytest

from gateway_node.child.process_tree import descendants, ProcessEntry

DEADLINE_SEC = 20
PROGRAM = 'from gateway_node.init import stand_above; stand_above()\n'
NAMESPACE = ('unshare', '--pid', '--fork', '--kill-child', '--mount-proc')


@pytest.fixture(scope='module', autouse=True)
def _namespaces() -> None:
    probed = subprocess.run((*NAMESPACE, 'true'), check=False, capture_output=True, text=True)
    if probed.returncode != 0:
        pytest.skip(f'no pid namespace can be made here: {probed.stderr.strip()}')


@contextlib.contextmanager
def below_pid_1(program: str) -> Iterator['subprocess.Popen[str]']:
    """Run the program below an init that is PID 1; it is killed at the end."""
    argv = (*NAMESPACE, sys.executable, '-c', PROGRAM + program)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        try:
            yield run
        finally:
            run.kill()


def pid_1(run: 'subprocess.Popen[str]') -> ProcessEntry:
    """Return the first process of the namespace."""
    return next(entry for entry in descendants(run.pid) if entry.parent == run.pid)


@pytest.mark.parametrize(
    ('program', 'status'),
    [
        ('raise SystemExit(0)', 0),
        ('raise SystemExit(3)', 3),
        ('import os; os.kill(os.getpid(), 9)', 128 + signal.SIGKILL),
    ],
)
def test_the_status_of_the_gateway_is_that_of_pid_1(program: str, status: int) -> None:
    """A signal's number is added to 128: PID 1 cannot die of one that it sends itself."""
    with below_pid_1(program) as run:
        assert run.wait(DEADLINE_SEC) == status


def test_the_gateway_is_not_pid_1_and_begins_with_no_signal_blocked() -> None:
    """It is the child, and finds what its starter left."""
    program = (
        'import os, signal\n'
        'print(os.getpid() > 1, os.getppid(), len(signal.pthread_sigmask(signal.SIG_BLOCK, ())))'
    )
    with below_pid_1(program) as run:
        assert run.communicate(timeout=DEADLINE_SEC)[0] == 'True 1 0\n'


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_are_passed_on(number: signal.Signals) -> None:
    """Whoever signals the process that was started signals the gateway."""
    program = (
        'import signal\n'
        f'signal.pthread_sigmask(signal.SIG_BLOCK, [{int(number)}])\n'
        'print("up", flush=True)\n'
        f'print(int(signal.sigwait([{int(number)}])))\n'
    )
    with below_pid_1(program) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == 'up\n'
        os.kill(pid_1(run).pid, number)
        assert run.communicate(timeout=DEADLINE_SEC)[0] == f'{int(number)}\n'
        assert run.returncode == 0


def test_orphans_are_reaped_and_are_not_the_gateways() -> None:
    """What loses its parent is the child of PID 1, and leaves no zombie there when it ends."""
    program = (
        'import os, subprocess\n'
        'made = subprocess.run(["sh", "-c", "sleep 600 >&- & echo $!"], stdout=-1, text=True)\n'
        'pid = int(made.stdout)\n'
        'print(open(f"/proc/{pid}/stat").read().split()[3], flush=True)\n'
        'os.kill(pid, 9)\n'
        'while os.path.exists(f"/proc/{pid}"):\n'
        '    pass\n'
    )
    with below_pid_1(program) as run:
        assert run.communicate(timeout=DEADLINE_SEC)[0] == '1\n'
        assert run.returncode == 0
