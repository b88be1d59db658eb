# SPDX-License-Identifier: Apache-2.0
"""What a start of the gateway starts and ends has one line each in its log."""

import logging
from pathlib import Path

from lives import Robot, RUNNING
import pytest

from gateway_node.executions.values import ExecutionType
from gateway_node.ros.queued_logging import FieldsFormatter

LOGGER = 'gateway_node.executions.log_lines'


async def test_a_start_of_the_gateway_writes_no_line_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line for each execution that it ends or starts, whatever led to that."""
    caplog.set_level(logging.INFO, logger=LOGGER)
    robot = Robot(tmp_path)
    async with robot.gateway() as life:
        script_id = await life.upload()
        left_open = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(left_open.id, RUNNING)
        once = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
        each = await life.start(script_id, ExecutionType.ON_RESTART)
        life.log_lines.write()
    caplog.clear()
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        (child,) = (execution for execution in await life.all(script_id) if execution.parent)
        assert child.parent == each.id
        await life.finish(child.id)
        await life.finish(once.id)
        life.log_lines.write()
    formatter = FieldsFormatter()
    lines = sorted(
        formatter.format(record).replace(f' entity=apps/temp_sensor script={script_id}', '')
        for record in caplog.records
        if record.name == LOGGER
    )
    ended = 'actor=gateway status=completed duration_ms=500 cause=exited'
    assert lines == sorted(
        [
            f'execution ended: execution={left_open.id} actor=gateway status=failed '
            'cause=x-gateway-restarted',
            f'schedule started: execution={once.id} actor=gateway',
            f'execution ended: execution={once.id} {ended}',
            f'start accepted: execution={child.id} actor=gateway',
            f'execution ended: execution={child.id} {ended}',
        ]
    )
