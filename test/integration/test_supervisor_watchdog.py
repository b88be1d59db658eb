"""The gateway's watch over a supervisor, with a program that says nothing in its place."""

import asyncio
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import socket
import subprocess
import time

import pytest

from gateway_node.child.messages import encode, SupervisorOrder
from gateway_node.executions.values import StopAction
from gateway_node.process.limits import NO_LIMITS
from gateway_node.process.script_process import SupervisedProcess
from gateway_node.process.spawner_connection import WaitingSupervisor

PATIENCE_SEC = 20.0
TIME_LIMIT_SEC = 1.5
EXEC_SEC = 0.5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the time that a supervisor has for a tree that resists."""
    for name in ('KILL_PATIENCE_SEC', 'LINGER_SEC', '_HUNG_SEC'):
        monkeypatch.setattr(f'gateway_node.process.script_process.{name}', 0.0)


@contextlib.contextmanager
def silent_supervisor(folder: Path) -> Iterator[tuple[SupervisedProcess, socket.socket]]:
    """Yield what the gateway takes for a supervisor, and that one's end of the channel."""
    ours, theirs = socket.socketpair()
    with theirs, subprocess.Popen(['sleep', '600']) as program:
        waiting = WaitingSupervisor(
            pid=program.pid,
            pidfd=os.pidfd_open(program.pid),
            channel=ours,
            gone=asyncio.get_running_loop().create_future(),
        )
        try:
            process = SupervisedProcess('exec_1', folder, waiting, lambda _: None)
            process.begin(order(folder))
            yield process, theirs
        finally:
            program.kill()


def order(folder: Path) -> SupervisorOrder:
    """Return an order whose time limit is all that a supervisor is given."""
    return SupervisorOrder(
        execution_id='exec_1',
        directory=str(folder),
        argv=['/bin/true'],
        environment={},
        stdin='',
        timeout_sec=TIME_LIMIT_SEC,
        grace_sec=0.0,
        stop_signal=signal.SIGTERM,
        limits=NO_LIMITS,
        keep_working_directory=False,
    )


async def test_a_script_whose_program_began_late_has_its_whole_time_limit(tmp_path: Path) -> None:
    """The supervisor counts from the program's start; the gateway watches from there as well."""
    with silent_supervisor(tmp_path) as (process, channel):
        await asyncio.sleep(EXEC_SEC)  # stands for an exec that takes long
        channel.sendall(encode({'event': 'started', 'pid': 1}))
        await process.started()
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_SEC):
            await process.supervisor_gone()
        assert time.monotonic() - began > TIME_LIMIT_SEC - EXEC_SEC / 2


async def test_a_supervisor_whose_program_never_begins_is_killed_all_the_same(
    tmp_path: Path,
) -> None:
    """The watch begins with the order."""
    with silent_supervisor(tmp_path) as (process, _):
        async with asyncio.timeout(PATIENCE_SEC):
            await process.supervisor_gone()


async def test_a_forced_termination_that_is_repeated_is_not_put_off(tmp_path: Path) -> None:
    """Neither by another one nor by the news that the program has begun."""
    with silent_supervisor(tmp_path) as (process, channel):
        began = time.monotonic()
        process.stop(StopAction.FORCED_TERMINATION)
        channel.sendall(encode({'event': 'started', 'pid': 1}))
        async with asyncio.timeout(PATIENCE_SEC):
            await process.supervisor_gone()
        assert time.monotonic() - began < TIME_LIMIT_SEC
