# SPDX-License-Identifier: Apache-2.0
"""Which nodes offer a test of themselves: a service of type diagnostic_msgs/srv/SelfTest."""

from collections.abc import Iterator

from rclpy.node import Node

from gateway_node.entities.values import NodeName

SELF_TEST = 'diagnostic_msgs/srv/SelfTest'
LOOKS_APART = 4
"""Polls of the graph from one look to the next: to list all services costs more than all nodes."""


class SelfTestWatch:
    """What was seen last; belongs to the ROS thread."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._polls = 0
        self._offered: frozenset[str] = frozenset()
        self._nodes: frozenset[NodeName] = frozenset()
        self._by_node: dict[NodeName, frozenset[str]] = {}

    def poll(self, nodes: frozenset[NodeName]) -> frozenset[NodeName]:
        """Return those of the nodes that offer a test of themselves, as of the last look."""
        if self._polls % LOOKS_APART == 0 or nodes != self._nodes:
            self._look(nodes)
        self._polls += 1
        return frozenset(self._by_node)

    def _look(self, nodes: frozenset[NodeName]) -> None:
        offered = frozenset(_self_tests(self._node.get_service_names_and_types()))
        whose = frozenset().union(*self._by_node.values())
        # A service is seen before its node is known to offer it.
        if (offered, nodes) == (self._offered, self._nodes) and whose == offered:
            return
        self._offered, self._nodes = offered, nodes
        found = {each: self._of(each) for each in nodes} if offered else {}
        self._by_node = {node: services for node, services in found.items() if services}

    def _of(self, node: NodeName) -> frozenset[str]:
        try:
            services = self._node.get_service_names_and_types_by_node(node.name, node.namespace)
        except RuntimeError:
            return frozenset()  # it has gone meanwhile
        return frozenset(_self_tests(services))


def _self_tests(services: list[tuple[str, list[str]]]) -> Iterator[str]:
    return (name for name, types in services if SELF_TEST in types)
