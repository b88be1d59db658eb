# SPDX-License-Identifier: Apache-2.0
"""A subscription that follows the publishers of its topic: their type, and their QoS.

Belongs to the thread of the node that it is made on.
"""

from collections.abc import Callable, Collection, Sequence
import time
from typing import Any

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rclpy.topic_endpoint_info import TopicEndpointInfo

from gateway_node.ros.message_fields import reads_fast
from gateway_node.ros.message_types import interface_class, RETRY_SEC, TypeMissing

MANY = 16
MANY_LOOK_SEC = 5.0
"""To look at each publisher takes 25 us: where there are more than so many that is done so often
only, and when their number changes."""
_NAMED = 10
"""Types that a fault names."""
LARGE = 64 * 1024
LARGE_OF_NUMBERS = 4 * 1024 * 1024
"""Bytes of the largest message that is looked into: where a larger one is made into a message of
Python's, for some 10 ms, nothing else is done in this process."""


class TopicReader:
    """The messages of one topic, as bytes, while there is somebody who publishes it."""

    def __init__(
        self, node: Node, topic: str, depth: int, on_message: Callable[[bytes], None]
    ) -> None:
        """Subscribe to nothing yet; see `follow`. `depth` messages are kept until they are read.

        `on_message` is called in the executor of the node.
        """
        self._node = node
        self._depth = depth
        self._on_message = on_message
        self._subscription: Any = None
        self._made_as: tuple[str, QoSProfile] | None = None
        self._failure: tuple[str, str, float] | None = None
        """A type, why there is no subscription of it, and when it is tried again."""
        self._class: Any = None
        self._largest = 0
        self._count = 0
        self._look_at = 0.0
        self.topic = topic
        self.publishers: frozenset[bytes] = frozenset()
        """Those of the graph, each by what names it alone; empty where nobody publishes."""
        self.types: tuple[str, ...] = ()
        """Those that it is published with, in order."""
        self.type_name: str | None = None
        """That of the subscription; None where there is none."""
        self.fault = ''
        """Why there is no subscription although somebody publishes; empty where there is one."""
        self.stays = False
        """Whether the publishers keep their last message for those who come later."""

    @property
    def message_class(self) -> Any:
        """The class of the messages of the subscription."""
        return self._class

    @property
    def ambiguity(self) -> str:
        """What is said to who does not name one of several types."""
        named = ', '.join(self.types[:_NAMED]) + (', …' if len(self.types) > _NAMED else '')
        return f'{self.topic} is published with several types, {named}: name one of them as "type"'

    def follow(self, wanted: Collection[str]) -> None:
        """Look at who publishes, and subscribe as they do; called now and then.

        Where they publish with several types, the first of the `wanted` ones is read.
        """
        count, now = self._node.count_publishers(self.topic), time.monotonic()
        if count == self._count > MANY and now < self._look_at:
            return
        self._count, self._look_at = count, now + MANY_LOOK_SEC
        found = self._node.get_publishers_info_by_topic(self.topic)
        self.publishers = frozenset(bytes(each.endpoint_gid) for each in found)
        if not found:
            # What is subscribed to stays, so that not the first message is missed.
            self.fault = ''
            return
        self.types = tuple(sorted({each.topic_type for each in found}))
        chosen = [each for each in self.types if each in wanted or len(self.types) == 1]
        if not chosen:
            self._end()
            self.fault = self.ambiguity
            return
        self._subscribe(chosen[0], _quality(found, self._depth))

    def message(self, content: bytes) -> Any:
        """Return the message that bytes of it are; ValueError where it is too large, or none of
        the type as it is known here."""
        if len(content) > self._largest:
            raise ValueError(
                f'a message of {self.topic} has {len(content)} bytes; fields are read of messages '
                f'of {self.type_name} with up to {self._largest}'
            )
        try:
            return deserialize_message(content, self._class)
        except Exception as error:
            # What is raised is up to the middleware and the type's package.
            raise ValueError(
                f'a message of {self.topic} is no {self.type_name} as installed here: {error}'
            ) from error

    def close(self) -> None:
        """Subscribe to nothing any more."""
        self._end()

    def _subscribe(self, type_name: str, quality: QoSProfile) -> None:
        if self._made_as is not None and _same(self._made_as, (type_name, quality)):
            return
        if self._failure is not None:
            failed, self.fault, again = self._failure
            if failed == type_name and time.monotonic() < again:
                return
        self._end()
        try:
            self._make(type_name, quality)
        except TypeMissing as error:
            self._fail(type_name, str(error))
        except Exception as error:
            # Of a type of others and of the middleware: there are many, and none of them ends us.
            self._fail(type_name, f'there is no subscription to {self.topic}: {error}')

    def _make(self, type_name: str, quality: QoSProfile) -> None:
        message_class = interface_class(type_name)
        # Without events: each is one more to wait for, each time.
        events = SubscriptionEventCallbacks(use_default_callbacks=False)
        self._subscription = self._node.create_subscription(
            message_class,
            self.topic,
            self._on_message,
            quality,
            raw=True,
            event_callbacks=events,
        )
        self._class = message_class
        fast = reads_fast(message_class, interface_class)
        self._largest = LARGE_OF_NUMBERS if fast else LARGE
        self._made_as = (type_name, quality)
        self.type_name = type_name
        self.stays = quality.durability == DurabilityPolicy.TRANSIENT_LOCAL
        self.fault, self._failure = '', None

    def _fail(self, type_name: str, why: str) -> None:
        self._end()
        self.fault = why
        self._failure = (type_name, why, time.monotonic() + RETRY_SEC)

    def _end(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = self._made_as = self.type_name = None
        self.stays = False


def _quality(publishers: Sequence[TopicEndpointInfo], depth: int) -> QoSProfile:
    """Return what all publishers offer; of what they differ in, the less."""
    offered = [each.qos_profile for each in publishers]
    reliable = all(each.reliability == ReliabilityPolicy.RELIABLE for each in offered)
    kept = all(each.durability == DurabilityPolicy.TRANSIENT_LOCAL for each in offered)
    return QoSProfile(
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if kept else DurabilityPolicy.VOLATILE,
    )


def _same(one: tuple[str, QoSProfile], other: tuple[str, QoSProfile]) -> bool:
    return one[0] == other[0] and one[1] == other[1]
