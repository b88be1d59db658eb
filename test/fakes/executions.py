# SPDX-License-Identifier: Apache-2.0
"""Executions as a test needs them, and their way into a store."""

import dataclasses
import datetime
from typing import Any

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change, Event, EventKind
from gateway_node.executions.settings import LineSettings
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Executor,
    Trigger,
    TriggerType,
)

AN_APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')

WAITING = LineSettings(max_waiting=100, max_wait_sec=600)

EXECUTOR = Executor(name='/gateway_node', host='robot')


def new_execution(number: int, **fields: Any) -> Execution:
    """Return a prepared execution; ids grow with `number`, `fields` take the defaults' place.

    An id's first half is what `ids.number_of` makes its number of.
    """
    defaults: dict[str, Any] = {
        'id': f'exec_{number:013d}{number % 1000:013d}',
        'entity': AN_APP,
        'script_id': 'self_test',
        'script_version': 'f' * 64,
        'execution_type': ExecutionType.NOW,
        'status': ExecutionStatus.PREPARED,
        'trigger': Trigger(type=TriggerType.MANUAL),
        'created_at': datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
    }
    return Execution(**(defaults | fields))


def as_listed(execution: Execution) -> Execution:
    """Return an execution without what no list shows."""
    schedule = execution.as_schedule
    return execution.evolve(
        input_parameters={},
        output_parameters=None,
        executor=None,
        ancestors=(),
        group=execution.group and dataclasses.replace(execution.group, skipped=()),
        changed_at=None,
        callback=None,
        rights=None,
        expires_up_sec=None,
        exit_verdicts={},
        retries=None,
        due_up_sec=None,
        secrets=(),
        unkillable_processes=(),
        as_schedule=schedule and dataclasses.replace(schedule, last_start=None),
    )


async def add(store: ExecutionStore, execution: Execution) -> Event:
    """Put one new execution into a store."""
    (event,) = await store.record([Change.first(execution, GATEWAY)])
    return event


async def update(
    store: ExecutionStore,
    execution: Execution,
    cause: str | None = None,
    *,
    kept_bytes: int | None = None,
) -> Event:
    """Put the next status of one execution into a store."""
    change = dataclasses.replace(next_change(execution, cause), kept_bytes=kept_bytes)
    (event,) = await store.record([change])
    return event


def next_change(execution: Execution, cause: str | None = None) -> Change:
    """Return what records the next status of an execution."""
    kind = EventKind.EXECUTION_RUNNING if execution.is_open else EventKind.EXECUTION_ENDED
    return Change(execution=execution, kind=kind, actor=GATEWAY, cause=cause)


async def remove(store: ExecutionStore, *execution_ids: str) -> tuple[Event, ...]:
    """Remove executions from a store; return their tombstones."""
    return await store.remove(execution_ids, actor=GATEWAY, cause='retention')


async def whole_log(store: ExecutionStore) -> tuple[Event, ...]:
    """Return all events of a store."""
    return await store.log.events((await store.log.bounds()).begins, limit=1_000_000)
