# SPDX-License-Identifier: Apache-2.0
"""The way of a status report from the event loop to the ROS thread, and what does not fit."""

import asyncio
import datetime
import logging
import random
import sqlite3

from fakes import event_of, new_execution
import pytest
from ros_support import wait_until

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import Event
from gateway_node.executions.values import Execution
from gateway_node.ros.report_queue import ReportQueue
from gateway_node.ros.status_reports import ReportLevel, StatusReport

NOW = datetime.datetime(2026, 2, 14, 10, 30, tzinfo=datetime.UTC)
PROGRESS = new_execution(0)


class Log:
    """A log of transitions, and the queue whose changes come from it."""

    def __init__(self, limit: int) -> None:
        self.kept: list[tuple[Execution, Event]] = []
        self.error: Exception | None = None
        self.hold = asyncio.Event()
        self.hold.set()
        self.reads = 0
        self.read_thrice = asyncio.Event()
        self.taken: list[str] = []
        """The ids of what the ROS thread took."""
        self.queue = ReportQueue(report=report, replay=self.replay, wake=lambda: None, limit=limit)

    def record(self) -> tuple[Execution, Event]:
        """Keep one more change of status; its execution's number is the sequence."""
        sequence = len(self.kept) + 1
        execution = new_execution(sequence)
        self.kept.append((execution, event_of(execution, sequence)))
        return self.kept[-1]

    def tell(self, number: int) -> None:
        """Record changes and tell the queue of each."""
        for _ in range(number):
            self.queue.put(*self.record())

    async def replay(self, after: int, limit: int) -> list[tuple[Execution, Event]]:
        self.reads += 1
        if self.reads == 3:
            self.read_thrice.set()
        found = [each for each in self.kept if each[1].sequence > after][:limit]
        await self.hold.wait()
        if self.error is not None:
            raise self.error
        return found

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

    @property
    def ids(self) -> list[str]:
        """All that was recorded, in order."""
        return [execution.id for execution, _ in self.kept]


def report(execution: Execution) -> StatusReport:
    """Return a report that names the execution."""
    return StatusReport(
        name=execution.id, level=ReportLevel.OK, message='', hardware_id='', values=()
    )


async def test_what_does_not_fit_is_read_from_the_log() -> None:
    """While nobody takes anything memory is bounded; afterwards each change comes, in order."""
    log = Log(limit=4)
    log.tell(11)
    log.take(2)
    log.tell(2)
    await log.take_all()
    assert log.taken == log.ids
    log.tell(3)
    log.take()
    assert log.taken == log.ids
    assert log.reads == 3


def test_the_loop_may_close_while_the_ros_thread_takes_reports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It can at any moment, between two lines too; then nobody is left who reads the log."""
    loop = asyncio.new_event_loop()

    async def held_up() -> Log:
        log = Log(limit=1)
        log.tell(2)
        return log

    log = loop.run_until_complete(held_up())
    loop.close()
    monkeypatch.setattr(loop, 'is_closed', lambda: False)
    log.take()
    assert log.taken == log.ids[:1]


async def test_what_is_told_after_it_was_read_is_not_told_twice() -> None:
    """A change can be in the log before its listeners hear of it."""
    log = Log(limit=2)
    log.tell(3)
    late = log.record()
    await log.take_all()
    assert log.taken == log.ids
    log.queue.put(*late)
    log.take()
    assert log.taken == log.ids


async def test_what_is_recorded_while_the_log_is_read_is_not_lost() -> None:
    """The read may not have seen it, and it was not queued."""
    log = Log(limit=4)
    log.tell(5)
    log.take()
    log.hold.clear()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    log.tell(1)
    log.hold.set()
    await log.take_all()
    assert log.taken == log.ids


async def test_removed_executions_leave_nothing_to_wait_for() -> None:
    """What is not in the log any more is not missing for ever."""
    log = Log(limit=1)
    log.tell(3)
    del log.kept[1:]
    await log.take_all()
    assert log.taken == log.ids


async def test_a_log_that_is_away_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage of the store delays the messages and loses none."""
    monkeypatch.setattr('gateway_node.ros.report_queue._RETRY_SEC', 0.001)
    log = Log(limit=1)
    log.tell(3)
    log.error = StoreUnavailable('disk full')
    log.take()
    async with asyncio.timeout(10):
        await log.read_thrice.wait()
    log.error = None
    await log.take_all()
    assert log.taken == log.ids


@pytest.mark.parametrize(
    'error',
    [ValueError('no such status'), sqlite3.OperationalError('no such table'), StoreUnusable('x')],
    ids=repr,
)
async def test_what_the_log_cannot_tell_is_lost_and_the_topic_goes_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which messages are lost, and why; what comes afterwards is told."""
    log = Log(limit=2)
    log.tell(5)
    log.error = error
    await log.take_all()
    assert log.taken == log.ids[:2]
    (said,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert said.getMessage() == 'status messages are lost: sequences 3 to 5'
    assert said.exc_info is not None
    assert said.exc_info[1] is error
    log.tell(2)
    log.take()
    assert log.taken == log.ids[:2] + log.ids[5:]


async def test_changes_that_come_while_the_log_fails_are_read_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Lost is what was missing when the reading began, not what is recorded meanwhile."""
    log = Log(limit=2)
    log.tell(3)
    log.error = ValueError('no such status')
    log.hold.clear()
    log.take()
    await wait_until(lambda: log.reads == 1, what='the log is being read')
    log.tell(1)
    log.hold.set()
    await wait_until(lambda: 'are lost' in caplog.text, what='a loss is told')
    log.error = None
    await log.take_all()
    assert log.taken == log.ids[:2] + log.ids[3:]


async def test_progress_gives_way() -> None:
    """Where changes of status wait, progress is not told: what comes later carries it."""
    log = Log(limit=2)
    log.queue.put_progress(PROGRESS)
    log.tell(2)
    log.queue.put_progress(PROGRESS)
    await log.take_all()
    assert log.taken == [PROGRESS.id, *log.ids]


@pytest.mark.parametrize('seed', range(30))
async def test_any_order_of_events_tells_each_change_once(seed: int) -> None:
    """Recording, telling, taking and reading interleave as they like."""
    choose = random.Random(seed)
    log = Log(limit=choose.randint(1, 5))
    untold: list[tuple[Execution, Event]] = []
    for _ in range(300):
        step = choose.random()
        if step < 0.4:
            untold.append(log.record())
        elif step < 0.7 and untold:
            log.queue.put(*untold.pop(0))
        elif step < 0.9:
            log.take(choose.randint(1, 3))
        else:
            await asyncio.sleep(0)
    for each in untold:
        log.queue.put(*each)
    await log.take_all()
    assert log.taken == log.ids
