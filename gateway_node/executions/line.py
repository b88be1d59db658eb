# SPDX-License-Identifier: Apache-2.0
"""Who may start: single-execution scripts and the limits on concurrent executions."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import ConcurrencyLimitReached, ScriptAlreadyRunning
from gateway_node.scripts.values import Script


@dataclass(frozen=True, kw_only=True)
class Place:
    """What counts of an execution that was let in."""

    execution_id: str
    entity: EntityRef
    script_id: str


@dataclass(frozen=True, kw_only=True)
class ConcurrencyLimits:
    """The limits; each counts executions that are open."""

    max_executions: int
    max_executions_per_entity: int

    def check(self, entity: EntityRef, script: Script, taken: Collection[Place]) -> None:
        """Raise where one more execution of `script` may not start.

        Raises:
            ScriptAlreadyRunning: the script allows one at a time and one is open.
            ConcurrencyLimitReached: the limit of the entity, or of the gateway, is reached.
        """
        of_entity = [place for place in taken if place.entity == entity]
        if script.single_execution:
            for place in of_entity:
                if place.script_id == script.id:
                    raise ScriptAlreadyRunning(script.id, place.execution_id)
        if len(of_entity) >= self.max_executions_per_entity:
            raise ConcurrencyLimitReached(
                'scripts.max_concurrent_executions_per_entity', self.max_executions_per_entity
            )
        if self.full(taken):
            raise ConcurrencyLimitReached('scripts.max_concurrent_executions', self.max_executions)

    def full(self, taken: Collection[Place]) -> bool:
        """Tell whether no execution at all may start."""
        return len(taken) >= self.max_executions
