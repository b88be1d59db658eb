# SPDX-License-Identifier: Apache-2.0
"""Which status may follow which; the diagram is in docs/architecture.md."""

from typing import Any

from gateway_node.executions.errors import IllegalTransition
from gateway_node.executions.values import Execution, ExecutionStatus

ALLOWED: dict[ExecutionStatus, frozenset[ExecutionStatus]] = {
    ExecutionStatus.PREPARED: frozenset(
        {ExecutionStatus.RUNNING, ExecutionStatus.FAILED, ExecutionStatus.TERMINATED}
    ),
    ExecutionStatus.RUNNING: frozenset(
        {ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.TERMINATED}
    ),
    ExecutionStatus.COMPLETED: frozenset(),
    ExecutionStatus.FAILED: frozenset(),
    ExecutionStatus.TERMINATED: frozenset(),
}


def advance(execution: Execution, status: ExecutionStatus, **changes: Any) -> Execution:
    """Return the execution in its next status, in which it is no schedule any more.

    IllegalTransition where that may not follow.
    """
    if status not in ALLOWED[execution.status]:
        raise IllegalTransition(execution.id, execution.status, status)
    return execution.evolve(status=status, as_schedule=None, **changes)
