# SPDX-License-Identifier: Apache-2.0
"""A program that publishes a topic at a kilohertz, as std_msgs/msg/Float64, until its end.

Usage: flood.py TOPIC. It writes a line once it publishes.
"""

import itertools
import sys
import time

import rclpy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64

HZ = 1000


def main() -> None:
    """Publish."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    publisher = rclpy.create_node('flood').create_publisher(Float64, sys.argv[1], 10)
    sys.stdout.write('publishing\n')
    sys.stdout.flush()
    message, due = Float64(), time.monotonic()
    for number in itertools.count():
        message.data = 20.0 + number % 10
        publisher.publish(message)
        due += 1 / HZ
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == '__main__':
    main()
