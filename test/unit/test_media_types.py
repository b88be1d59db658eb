# SPDX-License-Identifier: Apache-2.0
"""Which media type a client gets."""

import pytest

from gateway_node.http_server.media_types import MediaType

OFFERED = MediaType('application/json', 'text/csv', 'text/plain')
BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'


@pytest.mark.parametrize(
    ('accept', 'chosen'),
    [
        ('', 'application/json'),
        ('*/*', 'application/json'),
        (BROWSER, 'application/json'),
        ('text/csv', 'text/csv'),
        ('TEXT/CSV ; Q=0.5', 'text/csv'),
        ('text/plain; charset=utf-8', 'text/plain'),
        ('text/*', 'text/csv'),
        ('text/*;q=0.5, text/plain;q=0.9', 'text/plain'),
        ('text/csv;q=0.5, application/json;q=0.4', 'text/csv'),
        ('text/csv, */*', 'text/csv'),
        ('*/*, text/plain', 'text/plain'),
        ('text/*, text/csv;q=0', 'text/plain'),
        ('application/json, text/csv', 'application/json'),
        ('text/csv, application/json', 'application/json'),
    ],
)
def test_the_most_wanted_is_chosen(accept: str, chosen: str) -> None:
    """By quality; then what is named itself goes before a range; then the order of the route."""
    assert OFFERED.read(accept) == chosen


@pytest.mark.parametrize('accept', ['image/png', 'text/csv;q=0', '*/*;q=0', ',;=,', 'text'])
def test_who_wants_nothing_that_is_offered_gets_the_first(accept: str) -> None:
    """JSON is what there has always been, and an answer is worth more than 406."""
    assert OFFERED.read(accept) == 'application/json'


def test_several_headers_are_one_list() -> None:
    """RFC 9110, section 5.3."""
    assert OFFERED.read_texts(['image/png', 'text/csv']) == 'text/csv'
