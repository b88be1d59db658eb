# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas of what the routes of executions answer; see `schemas.py`."""

from gateway_node.callbacks.values import CallbackStatus
from gateway_node.executions.actors import Role
from gateway_node.executions.events import EventKind
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.findings import MAX_CHECKS, MAX_METRICS, MAX_TEXT_CHARACTERS
from gateway_node.executions.many import MAX_EXECUTIONS
from gateway_node.executions.output_lines import OutputStream
from gateway_node.executions.statistics import Interval, MAX_LISTED, MAX_POINTS
from gateway_node.executions.values import (
    ExecutionStatus,
    ExecutionType,
    FINAL_STATUSES,
    MAX_WARNINGS,
    TriggerType,
)
from gateway_node.http_server.schema_parts import (
    AMOUNT,
    ANY_OBJECT,
    array_of,
    choice_of,
    COUNT,
    FLAG,
    href_to,
    MENDED,
    object_of,
    reference_to,
    Schema,
    TEXT,
    TEXTS,
    TIME,
    WHOLE,
)
from gateway_node.scripts.values import ScriptKind, Verdict

_SCRIPT_PATH = '/apps/temp_sensor/scripts/check'
_EXECUTION_PATH = f'{_SCRIPT_PATH}/executions/exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8'
_SCRIPT_HREF = href_to(_SCRIPT_PATH)
_EXECUTION_HREF = href_to(_EXECUTION_PATH)

_TRIGGER = object_of(
    {'type': choice_of(TriggerType)}, {'setting': TEXT, 'username': TEXT, 'firing': COUNT}
)
_CLIPPED = TEXT | {'maxLength': MAX_TEXT_CHARACTERS}
_CHECK = object_of(
    {'name': _CLIPPED, 'verdict': choice_of(Verdict)},
    {'value': {}, 'unit': _CLIPPED, 'expected': {}, 'hint': _CLIPPED},
)

_EXECUTION: Schema = {
    'id': TEXT,
    'status': choice_of(ExecutionStatus),
    'href': _EXECUTION_HREF,
    'entity': TEXT,
    'script_id': TEXT,
    'script_version': TEXT,
    'is_outdated': FLAG,
    'execution_type': choice_of(ExecutionType),
    'arguments': TEXTS,
    'priority': WHOLE,
    'trigger': _TRIGGER,
    'created_at': TIME,
}
_EXECUTION_WHERE_KNOWN: Schema = {
    'script_name': TEXT,
    'instance': TEXT,
    'instance_version': TEXT,
    'kind': choice_of(ScriptKind),
    'tags': TEXTS,
    'mended': MENDED,
    'parent': TEXT,
    'schedule': _EXECUTION_HREF,
    'scheduled': FLAG,
    'last_start_at': TIME,
    'skipped_starts': COUNT,
    'stop_trigger': _TRIGGER,
    'started_at': TIME,
    'completed_at': TIME,
    'duration_ms': COUNT,
    'progress': COUNT | {'maximum': 100},
    'progress_message': TEXT,
    'warm': FLAG,
    'exit_code': WHOLE,
    'signal': WHOLE,
    'leftover_processes': COUNT,
    'unkillable_processes': array_of(object_of({'pid': COUNT, 'user': TEXT, 'command': TEXT})),
    'resource_use': object_of({'max_memory_bytes': COUNT, 'cpu_sec': AMOUNT}),
    'verdict': choice_of(Verdict),
    'summary': _CLIPPED,
    'metrics': {
        'type': 'object',
        'additionalProperties': {'type': 'number'},
        'maxProperties': MAX_METRICS,
    },
    'error': object_of(
        {
            'error_code': {'const': 'vendor-error'},
            'vendor_code': choice_of(FailureReason),
            'message': TEXT,
            'parameters': ANY_OBJECT,
        }
    ),
    'terminating': FLAG,
    'warnings': array_of(TEXT, maxItems=MAX_WARNINGS),
    'group': object_of({'script': TEXT, 'entities': TEXTS}, {'max_parallel': COUNT}),
    'timeout_sec': AMOUNT,
    'expires_in_sec': AMOUNT,
    'queue_position': WHOLE | {'minimum': 1},
    'artifacts': COUNT,
    'evidence': FLAG,
    'attempt': COUNT,
}

_LINE: Schema = {'stream': choice_of(OutputStream), 'time': TIME, 'text': TEXT}
_CUT_LINE: Schema = {'whole': {'const': False}}

_CHANGE = object_of(
    {
        'kind': choice_of(EventKind),
        'sequence': COUNT,
        'actor': object_of({'role': choice_of(Role), 'origin': TEXT}, {'name': TEXT}),
    },
    {'cause': TEXT},
)
_EVENT: Schema = {
    'id': TEXT,
    'event': {'enum': ['status', 'script', 'line', 'lock', 'instance', 'trigger']},
    'href': href_to('/events/42'),
    'timestamp': TIME,
    'payload': {
        'type': 'object',
        'properties': {'href': _EXECUTION_HREF, 'change': _CHANGE},
        'required': ['href', 'change'],
    },
}
"""Its payload is the summary of an execution or of a script, as the event left it, the line, a
lock, or an instance and what its triggers did."""

_AROUND: Schema = {
    'next': href_to('/executions?limit=-100&id_exclusive=exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8'),
    'pagination': reference_to('Pagination'),
    'complete': FLAG,
}
"""What stands beside the items of a list that is answered in parts."""

_CHILDREN = object_of(
    {
        'total': COUNT,
        'by_status': object_of({status.value: COUNT for status in ExecutionStatus}),
        'by_verdict': object_of({}, {verdict.value: COUNT for verdict in Verdict}),
    }
)
_SKIPPED = array_of(object_of({'entity': TEXT, 'reason': TEXT}))

_COUNTS: Schema = {'type': 'object', 'additionalProperties': COUNT}
_STATUS_COUNTS = object_of(
    {status.value: COUNT for status in ExecutionStatus if status in FINAL_STATUSES}
)
_DURATIONS = object_of(
    {'count': COUNT},
    {'min_ms': COUNT, 'mean_ms': AMOUNT, 'p50_ms': AMOUNT, 'p95_ms': AMOUNT, 'max_ms': COUNT},
)

EXECUTION_SCHEMAS: dict[str, Schema] = {
    'ArtifactList': object_of({'items': array_of(reference_to('Artifact'))}),
    'Artifact': object_of(
        {
            'path': TEXT,
            'href': href_to(f'{_EXECUTION_PATH}/artifacts/plots/motor.png'),
            'size': COUNT,
            'media_type': TEXT,
            'sha256': TEXT | {'pattern': '^[0-9a-f]{64}$'},
            'modified_at': TIME,
        }
    ),
    'ExecutionSummary': object_of(_EXECUTION, _EXECUTION_WHERE_KNOWN),
    'ExecutionColumns': object_of({}, _EXECUTION | _EXECUTION_WHERE_KNOWN),
    'ExecutionList': object_of(
        {
            'items': array_of(
                {'anyOf': [reference_to('ExecutionSummary'), reference_to('ExecutionColumns')]}
            )
        },
        _AROUND,
    ),
    'MetricSeries': object_of(
        {
            'items': array_of(
                object_of(
                    {
                        'execution_id': TEXT,
                        'href': _EXECUTION_HREF,
                        'entity': TEXT,
                        'script_id': TEXT,
                        'at': TIME,
                        'value': {'type': 'number'},
                    },
                    {'script_name': TEXT, 'verdict': choice_of(Verdict)},
                )
            )
        },
        _AROUND,
    ),
    'Execution': object_of(
        _EXECUTION
        | {
            'input_parameters': ANY_OBJECT,
            'updated_at': TIME,
            'output': object_of({'stdout': TEXT, 'stderr': TEXT, 'dropped_bytes': COUNT}),
        },
        _EXECUTION_WHERE_KNOWN
        | {
            'script_content': href_to(f'{_SCRIPT_PATH}/content?version=1'),
            'executor': object_of({'name': TEXT, 'host': TEXT}),
            'callback': TEXT,
            'parameters': ANY_OBJECT,
            'children': _CHILDREN,
            'skipped': _SKIPPED,
            'checks': array_of(_CHECK, maxItems=MAX_CHECKS),
        },
    ),
    'Event': object_of(_EVENT),
    'EventList': object_of(
        {'items': array_of(reference_to('Event')), 'last': TEXT},
        {
            'next': href_to('/events?after=5f0c2a9be41d7783-42'),
            'reset': object_of({'begins': TEXT, 'ends': TEXT}),
        },
    ),
    'Callback': object_of(
        {'url': TEXT, 'status': choice_of(CallbackStatus), 'attempts': COUNT},
        {
            'last_attempt_at': TIME,
            'next_attempt_in_sec': AMOUNT,
            'last_status': COUNT,
            'last_error': TEXT,
        },
    ),
    'OutputLines': object_of(
        {
            'items': array_of(object_of({'number': COUNT} | _LINE, _CUT_LINE)),
            'dropped': array_of(object_of({'first': COUNT, 'last': COUNT})),
            'unfinished': array_of(object_of(_LINE, _CUT_LINE)),
            'last': COUNT,
        },
        {'next': href_to(f'{_EXECUTION_PATH}/output?limit=100&number_exclusive=100')},
    ),
    'Statistics': object_of(
        {
            'total': COUNT,
            'statuses': _STATUS_COUNTS,
            'vendor_codes': _COUNTS,
            'verdicts': _COUNTS,
            'scripts': array_of(
                object_of(
                    {'id': TEXT, 'entity': TEXT, 'href': _SCRIPT_HREF, 'executions': COUNT},
                    {'name': TEXT},
                ),
                maxItems=MAX_LISTED,
            ),
            'entities': _COUNTS | {'maxProperties': MAX_LISTED},
            'durations': _DURATIONS,
            'open': object_of({'running': COUNT, 'waiting': COUNT, 'scheduled': COUNT}),
        },
        {
            'success_rate': AMOUNT | {'maximum': 1},
            'from': TIME,
            'to': TIME,
            'approximate': {'const': True},
            'interval': choice_of(Interval),
            'series': array_of(
                object_of(
                    {
                        'at': TIME,
                        'total': COUNT,
                        'statuses': _STATUS_COUNTS,
                        'durations': _DURATIONS,
                    }
                ),
                maxItems=MAX_POINTS,
            ),
        },
    ),
    'ActionsTaken': object_of(
        {
            'items': array_of(
                object_of(
                    {
                        'id': TEXT,
                        'href': _EXECUTION_HREF,
                        'result': {'enum': ['done', 'refused', 'matched']},
                    },
                    {
                        'error': reference_to('GenericError'),
                        'started': object_of({'id': TEXT, 'href': _EXECUTION_HREF}),
                    },
                ),
                maxItems=MAX_EXECUTIONS,
            ),
            'truncated': FLAG,
            'dry_run': FLAG,
        }
    ),
    'StartedExecution': object_of(
        {'id': TEXT, 'status': choice_of(ExecutionStatus), 'href': _EXECUTION_HREF},
        {'schedule': _EXECUTION_HREF, 'queue_position': WHOLE | {'minimum': 1}},
    ),
    'StartedGroup': object_of(
        {
            'id': TEXT,
            'status': choice_of(ExecutionStatus),
            'href': _EXECUTION_HREF,
            'children': _CHILDREN,
            'skipped': _SKIPPED,
        }
    ),
}
