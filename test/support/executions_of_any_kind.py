# SPDX-License-Identifier: Apache-2.0
"""Executions of any kind, as hypothesis makes them: with every field, in any combination."""

import datetime
from typing import Any

from hypothesis import strategies as st

from gateway_node.clock import BootTime
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import Role
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.group import Group, Skipped
from gateway_node.executions.rights import Rights
from gateway_node.executions.schedule import Schedule, ScheduledStart
from gateway_node.executions.scopes import Scope
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Executor,
    Progress,
    ResourceUse,
    Trigger,
    TriggerType,
    UnkillableProcess,
)
from gateway_node.scripts.values import Mending, Retries, ScriptKind, Verdict

TEXTS = st.text(max_size=8)
ANY_TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)
"""Lone surrogates and NUL included."""
NUMBERS = st.integers(0, 2**70)
SECONDS = st.floats(allow_nan=False, allow_infinity=False)
BOOT_TIMES = st.builds(BootTime, boot_id=TEXTS, seconds=SECONDS)
MOMENTS = st.datetimes(timezones=st.just(datetime.UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
"""Whole milliseconds, as clocks give them."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | SECONDS | ANY_TEXTS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(ANY_TEXTS, values, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(ANY_TEXTS, VALUES, max_size=3)
TRIGGERS = st.builds(
    Trigger,
    type=st.sampled_from(TriggerType),
    setting=st.none() | TEXTS,
    username=st.none() | ANY_TEXTS,
    firing=st.none() | NUMBERS,
)

GLOBS = st.none() | st.lists(TEXTS, max_size=2).map(tuple)
SCOPES = st.builds(Scope, entities=GLOBS, scripts=GLOBS, tags=GLOBS)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    'id': TEXTS,
    'entity': st.builds(
        EntityRef,
        entity_type=st.sampled_from(EntityType),
        entity_id=st.from_regex(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}', fullmatch=True),
    ),
    'script_id': TEXTS,
    'script_version': TEXTS,
    'script_name': st.none() | TEXTS,
    'script_kind': st.none() | st.sampled_from(ScriptKind),
    'script_tags': st.lists(TEXTS, max_size=3).map(tuple),
    'instance': st.none() | TEXTS,
    'instance_version': st.none() | TEXTS,
    'execution_type': st.sampled_from(ExecutionType),
    'status': st.sampled_from(ExecutionStatus),
    'trigger': TRIGGERS,
    'created_at': MOMENTS,
    'input_parameters': OBJECTS,
    'arguments': st.lists(ANY_TEXTS, max_size=3).map(tuple),
    'mended': st.lists(st.sampled_from(Mending), max_size=2).map(tuple),
    'exit_verdicts': st.dictionaries(st.integers(0, 255), st.sampled_from(Verdict), max_size=3),
    'priority': st.integers(),
    'parent': st.none() | TEXTS,
    'ancestors': st.lists(TEXTS, max_size=3).map(tuple),
    'schedule': st.none() | TEXTS,
    'as_schedule': st.none()
    | st.builds(
        Schedule,
        last_start=st.none() | st.builds(ScheduledStart, at=MOMENTS, boot_time=BOOT_TIMES),
        skipped_starts=NUMBERS,
    ),
    'stop_trigger': st.none() | TRIGGERS,
    'started_at': st.none() | MOMENTS,
    'completed_at': st.none() | MOMENTS,
    'duration_ms': st.none() | NUMBERS,
    'progress': st.none()
    | st.builds(Progress, percent=st.integers(0, 100), message=st.none() | ANY_TEXTS)
    | st.builds(Progress, percent=st.none(), message=ANY_TEXTS),
    'warm': st.booleans(),
    'exit_code': st.none() | st.integers(0, 255),
    'signal': st.none() | st.integers(1, 64),
    'leftover_processes': st.none() | NUMBERS,
    'resource_use': st.none() | st.builds(ResourceUse, max_memory_bytes=NUMBERS, cpu_sec=SECONDS),
    'output_parameters': st.none() | OBJECTS,
    'verdict': st.none() | st.sampled_from(Verdict),
    'summary': st.none() | ANY_TEXTS,
    'metrics': st.dictionaries(ANY_TEXTS, SECONDS | st.integers(), max_size=3),
    'failure': st.none()
    | st.builds(
        Failure,
        reason=st.sampled_from(FailureReason),
        message=ANY_TEXTS,
        parameters=OBJECTS,
    ),
    'artifacts': NUMBERS,
    'evidence': st.booleans(),
    'attempt': st.integers(1, 11),
    'retries': st.none() | st.builds(Retries, limit=st.integers(1, 10), delay_sec=SECONDS),
    'due_up_sec': st.none() | SECONDS,
    'rights': st.none()
    | st.builds(
        Rights,
        name=TEXTS,
        role=st.sampled_from(Role),
        scope=SCOPES,
        client_id=st.none() | TEXTS,
    ),
    'unkillable_processes': st.lists(
        st.builds(
            UnkillableProcess,
            pid=st.integers(),
            start_ticks=st.integers(),
            user=ANY_TEXTS,
            command=ANY_TEXTS,
            permitted=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    'warnings': st.lists(ANY_TEXTS, max_size=3).map(tuple),
    'secrets': st.lists(ANY_TEXTS, max_size=3).map(tuple),
    'executor': st.none() | st.builds(Executor, name=TEXTS, host=TEXTS),
    'changed_at': st.none() | MOMENTS,
    'callback': st.none() | TEXTS,
    'group': st.none()
    | st.builds(
        Group,
        script=ANY_TEXTS,
        entities=st.lists(TEXTS, max_size=3).map(tuple),
        max_parallel=st.none() | NUMBERS,
        skipped=st.lists(st.builds(Skipped, entity=TEXTS, reason=ANY_TEXTS), max_size=2).map(
            tuple
        ),
    ),
    'timeout_sec': st.none() | SECONDS,
    'expires_in_sec': st.none() | SECONDS,
    'expires_up_sec': st.none() | SECONDS,
    'queue_position': st.none() | st.integers(1, 1000),
}
ANY_EXECUTIONS = st.builds(Execution, **FIELDS)

IDS = st.from_regex(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}', fullmatch=True)
VERSIONS = st.from_regex(r'[0-9a-f]{8}', fullmatch=True)
EXECUTIONS = st.builds(
    Execution,
    **FIELDS
    | {
        'id': IDS.map('exec_{}'.format),
        'script_id': IDS,
        'script_version': VERSIONS,
        'instance': st.none() | IDS,
        'instance_version': VERSIONS,
        'schedule': st.none() | IDS.map('exec_{}'.format),
    },
).map(lambda each: each if each.instance else each.evolve(instance_version=None))
"""With ids, names and versions as the gateway gives them, and takes them."""
