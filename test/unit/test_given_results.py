# SPDX-License-Identifier: Apache-2.0
"""What a script gave or printed as its result, as the gateway reads it."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, strategies
import pytest

from gateway_node.child.contract import GIVEN_RESULT_FILE
from gateway_node.process.outcomes import printed_object, read_given_result

MARK = b'\xef\xbb\xbf'


@pytest.mark.parametrize('result', [{}, {'a': 1.5, 'b': [None, True, 'ü']}])
@pytest.mark.parametrize('mark', [b'', MARK])
def test_a_json_object_is_the_result(tmp_path: Path, result: object, mark: bytes) -> None:
    """Whatever wrote the file, with no complaint."""
    (tmp_path / GIVEN_RESULT_FILE).write_bytes(mark + json.dumps(result).encode())
    assert read_given_result(tmp_path) == (result, '')


def test_no_file_is_no_result(tmp_path: Path) -> None:
    """Most scripts give none."""
    assert read_given_result(tmp_path) == (None, '')


@pytest.mark.parametrize(
    ('content', 'complaint'),
    [
        ('', 'is no JSON: Expecting value: line 1 column 1 (char 0)'),
        ('[]', 'is no JSON object'),
        ('{"a": NaN}', 'has NaN, Infinity or a number that is too large, at /a'),
        ('{"a": [-1e999]}', 'has NaN, Infinity or a number that is too large, at /a/0'),
        ('{"a": "\\ud800"}', 'has a text with a lone surrogate, at /a'),
        ('{"a": 1, "a": 2}', 'has a name twice, at /a'),
        ('{"a":' * 200 + '1' + '}' * 200, f'is nested deeper than 64 levels, at {"/a" * 64}'),
        ('{"a":' * 100_000, 'is nested deeper than 64 levels'),
        ('{"a": ' + '9' * 5000 + '}', 'has a whole number of more than 4300 digits, at /a'),
        ('"' + 'x' * 2_000_000 + '"', 'is longer than 1048576 bytes'),
    ],
    ids=lambda text: text[:20],
)
def test_what_cannot_be_served_again_is_no_result(
    tmp_path: Path, content: str, complaint: str
) -> None:
    """A complaint says why, in one line; the execution stays readable."""
    (tmp_path / GIVEN_RESULT_FILE).write_text(content)
    assert read_given_result(tmp_path) == (None, f"the script's result {complaint}")


@given(
    strategies.dictionaries(
        strategies.text(),
        strategies.recursive(
            strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
            lambda inner: strategies.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=3,
    ),
    strategies.sampled_from([b'', MARK]),
)
def test_a_printed_json_object_is_a_result(printed: dict[str, Any], mark: bytes) -> None:
    """Where all of stdout is one object, white space around it aside."""
    content = mark + b' \n' + json.dumps(printed).encode() + b'\n'
    assert printed_object(content) == (printed, '')


@pytest.mark.parametrize(
    'stdout',
    [
        None,
        b'',
        b'[]',
        b'7',
        b'"text"',
        b'[NaN]',
        b'{"a": 1} and more',
        b'{"a": 1}{"b": 2}',
        b'{a: 1}',
        b'{"a": \xff}',
    ],
)
def test_a_text_is_no_result_and_no_reason_to_complain(stdout: bytes | None) -> None:
    """Most scripts print what people read."""
    assert printed_object(stdout) == (None, '')


@pytest.mark.parametrize(
    ('stdout', 'complaint'),
    [
        (b'{"a": NaN}', 'has NaN, Infinity or a number that is too large, at /a'),
        (b'{"a": [{"b": 1e400}]}', 'has NaN, Infinity or a number that is too large, at /a/0/b'),
        (b'{"a": "\\ud800"}', 'has a text with a lone surrogate, at /a'),
        (b'{"a": 1, "b": {"c": 1, "c": 1}}', 'has a name twice, at /b/c'),
        (b'{"a": ' + b'9' * 5000 + b'}', 'has a whole number of more than 4300 digits, at /a'),
        (b'{"a": ' + b'[' * 100_000 + b']' * 100_000 + b'}', 'is nested deeper than 64 levels'),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_an_object_that_cannot_be_served_again_is_said_to_be_none(
    stdout: bytes, complaint: str
) -> None:
    """1e400 would come back as Infinity, which is no JSON: the execution must stay readable."""
    sentence = f'the JSON object on stdout {complaint}; it is told as text'
    assert printed_object(stdout) == (None, sentence)
