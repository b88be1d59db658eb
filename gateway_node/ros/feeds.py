# SPDX-License-Identifier: Apache-2.0
"""All that is read on one node, by what it is read from.

Belongs to the thread of the node.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Set
import logging
import time
from typing import Protocol

from rclpy.node import Node

from gateway_node.conditions.sources import (
    DiagnosticLevel,
    LifecycleState,
    ParameterValue,
    Reading,
    RobotSource,
    TopicValue,
)
from gateway_node.ros.diagnostic_feed import DiagnosticFeed
from gateway_node.ros.graph_facts import GraphFacts
from gateway_node.ros.lifecycle_feed import LifecycleFeed
from gateway_node.ros.parameter_feed import ParameterFeed
from gateway_node.ros.readings import Batch, OnDiagnostics
from gateway_node.ros.topic_feed import TopicFeed
from gateway_node.ros.ways import give_way

_log = logging.getLogger(__name__)


class Feed(Protocol):
    """What sources are read from: a topic, the graph, a node."""

    def want(self, sources: Set[RobotSource]) -> None:
        """Read these sources from now on, and no others; they are of its kind."""

    def look(self, now: float) -> None:
        """Look at the graph, and put what changed; called at once, and now and then."""

    def close(self) -> None:
        """Leave nothing behind on the node."""


class Feeds:
    """Makes a feed where the first of its sources is wanted, and closes it with the last."""

    def __init__(
        self,
        node: Node,
        *,
        depth: int,
        put: Callable[[Batch], None],
        on_message: Callable[[str], None],
        on_diagnostics: OnDiagnostics,
    ) -> None:
        """`depth` messages of a topic are kept until they are read; `on_message` is called with
        the topic of each that is."""
        self._node = node
        self._depth = depth
        self._put = put
        self._on_message = on_message
        self._on_diagnostics = on_diagnostics
        self._feeds: dict[str, tuple[Feed, Set[RobotSource]]] = {}
        self._numbers: Mapping[RobotSource, int] = {}
        self._failed: set[tuple[str, type[Exception]]] = set()

    def want(self, sources: Mapping[RobotSource, int]) -> None:
        """Read these sources from now on, and no others; those whose number changed as new."""
        wanted: dict[str, set[RobotSource]] = defaultdict(set)
        for source in sources:
            wanted[_key(source)].add(source)
        for key in self._feeds.keys() - wanted.keys():
            feed, _ = self._feeds.pop(key)
            feed.close()
        for key, chosen in wanted.items():
            known = {each for each in chosen if self._numbers.get(each) == sources[each]}
            feed, before = self._feeds.get(key) or (self._feed(chosen), frozenset())
            if known == chosen == before:
                continue
            self._feeds[key] = (feed, chosen)
            feed.want(known)
            feed.want(chosen)
            self._look(key, time.monotonic())
        self._numbers = sources

    def look(self, now: float) -> None:
        """Have each look at the graph."""
        for key in self._feeds:
            self._look(key, now)
            give_way()

    def close(self) -> None:
        """Leave nothing behind on the node."""
        self.want({})

    def _look(self, key: str, now: float) -> None:
        feed, sources = self._feeds[key]
        try:
            feed.look(now)
        except Exception as error:
            # The middleware refuses more than can be foreseen; the others have to go on.
            fault = f'{key} cannot be read: {error!r}'
            if (key, type(error)) not in self._failed:
                self._failed.add((key, type(error)))
                _log.exception('%s', fault)
            self._put({source: Reading(at=now, fault=fault) for source in sources})

    def _feed(self, sources: Set[RobotSource]) -> Feed:
        source = next(iter(sources))
        if isinstance(source, TopicValue):
            topic = source.topic
            return TopicFeed(
                self._node, topic, self._depth, self._put, lambda: self._on_message(topic)
            )
        if isinstance(source, LifecycleState):
            return LifecycleFeed(self._node, source, self._put)
        if isinstance(source, ParameterValue):
            return ParameterFeed(self._node, self._put)
        if isinstance(source, DiagnosticLevel):
            return DiagnosticFeed(self._node, self._put, self._on_diagnostics)
        return GraphFacts(self._node, self._put)


def _key(source: RobotSource) -> str:
    """Return what tells feeds apart; it names what is read, for a person."""
    if isinstance(source, TopicValue):
        return source.topic
    if isinstance(source, LifecycleState):
        return f'the state of {source.node}'
    if isinstance(source, ParameterValue):
        return 'parameters'
    return 'diagnostics' if isinstance(source, DiagnosticLevel) else 'the graph'
