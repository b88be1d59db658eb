# SPDX-License-Identifier: Apache-2.0
"""Executions as two JSON documents, and back; no field is lost either way.

What no list shows is in the second one: input and output parameters, which may be long, and what
else there is to know of one.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import datetime
import functools
import json
from typing import Any

from gateway_node.clock import BootTime
from gateway_node.entities.values import EntityRef
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

_Document = Mapping[str, Any]


def to_document(execution: Execution) -> str:
    """Return the JSON document of an execution: its summary as text.

    It is ASCII, so that lone surrogates survive too.
    """
    return to_text(summary_of(execution))


def to_text(values: _Document) -> str:
    """Return JSON values as text."""
    return json.dumps(values, separators=(',', ':'))


def changed_fields(before: _Document, after: _Document) -> dict[str, Any]:
    """Return the fields in which a summary differs from the one before; None for what is gone."""
    changes = {
        name: value for name, value in after.items() if name not in before or before[name] != value
    }
    return changes | dict.fromkeys(before.keys() - after.keys())


def evolved(summary: _Document, changes: _Document) -> dict[str, Any]:
    """Return the summary after changes that `changed_fields` told."""
    return {name: value for name, value in {**summary, **changes}.items() if value is not None}


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


def execution_from(text: str, parameters: str) -> Execution:
    """Return the execution that `to_document` and `to_parameters` were given."""
    given, result, *rest = json.loads(parameters)
    (more,) = rest or [{}]
    return execution_of(json.loads(text)).evolve(
        input_parameters=given,
        output_parameters=result,
        executor=Executor(**more['executor']) if 'executor' in more else None,
        changed_at=_moment(more.get('changed_at')),
    )


def executions_from(texts: Iterable[str]) -> tuple[Execution, ...]:
    """Return the executions that `to_document` was given, without their parameters."""
    # One call for the whole page: the names, the same in each, are then made into strings once.
    return tuple(map(execution_of, json.loads(f'[{",".join(texts)}]')))


def execution_of(document: _Document) -> Execution:
    """Return the execution of a summary: without its parameters, and the rest beside them."""
    return Execution(
        id=document['id'],
        entity=_entity(document['entity']),
        script_id=document['script_id'],
        script_version=document['script_version'],
        script_name=document.get('script_name'),
        script_kind=_script_kind(document.get('script_kind')),
        script_tags=tuple(document.get('script_tags', ())),
        execution_type=_execution_type(document['execution_type']),
        status=_status(document['status']),
        trigger=_trigger(document['trigger']),
        created_at=datetime.datetime.fromisoformat(document['created_at']),
        arguments=tuple(document['arguments']),
        mended=_mended(document.get('mended')),
        exit_verdicts=_exit_verdicts(document.get('exit_verdicts')),
        priority=document['priority'],
        parent=document.get('parent'),
        schedule=document.get('schedule'),
        as_schedule=_schedule(document) if document['scheduled'] else None,
        stop_trigger=_stop_trigger(document.get('stop_trigger')),
        started_at=_moment(document.get('started_at')),
        completed_at=_moment(document.get('completed_at')),
        duration_ms=document.get('duration_ms'),
        progress=_progress(document.get('progress')),
        exit_code=document.get('exit_code'),
        signal=document.get('signal'),
        leftover_processes=document.get('leftover_processes'),
        unkillable_processes=_unkillable(document.get('unkillable_processes')),
        resource_use=_resource_use(document.get('resource_use')),
        verdict=_verdict(document.get('verdict')),
        summary=document.get('summary'),
        metrics=document.get('metrics', {}),
        failure=_failure(document.get('failure')),
        warnings=tuple(document.get('warnings', ())),
    )


# What many executions share is made once: an enum's look-up by value alone takes a microsecond.
_entity = functools.lru_cache(maxsize=256)(EntityRef.from_path)
_execution_type = functools.cache(ExecutionType)
_status = functools.cache(ExecutionStatus)
_mending = functools.cache(Mending)
_kind = functools.cache(ScriptKind)
_known_verdict = functools.cache(Verdict)


def _script_kind(kind: str | None) -> ScriptKind | None:
    return None if kind is None else _kind(kind)


def _verdict(value: str | None) -> Verdict | None:
    return None if value is None else _known_verdict(value)


def _exit_verdicts(verdicts: Mapping[str, str] | None) -> dict[int, Verdict]:
    if verdicts is None:
        return {}
    return {int(code): _known_verdict(value) for code, value in verdicts.items()}


def _mended(mendings: Iterable[str] | None) -> tuple[Mending, ...]:
    return () if mendings is None else tuple(map(_mending, mendings))


def _unkillable(processes: Iterable[_Document] | None) -> tuple[UnkillableProcess, ...]:
    return () if processes is None else tuple(UnkillableProcess(**each) for each in processes)


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def _trigger_document(trigger: Trigger) -> _Document:
    return {
        'type': trigger.type.value,
        'setting': trigger.setting,
        'username': trigger.username,
    }


def _trigger(document: _Document) -> Trigger:
    return _shared_trigger(document['type'], document['setting'], document['username'])


@functools.lru_cache(maxsize=256)
def _shared_trigger(trigger_type: str, setting: str | None, username: str | None) -> Trigger:
    return Trigger(type=TriggerType(trigger_type), setting=setting, username=username)


def _stop_trigger(document: _Document | None) -> Trigger | None:
    return None if document is None else _trigger(document)


def _schedule(document: _Document) -> Schedule:
    return Schedule(
        last_start=_scheduled_start(document.get('last_scheduled_start')),
        skipped_starts=document['skipped_starts'],
    )


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
