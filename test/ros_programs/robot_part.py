# SPDX-License-Identifier: Apache-2.0
"""A node that does what it is told, line by line, until its input ends; says `ready` first.

Each line is a JSON object: `{"publish": topic, "type": …, "messages": [{field: value}]}`, with
`"reliable"`, `"kept"` (transient local), `"hz"` (the first one over and over, in place of what was
so before) and `"raw"` (what else is sent as messages, in hexadecimal digits);
`{"quiet": topic}` ends its publishers; `{"declare": parameter, "value": …}`, `{"set": …}` and
`{"undeclare": …}`; `{"transition": name}`; `{"log": warning}`. After each it says `done`.
"""

import array
import importlib
import json
import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions


class Part:
    """The node, and what it publishes."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers: dict[str, list[Any]] = {}
        self._floods: dict[str, tuple[threading.Event, threading.Thread]] = {}

    def publish(self, order: dict[str, Any]) -> None:
        """Publish a message, over and over where there is a rate."""
        topic, type_name = order['publish'], order['type']
        package, kind, name = type_name.split('/')
        message_class = getattr(importlib.import_module(f'{package}.{kind}'), name)
        publishers = self._publishers.setdefault(topic, [])
        if not publishers or order.get('another'):
            publishers.append(self._node.create_publisher(message_class, topic, _quality(order)))
        messages = [_filled(message_class(), fields) for fields in order['messages']]
        messages += [bytes.fromhex(each) for each in order.get('raw', ())]
        if 'hz' in order:
            if topic in self._floods and not order.get('another'):
                self._still(topic)
            end = threading.Event()
            flooding = (publishers[-1], messages[0], order['hz'], end)
            flood = threading.Thread(target=_flood, args=flooding, daemon=True)
            self._floods[topic] = (end, flood)
            flood.start()
            return
        for message in messages:
            publishers[-1].publish(message)

    def quiet(self, topic: str) -> None:
        """Publish a topic no more."""
        if topic in self._floods:
            self._still(topic)
        for publisher in self._publishers.pop(topic):
            self._node.destroy_publisher(publisher)

    def _still(self, topic: str) -> None:
        end, flood = self._floods.pop(topic)
        end.set()
        flood.join()

    def end(self) -> None:
        """Publish nothing any more."""
        for topic in list(self._publishers):
            self.quiet(topic)

    def obey(self, order: dict[str, Any]) -> None:
        """Do one thing."""
        if 'publish' in order:
            self.publish(order)
        elif 'quiet' in order:
            self.quiet(order['quiet'])
        elif 'log' in order:
            self._node.get_logger().warning(order['log'])
        elif 'declare' in order:
            self._node.declare_parameter(order['declare'], order['value'])
        elif 'set' in order:
            self._node.set_parameters([Parameter(order['set'], value=order['value'])])
        elif 'undeclare' in order:
            self._node.undeclare_parameter(order['undeclare'])
        elif 'transition' in order:
            assert isinstance(self._node, _Lifecycle)
            getattr(self._node, f'trigger_{order["transition"]}')()


class _Lifecycle(LifecycleNode):
    """Goes wherever it is sent."""

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Succeed."""
        return TransitionCallbackReturn.SUCCESS


def _filled(message: Any, fields: dict[str, Any]) -> Any:
    for path, value in fields.items():
        *parents, last = path.split('.')
        target = message
        for parent in parents:
            target = getattr(target, parent)
        setattr(target, last, _made(value))
    return message


def _made(value: Any) -> Any:
    """Return what stands for `{"bytes": n}`, and a status of `{"status": name, "level": n}`.

    A status may have a `"message"`.
    """
    if isinstance(value, dict) and 'bytes' in value:
        return array.array('B', bytes(value['bytes']))
    if isinstance(value, list):
        return [_made(each) for each in value]
    if isinstance(value, dict):
        return DiagnosticStatus(
            name=value['status'], level=bytes([value['level']]), message=value.get('message', '')
        )
    return value


def _quality(order: dict[str, Any]) -> QoSProfile:
    reliable, kept = order.get('reliable', True), order.get('kept', False)
    return QoSProfile(
        depth=order.get('depth', 10),
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if kept else DurabilityPolicy.VOLATILE,
    )


def _flood(publisher: Any, message: Any, hz: float, end: threading.Event) -> None:
    due = time.monotonic()
    while not end.is_set():
        publisher.publish(message)
        due += 1 / hz
        time.sleep(max(0.0, due - time.monotonic()))


def main() -> None:
    """Make the node of the given name, `lifecycle` or not, `silent` where it answers nothing."""
    name, *traits = sys.argv[1:]
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = (_Lifecycle if 'lifecycle' in traits else Node)(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    if 'silent' not in traits:
        executor.add_node(node)
        spinning.start()
    part = Part(node)
    _say('ready')
    for line in sys.stdin:
        part.obey(json.loads(line))
        _say('done')
    # In order, so that it leaves the graph.
    part.end()
    executor.shutdown()
    if spinning.is_alive():
        spinning.join()
    node.destroy_node()
    context.try_shutdown()


def _say(text: str) -> None:
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main()
