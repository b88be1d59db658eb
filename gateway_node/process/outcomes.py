# SPDX-License-Identifier: Apache-2.0
"""From a supervisor's last words to an outcome.

Unless the words say it all, this reads files: it is for threads then.
"""

import binascii
import codecs
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
import logging
import math
from pathlib import Path
import pwd
from typing import Any

from gateway_node.child.artifact_keeping import KeptArtifacts
from gateway_node.child.contract import END_FILE, GIVEN_RESULT_FILE, MAX_RESULT_BYTES
from gateway_node.child.messages import AskerNote, ProcessNote
from gateway_node.child.output_frames import OBJECT_BYTES
from gateway_node.executions.runner_ports import EndCause, LimitReached, Outcome
from gateway_node.executions.values import ResourceUse, Trigger, TriggerType, UnkillableProcess
from gateway_node.process.kept_files import kept_bytes, read_regular
from gateway_node.process.output_reading import (
    read_stdout_beginning,
    read_told_output,
    read_whole_stdout,
    ToldOutput,
)
from gateway_node.scripts.values import Limits
from gateway_node.strict_json import JsonRefused, NotJson, parse

_log = logging.getLogger(__name__)

_MAX_END_BYTES = 2 * MAX_RESULT_BYTES
"""With what the script gave as its result, in base64, and its output."""
_READ_AT_ONCE_BYTES = 64 * 1024
"""Of output and result: what is longer is parsed where that holds nobody up."""
_SHALLOW = 256
"""Levels of JSON that are parsed however many frames are on the stack already."""
_LIMIT_NAMES = frozenset(field.name for field in fields(Limits))


def outcome_of_directory(
    directory: Path,
    otherwise: Outcome,
    left: Sequence[ProcessNote] = (),
    *,
    artifacts: KeptArtifacts,
    keep_working_directory: bool,
) -> Outcome:
    """Return how a script ended whose supervisor is gone.

    `otherwise` is the outcome where the supervisor left no end file, or one that cannot be its;
    `left` is what could not be ended after that; `artifacts` are what is kept of what the script
    left, whoever kept it.
    """
    outcome = otherwise
    try:
        report = _object(read_regular(directory / END_FILE, _MAX_END_BYTES))
        outcome = outcome_of_report(report, directory, keep_working_directory)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        _log.warning('an end file is none: directory %s, %s', directory, error)
    told = [*outcome.unkillable_processes, *map(_unkillable, left)]
    by_identity = {(process.pid, process.start_ticks): process for process in told}
    return replace(
        outcome,
        unkillable_processes=tuple(by_identity.values()),
        artifacts=artifacts.files or outcome.artifacts,
        warnings=(*outcome.warnings, *artifacts.complaints),
        kept_bytes=kept_bytes(directory, keep_working_directory=keep_working_directory),
    )


def outcome_of_report(
    report: Mapping[str, Any], directory: Path, keep_working_directory: bool
) -> Outcome:
    """Return the outcome that a supervisor's `EndReport` tells.

    Raises:
        ValueError: it is none.
    """
    exit_code = _field(report, 'exit_code', int | None)
    result, complaint = _given_result(report, directory)
    told = _told_output(report)
    printed, printed_warning = None, ''
    if result is None and exit_code is not None:
        if told is not None:
            printed, printed_warning = printed_object(told.stdout)
        else:
            stdout_bytes = _count(report, 'stdout_bytes')
            printed, printed_warning = read_printed_object(directory, stdout_bytes)
    lost_bytes = _field(report, 'lost_output_bytes', int | None)
    loss = f'{lost_bytes} bytes of the output are lost: the disk did not take them'
    garbage = _field(report, 'progress_garbage', int | None)
    if garbage:
        _log.warning(
            '%d lines of progress were not understood: execution %s', garbage, directory.name
        )
    return Outcome(
        cause=EndCause(_field(report, 'cause', str)),
        exit_code=exit_code,
        signal=_field(report, 'signal', int | None),
        limit=_limit(_field(report, 'limit', dict | None)),
        duration_sec=_amount(report, 'duration_sec'),
        leftover_processes=_count(report, 'leftover_processes'),
        unkillable_processes=tuple(
            map(_unkillable, _field(report, 'unkillable_processes', list | None) or ())
        ),
        resource_use=ResourceUse(
            max_memory_bytes=_count(report, 'max_memory_bytes'), cpu_sec=_amount(report, 'cpu_sec')
        ),
        end_asked=_field(report, 'end_asked', bool | None) or False,
        end_asked_by=_asker(_field(report, 'end_asked_by', dict | None)),
        result=result,
        printed=printed,
        printed_warning=printed_warning,
        artifacts=_count(report, 'artifacts') if 'artifacts' in report else 0,
        warnings=(
            *filter(None, (complaint, loss if lost_bytes else '')),
            *map(str, _field(report, 'artifact_complaints', list | None) or ()),
        ),
        output=None if told is None else told.output,
        kept_bytes=(
            _count(report, 'kept_bytes')
            if 'kept_bytes' in report
            else kept_bytes(directory, keep_working_directory=keep_working_directory)
        ),
    )


def is_read_at_once(report: Mapping[str, Any]) -> bool:
    """Tell whether the outcome of an `EndReport` is made without a file, in no time."""
    if report.get('output') is None or not {'given_complaint', 'kept_bytes'} <= report.keys():
        return False
    told = report['output'] + (report.get('given_result') or '')
    content = binascii.a2b_base64(told) if len(told) <= _READ_AT_ONCE_BYTES else b''
    return bool(content) and content.count(b'[') + content.count(b'{') <= _SHALLOW


def outcome_of_failed_start(told: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a supervisor that could not start its script.

    Raises:
        ValueError: it says nothing of the kind.
    """
    return Outcome(
        cause=EndCause.SPAWN_FAILED,
        message=_field(told, 'message', str),
        unkillable_processes=tuple(
            map(_unkillable, _field(told, 'unkillable_processes', list | None) or ())
        ),
    )


def _given_result(
    report: Mapping[str, Any], directory: Path
) -> tuple[Mapping[str, Any] | None, str]:
    if 'given_complaint' not in report:
        # Version 0.1.0 left it to whoever reads the report.
        return read_given_result(directory)
    complaint = _field(report, 'given_complaint', str)
    given = _field(report, 'given_result', str | None)
    if complaint or given is None:
        return None, f"the script's result {complaint}" if complaint else ''
    return _result_of(binascii.a2b_base64(given))


def _told_output(report: Mapping[str, Any]) -> ToldOutput | None:
    told = _field(report, 'output', str | None)
    return None if told is None else read_told_output(binascii.a2b_base64(told))


def read_given_result(directory: Path) -> tuple[Mapping[str, Any] | None, str]:
    """Return what the script gave as its result, or None, and what is wrong with it."""
    try:
        content = read_regular(directory / GIVEN_RESULT_FILE, MAX_RESULT_BYTES + 1)
    except FileNotFoundError:
        return None, ''
    except OSError as error:
        return None, f"the script's result cannot be read: {error.strerror or 'no plain file'}"
    if len(content) > MAX_RESULT_BYTES:
        return None, f"the script's result is longer than {MAX_RESULT_BYTES} bytes"
    return _result_of(content)


def _result_of(content: bytes) -> tuple[Mapping[str, Any] | None, str]:
    try:
        return _object(content), ''
    except ValueError as error:
        return None, f"the script's result {error}"


def read_printed_object(
    directory: Path, stdout_bytes: int
) -> tuple[Mapping[str, Any] | None, str]:
    """Return what `printed_object` does; what is longer than an object may be is told as well.

    Whether that is one, or a log of many, cannot be known: only its ends are kept.
    """
    if stdout_bytes <= OBJECT_BYTES:
        return printed_object(read_whole_stdout(directory, stdout_bytes))
    if not _begins_as_object(read_stdout_beginning(directory)):
        return None, ''
    return None, (
        f'stdout begins as a JSON object and is longer than {OBJECT_BYTES} bytes: it was not '
        'taken as the result'
    )


def printed_object(content: bytes | None) -> tuple[Mapping[str, Any] | None, str]:
    """Return what a script printed as its result, or None, and what is wrong with it.

    Text that is no JSON object, though it may begin like one, is as good as any: nothing is wrong.
    """
    if content is None or not _begins_as_object(content):
        return None, ''
    try:
        # What begins as an object, and is JSON, is one.
        return parse(content), ''
    except NotJson:
        return None, ''
    except JsonRefused as error:
        return None, f'the JSON object on stdout {error}; it is told as text'


def _begins_as_object(content: bytes) -> bool:
    return content.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b'{')


def _object(content: bytes) -> dict[str, Any]:
    value = parse(content)
    if not isinstance(value, dict):
        raise ValueError('is no JSON object')
    return value


def _field(report: Mapping[str, Any], name: str, kind: Any) -> Any:
    value = report.get(name)
    fits = isinstance(value, kind) and (kind == bool | None or not isinstance(value, bool))
    # SQLite's integers, and nothing more, are what an execution can be recorded with.
    if not fits or (isinstance(value, int) and abs(value) >= 2**63):
        raise ValueError(f'{name} is {value!r:.80}')
    return value


def _amount(report: Mapping[str, Any], name: str) -> float:
    value = float(_field(report, name, int | float))
    if not math.isfinite(value) or not 0 <= value < 2**53:
        raise ValueError(f'{name} is {value}')
    return value


def _count(report: Mapping[str, Any], name: str) -> int:
    value: int = _field(report, name, int)
    if value < 0:
        raise ValueError(f'{name} is {value}')
    return value


def _limit(limit: Mapping[str, Any] | None) -> LimitReached | None:
    if limit is None:
        return None
    if limit.get('name') not in _LIMIT_NAMES:
        raise ValueError(f'limit is {limit!r:.80}')
    return LimitReached(
        name=limit['name'], value=_amount(limit, 'value'), used=_amount(limit, 'used')
    )


def asker_note(asked_by: Trigger) -> AskerNote:
    """Return who asked for an end as a supervisor keeps it."""
    note = AskerNote(
        type=asked_by.type.value, setting=asked_by.setting, username=asked_by.username
    )
    if asked_by.firing is not None:
        note['firing'] = asked_by.firing
    return note


def _asker(note: Mapping[str, Any] | None) -> Trigger | None:
    if note is None:
        return None
    return Trigger(
        type=TriggerType(_field(note, 'type', str)),
        setting=_field(note, 'setting', str | None),
        username=_field(note, 'username', str | None),
        firing=_field(note, 'firing', int | None),
    )


def _unkillable(note: Any) -> UnkillableProcess:
    if not isinstance(note, dict):
        raise ValueError(f'unkillable_processes has {note!r:.80}')
    uid = _field(note, 'uid', int | None)
    return UnkillableProcess(
        pid=_count(note, 'pid'),
        start_ticks=_count(note, 'start_ticks'),
        user='' if uid is None else _user_name(uid),
        command=_field(note, 'command', str),
        permitted=_field(note, 'permitted', bool | None) is True,
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)
