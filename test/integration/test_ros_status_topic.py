# SPDX-License-Identifier: Apache-2.0
"""The status topic, with subscribers in processes of their own."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import datetime
import time
from typing import Any

from fakes import FakeClock, InMemoryExecutionStore, next_change
import pytest
from waiting import wait_until

pytest.importorskip('rclpy', reason='ROS is not installed')

from ros_support import status_echo

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Progress,
    Trigger,
    TriggerType,
)
from gateway_node.ros.node import GatewayNode
from gateway_node.ros.report_queue import LIMIT
from gateway_node.ros.status_topic import KEPT_MESSAGES, StatusTopic

TOPIC = '/gateway_node/execution_status'
NOW = datetime.datetime(2026, 2, 14, 10, 30, tzinfo=datetime.UTC)
PREPARED = Execution(
    id='exec_1',
    entity=EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor'),
    script_id='check',
    script_version='v',
    execution_type=ExecutionType.NOW,
    status=ExecutionStatus.PREPARED,
    trigger=Trigger(type=TriggerType.MANUAL),
    created_at=NOW,
)
RUNNING = PREPARED.evolve(status=ExecutionStatus.RUNNING, started_at=NOW)
COMPLETED = RUNNING.evolve(status=ExecutionStatus.COMPLETED, completed_at=NOW, exit_code=0)


class Publishing:
    """A node with a status topic, and the log that it follows."""

    def __init__(self, *ros_args: str) -> None:
        self.node = GatewayNode.create(['--ros-args', *ros_args] if ros_args else [])
        self.store = InMemoryExecutionStore(FakeClock())
        self.ledger = Ledger(self.store)
        self.topic = create_topic(self.node)

    def start(self) -> None:
        """Start the node's thread."""
        self.node.start(asyncio.get_running_loop(), lambda _: None)

    async def change(self, execution: Execution) -> None:
        """Let one change of status happen."""
        known = await self.store.get(execution.id)
        await self.ledger.record(
            next_change(execution) if known else Change.first(execution, GATEWAY)
        )


def create_topic(node: GatewayNode) -> StatusTopic:
    """Have a node advertise its status topic."""
    return node.create_status_topic(
        path_of=lambda execution: f'/api/v1/{execution.entity.path}/executions/{execution.id}',
        component_of=lambda _: 'robot',
        gateway='robot-1',
    )


@contextlib.asynccontextmanager
async def publishing(*ros_args: str, started: bool = True) -> AsyncIterator[Publishing]:
    """Create a node with a status topic for a while."""
    publishing = Publishing(*ros_args)
    await publishing.topic.follow(publishing.ledger)
    if started:
        publishing.start()
    try:
        yield publishing
    finally:
        with contextlib.suppress(RuntimeError):  # a test stopped it itself
            publishing.node.stop()


def statuses(received: list[dict[str, Any]]) -> list[str]:
    """Return the statuses that came."""
    return [message['message'] for message in received]


async def test_a_subscriber_sees_every_status_in_order() -> None:
    """prepared, running and completed arrive as they happened, fully told."""
    async with publishing() as robot:
        with status_echo(TOPIC) as received:
            for execution in (PREPARED, RUNNING, COMPLETED):
                await robot.change(execution)
            await wait_until(lambda: len(received) == 3, what='three messages')
    assert statuses(received) == ['prepared', 'running', 'completed']
    last = received[-1]
    assert last['name'] == '/api/v1/apps/temp_sensor/executions/exec_1'
    assert (last['level'], last['hardware_id']) == (0, 'robot')
    assert last['values']['exit_code'] == '0'
    assert last['values']['gateway'] == 'robot-1'
    assert last['values']['completed_at'] == '2026-02-14T10:30:00.000Z'
    assert abs(last['sec'] - time.time()) < 60


async def test_a_late_subscriber_gets_the_latest_messages() -> None:
    """The topic is transient local and keeps the last 200."""
    async with publishing() as robot:
        for number in range(KEPT_MESSAGES + 50):
            await robot.change(PREPARED.evolve(id=f'exec_{number}'))
        await wait_until(robot.topic.idle, what='all published')
        with status_echo(TOPIC) as received:
            await wait_until(lambda: len(received) >= KEPT_MESSAGES, what='the kept messages')
    ids = [message['values']['id'] for message in received]
    assert ids == [f'exec_{number}' for number in range(50, KEPT_MESSAGES + 50)]


async def test_no_status_is_dropped_in_a_burst() -> None:
    """However fast statuses change, a subscriber gets them all, in order."""
    async with publishing() as robot:
        with status_echo(TOPIC) as received:
            await robot.change(PREPARED)
            await wait_until(lambda: len(received) == 1, what='the subscriber to be there')
            for number in range(150):
                await robot.change(RUNNING.evolve(id=f'exec_{number}'))
            await wait_until(lambda: len(received) == 151, what='the whole burst')
    assert [m['values']['id'] for m in received[1:]] == [f'exec_{n}' for n in range(150)]


async def test_what_the_middleware_did_not_take_comes_from_the_log() -> None:
    """While the ROS thread is held up the queue is bounded; then every status comes, in order."""
    ids = [f'exec_{number}' for number in range(LIMIT + 150)]
    async with publishing(started=False) as robot:
        for execution_id in ids:
            await robot.change(PREPARED.evolve(id=execution_id))
        robot.start()
        await wait_until(robot.topic.idle, what='all published')
        with status_echo(TOPIC) as received:
            await wait_until(lambda: len(received) == KEPT_MESSAGES, what='the latest messages')
    assert [message['values']['id'] for message in received] == ids[-KEPT_MESSAGES:]


async def test_progress_is_coalesced_and_its_last_word_is_told() -> None:
    """A thousand changes of progress in half a second make a few messages, 100 % among them."""
    async with publishing() as robot:
        with status_echo(TOPIC) as received:
            await robot.change(RUNNING)
            begun = time.monotonic()
            for number in range(1000):
                robot.topic.on_progress(RUNNING.evolve(progress=Progress(percent=number // 10)))
                if number % 20 == 0:
                    await asyncio.sleep(0.01)
            robot.topic.on_progress(RUNNING.evolve(progress=Progress(percent=100)))
            took = time.monotonic() - begun
            await wait_until(
                lambda: bool(received) and received[-1]['values']['progress'] == '100',
                what='the last progress',
            )
    assert len(received) <= 2 + (took + 0.1) / 0.1 + 1


async def test_the_stop_publishes_what_waits() -> None:
    """Queued changes and a held-back progress are out before the publisher goes."""
    async with publishing() as robot:
        with status_echo(TOPIC) as received:
            await robot.change(RUNNING)
            await wait_until(lambda: len(received) == 1, what='the subscriber to be there')
            robot.topic.on_progress(RUNNING.evolve(progress=Progress(percent=1)))
            robot.topic.on_progress(RUNNING.evolve(progress=Progress(percent=2)))
            await robot.change(COMPLETED.evolve(id='exec_2'))
            robot.node.stop()
            await wait_until(lambda: len(received) == 4, what='everything that waited')
    assert [message['values']['progress'] for message in received] == ['', '1', '', '2']


async def test_what_was_told_before_the_start_is_published_at_the_start() -> None:
    """Recovery tells of ended executions before the node's thread exists."""
    async with publishing(started=False) as robot:
        with status_echo(TOPIC) as received:
            await robot.change(PREPARED)
            await robot.change(RUNNING)
            robot.start()
            await wait_until(lambda: len(received) == 2, what='both messages')
    assert statuses(received) == ['prepared', 'running']


async def test_the_topic_is_configurable() -> None:
    """`status_topic` names it; a relative name lies in the node's namespace."""
    async with publishing('-r', '__ns:=/fleet', '-p', 'status_topic:=status') as robot:
        with status_echo('/fleet/status') as received:
            await robot.change(PREPARED)
            await wait_until(lambda: len(received) == 1, what='the message')


async def test_the_status_topic_is_created_once_and_before_the_start() -> None:
    """A second topic, or one after the start, is a defect and raises."""
    async with publishing() as robot:
        with pytest.raises(RuntimeError, match='once'):
            create_topic(robot.node)


async def test_a_message_that_cannot_be_sent_does_not_hold_up_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """ROS strings are UTF-8; one that is not is told in the log, and the topic goes on."""
    async with publishing() as robot:
        with status_echo(TOPIC) as received:
            await robot.change(PREPARED.evolve(script_id='lone \udc80 surrogate'))
            await robot.change(RUNNING)
            await wait_until(lambda: len(received) == 1, what='the message that can be sent')
    assert statuses(received) == ['running']
    assert 'status of an execution not published' in caplog.text
