# SPDX-License-Identifier: Apache-2.0
"""Patterns of entities' paths."""

import fnmatch
import time

from hypothesis import given, strategies
import pytest

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.storage.conditions import with_paths

PATHS = ('apps/arm', 'apps/arm_2', 'apps/a.r-m', 'components/arm', 'apps/' + 'a' * 200)
SOON_SEC = 5.0
"""Thousands of times as long as it takes."""


def matched(*patterns: str) -> set[str]:
    """Return the paths that patterns match."""
    return {*(with_paths(ExecutionFilter(entities=frozenset(patterns)), PATHS).entities or ())}


@given(strategies.text(alphabet='apsrm_2/*?.', max_size=12))
def test_a_pattern_means_what_it_does_in_a_shell(pattern: str) -> None:
    """`*` is any text, `?` one character, and all else is itself."""
    meant = {each for each in PATHS if fnmatch.fnmatchcase(each, pattern)}
    assert matched(pattern) == meant


def test_several_patterns_are_alternatives() -> None:
    """A path is found where one of them matches."""
    assert matched('*/arm', 'apps/arm_?') == {'apps/arm', 'components/arm', 'apps/arm_2'}


@pytest.mark.parametrize('pattern', ['*' * 500 + 'z', '*?' * 250 + 'z', '*a' * 100 + 'z'])
def test_no_pattern_takes_long(pattern: str) -> None:
    """One that is tried in every way would take longer than anybody waits."""
    begun = time.monotonic()
    assert matched(pattern) == set()
    assert time.monotonic() - begun < SOON_SEC
