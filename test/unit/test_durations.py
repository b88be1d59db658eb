# SPDX-License-Identifier: Apache-2.0
"""What is kept of many durations."""

import math

from hypothesis import example, given
from hypothesis import strategies as st
import pytest

from gateway_node.executions.durations import (
    Durations,
    histogram_from_bytes,
    histogram_to_bytes,
    NO_DURATIONS,
)

TEN_YEARS_MS = 10 * 366 * 24 * 3600 * 1000
DURATION = st.one_of(st.integers(0, 100), st.integers(0, TEN_YEARS_MS))
DURATIONS = st.lists(DURATION, min_size=1, max_size=200)


@given(durations=DURATIONS, share=st.sampled_from([0.5, 0.95]))
@example(durations=[0], share=0.5)
@example(durations=[1], share=0.95)
@example(durations=[0, 1, TEN_YEARS_MS], share=0.5)
@example(durations=[16, 17], share=0.5)
def test_a_quantile_is_within_five_percent_of_the_exact_one(
    durations: list[int], share: float
) -> None:
    """The exact one is the least duration that so many do not exceed."""
    exact = sorted(durations)[math.ceil(share * len(durations)) - 1]
    found = Durations.of(*durations).quantile_ms(share)
    assert found == pytest.approx(exact, rel=0.05, abs=0)
    assert isinstance(found, float), 'JSON would write a whole number for some'


@given(parts=st.lists(st.lists(DURATION, max_size=20), max_size=10))
def test_what_is_kept_of_parts_adds_up(parts: list[list[int]]) -> None:
    """Sums, extremes and histogram are those of all durations, in whatever parts they came."""
    together = sum((Durations.of(*part) for part in parts), NO_DURATIONS)
    assert together == Durations.of(*(each for part in parts for each in part))


@given(durations=st.lists(DURATION, max_size=50))
def test_a_histogram_is_stored_and_read(durations: list[int]) -> None:
    """Nothing of it is lost."""
    histogram = Durations.of(*durations).histogram
    assert histogram_from_bytes(histogram_to_bytes(histogram)) == histogram


def test_a_script_that_takes_the_same_time_takes_few_bytes() -> None:
    """A row that counts them all is as short as one that counts a single one, nearly."""
    histogram = Durations.of(*[60_000] * 100_000).histogram
    assert len(histogram_to_bytes(histogram)) <= 7


def test_of_nothing_nothing_is_known() -> None:
    """No duration is no zero."""
    assert Durations.of() == NO_DURATIONS
    assert (NO_DURATIONS.mean_ms, NO_DURATIONS.quantile_ms(0.5)) == (None, None)
