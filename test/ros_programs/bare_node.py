# SPDX-License-Identifier: Apache-2.0
"""A node with the given name and namespace, until SIGTERM; says `ready` once it exists."""

import signal
import sys

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions


def main() -> None:
    """Create the node and wait."""
    name, namespace = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name, namespace=namespace, context=context)
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    node.destroy_node()
    context.try_shutdown()


if __name__ == '__main__':
    main()
