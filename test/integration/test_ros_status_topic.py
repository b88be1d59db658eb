# SPDX-License-Identifier: Apache-2.0
"""The status topic, with subscribers in processes of their own."""

import asyncio
from collections.abc import Iterator
import contextlib
import datetime
import time
from typing import Any

from fakes import event_of
import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from ros_support import ros_domain, status_echo, wait_until

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.events import Event
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Progress,
    Trigger,
    TriggerType,
)
from gateway_node.ros.node import GatewayNode
from gateway_node.ros.report_queue import LIMIT, Replay
from gateway_node.ros.status_topic import KEPT_MESSAGES, StatusTopic

pytestmark = pytest.mark.usefixtures(ros_domain.__name__)

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


async def replay_nothing(after: int, limit: int) -> list[tuple[Execution, Event]]:
    """Return what a log says in which nothing happened."""
    return []


@contextlib.contextmanager
def publishing(
    *ros_args: str, started: bool = True, replay: Replay = replay_nothing
) -> Iterator[tuple[GatewayNode, StatusTopic]]:
    """Create a node with a status topic for a while."""
    node = GatewayNode.create(['--ros-args', *ros_args] if ros_args else [])
    topic = node.create_status_topic(
        path_of=lambda execution: f'/api/v1/{execution.entity.path}/executions/{execution.id}',
        component_of=lambda _: 'robot',
        gateway='robot-1',
        replay=replay,
    )
    if started:
        node.start(asyncio.get_running_loop(), lambda _: None)
    try:
        yield node, topic
    finally:
        with contextlib.suppress(RuntimeError):  # a test stopped it itself
            node.stop()


def change(topic: StatusTopic, execution: Execution) -> None:
    """Tell of one change of status."""
    topic.on_event(event_of(execution), execution)


def statuses(received: list[dict[str, Any]]) -> list[str]:
    """Return the statuses that came."""
    return [message['message'] for message in received]


async def test_a_subscriber_sees_every_status_in_order() -> None:
    """prepared, running and completed arrive as they happened, fully told."""
    with publishing() as (_, topic), status_echo(TOPIC) as received:
        for execution in (PREPARED, RUNNING, COMPLETED):
            change(topic, execution)
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
    with publishing() as (_, topic):
        for number in range(KEPT_MESSAGES + 50):
            change(topic, PREPARED.evolve(id=f'exec_{number}'))
        await wait_until(topic.idle, what='all published')
        with status_echo(TOPIC) as received:
            await wait_until(lambda: len(received) >= KEPT_MESSAGES, what='the kept messages')
    ids = [message['values']['id'] for message in received]
    assert ids == [f'exec_{number}' for number in range(50, KEPT_MESSAGES + 50)]


async def test_no_status_is_dropped_in_a_burst() -> None:
    """However fast statuses change, a subscriber gets them all, in order."""
    with publishing() as (_, topic), status_echo(TOPIC) as received:
        change(topic, PREPARED)
        await wait_until(lambda: len(received) == 1, what='the subscriber to be there')
        for number in range(150):
            change(topic, RUNNING.evolve(id=f'exec_{number}'))
        await wait_until(lambda: len(received) == 151, what='the whole burst')
    assert [m['values']['id'] for m in received[1:]] == [f'exec_{n}' for n in range(150)]


async def test_what_the_middleware_did_not_take_comes_from_the_log() -> None:
    """While the ROS thread is held up the queue is bounded; then every status comes, in order."""
    executions = [PREPARED.evolve(id=f'exec_{number}') for number in range(1, LIMIT + 151)]
    changes = [(each, event_of(each, number)) for number, each in enumerate(executions, 1)]

    async def replay(after: int, limit: int) -> list[tuple[Execution, Event]]:
        return changes[after : after + limit]

    with publishing(started=False, replay=replay) as (node, topic):
        for execution, event in changes:
            topic.on_event(event, execution)
        node.start(asyncio.get_running_loop(), lambda _: None)
        await wait_until(topic.idle, what='all published')
        with status_echo(TOPIC) as received:
            await wait_until(lambda: len(received) == KEPT_MESSAGES, what='the latest messages')
    ids = [message['values']['id'] for message in received]
    assert ids == [execution.id for execution, _ in changes[-KEPT_MESSAGES:]]


async def test_progress_is_coalesced_and_its_last_word_is_told() -> None:
    """A thousand changes of progress in half a second make a few messages, 100 % among them."""
    with publishing() as (_, topic), status_echo(TOPIC) as received:
        change(topic, RUNNING)
        begun = time.monotonic()
        for number in range(1000):
            topic.on_progress(RUNNING.evolve(progress=Progress(percent=number // 10)))
            if number % 20 == 0:
                await asyncio.sleep(0.01)
        topic.on_progress(RUNNING.evolve(progress=Progress(percent=100)))
        took = time.monotonic() - begun
        await wait_until(
            lambda: bool(received) and received[-1]['values']['progress'] == '100',
            what='the last progress',
        )
    assert len(received) <= 2 + (took + 0.1) / 0.1 + 1


async def test_the_stop_publishes_what_waits() -> None:
    """Queued changes and a held-back progress are out before the publisher goes."""
    with publishing() as (node, topic), status_echo(TOPIC) as received:
        change(topic, RUNNING)
        await wait_until(lambda: len(received) == 1, what='the subscriber to be there')
        topic.on_progress(RUNNING.evolve(progress=Progress(percent=1)))
        topic.on_progress(RUNNING.evolve(progress=Progress(percent=2)))
        change(topic, COMPLETED.evolve(id='exec_2'))
        node.stop()
        await wait_until(lambda: len(received) == 4, what='everything that waited')
    assert [message['values']['progress'] for message in received] == ['', '1', '', '2']


async def test_what_was_told_before_the_start_is_published_at_the_start() -> None:
    """Recovery tells of ended executions before the node's thread exists."""
    with publishing(started=False) as (node, topic), status_echo(TOPIC) as received:
        change(topic, PREPARED)
        change(topic, RUNNING)
        node.start(asyncio.get_running_loop(), lambda _: None)
        await wait_until(lambda: len(received) == 2, what='both messages')
    assert statuses(received) == ['prepared', 'running']


async def test_the_topic_is_configurable() -> None:
    """`status_topic` names it; a relative name lies in the node's namespace."""
    with (
        publishing('-r', '__ns:=/fleet', '-p', 'status_topic:=status') as (_, topic),
        status_echo('/fleet/status') as received,
    ):
        change(topic, PREPARED)
        await wait_until(lambda: len(received) == 1, what='the message')


async def test_the_status_topic_is_created_once_and_before_the_start() -> None:
    """A second topic, or one after the start, is a defect and raises."""
    with publishing() as (node, _), pytest.raises(RuntimeError, match='once'):
        node.create_status_topic(
            path_of=lambda _: '', component_of=lambda _: '', gateway='', replay=replay_nothing
        )


async def test_a_message_that_cannot_be_sent_does_not_hold_up_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """ROS strings are UTF-8; one that is not is told in the log, and the topic goes on."""
    with publishing() as (_, topic), status_echo(TOPIC) as received:
        change(topic, PREPARED.evolve(script_id='lone \udc80 surrogate'))
        change(topic, RUNNING)
        await wait_until(lambda: len(received) == 1, what='the message that can be sent')
    assert statuses(received) == ['running']
    assert 'status of an execution not published' in caplog.text
