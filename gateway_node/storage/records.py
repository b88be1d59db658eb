"""Executions as two JSON documents, and back; no field is lost either way.

What may be long, and no list shows, is in the second one: input and output parameters.
"""

from collections.abc import Mapping
import datetime
import functools
import json
from typing import Any

from gateway_node.entities.clock import BootTime
from gateway_node.entities.values import EntityRef
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    Failure,
    FailureReason,
    Progress,
    ResourceUse,
    ScheduledStart,
    Trigger,
    TriggerType,
)

_Document = Mapping[str, Any]


def to_document(execution: Execution) -> str:
    """Return the JSON document of an execution, without its parameters and what is None.

    It is ASCII, so that lone surrogates survive too.
    """
    document = {
        'id': execution.id,
        'entity': execution.entity.path,
        'script_id': execution.script_id,
        'script_version': execution.script_version,
        'execution_type': execution.execution_type.value,
        'status': execution.status.value,
        'trigger': _trigger_document(execution.trigger),
        'created_at': execution.created_at.isoformat(),
        'arguments': execution.arguments,
        'priority': execution.priority,
        'parent': execution.parent,
        'schedule': execution.schedule,
        'scheduled': execution.scheduled,
        'last_scheduled_start': _scheduled_start_document(execution.last_scheduled_start),
        'skipped_starts': execution.skipped_starts,
        'stop_trigger': execution.stop_trigger and _trigger_document(execution.stop_trigger),
        'started_at': execution.started_at and execution.started_at.isoformat(),
        'completed_at': execution.completed_at and execution.completed_at.isoformat(),
        'duration_ms': execution.duration_ms,
        'progress': _progress_document(execution.progress),
        'exit_code': execution.exit_code,
        'signal': execution.signal,
        'leftover_processes': execution.leftover_processes,
        'resource_use': _resource_use_document(execution.resource_use),
        'failure': _failure_document(execution.failure),
    }
    known = {name: value for name, value in document.items() if value is not None}
    return json.dumps(known, separators=(',', ':'))


def to_parameters(execution: Execution) -> str:
    """Return the JSON document of an execution's input and output parameters."""
    parameters = [execution.input_parameters, execution.output_parameters]
    return json.dumps(parameters, separators=(',', ':'))


def from_documents(text: str, parameters: str) -> Execution:
    """Return the execution that `to_document` and `to_parameters` were given."""
    given, result = json.loads(parameters)
    return from_document(text).evolve(input_parameters=given, output_parameters=result)


def from_document(text: str) -> Execution:
    """Return the execution that `to_document` was given, without its parameters."""
    document: _Document = json.loads(text)
    return Execution(
        id=document['id'],
        entity=_entity(document['entity']),
        script_id=document['script_id'],
        script_version=document['script_version'],
        execution_type=ExecutionType(document['execution_type']),
        status=ExecutionStatus(document['status']),
        trigger=_trigger(document['trigger']),
        created_at=datetime.datetime.fromisoformat(document['created_at']),
        arguments=tuple(document['arguments']),
        priority=document['priority'],
        parent=document.get('parent'),
        schedule=document.get('schedule'),
        scheduled=document['scheduled'],
        last_scheduled_start=_scheduled_start(document.get('last_scheduled_start')),
        skipped_starts=document['skipped_starts'],
        stop_trigger=_stop_trigger(document.get('stop_trigger')),
        started_at=_moment(document.get('started_at')),
        completed_at=_moment(document.get('completed_at')),
        duration_ms=document.get('duration_ms'),
        progress=_progress(document.get('progress')),
        exit_code=document.get('exit_code'),
        signal=document.get('signal'),
        leftover_processes=document.get('leftover_processes'),
        resource_use=_resource_use(document.get('resource_use')),
        failure=_failure(document.get('failure')),
    )


# Many executions share few entities.
_entity = functools.lru_cache(maxsize=256)(EntityRef.from_path)


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def _trigger_document(trigger: Trigger) -> _Document:
    return {
        'type': trigger.type.value,
        'setting': trigger.setting,
        'username': trigger.username,
    }


def _trigger(document: _Document) -> Trigger:
    return Trigger(
        type=TriggerType(document['type']),
        setting=document['setting'],
        username=document['username'],
    )


def _stop_trigger(document: _Document | None) -> Trigger | None:
    return None if document is None else _trigger(document)


def _scheduled_start_document(run: ScheduledStart | None) -> _Document | None:
    if run is None:
        return None
    return {
        'at': run.at.isoformat(),
        'boot_id': run.boot_time.boot_id,
        'boot_sec': run.boot_time.seconds,
    }


def _scheduled_start(document: _Document | None) -> ScheduledStart | None:
    if document is None:
        return None
    return ScheduledStart(
        at=datetime.datetime.fromisoformat(document['at']),
        boot_time=BootTime(boot_id=document['boot_id'], seconds=document['boot_sec']),
    )


def _progress_document(progress: Progress | None) -> _Document | None:
    if progress is None:
        return None
    return {'percent': progress.percent, 'message': progress.message}


def _progress(document: _Document | None) -> Progress | None:
    if document is None:
        return None
    return Progress(percent=document['percent'], message=document['message'])


def _resource_use_document(use: ResourceUse | None) -> _Document | None:
    if use is None:
        return None
    return {'max_memory_bytes': use.max_memory_bytes, 'cpu_sec': use.cpu_sec}


def _resource_use(document: _Document | None) -> ResourceUse | None:
    if document is None:
        return None
    return ResourceUse(max_memory_bytes=document['max_memory_bytes'], cpu_sec=document['cpu_sec'])


def _failure_document(failure: Failure | None) -> _Document | None:
    if failure is None:
        return None
    return {
        'reason': failure.reason.value,
        'message': failure.message,
        'parameters': failure.parameters,
    }


def _failure(document: _Document | None) -> Failure | None:
    if document is None:
        return None
    return Failure(
        reason=FailureReason(document['reason']),
        message=document['message'],
        parameters=document['parameters'],
    )
