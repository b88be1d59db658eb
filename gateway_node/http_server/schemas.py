# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas (2020-12) of what the routes answer, by the names that the table uses.

What `representations.py` and the handlers build is held to them by tests. They refer to each other
as the components of an OpenAPI document do.
"""

from gateway_node.entities.values import ComponentKind
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.error_table import ERROR_TABLE
from gateway_node.http_server.execution_schemas import EXECUTION_SCHEMAS
from gateway_node.http_server.schema_parts import (
    AMOUNT,
    ANY_OBJECT,
    array_of,
    choice_of,
    COUNT,
    FLAG,
    HREF,
    list_of,
    MENDED,
    object_of,
    reference_to,
    Schema,
    TEXT,
    TEXTS,
    TIME,
)
from gateway_node.scripts.values import ScriptKind, Verdict

_REFERENCE: Schema = {'id': TEXT, 'name': TEXT, 'href': HREF}
_APP: Schema = _REFERENCE | {'online': FLAG}
_COMPONENT: Schema = _APP | {'kind': choice_of(ComponentKind)}
_VERSION: Schema = {
    'version': TEXT,
    'base_uri': HREF,
    'vendor_info': object_of({'name': TEXT, 'version': TEXT}),
}
_SCRIPT: Schema = {
    'description': TEXT,
    'kind': choice_of(ScriptKind),
    'tags': TEXTS,
    'single_execution': FLAG,
    'proximity_proof_required': FLAG,
}
_SCRIPT_WHERE_SET: Schema = {
    'timeout_sec': AMOUNT,
    'parameters_schema': ANY_OBJECT,
    'exit_verdicts': {'type': 'object', 'additionalProperties': choice_of(Verdict)},
    'limits': object_of(
        {},
        {
            'cpu_sec': AMOUNT,
            'memory_mb': AMOUNT,
            'processes': COUNT,
            'open_files': COUNT,
            'file_size_mb': AMOUNT,
            'output_mb': AMOUNT,
        },
    ),
    'mended': MENDED,
}

SCHEMAS: dict[str, Schema] = {
    'GenericError': object_of(
        {
            'error_code': {'enum': sorted({row.error_code for row in ERROR_TABLE.values()})},
            'message': TEXT,
        },
        {'vendor_code': {'type': 'string', 'pattern': '^x-gateway-'}, 'parameters': ANY_OBJECT},
    ),
    'Server': object_of(
        {
            'name': TEXT,
            'version': TEXT,
            'api_version': TEXT,
            'apps': HREF,
            'components': HREF,
            'areas': HREF,
            'functions': HREF,
            'scripts': HREF,
            'executions': HREF,
            'health': HREF,
            'version-info': HREF,
            'openapi.json': HREF,
            'docs': HREF,
            'endpoints': TEXTS,
        }
    ),
    'Description': object_of(
        {
            'openapi': {'const': '3.1.0'},
            'info': ANY_OBJECT,
            'servers': array_of(object_of({'url': HREF})),
            'security': array_of(ANY_OBJECT),
            'tags': array_of(object_of({'name': TEXT, 'description': TEXT})),
            'paths': ANY_OBJECT,
            'components': ANY_OBJECT,
        }
    ),
    'VersionInfo': object_of(
        {'items': array_of(object_of(_VERSION)), 'sovd_info': array_of(object_of(_VERSION))}
    ),
    'Health': object_of(
        {
            'status': {'enum': ['ok', 'degraded']},
            'sqlite_version': TEXT,
            'uptime_sec': AMOUNT,
            'versions': object_of({'gateway': TEXT}) | {'additionalProperties': TEXT},
            'entities': object_of({'apps': COUNT, 'apps_online': COUNT, 'components': COUNT}),
            'gateway': TEXT,
            'warnings': TEXTS,
            'connections': object_of({'open': COUNT, 'limit': COUNT, 'refused': COUNT}),
            'supervision': object_of(
                {
                    'mechanism': TEXT,
                    'cgroup': {'type': ['string', 'null']},
                    'controllers': TEXTS,
                    'reason': TEXT,
                    'limits': {'type': 'object', 'additionalProperties': TEXT},
                    'spawner_restarts': COUNT,
                }
            ),
        },
        {'executions': object_of({status.value: COUNT for status in ExecutionStatus})},
    ),
    'Probe': object_of({'status': {'const': 'ok'}}),
    'Reference': object_of(_REFERENCE),
    'ReferenceList': list_of('Reference'),
    'AppReference': object_of(_APP),
    'AppList': list_of('AppReference'),
    'App': object_of(
        _APP
        | {
            'fully_qualified_name': TEXT,
            'namespace': TEXT,
            'is-located-on': HREF,
            'scripts': HREF,
        },
        {'area': HREF},
    ),
    'ComponentReference': object_of(_COMPONENT),
    'ComponentList': list_of('ComponentReference'),
    'Component': object_of(
        _COMPONENT | {'hosts': HREF, 'scripts': HREF},
        {'description': TEXT, 'namespace': TEXT, 'area': HREF},
    ),
    'Area': object_of(_REFERENCE | {'components': HREF}),
    'Function': object_of(_REFERENCE | {'hosts': HREF}, {'description': TEXT}),
    'Script': object_of(
        _REFERENCE | _SCRIPT | {'managed': FLAG, 'version': TEXT, 'size': COUNT},
        _SCRIPT_WHERE_SET,
    ),
    'ScriptList': list_of('Script'),
    'FoundScript': object_of(
        _REFERENCE
        | _SCRIPT
        | {
            'managed': FLAG,
            'version': TEXT,
            'size': COUNT,
            'entity': TEXT,
            'executions': COUNT,
        },
        _SCRIPT_WHERE_SET
        | {
            'median_duration_ms': AMOUNT,
            'last_execution': object_of(
                {'status': choice_of(ExecutionStatus), 'created_at': TIME},
                {'verdict': choice_of(Verdict), 'completed_at': TIME},
            ),
        },
    ),
    'FoundScriptList': list_of(
        'FoundScript', {'next': HREF, 'pagination': reference_to('Pagination')}
    ),
    'ScriptVersion': object_of(
        {
            'version': TEXT,
            'href': HREF,
            'current': FLAG,
            'file_name': TEXT,
            'size': COUNT,
            'executions': COUNT,
        },
        {'name': TEXT, 'uploaded_at': TIME, 'uploaded_by': TEXT} | _SCRIPT | _SCRIPT_WHERE_SET,
    ),
    'ScriptVersionList': list_of('ScriptVersion', {'complete': FLAG}),
    'UploadedScript': object_of(_REFERENCE),
    'Pagination': object_of(
        {'page': COUNT, 'page_size': COUNT, 'total_items': COUNT, 'total_pages': COUNT},
        {'approximate': FLAG},
    ),
    **EXECUTION_SCHEMAS,
}
"""Each object names all that it may have: what is not here is not answered."""
