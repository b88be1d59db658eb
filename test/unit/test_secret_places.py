# SPDX-License-Identifier: Apache-2.0
"""Where secrets are in parameters, and that no word about these quotes one; pure functions."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.child.messages import SchemaQuestion
from gateway_node.child.schema.schema_check import answer, check_parameters, schema_violations
from gateway_node.child.schema.secret_places import MAX_SECRETS
from gateway_node.masking import MASK

SEED = 'hunter2-8b1f'
SECRET = {'writeOnly': True}
PASSWORD = {'type': 'string', 'format': 'password'}


@pytest.mark.parametrize(
    ('schema', 'parameters', 'places'),
    [
        ({}, {'a': 1}, []),
        ({'properties': {'a': {'writeOnly': False}}}, {'a': 1}, []),
        ({'properties': {'a': {'format': 'email'}}}, {'a': 'x'}, []),
        (
            {'properties': {'a': SECRET, 'b': PASSWORD, 'c': {}}},
            {'a': 1, 'b': 'x', 'c': 2},
            ['/a', '/b'],
        ),
        ({'properties': {'a': SECRET}}, {}, []),
        ({'properties': {'a': SECRET}}, {'a': None}, ['/a']),
        ({'properties': {'a': SECRET}}, {'a': {'b': [1]}}, ['/a']),
        ({'properties': {'a': {'properties': {'b': SECRET}}}}, {'a': {'b': 1, 'c': 2}}, ['/a/b']),
        ({'properties': {'a': {'items': SECRET}}}, {'a': [1, 2]}, ['/a/0', '/a/1']),
        ({'properties': {'a': {'prefixItems': [{}, SECRET]}}}, {'a': [1, 2, 3]}, ['/a/1']),
        ({'properties': {'a': {'prefixItems': [{}], 'items': SECRET}}}, {'a': [1, 2]}, ['/a/1']),
        ({'properties': {'a': {'contains': SECRET}}}, {'a': [1]}, ['/a/0']),
        ({'properties': {'a': {'unevaluatedItems': SECRET}}}, {'a': [1]}, ['/a/0']),
        ({'patternProperties': {'^key_': SECRET}}, {'key_1': 1, 'a': 2}, ['/key_1']),
        ({'additionalProperties': SECRET, 'properties': {'a': {}}}, {'a': 1, 'b': 2}, ['/b']),
        (
            {'additionalProperties': SECRET, 'patternProperties': {'a': {}}},
            {'a': 1, 'b': 2},
            ['/b'],
        ),
        ({'unevaluatedProperties': SECRET}, {'a': 1}, ['/a']),
        ({'properties': {'a': {'$ref': '#/$defs/s'}}, '$defs': {'s': SECRET}}, {'a': 1}, ['/a']),
        (
            {'properties': {'a': {'$ref': '#s'}}, '$defs': {'x': {'$anchor': 's', **SECRET}}},
            {'a': 1},
            ['/a'],
        ),
        (
            {
                'properties': {'a': {'$dynamicRef': '#s'}},
                '$defs': {'x': {'$dynamicAnchor': 's', **SECRET}},
            },
            {'a': 1},
            ['/a'],
        ),
        ({'properties': {'a': {'allOf': [{}, {'anyOf': [False, SECRET]}]}}}, {'a': 1}, ['/a']),
        ({'properties': {'a': {'oneOf': [{'type': 'null'}, SECRET]}}}, {'a': None}, ['/a']),
        ({'allOf': [{'properties': {'a': SECRET}}]}, {'a': 1}, ['/a']),
        (
            {'if': {'properties': {'a': {'const': 9}}}, 'then': {'properties': {'b': SECRET}}},
            {'a': 1, 'b': 2},
            ['/b'],
        ),
        ({'if': {}, 'else': {'properties': {'b': SECRET}}}, {'b': 2}, ['/b']),
        ({'not': {'properties': {'b': {'type': 'null', **SECRET}}}}, {'b': 2}, ['/b']),
        ({'dependentSchemas': {'zz': {'properties': {'b': SECRET}}}}, {'b': 2}, ['/b']),
        ({'properties': {'a': {'propertyNames': SECRET}}}, {'a': {'x': 1}}, ['/a']),
        (
            {'properties': {'a': {'contentSchema': {'properties': {'b': SECRET}}}}},
            {'a': '{"b":1}'},
            ['/a'],
        ),
        ({**SECRET}, {'a': 1}, ['']),
        ({'properties': {'a/~b': SECRET}}, {'a/~b': 1}, ['/a~1~0b']),
        (
            {'properties': {'properties': SECRET, '$ref': {}}},
            {'properties': 1, '$ref': 2},
            ['/properties'],
        ),
        (
            {'properties': {'a': {'default': {'writeOnly': True}, 'const': {'writeOnly': True}}}},
            {'a': {'writeOnly': True}},
            [],
        ),
        ({'$defs': {'unused': SECRET}}, {'a': 1, 'unused': 2}, []),
        (
            {'properties': {'next': {'$ref': '#'}, 'key': PASSWORD}},
            {'next': {'next': {'key': 'x'}}, 'key': 'y'},
            ['/next/next/key', '/key'],
        ),
    ],
)
def test_a_secret_is_wherever_a_mark_may_apply(
    schema: dict[str, Any], parameters: dict[str, Any], places: list[str]
) -> None:
    """Through all that makes a subschema apply, whether it fits or not; nowhere else."""
    assert schema_violations(schema) == []
    assert sorted(check_parameters(schema, parameters).secrets) == sorted(places)


MISFITS: tuple[dict[str, Any], ...] = (
    {'type': 'integer'},
    {'const': 1},
    {'enum': [1, 2]},
    {'pattern': '^$'},
    {'maxLength': 2},
    {'not': {}},
    {'anyOf': [{'type': 'null'}, {'maxLength': 2}]},
    {'oneOf': [{}, {'type': 'string'}]},
    {'allOf': [{'const': 1}]},
    {'if': {}, 'then': False},
    {'$ref': '#/$defs/never'},
    {'$ref': '#/$defs/number'},
)
AROUND: tuple[dict[str, Any], ...] = (
    {'const': 1},
    {'type': 'array'},
    {'enum': [{}]},
    {'minProperties': 9},
    {'maxProperties': 0},
    {'not': {}},
    {'anyOf': [False, {'type': 'null'}]},
    {'oneOf': [{}, {}]},
    {'unevaluatedProperties': False},
    {'required': ['absent']},
    {'dependentRequired': {'key': ['absent']}},
    {'additionalProperties': False},
    {'propertyNames': {'maxLength': 1}},
)
VALUES: tuple[Any, ...] = (SEED, [SEED], {SEED: 1}, {'x': [SEED]})


@pytest.mark.parametrize('value', VALUES, ids=json.dumps)
@pytest.mark.parametrize('misfit', MISFITS, ids=json.dumps)
def test_what_does_not_fit_is_told_without_the_secret(misfit: dict[str, Any], value: Any) -> None:
    """Messages of jsonschema quote values; a secret's place and the keyword must do."""
    schema = {
        'properties': {'key': {'writeOnly': True, **misfit}},
        '$defs': {'never': False, 'number': {'type': 'number'}},
    }
    told = answer(SchemaQuestion(schema=schema, parameters={'key': value}))
    assert SEED not in json.dumps(told)
    for place, reason in told['violations']:
        assert place == '/key'
        assert reason.startswith('is a secret, and does not fit its ')


@pytest.mark.parametrize('value', VALUES, ids=json.dumps)
@pytest.mark.parametrize('around', AROUND, ids=json.dumps)
def test_what_holds_a_secret_is_told_without_it(around: dict[str, Any], value: Any) -> None:
    """As is what a secret is in; names of properties that are missing, or too many, are told."""
    inner = {'properties': {'key': SECRET}, **around}
    schema = {'properties': {'login': inner, 'logins': {'items': inner, 'uniqueItems': True}}}
    login = {'key': value, 'user': 'anna'}
    told = answer(
        SchemaQuestion(schema=schema, parameters={'login': login, 'logins': [login, login]})
    )
    assert SEED not in json.dumps(told)
    assert {place for place, _ in told['violations']} >= {'/login', '/logins', '/logins/0'}
    if 'required' in around:
        assert ['/login', "'absent' is a required property"] in map(list, told['violations'])


def test_the_mask_is_no_secret() -> None:
    """Who sends back what they read would start a script with it; other text may be like it."""
    schema = {'properties': {'pin': {'type': 'integer', 'writeOnly': True}}}
    violations, _ = check_parameters(schema, {'pin': MASK, 'note': MASK})
    assert violations == [
        ('/pin', 'is what stands for a secret; allowed: the secret itself, which is not kept')
    ]


def test_there_are_only_so_many_secrets() -> None:
    """Their places go along with the start."""
    schema = {'properties': {'keys': {'items': SECRET}}}
    assert check_parameters(schema, {'keys': [1] * MAX_SECRETS}).violations == []
    [(place, reason)] = check_parameters(schema, {'keys': [1] * (MAX_SECRETS + 1)}).violations
    assert (place, reason) == ('', 'has 1001 secrets; allowed: at most 1000')


def test_a_check_that_stumbles_says_nothing_of_what_it_stumbled_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever jsonschema puts into its words."""

    def stumble(*_: object) -> None:
        raise LookupError(SEED)

    monkeypatch.setattr('gateway_node.child.schema.schema_check.SchemaWalk.resolve', stumble)
    question = SchemaQuestion(schema={'properties': {'a': SECRET}}, parameters={'a': SEED})
    assert answer(question) == {'failed': 'LookupError'}


MARKED = st.sampled_from([{'writeOnly': True}, {'format': 'password'}])
PLAIN = st.sampled_from(
    [{}, True, {'type': 'string'}, {'maxLength': 1}, {'not': {}}, {'const': 0}]
)
NAMES = st.sampled_from(['a', 'b', 'c'])
SCHEMAS = st.recursive(
    MARKED | PLAIN,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, min_size=1).map(lambda p: {'properties': p}),
        inner.map(lambda s: {'items': s}),
        inner.map(lambda s: {'additionalProperties': s}),
        st.tuples(
            st.sampled_from(['allOf', 'anyOf', 'oneOf', 'prefixItems']),
            st.lists(inner, min_size=1, max_size=3),
        ).map(lambda pair: dict([pair])),
        st.tuples(st.sampled_from(['not', 'if', 'contains']), inner).map(lambda p: dict([p])),
    ),
    max_leaves=8,
)
DOCUMENTS = st.recursive(
    st.sampled_from([SEED, 'plain', 1, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(NAMES, SCHEMAS, min_size=1), st.dictionaries(NAMES, DOCUMENTS))
def test_whatever_is_a_secret_no_message_quotes_it(
    properties: dict[str, Any], document: dict[str, Any]
) -> None:
    """Seeds that stand in secrets alone are in nothing that is answered."""
    checked = check_parameters({'properties': properties}, document)
    seeded = _leaves(document, '', SEED)
    if seeded and all(any(f'{at}/'.startswith(f'{s}/') for s in checked.secrets) for at in seeded):
        assert SEED not in json.dumps(checked)


def _leaves(value: Any, at: str, wanted: str) -> list[str]:
    if value == wanted:
        return [at]
    items: list[tuple[object, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [place for key, item in items for place in _leaves(item, f'{at}/{key}', wanted)]
