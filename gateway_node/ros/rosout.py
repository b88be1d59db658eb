# SPDX-License-Identifier: Apache-2.0
"""`/rosout`, read into a ring. Belongs to the thread of the node that it is made on."""

import datetime
import time
from typing import Any, TYPE_CHECKING

from rcl_interfaces.msg import Log
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message

from gateway_node.evidence.values import LogLine
from gateway_node.ros.log_ring import LogRing
from gateway_node.ros.losses import MissedMessages

if TYPE_CHECKING:
    # Not in Jazzy.
    from rclpy.subscription import MessageInfo

_DEPTH = 1000
"""Lines that wait until they are read; of more the newest."""
_MAX_BYTES = 256 * 1024
"""Of a line that is looked into."""
_MAX_MESSAGE = 4000
_MAX_NAME = 300
"""Characters that are held."""
_LEVELS = {10: 'DEBUG', 20: 'INFO', 30: 'WARN', 40: 'ERROR', 50: 'FATAL'}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Rosout:
    """A subscription to what nodes log, whose lines go into a ring."""

    def __init__(self, node: Node, ring: LogRing) -> None:
        self._node = node
        self._ring = ring
        self._missed = MissedMessages()
        self.taken = 0
        """Lines that were read."""
        self._subscription = node.create_subscription(
            Log,
            '/rosout',
            self._take,
            # Volatile: what was logged before is nobody's, and all publishers offer it.
            QoSProfile(depth=_DEPTH),
            raw=True,
            # Without events: each is one more to wait for, each time.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        )

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, content: bytes, info: 'MessageInfo') -> None:
        self.taken += 1
        received = time.monotonic()
        missed = self._missed.before(info)
        if missed:
            self._ring.miss(received, missed)
        if len(content) > _MAX_BYTES:
            self._ring.miss(received, 1)
            return
        self._ring.add(_line(deserialize_message(content, Log), received))


def _line(told: Any, received: float) -> LogLine:
    place = f'{told.file}:{told.line} {told.function}' if told.file else told.function
    stamp = datetime.timedelta(seconds=told.stamp.sec, microseconds=told.stamp.nanosec // 1000)
    return LogLine(
        received=received,
        at=_EPOCH + stamp,
        level=_LEVELS.get(told.level, str(told.level)),
        node=told.name[:_MAX_NAME],
        message=told.msg[:_MAX_MESSAGE],
        place=place[:_MAX_NAME],
    )
