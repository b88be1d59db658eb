# SPDX-License-Identifier: Apache-2.0
"""Parameters of other nodes: asked for, and then as `/parameter_events` tells them."""

from collections import defaultdict
from collections.abc import Callable, Set
import time
from typing import Any

from rclpy.node import Node

from gateway_node.conditions.sources import ParameterValue, Reading, RobotSource
from gateway_node.ros.message_fields import ValueMissing
from gateway_node.ros.parameter_values import parameter_json
from gateway_node.ros.readings import Batch
from gateway_node.ros.service_questions import ServiceQuestions
from gateway_node.ros.topic_reader import TopicReader
from gateway_node.ros.ways import give_way

_EVENT = 'rcl_interfaces/msg/ParameterEvent'
_KEPT_EVENTS = 1000


class ParameterFeed:
    """Puts each new value, and why there is none."""

    def __init__(self, node: Node, put: Callable[[Batch], None]) -> None:
        """Ask for nothing yet."""
        self._node = node
        self._put = put
        self._events = TopicReader(node, '/parameter_events', _KEPT_EVENTS, self._take_event)
        self._questions: dict[str, ServiceQuestions] = {}
        """For each node that is asked."""
        self._told: dict[ParameterValue, Reading] = {}
        self._wanted: Set[ParameterValue] = frozenset()

    def want(self, sources: Set[RobotSource]) -> None:
        """Ask for these parameters."""
        self._wanted = frozenset(each for each in sources if isinstance(each, ParameterValue))
        self._told = {each: told for each, told in self._told.items() if each in self._wanted}
        names: dict[str, list[str]] = defaultdict(list)
        for source in self._wanted:
            names[source.node].append(source.name)
        for node in self._questions.keys() - names.keys():
            self._questions.pop(node).close()
        for node, wanted in names.items():
            if node not in self._questions:
                self._questions[node] = self._asking(node)
            # Each by itself: rclcpp answers nothing where one of several is not declared.
            self._questions[node].want({name: {'names': [name]} for name in wanted})

    def look(self, now: float) -> None:
        """Ask where that is due."""
        self._events.follow((_EVENT,))
        for questions in self._questions.values():
            questions.look(now)
            give_way()
        for source in self._wanted:
            fault = self._questions[source.node].fault
            if fault:
                self._tell(source, Reading(at=now, fault=fault))

    def close(self) -> None:
        """Unsubscribe, and ask nothing any more."""
        self._events.close()
        self.want(frozenset())

    def _asking(self, node: str) -> ServiceQuestions:
        return ServiceQuestions(
            self._node,
            f'{node}/get_parameters',
            'rcl_interfaces/srv/GetParameters',
            lambda name, response: self._take_answer(node, name, response),
        )

    def _take_answer(self, node: str, name: str, response: Any) -> None:
        self._take(node, name, response.values[0] if response.values else None)

    def _take_event(self, content: bytes) -> None:
        if self._events.type_name != _EVENT:
            return
        event = self._events.message(content)
        if event.node not in self._questions:
            return
        for parameter in (*event.new_parameters, *event.changed_parameters):
            self._take(event.node, parameter.name, parameter.value, overtakes=True)
        for parameter in event.deleted_parameters:
            self._take(event.node, parameter.name, None, overtakes=True)

    def _take(self, node: str, name: str, value: Any, *, overtakes: bool = False) -> None:
        source = ParameterValue(node=node, name=name)
        if source not in self._wanted:
            return
        if overtakes:
            self._questions[node].anew(name)
        at = time.monotonic()
        try:
            given = None if value is None else parameter_json(value, f'the parameter {name}')
        except ValueMissing as error:
            self._tell(source, Reading(at=at, fault=f'{node}: {error}'))
            return
        fault = f'{node} has no parameter {name}' if given is None else ''
        self._tell(source, Reading(at=at, value=given, fault=fault))

    def _tell(self, source: ParameterValue, reading: Reading) -> None:
        told = self._told.get(source)
        if told is None or (told.value, told.fault) != (reading.value, reading.fault):
            self._told[source] = reading
            self._put({source: reading})
