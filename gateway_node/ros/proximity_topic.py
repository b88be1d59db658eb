# SPDX-License-Identifier: Apache-2.0
"""The topic on which one-time codes are shown; only where nobody beyond this host hears it."""

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from gateway_node.executions.proximity import ProximityUnavailable
from gateway_node.ros.access_specifications import PROXIMITY_TOPIC
from gateway_node.threads import Threads

_DEPTH = 10


class ProximityTopic:
    """Publishes codes, each once: who listens later hears nothing of them."""

    def __init__(self, node: Node) -> None:
        """Advertise the topic."""
        self._threads = Threads('proximity topic', 1)
        quality = QoSProfile(reliability=ReliabilityPolicy.RELIABLE, depth=_DEPTH)
        self._publisher = node.create_publisher(String, PROXIMITY_TOPIC, quality)

    async def show(self, message: str) -> None:
        """Publish a code; ProximityUnavailable where that fails, or nobody listens."""
        if not self._publisher.get_subscription_count():
            raise ProximityUnavailable(PROXIMITY_TOPIC, 'has no subscriber')
        try:
            # A slow subscriber can hold it up.
            await self._threads.run(self._publisher.publish, String(data=message))
        except RuntimeError as error:
            raise ProximityUnavailable(PROXIMITY_TOPIC, f'takes no message: {error}') from error
