# SPDX-License-Identifier: Apache-2.0
"""What is shown of a document that holds secrets."""

from typing import Any

import pytest

from gateway_node.masking import looks_secret, MASK, masked, names_in

DOCUMENT: dict[str, Any] = {
    'a': 1,
    'b': {'c': 'x', 'd': [1, {'e': 'y'}]},
    'f/~g': 2,
    '': 3,
}


@pytest.mark.parametrize(
    ('pointers', 'shown'),
    [
        ((), DOCUMENT),
        (('/a',), DOCUMENT | {'a': MASK}),
        (('/b',), DOCUMENT | {'b': MASK}),
        (('/b/c', '/b/d/1/e'), DOCUMENT | {'b': {'c': MASK, 'd': [1, {'e': MASK}]}}),
        (('/b/d/0',), DOCUMENT | {'b': {'c': 'x', 'd': [MASK, {'e': 'y'}]}}),
        (('/f~1~0g',), DOCUMENT | {'f/~g': MASK}),
        (('/',), DOCUMENT | {'': MASK}),
        (('',), dict.fromkeys(DOCUMENT, MASK)),
        (('/x', '/a/b', '/b/d/7', '/b/d/x'), DOCUMENT),
        (('/b', '/b/c'), DOCUMENT | {'b': MASK}),
    ],
)
def test_a_mask_stands_at_each_place(pointers: tuple[str, ...], shown: dict[str, Any]) -> None:
    """At any depth, whatever the type; a place that is not there is none. The document stays."""
    before = repr(DOCUMENT)
    assert masked(DOCUMENT, pointers) == shown
    assert repr(DOCUMENT) == before


def test_the_names_are_those_of_members_that_are_or_hold_a_secret() -> None:
    """All of them where the whole is one."""
    assert names_in(('/b/c', '/b/d', '/f~1~0g'), DOCUMENT) == {'b', 'f/~g'}
    assert names_in(('',), DOCUMENT) == DOCUMENT.keys()
    assert names_in((), DOCUMENT) == set()


@pytest.mark.parametrize(
    ('name', 'value', 'secret'),
    [
        ('API_KEY', 'x', True),
        ('db_password', 'x', True),
        ('GITHUB_TOKEN', 'x', True),
        ('UPSTREAM', 'https://me:word@host/path', True),
        ('UPSTREAM', 'https://host/path', False),
        ('KEYBOARD', 'de', False),
        ('COMPASS_TOPIC', '/compass', False),
        ('FCU_URL', 'udp://:14540@robot', False),
    ],
)
def test_what_looks_like_a_secret_is_told_by_name_or_value(
    name: str, value: str, secret: bool
) -> None:
    """Where nobody declared which values are secret."""
    assert looks_secret(name, value) is secret
