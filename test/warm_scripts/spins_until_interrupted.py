# SPDX-License-Identifier: Apache-2.0
"""Spins, and is interrupted as rclpy handles that: its handlers take SIGINT and SIGTERM.

More than once: rclpy wakes who spins before it shuts the context down, and who was faster than
that waits for the next signal (one run in twenty on a loaded machine).
"""

import os
import signal
import threading

import rclpy
from rclpy.executors import ExternalShutdownException

rclpy.init()
node = rclpy.create_node('spinning')
for number in (signal.SIGTERM, signal.SIGINT):
    print(number, signal.getsignal(number) is signal.SIG_DFL)
ended = threading.Event()


def interrupt():
    """Ask it to end, until it does."""
    while not ended.wait(0.3):
        os.kill(os.getpid(), signal.SIGTERM)


asking = threading.Thread(target=interrupt)
asking.start()
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException) as error:
    print('ended by', type(error).__name__)
ended.set()
asking.join()
print(rclpy.ok())
