# SPDX-License-Identifier: Apache-2.0
"""Executions as the version before documents were what is answered wrote them, and answered them.

Schema version 4. The oracle of what a newer gateway makes of such records; it never changes.
"""

from collections.abc import Callable, Mapping
import dataclasses
import datetime
import json
from operator import attrgetter
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.executions.documents import present
from gateway_node.executions.failure_reasons import Failure
from gateway_node.executions.findings import Check
from gateway_node.executions.schedule import ScheduledStart
from gateway_node.executions.values import Execution, Progress, ResourceUse, Trigger
from gateway_node.http_server.representations import Json

_Document = Mapping[str, Any]
_Column = Callable[[Execution], object]


def to_document(execution: Execution) -> str:
    """Return the JSON document of an execution: its summary as text."""
    return json.dumps(summary_of(execution), separators=(',', ':'))


def summary_of(execution: Execution) -> dict[str, Any]:
    """Return an execution as JSON values, without its parameters and what is None.

    Nor are empty lists in it that are empty nearly always: they cost each reader of a page.
    """
    schedule = execution.as_schedule
    document = {
        'id': execution.id,
        'entity': execution.entity.path,
        'script_id': execution.script_id,
        'script_version': execution.script_version,
        'script_name': execution.script_name,
        'script_kind': execution.script_kind and execution.script_kind.value,
        'script_tags': list(execution.script_tags) or None,
        'execution_type': execution.execution_type.value,
        'status': execution.status.value,
        'trigger': _trigger_document(execution.trigger),
        'created_at': execution.created_at.isoformat(),
        'arguments': list(execution.arguments),
        'mended': [mending.value for mending in execution.mended] or None,
        'exit_verdicts': {
            str(code): verdict.value for code, verdict in execution.exit_verdicts.items()
        }
        or None,
        'priority': execution.priority,
        'parent': execution.parent,
        'schedule': execution.schedule,
        'scheduled': schedule is not None,
        'last_scheduled_start': schedule and _scheduled_start_document(schedule.last_start),
        'skipped_starts': schedule.skipped_starts if schedule else 0,
        'stop_trigger': execution.stop_trigger and _trigger_document(execution.stop_trigger),
        'started_at': execution.started_at and execution.started_at.isoformat(),
        'completed_at': execution.completed_at and execution.completed_at.isoformat(),
        'duration_ms': execution.duration_ms,
        'progress': _progress_document(execution.progress),
        'exit_code': execution.exit_code,
        'signal': execution.signal,
        'leftover_processes': execution.leftover_processes,
        'unkillable_processes': [
            dataclasses.asdict(process) for process in execution.unkillable_processes
        ]
        or None,
        'resource_use': _resource_use_document(execution.resource_use),
        'verdict': execution.verdict and execution.verdict.value,
        'summary': execution.summary,
        'metrics': dict(execution.metrics) or None,
        'failure': _failure_document(execution.failure),
        'warnings': list(execution.warnings) or None,
    }
    return {name: value for name, value in document.items() if value is not None}


def to_parameters(execution: Execution) -> str:
    """Return the JSON document of an execution's input and output parameters, and the rest."""
    parameters = [execution.input_parameters, execution.output_parameters]
    if rest := _rest_document(execution):
        parameters.append(rest)
    return json.dumps(parameters, separators=(',', ':'))


def _rest_document(execution: Execution) -> dict[str, Any]:
    executor, changed_at = execution.executor, execution.changed_at
    return {
        **({'executor': dataclasses.asdict(executor)} if executor else {}),
        **({'changed_at': changed_at.isoformat()} if changed_at else {}),
    }


def _trigger_document(trigger: Trigger) -> _Document:
    return {
        'type': trigger.type.value,
        'setting': trigger.setting,
        'username': trigger.username,
    }


def _scheduled_start_document(run: ScheduledStart | None) -> _Document | None:
    if run is None:
        return None
    return {
        'at': run.at.isoformat(),
        'boot_id': run.boot_time.boot_id,
        'boot_sec': run.boot_time.seconds,
    }


def _progress_document(progress: Progress | None) -> _Document | None:
    if progress is None:
        return None
    return {'percent': progress.percent, 'message': progress.message}


def _resource_use_document(use: ResourceUse | None) -> _Document | None:
    if use is None:
        return None
    return {'max_memory_bytes': use.max_memory_bytes, 'cpu_sec': use.cpu_sec}


def _failure_document(failure: Failure | None) -> _Document | None:
    if failure is None:
        return None
    return {
        'reason': failure.reason.value,
        'message': failure.message,
        'parameters': failure.parameters,
    }


def answered(execution: Execution, base: str, present_version: str | None) -> Json:
    """Return an execution as a list had it."""
    href = f'{base}/{execution.entity.path}/scripts/{execution.script_id}/executions'
    other = execution.schedule
    known: dict[str, _Column] = {
        'href': lambda execution: f'{href}/{execution.id}',
        'is_outdated': lambda execution: execution.script_version != present_version,
        'schedule': lambda execution: other and f'{href}/{other}',
    }
    return present({name: (column or known[name])(execution) for name, column in _COLUMNS.items()})


def archived(execution: Execution) -> Json:
    """Return an execution as the archive had it."""
    own = {name: column(execution) for name, column in _COLUMNS.items() if column is not None}
    return present(own | {'schedule': execution.schedule}) | beside(execution)


def beside(execution: Execution) -> Json:
    """Return what the detail had beside what lists had, its output apart."""
    known: Json = {
        'input_parameters': dict(execution.input_parameters),
        'updated_at': rfc3339(execution.updated_at),
    }
    if execution.executor is not None:
        known['executor'] = dataclasses.asdict(execution.executor)
    if execution.output_parameters is not None:
        known['parameters'] = dict(execution.output_parameters)
    if checks := execution.checks:
        known['checks'] = [_check(check) for check in checks]
    return known


def _check(check: Check) -> Json:
    return present(dataclasses.asdict(check) | {'verdict': check.verdict.value})


def _time(name: str) -> _Column:
    moment_of: Callable[[Execution], datetime.datetime | None] = attrgetter(name)

    def time(execution: Execution) -> str | None:
        moment = moment_of(execution)
        return None if moment is None else rfc3339(moment)

    return time


def _last_start(execution: Execution) -> str | None:
    schedule = execution.as_schedule
    return None if schedule is None or not schedule.last_start else rfc3339(schedule.last_start.at)


def _told_trigger(trigger: Trigger | None) -> Json | None:
    if trigger is None:
        return None
    told: Json = {'type': trigger.type.value}
    if trigger.setting is not None:
        told['setting'] = trigger.setting
    if trigger.username is not None:
        told['username'] = trigger.username
    return told


def _unkillable(execution: Execution) -> list[Json] | None:
    return [
        {'pid': process.pid, 'user': process.user, 'command': process.command}
        for process in execution.unkillable_processes
    ] or None


def _told_use(execution: Execution) -> Json | None:
    use = execution.resource_use
    if use is None:
        return None
    return {'max_memory_bytes': use.max_memory_bytes, 'cpu_sec': use.cpu_sec}


def _error(execution: Execution) -> Json | None:
    failure = execution.failure
    if failure is None:
        return None
    return {
        'error_code': 'vendor-error',
        'vendor_code': failure.reason.value,
        'message': failure.message,
        'parameters': dict(failure.parameters),
    }


_COLUMNS: dict[str, _Column | None] = {
    'id': attrgetter('id'),
    'status': lambda execution: execution.status.value,
    'href': None,
    'entity': lambda execution: execution.entity.path,
    'script_id': attrgetter('script_id'),
    'script_version': attrgetter('script_version'),
    'script_name': attrgetter('script_name'),
    'kind': lambda execution: execution.script_kind and execution.script_kind.value,
    'tags': lambda execution: list(execution.script_tags) or None,
    'mended': lambda execution: [mending.value for mending in execution.mended] or None,
    'is_outdated': None,
    'execution_type': lambda execution: execution.execution_type.value,
    'arguments': lambda execution: list(execution.arguments),
    'priority': attrgetter('priority'),
    'parent': attrgetter('parent'),
    'schedule': None,
    'scheduled': lambda execution: execution.is_schedule or None,
    'last_start_at': _last_start,
    'skipped_starts': lambda execution: (
        execution.as_schedule and execution.as_schedule.skipped_starts
    ),
    'trigger': lambda execution: _told_trigger(execution.trigger),
    'stop_trigger': lambda execution: _told_trigger(execution.stop_trigger),
    'created_at': _time('created_at'),
    'started_at': _time('started_at'),
    'completed_at': _time('completed_at'),
    'duration_ms': attrgetter('duration_ms'),
    'progress': lambda execution: execution.progress and execution.progress.percent,
    'progress_message': lambda execution: execution.progress and execution.progress.message,
    'exit_code': attrgetter('exit_code'),
    'signal': attrgetter('signal'),
    'leftover_processes': attrgetter('leftover_processes'),
    'unkillable_processes': _unkillable,
    'resource_use': _told_use,
    'verdict': lambda execution: execution.verdict and execution.verdict.value,
    'summary': attrgetter('summary'),
    'metrics': lambda execution: dict(execution.metrics) or None,
    'error': _error,
    'terminating': lambda execution: execution.terminating or None,
    'warnings': lambda execution: list(execution.warnings) or None,
}
