# SPDX-License-Identifier: Apache-2.0
"""The kinds of values that a request may hold."""

from typing import Any

from jsonschema import Draft202012Validator
import pytest

from gateway_node.executions.values import StopAction
from gateway_node.http_server.fields import (
    Arguments,
    Choice,
    ExecutionId,
    Field,
    Flag,
    Id,
    Integer,
    JsonObject,
    Number,
    Text,
    ValueRefused,
)

EXECUTION_ID = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
FIELDS: dict[str, Field[Any]] = {
    'text': Text(),
    'id': Id(),
    'execution id': ExecutionId(),
    'integer': Integer(1, 10),
    'number': Number(0.5, 10),
    'integer but 0': Integer(-1, 10, nonzero=True),
    'flag': Flag(),
    'choice': Choice(StopAction),
    'arguments': Arguments(max_items=2, max_bytes=4),
    'object': JsonObject(max_names=2),
}
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    10,
    11,
    -1,
    0.25,
    1.5,
    10.5,
    '',
    'a',
    '-a',
    '.a',
    'a.b-c_d',
    'a' * 257,
    EXECUTION_ID,
    EXECUTION_ID.lower(),
    'stop',
    'STOP',
    'forced_termination',
    [],
    ['a'],
    ['a', 'b', 'c'],
    [1],
    ['abcde'],
    ['a\0'],
    [None],
    {},
    {'a': 1, 'b': None},
    {'a': 1, 'b': 2, 'c': 3},
)


@pytest.mark.parametrize('field', FIELDS.values(), ids=FIELDS.keys())
def test_a_field_takes_what_its_schema_takes(field: Field[Any]) -> None:
    """The schema that is shown is the one that is kept: for no value do they disagree."""
    validator = Draft202012Validator(field.schema())
    Draft202012Validator.check_schema(field.schema())
    taken = [value for value in VALUES if reads(field, value)]
    assert taken == [value for value in VALUES if validator.is_valid(value)]
    assert taken


@pytest.mark.parametrize(('field', 'value'), [(Id(), 'a'), (ExecutionId(), EXECUTION_ID)])
def test_no_line_end_is_part_of_an_id(field: Field[str], value: str) -> None:
    """Where a regular expression is searched for, `$` matches before one."""
    assert reads(field, value)
    assert not reads(field, f'{value}\n')


def reads(field: Field[Any], value: object) -> bool:
    try:
        field.read(value)
    except ValueRefused:
        return False
    return True


@pytest.mark.parametrize('text', ['0', '11', '-1', '+1', ' 1', '1_0', '1.0', '٣', '', '9' * 400])
def test_a_number_in_a_text_is_plain_digits_within_the_range(text: str) -> None:
    """What int() would take besides is refused, with the range."""
    with pytest.raises(ValueRefused, match=r'allowed: (a whole number from )?1 to 10'):
        Integer(1, 10).read_text(text)


@pytest.mark.parametrize('value', [1.5, True, '5', None])
def test_what_is_no_whole_number_is_told_that_one_is_wanted(value: object) -> None:
    """That 1.5 is not within 1 to 10 would help nobody."""
    with pytest.raises(ValueRefused, match=r'allowed: a whole number from 1 to 10$'):
        Integer(1, 10).read(value)


def test_a_number_in_a_text_is_read_as_a_number() -> None:
    """A query has texts only; a text in JSON is no number, and 7.0 is 7."""
    assert Integer(1, 10).read_text('7') == 7
    assert Integer(1, 10).read(7.0) == 7
    with pytest.raises(ValueRefused):
        Integer(1, 10).read('7')


def test_a_number_below_zero_is_read_where_the_range_has_such() -> None:
    """A page of a list is asked for by either sign, and 0 is none."""
    around = Integer(-1000, 1000, nonzero=True)
    assert (around.read_text('-1000'), around.read_text('7')) == (-1000, 7)
    for text in ('0', '-0', '-1001', '--1', '- 1', '-'):
        with pytest.raises(ValueRefused, match=r'allowed: .*-1000 to 1000, but not 0'):
            around.read_text(text)


def test_a_number_may_have_as_many_digits_as_its_bounds_need() -> None:
    """Line numbers do not end with what nine digits hold."""
    assert Integer(0, 2**53).read_text('4294967296') == 2**32


def test_a_flag_in_a_text_is_a_word() -> None:
    """As in JSON, and no other."""
    assert [Flag().read_text(text) for text in ('true', 'false')] == [True, False]
    for text in ('True', '1', 'yes', ''):
        with pytest.raises(ValueRefused, match='allowed: true, false'):
            Flag().read_text(text)


def test_a_choice_is_read_as_its_member() -> None:
    """Handlers get the enum's member, and clients read all values that are allowed."""
    assert Choice(StopAction).read('stop') is StopAction.STOP
    with pytest.raises(ValueRefused, match="is 'halt'; allowed: stop, forced_termination"):
        Choice(StopAction).read('halt')


def test_every_wrong_argument_is_named() -> None:
    """Each by its place; a long one is not repeated."""
    with pytest.raises(ValueRefused) as caught:
        Arguments(max_items=9, max_bytes=50).read(['a', 'b\0', 'c', 'd' * 51])
    assert [violation.path for violation in caught.value.violations] == ['/1', '/3']
    assert all(len(each.reason) < 120 for each in caught.value.violations)


def test_the_bytes_of_an_argument_count() -> None:
    """Linux counts bytes, whatever the characters."""
    assert Arguments(max_items=1, max_bytes=4).read(['éé']) == ('éé',)
    with pytest.raises(ValueRefused):
        Arguments(max_items=1, max_bytes=3).read(['éé'])
