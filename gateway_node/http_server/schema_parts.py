# SPDX-License-Identifier: Apache-2.0
"""What the JSON Schemas of answers are put together from."""

from collections.abc import Iterable, Mapping
import enum
import json
from typing import Any

from gateway_node.scripts.values import Mending

Schema = dict[str, Any]

_BASE = '{base}'
"""Stands in examples for the base, which is another one behind a proxy."""


def reference_to(name: str) -> Schema:
    """Return the schema that is another one by its name."""
    return {'$ref': f'#/components/schemas/{name}'}


def object_of(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object that has these members, and no others."""
    return {
        'type': 'object',
        'properties': required | (optional or {}),
        'required': list(required),
        'additionalProperties': False,
    }


def list_of(name: str, optional: Schema | None = None) -> Schema:
    """Return the schema of a list whose items have a schema of that name."""
    return object_of({'items': array_of(reference_to(name))}, optional)


def array_of(items: Schema, **bounds: int) -> Schema:
    """Return the schema of an array."""
    return {'type': 'array', 'items': items, **bounds}


def choice_of(kinds: Iterable[enum.Enum]) -> Schema:
    """Return the schema of one value of an enum, or of several."""
    return {'enum': [kind.value for kind in kinds]}


def href_to(path: str) -> Schema:
    """Return the schema of a path of the API; `path`, the example, is below the base."""
    return {'type': 'string', 'format': 'uri-reference', 'examples': [f'{_BASE}{path}']}


def examples_below(base: str, schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return schemas whose examples of paths are as whoever sees the API below `base` has them."""
    below: dict[str, Schema] = json.loads(
        json.dumps(schemas).replace(_BASE, json.dumps(base)[1:-1])
    )
    return below


TEXT: Schema = {'type': 'string'}
FLAG: Schema = {'type': 'boolean'}
WHOLE: Schema = {'type': 'integer'}
COUNT: Schema = {'type': 'integer', 'minimum': 0}
AMOUNT: Schema = {'type': 'number', 'minimum': 0}
ANY_OBJECT: Schema = {'type': 'object'}
TIME: Schema = {'type': 'string', 'format': 'date-time'}
TEXTS = array_of(TEXT)
MENDED = array_of(choice_of(Mending))
