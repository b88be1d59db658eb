# SPDX-License-Identifier: Apache-2.0
"""The JSON Schemas of evidence, and of comparisons."""

from gateway_node.http_server.schema_parts import (
    ANY_OBJECT,
    array_of,
    COUNT,
    FLAG,
    href_to,
    object_of,
    reference_to,
    Schema,
    TEXT,
    TEXTS,
    TIME,
)
from gateway_node.scripts.evidence_policy import EVIDENCE_SCHEMA

_EXECUTION_PATH = '/apps/temp_sensor/scripts/check/executions/exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8'

_UNAVAILABLE = object_of({'unavailable': TEXT})
_SIZED: Schema = {'name': TEXT, 'size': COUNT}
_VALUES: Schema = {'type': 'object', 'additionalProperties': TEXT}


def _or_why_not(schema: Schema) -> Schema:
    return {'oneOf': [schema, _UNAVAILABLE]}


_DIFFERENCES = _or_why_not(object_of({'differences': COUNT}))
_ASPECT = reference_to('Aspect')
_NAMED = object_of({'id': TEXT, 'href': href_to(_EXECUTION_PATH)})

EVIDENCE_SCHEMAS: dict[str, Schema] = {
    'Evidence': object_of(
        {
            'href': href_to(f'{_EXECUTION_PATH}/evidence.zip'),
            'execution': TEXT,
            'complete': FLAG,
            'policy': EVIDENCE_SCHEMA,
            'taken': object_of(
                {'begin': TIME, 'end': TIME, 'before_sec': COUNT, 'after_sec': COUNT}
            ),
            'versions': _VALUES,
            'machine': object_of({'before': ANY_OBJECT, 'after': ANY_OBJECT}),
            'environment': _or_why_not(object_of({'variables': COUNT, 'masked': TEXTS})),
            'node_parameters': _DIFFERENCES,
            'diagnostics': object_of(
                {'statuses': COUNT, 'not_ok_at_begin': TEXTS, 'changes': COUNT}, {'lost': COUNT}
            ),
            'graph': _DIFFERENCES,
            'rosout': object_of(
                {
                    'before': COUNT,
                    'during': COUNT,
                    'after': COUNT,
                    'levels': {'type': 'object', 'additionalProperties': COUNT},
                },
                {'lost': COUNT},
            ),
            'parts': array_of(object_of(_SIZED, {'cut_bytes': COUNT})),
            'left_out': array_of(object_of(_SIZED)),
        },
        {
            'missing': TEXT,
            'bag': object_of({'topics': TEXTS, 'fault': TEXT}),
        },
    ),
    'Aspect': _or_why_not(
        object_of(
            {
                'same': FLAG,
                'differences': array_of(object_of({'path': TEXT}, {'this': {}, 'other': {}})),
            },
            {'more': COUNT, 'not_compared': TEXTS},
        )
    ),
    'Comparison': object_of(
        {
            'this': _NAMED,
            'other': _NAMED,
            'script': _ASPECT,
            'parameters': _ASPECT,
            'outcome': _ASPECT,
            'checks': _ASPECT,
            'metrics': _ASPECT,
            'environment': _ASPECT,
            'versions': _ASPECT,
            'graph': _ASPECT,
            'node_parameters': _ASPECT,
        }
    ),
}
