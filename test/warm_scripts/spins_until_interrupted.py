# SPDX-License-Identifier: Apache-2.0
"""Spins, and is interrupted as rclpy handles that: its handlers take SIGINT and SIGTERM."""

import os
import signal
import threading

import rclpy
from rclpy.executors import ExternalShutdownException

rclpy.init()
node = rclpy.create_node('spinning')
for number in (signal.SIGTERM, signal.SIGINT):
    print(number, signal.getsignal(number) is signal.SIG_DFL)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    rclpy.spin(node)
except (KeyboardInterrupt, ExternalShutdownException) as error:
    print('ended by', type(error).__name__)
print(rclpy.ok())
