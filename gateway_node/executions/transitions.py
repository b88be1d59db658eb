# SPDX-License-Identifier: Apache-2.0
"""Which status may follow which; the diagram is in docs/architecture.md."""

from typing import Any

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import IllegalTransition
from gateway_node.executions.events import Change, EventKind
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


def transition(
    execution: Execution,
    status: ExecutionStatus,
    cause: str | None = None,
    *,
    kept_bytes: int | None = None,
    **changes: Any,
) -> Change:
    """Return what is to be recorded where the gateway brings an execution into its next status.

    `kept_bytes` of the disk are taken by what is kept of one that has ended. IllegalTransition as
    `advance`.
    """
    advanced = advance(execution, status, **changes)
    kind = EventKind.EXECUTION_RUNNING if advanced.is_open else EventKind.EXECUTION_ENDED
    return Change(execution=advanced, kind=kind, actor=GATEWAY, cause=cause, kept_bytes=kept_bytes)
