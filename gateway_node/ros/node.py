# SPDX-License-Identifier: Apache-2.0
"""The gateway's node: context, executor, thread and graph; the only owner of rclpy's life cycle.

Everything that rclpy calls back runs on one thread that `start` makes. What leaves it goes as
immutable values through `loop.call_soon_threadsafe`. What is published lies in a queue for another
thread: to wake rclpy's executor would cost as much as to publish ten messages.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
import contextlib
import enum
import logging
import queue
import threading
from typing import TYPE_CHECKING

import rclpy
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from gateway_node.entities.values import EntityRef, GraphSnapshot, NodeName
from gateway_node.executions.values import Execution
from gateway_node.ros.access_specifications import PROXIMITY_TOPIC
from gateway_node.ros.configuration import Configuration
from gateway_node.ros.diagnostic_ring import DiagnosticRing
from gateway_node.ros.discovery_range import is_this_host, LIMITS
from gateway_node.ros.errors import (
    ArgumentUnknown,
    ParameterInvalid,
    RosRefused,
    start_error,
)
from gateway_node.ros.graph_watch import GraphWatch
from gateway_node.ros.parameter_sources import ParameterSources
from gateway_node.ros.parameters import declare_parameters
from gateway_node.ros.robot_values import RosRobotValues
from gateway_node.ros.robot_witness import RosRobotWitness
from gateway_node.ros.status_reports import Reporter
from gateway_node.ros.status_topic import StatusTopic

if TYPE_CHECKING:
    from gateway_node.ros.proximity_topic import ProximityTopic

_log = logging.getLogger(__name__)

NODE_NAME = 'gateway_node'
GRAPH_INTERVAL_SEC = 0.5
_JOIN_SEC = 5.0


class _Phase(enum.Enum):
    """Where the node is in its life, which goes one way."""

    CREATED = 'created'
    """In the graph; nothing of it runs."""
    STARTED = 'started'
    """Its thread runs."""
    STOPPED = 'stopped'
    """Gone from the graph."""


class GatewayNode:
    """The gateway in the ROS graph.

    Every public method belongs to the thread that called `create`, which is the event loop's.
    """

    def __init__(
        self,
        *,
        context: Context,
        node: Node,
        configuration: Configuration,
        teardown: contextlib.ExitStack,
    ) -> None:
        """Use `create`."""
        self._node = node
        self._name = NodeName(namespace=node.get_namespace(), name=node.get_name())
        self._configuration = configuration
        self._teardown = teardown
        self._phase = _Phase.CREATED
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._publisher: threading.Thread | None = None
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        """For each time that the publisher is to look at what is queued, or at `_stopping`."""
        self._status_topic: StatusTopic | None = None
        self._diagnostics = DiagnosticRing()
        self._robot_values: RosRobotValues | None = None
        self._robot_witness: RosRobotWitness | None = None
        self._executor = SingleThreadedExecutor(context=context)
        teardown.callback(self._executor.shutdown)
        self._executor.add_node(node)
        self._guard = node.create_guard_condition(lambda: None)

    @classmethod
    def create(cls, args: Sequence[str]) -> 'GatewayNode':
        """Create the node in the graph and read its parameters.

        `args` are the process's arguments without its name. Blocks, and can hang inside of the
        DDS library: see `start_deadline`.

        Raises:
            ConfigurationInvalid: a parameter, an argument or a name is wrong.
            RosUnavailable: ROS does not start, and may the next time.
        """
        with contextlib.ExitStack() as undo:
            context = Context()
            # First, as its messages are better than those of rcl, which reads them too.
            sources = ParameterSources.read(args)
            try:
                for argument in remove_ros_args(list(args)):
                    raise ArgumentUnknown(argument)
                rclpy.init(
                    args=list(args),
                    context=context,
                    signal_handler_options=SignalHandlerOptions.NO,
                )
                undo.callback(context.try_shutdown)
                node = _create_node(context)
            except UnicodeError as error:
                raise RosRefused(str(error)) from error
            except RuntimeError as error:
                raise start_error(_reason(error)) from error
            undo.callback(node.destroy_node)
            name = node.get_fully_qualified_name()
            for warning in sources.warnings(name):
                _log.warning('%s', warning)
            configuration = declare_parameters(node, sources.decided(name))
            return cls(
                context=context,
                node=node,
                configuration=configuration,
                teardown=undo.pop_all(),
            )

    @property
    def name(self) -> NodeName:
        """The node as the graph names it, remapping included."""
        return self._name

    @property
    def domain_id(self) -> int:
        """The ROS domain that the node is in."""
        return int(self._node.context.get_domain_id())

    @property
    def logger(self) -> RcutilsLogger:
        """The node's logger, for `logging_bridge`."""
        return self._node.get_logger()

    def configuration(self) -> Configuration:
        """Return what the parameters say; they are read-only and never change."""
        return self._configuration

    def create_status_topic(
        self,
        *,
        path_of: Callable[[Execution], str],
        component_of: Callable[[EntityRef], str],
        gateway: str,
    ) -> StatusTopic:
        """Advertise the status topic, once and before the start; its `follow` comes next.

        `path_of` gives an execution's path in the API, `component_of` the id of the component
        that an entity is located on; both are called on the event loop and may not raise.
        `gateway` tells this gateway's messages from those of another of its name. What is told
        before the start is published at the start, in order.
        """
        if self._phase is not _Phase.CREATED or self._status_topic is not None:
            raise RuntimeError('the status topic is created once, before the start')
        self._status_topic = StatusTopic(
            node=self._node,
            topic=self._configuration.status_topic,
            reporter=Reporter(path_of=path_of, component_of=component_of, gateway=gateway),
            wake=self._wake,
        )
        return self._status_topic

    def create_proximity_topic(self, environ: Mapping[str, str]) -> 'ProximityTopic | None':
        """Advertise the topic of one-time codes, before the start; None where it is not wanted.

        `environ` tells how far nodes are discovered. ParameterInvalid where it is too far.
        """
        if not self._configuration.proximity.topic:
            return None
        if not is_this_host(environ):
            raise ParameterInvalid('proximity.topic', True, f'true only where {LIMITS}')
        # Its messages take a while to load, and hardly anybody wants them.
        from gateway_node.ros.proximity_topic import ProximityTopic

        return ProximityTopic(self._node)

    def create_robot_values(self) -> RosRobotValues:
        """Return what reads values of the robot, once; it ends with the node."""
        if self._robot_values is not None:
            raise RuntimeError('values of the robot are read in one place')
        self._robot_values = RosRobotValues(
            self._node.context,
            self._name,
            self._configuration.triggers.max_rate_hz,
            self._diagnostics.take,
            {self._node.resolve_topic_name(PROXIMITY_TOPIC)},
        )
        return self._robot_values

    def create_robot_witness(self, values: RosRobotValues) -> RosRobotWitness:
        """Return what looks around for evidence, once; it ends with the node.

        `values` are those that `create_robot_values` returned.
        """
        if self._robot_witness is not None:
            raise RuntimeError('there is one witness')
        self._robot_witness = RosRobotWitness(
            self._node.context, self._name, values, self._diagnostics
        )
        return self._robot_witness

    def start(
        self, loop: asyncio.AbstractEventLoop, on_graph: Callable[[GraphSnapshot], None]
    ) -> None:
        """Start the thread. `on_graph` is called on `loop` with the first graph and each new one.

        RuntimeError where it was started before.
        """
        if self._phase is not _Phase.CREATED:
            raise RuntimeError(f'the node cannot be started: it is {self._phase.value}')
        self._phase = _Phase.STARTED
        watch = GraphWatch(self._node, loop, on_graph)
        # A steady clock: the graph is polled also where the simulation's clock stands still.
        self._node.create_timer(
            GRAPH_INTERVAL_SEC, watch.poll, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        publisher = threading.Thread(target=self._publish, name='publisher', daemon=True)
        publisher.start()
        self._publisher = publisher
        thread = threading.Thread(target=self._spin, args=(watch,), name='ros', daemon=True)
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """Publish what is queued and leave the graph; returns when that is done.

        Blocks for some 10 ms, longer where a subscriber is slow. RuntimeError where it was
        stopped before.
        """
        if self._phase is _Phase.STOPPED:
            raise RuntimeError('the node cannot be stopped: it is stopped')
        for reading in (self._robot_witness, self._robot_values):
            if reading is not None:
                reading.close()
        if self._status_topic is not None:
            self._status_topic.flush()
        self._phase = _Phase.STOPPED
        self._stopping.set()
        self._wakes.put(None)
        if self._thread is None:
            self._leave()
            return
        self._guard.trigger()
        self._thread.join(_JOIN_SEC)
        if self._thread.is_alive():
            # A daemon thread: the process can still end, and has to.
            _log.error('the ROS thread did not end', extra={'waited_sec': _JOIN_SEC})

    def _wake(self) -> None:
        if self._phase is _Phase.STOPPED:
            _log.warning('status of an execution not published: the node is stopped')
            return
        self._wakes.put(None)

    def _publish(self) -> None:
        while not self._stopping.is_set():
            self._surviving(self._publish_queued)
            self._wakes.get()

    def _spin(self, watch: GraphWatch) -> None:
        try:
            self._surviving(watch.poll)
            while not self._stopping.is_set():
                self._surviving(self._executor.spin_once)
        finally:
            self._leave()

    def _surviving(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            # One callback failed; the others have to go on, though not in a busy loop.
            _log.error('a callback of the node failed', extra={'error': repr(error)})
            self._stopping.wait(GRAPH_INTERVAL_SEC)

    def _leave(self) -> None:
        """Tear down in the order that rclpy needs: publish, executor, node, context."""
        with self._teardown:
            if self._publisher is not None:
                self._publisher.join()
            self._publish_queued()
            if self._status_topic is not None:
                self._status_topic.wait_for_acknowledgements()

    def _publish_queued(self) -> None:
        if self._status_topic is not None:
            self._status_topic.publish_queued()


def _reason(error: RuntimeError) -> str:
    # Of arguments that it does not know, rclpy says no more than their list.
    told = str(error)
    return f'unknown arguments {told} after --ros-args' if told.startswith('[') else told


def _create_node(context: Context) -> Node:
    try:
        return rclpy.create_node(
            NODE_NAME, context=context, automatically_declare_parameters_from_overrides=True
        )
    except ValueError:
        # rclpy cannot declare an array that the user gave as [] (it arrives without a type).
        # Declared by name that is no trouble, but unknown names are then not to be seen.
        node = rclpy.create_node(NODE_NAME, context=context)
    _log.warning(
        "an array was given as [], so unknown parameters are not noticed; write [''] for none"
    )
    return node
