# SPDX-License-Identifier: Apache-2.0
"""Values of the robot, read from real nodes in processes of their own."""

import asyncio
from collections.abc import Iterator
import itertools
import os
from pathlib import Path
import sys
import threading
import time
from typing import Any

import pytest
from waiting import wait_until

pytest.importorskip('rclpy', reason='ROS is not installed')

from rcl_interfaces.msg import Parameter, ParameterEvent
from rcl_interfaces.msg import ParameterValue as Value
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.serialization import serialize_message
from rclpy.signals import SignalHandlerOptions
from robot_parts import FLOAT, robot_part, RobotPart, Watched
from ros_support import ended_at_exit, PROGRAMS, python_program

from gateway_node.conditions.sources import (
    DiagnosticLevel,
    GraphKind,
    LifecycleState,
    ParameterValue,
    Presence,
    PublisherCount,
    RobotSource,
    TopicValue,
)
from gateway_node.entities.values import NodeName
from gateway_node.ros import hidden_node, service_questions, values_thread
from gateway_node.ros.diagnostic_ring import DiagnosticRing
from gateway_node.ros.robot_values import RosRobotValues

OWN_NODE = NodeName(namespace='/', name='gateway_node')
RATE_HZ = 50.0
AS_FAST_AS_IT_CAN = 1e6
TEXT = 'std_msgs/msg/String'
ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'
EVENT = 'rcl_interfaces/msg/ParameterEvent'
_topics = (f'/topic_{number}' for number in itertools.count())


@pytest.fixture(scope='module')
def part() -> Iterator[RobotPart]:
    """A node of the robot, `/part`."""
    with robot_part('part') as made:
        yield made


@pytest.fixture(scope='module')
def another() -> Iterator[RobotPart]:
    """Another node, `/another`, in a process of its own."""
    with robot_part('another') as made:
        yield made


@pytest.fixture(scope='module')
def looks() -> Iterator[Node]:
    """A node of this process that tells what is in the graph."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('looks', context=context)
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def values(looks: Node, monkeypatch: pytest.MonkeyPatch) -> Iterator[RosRobotValues]:
    """What is tested, with less patience."""
    monkeypatch.setattr(values_thread, 'LOOK_SEC', 0.05)
    monkeypatch.setattr(values_thread, 'LINGER_SEC', 0.05)
    monkeypatch.setattr(service_questions, 'PATIENCE_SEC', 0.3)
    made = RosRobotValues(looks.context, OWN_NODE, RATE_HZ, DiagnosticRing().take)
    yield made
    made.close()


@pytest.fixture
def topic() -> str:
    """Return a topic that no other test has."""
    return next(_topics)


async def test_the_newest_message_is_told_so_often_at_most(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """However many come: a topic at a kilohertz wakes nobody a thousand times a second."""
    part.publish(topic, 1.5, hz=1000)
    begun = time.monotonic()
    watched = Watched(values, TopicValue(topic=topic, field='data'))
    await watched.value(1.5)
    await wait_until(lambda: len(watched.values) > 10, what='readings')
    # Slowness makes the one smaller and the other larger.
    assert len(watched.values) <= 2 + RATE_HZ * (time.monotonic() - begun)
    part.do(quiet=topic)
    reading = await watched.faulty(f'nobody publishes {topic}')
    assert reading.unpublished


async def test_a_topic_on_which_codes_are_shown_is_not_read(
    looks: Node, part: RobotPart, topic: str
) -> None:
    """Nobody subscribes to it: a code would stand in the log, and have a listener."""
    values = RosRobotValues(looks.context, OWN_NODE, RATE_HZ, DiagnosticRing().take, {topic})
    part.publish(topic, 1.0, hz=10)
    await Watched(values, TopicValue(topic=topic, field='data')).faulty(f'{topic} is not read')
    assert looks.count_subscribers(topic) == 0
    values.close()


async def test_each_message_is_told_where_each_is_wanted(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """In order; to those who do not want each of them, the newest one all the same."""
    part.publish(topic)
    each = Watched(values, TopicValue(topic=topic, field='data', every=True))
    newest = Watched(values, TopicValue(topic=topic, field='data'))
    await each.faulty('no message')
    await newest.faulty('no message')
    await _subscribed(part, topic, each)
    sent = [float(number) for number in range(200)]
    part.publish(topic, *sent)
    await newest.value(199.0)
    await each.value(199.0)
    assert [value for value in each.values if value >= 0] == sent
    assert len(newest.values) < len(each.values)
    # One that told of the subscription may count in the first of those that were sent then.
    told = [reading for reading in newest.readings if not reading.fault]
    assert sum(reading.messages for reading in told) == len(each.values)


async def test_a_topic_is_subscribed_to_once_and_only_while_it_is_watched(
    values: RosRobotValues, part: RobotPart, looks: Node, topic: str
) -> None:
    """However many watch however many fields; with the last one the node goes too."""
    pose = 'geometry_msgs/msg/Pose'
    part.publish(topic, 2.0, type_name=pose, field='position.x', kept=True)
    fields = ['position.x', 'position.y', 'orientation.w', None]
    sources = [TopicValue(topic=topic, field=field) for field in fields * 25]
    watched = [Watched(values, source) for source in sources]
    await watched[0].value(2.0)
    for each in watched:
        await each.until(lambda reading: not reading.fault, 'a value')
    assert looks.count_subscribers(topic) == 1
    assert {each.readings[-1].at for each in watched} == {watched[0].readings[-1].at}
    assert '_gateway_node_values' in looks.get_node_names()
    for each in watched:
        each.end()
    await wait_until(lambda: not looks.count_subscribers(topic), what='nobody subscribes')
    await wait_until(lambda: not _own_threads(), what='the thread has ended')
    assert '_gateway_node_values' not in looks.get_node_names()


@pytest.mark.parametrize('every', [False, True])
async def test_topics_that_flood_have_their_turn_equally_often(
    values: RosRobotValues, part: RobotPart, another: RobotPart, topic: str, *, every: bool
) -> None:
    """None of them goes before another one, nor before answers of nodes."""
    topics = {topic: part, f'{topic}_too': another}
    watched = [
        Watched(values, TopicValue(topic=each, field='data', every=every)) for each in topics
    ]
    for name, publisher in topics.items():
        publisher.publish(name, 1.0, hz=AS_FAST_AS_IT_CAN)
    for each in watched:
        await each.value(1.0)
    before = [len(each.readings) for each in watched]
    await Watched(values, ParameterValue(node='/another', name='use_sim_time')).value(False)

    def counts() -> list[int]:
        return [len(each.readings) - seen for each, seen in zip(watched, before, strict=True)]

    await wait_until(lambda: min(counts()) > 20, what='some of each')
    assert max(counts()) < 5 * min(counts())
    for name, publisher in topics.items():
        publisher.do(quiet=name)


async def test_who_watches_later_is_told_what_is_known(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """The same source, and another field of a message that came before; latched ones stay."""
    array = {'status': 'motor', 'level': 1}
    part.publish(topic, [array], type_name=ARRAY, field='status', kept=True)
    first = Watched(values, TopicValue(topic=topic, field='status[0].name'))
    reading = await first.value('motor')
    assert reading.stays
    again = Watched(values, TopicValue(topic=topic, field='status[0].name'))
    other = Watched(values, TopicValue(topic=topic, field='status[-1].level'))
    assert (await again.value('motor')) is reading
    assert (await other.value(1)).at == reading.at
    first.end()
    again.end()
    anew = Watched(values, TopicValue(topic=topic, field='status[0].name'))
    await anew.value('motor')


async def test_quality_of_service_follows_the_publishers(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """Best effort, reliable and latched; mixed ones too; a change makes a new subscription."""
    watched = Watched(values, TopicValue(topic=topic, field='data'))
    part.publish(topic, 1.0, reliable=False, hz=20)
    assert not (await watched.value(1.0)).stays
    part.do(quiet=topic)
    await watched.faulty('nobody')
    part.publish(topic, 2.0, kept=True)
    await watched.until(lambda each: each.value == 2.0 and each.stays, 'what stays')
    part.publish(topic, 3.0, reliable=False, hz=20, another=True)
    await watched.until(lambda each: each.value == 3.0 and not each.stays, 'what does not')
    part.do(quiet=topic)


async def test_a_type_that_changes_is_followed_and_two_are_told_apart(
    values: RosRobotValues, part: RobotPart, another: RobotPart, topic: str
) -> None:
    """Where a topic has two, who does not say which is told so."""
    watched = Watched(values, TopicValue(topic=topic, field='data'))
    of_floats = Watched(values, TopicValue(topic=topic, field='data', type_name=FLOAT))
    part.publish(topic, 1.0, kept=True)
    await watched.value(1.0)
    await of_floats.value(1.0)
    part.do(quiet=topic)
    await watched.faulty('nobody')
    part.publish(topic, 'text', type_name=TEXT, kept=True)
    await watched.value('text')
    await of_floats.faulty(f'{topic} is of type {TEXT}, not {FLOAT}')
    another.publish(topic, 2.0, kept=True)
    await watched.faulty(f'several types, {FLOAT}, {TEXT}')
    await of_floats.value(2.0)
    part.do(quiet=topic)
    await watched.value(2.0)


async def test_two_types_of_a_topic_that_go_are_told_as_gone(
    values: RosRobotValues, part: RobotPart, another: RobotPart, topic: str
) -> None:
    """Not as two types still."""
    part.publish(topic, 1.0)
    another.publish(topic, 'text', type_name=TEXT)
    watched = Watched(values, TopicValue(topic=topic, field='data'))
    await watched.faulty('several types')
    another.do(quiet=topic)
    part.do(quiet=topic)
    assert (await watched.faulty(f'nobody publishes {topic}')).unpublished


async def test_a_publisher_that_is_killed_does_not_keep_others_from_being_read(
    values: RosRobotValues, topic: str
) -> None:
    """The graph shows it for a while yet."""
    watched = Watched(values, TopicValue(topic=topic, field='data'))
    with robot_part('killed') as killed, robot_part('lives') as lives:
        killed.publish(topic, 1.0, hz=20)
        await watched.value(1.0)
        lives.publish(topic)
        killed.kill()
        lives.publish(topic, 2.0, hz=20)
        await watched.value(2.0)


async def test_what_cannot_be_read_is_told_by_name(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """Of a message of 5 MB no field is read, but it counts; of 1 MB it is."""
    array = 'std_msgs/msg/UInt8MultiArray'
    counted = Watched(values, TopicValue(topic=topic))
    misspelt = Watched(values, TopicValue(topic=topic, field='voltage'))
    whole = Watched(values, TopicValue(topic=topic, field='data'))
    last = Watched(values, TopicValue(topic=topic, field='data[-1]'))
    part.publish(topic, {'bytes': 1_000_000}, type_name=array, kept=True)
    await last.value(0)
    await whole.faulty('data holds more than 1000 values')
    await misspelt.faulty("has no field 'voltage'; it has layout, data")
    assert not counted.fault
    part.publish(topic, {'bytes': 5_000_000}, type_name=array, kept=True)
    await last.faulty('has 5000016 bytes; fields are read of messages of std_msgs')
    assert not counted.fault


async def test_a_message_that_is_none_of_its_type_is_told(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """As where the publisher has another version of the type; the next one may be read."""
    watched = Watched(values, TopicValue(topic=topic, field='status[0].name'))
    part.publish(topic, type_name=ARRAY, raw=['00010000' + 'ff' * 24], kept=True)
    await watched.faulty(f'is no {ARRAY} as installed here')
    part.publish(topic, [{'status': 'motor', 'level': 1}], type_name=ARRAY, field='status')
    await watched.value('motor')


async def test_a_type_that_is_not_installed_is_told_by_name(
    values: RosRobotValues, part: RobotPart, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And everything else works."""
    monkeypatch.setitem(sys.modules, 'geometry_msgs.msg', None)
    part.publish(topic, 2.0, type_name='geometry_msgs/msg/Pose', field='position.x', kept=True)
    missing = Watched(values, TopicValue(topic=topic, field='position.x'))
    there = Watched(values, PublisherCount(topic=topic))
    await missing.faulty('the package geometry_msgs of the type geometry_msgs/msg/Pose is not')
    await there.value(1)


async def test_a_type_that_is_not_installed_is_told_before_anybody_publishes_it(
    values: RosRobotValues,
) -> None:
    """A condition that can never be known says so at once."""
    source = TopicValue(topic='/strange', field='data', type_name='strange_msgs/msg/Strange')
    watched = Watched(values, source)
    reading = await watched.faulty('the package strange_msgs of the type')
    assert reading.unpublished


async def test_a_type_that_a_stranger_names_is_not_imported(
    values: RosRobotValues, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is one of a package of interfaces that is installed: it would be executed."""
    monkeypatch.syspath_prepend(str(tmp_path))
    planted = tmp_path / 'planted' / 'msg' / '__init__.py'
    planted.parent.mkdir(parents=True)
    planted.write_text('import sys\nsys.modules["planted.was_executed"] = sys\n')
    watched = Watched(values, TopicValue(topic=topic, field='data'))
    stranger = python_program(PROGRAMS / 'stranger.py', [topic, 'planted/msg/Run'])
    with ended_at_exit(stranger):
        await watched.faulty('the package planted of the type planted/msg/Run is not installed')
    assert not [name for name in sys.modules if name.startswith('planted')]


async def test_states_of_a_lifecycle_node_are_told_one_after_the_other(
    values: RosRobotValues, part: RobotPart
) -> None:
    """Those of transitions too; a node without states says that it has none."""
    watched = Watched(values, LifecycleState(node='/arm'))
    other = Watched(values, LifecycleState(node='/part'))
    await watched.faulty('nobody offers /arm/get_state')
    await other.faulty('nobody offers /part/get_state')
    with robot_part('arm', 'lifecycle') as arm:
        await watched.value('unconfigured')
        arm.do(transition='configure')
        await watched.value('inactive')
        arm.do(transition='activate')
        await watched.value('active')
        late = Watched(values, LifecycleState(node='/arm'))
        await late.value('active')
    await watched.faulty('nobody offers')


async def test_a_parameter_is_told_as_it_changes(values: RosRobotValues, part: RobotPart) -> None:
    """One that is not declared is told as such, and one that goes."""
    watched = Watched(values, ParameterValue(node='/part', name='speed'))
    other = Watched(values, ParameterValue(node='/part', name='use_sim_time'))
    await watched.faulty('/part has no parameter speed')
    await other.value(False)
    part.do(declare='speed', value=3)
    await watched.value(3)
    part.do(set='speed', value=4)
    await watched.value(4)
    part.do(undeclare='speed')
    await watched.faulty('/part has no parameter speed')


async def test_a_parameter_of_a_type_that_nobody_knows_is_told(
    values: RosRobotValues, part: RobotPart
) -> None:
    """As by a node of a later ROS, or a broken one; who answers rightly is heard again."""
    watched = Watched(values, ParameterValue(node='/part', name='use_sim_time'))
    await watched.value(False)
    strange = Parameter(name='use_sim_time', value=Value(type=99))
    event = ParameterEvent(node='/part', changed_parameters=[strange])
    told = serialize_message(event).hex()

    def was_told() -> bool:
        return any('use_sim_time cannot be read' in each.fault for each in watched.readings)

    while not was_told():
        part.publish('/parameter_events', type_name=EVENT, raw=[told])
        await asyncio.sleep(0.02)
    await watched.value(False)
    part.do(quiet='/parameter_events')


async def test_a_node_that_does_not_answer_is_told(values: RosRobotValues) -> None:
    """Nobody waits for it."""
    watched = Watched(values, ParameterValue(node='/mute', name='speed'))
    with robot_part('mute', 'silent'):
        await watched.faulty('/mute/get_parameters does not answer')
    await watched.faulty('nobody offers /mute/get_parameters')


async def test_diagnostics_are_kept_by_name_over_messages_of_several(
    values: RosRobotValues, part: RobotPart, another: RobotPart
) -> None:
    """The worst status of a glob is told where it is another."""
    motors = Watched(values, DiagnosticLevel(name='motor*'))
    none = Watched(values, DiagnosticLevel(name='laser'))
    await motors.faulty('nobody publishes /diagnostics')
    part.publish('/diagnostics', type_name=ARRAY)
    await motors.faulty('no message of /diagnostics')
    bad, good = {'status': 'motor 1', 'level': 2}, {'status': 'motor 2', 'level': 0}
    how: dict[str, Any] = {
        'type_name': ARRAY,
        'field': 'status',
        'kept': True,
        'another': True,
    }
    part.publish('/diagnostics', [bad], **how)
    another.publish('/diagnostics', [good], hz=20, **how)
    await motors.value({'name': 'motor 1', 'level': 2, 'message': ''})
    await none.value(None)
    part.publish('/diagnostics', [{**bad, 'level': 1}, {'status': 'laser', 'level': 3}], **how)
    await none.value({'name': 'laser', 'level': 3, 'message': ''})
    assert [each['level'] for each in motors.values if each][-2:] == [2, 1]
    another.do(quiet='/diagnostics')
    part.do(quiet='/diagnostics')
    await none.faulty('nobody publishes /diagnostics')


async def test_what_is_in_the_graph_is_told_when_it_changes(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """Nodes by name or glob, services, publishers; hidden nodes, as ours are, match no glob."""
    sources: dict[str, RobotSource] = {
        'node': Presence(kind=GraphKind.NODE, name='/comes'),
        'glob': Presence(kind=GraphKind.NODE, name='/com?s'),
        'own': Presence(kind=GraphKind.NODE, name='/*_values'),
        'service': Presence(kind=GraphKind.SERVICE, name='/comes/get_parameters'),
        'topic': Presence(kind=GraphKind.TOPIC, name=topic),
        'count': PublisherCount(topic=topic),
    }
    watched = {name: Watched(values, source) for name, source in sources.items()}
    for name, each in watched.items():
        await each.value(0 if name == 'count' else False)
    with robot_part('comes') as comes:
        comes.publish(topic)
        for name in ('node', 'glob', 'service', 'topic'):
            await watched[name].value(True)
        await watched['count'].value(1)
    for name, each in watched.items():
        await each.value(0 if name == 'count' else False)
    assert watched['own'].values == [False]
    assert watched['count'].values == [0, 1, 0]


async def test_a_hidden_node_that_cannot_be_spun_is_gone(
    looks: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be in the graph as long as the gateway, and one more after each try."""

    def fail(**_: object) -> None:
        raise RuntimeError('there is no room for a guard condition')

    monkeypatch.setattr(hidden_node, 'SingleThreadedExecutor', fail)
    left = hidden_node.hidden_node(looks.context, NodeName(namespace='/', name='_left'))
    with pytest.raises(RuntimeError, match='no room') as caught, left:
        pass
    await wait_until(lambda: '_left' not in looks.get_node_names(), what='the node gone')
    assert caught.tb is not None, 'it holds what is not destroyed'


async def test_watching_and_ending_leaves_nothing_behind(
    values: RosRobotValues, part: RobotPart, looks: Node, topic: str
) -> None:
    """No descriptor, thread or subscription, after many rounds."""
    part.publish(topic, 1.0, kept=True)
    sources: list[RobotSource] = [
        TopicValue(topic=topic, field='data'),
        TopicValue(topic=topic, field='data', every=True),
        ParameterValue(node='/part', name='use_sim_time'),
    ]
    descriptors = []
    for number in range(24):
        for source in sources:
            watched = Watched(values, source)
            await watched.until(lambda each: not each.fault, 'a value')
            watched.end()
        if number % 8 == 7:
            await wait_until(lambda: not _own_threads(), what='the threads have ended')
            descriptors.append(len(os.listdir('/proc/self/fd')))
    assert descriptors[0] == descriptors[-1]
    assert not looks.count_subscribers(topic)


async def test_after_the_end_nothing_is_told(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """Neither of a watch that ended, nor once all is closed; a topic that floods is no matter."""
    part.publish(topic, 1.0, hz=1000)
    ended = Watched(values, TopicValue(topic=topic, field='data', every=True))
    watched = Watched(values, TopicValue(topic=topic, every=True))
    await ended.value(1.0)
    ended.end()
    ended.end()
    count = len(ended.readings)
    seen = len(watched.readings)
    await wait_until(lambda: len(watched.readings) > seen + 10, what='messages')
    assert len(ended.readings) == count
    values.close()
    assert not _own_threads()
    part.do(quiet=topic)


async def test_who_is_told_and_fails_harms_nobody(
    values: RosRobotValues, part: RobotPart, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Others are told of the same, and it of the next."""
    source = TopicValue(topic=topic, field='data')
    told: list[object] = []

    def fail(reading: object) -> None:
        told.append(reading)
        raise ValueError('a defect')

    values.watch(source, fail)
    watched = Watched(values, source)
    part.publish(topic, 1.0, kept=True)
    await watched.value(1.0)
    assert len(told) == len(watched.readings)
    assert 'a listener failed' in caplog.text


async def test_the_loop_is_not_held_up_by_what_is_told_at_once(
    values: RosRobotValues, part: RobotPart, topic: str
) -> None:
    """A thousand messages to ten that take their time: others have their turn in between."""
    part.publish(topic)
    watched = [
        Watched(values, TopicValue(topic=topic, field='data', every=True)),
        Watched(values, TopicValue(topic=topic, every=True)),
    ]
    await watched[0].faulty('no message')
    await _subscribed(part, topic, watched[0])
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    def take_time(_: object) -> None:
        threading.Event().wait(0.001)

    values.watch(TopicValue(topic=topic, field='data', every=True), take_time)
    turning = asyncio.ensure_future(take_turns())
    before = turns
    part.publish(topic, *map(float, range(300)))
    await watched[0].value(299.0)
    turning.cancel()
    assert turns - before > 30


async def _subscribed(part: RobotPart, topic: str, watched: Watched) -> None:
    """Return once messages arrive; those that tell have negative values."""
    while not watched.values:
        part.publish(topic, -1.0)
        await asyncio.sleep(0.02)


def _own_threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith('_gateway')]
