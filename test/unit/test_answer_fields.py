# SPDX-License-Identifier: Apache-2.0
"""Fields that every answer has unless it has its own."""

from gateway_node.http_server.answer_fields import CommonFields

COMMON = CommonFields({'A': '1', 'B': '2'}, vary='Origin')


def test_an_answer_gets_what_it_does_not_have() -> None:
    """Its own goes before what all have."""
    assert COMMON.lines_beside({'C'}) == ('A: 1', 'B: 2', 'Vary: Origin')
    assert COMMON.lines_beside({'B', 'C'}) == ('A: 1', 'Vary: Origin')


def test_what_an_answer_varies_by_is_added_to() -> None:
    """A list may stand in several fields of one name (RFC 9110, section 5.3)."""
    assert COMMON.lines_beside({'Vary'}) == ('A: 1', 'B: 2', 'Vary: Origin')
