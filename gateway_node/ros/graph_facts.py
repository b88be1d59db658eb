# SPDX-License-Identifier: Apache-2.0
"""What is in the graph: nodes, topics that are published, services, how many publish."""

from collections.abc import Callable, Set
from functools import cached_property

from rclpy.node import Node

from gateway_node.conditions.sources import (
    GraphKind,
    Presence,
    PublisherCount,
    Reading,
    RobotSource,
)
from gateway_node.entities.values import NodeName
from gateway_node.executions.globs import is_pattern, paths_like
from gateway_node.ros.readings import Batch


class GraphFacts:
    """Looks at the graph for what is wanted; puts what differs from what it saw before."""

    def __init__(self, node: Node, put: Callable[[Batch], None]) -> None:
        """Look at nothing yet."""
        self._node = node
        self._put = put
        self._wanted: Set[RobotSource] = frozenset()
        self._seen: dict[RobotSource, bool | int] = {}

    def want(self, sources: Set[RobotSource]) -> None:
        """Look for these."""
        self._wanted = sources
        self._seen = {each: seen for each, seen in self._seen.items() if each in sources}

    def look(self, now: float) -> None:
        """Look at the graph."""
        graph = _Look(self._node)
        batch: dict[RobotSource, Reading] = {}
        for source in self._wanted:
            value = graph.value(source)
            # True is 1: the type tells them apart, and no source changes its own.
            if self._seen.get(source) != value:
                self._seen[source] = value
                batch[source] = Reading(at=now, value=value)
        if batch:
            self._put(batch)

    def close(self) -> None:
        """Nothing of it is on the node."""


class _Look:
    """One look at the graph; what several ask for is looked for once."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def value(self, source: RobotSource) -> bool | int:
        """Return what is seen of a source."""
        if isinstance(source, PublisherCount):
            return int(self._node.count_publishers(source.topic))
        assert isinstance(source, Presence)
        if source.kind is GraphKind.TOPIC:
            return bool(self._node.count_publishers(source.name))
        if source.kind is GraphKind.SERVICE:
            return source.name in self._services
        if is_pattern(source.name):
            return bool(paths_like([source.name], self._shown_nodes))
        return source.name in self._nodes

    @cached_property
    def _services(self) -> frozenset[str]:
        return frozenset(name for name, _ in self._node.get_service_names_and_types())

    @cached_property
    def _nodes(self) -> dict[str, NodeName]:
        seen = self._node.get_node_names_and_namespaces()
        nodes = (NodeName(namespace=namespace, name=name) for name, namespace in seen)
        return {node.fully_qualified_name: node for node in nodes}

    @cached_property
    def _shown_nodes(self) -> tuple[str, ...]:
        """Those that are no hidden ones, as our own are: a pattern does not mean them."""
        return tuple(name for name, node in self._nodes.items() if not node.hidden)
