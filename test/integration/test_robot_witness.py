# SPDX-License-Identifier: Apache-2.0
"""What is seen of the robot around executions, of real nodes in processes of their own."""

import asyncio
from collections.abc import Iterator
import importlib
from pathlib import Path
import sys
import threading
import time

import pytest
from waiting import wait_until

pytest.importorskip('rclpy', reason='ROS is not installed')

import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
import rclpy.subscription
from robot_parts import robot_part, RobotPart

from gateway_node.entities.values import NodeName
from gateway_node.evidence.errors import Unavailable
from gateway_node.ros import rosout, values_thread, witness_thread
from gateway_node.ros.diagnostic_ring import DiagnosticRing
from gateway_node.ros.graph_picture import graph_picture
from gateway_node.ros.robot_values import RosRobotValues
from gateway_node.ros.robot_witness import RosRobotWitness

ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'
LOG = 'rcl_interfaces/msg/Log'
OWN_NODE = NodeName(namespace='/', name='gateway_node')
HIDDEN = ('_gateway_node_witness', '_gateway_node_values_each')
FOREVER = 1e12


@pytest.fixture(scope='module')
def part() -> Iterator[RobotPart]:
    """A node of the robot, `/part`."""
    with robot_part('part') as made:
        yield made


@pytest.fixture(scope='module')
def silent() -> Iterator[None]:
    """A node, `/silent`, that answers nothing."""
    with robot_part('silent', 'silent'):
        yield


@pytest.fixture(scope='module')
def own() -> Iterator[Node]:
    """What stands for the gateway's node; it tells what is in the graph."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(OWN_NODE.name, context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def witness(own: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[RosRobotWitness]:
    """What is tested, with less patience."""
    monkeypatch.setattr(values_thread, 'LOOK_SEC', 0.05)
    for thread in (values_thread, witness_thread):
        monkeypatch.setattr(thread, 'LINGER_SEC', 0.05)
    ring = DiagnosticRing()
    values = RosRobotValues(own.context, OWN_NODE, 20.0, ring.take)
    made = RosRobotWitness(own.context, OWN_NODE, values, ring)
    yield made
    made.close()
    values.close()


def messages(witness: RosRobotWitness) -> list[str]:
    """Return the texts of all lines that are held."""
    return [line.message for line in witness.log_lines(0.0, FOREVER).lines]


async def hears(witness: RosRobotWitness, part: RobotPart) -> None:
    """Return once what the part logs is held."""

    def heard() -> bool:
        part.do(log='is somebody there?')
        return bool(messages(witness))

    await wait_until(heard, what='a line')


async def test_what_nodes_log_is_held_with_both_times(
    witness: RosRobotWitness, part: RobotPart
) -> None:
    """As the node stamped it, and when it came."""
    release = witness.keep()
    await hears(witness, part)
    begin, wall = time.monotonic(), time.time()
    part.do(log='the motor is hot')
    await wait_until(lambda: 'the motor is hot' in messages(witness), what='the line')
    (line,) = [
        each
        for each in witness.log_lines(begin, FOREVER).lines
        if each.message == 'the motor is hot'
    ]
    assert (line.level, line.node) == ('WARN', 'part')
    assert line.place.split(' ')[-1] == 'obey'
    assert begin <= line.received <= time.monotonic()
    assert wall - 1 <= line.at.timestamp() <= time.time() + 1
    release()
    assert messages(witness) == []


async def test_nothing_is_subscribed_to_while_nobody_wants_it(
    witness: RosRobotWitness, own: Node, part: RobotPart
) -> None:
    """However many want it held, there is one node for it, and it goes with the last of them."""

    def subscribed(topic: str) -> list[str]:
        found = own.get_subscriptions_info_by_topic(topic)
        return [each.node_name for each in found]

    part.publish('/diagnostics', [], type_name=ARRAY, field='status')
    assert [subscribed('/rosout'), subscribed('/diagnostics')] == [[], []]
    releases = [witness.keep() for _ in range(3)]
    await wait_until(
        lambda: [subscribed('/rosout'), subscribed('/diagnostics')] == [[each] for each in HIDDEN],
        what='one subscription to each',
    )
    for release in (*releases, *releases):
        release()
    await wait_until(
        lambda: not set(own.get_node_names()) & set(HIDDEN), what='the hidden nodes gone'
    )


async def test_changes_in_diagnostics_are_held(witness: RosRobotWitness, part: RobotPart) -> None:
    """With how it stood at the begin."""
    release = witness.keep()

    def tell(level: int, text: str) -> None:
        status = [{'status': 'arm: motor', 'level': level, 'message': text}]
        part.publish('/diagnostics', status, type_name=ARRAY, field='status')

    def changes() -> list[tuple[str, str]]:
        found = witness.diagnostics(begin, FOREVER).changes
        return [(each.status.level, each.status.message) for each in found]

    begin = 0.0

    def stands() -> bool:
        tell(0, 'fine')
        return ('OK', 'fine') in changes()

    await wait_until(stands, what='the status')
    begin = time.monotonic()
    tell(0, 'fine')
    tell(1, 'hot')
    tell(2, 'on fire')
    await wait_until(lambda: len(changes()) == 2, what='the changes')
    assert changes() == [('WARN', 'hot'), ('ERROR', 'on fire')]
    (stood,) = witness.diagnostics(begin, FOREVER).at_begin
    assert (stood.name, stood.level) == ('arm: motor', 'OK')
    release()


async def test_of_a_node_that_floods_the_log_a_part_is_read_and_the_rest_counted(
    witness: RosRobotWitness, part: RobotPart
) -> None:
    """What is not read of it is counted, to the line where the middleware numbers them; what
    others log meanwhile is held."""
    release = witness.keep()
    await hears(witness, part)
    begin = time.monotonic()
    part.publish('/rosout', 'x' * 100, type_name=LOG, field='msg', hz=10_000)
    await wait_until(lambda: witness.log_lines(begin, FOREVER).lost > 1000, what='losses')
    part.do(quiet='/rosout')
    part.do(log='still heard')
    await wait_until(lambda: 'still heard' in messages(witness), what='a line after the flood')
    release()


async def test_the_graph_is_told_without_what_is_the_gateways_own(
    witness: RosRobotWitness, own: Node, part: RobotPart
) -> None:
    """Nodes, topics with who publishes and subscribes, and services."""
    part.publish('/speed', type_name='std_msgs/msg/Float64')
    release = witness.keep()
    await wait_until(
        lambda: own.count_publishers('/speed') and own.count_subscribers('/rosout'),
        what='all in the graph',
    )
    picture = await witness.graph()
    release()
    assert '/part' in picture.nodes
    assert all('gateway_node' not in name for name in (*picture.nodes, *picture.services))
    assert picture.topics['/speed'].types == ('std_msgs/msg/Float64',)
    assert (picture.topics['/speed'].publishers, picture.topics['/speed'].subscribers) == (1, 0)
    assert picture.topics['/rosout'].subscribers == 0
    assert picture.topics['/rosout'].publishers >= 1
    assert picture.services['/part/get_parameters'] == ('rcl_interfaces/srv/GetParameters',)
    assert picture.left_out == 0


async def test_parameters_of_a_node_are_told_as_json_values(
    witness: RosRobotWitness, part: RobotPart
) -> None:
    """Numbers that JSON has not are texts."""
    declared = {
        'speed': 1.5,
        'name': 'left',
        'gains': [1.0, 2.0],
        'on': True,
        'joint.limit': 3,
        'endless': float('inf'),
        'too_long': 'x' * 100_000,
    }
    for name, value in declared.items():
        part.do(declare=name, value=value)
    told = dict(await witness.parameters('/part', 20.0))
    assert told.pop('endless') == 'inf'
    assert 'characters' in told.pop('too_long')['unavailable']
    assert {name: told[name] for name in declared if name in told} == {
        name: value for name, value in declared.items() if name in told
    }
    assert {'speed', 'name', 'gains', 'on', 'joint.limit', 'use_sim_time'} <= told.keys()


async def test_a_node_that_does_not_answer_is_said_to_be_one(
    witness: RosRobotWitness, own: Node, silent: None
) -> None:
    """In the time that was given; and one that offers no parameters at once."""
    await _offered(own, '/silent/list_parameters')
    with pytest.raises(Unavailable, match='/silent does not answer'):
        await asyncio.wait_for(witness.parameters('/silent', 0.5), 30)
    with pytest.raises(Unavailable, match='nobody offers /nowhere/list_parameters'):
        await asyncio.wait_for(witness.parameters('/nowhere', 60.0), 30)


async def test_whoever_goes_meanwhile_leaves_nothing_behind(
    witness: RosRobotWitness, own: Node, silent: None
) -> None:
    """A question that nobody waits for any more is dropped, and the node goes."""
    await _offered(own, '/silent/list_parameters')
    asking = asyncio.create_task(witness.parameters('/silent', 600.0))
    await wait_until(lambda: HIDDEN[0] in own.get_node_names(), what='the question')
    asking.cancel()
    await wait_until(lambda: HIDDEN[0] not in own.get_node_names(), what='the node gone')


async def test_nothing_is_seen_once_the_gateway_ends(witness: RosRobotWitness, own: Node) -> None:
    """Who asks then is told so; no thread is left."""
    await witness.graph()
    witness.close()
    with pytest.raises(Unavailable, match='the gateway ends'):
        await witness.graph()
    assert HIDDEN[0] not in {thread.name for thread in threading.enumerate()}


async def test_bags_are_refused_by_the_name_of_what_is_missing(
    witness: RosRobotWitness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """At once, for whoever asks for one; where it is not missing, by what does not work."""
    monkeypatch.setattr(sys, 'path', [str(tmp_path)])
    assert witness.bag_fault.startswith('rosbag2 is not installed')
    assert 'rosbag2_py' in witness.bag_fault
    (tmp_path / 'rosbag2_py.py').write_text('raise SystemExit("nobody has to load this")\n')
    importlib.invalidate_caches()
    assert witness.bag_fault.startswith('rosbag2 is installed, but')


async def _offered(own: Node, service: str) -> None:
    await wait_until(lambda: service in dict(own.get_service_names_and_types()), what=service)


def test_lines_are_read_with_an_rclpy_that_names_no_message_info(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As that of Jazzy does not."""
    monkeypatch.delattr(rclpy.subscription, 'MessageInfo', raising=False)
    importlib.reload(rosout)


def test_a_hidden_node_may_go_while_the_graph_is_looked_at(
    own: Node, part: RobotPart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the list of nodes, and asked for what is its own when it has gone."""
    seen = own.get_node_names_and_namespaces()
    hidden = ('_gateway_node_values', OWN_NODE.namespace)
    monkeypatch.setattr(own, 'get_node_names_and_namespaces', lambda: [*seen, hidden])
    assert '_gateway_node_values' not in str(graph_picture(own, OWN_NODE).nodes)
