# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas (2020-12) of what the routes answer, by the names that the table uses.

What `representations.py` and the handlers build is held to them by tests. They refer to each other
as the components of an OpenAPI document do.
"""

from collections.abc import Iterable
import enum
from typing import Any

from gateway_node.entities.values import ComponentKind
from gateway_node.executions.findings import MAX_CHECKS, MAX_METRICS, MAX_TEXT_CHARACTERS
from gateway_node.executions.output_lines import OutputStream
from gateway_node.executions.statistics import Interval, MAX_LISTED, MAX_POINTS
from gateway_node.executions.values import (
    ExecutionStatus,
    ExecutionType,
    FailureReason,
    FINAL_STATUSES,
    MAX_WARNINGS,
    TriggerType,
)
from gateway_node.http_server.error_table import ERROR_TABLE
from gateway_node.scripts.values import Mending, ScriptKind, Verdict

Schema = dict[str, Any]


def reference_to(name: str) -> Schema:
    """Return the schema that is another one by its name."""
    return {'$ref': f'#/components/schemas/{name}'}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        'type': 'object',
        'properties': required | (optional or {}),
        'required': list(required),
        'additionalProperties': False,
    }


def _list_of(name: str, optional: Schema | None = None) -> Schema:
    return _object({'items': _array(reference_to(name))}, optional)


def _array(items: Schema, **bounds: int) -> Schema:
    return {'type': 'array', 'items': items, **bounds}


def _choice(kinds: Iterable[enum.Enum]) -> Schema:
    return {'enum': [kind.value for kind in kinds]}


_TEXT: Schema = {'type': 'string'}
_FLAG: Schema = {'type': 'boolean'}
_WHOLE: Schema = {'type': 'integer'}
_COUNT: Schema = {'type': 'integer', 'minimum': 0}
_AMOUNT: Schema = {'type': 'number', 'minimum': 0}
_ANY_OBJECT: Schema = {'type': 'object'}
_HREF: Schema = {'type': 'string', 'format': 'uri-reference'}
_TIME: Schema = {'type': 'string', 'format': 'date-time'}
_TEXTS = _array(_TEXT)

_REFERENCE: Schema = {'id': _TEXT, 'name': _TEXT, 'href': _HREF}
_APP: Schema = _REFERENCE | {'online': _FLAG}
_COMPONENT: Schema = _APP | {'kind': _choice(ComponentKind)}
_VERSION: Schema = {
    'version': _TEXT,
    'base_uri': _HREF,
    'vendor_info': _object({'name': _TEXT, 'version': _TEXT}),
}
_TRIGGER = _object({'type': _choice(TriggerType)}, {'setting': _TEXT, 'username': _TEXT})
_CLIPPED = _TEXT | {'maxLength': MAX_TEXT_CHARACTERS}
_CHECK = _object(
    {'name': _CLIPPED, 'verdict': _choice(Verdict)},
    {'value': {}, 'unit': _CLIPPED, 'expected': {}, 'hint': _CLIPPED},
)
_MENDED = _array(_choice(Mending))

_EXECUTION: Schema = {
    'id': _TEXT,
    'status': _choice(ExecutionStatus),
    'href': _HREF,
    'entity': _TEXT,
    'script_id': _TEXT,
    'script_version': _TEXT,
    'is_outdated': _FLAG,
    'execution_type': _choice(ExecutionType),
    'arguments': _TEXTS,
    'priority': _WHOLE,
    'trigger': _TRIGGER,
    'created_at': _TIME,
}
_EXECUTION_WHERE_KNOWN: Schema = {
    'script_name': _TEXT,
    'kind': _choice(ScriptKind),
    'tags': _TEXTS,
    'mended': _MENDED,
    'parent': _TEXT,
    'schedule': _HREF,
    'scheduled': _FLAG,
    'last_start_at': _TIME,
    'skipped_starts': _COUNT,
    'stop_trigger': _TRIGGER,
    'started_at': _TIME,
    'completed_at': _TIME,
    'duration_ms': _COUNT,
    'progress': _COUNT | {'maximum': 100},
    'progress_message': _TEXT,
    'exit_code': _WHOLE,
    'signal': _WHOLE,
    'leftover_processes': _COUNT,
    'unkillable_processes': _array(_object({'pid': _COUNT, 'user': _TEXT, 'command': _TEXT})),
    'resource_use': _object({'max_memory_bytes': _COUNT, 'cpu_sec': _AMOUNT}),
    'verdict': _choice(Verdict),
    'summary': _CLIPPED,
    'metrics': {
        'type': 'object',
        'additionalProperties': {'type': 'number'},
        'maxProperties': MAX_METRICS,
    },
    'error': _object(
        {
            'error_code': {'const': 'vendor-error'},
            'vendor_code': _choice(FailureReason),
            'message': _TEXT,
            'parameters': _ANY_OBJECT,
        }
    ),
    'terminating': _FLAG,
    'warnings': _array(_TEXT, maxItems=MAX_WARNINGS),
}

_LINE: Schema = {'stream': _choice(OutputStream), 'time': _TIME, 'text': _TEXT}
_CUT_LINE: Schema = {'whole': {'const': False}}

_SCRIPT: Schema = {
    'description': _TEXT,
    'kind': _choice(ScriptKind),
    'tags': _TEXTS,
    'single_execution': _FLAG,
    'proximity_proof_required': _FLAG,
}
_SCRIPT_WHERE_SET: Schema = {
    'timeout_sec': _AMOUNT,
    'parameters_schema': _ANY_OBJECT,
    'exit_verdicts': {'type': 'object', 'additionalProperties': _choice(Verdict)},
    'limits': _object(
        {},
        {
            'cpu_sec': _AMOUNT,
            'memory_mb': _AMOUNT,
            'processes': _COUNT,
            'open_files': _COUNT,
            'file_size_mb': _AMOUNT,
            'output_mb': _AMOUNT,
        },
    ),
    'mended': _MENDED,
}

_AROUND: Schema = {
    'next': _HREF,
    'pagination': reference_to('Pagination'),
    'complete': _FLAG,
}
"""What stands beside the items of a list that is answered in parts."""

_COUNTS: Schema = {'type': 'object', 'additionalProperties': _COUNT}
_STATUS_COUNTS = _object(
    {status.value: _COUNT for status in ExecutionStatus if status in FINAL_STATUSES}
)
_DURATIONS = _object(
    {'count': _COUNT},
    {'min_ms': _COUNT, 'mean_ms': _AMOUNT, 'p50_ms': _AMOUNT, 'p95_ms': _AMOUNT, 'max_ms': _COUNT},
)

SCHEMAS: dict[str, Schema] = {
    'GenericError': _object(
        {
            'error_code': {'enum': sorted({row.error_code for row in ERROR_TABLE.values()})},
            'message': _TEXT,
        },
        {'vendor_code': {'type': 'string', 'pattern': '^x-gateway-'}, 'parameters': _ANY_OBJECT},
    ),
    'Server': _object(
        {
            'name': _TEXT,
            'version': _TEXT,
            'api_version': _TEXT,
            'apps': _HREF,
            'components': _HREF,
            'areas': _HREF,
            'functions': _HREF,
            'scripts': _HREF,
            'executions': _HREF,
            'health': _HREF,
            'version-info': _HREF,
            'openapi.json': _HREF,
            'docs': _HREF,
            'endpoints': _TEXTS,
        }
    ),
    'Description': _object(
        {
            'openapi': {'const': '3.1.0'},
            'info': _ANY_OBJECT,
            'servers': _array(_object({'url': _HREF})),
            'security': _array(_ANY_OBJECT),
            'tags': _array(_object({'name': _TEXT, 'description': _TEXT})),
            'paths': _ANY_OBJECT,
            'components': _ANY_OBJECT,
        }
    ),
    'VersionInfo': _object(
        {'items': _array(_object(_VERSION)), 'sovd_info': _array(_object(_VERSION))}
    ),
    'Health': _object(
        {
            'status': {'enum': ['ok', 'degraded']},
            'sqlite_version': _TEXT,
            'uptime_sec': _AMOUNT,
            'versions': _object({'gateway': _TEXT}) | {'additionalProperties': _TEXT},
            'entities': _object({'apps': _COUNT, 'apps_online': _COUNT, 'components': _COUNT}),
            'gateway': _TEXT,
            'warnings': _TEXTS,
            'connections': _object({'open': _COUNT, 'limit': _COUNT, 'refused': _COUNT}),
            'supervision': _object(
                {
                    'mechanism': _TEXT,
                    'cgroup': {'type': ['string', 'null']},
                    'controllers': _TEXTS,
                    'reason': _TEXT,
                    'limits': {'type': 'object', 'additionalProperties': _TEXT},
                    'spawner_restarts': _COUNT,
                }
            ),
        },
        {'executions': _object({status.value: _COUNT for status in ExecutionStatus})},
    ),
    'Probe': _object({'status': {'const': 'ok'}}),
    'Reference': _object(_REFERENCE),
    'ReferenceList': _list_of('Reference'),
    'AppReference': _object(_APP),
    'AppList': _list_of('AppReference'),
    'App': _object(
        _APP
        | {
            'fully_qualified_name': _TEXT,
            'namespace': _TEXT,
            'is-located-on': _HREF,
            'scripts': _HREF,
        },
        {'area': _HREF},
    ),
    'ComponentReference': _object(_COMPONENT),
    'ComponentList': _list_of('ComponentReference'),
    'Component': _object(
        _COMPONENT | {'hosts': _HREF, 'scripts': _HREF},
        {'description': _TEXT, 'namespace': _TEXT, 'area': _HREF},
    ),
    'Area': _object(_REFERENCE | {'components': _HREF}),
    'Function': _object(_REFERENCE | {'hosts': _HREF}, {'description': _TEXT}),
    'Script': _object(
        _REFERENCE | _SCRIPT | {'managed': _FLAG, 'version': _TEXT, 'size': _COUNT},
        _SCRIPT_WHERE_SET,
    ),
    'ScriptList': _list_of('Script'),
    'FoundScript': _object(
        _REFERENCE
        | _SCRIPT
        | {
            'managed': _FLAG,
            'version': _TEXT,
            'size': _COUNT,
            'entity': _TEXT,
            'executions': _COUNT,
        },
        _SCRIPT_WHERE_SET
        | {
            'median_duration_ms': _AMOUNT,
            'last_execution': _object(
                {'status': _choice(ExecutionStatus), 'created_at': _TIME},
                {'verdict': _choice(Verdict), 'completed_at': _TIME},
            ),
        },
    ),
    'FoundScriptList': _list_of(
        'FoundScript', {'next': _HREF, 'pagination': reference_to('Pagination')}
    ),
    'ScriptVersion': _object(
        {
            'version': _TEXT,
            'href': _HREF,
            'current': _FLAG,
            'file_name': _TEXT,
            'size': _COUNT,
            'executions': _COUNT,
        },
        {'name': _TEXT, 'uploaded_at': _TIME, 'uploaded_by': _TEXT} | _SCRIPT | _SCRIPT_WHERE_SET,
    ),
    'ScriptVersionList': _list_of('ScriptVersion', {'complete': _FLAG}),
    'UploadedScript': _object(_REFERENCE),
    'ExecutionSummary': _object(_EXECUTION, _EXECUTION_WHERE_KNOWN),
    'ExecutionColumns': _object({}, _EXECUTION | _EXECUTION_WHERE_KNOWN),
    'Pagination': _object(
        {'page': _COUNT, 'page_size': _COUNT, 'total_items': _COUNT, 'total_pages': _COUNT},
        {'approximate': _FLAG},
    ),
    'ExecutionList': _object(
        {
            'items': _array(
                {'anyOf': [reference_to('ExecutionSummary'), reference_to('ExecutionColumns')]}
            )
        },
        _AROUND,
    ),
    'MetricSeries': _object(
        {
            'items': _array(
                _object(
                    {
                        'execution_id': _TEXT,
                        'href': _HREF,
                        'entity': _TEXT,
                        'script_id': _TEXT,
                        'at': _TIME,
                        'value': {'type': 'number'},
                    },
                    {'script_name': _TEXT, 'verdict': _choice(Verdict)},
                )
            )
        },
        _AROUND,
    ),
    'Execution': _object(
        _EXECUTION
        | {
            'input_parameters': _ANY_OBJECT,
            'updated_at': _TIME,
            'output': _object({'stdout': _TEXT, 'stderr': _TEXT, 'dropped_bytes': _COUNT}),
        },
        _EXECUTION_WHERE_KNOWN
        | {
            'script_content': _HREF,
            'executor': _object({'name': _TEXT, 'host': _TEXT}),
            'parameters': _ANY_OBJECT,
            'checks': _array(_CHECK, maxItems=MAX_CHECKS),
        },
    ),
    'OutputLines': _object(
        {
            'items': _array(_object({'number': _COUNT} | _LINE, _CUT_LINE)),
            'dropped': _array(_object({'first': _COUNT, 'last': _COUNT})),
            'unfinished': _array(_object(_LINE, _CUT_LINE)),
            'last': _COUNT,
        },
        {'next': _HREF},
    ),
    'Statistics': _object(
        {
            'total': _COUNT,
            'statuses': _STATUS_COUNTS,
            'vendor_codes': _COUNTS,
            'verdicts': _COUNTS,
            'scripts': _array(
                _object(
                    {'id': _TEXT, 'entity': _TEXT, 'href': _HREF, 'executions': _COUNT},
                    {'name': _TEXT},
                ),
                maxItems=MAX_LISTED,
            ),
            'entities': _COUNTS | {'maxProperties': MAX_LISTED},
            'durations': _DURATIONS,
            'open': _object({'running': _COUNT, 'waiting': _COUNT, 'scheduled': _COUNT}),
        },
        {
            'success_rate': _AMOUNT | {'maximum': 1},
            'from': _TIME,
            'to': _TIME,
            'approximate': {'const': True},
            'interval': _choice(Interval),
            'series': _array(
                _object(
                    {
                        'at': _TIME,
                        'total': _COUNT,
                        'statuses': _STATUS_COUNTS,
                        'durations': _DURATIONS,
                    }
                ),
                maxItems=MAX_POINTS,
            ),
        },
    ),
    'StartedExecution': _object(
        {'id': _TEXT, 'status': _choice(ExecutionStatus), 'href': _HREF}, {'schedule': _HREF}
    ),
}
"""Each object names all that it may have: what is not here is not answered."""
