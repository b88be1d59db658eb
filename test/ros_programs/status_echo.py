# SPDX-License-Identifier: Apache-2.0
"""Subscribes to the given status topic and prints each message as a line of JSON, until SIGTERM.

Says `ready` once the subscription exists. `sec` is the stamp, in whole seconds.
"""

import json
import signal
import sys

from diagnostic_msgs.msg import DiagnosticArray
import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions


def show(message: DiagnosticArray) -> None:
    """Print one message."""
    (status,) = message.status
    line = {
        'sec': message.header.stamp.sec,
        'level': status.level[0],
        'name': status.name,
        'message': status.message,
        'hardware_id': status.hardware_id,
        'values': {pair.key: pair.value for pair in status.values},
    }
    sys.stdout.write(json.dumps(line) + '\n')
    sys.stdout.flush()


def main() -> None:
    """Subscribe and print."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('status_echo', context=context)
    qos = QoSProfile(
        depth=1000,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    node.create_subscription(DiagnosticArray, sys.argv[1], show, qos)
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    executor.spin()


if __name__ == '__main__':
    main()
