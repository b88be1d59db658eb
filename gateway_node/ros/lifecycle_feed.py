# SPDX-License-Identifier: Apache-2.0
"""The state of a lifecycle node: asked for, and then as its transitions tell it."""

from collections.abc import Callable, Set
import time
from typing import Any

from rclpy.node import Node

from gateway_node.conditions.sources import LifecycleState, Reading, RobotSource
from gateway_node.ros.readings import Batch
from gateway_node.ros.service_questions import ServiceQuestions
from gateway_node.ros.topic_reader import TopicReader

_KEPT_EVENTS = 100
_EVENT = 'lifecycle_msgs/msg/TransitionEvent'
_STATE = 'state'


class LifecycleFeed:
    """Puts each new state, and why there is none."""

    def __init__(self, node: Node, source: LifecycleState, put: Callable[[Batch], None]) -> None:
        """Ask for nothing yet."""
        self._source = source
        self._put = put
        self._told: Reading | None = None
        self._events = TopicReader(
            node, f'{source.node}/transition_event', _KEPT_EVENTS, self._take_event
        )
        self._publishers: frozenset[bytes] = frozenset()
        self._questions = ServiceQuestions(
            node, f'{source.node}/get_state', 'lifecycle_msgs/srv/GetState', self._take_answer
        )

    def want(self, sources: Set[RobotSource]) -> None:
        """Ask for the state."""
        self._questions.want({_STATE: {}})

    def look(self, now: float) -> None:
        """Ask where that is due, and where another process is the node now."""
        self._events.follow((_EVENT,))
        if self._events.publishers != self._publishers:
            self._publishers = self._events.publishers
            self._questions.anew(_STATE)
        self._questions.look(now)
        if self._questions.fault:
            self._tell(Reading(at=now, fault=self._questions.fault))

    def close(self) -> None:
        """Unsubscribe, and ask nothing any more."""
        self._events.close()
        self._questions.close()

    def _take_event(self, content: bytes) -> None:
        if self._events.type_name != _EVENT:
            return
        event = self._events.message(content)
        self._questions.anew(_STATE)
        self._tell(Reading(at=time.monotonic(), value=event.goal_state.label))

    def _take_answer(self, _: str, response: Any) -> None:
        self._tell(Reading(at=time.monotonic(), value=response.current_state.label))

    def _tell(self, reading: Reading) -> None:
        told = self._told
        if told is None or (told.value, told.fault) != (reading.value, reading.fault):
            self._told = reading
            self._put({self._source: reading})
