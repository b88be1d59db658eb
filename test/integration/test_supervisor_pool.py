# SPDX-License-Identifier: Apache-2.0
"""Supervisors are kept: one after the other they get the orders of many executions."""

import asyncio
from collections.abc import Callable
import os
from pathlib import Path
import signal

from helper_processes import SPARE, SPAWNER
import pytest
from runner_support import Floor, floor, floor_on, living_descendants, setup_file
from waiting import wait_until

from gateway_node.child.process_tree import read_entry
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_connection import WaitingSupervisor
from gateway_node.process.supervised_process import SupervisedProcess

__all__ = ['floor']

PATIENCE_SEC = 20.0
POOL = 'gateway_node.process.supervisor_pool'


def acknowledged(floor: Floor, process: SupervisedProcess) -> int:
    """Take note of its end; return the supervisor's pid."""
    floor.runner.acknowledge([process.execution_id])
    return process.link.pid


async def ended(floor: Floor, content: str) -> SupervisedProcess:
    """Run a script to its end, which is not recorded."""
    async with asyncio.timeout(PATIENCE_SEC):
        process = await floor.start(floor.order(floor.script(content)))
        await process.ended()
    return process


def idle() -> list[int]:
    """Return the pids of the supervisors that wait for an order."""
    return [entry.pid for entry in living_descendants() if entry.name == SPARE]


def folders(floor: Floor) -> list[Path]:
    """Return the supervisors' own."""
    return list((floor.folder / 'state' / 'supervisors').iterdir())


def spawner() -> int:
    """Return the spawner's pid."""
    return next(entry.pid for entry in living_descendants() if entry.name == SPAWNER)


async def test_a_supervisor_serves_one_script_after_the_other(floor: Floor) -> None:
    """The one that was used last is taken again, and works in the same folder."""
    first = acknowledged(floor, await ended(floor, 'exit 1'))
    for number in range(2, 20):
        process = await ended(floor, f'echo {number}; exit {number}')
        outcome = await process.ended()
        assert outcome.exit_code == number
        assert outcome.output is not None
        assert outcome.output.stdout == f'{number}\n'
        assert acknowledged(floor, process) == first


async def test_a_supervisor_gets_no_order_before_its_last_end_is_recorded(floor: Floor) -> None:
    """It is the one that tells of that end, should the gateway die."""
    first, second = [await ended(floor, 'exit 3') for _ in range(2)]
    assert first.link.pid != second.link.pid
    used = {acknowledged(floor, process) for process in (second, first)}
    assert acknowledged(floor, await ended(floor, 'exit 3')) in used


async def test_scripts_that_run_at_once_have_a_supervisor_each(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst one stays ready; the others go, with all that was theirs."""
    monkeypatch.setattr(f'{POOL}._IDLE_SEC', 0.2)
    processes = await asyncio.gather(*(ended(floor, 'sleep 0.3') for _ in range(8)))
    assert len({acknowledged(floor, process) for process in processes}) == 8
    await wait_until(lambda: len(idle()) == 1, what='one is left')
    await wait_until(lambda: len(folders(floor)) == 1, what='one folder is left')
    assert acknowledged(floor, await ended(floor, 'exit 3'))
    (journal,) = (floor.folder / 'state' / 'open').iterdir()
    assert journal.stat().st_size < 9 * 4096


async def test_one_that_was_made_ready_late_is_let_go_as_well(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the script whose successor it is for has ended by then, and its supervisor is back."""
    monkeypatch.setattr(f'{POOL}._IDLE_SEC', 0.05)
    fork, forked, taken_in = SpawnerClient.fork, asyncio.Event(), asyncio.Event()

    async def fork_slowly(client: SpawnerClient, name: str) -> WaitingSupervisor:
        supervisor = await fork(client, name)
        forked.set()
        await taken_in.wait()
        return supervisor

    monkeypatch.setattr(SpawnerClient, 'fork', fork_slowly)
    process = await ended(floor, 'exit 3')
    await forked.wait()
    acknowledged(floor, process)
    await wait_until(lambda: len(idle()) == 2, what='both wait')
    taken_in.set()
    await wait_until(lambda: len(idle()) == 1, what='one is left')


async def test_the_last_one_that_is_ready_stays_however_long_it_waits(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No start has to wait for a fork."""
    monkeypatch.setattr(f'{POOL}._IDLE_SEC', 0.05)
    acknowledged(floor, await ended(floor, 'exit 3'))
    await wait_until(lambda: len(idle()) == 1, what='one is left')
    (last,) = idle()
    await asyncio.sleep(0.2)  # a few times as long as others wait
    assert idle() == [last]


@pytest.mark.parametrize(
    'content',
    ['kill -9 $$', 'sleep 60 & exit 0', 'setsid sleep 60 & exit 0'],
    ids=['killed by itself', 'left a child', 'left a daemon'],
)
async def test_only_a_supervisor_that_saw_nothing_odd_is_used_again(
    floor: Floor, content: str
) -> None:
    """What outlived the main process had to be ended; a signal of the script's own is its end."""
    process = await ended(floor, content)
    pid = acknowledged(floor, process)
    again = await ended(floor, 'exit 3')
    assert (again.link.pid == pid) is content.startswith('kill')
    acknowledged(floor, again)


async def test_a_supervisor_that_is_killed_while_it_waits_is_replaced(floor: Floor) -> None:
    """No execution hears of it; its folder goes too."""
    process = await ended(floor, 'exit 3')
    pid = acknowledged(floor, process)
    await wait_until(lambda: pid in idle(), what='it waits')
    os.kill(pid, signal.SIGKILL)
    await wait_until(lambda: read_entry(pid) is None, what='it is gone')
    again = await ended(floor, 'exit 4')
    assert (await again.ended()).exit_code == 4
    assert acknowledged(floor, again) != pid
    await wait_until(lambda: not Path(process.link.name).exists(), what='its folder is removed')


async def test_a_supervisor_that_is_killed_before_its_end_is_recorded_costs_nobody_the_end(
    floor: Floor,
) -> None:
    """The gateway has it."""
    process = await ended(floor, 'exit 3')
    os.kill(process.link.pid, signal.SIGKILL)
    await process.link.gone
    assert (await process.ended()).exit_code == 3
    pid = acknowledged(floor, process)
    assert acknowledged(floor, await ended(floor, 'exit 4')) != pid


async def test_supervisors_that_lost_their_spawner_are_not_used_again(floor: Floor) -> None:
    """Those that wait end, and those that have a script after it: nobody else would look after
    what they leave."""
    resting = acknowledged(floor, await ended(floor, 'exit 3'))
    told = floor.folder / 'told'
    order = floor.order(floor.script(f'until [ -e {told} ]; do sleep 0.01; done; exit 4'))
    process = await floor.start(order)
    lost = spawner()
    before = {resting, process.link.pid}
    os.kill(lost, signal.SIGKILL)
    await wait_until(lambda: floor.runner.spawner_restarts == 1, what='the loss is noticed')
    told.touch()
    assert (await process.ended()).exit_code == 4
    acknowledged(floor, process)
    await process.link.gone
    await wait_until(floor_is_ready(floor), what='the next spawner serves')
    assert acknowledged(floor, await ended(floor, 'exit 5')) not in before
    await wait_until(lambda: read_entry(resting) is None, what='those before are gone')


def floor_is_ready(floor: Floor) -> Callable[[], bool]:
    """Return what tells whether a spawner serves."""
    return lambda: len(idle()) == 1


async def test_a_supervisor_holds_the_environment_until_it_is_another_one(tmp_path: Path) -> None:
    """What the set-up files do not set any more is gone, although a supervisor is told only what
    differs."""
    file = setup_file(tmp_path, 'export FIRST=1 BOTH=1')
    says = 'echo "$FIRST-$SECOND-$BOTH"'
    async with floor_on(tmp_path, [file]) as floor:
        said = []
        pids = set()
        for content in ('export FIRST=1 BOTH=1', 'export SECOND=2 BOTH=2'):
            setup_file(tmp_path, content)
            for _ in range(2):
                process = await ended(floor, says)
                output = (await process.ended()).output
                assert output is not None
                said.append(output.stdout.strip())
                pids.add(acknowledged(floor, process))
    assert said == ['1--1', '1--1', '-2-2', '-2-2']
    assert len(pids) <= 2


async def test_what_supervisors_of_an_earlier_gateway_left_is_removed(tmp_path: Path) -> None:
    """Their folders, by the next recovery; those of the present ones stay."""
    async with floor_on(tmp_path) as floor:
        await floor.runner.recover()
        left = floor.folder / 'state' / 'supervisors' / 'left' / 'work'
        left.mkdir(parents=True)
        (left / 'file').touch()
    async with floor_on(tmp_path) as later:
        await wait_until(lambda: len(folders(later)) == 2, what='a supervisor has its folder')
        await later.runner.recover()
        assert len(folders(later)) == 1
        assert (await (await ended(later, 'exit 3')).ended()).exit_code == 3


@pytest.mark.parametrize('line', ['rm -r ..; : > ..', 'rm -r ..; ln -s / ..', 'chmod 0 ..'])
async def test_what_a_script_did_to_the_supervisors_folder_stops_no_later_gateway(
    tmp_path: Path, line: str
) -> None:
    """Nothing is kept in there: it is made anew."""
    supervisors = tmp_path / 'state' / 'supervisors'
    async with floor_on(tmp_path) as floor:
        await ended(floor, line.replace('..', str(supervisors)))
    async with floor_on(tmp_path) as later:
        assert (await (await ended(later, 'exit 3')).ended()).exit_code == 3
        assert supervisors.is_dir()
        assert not supervisors.is_symlink()
    assert list(supervisors.iterdir()) == []
