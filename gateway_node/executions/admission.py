"""Who may start: single-execution scripts and the limits on concurrent executions."""

from collections.abc import Collection
from dataclasses import dataclass

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import ConcurrencyLimitReached, ScriptAlreadyRunning
from gateway_node.executions.values import Execution
from gateway_node.scripts.values import Script


@dataclass(frozen=True, kw_only=True)
class Admission:
    """The limits; each counts executions that are open."""

    max_executions: int
    max_executions_per_entity: int

    def check(
        self, entity: EntityRef, script: Script, open_executions: Collection[Execution]
    ) -> None:
        """Raise where one more execution of `script` may not start.

        Raises:
            ScriptAlreadyRunning: the script allows one at a time and one is open.
            ConcurrencyLimitReached: the limit of the entity, or of the gateway, is reached.
        """
        if script.single_execution:
            for execution in open_executions:
                if execution.entity == entity and execution.script_id == script.id:
                    raise ScriptAlreadyRunning(script.id, execution.id)
        of_entity = sum(execution.entity == entity for execution in open_executions)
        if of_entity >= self.max_executions_per_entity:
            raise ConcurrencyLimitReached(
                'scripts.max_concurrent_executions_per_entity', self.max_executions_per_entity
            )
        if len(open_executions) >= self.max_executions:
            raise ConcurrencyLimitReached('scripts.max_concurrent_executions', self.max_executions)
