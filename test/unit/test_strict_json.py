# SPDX-License-Identifier: Apache-2.0
"""The one way in which JSON from outside is read: what it takes, what it refuses, and why."""

import contextlib
import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.strict_json import check, JsonRefused, MAX_DEPTH, MAX_DIGITS, NotJson, parse

DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(), values, max_size=4),
    max_leaves=20,
)
MARK = b'\xef\xbb\xbf'


@given(DOCUMENTS, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([b'', MARK]))
def test_what_json_says_is_what_is_read(
    document: Any, ascii_only: bool, indent: int | None, mark: bytes
) -> None:
    """Any value, however it is written, a byte order mark before it or none."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert parse(mark + text.encode()) == document
    check(document)


@given(st.binary(max_size=20) | st.text('{}[]",:\\u0d8e1-.NaInfty ', max_size=20).map(str.encode))
def test_what_is_taken_can_be_served(content: bytes) -> None:
    """Whatever the bytes: there is a value that UTF-8 can carry, or one kind of error."""
    with contextlib.suppress(JsonRefused):
        value = parse(content)
        assert parse(json.dumps(value, ensure_ascii=False, allow_nan=False).encode()) == value


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('{"a": 1, "b": 2, "a": 1}', 'has a name twice, at /a'),
        ('{"p": [0, {"x/y": {"b": 1, "\\u0062": 2}}]}', 'has a name twice, at /p/1/x~1y/b'),
        ('{"a": {"b": 1, "b": 1}, "a": 2}', 'has a name twice, at /a'),
        ('{"a": [NaN]}', 'has NaN, Infinity or a number that is too large, at /a/0'),
        ('-Infinity', 'has NaN, Infinity or a number that is too large'),
        ('[1e999]', 'has NaN, Infinity or a number that is too large, at /0'),
        (f'[0, -{"9" * 4301}]', 'has a whole number of more than 4300 digits, at /1'),
        ('{"a": "\\ud800"}', 'has a text with a lone surrogate, at /a'),
        ('{"a": {"\\udfff": 1}}', 'has a text with a lone surrogate, at /a/\\udfff'),
        ('[' * 65 + ']' * 65, f'is nested deeper than 64 levels, at {"/0" * 64}'),
        ('{"a":' * 200 + '1' + '}' * 200, f'is nested deeper than 64 levels, at {"/a" * 64}'),
    ],
)
def test_what_breaks_a_bound_is_named_with_its_place(text: str, reason: str) -> None:
    """It is JSON, so that whoever wrote it is told what is not taken of it."""
    with pytest.raises(JsonRefused) as refused:
        parse(text.encode())
    assert str(refused.value) == reason
    assert not isinstance(refused.value, NotJson)


@pytest.mark.parametrize(
    'content',
    [b'', b'{', b'{}{}', b"{'a': 1}", b'{"a": 1,}', b'"\n"', b'[01]', MARK + MARK + b'{}', b'\0'],
)
def test_what_is_no_json_is_said_to_be_none(content: bytes) -> None:
    """A text that begins like an object may be meant as a text."""
    with pytest.raises(NotJson, match='is no JSON'):
        parse(content)


@pytest.mark.parametrize(
    'content', [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', '{}'.encode('utf-16')]
)
def test_what_is_no_utf_8_is_said_to_be_none(content: bytes) -> None:
    """No other encoding is guessed."""
    with pytest.raises(NotJson, match='is not UTF-8'):
        parse(content)


@pytest.mark.parametrize(
    'content',
    [
        b'{"a":' * 985 + b'1' + b'}' * 985,
        b'[' * 10**6,
        b'{"a":' * 200_000,
        b'[{"a":' * 150_000,
        b'1' * 10**6,
        b'-' + b'1' * 10**6,
    ],
    ids=[
        'just short of an error of recursion',
        'arrays',
        'objects',
        'both',
        'digits',
        'negative digits',
    ],
)
def test_no_input_is_too_much(content: bytes) -> None:
    """Neither an error of recursion nor time that grows with the square."""
    with pytest.raises(JsonRefused):
        parse(content)


def test_the_bounds_themselves_are_within() -> None:
    """As deep and as long as is said."""
    deep = '[' * MAX_DEPTH + '0' + ']' * MAX_DEPTH
    assert json.dumps(parse(deep.encode())) == deep
    for digits in ('9' * MAX_DIGITS, '-' + '9' * MAX_DIGITS):
        assert str(parse(digits.encode())) == digits
    assert parse(b'{"a": 1, "A": 2, "b": {"a": 3}}') == {'a': 1, 'A': 2, 'b': {'a': 3}}


@pytest.mark.parametrize(
    'value', [math.nan, [math.inf], {'a': 10**MAX_DIGITS}, {'\ud800': 1}, ['\udc80']]
)
def test_values_that_came_another_way_are_held_to_the_same(value: Any) -> None:
    """YAML has numbers and texts that JSON has not."""
    with pytest.raises(JsonRefused):
        check(value)
