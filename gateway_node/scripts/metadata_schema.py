# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema (2020-12) of what `metadata.py` reads, for who describes it to clients.

A test holds the two to each other: what the one takes the other takes.
"""

from typing import Any

from gateway_node.conditions.condition_schema import preconditions_schema
from gateway_node.document_fields import (
    MAX_DESCRIPTION_LENGTH,
    MAX_TIMEOUT_SEC,
    MIN_TIMEOUT_SEC,
)
from gateway_node.scripts.evidence_policy import EVIDENCE_SCHEMA
from gateway_node.scripts.file_names import UPLOADED_KINDS
from gateway_node.scripts.metadata import (
    LIMIT_RANGES,
    MAX_CONFIRMATION_LENGTH,
    MAX_ENTRY_LENGTH,
    MAX_NAME_LENGTH,
    MAX_RETRIES,
    MAX_RETRY_DELAY_SEC,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    WHOLE_LIMITS,
)
from gateway_node.scripts.values import Verdict

_LINE_BREAKS = r'\u0009\u000a\u000d'
_CONTROL = (
    r'\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f'
    r'\u2028\u2029\u202a-\u202e\u2066-\u2069'
)
"""As `document_fields.first_control` has them, `_LINE_BREAKS` aside."""


def _text(max_length: int, *, never: str = _CONTROL + _LINE_BREAKS) -> dict[str, Any]:
    return {
        'type': 'string',
        'maxLength': max_length,
        'pattern': r'\S',
        'not': {'pattern': f'[{never}]'},
    }


def _number(name: str, low: float, high: float) -> dict[str, Any]:
    kind = 'integer' if name in WHOLE_LIMITS else 'number'
    return {'type': kind, 'minimum': low, 'maximum': high}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Let `null` stand for the default."""
    return {'anyOf': [schema, {'type': 'null'}], 'default': None}


_LIMITS: dict[str, Any] = {
    'type': 'object',
    'properties': {
        name: _or_null(_number(name, low, high)) for name, (low, high) in LIMIT_RANGES.items()
    },
    'additionalProperties': False,
}
DESCRIPTION_SCHEMA: dict[str, Any] = {
    'type': 'string',
    'maxLength': MAX_DESCRIPTION_LENGTH,
    'not': {'pattern': f'[{_CONTROL}]'},
}
_FIELDS: dict[str, dict[str, Any]] = {
    'name': _text(MAX_NAME_LENGTH),
    'description': DESCRIPTION_SCHEMA,
    'tags': {'type': 'array', 'items': _text(MAX_TAG_LENGTH), 'maxItems': MAX_TAGS},
    'timeout_sec': {'type': 'number', 'minimum': MIN_TIMEOUT_SEC, 'maximum': MAX_TIMEOUT_SEC},
    'single_execution': {'type': 'boolean'},
    'warm': {'type': 'boolean', 'description': 'false: started cold, always.'},
    'proximity_proof_required': {'type': 'boolean'},
    'confirmation': _text(MAX_CONFIRMATION_LENGTH, never=_CONTROL)
    | {'description': 'What has to be confirmed in each start.'},
    'parameters_schema': {'type': 'object', 'description': 'A JSON Schema (2020-12).'},
    'kind': {'enum': [kind.value for kind in UPLOADED_KINDS]},
    'entry': _text(MAX_ENTRY_LENGTH)
    | {'description': 'Of an archive: the path of the file that runs.'},
    'exit_verdicts': {
        'type': 'object',
        # In Python, `$` matches before a line end too.
        'propertyNames': {
            'pattern': '^(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])$',
            'not': {'pattern': '\\n'},
        },
        'additionalProperties': {'enum': [verdict.value for verdict in Verdict]},
    },
    'retries': {
        'type': 'object',
        'properties': {
            'limit': {'type': 'integer', 'minimum': 1, 'maximum': MAX_RETRIES},
            'delay_sec': _or_null(
                {'type': 'number', 'minimum': 0, 'maximum': MAX_RETRY_DELAY_SEC}
            ),
        },
        'required': ['limit'],
        'additionalProperties': False,
    },
    'limits': _LIMITS,
    'preconditions': preconditions_schema({'type': 'object', 'description': 'A condition.'}),
    'evidence': EVIDENCE_SCHEMA,
}

METADATA_SCHEMA: dict[str, Any] = {
    'type': 'object',
    'properties': {name: _or_null(schema) for name, schema in _FIELDS.items()},
    'additionalProperties': False,
}
