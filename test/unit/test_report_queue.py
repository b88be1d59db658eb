# SPDX-License-Identifier: Apache-2.0
"""The way of a status report from the event loop to the ROS thread, and what does not fit."""

import asyncio
import logging
import random
import sqlite3
from typing import Any

from clients import CLIENT
from fakes import FakeClock, InMemoryExecutionStore, new_execution
import pytest
from waiting import wait_until

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Event
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.store_ports import LogPolicy
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import Execution, ExecutionStatus, Progress
from gateway_node.ros.report_queue import ReportQueue
from gateway_node.ros.status_reports import ReportLevel, StatusReport

PROGRESS = new_execution(0)
RUNNING = ExecutionStatus.RUNNING
FAILED = ExecutionStatus.FAILED


class Log:
    """A ledger, and the queue that follows its log."""

    def __init__(self) -> None:
        self.store = InMemoryExecutionStore(FakeClock())
        self.ledger = Ledger(self.store)
        self.reads = 0
        self.read_thrice = asyncio.Event()
        self.error: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.recorded: list[str] = []
        """What happened, in order."""
        self.taken: list[str] = []
        """What the ROS thread took."""
        self.wakes = 0
        self.woken = asyncio.Event()
        self.pending: Execution | None = None
        """The progress that goes before the next status."""
        self._read = self.store.log.events

    @classmethod
    async def followed(cls, limit: int, patch: pytest.MonkeyPatch) -> 'Log':
        """Return a log that a queue of so many reports follows, and whose reads can fail."""
        log = cls()
        patch.setattr('gateway_node.executions.following.LIMIT', 2)
        patch.setattr(log.store.log, 'events', log._events)
        log.queue = ReportQueue(report=report, settle=log._settle, wake=log._wake, limit=limit)
        await log.queue.follow(log.ledger)
        return log

    queue: ReportQueue

    def _wake(self) -> None:
        self.wakes += 1
        self.woken.set()

    async def record(self, number: int = 1) -> None:
        """Let new executions be accepted."""
        for _ in range(number):
            execution = new_execution(len(self.recorded) + 1)
            self.recorded.append(f'{execution.id} prepared')
            await self.ledger.begin(execution, actor=CLIENT)

    async def advance(self, execution: Execution, status: ExecutionStatus) -> Execution:
        """Bring an execution into its next status."""
        self.recorded.append(f'{execution.id} {status.value}')
        change = transition(execution, status)
        await self.ledger.persist(change)
        return change.execution

    def take(self, number: int = 10_000) -> None:
        """Take reports as the ROS thread does, up to `number` of them."""
        for _ in range(number):
            found = self.queue.get()
            if found is None:
                return
            self.taken.append(found.name)

    async def take_all(self) -> None:
        """Take reports until nothing is missing any more."""
        async with asyncio.timeout(10):
            self.take()
            while self.queue.missing:
                await asyncio.sleep(0)
                self.take()

    async def _events(self, *arguments: Any, **options: Any) -> tuple[Event, ...]:
        self.reads += 1
        if self.reads == 3:
            self.read_thrice.set()
        found = await self._read(*arguments, **options)
        await self.hold.wait()
        if self.error is not None:
            raise self.error
        return found

    def _settle(self, execution: Execution) -> Execution | None:
        pending, self.pending = self.pending, None
        return pending


def report(execution: Execution) -> StatusReport:
    """Return a report that names the execution and its status."""
    name = f'{execution.id} {execution.status.value}'
    if execution.progress is not None:
        name = 'progress'
    return StatusReport(name=name, level=ReportLevel.OK, message='', hardware_id='', values=())


async def test_what_does_not_fit_is_read_from_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody takes anything memory is bounded; afterwards each change comes, in order."""
    log = await Log.followed(4, monkeypatch)
    await log.record(11)
    log.take(2)
    await log.record(2)
    await log.take_all()
    assert log.taken == log.recorded
    assert log.reads
    reads = log.reads
    await log.record(3)
    log.take()
    assert log.taken == log.recorded
    assert log.reads == reads


async def test_the_ros_thread_is_woken_once_for_what_comes_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And again for what comes after it has been woken, taken or not."""
    log = await Log.followed(10, monkeypatch)
    for wakes in (1, 2):
        log.woken.clear()
        await log.record(4)
        assert log.wakes == wakes - 1
        await log.woken.wait()
        assert log.wakes == wakes
    log.take()
    assert log.taken == log.recorded


async def test_a_status_that_is_read_later_is_told_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What happened to an execution since, its deletion included, does not show in it."""
    log = await Log.followed(1, monkeypatch)
    first = new_execution(1)
    log.recorded.append(f'{first.id} prepared')
    await log.ledger.begin(first, actor=CLIENT)
    await log.advance(await log.advance(first, RUNNING), FAILED)
    await log.ledger.remove(first.id, actor=CLIENT, cause='client')
    await log.record()
    await log.take_all()
    assert log.taken == log.recorded


def test_the_loop_may_close_while_the_ros_thread_takes_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It can at any moment, between two lines too; then nobody is left who reads the log."""
    loop = asyncio.new_event_loop()

    async def held_up() -> Log:
        log = await Log.followed(1, monkeypatch)
        await log.record(2)
        return log

    log = loop.run_until_complete(held_up())
    loop.close()
    monkeypatch.setattr(loop, 'is_closed', lambda: False)
    log.take()
    assert log.taken == log.recorded[:1]


async def test_what_is_recorded_while_the_log_is_read_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The read may not have seen it, and it was not queued."""
    log = await Log.followed(4, monkeypatch)
    await log.record(9)
    log.take()
    log.hold.clear()
    await wait_until(lambda: log.reads > 0, what='the log is read')
    await log.record()
    log.hold.set()
    await log.take_all()
    assert log.taken == log.recorded


async def test_a_log_that_is_away_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage of the store delays the messages and loses none."""
    monkeypatch.setattr('gateway_node.ros.report_queue._RETRY_SEC', 0.001)
    log = await Log.followed(1, monkeypatch)
    await log.record(5)
    log.error = StoreUnavailable('disk full')
    taking = asyncio.ensure_future(log.take_all())
    async with asyncio.timeout(10):
        await log.read_thrice.wait()
    log.error = None
    await taking
    assert log.taken == log.recorded


@pytest.mark.parametrize(
    'error',
    [ValueError('no such status'), sqlite3.OperationalError('no such table'), StoreUnusable('x')],
    ids=repr,
)
async def test_what_the_log_cannot_tell_is_lost_and_the_topic_goes_on(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log says which messages are lost, and why; what comes afterwards is told, also of
    executions of whose beginning nothing was."""
    log = await Log.followed(2, monkeypatch)
    await log.record(7)
    log.error = error
    await log.take_all()
    # Two were queued, two more held by the follower.
    assert log.taken == log.recorded[:4]
    (said,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert said.getMessage() == 'status messages are lost: sequences 5 to 7'
    assert said.exc_info is not None
    assert said.exc_info[1] is error
    await log.advance(new_execution(6), RUNNING)
    await log.record()
    log.take()
    assert log.taken == log.recorded[:4] + log.recorded[7:]


async def test_what_the_log_does_not_reach_back_to_is_lost(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A topic that was held up for too long says so and goes on."""
    log = await Log.followed(1, monkeypatch)
    await log.record(7)
    await log.store.log.prune(LogPolicy(max_events=2, max_age_sec=0))
    await log.take_all()
    assert log.taken == log.recorded[:3]
    assert 'status messages are lost: sequences 4 to 7' in caplog.text
    await log.record()
    log.take()
    assert log.taken[3:] == log.recorded[7:]


async def test_progress_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where changes of status wait, progress is not told: what comes later carries it."""
    log = await Log.followed(2, monkeypatch)
    progress = PROGRESS.evolve(progress=Progress(percent=1))
    log.queue.put_progress(progress)
    await log.record(2)
    log.queue.put_progress(progress)
    await log.take_all()
    assert log.taken == ['progress', *log.recorded]
    log.pending = progress
    await log.record()
    log.take()
    assert log.taken[-2:] == ['progress', log.recorded[-1]]


@pytest.mark.parametrize('seed', range(30))
async def test_any_order_of_events_tells_each_change_once(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording, taking and reading interleave as they like."""
    choose = random.Random(seed)
    log = await Log.followed(choose.randint(1, 5), monkeypatch)
    prepared: list[Execution] = []
    running: list[Execution] = []
    for _ in range(300):
        step = choose.random()
        if step < 0.2:
            prepared.append(new_execution(len(log.recorded) + 1))
            log.recorded.append(f'{prepared[-1].id} prepared')
            await log.ledger.begin(prepared[-1], actor=CLIENT)
        elif step < 0.35 and prepared:
            running.append(await log.advance(prepared.pop(0), RUNNING))
        elif step < 0.5 and running:
            await log.advance(running.pop(), FAILED)
        elif step < 0.9:
            log.take(choose.randint(1, 3))
        else:
            await asyncio.sleep(0)
    await log.take_all()
    assert log.taken == log.recorded
