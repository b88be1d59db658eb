# SPDX-License-Identifier: Apache-2.0
"""The gateway's own processes, by the names that `ps` shows."""

from collections.abc import Iterable

from gateway_node.child import contract
from gateway_node.child.process_tree import ProcessEntry

SPAWNER = contract.SPAWNER_NAME
SUPERVISOR = contract.SUPERVISOR_NAME
SPARE = contract.SPARE_NAME
HELPERS = (SPAWNER, SUPERVISOR, SPARE)


def without_idle_helpers(entries: Iterable[ProcessEntry]) -> list[ProcessEntry]:
    """Return the entries but for what an idle gateway has: a spawner, perhaps the warm one too,
    and supervisors that wait for an order."""
    idle = [SPAWNER, SPAWNER]
    left = []
    for entry in entries:
        if entry.name in idle:
            idle.remove(entry.name)
        elif entry.name != SPARE:
            left.append(entry)
    return left
