# SPDX-License-Identifier: Apache-2.0
"""What of hostile scripts does not show through the API, and the runner's own accidents.

test/acceptance/test_hostile_scripts.py has the scripts themselves.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
import contextlib
import os
from pathlib import Path
import resource
import signal
import time

from helper_processes import SPARE, SPAWNER
import pytest
from raw_requests import loop_watched
from runner_support import Floor, floor, floor_on, HOSTILE, living_descendants, living_scripts
from waiting import DEADLINE_SEC, wait_until

from gateway_node.child.process_tree import read_entry
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.executions.runner_ports import EndCause, StartOrder
from gateway_node.executions.values import Progress, StopAction

__all__ = ['floor']

MANY_FILES = 1300


@pytest.fixture(autouse=True)
async def steady_loop() -> AsyncIterator[None]:
    """Fail a test in which the event loop stood still."""
    async with loop_watched():
        yield


def hostile(
    floor: Floor, name: str, *, timeout_sec: float = 30, grace_sec: float = 5
) -> StartOrder:
    """Return an order for a script of the hostile folder."""
    script = floor.script(HOSTILE / name)
    return floor.order(script, timeout_sec=timeout_sec, grace_sec=grace_sec)


async def test_a_flood_of_progress_is_bounded(floor: Floor) -> None:
    """Of 200,000 reports ten a second arrive, and the last one does."""
    heard: list[Progress] = []
    process = await floor.start(hostile(floor, 'chats.py'), heard.append)
    outcome = await process.ended()
    assert outcome.exit_code == 0
    assert heard[-1] == Progress(percent=100, message='done')
    assert outcome.duration_sec is not None
    assert len(heard) <= 3 + 10 * outcome.duration_sec


async def test_a_supervisor_that_lost_its_spawner_is_continued_where_it_is_stopped(
    floor: Floor,
) -> None:
    """The gateway does for supervisors without a spawner what the spawner did."""
    order = hostile(floor, 'stops_its_supervisor.sh', timeout_sec=2, grace_sec=0.5)
    process = await floor.start(order)
    spawner = next(e for e in living_descendants() if e.name == SPAWNER)
    os.kill(spawner.pid, signal.SIGKILL)
    outcome = await process.ended()
    assert outcome.cause is EndCause.TIMED_OUT
    await process.released()
    assert read_entry(process.link.pid) is None


async def test_without_a_spawner_a_start_is_refused_for_a_moment(floor: Floor) -> None:
    """While the spawner is down a start says so, before anything is recorded."""
    spawner = next(e for e in living_descendants() if e.name == SPAWNER)
    os.kill(spawner.pid, signal.SIGKILL)
    order = hostile(floor, 'asks_for_nothing.sh')
    refused = 0
    deadline = time.monotonic() + DEADLINE_SEC
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


async def helpers() -> tuple[int, int]:
    """Wait for a supervisor that is ready; return the spawner's pid and its."""
    names = {SPAWNER, SPARE}
    await wait_until(lambda: {e.name for e in living_descendants()} == names, what='it is ready')
    pids = {entry.name: entry.pid for entry in living_descendants()}
    return pids[SPAWNER], pids[SPARE]


async def test_a_start_takes_the_supervisor_that_is_ready(floor: Floor) -> None:
    """It needs no answer of the spawner's, and the next one is made ready."""
    spawner, spare = await helpers()
    os.kill(spawner, signal.SIGSTOP)
    process = await floor.start(hostile(floor, 'waits.sh'))
    assert process.link.pid == spare
    os.kill(spawner, signal.SIGCONT)
    process.stop(StopAction.STOP)
    await process.ended()
    assert (await helpers())[1] != spare


async def test_a_supervisor_that_was_killed_as_it_waited_is_replaced(floor: Floor) -> None:
    """Where a script has killed the one that was ready, the next start works all the same."""
    _, spare = await helpers()
    os.kill(spare, signal.SIGKILL)
    await wait_until(lambda: (e := read_entry(spare)) is None or e.is_zombie, what='it is gone')
    outcome, _ = await floor.run(hostile(floor, 'asks_for_nothing.sh'))
    assert outcome.exit_code == 0


async def test_a_spawner_that_is_lost_takes_the_waiting_supervisor_along(floor: Floor) -> None:
    """The next spawner makes one of its own, and no descriptor of the first one stays open."""
    spawner, spare = await helpers()
    descriptors = len(os.listdir('/proc/self/fd'))
    os.kill(spawner, signal.SIGKILL)
    await wait_until(lambda: floor.runner.spawner_restarts == 1, what='the spawner is replaced')
    assert spare not in await helpers()
    # At the first look its pidfd may have been on its way; left behind would be two.
    assert len(os.listdir('/proc/self/fd')) <= descriptors + 1


async def test_starts_that_come_while_a_supervisor_is_made_ready_all_work(floor: Floor) -> None:
    """One takes it, the others have theirs forked."""
    await helpers()
    for _ in range(3):
        orders = [hostile(floor, 'asks_for_nothing.sh') for _ in range(3)]
        ends = await asyncio.gather(*(floor.run(order) for order in orders))
        assert [outcome.exit_code for outcome, _ in ends] == [0, 0, 0]


@contextlib.contextmanager
def many_files_open() -> Iterator[None]:
    """Give every descriptor that is made meanwhile a number above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MANY_FILES:
        pytest.skip(f'at most {hard} files may be open here')
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY_FILES), hard))
    try:
        with contextlib.ExitStack() as files:
            for _ in range(1024):
                files.enter_context(open('/dev/null'))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_descriptors_may_have_large_numbers(tmp_path: Path) -> None:
    """A gateway with many clients has more than the 1023 that select(2) can look at."""
    with many_files_open():
        async with floor_on(tmp_path) as crowded:
            for _ in range(2):
                outcome, _ = await crowded.run(hostile(crowded, 'asks_for_nothing.sh'))
                assert outcome.exit_code == 0


async def test_a_hanging_spawner_is_replaced(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spawner that does not answer is killed and started again."""
    monkeypatch.setattr('gateway_node.process.spawner_connection._ANSWER_SEC', 0.3)
    spawner, spare = await helpers()
    os.kill(spawner, signal.SIGSTOP)
    os.kill(spare, signal.SIGKILL)
    await wait_until(lambda: len(living_descendants()) == 1, what='no supervisor is ready')
    order = hostile(floor, 'asks_for_nothing.sh')
    with pytest.raises(Exception, match='does not answer'):
        await floor.start(order)
    await wait_until(lambda: floor.runner.spawner_restarts == 1, what='the spawner is replaced')
    deadline = time.monotonic() + DEADLINE_SEC
    while True:
        with contextlib.suppress(RunnerUnavailable):
            await floor.runner.vet(order)
            break
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    outcome, _ = await floor.run(order)
    assert outcome.exit_code == 0


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
    await wait_until(lambda: living_scripts() == [], what='no script is left')
    folder = floor.folder / 'state' / 'executions'
    await wait_until(lambda: not list(folder.iterdir()), what='no directory is left')
