# SPDX-License-Identifier: Apache-2.0
"""Which nodes offer a test of themselves, as the graph tells it bit by bit."""

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_node.entities.values import NodeName
from gateway_node.ros.self_test_watch import LOOKS_APART, SELF_TEST, SelfTestWatch

PUMP = NodeName(namespace='/', name='pump')
FAN = NodeName(namespace='/engine', name='fan')
SERVICE = ('/pump/self_test', [SELF_TEST])
OTHER = ('/fan/reset', ['std_srvs/srv/Trigger'])


class Graph:
    """What rclpy's node is asked, as the test has it."""

    def __init__(self) -> None:
        self.services = [OTHER]
        self.by_node: dict[str, list[tuple[str, list[str]]]] = {}
        self.lists = 0

    def get_service_names_and_types(self) -> list[tuple[str, list[str]]]:
        """Return all services."""
        self.lists += 1
        return self.services

    def get_service_names_and_types_by_node(
        self, name: str, _: str
    ) -> list[tuple[str, list[str]]]:
        """Return those of a node; RuntimeError where it has gone."""
        if name not in self.by_node:
            raise RuntimeError(name)
        return self.by_node[name]


@pytest.fixture
def graph() -> Graph:
    """Return a graph without self-tests."""
    return Graph()


@pytest.fixture
def watch(graph: Graph) -> SelfTestWatch:
    """Return the watch of it."""
    return SelfTestWatch(graph)  # type: ignore[arg-type]


def test_services_are_listed_at_every_fourth_poll_of_a_graph_that_stays(
    graph: Graph, watch: SelfTestWatch
) -> None:
    """And at once where there are other nodes."""
    for _ in range(2 * LOOKS_APART):
        assert watch.poll(frozenset({PUMP})) == frozenset()
    assert graph.lists == 2
    watch.poll(frozenset({PUMP, FAN}))
    assert graph.lists == 3


def test_a_service_whose_node_is_told_later_is_found_then(
    graph: Graph, watch: SelfTestWatch
) -> None:
    """DDS tells of a service before the graph says whose it is; the node may go in between."""
    nodes = frozenset({PUMP, FAN})
    graph.services = [OTHER, SERVICE]
    graph.by_node = {'fan': [OTHER]}
    assert watch.poll(nodes) == frozenset()
    graph.by_node['pump'] = [SERVICE]
    found = [watch.poll(nodes) for _ in range(LOOKS_APART)]
    assert found[-1] == {PUMP}
    graph.services = [OTHER]
    found = [watch.poll(nodes) for _ in range(LOOKS_APART)]
    assert found[-1] == frozenset()
