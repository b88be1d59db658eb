# SPDX-License-Identifier: Apache-2.0
"""Codes on a topic, in a real graph."""

import asyncio
from collections.abc import Iterator
import contextlib
import os
import threading

import pytest
from robot_parts import Watched
from waiting import DEADLINE_SEC

pytest.importorskip('rclpy', reason='ROS is not installed')

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from gateway_node.conditions.sources import TopicValue
from gateway_node.executions.proximity import ProximityUnavailable
from gateway_node.ros.errors import ParameterInvalid
from gateway_node.ros.node import GatewayNode
from gateway_node.ros.proximity_topic import ProximityTopic

WANTED = ['--ros-args', '-p', 'proximity.topic:=true']


@contextlib.contextmanager
def created(arguments: list[str]) -> Iterator[GatewayNode]:
    """Create the gateway's node for a while."""
    node = GatewayNode.create(arguments)
    try:
        yield node
    finally:
        node.stop()


@contextlib.contextmanager
def listening(topic: str) -> Iterator[list[str]]:
    """Subscribe for a while, as a display would; yield what is heard."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('display', context=context)
    codes: list[str] = []
    node.create_subscription(String, topic, lambda message: codes.append(message.data), 10)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield codes
    finally:
        executor.shutdown()
        spinning.join()
        node.destroy_node()
        context.try_shutdown()


async def heard(topic: ProximityTopic, message: str, by: list[str]) -> None:
    """Show a code until it is heard: the two ends of a topic find each other one by one."""
    async with asyncio.timeout(DEADLINE_SEC):
        while message not in by:
            with contextlib.suppress(ProximityUnavailable):
                await topic.show(message)
            await asyncio.sleep(0.05)


async def test_who_listens_hears_a_code_and_who_comes_later_does_not() -> None:
    """Without a subscriber nothing is said."""
    with created(WANTED) as node:
        topic = node.create_proximity_topic(os.environ)
        assert topic is not None
        with pytest.raises(ProximityUnavailable, match='has no subscriber'):
            await topic.show('{"code": "000000"}')
        with listening('/gateway_node/proximity_code') as first:
            await heard(topic, '{"code": "481516"}', first)
            with listening('/gateway_node/proximity_code') as second:
                await heard(topic, '{"code": "234234"}', second)
        assert set(second) == {'{"code": "234234"}'}


async def test_the_gateway_reads_its_codes_for_no_condition() -> None:
    """Under whatever name it shows them; others may call a topic so."""
    for given, theirs, read in (
        ([], '/gateway_node/proximity_code', False),
        (['-r', '~/proximity_code:=/shown'], '/shown', False),
        (['-r', '~/proximity_code:=/shown'], '/gateway_node/proximity_code', True),
    ):
        with created([*WANTED, *given]) as node:
            watched = Watched(node.create_robot_values(), TopicValue(topic=theirs, field='data'))
            await watched.faulty(f'nobody publishes {theirs}' if read else f'{theirs} is not read')


def test_by_default_there_is_no_such_topic() -> None:
    """Whatever the environment says."""
    with created([]) as node:
        assert node.create_proximity_topic({}) is None
        assert node._node.count_publishers('/gateway_node/proximity_code') == 0


def test_the_topic_is_refused_where_others_could_listen() -> None:
    """In one line that says what would have to be set."""
    with created(WANTED) as node:
        told = r'parameter proximity\.topic is True; allowed: .*ROS_AUTOMATIC_DISCOVERY_RANGE'
        with pytest.raises(ParameterInvalid, match=told):
            node.create_proximity_topic({'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET'})
        assert node._node.count_publishers('/gateway_node/proximity_code') == 0
