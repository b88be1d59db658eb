# SPDX-License-Identifier: Apache-2.0
"""The gateway's node in a real graph."""

import asyncio
from collections.abc import Callable, Iterator
import contextlib
import itertools
import logging
from pathlib import Path
import re
import threading
from typing import Any

import pytest
from waiting import wait_until

pytest.importorskip('rclpy', reason='ROS is not installed')

from rcl_interfaces.msg import Log
from rcl_interfaces.srv import DescribeParameters, GetParameters
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.node import Node
from rclpy.qos import qos_profile_rosout_default
from rclpy.signals import SignalHandlerOptions
from ros_support import bare_node

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.ros.errors import (
    ArgumentUnknown,
    ConfigurationInvalid,
    ParameterFileInvalid,
    ParameterInvalid,
    ParameterUnknown,
    RosRefused,
    RosUnavailable,
)
from gateway_node.ros.logging_bridge import logging_to, RosLogHandler
from gateway_node.ros.node import GatewayNode
from gateway_node.ros.rcutils import rcutils_log
from gateway_node.ros.versions import rmw_identifier, ros_distribution
from gateway_node.threads import Threads

TEMP_SENSOR = NodeName(namespace='/powertrain/engine', name='temp_sensor')


@contextlib.contextmanager
def created(*ros_args: str) -> Iterator[GatewayNode]:
    """Create a node with `ros_args` for a while."""
    node = GatewayNode.create(['--ros-args', *ros_args] if ros_args else [])
    try:
        yield node
    finally:
        node.stop()


@contextlib.contextmanager
def watching(*ros_args: str) -> Iterator[tuple[GatewayNode, list[GraphSnapshot]]]:
    """Start a node for a while; yield it and the list that its snapshots fill."""
    with created(*ros_args) as node:
        snapshots: list[GraphSnapshot] = []
        node.start(asyncio.get_running_loop(), snapshots.append)
        yield node, snapshots


def holds(snapshots: list[GraphSnapshot], node: NodeName) -> Callable[[], bool]:
    """Return whether the latest snapshot holds `node`, as a condition."""
    return lambda: bool(snapshots) and node in snapshots[-1].nodes


@contextlib.contextmanager
def other_node() -> Iterator[Node]:
    """Create a node in a context of its own, on a thread of its own, for a while."""
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('asking', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        yield node
    finally:
        executor.shutdown()
        spinning.join()
        node.destroy_node()
        context.try_shutdown()


async def answer(node: Node, service: Any, name: str, request: Any) -> Any:
    """Call a service and return its response."""
    client: Any = node.create_client(service, name)
    await wait_until(client.service_is_ready, what=f'the service {name}')
    future = client.call_async(request)
    await wait_until(future.done, what=f'the answer of {name}')
    return future.result()


async def test_the_first_snapshot_holds_the_gateway_itself() -> None:
    """The first snapshot always comes, and the node sees itself in the graph."""
    with watching() as (node, snapshots):
        await wait_until(holds(snapshots, node.name), what='the gateway in the graph')
    assert node.name.fully_qualified_name == '/gateway_node'


async def test_a_node_that_comes_and_goes_makes_a_snapshot_each() -> None:
    """Nodes of other processes appear in the snapshots and leave them."""
    with watching() as (_, snapshots):
        with bare_node('temp_sensor', '/powertrain/engine'):
            await wait_until(holds(snapshots, TEMP_SENSOR), what='the node in the graph')
        await wait_until(lambda: TEMP_SENSOR not in snapshots[-1].nodes, what='the node gone')
    assert all(earlier != later for earlier, later in itertools.pairwise(snapshots))


async def test_another_node_of_the_gateways_own_name_is_counted() -> None:
    """A second gateway in the domain; one in another namespace has another name."""
    with watching() as (node, snapshots):
        await wait_until(holds(snapshots, node.name), what='the gateway in the graph')
        assert snapshots[-1].namesakes == 0
        with created('-r', '__ns:=/other') as other:
            await wait_until(holds(snapshots, other.name), what='the other one in the graph')
            assert snapshots[-1].namesakes == 0
            with created():
                await wait_until(lambda: snapshots[-1].namesakes == 1, what='a namesake')
            await wait_until(lambda: snapshots[-1].namesakes == 0, what='no namesake')


async def test_whoever_hears_of_the_graph_and_fails_hears_of_the_next_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One snapshot that could not be taken costs nobody the following, nor floods the log."""
    snapshots: list[GraphSnapshot] = []

    def fail(snapshot: GraphSnapshot) -> None:
        snapshots.append(snapshot)
        raise ValueError('a defect')

    with created() as node:
        node.start(asyncio.get_running_loop(), fail)
        await wait_until(holds(snapshots, node.name), what='the gateway in the graph')
        with other_node() as other:
            name = NodeName(namespace='/', name=other.get_name())
            await wait_until(holds(snapshots, name), what='the other node in the graph')
    assert len(snapshots) > 1
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_snapshots_come_on_the_event_loop() -> None:
    """`on_graph` is called on the loop's thread, never on ROS's."""
    seen: asyncio.Future[asyncio.AbstractEventLoop] = asyncio.get_running_loop().create_future()
    with created() as node:
        node.start(
            asyncio.get_running_loop(), lambda _: seen.set_result(asyncio.get_running_loop())
        )
        assert await asyncio.wait_for(seen, 20) is asyncio.get_running_loop()


async def test_a_node_starts_once_and_stops_once() -> None:
    """Doubled starts and stops are defects and raise."""
    node = GatewayNode.create([])
    node.start(asyncio.get_running_loop(), lambda _: None)
    with pytest.raises(RuntimeError, match='started'):
        node.start(asyncio.get_running_loop(), lambda _: None)
    node.stop()
    with pytest.raises(RuntimeError, match='stopped'):
        node.stop()
    with pytest.raises(RuntimeError, match='stopped'):
        node.start(asyncio.get_running_loop(), lambda _: None)


async def test_a_stopped_node_leaves_the_graph() -> None:
    """After the stop others do not see the node any more."""
    with watching() as (_, snapshots):
        with created('-r', '__node:=other') as other:
            await wait_until(holds(snapshots, other.name), what='the other node in the graph')
        await wait_until(lambda: other.name not in snapshots[-1].nodes, what='it left')


@pytest.mark.parametrize('refused', ['publisher', 'ros'])
async def test_a_node_that_gets_no_thread_stops_too(
    refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of its two may have begun where the kernel refuses the other."""
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == refused:
            raise RuntimeError("can't start new thread")
        begin(thread)

    node = GatewayNode.create([])
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, 'start', start)
        with pytest.raises(RuntimeError, match='new thread'):
            node.start(asyncio.get_running_loop(), lambda _: None)
    await asyncio.wait_for(Threads('stop', 1).run(node.stop), 20)


def test_a_node_that_never_started_stops_too() -> None:
    """A start that fails between create and start can still clean up, any number of times."""
    for _ in range(3):
        with created():
            pass


def test_parameters_become_the_configuration() -> None:
    """What is given under --ros-args arrives checked; whole numbers fit where fractions do."""
    with created('-p', 'server.port:=18080', '-p', 'scripts.default_timeout_sec:=2') as node:
        assert node.configuration().server.port == 18080
        assert node.configuration().scripts.default_timeout_sec == 2.0


@pytest.mark.parametrize('none', ['[]', "['']"])
def test_empty_arrays_mean_none(none: str) -> None:
    """[] arrives without a type in rclpy, and means none all the same."""
    with created('-p', f'environment.setup_files:={none}') as node:
        assert node.configuration().environment.setup_files == ()


@pytest.mark.parametrize('order', [1, -1])
async def test_an_argument_wins_over_files_and_its_own_section_over_any(
    tmp_path: Path, order: int
) -> None:
    """In both orders, whatever the types; the node's parameters say what is in use."""
    file = tmp_path / 'robot.yaml'
    file.write_text(
        '/**: {ros__parameters: {scripts.stop_grace_period_sec: 5, history.max_age_days: 1}}\n'
        'gateway_node: {ros__parameters: {server.port: 2, use_sim_time: false}}\n'
    )
    general = tmp_path / 'general.yaml'
    general.write_text('/**: {ros__parameters: {server.port: 1, history.max_age_days: 0.5}}\n')
    files = [('--params-file', str(file)), ('--params-file', str(general))]
    arguments = [('-p', 'scripts.stop_grace_period_sec:=2.5'), ('-p', 'use_sim_time:=true')]
    given = [*files, *arguments][::order]
    grace, age = 'scripts.stop_grace_period_sec', 'history.max_age_days'
    with watching(*itertools.chain(*given)) as (node, snapshots), other_node() as asking:
        await wait_until(holds(snapshots, node.name), what='the gateway in the graph')
        got = await answer(
            asking,
            GetParameters,
            '/gateway_node/get_parameters',
            GetParameters.Request(names=['server.port', grace, age, 'use_sim_time']),
        )
        grace_sec = node.configuration().scripts.stop_grace_period_sec
    assert (got.values[0].integer_value, got.values[1].double_value) == (2, 2.5)
    assert got.values[2].double_value == (0.5 if order == 1 else 1.0)
    assert got.values[3].bool_value
    assert grace_sec == 2.5


def test_a_file_with_nothing_for_the_node_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is shared by many nodes need not name this one; ROS says nothing at all."""
    file = tmp_path / 'shared.yaml'
    file.write_text('gateway: {ros__parameters: {server.port: 1}}')
    with created('--params-file', str(file), '-r', '__ns:=/robot') as node:
        assert node.configuration().server.port == 8080
    assert (
        f"'{file}' has no section for /robot/gateway_node or /**; it has /gateway" in caplog.text
    )


def test_remapping_names_the_node() -> None:
    """Name and namespace can be remapped."""
    with created('-r', '__ns:=/fleet/r1', '-r', '__node:=gateway') as node:
        assert node.name == NodeName(namespace='/fleet/r1', name='gateway')


@pytest.mark.parametrize(
    ('args', 'error', 'told'),
    [
        (['--ros-args', '-p', 'server.port:=70000'], ParameterInvalid, 'server.port is 70000'),
        (['--ros-args', '-p', 'server.host:=10'], ParameterInvalid, 'server.host is 10'),
        (['--ros-args', '-p', 'server.prot:=1'], ParameterUnknown, 'did you mean server.port?'),
        (['--ros-args', '-p', 'a:=1'], ParameterUnknown, "parameter 'a' does not exist"),
        (['--ros-args', '-p', 'colour:=red'], ParameterUnknown, 'known: server.host'),
        (['--ros-args', '-p', 'use_sim_time:=3'], ParameterInvalid, 'true or false'),
        (['--ros-args', '-p', 'status_topic:=a b'], ParameterInvalid, 'status_topic'),
        (['--ros-args', '-p', 'server.port'], RosRefused, 'server.port'),
        (['--ros-args', '--params-file', '/none.yaml'], ParameterFileInvalid, '/none.yaml'),
        (['--ros-args', '--params-file', '/'], ParameterFileInvalid, 'is no regular file'),
        (['--ros-args', '--params-file', f'/{300 * "a"}'], ParameterFileInvalid, 'name too long'),
        (['--ros-args', '-p', f'a:={2000 * "["}'], RosRefused, "Couldn't parse parameter"),
        (['--ros-args', '--log-level', 'loud'], RosRefused, 'loud'),
        (['--ros-args', '-r', f'__node:={300 * "a"}'], RosRefused, 'invalid node name'),
        (['--ros-args', '-r', f'__ns:=/{300 * "a"}'], RosRefused, 'invalid node namespace'),
        (['--ros-args', '--enclave', 'x'], RosRefused, 'nclave name'),
        (['--ros-args', '-p', 'a:=\udcff'], RosRefused, 'udcff'),
        (['--ros-args', '--bogus'], RosRefused, "unknown arguments ['--bogus']"),
        (['--port', '1'], ArgumentUnknown, '--port'),
    ],
)
def test_a_bad_start_is_told_in_one_line(
    args: list[str], error: type[ConfigurationInvalid], told: str
) -> None:
    """Parameters, arguments and rclpy's own refusals all become one line that names the value."""
    with pytest.raises(error) as caught:
        GatewayNode.create(args)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ('given', 'shown', 'allowed'),
    [
        ('server.port:="80"', "server.port is '80'", 'a whole number'),
        ('server.host:=""', "server.host is ''", 'host names or IP addresses'),
        (
            'scripts.max_concurrent_executions_per_entity:=1001',
            'scripts.max_concurrent_executions_per_entity is 1001',
            'from 1 to 1000',
        ),
        ('scripts.max_file_size_mb:=".nan"', "max_file_size_mb is '.nan'", 'a number from'),
        ('scripts.allow_uploads:="perhaps"', "allow_uploads is 'perhaps'", 'true or false'),
        ('status_topic:="a topic"', "status_topic is 'a topic'", 'a topic name'),
    ],
)
def test_a_bad_value_is_told_with_what_is_allowed(given: str, shown: str, allowed: str) -> None:
    """The line names the parameter, the value that it got, and what it may be."""
    with pytest.raises(ParameterInvalid) as caught:
        GatewayNode.create(['--ros-args', '-p', given])
    assert f'{shown}; allowed: ' in str(caught.value)
    assert allowed in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_bad_domain_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ROS's environment makes impossible is an error of the start as well."""
    monkeypatch.setenv('ROS_DOMAIN_ID', 'first')
    with pytest.raises(RosRefused, match='ROS_DOMAIN_ID'):
        GatewayNode.create([])


def test_a_participant_that_dds_cannot_make_may_come_the_next_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a peer's name is not resolved yet."""
    monkeypatch.setenv('ROS_STATIC_PEERS', 'no-such-host.invalid')
    with pytest.raises(RosUnavailable, match='no-such-host'):
        GatewayNode.create([])


def test_after_a_bad_start_a_good_one_works() -> None:
    """A refused start leaves nothing of rclpy behind."""
    with pytest.raises(ParameterInvalid):
        GatewayNode.create(['--ros-args', '-p', 'server.port:=70000'])
    with created() as node:
        assert node.configuration().server.port == 8080


def test_the_distribution_is_the_sourced_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """$ROS_DISTRO comes first; the middleware's name is rclpy's word."""
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    assert ros_distribution() == 'jazzy'
    assert rmw_identifier().startswith('rmw_')


def test_log_records_reach_the_ros_logger_with_their_fields(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Every severity passes from one place in the code, and `extra` stands behind the message."""
    logger = logging.getLogger('gateway_node.test')
    with created() as node, logging_to(node.logger):
        for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            logger.log(level, 'script %s', 'started', extra={'pid': 47, 'why': 'a b'})
        logger.debug('too fine')
        logger.info('a file named %s', 'a\udcffb')
    told = capfd.readouterr().err
    for severity in ('INFO', 'WARN', 'ERROR', 'FATAL'):
        assert f'[{severity}]' in told
    assert told.count("[gateway_node]: script started: pid=47 why='a b'") == 4
    assert 'too fine' not in told
    assert 'a file named a\\udcffb' in told


async def test_rosout_names_the_line_that_logged() -> None:
    """Not the bridge's own, which is the same for every record."""
    told: list[Log] = []
    with created() as node, other_node() as listening:
        listening.create_subscription(Log, '/rosout', told.append, qos_profile_rosout_default)
        with logging_to(node.logger):
            logging.getLogger('gateway_node.test').warning('from here')
        await wait_until(lambda: any(each.msg == 'from here' for each in told), what='the line')
    (line,) = (each for each in told if each.msg == 'from here')
    assert line.name == 'gateway_node'
    assert line.file == __file__
    assert line.function == test_rosout_names_the_line_that_logged.__name__
    assert line.line > 0


def test_rcutils_is_found_where_rclpy_has_loaded_it() -> None:
    """A library without the function counts as none."""
    assert rcutils_log() is not None
    assert rcutils_log('libc.so.6') is None


def test_log_records_reach_the_ros_logger_where_its_library_has_another_name(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Through rclpy, which knows it."""
    levels = (logging.DEBUG, logging.INFO, 25, logging.WARNING, logging.ERROR, logging.CRITICAL)
    with created('--log-level', 'gateway_node:=debug') as node:
        handler = RosLogHandler(node.logger, rcutils_log('libnot_there.so'))
        for level in levels:
            handler.emit(logging.makeLogRecord({'levelno': level, 'msg': f'at {level} \udcff'}))
    told = capfd.readouterr().err
    severities = ('DEBUG', 'INFO', 'INFO', 'WARN', 'ERROR', 'FATAL')
    for level, severity in zip(levels, severities, strict=True):
        assert re.search(rf'\[{severity}\].*: at {level} \\udcff$', told, re.MULTILINE), told


def test_the_log_level_of_ros_holds_for_stdlib_loggers() -> None:
    """--log-level decides what the gateway logs; other libraries stay at warnings."""
    before = logging.getLogger().handlers
    with created('--log-level', 'gateway_node:=debug') as node:
        assert node.logger.get_effective_level() is LoggingSeverity.DEBUG
        with logging_to(node.logger):
            assert logging.getLogger('gateway_node.http_server').isEnabledFor(logging.DEBUG)
            assert not logging.getLogger('aiohttp').isEnabledFor(logging.INFO)
    assert logging.getLogger().handlers == before


def test_the_shipped_parameter_file_says_what_no_file_says() -> None:
    """config/gateway.yaml holds the defaults, in a form that rcl takes, under any node name."""
    file = str(Path(__file__).parents[2] / 'config' / 'gateway.yaml')
    with created('--params-file', file, '-r', '__node:=gateway', '-r', '__ns:=/a') as node:
        from_file = node.configuration()
    with created() as node:
        assert node.configuration() == from_file


async def test_parameters_are_described_on_the_node() -> None:
    """`ros2 param describe` tells meaning and range; the values are those in use, read-only."""
    args = ('-p', 'state_dir:=/tmp/state', '-p', 'scripts.max_file_size_mb:=2')
    with watching(*args) as (node, snapshots), other_node() as asking:
        await wait_until(holds(snapshots, node.name), what='the gateway in the graph')
        described = await answer(
            asking,
            DescribeParameters,
            '/gateway_node/describe_parameters',
            DescribeParameters.Request(names=['scripts.max_file_size_mb']),
        )
        got = await answer(
            asking,
            GetParameters,
            '/gateway_node/get_parameters',
            GetParameters.Request(names=['scripts.scripts_dir', 'scripts.max_file_size_mb']),
        )
    (descriptor,) = described.descriptors
    assert 'Unit: MiB.' in descriptor.description
    assert descriptor.read_only
    assert descriptor.floating_point_range[0].to_value == 4096.0
    assert got.values[0].string_value == '/tmp/state/scripts'
    assert got.values[1].double_value == 2.0
