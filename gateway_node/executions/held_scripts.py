# SPDX-License-Identifier: Apache-2.0
"""Who holds a script that allows one execution at a time although its execution has ended."""

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import ScriptHeldByProcesses
from gateway_node.executions.runner_ports import ScriptRunner
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution
from gateway_node.scripts.values import Script


class HeldScripts:
    """Ended executions that left processes which nobody could end."""

    def __init__(self, runner: ScriptRunner) -> None:
        self._runner = runner
        self._executions: dict[str, Execution] = {}

    async def read(self, store: ExecutionStore) -> None:
        """Take what earlier gateways left; StoreUnavailable."""
        for execution_id in await self._runner.remembered():
            execution = await store.get(execution_id)
            if execution is not None:
                self._executions[execution_id] = execution

    def add(self, execution: Execution) -> None:
        """Take an execution, where it has ended and left something."""
        if execution.unkillable_processes:
            self._executions[execution.id] = execution
            self._runner.remember(execution.id, execution.unkillable_processes)

    def any_lives(self) -> bool:
        """Tell whether anything lives that an execution left; the rest is forgotten."""
        for execution in tuple(self._executions.values()):
            if not any(map(self._runner.lives, execution.unkillable_processes)):
                del self._executions[execution.id]
        return bool(self._executions)

    def check(self, entity: EntityRef, script: Script) -> None:
        """Raise where the script allows one execution, and processes of another one live.

        Raises:
            ScriptHeldByProcesses: as its name says.
        """
        if not script.single_execution or not self.any_lives():
            return
        for execution in self._executions.values():
            if execution.entity == entity and execution.script_id == script.id:
                living = filter(self._runner.lives, execution.unkillable_processes)
                raise ScriptHeldByProcesses(script.id, execution.id, tuple(living))
