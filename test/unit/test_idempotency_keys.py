# SPDX-License-Identifier: Apache-2.0
"""How a key is written, and what counts as the same request."""

from typing import Any

import pytest

from gateway_node.executions.values import ExecutionType
from gateway_node.http_server.fields import ValueRefused
from gateway_node.http_server.once import given_in, Key, MAX_KEY_CHARACTERS
from gateway_node.http_server.request_reader import Reader
from gateway_node.http_server.start_bodies import StartBody


@pytest.mark.parametrize(
    ('text', 'name'),
    [
        ('"8e03978e-40d5-43e8-bc93-6894a57f9324"', '8e03978e-40d5-43e8-bc93-6894a57f9324'),
        ('8e03978e-40d5-43e8-bc93-6894a57f9324', '8e03978e-40d5-43e8-bc93-6894a57f9324'),
        (' "a" ', 'a'),
        ('"a,b;c"', 'a,b;c'),
        (r'"a\"b\\c"', r'a"b\c'),
        ('urn:uuid:1/2=', 'urn:uuid:1/2='),
        ('k' * MAX_KEY_CHARACTERS, 'k' * MAX_KEY_CHARACTERS),
        ('"' + r'\"' * MAX_KEY_CHARACTERS + '"', '"' * MAX_KEY_CHARACTERS),
    ],
)
def test_a_key_is_a_structured_string_or_the_same_without_quotes(text: str, name: str) -> None:
    """RFC 9651, section 3.3.3; with quotes and without it is the same key."""
    assert Key().read_texts([text]) == name


@pytest.mark.parametrize(
    'texts',
    [
        [''],
        ['""'],
        ['k' * (MAX_KEY_CHARACTERS + 1)],
        ['a b'],
        ['"a b"'],
        ['a, b'],
        ['"a", "b"'],
        ['"a";b'],
        ['"a'],
        ['a"'],
        [r'"a\b"'],
        ['a\\'],
        ['clé'],
        ['"a\x7f"'],
        ['a', 'b'],
    ],
)
def test_what_is_no_key_is_refused(texts: list[str]) -> None:
    """Two keys, and what proxies and logs could write in several ways."""
    with pytest.raises(ValueRefused, match=r'allowed: (1 to 255 visible|once)'):
        Key().read_texts(texts)


def test_what_a_body_leaves_out_is_what_it_says_by_default() -> None:
    """A request is the same whether or not it writes the defaults, also after an update of the
    gateway that knows more fields."""
    reader = Reader(StartBody)
    bare = {'execution_type': 'now'}
    by_default: dict[str, Any] = bare | {
        'parameters': {},
        'arguments': [],
        'proximity_response': None,
    }
    given = {'execution_type': ExecutionType.NOW}
    assert given_in(reader.read_body(bare)) == given
    assert given_in(reader.read_body(by_default)) == given
    more: dict[str, Any] = {'parameters': {'b': 1, 'a': 2}, 'arguments': ['-v']}
    assert given_in(reader.read_body(bare | more)) == given | {
        'parameters': {'b': 1, 'a': 2},
        'arguments': ('-v',),
    }
