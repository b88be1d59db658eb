# SPDX-License-Identifier: Apache-2.0
"""The one JSON form of an execution: as it is kept, told in the log, archived and answered.

Its summary is what lists show, and is kept as text. What differs from request to request is not in
it: `summary_texts.py` says where it goes. What no list shows is in a second document: input and
output parameters, which may be long, and what else there is to know of one. Moments are whole
milliseconds (`clock.py`). `document_reading.py` is the way back; no field is lost.
"""

from collections.abc import Mapping
import dataclasses
import datetime
import json
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.executions.failure_reasons import Failure
from gateway_node.executions.findings import Check
from gateway_node.executions.group import Group
from gateway_node.executions.rights import Rights
from gateway_node.executions.values import Execution, ResourceUse, Trigger, UnkillableProcess

Summary = Mapping[str, Any]
"""An execution in JSON values, or some members of one."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(',', ':')).encode


def to_document(execution: Execution) -> str:
    """Return an execution's summary as text."""
    return to_text(summary_of(execution))


def to_text(values: object) -> str:
    """Return JSON values as text that UTF-8 can say.

    Lone surrogates, which it cannot, are escapes; so is NUL, as each control character.
    """
    text = _encode(values)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(values, separators=(',', ':'))
    return text


def changed_fields(before: Summary, after: Summary) -> dict[str, Any]:
    """Return the members in which a summary differs from the one before; None for what is gone."""
    changes = {
        name: value for name, value in after.items() if name not in before or before[name] != value
    }
    return changes | dict.fromkeys(before.keys() - after.keys())


def evolved(summary: Summary, changes: Summary) -> dict[str, Any]:
    """Return the summary after changes that `changed_fields` told."""
    return present({**summary, **changes})


def present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is unknown or unset."""
    return {name: value for name, value in values.items() if value is not None}


def summary_of(execution: Execution) -> dict[str, Any]:
    """Return an execution as JSON values: what lists show of it, without what is unknown or unset.

    The first members are what `summary_texts.py` looks for; `schedule` is an id.
    """
    schedule, progress = execution.as_schedule, execution.progress
    last_start = schedule and schedule.last_start
    return present(
        {
            'id': execution.id,
            'status': execution.status.value,
            'entity': execution.entity.path,
            'script_id': execution.script_id,
            'script_version': execution.script_version,
            'instance': execution.instance,
            'instance_version': execution.instance_version,
            'schedule': execution.schedule,
            'script_name': execution.script_name,
            'kind': execution.script_kind and execution.script_kind.value,
            'tags': list(execution.script_tags) or None,
            'mended': [mending.value for mending in execution.mended] or None,
            'execution_type': execution.execution_type.value,
            'arguments': list(execution.arguments),
            'priority': execution.priority,
            'parent': execution.parent,
            'scheduled': True if schedule else None,
            'last_start_at': rfc3339(last_start.at) if last_start else None,
            'skipped_starts': schedule.skipped_starts if schedule else None,
            'trigger': _trigger(execution.trigger),
            'stop_trigger': execution.stop_trigger and _trigger(execution.stop_trigger),
            'created_at': rfc3339(execution.created_at),
            'started_at': _time(execution.started_at),
            'completed_at': _time(execution.completed_at),
            'duration_ms': execution.duration_ms,
            'progress': progress.percent if progress else None,
            'progress_message': progress.message if progress else None,
            'warm': execution.warm or None,
            'exit_code': execution.exit_code,
            'signal': execution.signal,
            'leftover_processes': execution.leftover_processes,
            'unkillable_processes': [*map(_unkillable, execution.unkillable_processes)] or None,
            'resource_use': execution.resource_use and _resource_use(execution.resource_use),
            'verdict': execution.verdict and execution.verdict.value,
            'summary': execution.summary,
            'metrics': dict(execution.metrics) or None,
            'error': execution.failure and _error(execution.failure),
            'terminating': execution.terminating or None,
            'warnings': list(execution.warnings) or None,
            'timeout_sec': execution.timeout_sec,
            'expires_in_sec': execution.expires_in_sec,
            'queue_position': execution.queue_position,
            'artifacts': execution.artifacts or None,
            'evidence': execution.evidence or None,
            'group': execution.group and _group(execution.group),
            'attempt': execution.attempt if execution.attempt > 1 else None,
        }
    )


def beside_summary(execution: Execution) -> dict[str, Any]:
    """Return what is shown of an execution alone: with what it was started, and what it gave."""
    shown: dict[str, Any] = {
        'input_parameters': dict(execution.input_parameters),
        'updated_at': rfc3339(execution.updated_at),
    }
    if execution.executor is not None:
        shown['executor'] = dataclasses.asdict(execution.executor)
    if execution.callback is not None:
        shown['callback'] = execution.callback
    if execution.output_parameters is not None:
        shown['parameters'] = dict(execution.output_parameters)
    if checks := execution.checks:
        shown['checks'] = [*map(_check, checks)]
    if execution.group is not None and execution.group.skipped:
        shown['skipped'] = skipped_of(execution.group)
    return shown


def skipped_of(group: Group) -> list[Summary]:
    """Return on which entities a group executes nothing, as JSON values."""
    return [dataclasses.asdict(each) for each in group.skipped]


def archived_execution(execution: Execution) -> dict[str, Any]:
    """Return an execution for the archive: all that is shown but its output, and what is true of
    this gateway as it is now."""
    return summary_of(execution) | beside_summary(execution)


def to_parameters(execution: Execution) -> str:
    """Return the JSON document of an execution's input and output parameters, and the rest.

    It is ASCII: so a search knows which texts may hold what it looks for.
    """
    parameters = [execution.input_parameters, execution.output_parameters]
    if rest := _rest(execution):
        parameters.append(rest)
    return json.dumps(parameters, separators=(',', ':'))


def _rest(execution: Execution) -> dict[str, Any]:
    """Return what nobody is shown, or not in lists."""
    executor, schedule = execution.executor, execution.as_schedule
    boot_time = schedule.last_start.boot_time if schedule and schedule.last_start else None
    return present(
        {
            'executor': dataclasses.asdict(executor) if executor else None,
            'changed_at': _time(execution.changed_at),
            'ancestors': execution.ancestors or None,
            'callback': execution.callback,
            'rights': execution.rights and rights_document(execution.rights),
            'expires_up_sec': execution.expires_up_sec,
            'skipped': (execution.group and skipped_of(execution.group)) or None,
            'exit_verdicts': {
                str(code): verdict.value for code, verdict in execution.exit_verdicts.items()
            }
            or None,
            'retries': execution.retries and dataclasses.asdict(execution.retries),
            'due_up_sec': execution.due_up_sec,
            'secrets': execution.secrets or None,
            'last_start': boot_time and [boot_time.boot_id, boot_time.seconds],
            'unkillable': [
                [process.start_ticks, process.permitted]
                for process in execution.unkillable_processes
            ]
            or None,
        }
    )


def rights_document(rights: Rights) -> Summary:
    """Return it as a record has it."""
    scope = {name: globs for name, globs in vars(rights.scope).items() if globs is not None}
    client = {} if rights.client_id is None else {'client_id': rights.client_id}
    return {'name': rights.name, 'role': rights.role.value, **scope, **client}


def _time(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _trigger(trigger: Trigger) -> Summary:
    told: dict[str, Any] = {'type': trigger.type.value}
    if trigger.setting is not None:
        told['setting'] = trigger.setting
    if trigger.username is not None:
        told['username'] = trigger.username
    if trigger.firing is not None:
        told['firing'] = trigger.firing
    return told


def _unkillable(process: UnkillableProcess) -> Summary:
    return {'pid': process.pid, 'user': process.user, 'command': process.command}


def _resource_use(use: ResourceUse) -> Summary:
    return {'max_memory_bytes': use.max_memory_bytes, 'cpu_sec': use.cpu_sec}


def _error(failure: Failure) -> Summary:
    return {
        'error_code': 'vendor-error',
        'vendor_code': failure.reason.value,
        'message': failure.message,
        'parameters': dict(failure.parameters),
    }


def _group(group: Group) -> Summary:
    return present(
        {
            'script': group.script,
            'entities': list(group.entities),
            'max_parallel': group.max_parallel,
        }
    )


def _check(check: Check) -> Summary:
    return present(dataclasses.asdict(check) | {'verdict': check.verdict.value})
