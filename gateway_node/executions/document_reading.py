# SPDX-License-Identifier: Apache-2.0
"""Executions made of what `documents.py` wrote, and of what versions before it did."""

from collections.abc import Iterable, Mapping
import datetime
import functools
import json
from typing import Any

from gateway_node.clock import BootTime
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Role
from gateway_node.executions.documents import Summary, to_document
from gateway_node.executions.earlier_documents import is_earlier, renewed
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.group import Group, Skipped
from gateway_node.executions.rights import Rights
from gateway_node.executions.schedule import Schedule, ScheduledStart
from gateway_node.executions.scopes import Scope
from gateway_node.executions.summary_texts import is_present_text
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

_NOTHING: Summary = {}


def execution_from(text: str, parameters: str) -> Execution:
    """Return the execution that `to_document` and `to_parameters` were given."""
    given, result, *more = json.loads(parameters)
    summary, rest = _read(json.loads(text))
    execution = execution_of(summary, rest | more[0] if more else rest)
    return execution.evolve(input_parameters=given, output_parameters=result)


def executions_from(texts: Iterable[str]) -> tuple[Execution, ...]:
    """Return the executions that `to_document` was given, with what the summary tells of each."""
    # One call for the whole page: the names, the same in each, are then made into strings once.
    documents = json.loads(f'[{",".join(texts)}]')
    return tuple(execution_of(_read(each)[0]) for each in documents)


def summary_from(text: str) -> Summary:
    """Return the summary that `to_document` made a text of."""
    return _read(json.loads(text))[0]


def present_texts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return what `to_document` gives today for the executions of these texts."""
    return tuple(text if is_present_text(text) else _present_text(text) for text in texts)


def _present_text(text: str) -> str:
    return to_document(execution_of(*renewed(json.loads(text))))


def _read(document: Summary) -> tuple[Summary, dict[str, Any]]:
    return renewed(document) if is_earlier(document) else (document, {})


def execution_of(summary: Summary, rest: Summary = _NOTHING) -> Execution:
    """Return the execution of a summary, and of the rest where it is there: without that, what
    nobody is shown is unknown."""
    return Execution(
        id=summary['id'],
        entity=_entity(summary['entity']),
        script_id=summary['script_id'],
        script_version=summary['script_version'],
        script_name=summary.get('script_name'),
        script_kind=_script_kind(summary.get('kind')),
        script_tags=tuple(summary.get('tags', ())),
        instance=summary.get('instance'),
        instance_version=summary.get('instance_version'),
        execution_type=_execution_type(summary['execution_type']),
        status=_status(summary['status']),
        trigger=_trigger(summary['trigger']),
        created_at=datetime.datetime.fromisoformat(summary['created_at']),
        arguments=tuple(summary['arguments']),
        mended=tuple(map(_mending, summary.get('mended', ()))),
        exit_verdicts=_exit_verdicts(rest.get('exit_verdicts')),
        priority=summary['priority'],
        parent=summary.get('parent'),
        ancestors=tuple(rest.get('ancestors', ())),
        schedule=summary.get('schedule'),
        callback=rest.get('callback'),
        rights=rights_from(rest.get('rights')),
        as_schedule=_schedule(summary, rest) if summary.get('scheduled') else None,
        stop_trigger=_trigger(summary['stop_trigger']) if 'stop_trigger' in summary else None,
        started_at=_moment(summary.get('started_at')),
        completed_at=_moment(summary.get('completed_at')),
        duration_ms=summary.get('duration_ms'),
        progress=_progress(summary),
        warm=summary.get('warm', False),
        exit_code=summary.get('exit_code'),
        signal=summary.get('signal'),
        leftover_processes=summary.get('leftover_processes'),
        unkillable_processes=_unkillable(summary, rest.get('unkillable')),
        resource_use=_resource_use(summary.get('resource_use')),
        verdict=_verdict(summary.get('verdict')),
        summary=summary.get('summary'),
        metrics=summary.get('metrics', {}),
        failure=_failure(summary.get('error')),
        executor=Executor(**rest['executor']) if 'executor' in rest else None,
        changed_at=_moment(rest.get('changed_at')),
        warnings=tuple(summary.get('warnings', ())),
        timeout_sec=summary.get('timeout_sec'),
        expires_in_sec=summary.get('expires_in_sec'),
        expires_up_sec=rest.get('expires_up_sec'),
        queue_position=summary.get('queue_position'),
        artifacts=summary.get('artifacts', 0),
        evidence=summary.get('evidence', False),
        group=_group(summary.get('group'), rest.get('skipped', ())),
        attempt=summary.get('attempt', 1),
        retries=Retries(**rest['retries']) if 'retries' in rest else None,
        due_up_sec=rest.get('due_up_sec'),
        secrets=tuple(rest.get('secrets', ())),
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


def _unkillable(
    summary: Summary, rest: Iterable[tuple[int, bool]] | None
) -> tuple[UnkillableProcess, ...]:
    if rest is None:
        return ()
    return tuple(
        UnkillableProcess(**told, start_ticks=start_ticks, permitted=permitted)
        for told, (start_ticks, permitted) in zip(
            summary['unkillable_processes'], rest, strict=True
        )
    )


def rights_from(told: Summary | None) -> Rights | None:
    """Return what `documents.rights_document` was given; None where a record has none."""
    if told is None:
        return None
    globs = {name: tuple(told[name]) for name in ('entities', 'scripts', 'tags') if name in told}
    return Rights(
        name=told['name'],
        role=Role(told['role']),
        scope=Scope(**globs),
        client_id=told.get('client_id'),
    )


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def _trigger(told: Summary) -> Trigger:
    return _shared_trigger(
        told['type'], told.get('setting'), told.get('username'), told.get('firing')
    )


@functools.lru_cache(maxsize=256)
def _shared_trigger(
    trigger_type: str, setting: str | None, username: str | None, firing: int | None
) -> Trigger:
    return Trigger(
        type=TriggerType(trigger_type), setting=setting, username=username, firing=firing
    )


def _schedule(summary: Summary, rest: Summary) -> Schedule:
    last_start = None
    if 'last_start' in rest:
        boot_id, seconds = rest['last_start']
        last_start = ScheduledStart(
            at=datetime.datetime.fromisoformat(summary['last_start_at']),
            boot_time=BootTime(boot_id=boot_id, seconds=seconds),
        )
    return Schedule(last_start=last_start, skipped_starts=summary.get('skipped_starts', 0))


def _group(told: Summary | None, skipped: Iterable[Summary]) -> Group | None:
    if told is None:
        return None
    return Group(
        script=told['script'],
        entities=tuple(told['entities']),
        max_parallel=told.get('max_parallel'),
        skipped=tuple(Skipped(**each) for each in skipped),
    )


def _progress(summary: Summary) -> Progress | None:
    percent, message = summary.get('progress'), summary.get('progress_message')
    if percent is None and message is None:
        return None
    return Progress(percent=percent, message=message)


def _resource_use(told: Summary | None) -> ResourceUse | None:
    if told is None:
        return None
    return ResourceUse(max_memory_bytes=told['max_memory_bytes'], cpu_sec=told['cpu_sec'])


def _failure(told: Summary | None) -> Failure | None:
    if told is None:
        return None
    return Failure(
        reason=FailureReason(told['vendor_code']),
        message=told['message'],
        parameters=told['parameters'],
    )
