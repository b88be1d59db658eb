# SPDX-License-Identifier: Apache-2.0
"""The robot of the worked examples in docs/triggers.md: publishes what stdin says, as long as
that goes on.

Each line is a JSON object of new values; null stops a topic. Says `ready` once its node exists.
"""

import json
import sys
import threading
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import Twist, Vector3
import rclpy
from rclpy.context import Context
from sensor_msgs.msg import BatteryState, Temperature
from std_msgs.msg import Bool, String

PERIOD_SEC = 0.05


def _diagnostics(level: int) -> DiagnosticArray:
    status = DiagnosticStatus(level=bytes([level]), name='battery: cells', message='as told')
    return DiagnosticArray(status=[status])


MESSAGES: dict[str, tuple[type, Any]] = {
    '/motor_left/temperature': (Temperature, lambda value: Temperature(temperature=value)),
    '/battery': (BatteryState, lambda value: BatteryState(percentage=value)),
    '/scan': (String, lambda value: String(data=value)),
    '/docked': (Bool, lambda value: Bool(data=value)),
    '/diagnostics': (DiagnosticArray, _diagnostics),
    '/velocity': (Twist, lambda value: Twist(linear=Vector3(x=value))),
}


def main() -> None:
    """Publish each topic's value, again and again."""
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node('robot_of_examples', context=context)
    publishers: dict[str, Any] = {
        topic: node.create_publisher(kind, topic, 10) for topic, (kind, _) in MESSAGES.items()
    }
    values: dict[str, Any] = {}
    over = threading.Event()

    def publish() -> None:
        while not over.wait(PERIOD_SEC):
            for topic, value in list(values.items()):
                if value is not None:
                    publishers[topic].publish(MESSAGES[topic][1](value))

    publishing = threading.Thread(target=publish)
    publishing.start()
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    for line in sys.stdin:
        values.update(json.loads(line))
    over.set()
    publishing.join()
    node.destroy_node()
    context.try_shutdown()


if __name__ == '__main__':
    main()
