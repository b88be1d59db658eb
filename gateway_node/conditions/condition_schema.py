# SPDX-License-Identifier: Apache-2.0
"""The JSON Schema (2020-12) of conditions, for who describes them to clients.

What is read matches it. What a schema can hardly say it does not: where no moment may stand, how
many parts there may be, what a schedule of cron is, and what goes with how often topics are looked
at.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from gateway_node.conditions.condition_words import (
    ENTITY,
    FIELD,
    FINAL_STATUSES,
    LEVELS,
    LIFECYCLE_STATES,
    MAX_AGE_SEC,
    MAX_ENTITY_LENGTH,
    MAX_FIELD_LENGTH,
    MAX_MESSAGE_RATE,
    MAX_NAME_LENGTH,
    MAX_NUMBER,
    MAX_PARTS,
    MAX_PRECONDITIONS,
    MAX_SEC,
    MIN_AGE_SEC,
    MIN_INTERVAL_SEC,
    MIN_MESSAGE_RATE,
    MIN_SILENT_SEC,
    Missed,
    NAME,
    NODE_GLOB,
    RATE_TESTS,
    TYPE,
    VALUE_TESTS,
    VERDICTS,
    WITH_HYSTERESIS,
)
from gateway_node.document_fields import MAX_DESCRIPTION_LENGTH

Schema = dict[str, Any]


def condition_schema(inside: Mapping[str, Any]) -> Schema:
    """Return the schema of a condition; `inside` is that of one inside another: a reference."""
    several = {'type': 'array', 'items': dict(inside), 'minItems': 1, 'maxItems': MAX_PARTS - 1}
    kinds = [
        *_KINDS,
        _object({'all': several}, {'for': _FOR}),
        _object({'any': several}, {'for': _FOR}),
        _object({'not': dict(inside)}, {'for': _FOR}),
    ]
    return {'type': 'object', 'anyOf': kinds}


def preconditions_schema(inside: Mapping[str, Any]) -> Schema:
    """Return the schema of preconditions; `inside` is that of a condition: a reference."""
    precondition = _object(
        {'condition': dict(inside)},
        {
            'hold': {
                'type': 'boolean',
                'default': False,
                'description': 'Whether it has to stay true as long as the script runs.',
            },
            'description': {'type': 'string', 'maxLength': MAX_DESCRIPTION_LENGTH, 'default': ''},
            'max_age_sec': {
                **_number(MIN_AGE_SEC, MAX_AGE_SEC),
                'default': 2.0,
                'description': 'How old the values may be by which it is judged.',
            },
        },
    )
    return {'type': 'array', 'items': precondition, 'maxItems': MAX_PRECONDITIONS}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any]) -> Schema:
    return {
        'type': 'object',
        'properties': {**required, **optional},
        'required': [*required],
        'additionalProperties': False,
    }


def _number(low: float, high: float) -> Schema:
    return {'type': 'number', 'minimum': low, 'maximum': high}


def _like(pattern: str, limit: int = MAX_NAME_LENGTH) -> Schema:
    return {'type': 'string', 'pattern': f'^{pattern}$', 'maxLength': limit}


def _some(words: Iterable[str]) -> Schema:
    known = {'enum': [*words]}
    several = {'type': 'array', 'items': known, 'minItems': 1, 'maxItems': len(known['enum'])}
    return {'anyOf': [known, several]}


_FOR = {
    **_number(0, MAX_SEC),
    'default': 0,
    'description': 'How long it has to hold, in seconds.',
}
_LEVEL: Schema = {'for': _FOR}
_NUMBER = _number(-MAX_NUMBER, MAX_NUMBER)
_RANGE = {'type': 'array', 'items': _NUMBER, 'minItems': 2, 'maxItems': 2}
_TEXT = {'type': 'string', 'pattern': r'\S', 'maxLength': MAX_NAME_LENGTH}
_NAME = _like(NAME.pattern)
_TESTS: Mapping[str, Any] = {
    'changes': {'const': True},
    'equals': True,
    'above': _NUMBER,
    'below': _NUMBER,
    'within': _RANGE,
    'outside': _RANGE,
    'rate_above': _NUMBER,
    'rate_below': _NUMBER,
    'silent_sec': _number(MIN_SILENT_SEC, MAX_SEC),
}
_MESSAGE_RATE = _number(MIN_MESSAGE_RATE, MAX_MESSAGE_RATE)


def _tested(
    subject: Mapping[str, Any],
    tests: Iterable[str],
    optional: Mapping[str, Any],
    numbers: Mapping[str, Any] | None = None,
) -> list[Schema]:
    """Return the schemas of what is said of a subject, one for each test."""
    found = []
    for test in tests:
        with_it: dict[str, Any] = {}
        if test in WITH_HYSTERESIS:
            with_it['hysteresis'] = {**_number(0, MAX_NUMBER), 'default': 0}
        if test != 'changes':
            with_it['for'] = _FOR
        found.append(
            _object({**subject, test: (numbers or _TESTS)[test]}, {**with_it, **optional})
        )
    return found


_PRESENT = {'type': 'boolean', 'default': True}
_TOPIC = {'topic': _NAME}
_FIELD = {'field': _like(FIELD.pattern, MAX_FIELD_LENGTH)}
_OF_TOPIC = {
    'type': _like(TYPE.pattern),
    'every': {
        'type': 'boolean',
        'default': False,
        'description': 'Each message, not the newest one at most `triggers.max_rate_hz` times a '
        'second.',
    },
}
_KINDS = [
    *_tested({**_TOPIC, **_FIELD}, (*VALUE_TESTS, *RATE_TESTS), _OF_TOPIC),
    *_tested(_TOPIC, RATE_TESTS, _OF_TOPIC, dict.fromkeys(RATE_TESTS, _MESSAGE_RATE)),
    *_tested(_TOPIC, ('silent_sec',), _OF_TOPIC),
    _object({**_TOPIC, 'present': {'type': 'boolean'}}, _LEVEL),
    _object({'node': _like(NODE_GLOB.pattern)}, {'present': _PRESENT, **_LEVEL}),
    _object({'service': _NAME}, {'present': _PRESENT, **_LEVEL}),
    *_tested({'publishers': _NAME}, VALUE_TESTS, {}),
    *_tested({'node': _NAME, 'parameter': _TEXT}, VALUE_TESTS, {}),
    _object({'lifecycle': _NAME, 'state': _some(LIFECYCLE_STATES)}, _LEVEL),
    _object({'diagnostics': _TEXT, 'level': {'enum': [*LEVELS]}}, _LEVEL),
    _object({'interval_sec': _number(MIN_INTERVAL_SEC, MAX_SEC)}, {}),
    _object(
        {'cron': {**_TEXT, 'description': 'Minute, hour, day, month, weekday.'}},
        {'missed': {'enum': [each.value for each in Missed], 'default': Missed.SKIP.value}},
    ),
    _object(
        {'script': _TEXT},
        {
            'entity': _like(ENTITY.pattern, MAX_ENTITY_LENGTH),
            'status': _some(FINAL_STATUSES),
            'verdict': _some(VERDICTS),
        },
    ),
    _object({'gateway': {'const': 'started'}}, {}),
]
