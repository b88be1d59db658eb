# SPDX-License-Identifier: Apache-2.0
"""What ran once runs again."""

from gateway_node.executions.errors import ExecutionNotRepeatable
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType


def repetition_of(execution: Execution) -> StartRequest:
    """Return the wish that repeats an execution: its script as it is by then, given the same.

    ExecutionNotRepeatable where it is open, and where nothing was executed under its id.
    """
    if execution.is_schedule or execution.ended_as_schedule:
        raise ExecutionNotRepeatable(execution.id, 'is a schedule')
    if execution.group is not None:
        raise ExecutionNotRepeatable(execution.id, 'is of several executions: start those again')
    if execution.is_open:
        raise ExecutionNotRepeatable(execution.id, f'is {execution.status.value}')
    return StartRequest(
        execution_type=ExecutionType.NOW,
        parameters=execution.input_parameters,
        secrets=execution.secrets,
        arguments=execution.arguments,
        again=execution.id,
    )
