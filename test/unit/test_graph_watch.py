# SPDX-License-Identifier: Apache-2.0
"""The graph as it is polled, where it cannot be read."""

import asyncio

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_node.entities.values import GraphSnapshot
from gateway_node.ros.graph_watch import GraphWatch


class Graph:
    """What rclpy's node is asked, as the test has it."""

    def __init__(self) -> None:
        self.nodes: list[tuple[str, str]] = []
        self.bad_name = b''

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        """Return all nodes; UnicodeDecodeError where one has a name that is no text, as rclpy's
        does."""
        self.bad_name.decode()
        return self.nodes

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        """Return no services."""
        return []

    def get_name(self) -> str:
        """Return the name of the gateway's node."""
        return 'gateway_node'

    def get_namespace(self) -> str:
        """Return its namespace."""
        return '/'


async def test_a_node_with_a_name_that_is_no_text_hides_the_graph_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The graph stays as it was seen; that is logged once, and again when it comes back."""
    graph = Graph()
    told: list[GraphSnapshot] = []
    watch = GraphWatch(graph, asyncio.get_running_loop(), told.append)  # type: ignore[arg-type]
    graph.nodes = [('pump', '/')]
    watch.poll()
    graph.bad_name = b'\xff\xfe'
    for _ in range(3):
        watch.poll()
    graph.bad_name, graph.nodes = b'', [('fan', '/')]
    watch.poll()
    graph.bad_name = b'\xfd'
    watch.poll()
    await asyncio.sleep(0)
    assert [{node.name for node in each.nodes} for each in told] == [{'pump'}, {'fan'}]
    logged = [record.getMessage() for record in caplog.records]
    assert [line.rpartition(': ')[2] for line in logged] == [r"b'\xff\xfe'", r"b'\xfd'"]
