# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas (2020-12) of what the routes answer, by the names that the table uses.

What `representations.py` and the handlers build is held to them by tests. They refer to each other
as the components of an OpenAPI document do.
"""

from gateway_node.access.audit import NoteKind
from gateway_node.callbacks.values import CallbackStatus
from gateway_node.conditions.condition_schema import preconditions_schema
from gateway_node.entities.values import ComponentKind
from gateway_node.executions.actors import Role
from gateway_node.executions.entity_lock import LockScope
from gateway_node.executions.readiness import Need
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.error_table import ERROR_TABLE
from gateway_node.http_server.evidence_schemas import EVIDENCE_SCHEMAS
from gateway_node.http_server.execution_schemas import EXECUTION_SCHEMAS
from gateway_node.http_server.instance_schemas import INSTANCE_SCHEMAS
from gateway_node.http_server.schema_parts import (
    AMOUNT,
    ANY_OBJECT,
    array_of,
    choice_of,
    COUNT,
    FLAG,
    href_to,
    list_of,
    MENDED,
    object_of,
    reference_to,
    Schema,
    TEXT,
    TEXTS,
    TIME,
)
from gateway_node.scripts.evidence_policy import EVIDENCE_SCHEMA
from gateway_node.scripts.values import ScriptKind, Verdict

_APP_PATH = '/apps/temp_sensor'
_COMPONENT_PATH = '/components/powertrain_engine'
_SCRIPT_PATH = f'{_APP_PATH}/scripts/check'

_REFERENCE: Schema = {'id': TEXT, 'name': TEXT, 'href': href_to('/areas/powertrain')}
_APP: Schema = _REFERENCE | {'online': FLAG, 'href': href_to(_APP_PATH)}
_COMPONENT: Schema = _APP | {'href': href_to(_COMPONENT_PATH), 'kind': choice_of(ComponentKind)}
_VERSION: Schema = {
    'version': TEXT,
    'base_uri': href_to(''),
    'vendor_info': object_of({'name': TEXT}, {'version': TEXT}),
}
_SCRIPT_REFERENCE: Schema = _REFERENCE | {'href': href_to(_SCRIPT_PATH)}
_SCRIPT: Schema = {
    'description': TEXT,
    'kind': choice_of(ScriptKind),
    'tags': TEXTS,
    'single_execution': FLAG,
    'proximity_proof_required': FLAG,
}
_SCRIPT_WHERE_SET: Schema = {
    'confirmation': TEXT,
    'timeout_sec': AMOUNT,
    'warm': FLAG,
    'parameters_schema': ANY_OBJECT,
    'exit_verdicts': {'type': 'object', 'additionalProperties': choice_of(Verdict)},
    'retries': object_of({'limit': COUNT, 'delay_sec': AMOUNT}),
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
    'preconditions': preconditions_schema(reference_to('Condition')),
    'evidence': EVIDENCE_SCHEMA,
    'mended': MENDED,
    'entry': TEXT,
    'unavailable': TEXT,
}

SCHEMAS: dict[str, Schema] = {
    'GenericError': object_of(
        {
            'error_code': {'enum': sorted({row.error_code for row in ERROR_TABLE.values()})},
            'message': TEXT,
        },
        {
            'vendor_code': {'type': 'string', 'pattern': '^x-gateway-'},
            'parameters': ANY_OBJECT,
            'error': {'enum': sorted({row.oauth_error for row in ERROR_TABLE.values()} - {None})},
            'error_description': TEXT,
        },
    ),
    'IssuedTokens': object_of(
        {
            'access_token': TEXT,
            'token_type': {'const': 'Bearer'},
            'expires_in': COUNT,
            'scope': choice_of(Role),
            'refresh_token': TEXT,
        }
    ),
    'Revoked': object_of({'status': {'const': 'revoked'}}),
    'Server': object_of(
        {
            'name': TEXT,
            'version': TEXT,
            'api_version': TEXT,
            'apps': href_to('/apps'),
            'components': href_to('/components'),
            'areas': href_to('/areas'),
            'functions': href_to('/functions'),
            'scripts': href_to('/scripts'),
            'executions': href_to('/executions'),
            'events': href_to('/events'),
            'line': href_to('/line'),
            'audit': href_to('/audit'),
            'health': href_to('/health'),
            'version-info': href_to('/version-info'),
            'openapi.json': href_to('/openapi.json'),
            'docs': href_to('/docs'),
            'endpoints': TEXTS,
        }
    ),
    'Description': object_of(
        {
            'openapi': {'const': '3.1.0'},
            'info': ANY_OBJECT,
            'servers': array_of(object_of({'url': href_to('')})),
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
        },
        {
            'executions': object_of({status.value: COUNT for status in ExecutionStatus}),
            'warnings': TEXTS,
            'callbacks': object_of({status.value: COUNT for status in CallbackStatus}),
            'triggers': object_of(
                {
                    'topics': COUNT,
                    'sources': COUNT,
                    'armed': COUNT,
                    'under_way': COUNT,
                    'fired': COUNT,
                    'dropped': COUNT,
                    'damped': COUNT,
                }
            ),
            'connections': object_of({'open': COUNT, 'limit': COUNT, 'refused': COUNT}),
            'streams': object_of({'open': COUNT, 'limit': COUNT, 'refused': COUNT}),
            'supervision': object_of(
                {
                    'mechanism': TEXT,
                    'cgroup': {'type': ['string', 'null']},
                    'controllers': TEXTS,
                    'reason': TEXT,
                    'limits': {'type': 'object', 'additionalProperties': TEXT},
                    'spawner_restarts': COUNT,
                    'warm_interpreter': {'enum': ['ready', 'starting', 'off']},
                }
            ),
            'line': reference_to('Line'),
        },
    ),
    'Line': object_of({'paused': FLAG, 'waiting': COUNT}, {'oldest_wait_sec': AMOUNT}),
    'Lock': object_of(
        {
            'id': TEXT,
            'owned': FLAG,
            'lock_expiration': TIME,
            'holder': object_of({}, {'name': TEXT, 'client_id': TEXT}),
        },
        {'scopes': array_of(choice_of(LockScope), uniqueItems=True)},
    ),
    'LockList': list_of('Lock'),
    'AuditNote': object_of(
        {
            'sequence': COUNT,
            'time': TIME,
            'boot': TEXT,
            'up_sec': AMOUNT,
            'kind': choice_of(NoteKind),
        },
        {
            'name': TEXT,
            'role': choice_of(Role),
            'client_id': TEXT,
            'asked_as': TEXT,
            'origin': TEXT,
            'by_execution': TEXT,
            'method': TEXT,
            'route': TEXT,
            'entity': TEXT,
            'script': TEXT,
            'instance': TEXT,
            'execution': TEXT,
            'action': TEXT,
            'parameters_hmac': TEXT,
            'status': COUNT,
            'vendor_code': TEXT,
            'result': TEXT,
            'replayed': FLAG,
            'begun': COUNT,
            'since': TIME,
            'repeated': COUNT,
            'statuses': {'type': 'object', 'additionalProperties': COUNT},
            'lost': COUNT,
        },
    ),
    'AuditList': list_of(
        'AuditNote', {'next': href_to('/audit?before=4711'), 'unreadable': COUNT}
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
            'is-located-on': href_to(f'{_APP_PATH}/is-located-on'),
            'scripts': href_to(f'{_APP_PATH}/scripts'),
        },
        {'area': _REFERENCE['href']},
    ),
    'ComponentReference': object_of(_COMPONENT),
    'ComponentList': list_of('ComponentReference'),
    'Component': object_of(
        _COMPONENT
        | {
            'hosts': href_to(f'{_COMPONENT_PATH}/hosts'),
            'scripts': href_to(f'{_COMPONENT_PATH}/scripts'),
        },
        {'description': TEXT, 'namespace': TEXT, 'area': _REFERENCE['href']},
    ),
    'Area': object_of(_REFERENCE | {'components': href_to('/areas/powertrain/components')}),
    'Function': object_of(
        _REFERENCE
        | {
            'href': href_to('/functions/monitoring'),
            'hosts': href_to('/functions/monitoring/hosts'),
        },
        {'description': TEXT},
    ),
    'Script': object_of(
        _SCRIPT_REFERENCE | _SCRIPT | {'managed': FLAG, 'version': TEXT, 'size': COUNT},
        _SCRIPT_WHERE_SET
        | {'proximity_challenge': object_of({'challenge': TEXT, 'valid_until': TIME})},
    ),
    'ScriptList': list_of('Script'),
    'FoundScript': object_of(
        _SCRIPT_REFERENCE
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
        'FoundScript',
        {'next': href_to('/scripts?page=2'), 'pagination': reference_to('Pagination')},
    ),
    'ScriptVersion': object_of(
        {
            'version': TEXT,
            'href': href_to(f'{_SCRIPT_PATH}/content?version=1'),
            'current': FLAG,
            'file_name': TEXT,
            'size': COUNT,
        },
        {'executions': COUNT, 'name': TEXT, 'uploaded_at': TIME, 'uploaded_by': TEXT}
        | _SCRIPT
        | _SCRIPT_WHERE_SET,
    ),
    'ScriptVersionList': list_of('ScriptVersion', {'complete': FLAG}),
    'UploadedScript': object_of(_SCRIPT_REFERENCE),
    'Readiness': object_of({'ready': FLAG, 'items': array_of(reference_to('Checked'))}),
    'Checked': object_of(
        {'reason': choice_of(Need), 'ready': FLAG},
        {
            'message': TEXT,
            'online': FLAG,
            'entity': TEXT,
            'existing_lock_id': TEXT,
            'holder': object_of({}, {'name': TEXT, 'client_id': TEXT}),
            'lock_expiration': TIME,
            'confirmation': TEXT,
            'give': {'enum': ['confirmed', 'proximity_response']},
            'execution': TEXT,
            'of': {'enum': ['script', 'instance']},
            'path': TEXT,
            'description': TEXT,
            'wanted': TEXT,
            'condition': reference_to('Condition'),
            'hold': FLAG,
            'max_age_sec': AMOUNT,
            'truth': {'type': ['boolean', 'null']},
            'value': {},
            'age_sec': AMOUNT,
            'why': TEXT,
            'parts': array_of(ANY_OBJECT),
            'waiting': COUNT,
            'queues': FLAG,
        },
    ),
    'Pagination': object_of(
        {'page': COUNT, 'page_size': COUNT, 'total_items': COUNT, 'total_pages': COUNT},
        {'approximate': FLAG},
    ),
    **EXECUTION_SCHEMAS,
    **EVIDENCE_SCHEMAS,
    **INSTANCE_SCHEMAS,
}
"""Each object names all that it may have: what is not here is not answered."""
