# SPDX-License-Identifier: Apache-2.0
"""Which schemas a script may have, and parameters against them; pure functions of the child."""

from collections.abc import Mapping
from fractions import Fraction
import json
from typing import Any

import hostile_inputs
from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.child.messages import MAX_VIOLATIONS
from gateway_node.child.schema.schema_check import (
    answer,
    check_parameters,
    schema_violations,
)
from gateway_node.child.schema.schema_walk import DIALECT
from gateway_node.strict_json import clip


def _named(value: object) -> str:
    return value if isinstance(value, str) else ''


@pytest.mark.parametrize(('name', 'schema'), hostile_inputs.REFUSED_SCHEMAS, ids=_named)
def test_a_schema_from_outside_is_refused(name: str, schema: Mapping[str, Any]) -> None:
    """With a place and a short reason, and without an exception that somebody must guess at."""
    before = json.dumps(schema)
    violations = schema_violations(schema)
    assert 0 < len(violations) <= MAX_VIOLATIONS + 1
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
        ({'properties': {'a': False, 'b': {'prefixItems': [False]}}}, {'a': 1, 'b': [2]},
         ['/a', '/b/0']),
        ({'patternProperties': {'x': False}, 'propertyNames': {'not': {'const': 'y'}}},
         {'x': 1, 'y': 2}, ['', '/x']),
        (False, {}, ['']),
    ],
)  # fmt: skip
def test_parameters_that_do_not_match_are_told_by_path(
    schema: dict[str, Any] | bool, parameters: dict[str, Any], paths: list[str]
) -> None:
    """References lead where they should, whatever jsonschema's version."""
    assert schema_violations(schema) == []
    assert sorted(path for path, _ in check_parameters(schema, parameters).violations) == paths


def test_a_message_stays_short_and_says_what_is_wrong() -> None:
    """A value of a megabyte is not told back."""
    [(path, reason)], _ = check_parameters(
        {'properties': {'a': {'type': 'null'}}}, {'a': 'x' * 10**6}
    )
    assert path == '/a'
    assert len(reason) < 210
    assert reason.endswith("is not of type 'null'")


@pytest.mark.parametrize(
    ('schema', 'value', 'reason'),
    [
        ({'type': 'integer'}, True, "true is not of type 'integer'"),
        ({'type': ['integer', 'string']}, None, "null is not of type 'integer', 'string'"),
        ({'enum': [None, 'a', False]}, {'b': None},
         '{"b": null} is not one of [null, "a", false]'),
        ({'const': None}, 1, 'null was expected'),
        ({'const': 'a'}, None, "'a' was expected"),
        ({'maximum': 3}, 4, '4 is greater than the maximum of 3'),
        ({'pattern': '^a$'}, 'b', "'b' does not match '^a$'"),
        ({'uniqueItems': True}, [None, None], '[null, null] has non-unique elements'),
        ({'anyOf': [{'type': 'null'}]}, {'ü': True},
         '{"ü": true} is not valid under any of the given schemas'),
        ({'prefixItems': [True], 'unevaluatedItems': False}, [1, None],
         'Unevaluated items are not allowed'),
        ({'items': False}, [None], 'Expected at most 0 items'),
        (False, None, 'False schema does not allow null'),
    ],
)  # fmt: skip
def test_values_stand_in_a_message_as_in_json(schema: Any, value: object, reason: str) -> None:
    """Who writes JSON need not know Python: true and null, not True and None."""
    told = answer({'schema': {'properties': {'a': schema}}, 'parameters': {'a': value}})
    assert told == {'violations': [('/a', reason)]}


@pytest.mark.parametrize(
    ('value', 'factor', 'fits'),
    [
        (0.3, 0.1, True),
        (1.1, 0.1, True),
        (0.35, 0.1, False),
        (19.99, 0.01, True),
        (4.35, 0.01, True),
        (-0.7, 0.1, True),
        (10**400, 0.1, True),
        (10**400 + 1, 7, False),
        (1e300, 5e-324, True),
        (5e-324, 1e300, False),
        (7, 2, False),
        (7.0, 3.5, True),
        (0, 0.1, True),
    ],
)
@pytest.mark.parametrize('dialect', [{}, {'$schema': DIALECT}])
def test_multiples_are_those_of_the_numbers_as_they_are_written(
    value: float, factor: float, fits: bool, dialect: dict[str, Any]
) -> None:
    """0.3 is three times 0.1, although no double is; wherever in a schema that is asked."""
    schema = {'items': {'$ref': '#/$defs/a'}, '$defs': {'a': {'multipleOf': factor}}, **dialect}
    told = answer({'schema': schema, 'parameters': [value, True, '0.05']})
    reason = f'{value!r} is not a multiple of {factor!r}'
    assert told == {'violations': [] if fits else [('/0', clip(reason))]}


NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBERS, NUMBERS.map(abs).filter(bool))
def test_multiples_are_exact(value: float, factor: float) -> None:
    """As fractions of the decimal numbers have it, for any two numbers."""
    exact = Fraction(repr(value)) / Fraction(repr(factor))
    told = answer({'schema': {'multipleOf': factor}, 'parameters': value})
    assert (told == {'violations': []}) is (exact.denominator == 1)


@given(st.integers(-(10**6), 10**6), st.integers(1, 9), st.integers(0, 6))
def test_a_multiple_of_a_decimal_step_is_one(count: int, step: int, places: int) -> None:
    """What a person writes as so many steps of 0.05, say, is taken."""
    value = float(Fraction(count * step, 10**places))
    told = answer({'schema': {'multipleOf': step / 10**places}, 'parameters': value})
    assert told == {'violations': []}


def test_a_check_that_stumbles_is_answered_as_failed() -> None:
    """Whatever is wrong with a request is no crash of the child."""
    assert answer(json.loads('{"parameters": {}}')) == {'failed': "KeyError: 'schema'"}


def test_a_schema_that_was_never_accepted_checks_nothing() -> None:
    """A record that somebody changed on disk does not open URLs either."""
    reply = answer({'schema': {'$ref': 'http://127.0.0.1:9/'}, 'parameters': {}})
    assert 'allowed: a reference within the schema' in reply['failed']
