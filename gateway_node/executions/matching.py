# SPDX-License-Identifier: Apache-2.0
"""What a filter means, one execution at a time; what a store finds by queries is the same."""

from collections.abc import Iterable, Iterator
import datetime
import json
from typing import Any

from gateway_node.executions.filters import (
    ExecutionFilter,
    InstanceVersion,
    Moments,
    ScriptVersion,
    TriggerFilter,
)
from gateway_node.executions.globs import paths_like
from gateway_node.executions.instance_refs import InstanceRef
from gateway_node.executions.values import Execution, Trigger


def matches(wanted: ExecutionFilter, execution: Execution) -> bool:
    """Tell whether an execution is among those that are asked for."""
    return all(
        (
            *_of_what(wanted, execution),
            *_of_its_way(wanted, execution),
            *_of_its_end(wanted, execution),
            *_of_its_parameters(wanted, execution),
        )
    )


def _of_what(wanted: ExecutionFilter, execution: Execution) -> Iterator[bool]:
    yield wanted.scope.has_execution(execution)
    yield wanted.entity in (None, execution.entity)
    yield wanted.script_id in (None, execution.script_id)
    yield wanted.entities is None or bool(paths_like(wanted.entities, [execution.entity.path]))
    yield _is_in(execution.entity, wanted.located)
    yield _are_in((execution.script_id, execution.script_name), wanted.scripts)
    yield _is_in(execution.script_kind, wanted.kinds)
    yield _are_in(execution.script_tags, wanted.tags)
    version = ScriptVersion(
        entity=execution.entity,
        script_id=execution.script_id,
        version=execution.script_version,
    )
    yield _is_in(version, wanted.present_versions)
    if execution.instance is None:
        yield wanted.instances is None
    else:
        yield from _of_instance(wanted, execution, execution.instance)


def _of_instance(wanted: ExecutionFilter, execution: Execution, name: str) -> Iterator[bool]:
    yield wanted.instances is None or any(
        each.name == name and each.script in (execution.script_id, execution.script_name)
        for each in wanted.instances
    )
    ref = InstanceRef(entity=execution.entity, script_id=execution.script_id, name=name)
    version = InstanceVersion(ref=ref, version=execution.instance_version or '')
    yield _is_in(version, wanted.present_instances)


def _of_its_way(wanted: ExecutionFilter, execution: Execution) -> Iterator[bool]:
    yield _is_in(execution.execution_type, wanted.execution_types)
    yield _is_by(execution.trigger, wanted.triggers)
    yield _is_in(execution.trigger.username, wanted.usernames)
    stop = execution.stop_trigger
    yield _are_in((execution.trigger.firing, stop and stop.firing), wanted.firings)
    yield _is_in(execution.parent, wanted.parents)
    yield _are_in((execution.id, execution.parent, execution.schedule), wanted.schedules)
    yield _is_in(execution.priority, wanted.priorities)
    yield wanted.scheduled in (None, execution.is_schedule)
    yield _is_within(execution.created_at, wanted.created)
    yield _is_within(execution.started_at, wanted.started)


def _of_its_end(wanted: ExecutionFilter, execution: Execution) -> Iterator[bool]:
    yield _is_in(execution.status, wanted.statuses)
    yield _is_in(execution.exit_code, wanted.exit_codes)
    yield _is_in(execution.signal, wanted.signals)
    failure = execution.failure
    yield _is_in(failure and failure.reason.value, wanted.vendor_codes)
    yield _is_in(execution.verdict, wanted.verdicts)
    yield wanted.metric is None or wanted.metric in execution.metrics
    yield _is_by(execution.stop_trigger, wanted.stop_triggers)
    yield wanted.terminating in (None, execution.terminating)
    yield _is_within(execution.completed_at, wanted.completed)
    took = execution.duration_ms
    yield wanted.min_duration_ms is None or (took is not None and took >= wanted.min_duration_ms)
    yield wanted.max_duration_ms is None or (took is not None and took <= wanted.max_duration_ms)


def _of_its_parameters(wanted: ExecutionFilter, execution: Execution) -> Iterator[bool]:
    if wanted.result_contains is not None:
        result = execution.output_parameters
        yield result is not None and _contains(result, wanted.result_contains)
    for name, texts in wanted.parameters.items():
        given = execution.input_parameters
        yield name in given and any(_is_said(given[name], text) for text in texts)


def _is_in(value: Any, values: frozenset[Any] | None) -> bool:
    return values is None or value in values


def _are_in(found: Iterable[Any], values: frozenset[Any] | None) -> bool:
    return values is None or not values.isdisjoint(found)


def _is_by(trigger: Trigger | None, wanted: frozenset[TriggerFilter] | None) -> bool:
    return wanted is None or (
        trigger is not None
        and any(
            each.type is trigger.type and each.setting in (None, trigger.setting)
            for each in wanted
        )
    )


def _is_within(moment: datetime.datetime | None, wanted: Moments) -> bool:
    if wanted == Moments():
        return True
    return moment is not None and not (
        (wanted.after is not None and moment < wanted.after)
        or (wanted.before is not None and moment >= wanted.before)
    )


def _contains(result: Any, text: str) -> bool:
    written = json.dumps(result, ensure_ascii=False, separators=(',', ':')).casefold()
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return text.casefold() in written or quoted.casefold() in written


def _is_said(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    try:
        said = json.loads(text)
    except ValueError:
        return False
    return not isinstance(said, str) and _canonical(value) == _canonical(said)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
