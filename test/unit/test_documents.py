# SPDX-License-Identifier: Apache-2.0
"""Executions as documents."""

import dataclasses
import datetime
import json
from typing import Any

from fakes import as_listed, new_execution
from hypothesis import given
from hypothesis import strategies as st

from gateway_node.clock import BootTime
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.documents import (
    changed_fields,
    evolved,
    execution_from,
    execution_of,
    summary_of,
    to_document,
    to_parameters,
    to_text,
)
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Executor,
    Failure,
    FailureReason,
    Progress,
    ResourceUse,
    Schedule,
    ScheduledStart,
    Trigger,
    TriggerType,
    UnkillableProcess,
)
from gateway_node.scripts.values import Mending, ScriptKind, Verdict

TEXTS = st.text(max_size=8)
ANY_TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)
"""Lone surrogates and NUL included."""
NUMBERS = st.integers(0, 2**70)
SECONDS = st.floats(allow_nan=False, allow_infinity=False)
BOOT_TIMES = st.builds(BootTime, boot_id=TEXTS, seconds=SECONDS)
MOMENTS = st.datetimes(timezones=st.just(datetime.UTC))
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
)

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
    | st.builds(Progress, percent=st.none() | st.integers(0, 100), message=st.none() | ANY_TEXTS),
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
    'executor': st.none() | st.builds(Executor, name=TEXTS, host=TEXTS),
    'changed_at': st.none() | MOMENTS,
}
EXECUTIONS = st.builds(Execution, **FIELDS)


@given(EXECUTIONS)
def test_no_field_is_lost_either_way(execution: Execution) -> None:
    """Any execution comes back from its document exactly as it was."""
    assert execution_from(to_document(execution), to_parameters(execution)) == execution


def test_what_was_a_schedule_once_is_none_any_more() -> None:
    """Documents of earlier versions have the starts of a schedule that has ended, too."""
    document = json.loads(to_document(new_execution(1)))
    document |= {'scheduled': False, 'skipped_starts': 3}
    assert execution_from(json.dumps(document), '[{},null]') == new_execution(1)


@given(EXECUTIONS, EXECUTIONS)
def test_changed_fields_make_the_next_summary(before: Execution, after: Execution) -> None:
    """Whatever changed, a reader that has the summary before and the changes, as JSON, has the
    summary after; what did not change is not among them."""
    changes = json.loads(to_text(changed_fields(summary_of(before), summary_of(after))))
    assert evolved(summary_of(before), changes) == summary_of(after)
    assert execution_of(evolved(summary_of(before), changes)) == as_listed(after)
    assert changed_fields(summary_of(after), summary_of(after)) == {}


@given(EXECUTIONS)
def test_a_document_is_plain_ascii(execution: Execution) -> None:
    """SQLite's text holds neither lone surrogates nor, safely, NUL: the document has none."""
    for document in (to_document(execution), to_parameters(execution)):
        assert document.isascii()
        assert document.isprintable()


@given(EXECUTIONS)
def test_every_field_that_is_known_is_in_the_document(execution: Execution) -> None:
    """A field that is added to Execution must be added to its document; None is left out, and
    where lists are nearly always empty, these as well. The fields of a schedule stand beside.
    """
    known = {
        field.name
        for field in dataclasses.fields(Execution)
        if getattr(execution, field.name) is not None
    } - {'input_parameters', 'output_parameters', 'executor', 'changed_at', 'as_schedule'}
    schedule = execution.as_schedule
    known |= {'scheduled', 'skipped_starts'}
    known |= {'last_scheduled_start'} if schedule and schedule.last_start else set()
    known -= {
        name
        for name in (
            *('script_tags', 'mended', 'exit_verdicts', 'unkillable_processes', 'metrics'),
            'warnings',
        )
        if not getattr(execution, name)
    }
    assert json.loads(to_document(execution)).keys() == known


def test_the_properties_know_every_field() -> None:
    """A field that is added to Execution must be added to the strategy of these tests."""
    fields = {field.name for field in dataclasses.fields(Execution)}
    assert fields == FIELDS.keys()
