# SPDX-License-Identifier: Apache-2.0
"""A program of its own, because a DDS library can hang: what one look at the graph takes.

It prints a JSON object: milliseconds of each look `with` other nodes in the graph and `without`.
"""

import json
import sys
import time
from typing import Any

import rclpy
from rclpy.context import Context

from gateway_node.entities.values import GraphSnapshot, NodeName

POLLS = 200


def main() -> None:
    """Make argv[2] nodes in the domain argv[1], and none in the one after it; look at both."""
    domain, count = int(sys.argv[1]), int(sys.argv[2])
    context = _context(domain)
    nodes = [
        rclpy.create_node(f'sensor_{number}', namespace='/powertrain/engine', context=context)
        for number in range(count)
    ]
    crowded = rclpy.create_node('looks', context=_context(domain))
    empty = rclpy.create_node('looks_elsewhere', context=_context(domain % 101 + 1))
    while len(_look(crowded).nodes) < count + 1:
        time.sleep(0.01)
    polls: dict[str, list[float]] = {'with': [], 'without': []}
    for _ in range(POLLS):
        polls['with'].append(_timed_look(crowded))
        polls['without'].append(_timed_look(empty))
    sys.stdout.write(json.dumps(polls))
    for node in (*nodes, crowded, empty):
        node.destroy_node()


def _context(domain: int) -> Context:
    context = Context()
    rclpy.init(context=context, domain_id=domain)
    return context


def _look(node: Any) -> GraphSnapshot:
    """Do what the gateway does twice a second."""
    return GraphSnapshot(
        nodes=frozenset(
            NodeName(namespace=namespace, name=name)
            for name, namespace in node.get_node_names_and_namespaces()
        )
    )


def _timed_look(node: Any) -> float:
    begun = time.perf_counter()
    _look(node)
    return (time.perf_counter() - begun) * 1000


if __name__ == '__main__':
    main()
