# SPDX-License-Identifier: Apache-2.0
"""Executions that wait in line for no longer than their start allows."""

import asyncio
from dataclasses import replace
import datetime
from typing import Any

from clients import CLIENT
from execution_stage import APP, NOW, Stage
from loop_clock import LoopClock
import pytest

from gateway_node.executions.errors import ExpiryPast
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.values import Execution, ExecutionStatus, ExecutionType


async def fill(stage: Stage) -> str:
    """Let a script take all places of the app; return its id."""
    script_id = await stage.upload()
    for _ in range(2):
        await stage.running(script_id)
    return script_id


async def start(stage: Stage, script_id: str, **wish: Any) -> Execution:
    """Start an execution on the app."""
    return await stage.service.start(APP, script_id, replace(NOW, **wish), actor=CLIENT)


async def test_what_waits_for_too_long_fails(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was never started, and those behind it move up."""
    script_id = await fill(stage)
    waiting = await start(stage, script_id, expires_in_sec=100)
    behind = await start(stage, script_id)
    assert (waiting.expires_in_sec, waiting.queue_position) == (100, 1)
    clock = LoopClock(monkeypatch)
    await clock.advance(99)
    assert (await stage.questions.get_by_id(waiting.id)).queue_position == 1
    await clock.advance(1)
    ended = await stage.listener.wait_for(waiting.id)
    assert ended.status is ExecutionStatus.FAILED
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.EXPIRED
    assert ended.started_at is None
    assert (await stage.questions.get_by_id(behind.id)).queue_position == 1


async def test_a_moment_is_turned_into_seconds_at_the_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that jumps afterwards expires nothing, nor keeps anything from it."""
    script_id = await fill(stage)
    expires_at = stage.clock.now() + datetime.timedelta(seconds=60)
    waiting = await start(stage, script_id, expires_at=expires_at)
    assert waiting.expires_in_sec == 60
    stage.clock.wall += datetime.timedelta(days=400)
    clock = LoopClock(monkeypatch)
    await clock.advance(59)
    assert (await stage.questions.get_by_id(waiting.id)).queue_position == 1
    await clock.advance(1)
    assert (await stage.listener.wait_for(waiting.id)).status is ExecutionStatus.FAILED


async def test_a_moment_that_is_over_is_refused(stage: Stage) -> None:
    """Nothing is recorded, whether there is a place or not."""
    script_id = await stage.upload()
    with pytest.raises(ExpiryPast, match='is over by the clock of the gateway'):
        await start(stage, script_id, expires_at=stage.clock.now())
    assert await stage.store.last_id() is None


async def test_what_has_started_expires_no_more(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time limit of its script goes for it from then on."""
    script_id = await stage.upload()
    running = await start(stage, script_id, expires_in_sec=100)
    script = await stage.runner.script(running.id)
    clock = LoopClock(monkeypatch)
    await clock.advance(1000)
    script.exit(0)
    ended = await stage.listener.wait_for(running.id)
    assert (ended.status, ended.expires_in_sec) == (ExecutionStatus.COMPLETED, 100)


async def test_the_schedule_of_what_expires_does_not(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the run of now that nobody wants any more."""
    script_id = await fill(stage)
    both = ExecutionType.NOW_AND_ON_RESTART
    waiting = await start(stage, script_id, execution_type=both, expires_in_sec=100)
    await LoopClock(monkeypatch).advance(100)
    assert (await stage.listener.wait_for(waiting.id)).status is ExecutionStatus.FAILED
    assert waiting.schedule is not None
    schedule = await stage.questions.get_by_id(waiting.schedule)
    assert (schedule.is_schedule, schedule.expires_in_sec) == (True, None)
    await stage.service.delete(APP, script_id, schedule.id, actor=CLIENT)


async def test_a_stop_comes_before_the_expiry(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a client stopped is terminated, whenever it would have expired."""
    script_id = await fill(stage)
    waiting = await start(stage, script_id, expires_in_sec=100)
    clock = LoopClock(monkeypatch)
    stopping = asyncio.create_task(stage.stop(waiting))
    await clock.advance(100)
    assert (await stopping).status is ExecutionStatus.TERMINATED
