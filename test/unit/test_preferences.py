# SPDX-License-Identifier: Apache-2.0
"""Preferences of clients are read as RFC 7240 writes them, and never refused."""

import time

import pytest

from gateway_node.http_server.preferences import MAX_WAIT_SEC, Wait


@pytest.mark.parametrize(
    ('fields', 'wait_sec'),
    [
        (['wait=10'], 10),
        (['WAIT=10'], 10),
        ([' wait = 10 '], 10),
        (['wait\t=\t10'], 10),
        (['wait="10"'], 10),
        (['wait="1\\0"'], 10),
        (['wait=007'], 7),
        (['respond-async, wait=10'], 10),
        (['respond-async', 'return=minimal', 'wait=10'], 10),
        (['wait=10; foo="some; parameter, more"; bar'], 10),
        (['wait=10;'], 10),
        (['foo; wait=5, wait=10'], 10),
        (['foo="a, wait=5", wait=10'], 10),
        (['foo="a\\", wait=5", wait=10'], 10),
        ([', ,wait=10,'], 10),
        (['wait=3600'], MAX_WAIT_SEC),
        (['wait=3601'], MAX_WAIT_SEC),
        (['wait=' + '9' * 8000], MAX_WAIT_SEC),
    ],
)
def test_a_wait_is_found_among_preferences(fields: list[str], wait_sec: int) -> None:
    """In any case of its letters, quoted or not, in whichever field, with parameters that nobody
    knows; a longer one than an hour is an hour."""
    assert Wait().read_texts(fields) == wait_sec


@pytest.mark.parametrize(
    'fields',
    [
        [''],
        ['wait'],
        ['wait='],
        ['wait=""'],
        ['wait=0'],
        ['wait="00"'],
        ['wait=-1'],
        ['wait=+1'],
        ['wait=1.5'],
        ['wait=1e3'],
        ['wait=ten'],
        ['wait=1_0'],
        ['wait=\u0661'],
        ['wait=10 s'],
        ['wait 10'],
        ['wait:10'],
        ['wait="10'],
        ['wait="10\\'],
        ['foo="a, wait=10'],
        ['foo; wait=10'],
        ['waiting=10'],
        ['return=wait'],
    ],
)
def test_what_is_no_wait_is_ignored(fields: list[str]) -> None:
    """0 too: who does not want to wait is answered at once by itself."""
    assert Wait().read_texts(fields) is None


@pytest.mark.parametrize(
    ('fields', 'wait_sec'),
    [
        (['wait=5, wait=10'], 5),
        (['wait=5', 'wait=10'], 5),
        (['wait=ten, wait=10'], None),
        (['wait=0, wait=10'], None),
        (['wait 5, wait=10'], 10),
        (['foo="', 'wait=10'], 10),
    ],
)
def test_of_several_waits_the_first_counts(fields: list[str], wait_sec: int | None) -> None:
    """RFC 7240, section 2; what is no preference at all is none of them, and a field's quotes end
    with it."""
    assert Wait().read_texts(fields) == wait_sec


@pytest.mark.parametrize(
    'field',
    [
        'wait=1' + ' ' * 8000 + '=',
        '"' * 8000,
        ';' * 8000,
        ('wait=1' + ' ; ' * 2700) + '=',
        '\\"' * 4000,
    ],
)
def test_a_field_that_is_made_to_be_slow_is_not(field: str) -> None:
    """Each is read in one pass: 8000 characters in far less than a second."""
    begun = time.process_time()
    Wait().read_texts([field])
    assert time.process_time() - begun < 1
