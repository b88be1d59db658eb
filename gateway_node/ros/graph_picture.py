# SPDX-License-Identifier: Apache-2.0
"""The whole graph at a moment, without what is the gateway's own.

Belongs to the thread of the node that looks.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
import time
from typing import TypeVar

from rclpy.node import Node

from gateway_node.entities.values import NodeName
from gateway_node.evidence.values import GraphPicture, TopicPicture

MAX_OF_A_KIND = 5000
"""Nodes, topics or services of a picture."""
_TURN = 50
"""Topics that are looked at before others have their turn."""

_Seen = TypeVar('_Seen')


class GraphLook:
    """One look at the graph, as a question that is answered at once."""

    def __init__(self, node: Node, own: NodeName) -> None:
        self._node = node
        self._own = own

    def answer(self, now: float) -> GraphPicture:
        """Return what is seen."""
        return graph_picture(self._node, self._own)

    def close(self) -> None:
        """Nothing of it is on the node."""


def graph_picture(node: Node, own: NodeName) -> GraphPicture:
    """Return what `node` sees; `own` is the gateway's node, to which hidden ones belong."""
    seen = [
        NodeName(namespace=namespace, name=name)
        for name, namespace in node.get_node_names_and_namespaces()
    ]
    ours = {each for each in seen if is_own(each, own)}
    topics = _topics(node, ours)
    own_services = _own_services(node, ours)
    services = {
        name: tuple(types)
        for name, types in node.get_service_names_and_types()
        if name not in own_services
    }
    nodes = sorted(each.fully_qualified_name for each in seen if each not in ours)
    return GraphPicture(
        nodes=tuple(nodes[:MAX_OF_A_KIND]),
        topics=_first(topics),
        services=_first(services),
        left_out=sum(max(0, len(each) - MAX_OF_A_KIND) for each in (nodes, topics, services)),
    )


def is_own(seen: NodeName, own: NodeName) -> bool:
    """Tell whether a node is the gateway's, or a hidden one that it made."""
    return seen.namespace == own.namespace and (
        seen.name == own.name or seen.name.startswith(f'_{own.name}_')
    )


def _topics(node: Node, ours: Collection[NodeName]) -> dict[str, TopicPicture]:
    published: Counter[str] = Counter()
    subscribed: Counter[str] = Counter()
    for each in ours:
        place = (each.name, each.namespace)
        published.update(_names_of(node.get_publisher_names_and_types_by_node, place))
        subscribed.update(_names_of(node.get_subscriber_names_and_types_by_node, place))
    topics = {}
    for number, (name, types) in enumerate(node.get_topic_names_and_types()):
        if number % _TURN == 0:
            time.sleep(0)
        topic = TopicPicture(
            types=tuple(types),
            publishers=max(0, node.count_publishers(name) - published[name]),
            subscribers=max(0, node.count_subscribers(name) - subscribed[name]),
        )
        if topic.publishers or topic.subscribers:
            topics[name] = topic
    return topics


def _own_services(node: Node, ours: Collection[NodeName]) -> set[str]:
    return {
        name
        for each in ours
        for name in _names_of(
            node.get_service_names_and_types_by_node, (each.name, each.namespace)
        )
    }


def _names_of(
    look: Callable[[str, str], list[tuple[str, list[str]]]], place: tuple[str, str]
) -> list[str]:
    try:
        return [name for name, _ in look(*place)]
    except RuntimeError:
        return []  # it has gone meanwhile, as hidden nodes do that nobody needs any more


def _first(seen: Mapping[str, _Seen]) -> dict[str, _Seen]:
    return {name: seen[name] for name in sorted(seen)[:MAX_OF_A_KIND]}
