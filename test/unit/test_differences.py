# SPDX-License-Identifier: Apache-2.0
"""In what two JSON values differ."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.evidence.differences import (
    difference_of,
    MAX_DIFFERENCES,
    MAX_VALUE_CHARACTERS,
    Sides,
)

SIDES = Sides(one='this', other='other')
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=3),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=2), values),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ('one', 'other', 'differences'),
    [
        ({'a': 1}, {'a': 1}, []),
        ({'a': {'b/c': 1}}, {'a': {'b/c': 2}}, [{'path': '/a/b~1c', 'this': 1, 'other': 2}]),
        ({'a': 1}, {}, [{'path': '/a', 'this': 1}]),
        ({}, {'a': None}, [{'path': '/a', 'other': None}]),
        ({'a': [1, 2]}, {'a': [1, 3]}, [{'path': '/a', 'this': [1, 2], 'other': [1, 3]}]),
        ({'a': {'b': 1}}, {'a': 1}, [{'path': '/a', 'this': {'b': 1}, 'other': 1}]),
        ({'a': True}, {'a': 1}, [{'path': '/a', 'this': True, 'other': 1}]),
        ({'a': [True]}, {'a': [1]}, [{'path': '/a', 'this': [True], 'other': [1]}]),
    ],
)
def test_each_difference_has_its_place_and_both_values(
    one: Any, other: Any, differences: list[Any]
) -> None:
    """By JSON Pointer; a side that has nothing there is left out."""
    assert difference_of(one, other, SIDES) == {
        'same': not differences,
        'differences': differences,
    }


@given(VALUES, VALUES)
def test_what_is_equal_has_no_differences_and_only_that(one: Any, other: Any) -> None:
    """Whatever the values."""
    assert difference_of(one, one, SIDES)['same']
    there = difference_of(one, other, SIDES)
    back = difference_of(other, one, SIDES)
    assert there['same'] == back['same']
    assert sorted(each['path'] for each in there['differences']) == sorted(
        each['path'] for each in back['differences']
    )


def test_what_is_told_is_bounded() -> None:
    """What is beyond is counted, and a long value is told by its beginning."""
    one = {str(number): number for number in range(MAX_DIFFERENCES + 7)}
    found = difference_of(one, {}, SIDES)
    assert (len(found['differences']), found['more']) == (MAX_DIFFERENCES, 7)
    (long,) = difference_of({'a': 'x' * 5000}, {'a': 1}, SIDES)['differences']
    assert len(long['this']) == MAX_VALUE_CHARACTERS + 1
    assert long['this'].endswith('…')
