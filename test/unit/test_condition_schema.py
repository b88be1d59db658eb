# SPDX-License-Identifier: Apache-2.0
"""The schema of conditions that is shown takes what is read."""

from typing import Any

from jsonschema import Draft202012Validator
import pytest

from gateway_node.conditions.condition_reading import parse_condition, parse_precondition
from gateway_node.conditions.condition_schema import condition_schema, preconditions_schema
from gateway_node.conditions.condition_words import FURTHER_FIELDS, KINDS
from gateway_node.violations import Violation

REFERENCE = {'$ref': '#/$defs/Condition'}
SCHEMA = {'$defs': {'Condition': condition_schema(REFERENCE)}, **REFERENCE}
VALIDATOR = Draft202012Validator(SCHEMA)
PRECONDITIONS = Draft202012Validator(preconditions_schema({'type': 'object'}))

SUBJECTS: list[dict[str, Any]] = [
    {'topic': '/a'},
    {'topic': '/a', 'field': 'x'},
    {'topic': '/a', 'field': 'x', 'above': 1},
    {'topic': '/a', 'rate_below': 1},
    {'topic': '/a', 'silent_sec': 1},
    {'node': '/a'},
    {'node': '/a*'},
    {'node': '/a', 'parameter': 'x'},
    {'service': '/a'},
    {'publishers': '/a'},
    {'lifecycle': '/a'},
    {'lifecycle': '/a', 'state': 'active'},
    {'diagnostics': '*', 'level': 'OK'},
    {'diagnostics': '*'},
    {'script': 'a'},
    {'cron': '0 3 * * *'},
    {'interval_sec': 1},
    {'gateway': 'started'},
    {'all': [{'node': '/a'}]},
    {'any': [{'node': '/a'}, {'cron': '0 3 * * *'}]},
    {'not': {'not': {'node': '/a'}}},
]
VALUES: list[Any] = [
    *(None, True, 0, 0.5, 5, 1e301, 'x', ' ', '/a', 'active', 'WARN', 'once', 'PASS', 'apps/a'),
    *('started', 'p/msg/T', [], [1, 2], [1], ['failed'], {'node': '/a'}, [{'node': '/a'}], 3e6),
]
NAMES = [*KINDS, *FURTHER_FIELDS, 'nonsense']


UNSAID = ('is a moment', 'five fields', 'looked at', 'less than', 'is from')
"""Of reasons that no schema tells."""


HOPELESS = ('does not go', 'is unknown', 'has no ', 'has ')
"""How reasons begin that stay whatever the value of the field is."""


def reasons(document: object) -> list[str]:
    """Return what is refused, but for what no schema tells."""
    violations: list[Violation] = []
    parse_condition(document, '', violations, moments=True)
    found = [each.reason for each in violations]
    return [reason for reason in found if not any(each in reason for each in UNSAID)]


@pytest.mark.parametrize('subject', SUBJECTS, ids=str)
def test_what_is_read_is_what_the_schema_takes(subject: dict[str, Any]) -> None:
    """Each field with each value, beside each subject."""
    for name in NAMES:
        for value in VALUES:
            document = {**subject, name: value}
            refused = reasons(document)
            assert VALIDATOR.is_valid(document) == (refused == []), document
            if any(reason.startswith(HOPELESS) for reason in refused):
                break


@pytest.mark.parametrize('field', ['hold', 'description', 'max_age_sec', 'condition', 'nonsense'])
def test_preconditions_are_read_as_their_schema_takes_them(field: str) -> None:
    """Their condition aside, which has its own."""
    for value in [*VALUES, 60, 61, 0.1, 'x' * 4097]:
        document = {'condition': {'node': '/a'}, field: value}
        violations: list[Violation] = []
        is_read = parse_precondition(document, '', violations) is not None
        if field != 'condition':
            assert PRECONDITIONS.is_valid([document]) == is_read, value
    assert not PRECONDITIONS.is_valid([{}])


def test_the_schemas_are_json_schema() -> None:
    """2020-12."""
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(PRECONDITIONS.schema)
