# SPDX-License-Identifier: Apache-2.0
"""Patterns of entities' paths."""

import time

import pytest

from gateway_node.executions.globs import paths_like

PATHS = ('apps/arm', 'apps/arm_2', 'apps/a.r-m', 'components/arm', 'apps/' + 'a' * 200)
SOON_SEC = 5.0
"""Thousands of times as long as it takes."""


def matched(*patterns: str) -> set[str]:
    """Return the paths that patterns match."""
    return {*paths_like(patterns, PATHS)}


@pytest.mark.parametrize(
    ('pattern', 'meant'),
    [
        ('apps/arm', {'apps/arm'}),
        ('apps/arm*', {'apps/arm', 'apps/arm_2'}),
        ('apps/?rm', {'apps/arm'}),
        ('apps/a?r?m', {'apps/a.r-m'}),
        ('*arm', {'apps/arm', 'components/arm'}),
        ('a*s/*r*m', {'apps/arm', 'apps/a.r-m'}),
        ('apps/a.rm', set()),
        ('[ac]*', set()),
        ('', set()),
        ('*', {*PATHS}),
    ],
)
def test_a_pattern_is_taken_as_it_is_but_for_two_signs(pattern: str, meant: set[str]) -> None:
    """`*` is any text, `?` one character, and all else is itself: no character classes."""
    assert matched(pattern) == meant


def test_no_pattern_matches_nothing() -> None:
    """Which is something else than no filter."""
    assert matched() == set()


def test_several_patterns_are_alternatives() -> None:
    """A path is found where one of them matches."""
    assert matched('*/arm', 'apps/arm_?') == {'apps/arm', 'components/arm', 'apps/arm_2'}


@pytest.mark.parametrize('pattern', ['*' * 500 + 'z', '*?' * 250 + 'z', '*a' * 100 + 'z'])
def test_no_pattern_takes_long(pattern: str) -> None:
    """One that is tried in every way would take longer than anybody waits."""
    begun = time.monotonic()
    assert matched(pattern) == set()
    assert time.monotonic() - begun < SOON_SEC
