# SPDX-License-Identifier: Apache-2.0
"""The gateway's watch over a supervisor, with a program that says nothing in its place."""

import asyncio
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

from hanging_mount import hanging_file
from helper_processes import SUPERVISOR
import pytest
from runner_support import Floor, floor, floor_on
from waiting import wait_until

from gateway_node.child.messages import SupervisorOrder
from gateway_node.child.process_tree import identify, read_entry
from gateway_node.child.wire import encode
from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.runner_ports import EndCause
from gateway_node.executions.values import StopAction
from gateway_node.process import spawner_program
from gateway_node.process.journal import Journal, JournalEntry
from gateway_node.process.limits import NO_LIMITS
from gateway_node.process.spawner_connection import WaitingSupervisor
from gateway_node.process.supervised_process import SupervisedProcess
from gateway_node.process.supervisor_link import SupervisorLink
from gateway_node.scripts.values import Limits, ScriptKind

__all__ = ['floor']

PATIENCE_SEC = 20.0
TIME_LIMIT_SEC = 1.5
LONG_SEC = 600.0
EXEC_SEC = 0.5


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the time that a supervisor has for a tree that resists."""
    for name in (
        'supervised_process.LINGER_SEC',
        'watchdog.KILL_PATIENCE_SEC',
        'watchdog._HUNG_SEC',
    ):
        monkeypatch.setattr(f'gateway_node.process.{name}', 0.0)


@contextlib.contextmanager
def silent_supervisor(
    folder: Path, *, timeout_sec: float = TIME_LIMIT_SEC
) -> Iterator[tuple[SupervisedProcess, socket.socket]]:
    """Yield what the gateway takes for a supervisor, and that one's end of the channel."""
    ours, theirs = socket.socketpair()
    with theirs, subprocess.Popen(['sleep', '600']) as program:
        waiting = WaitingSupervisor(
            name='supervisor_1',
            pid=program.pid,
            pidfd=os.pidfd_open(program.pid),
            channel=ours,
            gone=asyncio.get_running_loop().create_future(),
        )
        try:
            link = SupervisorLink(waiting, lambda _: None)
            process = SupervisedProcess(
                order(folder, timeout_sec), link, lambda _: None, on_reusable=lambda _: None
            )
            process.begin()
            yield process, theirs
        finally:
            program.kill()


def order(folder: Path, timeout_sec: float) -> SupervisorOrder:
    """Return an order whose time limit is all that a supervisor is given."""
    return SupervisorOrder(
        execution_id='exec_1',
        directory=str(folder),
        argv=['/bin/true'],
        environment={},
        stdin='',
        timeout_sec=timeout_sec,
        grace_sec=0.0,
        stop_signal=signal.SIGTERM,
        limits=NO_LIMITS,
        keep_working_directory=False,
    )


async def test_a_script_whose_program_began_late_has_its_whole_time_limit(tmp_path: Path) -> None:
    """The supervisor counts from the program's start; the gateway watches from there as well."""
    with silent_supervisor(tmp_path) as (process, channel):
        await asyncio.sleep(EXEC_SEC)  # stands for an exec that takes long
        began = time.monotonic()
        channel.sendall(encode({'event': 'started', 'pid': 1}))
        await process.started()
        async with asyncio.timeout(PATIENCE_SEC):
            await process.link.gone
        assert time.monotonic() - began > TIME_LIMIT_SEC - EXEC_SEC / 2


async def test_a_supervisor_whose_program_never_begins_is_killed_all_the_same(
    tmp_path: Path,
) -> None:
    """The watch begins with the order."""
    with silent_supervisor(tmp_path) as (process, _):
        async with asyncio.timeout(PATIENCE_SEC):
            await process.link.gone


async def test_a_forced_termination_that_is_repeated_is_not_put_off(tmp_path: Path) -> None:
    """Neither by another one nor by the news that the program has begun."""
    with silent_supervisor(tmp_path, timeout_sec=LONG_SEC) as (process, channel):
        process.stop(StopAction.FORCED_TERMINATION)
        channel.sendall(encode({'event': 'started', 'pid': 1}))
        async with asyncio.timeout(PATIENCE_SEC):
            await process.link.gone


async def test_a_supervisor_that_does_not_hear_of_a_stop_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that reads what it is told has its time; one that hangs would keep the shutdown."""
    monkeypatch.setattr('gateway_node.process.watchdog._DEAF_SEC', 0.3)
    monkeypatch.setattr('gateway_node.process.watchdog._HUNG_SEC', 60.0)
    with silent_supervisor(tmp_path, timeout_sec=LONG_SEC) as (heard, channel):
        channel.recv(65536)
        heard.stop(StopAction.STOP)
        channel.recv(65536)
        with silent_supervisor(tmp_path, timeout_sec=LONG_SEC) as (unheard, _):
            unheard.stop(StopAction.STOP)
            async with asyncio.timeout(PATIENCE_SEC):
                await unheard.link.gone
        assert read_entry(heard.link.pid) is not None
        os.kill(heard.link.pid, signal.SIGKILL)
        await heard.link.gone


async def test_a_supervisor_that_hangs_in_the_kernel_holds_nobody_up(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL does not end it: it and what is left of its tree are named, and that is the end."""
    monkeypatch.undo()
    monkeypatch.setattr('gateway_node.process.watchdog._DEAF_SEC', 0.5)
    monkeypatch.setattr('gateway_node.process.watchdog._GIVE_UP_SEC', 0.5)
    with hanging_file(floor.folder / 'mount') as (file, asked):
        # To keep the limit the supervisor asks for the size of each file that is open.
        script = floor.script(f'exec 5<>{file}; sleep 600', limits=Limits(file_size_mb=1))
        order = floor.order(script, grace_sec=0.1)
        process = await floor.start(order)
        await wait_until(asked.is_set, what='the supervisor hangs')
        began = time.monotonic()
        process.stop(StopAction.STOP)
        async with asyncio.timeout(PATIENCE_SEC):
            outcome = await process.ended()
        assert outcome.cause is EndCause.SUPERVISOR_LOST
        assert 'hangs in the kernel' in outcome.message
        (named,) = outcome.unkillable_processes
        assert (named.pid, named.command) == (process.link.pid, SUPERVISOR)
        assert floor.runner.lives(named)
        assert (await floor.run(floor.order(floor.script('exit 3'))))[0].exit_code == 3
        await floor.runner.close()
        assert time.monotonic() - began < PATIENCE_SEC
        entry = read_entry(process.link.pid)
        assert entry is not None
        assert entry.state == 'D'
    await wait_until(lambda: not floor.runner.lives(named), what='it ends once it can')


HANGS_AS_SUPERVISOR = """
import os, sys
from gateway_node.child.process_tree import set_name
set_name(sys.argv[1])
file = os.open(sys.argv[2], os.O_RDWR)
print('open', flush=True)
os.fstat(file)
"""


async def test_a_supervisor_that_hung_when_its_gateway_died_is_named_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for, killed, and no longer waited for."""
    monkeypatch.setattr('gateway_node.process.recovery._PATIENCE_SEC', 0.1)
    with hanging_file(tmp_path / 'mount') as (file, asked):
        hanging = hung_on(file)
        await wait_until(asked.is_set, what='it hangs')
        journal = Journal(tmp_path / 'state')
        journal.open()
        mark = identify(hanging.pid)
        journal.write(
            JournalEntry(execution_id='exec_1', boot_id=journal.boot_id, supervisor=mark)
        )
        async with floor_on(tmp_path) as later, asyncio.timeout(PATIENCE_SEC):
            outcomes = await later.runner.recover()
        (named,) = outcomes['exec_1'].unkillable_processes
        assert (named.pid, named.command) == (hanging.pid, SUPERVISOR)
    assert hanging.wait(PATIENCE_SEC) == -signal.SIGKILL


def hung_on(file: Path) -> 'subprocess.Popen[bytes]':
    """Start what counts as a supervisor and hangs on the file."""
    argv = [sys.executable, '-c', HANGS_AS_SUPERVISOR, SUPERVISOR, str(file)]
    return subprocess.Popen(argv, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize('stopped', [False, True], ids=['time is over', 'stopped'])
async def test_a_program_that_hangs_before_it_begins_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """An exec that does not come back is given up; its process lives on and is told."""
    impatient = 'from gateway_node.child import killing; killing.KILL_PATIENCE_SEC = 0.2\n'
    # Before the spawner serves, and once it finds the package.
    program = spawner_program._PROGRAM.replace('main()', f'\n{impatient}main()')
    monkeypatch.setattr(spawner_program, '_PROGRAM', program)
    with hanging_file(tmp_path / 'mount') as (file, asked):
        async with floor_on(tmp_path) as floor:
            script = floor.script(f'#!{file}\n', ScriptKind.EXECUTABLE, managed=True)
            order = floor.order(script, timeout_sec=600 if stopped else 0.3)
            starting = asyncio.create_task(floor.start(order))
            await wait_until(asked.is_set, what='it hangs')
            if stopped:
                starting.cancel()
            async with asyncio.timeout(PATIENCE_SEC):
                with pytest.raises(SpawnFailed, match='begun') as told:
                    await starting
            (named,) = told.value.left
            assert floor.runner.lives(named)
    await wait_until(lambda: not floor.runner.lives(named), what='it ends once it can')
