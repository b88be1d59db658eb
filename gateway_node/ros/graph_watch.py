# SPDX-License-Identifier: Apache-2.0
"""Polls the graph on the ROS thread and tells the event loop of changes."""

import asyncio
from collections.abc import Callable
import contextlib
import logging

from rclpy.node import Node

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.listeners import Guard
from gateway_node.ros.self_test_watch import SelfTestWatch

_log = logging.getLogger(__name__)


class GraphWatch:
    """The graph as it was seen last."""

    def __init__(
        self,
        node: Node,
        loop: asyncio.AbstractEventLoop,
        on_graph: Callable[[GraphSnapshot], None],
    ) -> None:
        self._node = node
        self._loop = loop
        self._on_graph = on_graph
        self._guard = Guard()
        self._self_tests = SelfTestWatch(node)
        self._last: GraphSnapshot | None = None
        self._is_blind = False

    def poll(self) -> None:
        """Look at the graph; tell of it where it changed."""
        try:
            snapshot = self._look()
        except UnicodeDecodeError as error:
            # rclpy tells all names, or none.
            if not self._is_blind:
                _log.error(
                    'the graph is not seen, and stays as it was, while something in it has a name '
                    'that is no text: %r',
                    error.object,
                )
            self._is_blind = True
            return
        self._is_blind = False
        if snapshot == self._last:
            return
        self._last = snapshot
        # RuntimeError: the loop is closed, and nobody is left who could be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._guard.tell, self._on_graph, snapshot)

    def _look(self) -> GraphSnapshot:
        seen = self._node.get_node_names_and_namespaces()
        own = (self._node.get_name(), self._node.get_namespace())
        nodes = frozenset(NodeName(namespace=namespace, name=name) for name, namespace in seen)
        return GraphSnapshot(
            nodes=nodes,
            namesakes=max(0, seen.count(own) - 1),
            self_testing=self._self_tests.poll(nodes),
        )
