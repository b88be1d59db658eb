# SPDX-License-Identifier: Apache-2.0
"""Executions as a test needs them, and their way into a store."""

import datetime
from typing import Any

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.ports import (
    Change,
    ExecutionStore,
)
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Transition,
    Trigger,
    TriggerType,
)

AN_APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')


def new_execution(number: int, **fields: Any) -> Execution:
    """Return a prepared execution; ids grow with `number`, `fields` take the defaults' place."""
    defaults: dict[str, Any] = {
        'id': f'exec_{number:026d}',
        'entity': AN_APP,
        'script_id': 'self_test',
        'script_version': 'f' * 64,
        'execution_type': ExecutionType.NOW,
        'status': ExecutionStatus.PREPARED,
        'trigger': Trigger(type=TriggerType.MANUAL),
        'created_at': datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
    }
    return Execution(**(defaults | fields))


async def add(store: ExecutionStore, execution: Execution) -> Transition:
    """Put one new execution into a store."""
    (transition,) = await store.record(
        [Change(execution=execution, actor=GATEWAY, cause='accepted', new=True)]
    )
    return transition


async def update(
    store: ExecutionStore, execution: Execution, cause: str | None
) -> Transition | None:
    """Put the new state of one execution into a store."""
    transitions = await store.record([Change(execution=execution, actor=GATEWAY, cause=cause)])
    return transitions[0] if transitions else None
