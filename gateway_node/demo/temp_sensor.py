# SPDX-License-Identifier: Apache-2.0
"""The demo node: an engine's temperature sensor.

`/powertrain/engine/temp_sensor` publishes a temperature in degrees Celsius (std_msgs/msg/Float64)
on `~/temperature` once a second, until SIGINT or SIGTERM.
"""

from collections.abc import Sequence
import math
import os
import signal
import sys
import threading

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64

PERIOD_SEC = 1.0
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class TempSensor(Node):
    """Publishes a temperature that swings by 5 degrees around 90 within a minute."""

    def __init__(self, context: Context) -> None:
        """Create the node in the graph."""
        super().__init__('temp_sensor', namespace='/powertrain/engine', context=context)
        self._seconds = 0.0
        self._temperature = self.create_publisher(Float64, '~/temperature', 10)
        self.create_timer(PERIOD_SEC, self._measure)

    def _measure(self) -> None:
        self._seconds += PERIOD_SEC
        celsius = 90.0 + 5.0 * math.sin(2 * math.pi * self._seconds / 60.0)
        self._temperature.publish(Float64(data=celsius))


def main(args: Sequence[str] | None = None) -> None:
    """Publish until SIGINT or SIGTERM; `args` are the process's arguments without its name."""
    # Not blocked: numpy has threads since its import that would take them. Whichever thread does,
    # a byte in the pipe tells.
    told, telling = os.pipe()
    os.set_blocking(telling, False)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    for number in _ENDING_SIGNALS:
        signal.signal(number, lambda *_: None)
    context = Context()
    rclpy.init(
        args=list(sys.argv[1:] if args is None else args),
        context=context,
        signal_handler_options=SignalHandlerOptions.NO,
    )
    node = TempSensor(context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, name='ros')
    spinning.start()
    os.read(told, 1)
    _ignore_ending_signals()
    executor.shutdown()
    spinning.join()
    node.destroy_node()
    context.try_shutdown()


def _ignore_ending_signals() -> None:
    """Ignore them for good: Python gives up handlers of its own before its very end."""
    # One that comes at the very moment is reported there, with a traceback.
    report, sys.unraisablehook = sys.unraisablehook, lambda _: None
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.unraisablehook = report


if __name__ == '__main__':
    main()
