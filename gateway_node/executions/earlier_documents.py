# SPDX-License-Identifier: Apache-2.0
"""What earlier versions wrote of executions, brought into the form of `documents.py`.

Rows keep their document until they change, and events theirs for good.
"""

from collections.abc import Mapping
import datetime
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.executions.documents import present, Summary
from gateway_node.executions.values import OPEN_STATUSES

_RENAMED = {'script_kind': 'kind', 'script_tags': 'tags'}
_MOMENTS = frozenset({'created_at', 'started_at', 'completed_at'})
_OPEN = frozenset(status.value for status in OPEN_STATUSES)


def is_earlier(document: Summary) -> bool:
    """Tell whether a whole summary is of an earlier version, which wrote the offset of UTC."""
    moment: str = document['created_at']
    return not moment.endswith('Z')


def renewed(document: Summary) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the summary that a document of an earlier version tells, and the rest."""
    summary = present(renewed_changes(document))
    if not document['scheduled']:
        # What was a schedule once has its starts too.
        summary.pop('skipped_starts', None)
        summary.pop('last_start_at', None)
    if document['status'] in _OPEN and 'stop_trigger' in summary:
        summary['terminating'] = True
    start = document.get('last_scheduled_start')
    processes = document.get('unkillable_processes')
    rest = {
        'exit_verdicts': document.get('exit_verdicts'),
        'last_start': start and [start['boot_id'], start['boot_sec']],
        'unkillable': processes
        and [[process['start_ticks'], process['permitted']] for process in processes],
    }
    return summary, present(rest)


def renewed_changes(changes: Summary) -> dict[str, Any]:
    """Return changes that an event of an earlier version tells; None for what is gone."""
    told: dict[str, Any] = {}
    for name, value in changes.items():
        if name in _MOMENTS and value is not None:
            told[name] = rfc3339(datetime.datetime.fromisoformat(value))
        elif name in _SHAPES:
            told |= _SHAPES[name](value)
        else:
            told[_RENAMED.get(name, name)] = value
    if changes.get('scheduled') is False:
        told |= {'skipped_starts': None, 'last_start_at': None}
    return told


def _progress(value: Summary | None) -> Summary:
    percent, message = (value['percent'], value['message']) if value else (None, None)
    return {'progress': percent, 'progress_message': message}


def _trigger(value: Summary) -> Summary:
    return {'trigger': present(value)}


def _stop_trigger(value: Summary | None) -> Summary:
    return {'stop_trigger': value and present(value)}


def _error(value: Summary | None) -> Summary:
    return {
        'error': value
        and {
            'error_code': 'vendor-error',
            'vendor_code': value['reason'],
            'message': value['message'],
            'parameters': value['parameters'],
        }
    }


def _last_start(value: Summary | None) -> Summary:
    at = value and rfc3339(datetime.datetime.fromisoformat(value['at']))
    return {'last_start_at': at}


def _unkillable(value: list[Summary] | None) -> Summary:
    return {
        'unkillable_processes': value
        and [{name: process[name] for name in ('pid', 'user', 'command')} for process in value]
    }


_SHAPES: Mapping[str, Any] = {
    'progress': _progress,
    'trigger': _trigger,
    'stop_trigger': _stop_trigger,
    'failure': _error,
    'last_scheduled_start': _last_start,
    'unkillable_processes': _unkillable,
    'scheduled': lambda value: {'scheduled': value or None},
    'exit_verdicts': lambda _: {},
}
"""Members that were of another shape, each with what says it today."""
