# SPDX-License-Identifier: Apache-2.0
"""Listeners that raise harm neither executions nor each other, and are no flood in the log."""

from collections.abc import Callable
import logging

from clients import CLIENT
from execution_stage import APP, COMPLETED, NOW, PREPARED, RUNNING, Stage
from fakes import FakeScript, RecordingListener
import pytest

from gateway_node.executions.events import Event
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.values import Execution, Progress


class Failing:
    """A listener with a defect in each of its methods."""

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Fail, not always in the same way."""
        assert execution is not None
        raise KeyError(execution.id) if execution.is_open else ValueError(execution.id)

    def on_progress(self, execution: Execution) -> None:
        """Fail."""
        raise ValueError(execution.id)


async def test_a_listener_that_raises_ends_no_script(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The script goes its way, those after it hear everything, each kind of failure is logged
    once, with its traceback."""
    after = RecordingListener()
    failing = Failing()
    stage.ledger.add_listener(failing)
    stage.ledger.add_progress_listener(failing)
    after.listen_to(stage.ledger)
    start = stage.runner.start

    async def start_and_report(
        order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> FakeScript:
        script = await start(order, on_progress)
        script.report(Progress(percent=1))
        return script

    monkeypatch.setattr(stage.runner, 'start', start_and_report)
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    script = await stage.runner.script(execution.id)
    await after.wait_for(execution.id, RUNNING)
    for percent in range(2, 50):
        script.report(Progress(percent=percent))
    assert script.stops == []
    script.exit(0)
    await after.wait_for(execution.id)
    assert after.statuses(execution.id) == [PREPARED, RUNNING, COMPLETED]
    assert [each.progress for each in after.progress] == [
        Progress(percent=percent) for percent in range(1, 50)
    ]
    failures = [record for record in caplog.records if record.levelno >= logging.ERROR]
    kinds = [record.exc_info[0] for record in failures if record.exc_info]
    assert kinds == [KeyError, ValueError, ValueError]
