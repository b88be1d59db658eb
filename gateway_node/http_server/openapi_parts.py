# SPDX-License-Identifier: Apache-2.0
"""Of the description, the part that is about one path and what lies below it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import json
import re
from typing import Any

from gateway_node.http_server.bodies import JsonBody
from gateway_node.http_server.fields import ValueRefused
from gateway_node.http_server.route import Route
from gateway_node.http_server.schema_parts import Schema
from gateway_node.http_server.takes import Place, taken_by
from gateway_node.scripts.values import Script
from gateway_node.strict_json import pointer_token

_BASES = ('$id', '$schema')
_REFERENCES = ('$ref', '$dynamicRef')
_NAMED = ('properties', 'patternProperties', 'dependentSchemas', '$defs', 'definitions')
"""The keywords of JSON Schema below which names stand, and behind each a schema."""
_VALUES = ('const', 'enum', 'default', 'examples')
"""Those below which values stand."""

PathItems = dict[str, dict[str, Any]]
"""Operations by path and method."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A row of the table of routes, as OpenAPI tells it."""

    route: Route[Any, Any]
    told: dict[str, Any]


def paths_below(
    operations: Iterable[Operation], path: str, script: Script | None = None
) -> PathItems:
    """Return the operations of a path and below it; what the path names is no parameter of them.

    `path` has values in place of placeholders: `/apps/temp_sensor/scripts`. Where it is of a
    script, what takes parameters is told with those of this one.
    """
    paths: PathItems = {}
    given = path.split('/')[1:]
    for operation in operations:
        route = operation.route
        below = _below(route, given)
        if below is not None:
            key, named = below
            told = _without(operation.told, named)
            if script is not None:
                told |= _of_script(route, script, key)
            paths.setdefault(key or '/', {})[route.method.lower()] = told
    return paths


def schemas_of(paths: PathItems, schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas to which the paths refer, and those to which these do."""
    found: dict[str, Schema] = {}
    waiting = _named_in(paths)
    while waiting:
        found |= {name: schemas[name] for name in schemas.keys() & waiting}
        waiting = _named_in(found) & schemas.keys() - found.keys()
    return {name: schema for name, schema in schemas.items() if name in found}


def _below(route: Route[Any, Any], given: list[str]) -> tuple[str, set[str]] | None:
    """Return a route's path with what is given, and the placeholders that this replaces.

    None where it does not lie there.
    """
    segments = route.path.split('/')[1:]
    if len(segments) < len(given):
        return None
    fields = {each.name: each.field for each in taken_by(route.takes) if each.place is Place.PATH}
    named = set()
    for text, segment in zip(given, segments, strict=False):
        if not segment.startswith('{'):
            if segment != text:
                return None
            continue
        named.add(segment[1:-1])
        try:
            fields[segment[1:-1]].read_text(text)
        except ValueRefused:
            return None
    return ''.join(f'/{each}' for each in (*given, *segments[len(given) :])), named


def _without(operation: dict[str, Any], named: set[str]) -> dict[str, Any]:
    parameters = [
        each
        for each in operation.get('parameters', ())
        if each['in'] != Place.PATH.value or each['name'] not in named
    ]
    rest = {name: value for name, value in operation.items() if name != 'parameters'}
    return rest | ({'parameters': parameters} if parameters else {})


def _named_in(value: object) -> set[str]:
    return set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(value)))


def _of_script(route: Route[Any, Any], script: Script, path: str) -> dict[str, Any]:
    """Return what is told otherwise of an operation that takes parameters: those of this script.

    Their schema stands in the operation itself, where clients of SOVD look for it.
    """
    body = route.body
    if not isinstance(body, JsonBody) or 'parameters' not in body.schema()['properties']:
        return {}
    schema = body.schema()
    if script.parameters_schema is not None:
        tokens = ('paths', path, route.method.lower(), 'requestBody', 'content', body.media_type,
                  'schema', 'properties', 'parameters')  # fmt: skip
        place = ''.join(f'/{pointer_token(each)}' for each in tokens)
        schema['properties']['parameters'] = _moved(script.parameters_schema, place)
    content = {body.media_type: {'schema': schema}}
    preconditions = [dict(each.document) for each in script.preconditions]
    return {
        'x-sovd-name': script.name,
        'x-sovd-proximity-proof-required': script.proximity_proof_required,
        **({'x-gateway-confirmation': script.confirmation} if script.confirmation else {}),
        **({'x-gateway-preconditions': preconditions} if preconditions else {}),
        'requestBody': {'required': body.required, 'content': content},
    }


def _moved(schema: Any, place: str) -> Any:
    """Return a JSON Schema that stands at a JSON Pointer of a document, to which it then refers.

    A schema of the library refers within itself only, and has no base but at its top.
    """
    if isinstance(schema, list):
        return [_moved(each, place) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    moved: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _BASES:
            continue
        if keyword in _VALUES:
            moved[keyword] = value
        elif keyword in _NAMED and isinstance(value, Mapping):
            moved[keyword] = {name: _moved(each, place) for name, each in value.items()}
        elif keyword in _REFERENCES and str(value)[:2] in ('#', '#/'):
            moved[keyword] = f'#{place}{str(value)[1:]}'
        else:
            moved[keyword] = _moved(value, place)
    return moved
