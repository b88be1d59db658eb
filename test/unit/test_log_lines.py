# SPDX-License-Identifier: Apache-2.0
"""The gateway's log has one line for each start, stop and end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
import itertools
import logging
from pathlib import Path

from execution_stage import APP, NOW, set_stage, Stage, STOP
import pytest
from waiting import wait_until

from gateway_node.executions import log_lines
from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.events import EventKind, Happening
from gateway_node.executions.instance_refs import InstanceStart
from gateway_node.executions.log_lines import LogLines
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.ros.queued_logging import FieldsFormatter

ADA = Actor(name='ada', role=Role.OPERATOR, origin='192.0.2.7')
NOBODY = Actor(name=None, role=Role.ADMIN, origin='192.0.2.8')


class Log:
    """What was written of executions."""

    def __init__(self, caplog: pytest.LogCaptureFixture, writer: LogLines) -> None:
        self._caplog = caplog
        self.writer = writer

    @property
    def lines(self) -> list[str]:
        """What ROS's logger gets, a message each."""
        formatter = FieldsFormatter()
        records = self._caplog.records
        return [formatter.format(each) for each in records if each.name == log_lines.__name__]

    def of(self, execution: Execution) -> list[str]:
        """Write what waits; return all lines, without what they all say of this execution."""
        self.writer.write()
        same = f'execution={execution.id} entity=apps/temp_sensor script={execution.script_id} '
        assert all(same in line for line in self.lines)
        return [line.replace(same, '') for line in self.lines]


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    policy = RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)
    async with set_stage(tmp_path / 'scripts', policy, monkeypatch) as built:
        yield built


@pytest.fixture
def log(stage: Stage, caplog: pytest.LogCaptureFixture) -> Log:
    caplog.set_level(logging.INFO, logger=log_lines.__name__)
    writer = LogLines()
    stage.ledger.add_listener(writer)
    return Log(caplog, writer)


async def test_a_start_and_an_end_have_a_line_each(stage: Stage, log: Log) -> None:
    """The start says who wanted it, the end how it ended and how long it took."""
    script_id = await stage.upload()
    execution = await stage.service.start(APP, script_id, NOW, actor=NOBODY)
    (await stage.runner.script(execution.id)).exit(0)
    await stage.listener.wait_for(execution.id)
    assert log.of(execution) == [
        'start accepted: actor=192.0.2.8',
        'execution ended: actor=gateway status=completed duration_ms=500 cause=exited',
    ]


async def test_an_end_says_why(stage: Stage, log: Log) -> None:
    """What failed names its reason as the API does."""
    execution, script = await stage.running(await stage.upload())
    script.exit(3)
    await stage.listener.wait_for(execution.id)
    assert log.of(execution)[1:] == [
        'execution ended: actor=gateway status=failed duration_ms=500 '
        'cause=x-gateway-script-failed'
    ]


async def test_a_stop_has_one_line_however_often_it_is_asked_for(stage: Stage, log: Log) -> None:
    """It says who stopped, and how; the end has a line of its own."""
    execution, script = await stage.running(await stage.upload())
    for _ in range(3):
        await stage.service.stop(APP, execution.script_id, execution.id, STOP, actor=ADA)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    assert log.of(execution)[1:] == [
        'stop accepted: actor=ada@192.0.2.7 cause=stop',
        'execution ended: actor=gateway status=terminated duration_ms=500 cause=stop',
    ]


async def test_a_schedule_has_lines_of_its_own(stage: Stage, log: Log) -> None:
    """Made by one, removed by another."""
    wish = replace(NOW, execution_type=ExecutionType.ON_RESTART)
    schedule = await stage.service.start(APP, await stage.upload(), wish, actor=ADA)
    await stage.service.stop(APP, schedule.script_id, schedule.id, STOP, actor=NOBODY)
    assert log.of(schedule) == [
        'schedule made: actor=ada@192.0.2.7',
        'schedule removed: actor=192.0.2.8 status=terminated cause=stop',
    ]


async def test_what_runs_for_an_instance_names_it(stage: Stage, log: Log) -> None:
    """In each of its lines."""
    wish = replace(NOW, instance=InstanceStart(name='nightly', version='v1'))
    execution = await stage.service.start(APP, await stage.upload(), wish, actor=ADA)
    (await stage.runner.script(execution.id)).exit(0)
    await stage.listener.wait_for(execution.id)
    assert [line.partition(' duration')[0] for line in log.of(execution)] == [
        'start accepted: instance=nightly actor=ada@192.0.2.7',
        'execution ended: instance=nightly actor=gateway status=completed',
    ]


async def test_what_triggers_do_has_a_line(stage: Stage, log: Log) -> None:
    """With what fired, and why it led to nothing."""
    subject = 'apps/arm/scripts/s/instances/nightly'
    for kind, changes in (
        (EventKind.INSTANCE_DISABLED, {'enabled': False}),
        (EventKind.TRIGGER_FIRED, {'setting': 'started', 'values': [1], 'pointer': '/x'}),
        (EventKind.TRIGGER_DROPPED, {'firing': 1, 'reason': 'it runs'}),
        (EventKind.TRIGGER_DAMPED, {'trigger': '/start_triggers/0', 'count': 12}),
    ):
        await stage.ledger.record(
            Happening(kind=kind, subject=subject, actor=GATEWAY, changes=changes)
        )
    log.writer.write()
    assert [line.replace(f'subject={subject} actor=gateway', '…') for line in log.lines] == [
        'instance disabled: …',
        'trigger fired: … setting=started',
        "firing dropped: … firing=1 reason='it runs'",
        'trigger damped: … trigger=/start_triggers/0 count=12',
    ]


async def test_lines_are_written_a_moment_later_each_by_itself(
    stage: Stage, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody's answer waits for them, and each has what ROS puts in front of a line."""
    monkeypatch.setattr(log_lines, 'LINGER_SEC', 0.05)
    script_id = await stage.upload()
    wish = replace(NOW, execution_type=ExecutionType.ON_RESTART)
    for _ in range(3):
        await stage.service.start(APP, script_id, wish, actor=ADA)
    await wait_until(lambda: len(log.lines) == 3, what='three lines')
    assert [line.partition(': ')[0] for line in log.lines] == ['schedule made'] * 3
    assert not any('\n' in line for line in log.lines)
    for each in await stage.store.open_executions():
        await stage.service.delete(APP, each.script_id, each.id, actor=ADA)


async def test_many_lines_are_written_in_turns(
    stage: Stage, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others on the loop come in between; who closes the gateway has all of them at once."""
    monkeypatch.setattr(log_lines, 'LINGER_SEC', 0.0)
    paused = Happening(kind=EventKind.LINE_PAUSED, subject='line', actor=ADA)
    await stage.ledger.record(*[paused] * 120)
    written = [0]
    while written[-1] < 120:
        await asyncio.sleep(0)
        written.append(len(log.lines))
    assert max(after - before for before, after in itertools.pairwise(written)) == 50
    await stage.ledger.record(*[paused] * 120)
    log.writer.write()
    assert len(log.lines) == 240
