"""Which schemas a script may have, and parameters against them; pure functions of the child."""

from collections.abc import Mapping
import json
from typing import Any

import hostile_inputs
import pytest

from gateway_node.child.schema_check import (
    answer,
    MAX_VIOLATIONS,
    parameter_violations,
    schema_violations,
)


def _named(value: object) -> str:
    return value if isinstance(value, str) else ''


@pytest.mark.parametrize(('name', 'schema'), hostile_inputs.REFUSED_SCHEMAS, ids=_named)
def test_a_schema_from_outside_is_refused(name: str, schema: Mapping[str, Any]) -> None:
    """With a place and a short reason, and without an exception that somebody must guess at."""
    before = json.dumps(schema)
    violations = schema_violations(schema)
    assert 0 < len(violations) <= MAX_VIOLATIONS
    assert all(len(path) <= 210 and 0 < len(reason) <= 210 for path, reason in violations)
    assert json.dumps(schema) == before


@pytest.mark.parametrize(('name', 'schema'), hostile_inputs.ACCEPTED_SCHEMAS, ids=_named)
def test_a_schema_that_only_looks_bad_is_accepted(name: str, schema: Mapping[str, Any]) -> None:
    """Only what a keyword makes a schema is one."""
    assert schema_violations(schema) == []
    assert 'violations' in answer({'schema': schema, 'parameters': {}})


def test_all_violations_are_told_not_only_the_first() -> None:
    """A client mends a schema in one go."""
    schema = {
        'properties': {
            'a': {'type': 'int'},
            'b': {'pattern': '(['},
            'c': {'$id': 'x'},
            'd': {'maximum': 'x'},
        }
    }
    paths = [path for path, _ in schema_violations(schema)]
    assert sorted(paths) == [
        '/properties/a/type',
        '/properties/b/pattern',
        '/properties/c/$id',
        '/properties/d/maximum',
    ]


@pytest.mark.parametrize(
    ('schema', 'parameters', 'paths'),
    [
        ({'properties': {'a': {'type': 'number'}}}, {'a': 'x'}, ['/a']),
        ({'properties': {'a': {'items': {'minimum': 3}}}}, {'a': [4, 1, 2]}, ['/a/1', '/a/2']),
        ({'required': ['a']}, {}, ['']),
        ({'additionalProperties': {'type': 'null'}}, {'a/b~': 1}, ['/a~1b~0']),
        ({'$defs': {'x y': {'$anchor': 'n', 'type': 'null'}},
          'properties': {'a': {'$ref': '#n'}, 'b': {'$ref': '#/$defs/x%20y'}}},
         {'a': 1, 'b': 2}, ['/a', '/b']),
        ({'$dynamicAnchor': 't', 'properties': {'n': {'$dynamicRef': '#t'}, 'v': {'const': 1}}},
         {'n': {'n': {'v': 2}}}, ['/n/n/v']),
        ({'$dynamicAnchor': 't', '$ref': '#/$defs/o', '$defs': {'o': {'required': ['v']}},
          'properties': {'n': {'$dynamicRef': '#t', '$ref': '#/$defs/o'}}},
         {'v': 1, 'n': {}}, ['/n', '/n']),
        ({'$id': 'http://127.0.0.1:9/x', 'properties': {'n': {'$ref': '#'}}, 'maxProperties': 1},
         {'n': {'a': 1, 'b': 2}}, ['/n']),
        ({'$ref': '#/$defs/a', '$defs': {'a': {'properties': {'x': True}}},
          'unevaluatedProperties': False}, {'x': 1, 'y': 2}, ['']),
        ({'properties': {'$id': {'type': 'string'}, 'a': {'$ref': '#/properties/$id'}}},
         {'a': 1}, ['/a']),
        ({'definitions': {'n': {'type': 'null'}}, 'items': False,
          'properties': {'a': {'$ref': '#/definitions/n'}}}, {'a': 1}, ['/a']),
        ({'properties': {'a': {'type': 'integer'}}}, {'a': True}, ['/a']),
        ({'prefixItems': [True], 'properties': {'a': {'prefixItems': [{'type': 'null'}]}}},
         {'a': [1]}, ['/a/0']),
    ],
)  # fmt: skip
def test_parameters_that_do_not_match_are_told_by_path(
    schema: dict[str, Any], parameters: dict[str, Any], paths: list[str]
) -> None:
    """References lead where they should, whatever jsonschema's version."""
    assert schema_violations(schema) == []
    assert sorted(path for path, _ in parameter_violations(schema, parameters)) == paths


def test_a_message_stays_short_and_says_what_is_wrong() -> None:
    """A value of a megabyte is not told back."""
    [(path, reason)] = parameter_violations(
        {'properties': {'a': {'type': 'null'}}}, {'a': 'x' * 10**6}
    )
    assert path == '/a'
    assert len(reason) < 210
    assert reason.endswith("is not of type 'null'")


def test_a_check_that_stumbles_is_answered_as_failed() -> None:
    """What jsonschema cannot do (an integer beyond a float's range) is no crash of the child."""
    schema = {'properties': {'a': {'multipleOf': 0.1}}}
    reply = answer({'schema': schema, 'parameters': {'a': 10**400}})
    assert 'OverflowError' in reply.get('failed', '') or 'violations' in reply


def test_a_schema_that_was_never_accepted_checks_nothing() -> None:
    """A record that somebody changed on disk does not open URLs either."""
    reply = answer({'schema': {'$ref': 'http://127.0.0.1:9/'}, 'parameters': {}})
    assert 'allowed: a reference within the schema' in reply['failed']
