"""Scripts that hang, fork, flood and kill: each ends, nothing is left, the loop keeps its pace."""

import asyncio
from collections.abc import AsyncIterator, Iterator
import contextlib
import os
from pathlib import Path
import resource
import signal
import subprocess
import time

import pytest
from runner_support import Floor, floor, floor_on, HOSTILE, living_descendants, wait_until

from gateway_node.child.process_tree import read_entry
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.executions.ports import EndCause, Outcome, StartOrder
from gateway_node.executions.values import Progress, StopAction
from gateway_node.scripts.values import Limits

__all__ = ['floor']

LOOP_LAG_SEC = 0.2
"""Longest that the gateway's event loop may stand still, before the slack for this machine."""
SLACK = 5


@pytest.fixture(autouse=True)
async def steady_loop() -> AsyncIterator[None]:
    """Fail a test in which the event loop stood still."""
    worst = 0.0

    async def measure() -> None:
        nonlocal worst
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before - 0.01)

    measuring = asyncio.create_task(measure())
    yield
    measuring.cancel()
    assert worst < LOOP_LAG_SEC * SLACK


def hostile(
    floor: Floor,
    name: str,
    limits: Limits | None = None,
    *,
    timeout_sec: float = 30,
    grace_sec: float = 5,
) -> StartOrder:
    """Return an order for a script of the hostile folder."""
    script = floor.script(HOSTILE / name, limits=limits)
    return floor.order(script, timeout_sec=timeout_sec, grace_sec=grace_sec)


async def stopped(floor: Floor, order: StartOrder) -> Outcome:
    """Start the order, stop it once it is up, return its end."""
    process = await floor.start(order)
    await floor.written(order, 'up')
    process.stop(StopAction.STOP)
    return await process.ended()


@pytest.mark.parametrize(
    'name',
    [
        'double_forked_daemon.sh',
        'daemon_without_environment.py',
        'ignores_sigterm.sh',
        'stops_itself.sh',
        'stops_its_supervisor.sh',
    ],
)
async def test_a_stop_reaches_everything(floor: Floor, name: str) -> None:
    """Daemons, the deaf and the stopped: after the grace period none of the tree lives."""
    outcome = await stopped(floor, hostile(floor, name, grace_sec=0.5))
    assert outcome.cause is EndCause.EXITED
    assert outcome.duration_sec < SLACK * 2.5


async def test_a_stopped_script_is_continued_to_hear_of_its_end(floor: Floor) -> None:
    """SIGCONT follows SIGTERM: a script that stopped itself ends within its grace period."""
    outcome = await stopped(floor, hostile(floor, 'stops_itself.sh', grace_sec=30))
    assert outcome.signal == signal.SIGTERM


async def test_a_script_that_closes_its_output_is_waited_for(floor: Floor) -> None:
    """The end of a pipe is not the end of a script."""
    outcome, _ = await floor.run(hostile(floor, 'closes_its_output.sh'))
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 5)
    assert outcome.duration_sec >= 1.0


async def test_a_child_that_holds_the_pipe_is_a_leftover(floor: Floor) -> None:
    """The end of a script is not the end of its pipe."""
    outcome, _ = await floor.run(hostile(floor, 'leaves_a_child_with_the_pipe.sh'))
    assert (outcome.exit_code, outcome.leftover_processes) == (0, 1)
    assert outcome.duration_sec < SLACK * 1.0


async def test_two_gigabytes_of_output_cost_no_memory(floor: Floor) -> None:
    """A flood is drained; head and tail are kept, on disk and in memory nothing grows."""
    order = hostile(floor, 'floods_stdout.sh', timeout_sec=60)
    process = await floor.start(order)
    peak_pages = 0
    ended = asyncio.create_task(process.ended())
    while not ended.done():
        await asyncio.wait({ended}, timeout=0.1)
        supervisor = read_entry(process.supervisor_pid)
        peak_pages = max(peak_pages, 0 if supervisor is None else supervisor.resident_pages)
    outcome, output = ended.result(), await floor.runner.output(order.execution_id)
    assert outcome.exit_code == 0
    assert output.dropped_bytes == 2_000_000_000 - 2 * 65536
    assert 0 < peak_pages * resource.getpagesize() < 64 * 1024 * 1024
    folder = floor.folder / 'state' / 'executions' / order.execution_id
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4 * 1024 * 1024


async def test_an_explicit_output_limit_ends_the_script(floor: Floor) -> None:
    """With `output_mb` surplus output is not dropped, it is the end."""
    outcome, _ = await floor.run(hostile(floor, 'floods_stdout.sh', Limits(output_mb=1)))
    assert outcome.cause is EndCause.LIMIT_REACHED
    assert outcome.limit is not None
    assert (outcome.limit.name, outcome.limit.value) == ('output_mb', 1)
    assert outcome.limit.used > 1


@pytest.mark.parametrize(
    ('name', 'last'),
    [
        ('floods_progress.py', Progress(percent=77)),
        ('chats.py', Progress(percent=100, message='done')),
    ],
)
async def test_a_flood_of_progress_is_bounded(floor: Floor, name: str, last: Progress) -> None:
    """Whatever comes on the channel, ten reports a second arrive, and the last one does."""
    heard: list[Progress] = []
    process = await floor.start(hostile(floor, name), heard.append)
    outcome = await process.ended()
    assert outcome.exit_code == 0
    assert heard[-1] == last
    assert len(heard) <= 3 + 10 * outcome.duration_sec


@pytest.mark.parametrize(
    ('name', 'limits', 'field'),
    [
        ('hogs_memory.py', Limits(memory_mb=100), 'memory_mb'),
        ('hogs_memory_in_eight.py', Limits(memory_mb=200), 'memory_mb'),
        ('burns_cpu_in_children.sh', Limits(cpu_sec=1), 'cpu_sec'),
        ('bombs.py', Limits(processes=50), 'processes'),
        ('opens_all_files.py', Limits(open_files=64), 'open_files'),
        ('writes_a_large_file.sh', Limits(file_size_mb=2), 'file_size_mb'),
        ('writes_a_large_file.py', Limits(file_size_mb=2), 'file_size_mb'),
    ],
)
async def test_a_limit_that_is_reached_ends_the_script_and_is_named(
    floor: Floor, name: str, limits: Limits, field: str
) -> None:
    """The outcome names the limit, its value and what was used."""
    outcome, _ = await floor.run(hostile(floor, name, limits))
    assert outcome.cause is EndCause.LIMIT_REACHED
    assert outcome.limit is not None
    assert outcome.limit.name == field
    assert outcome.limit.value == getattr(limits, field)
    assert outcome.limit.used >= outcome.limit.value
    assert outcome.duration_sec < SLACK * 3


async def test_scripts_within_their_limits_end_well(floor: Floor) -> None:
    """Limits that are not reached change nothing."""
    limits = Limits(
        cpu_sec=60,
        memory_mb=500,
        processes=200,
        open_files=6000,
        file_size_mb=100,
        output_mb=10,
    )
    for name in ('writes_a_large_file.py', 'leaves_zombies.py', 'closes_its_output.sh'):
        outcome, _ = await floor.run(hostile(floor, name, limits))
        assert outcome.cause is EndCause.EXITED, name


async def test_what_a_script_used_is_recorded(floor: Floor) -> None:
    """The greatest memory and the CPU seconds of the tree, children included."""
    outcome, _ = await floor.run(
        hostile(floor, 'hogs_memory_in_eight.py', timeout_sec=2.5, grace_sec=1)
    )
    assert outcome.resource_use is not None
    assert outcome.resource_use.max_memory_bytes > 400 * 1024 * 1024
    assert outcome.resource_use.cpu_sec > 0.05


async def test_hundreds_of_orphans_and_zombies_are_seen_off(floor: Floor) -> None:
    """Three hundred orphans are ended and counted; a hundred zombies need no end."""
    outcome, _ = await floor.run(hostile(floor, 'leaves_orphans.py'))
    assert (outcome.exit_code, outcome.leftover_processes) == (0, 300)
    outcome, _ = await floor.run(hostile(floor, 'leaves_zombies.py'))
    assert (outcome.exit_code, outcome.leftover_processes) == (0, 0)


async def test_a_script_that_kills_its_supervisor_does_not_survive_it(floor: Floor) -> None:
    """The spawner ends the tree of a lost supervisor, and the next start works."""
    outcome, _ = await floor.run(hostile(floor, 'kills_its_supervisor.sh'))
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    outcome, _ = await floor.run(hostile(floor, 'asks_for_nothing.sh'))
    assert outcome.exit_code == 0


async def test_a_script_that_stops_the_spawner_does_not_survive_it(floor: Floor) -> None:
    """A stopped spawner is continued, ends the tree of the lost supervisor and goes on."""
    outcome, _ = await floor.run(hostile(floor, 'stops_the_spawner.sh'))
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    assert [e.name for e in living_descendants() if e.name == 'sleep'] == []
    assert floor.runner.spawner_restarts == 0
    outcome, _ = await floor.run(hostile(floor, 'asks_for_nothing.sh'))
    assert outcome.exit_code == 0


async def test_a_script_that_kills_the_spawner_goes_on(floor: Floor) -> None:
    """Running supervisors do without the spawner; it is started again, and starts work."""
    process = await floor.start(hostile(floor, 'kills_the_spawner.sh'))
    outcome = await process.ended()
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 6)
    assert floor.runner.spawner_restarts == 1
    outcome, _ = await floor.run(hostile(floor, 'asks_for_nothing.sh'))
    assert outcome.exit_code == 0


async def test_a_script_that_kills_both_above_it_does_not_survive_it(floor: Floor) -> None:
    """Without spawner and supervisor the tree is the gateway's, which ends it."""
    outcome, _ = await floor.run(hostile(floor, 'kills_spawner_and_supervisor.sh'))
    assert outcome.cause is EndCause.SUPERVISOR_LOST
    assert [e.name for e in living_descendants() if e.name == 'sleep'] == []


async def test_a_fostered_supervisor_that_is_stopped_is_continued(floor: Floor) -> None:
    """The gateway does for supervisors without a spawner what the spawner did."""
    order = hostile(floor, 'stops_its_supervisor.sh', timeout_sec=2, grace_sec=0.5)
    process = await floor.start(order)
    spawner = next(e for e in living_descendants() if e.name == 'gw-spawner')
    os.kill(spawner.pid, signal.SIGKILL)
    outcome = await process.ended()
    assert outcome.cause is EndCause.TIMED_OUT
    await process.supervisor_gone()
    assert read_entry(process.supervisor_pid) is None


async def test_without_a_spawner_a_start_is_refused_for_a_moment(floor: Floor) -> None:
    """While the spawner is down a start says so, before anything is recorded."""
    spawner = next(e for e in living_descendants() if e.name == 'gw-spawner')
    os.kill(spawner.pid, signal.SIGKILL)
    order = hostile(floor, 'asks_for_nothing.sh')
    refused = 0
    deadline = time.monotonic() + 10
    while True:
        try:
            await floor.runner.vet(order)
        except RunnerUnavailable:
            refused += 1
        else:
            if refused:
                break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    outcome, _ = await floor.run(order)
    assert outcome.exit_code == 0


async def test_a_hanging_spawner_is_replaced(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spawner that does not answer is killed and started again."""
    monkeypatch.setattr('gateway_node.process.spawner_client._ANSWER_SEC', 0.3)
    spawner = next(e for e in living_descendants() if e.name == 'gw-spawner')
    os.kill(spawner.pid, signal.SIGSTOP)
    order = hostile(floor, 'asks_for_nothing.sh')
    with pytest.raises(Exception, match='does not answer'):
        await floor.start(order)
    await wait_until(lambda: floor.runner.spawner_restarts == 1, what='the spawner is replaced')
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(RunnerUnavailable):
            await floor.runner.vet(order)
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    outcome, _ = await floor.run(order)
    assert outcome.exit_code == 0


async def test_stops_at_any_moment_are_one_stop(floor: Floor) -> None:
    """Twenty stops, a stop at once and a stop after the end: one outcome."""
    process = await floor.start(hostile(floor, 'waits.sh'))
    for _ in range(20):
        process.stop(StopAction.STOP)
    outcome = await process.ended()
    assert outcome.signal == signal.SIGTERM
    process.stop(StopAction.STOP)
    await process.supervisor_gone()
    process.stop(StopAction.FORCED_TERMINATION)
    assert await process.ended() is outcome


async def test_a_start_that_nobody_waits_for_any_more_leaves_nothing(floor: Floor) -> None:
    """A start that is cancelled at any moment ends its script and removes what it left."""
    for delay in (0.0, 0.001, 0.003, 0.01):
        starting = asyncio.create_task(floor.start(hostile(floor, 'waits.sh')))
        await asyncio.sleep(delay)
        starting.cancel()
        process = (await asyncio.gather(starting, return_exceptions=True))[0]
        if not isinstance(process, BaseException):
            process.stop(StopAction.FORCED_TERMINATION)
            await process.ended()
            await floor.runner.discard(process.execution_id)
    await wait_until(lambda: len(living_descendants()) == 1, what='only the spawner is left')
    folder = floor.folder / 'state' / 'executions'
    await wait_until(lambda: not list(folder.iterdir()), what='no directory is left')


async def test_without_free_descriptors_a_start_is_refused(floor: Floor) -> None:
    """EMFILE in the gateway: refused, nothing leaks, and it works again later."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    order = hostile(floor, 'asks_for_nothing.sh')
    with contextlib.ExitStack() as held:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        with contextlib.suppress(OSError):
            while True:
                held.callback(os.close, os.open('/dev/null', os.O_RDONLY))
        with pytest.raises(RunnerUnavailable, match='Too many open files'):
            await floor.runner.vet(order)
    outcome, _ = await floor.run(order)
    assert outcome.exit_code == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 512 KiB."""
    disk = tmp_path / 'disk'
    disk.mkdir()
    mount = ('mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', str(disk))
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip('mounting a tmpfs is not allowed here')
    yield disk
    subprocess.run(('umount', '-l', str(disk)), check=True)


async def test_a_full_disk_does_not_stop_the_draining(small_disk: Path) -> None:
    """ENOSPC under the output: the script ends as it would have, what fits is kept."""
    async with floor_on(small_disk) as floor:
        script = floor.script('head -c 30000000 /dev/zero; echo end >&2; exit 4')
        outcome, output = await floor.run(floor.order(script))
    assert (outcome.cause, outcome.exit_code) == (EndCause.EXITED, 4)
    assert outcome.stdout is None
    assert output.stdout.startswith('\0')
