# SPDX-License-Identifier: Apache-2.0
"""The gateway's log has one line for each start, stop and end."""

from collections.abc import AsyncIterator
from dataclasses import replace
import logging
from pathlib import Path

from execution_stage import APP, NOW, set_stage, Stage, STOP
import pytest

from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.log_lines import LogLines
from gateway_node.executions.ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.ros.queued_logging import FieldsFormatter

ADA = Actor(name='ada', role=Role.OPERATOR, origin='192.0.2.7')
NOBODY = Actor(name=None, role=Role.ADMIN, origin='192.0.2.8')


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    policy = RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)
    async with set_stage(tmp_path / 'scripts', policy, monkeypatch) as built:
        built.ledger.add_listener(LogLines())
        yield built


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The log of what happens to executions, and nothing else."""
    caplog.set_level(logging.INFO, logger='gateway_node.executions.log_lines')
    return caplog


def lines(log: pytest.LogCaptureFixture, execution: Execution) -> list[str]:
    """Return the lines as they are written, without what they all say of this execution."""
    formatter = FieldsFormatter()
    same = f'execution={execution.id} entity=apps/temp_sensor script={execution.script_id} '
    written = [formatter.format(each) for each in log.records if each.name.endswith('log_lines')]
    assert all(same in each for each in written)
    return [each.replace(same, '') for each in written]


async def test_a_start_and_an_end_have_a_line_each(
    stage: Stage, log: pytest.LogCaptureFixture
) -> None:
    """The start says who wanted it, the end how it ended and how long it took."""
    script_id = await stage.upload()
    execution = await stage.service.start(APP, script_id, NOW, actor=NOBODY)
    (await stage.runner.script(execution.id)).exit(0)
    await stage.listener.wait_for(execution.id)
    assert lines(log, execution) == [
        'start accepted: actor=192.0.2.8',
        'execution ended: actor=gateway status=completed duration_ms=500 cause=exited',
    ]


async def test_an_end_says_why(stage: Stage, log: pytest.LogCaptureFixture) -> None:
    """What failed names its reason as the API does."""
    execution, script = await stage.running(await stage.upload())
    script.exit(3)
    await stage.listener.wait_for(execution.id)
    assert lines(log, execution)[1:] == [
        'execution ended: actor=gateway status=failed duration_ms=500 '
        'cause=x-gateway-script-failed'
    ]


async def test_a_stop_has_one_line_however_often_it_is_asked_for(
    stage: Stage, log: pytest.LogCaptureFixture
) -> None:
    """It says who stopped, and how; the end has a line of its own."""
    execution, script = await stage.running(await stage.upload())
    log.clear()
    for _ in range(3):
        await stage.service.stop(APP, execution.script_id, execution.id, STOP, actor=ADA)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    assert lines(log, execution) == [
        'stop accepted: actor=ada@192.0.2.7 cause=stop',
        'execution ended: actor=gateway status=terminated duration_ms=500 cause=stop',
    ]


async def test_a_schedule_has_lines_of_its_own(
    stage: Stage, log: pytest.LogCaptureFixture
) -> None:
    """Made by one, removed by another."""
    wish = replace(NOW, execution_type=ExecutionType.ON_RESTART)
    schedule = await stage.service.start(APP, await stage.upload(), wish, actor=ADA)
    await stage.service.stop(APP, schedule.script_id, schedule.id, STOP, actor=NOBODY)
    assert lines(log, schedule) == [
        'schedule made: actor=ada@192.0.2.7',
        'schedule removed: actor=192.0.2.8 status=terminated cause=stop',
    ]
