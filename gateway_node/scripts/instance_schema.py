# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema (2020-12) of what `instances.py` reads, for who describes it to clients.

A test holds the two to each other: what the one takes the other takes, conditions and
preconditions aside, whose schemas whoever describes them puts in.
"""

from collections.abc import Mapping
from typing import Any

from gateway_node.document_fields import MAX_TIMEOUT_SEC, MIN_TIMEOUT_SEC
from gateway_node.entities.names import RESERVED_IDS
from gateway_node.scripts.arguments import MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_PARAMETERS
from gateway_node.scripts.evidence_policy import EVIDENCE_SCHEMA
from gateway_node.scripts.instances import (
    INSTANCE_NAME_PATTERN,
    MAX_INTERVAL_SEC,
    MAX_TRIGGERS,
    OnLimit,
    WhileDown,
)
from gateway_node.scripts.metadata_schema import DESCRIPTION_SCHEMA
from gateway_node.scripts.values import DEFAULT_PRIORITY, MAX_PRIORITY


def instance_schema(
    condition: Mapping[str, Any], preconditions: Mapping[str, Any], *, named: bool
) -> dict[str, Any]:
    """Return the schema of an instance's document, with those of what it is made of; `named`
    where its name must be in it."""
    fields: dict[str, Any] = {
        'description': DESCRIPTION_SCHEMA | {'default': ''},
        'parameters': {'type': 'object', 'maxProperties': MAX_PARAMETERS, 'default': {}},
        'arguments': {
            'type': 'array',
            'items': {
                'type': 'string',
                'maxLength': MAX_ARGUMENT_BYTES,
                'pattern': '^[^\\u0000]*$',
            },
            'maxItems': MAX_ARGUMENTS,
            'default': [],
        },
        'timeout_sec': _number(MIN_TIMEOUT_SEC, MAX_TIMEOUT_SEC),
        'priority': {
            'type': 'integer',
            'minimum': 0,
            'maximum': MAX_PRIORITY,
            'default': DEFAULT_PRIORITY,
        },
        'start_triggers': _triggers(
            {
                'condition': condition,
                'min_interval_sec': _or_null(_number(0, MAX_INTERVAL_SEC), 0),
                'while_down': _or_null(_choice(WhileDown), WhileDown.FIRE.value),
                'on_limit': _or_null(_choice(OnLimit), OnLimit.WAIT.value),
            }
        ),
        'stop_triggers': _triggers({'condition': condition}),
        'preconditions': preconditions,
        'evidence': EVIDENCE_SCHEMA,
        'enabled': {'type': 'boolean'},
        'confirmed': {
            'type': 'boolean',
            'default': False,
            'description': 'That what the script says in its confirmation is confirmed, for all '
            'that its triggers start.',
        },
    }
    # In Python, `$` matches before a line end too.
    never = {'anyOf': [{'pattern': '\\n'}, {'enum': sorted(RESERVED_IDS)}]}
    name = {'type': 'string', 'pattern': f'^{INSTANCE_NAME_PATTERN}$', 'not': never}
    properties = {name: _or_null(schema) for name, schema in fields.items()}
    return {
        'type': 'object',
        'properties': {'name': name if named else _or_null(name), **properties},
        'required': ['name'] if named else [],
        'additionalProperties': False,
    }


def _triggers(members: dict[str, Any]) -> dict[str, Any]:
    trigger = {
        'type': 'object',
        'properties': members,
        'required': ['condition'],
        'additionalProperties': False,
    }
    return {'type': 'array', 'items': trigger, 'maxItems': MAX_TRIGGERS, 'default': []}


def _number(low: float, high: float) -> dict[str, Any]:
    return {'type': 'number', 'minimum': low, 'maximum': high}


def _choice(kind: type[OnLimit] | type[WhileDown]) -> dict[str, Any]:
    return {'enum': [each.value for each in kind]}


def _or_null(schema: Mapping[str, Any], default: object = None) -> dict[str, Any]:
    """Let `null` stand for the default."""
    default = schema.get('default', default)
    told = {name: value for name, value in schema.items() if name != 'default'}
    return {'anyOf': [told, {'type': 'null'}], 'default': default}
