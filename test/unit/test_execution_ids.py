# SPDX-License-Identifier: Apache-2.0
"""Ids of executions grow strictly, whatever the clock and the past say."""

import datetime
import re

from hypothesis import given, strategies

from gateway_node.executions.ids import ExecutionIds, number_of, PREFIX

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
MOMENTS = strategies.datetimes(
    min_value=datetime.datetime(1970, 1, 1),
    max_value=datetime.datetime(9999, 12, 31),
    timezones=strategies.just(datetime.UTC),
)


def test_an_id_is_a_ulid_with_its_time_in_front() -> None:
    """`exec_` and 26 characters of Crockford's base 32; the first ten are the milliseconds."""
    given_id = ExecutionIds().next(NOW)
    assert re.fullmatch(r'exec_[0-9A-HJKMNP-TV-Z]{26}', given_id)
    milliseconds = 0
    for character in given_id.removeprefix(PREFIX)[:10]:
        milliseconds = milliseconds * 32 + '0123456789ABCDEFGHJKMNPQRSTVWXYZ'.index(character)
    assert milliseconds == NOW.timestamp() * 1000


@given(strategies.lists(MOMENTS, min_size=1, max_size=20))
def test_ids_grow_whatever_the_clock_does(moments: list[datetime.datetime]) -> None:
    """Each is greater than the one before, as text, also where the clock jumps back."""
    ids = ExecutionIds()
    made = [ids.next(moment) for moment in moments]
    assert made == sorted(set(made))


@given(MOMENTS, MOMENTS)
def test_ids_grow_over_a_restart(before: datetime.datetime, after: datetime.datetime) -> None:
    """The next life begins past the greatest id of the last one."""
    last = ExecutionIds().next(before)
    assert ExecutionIds(last).next(after) > last


def test_ids_of_one_moment_differ() -> None:
    """A thousand in the same millisecond are a thousand."""
    ids = ExecutionIds()
    made = [ids.next(NOW) for _ in range(1000)]
    assert made == sorted(set(made))


def test_two_gateways_give_different_ids() -> None:
    """The random part keeps gateways on several hosts apart."""
    assert ExecutionIds().next(NOW) != ExecutionIds().next(NOW)


@given(strategies.lists(MOMENTS, min_size=1, max_size=20))
def test_each_id_has_a_number_that_grows_with_it(moments: list[datetime.datetime]) -> None:
    """63 bits: a database orders by it."""
    ids = ExecutionIds()
    numbers = [number_of(ids.next(moment)) for moment in moments]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < 1 << 63


def test_an_id_is_pending_until_it_is_settled() -> None:
    """Who reads upwards stops short of the oldest that may still come on record, of those that
    are not given yet too."""
    ids = ExecutionIds()
    first, second = ids.next(NOW), ids.next(NOW)
    assert ids.unsettled_from == number_of(first)
    ids.settle(first)
    assert ids.unsettled_from == number_of(second)
    ids.settle(first, second)
    assert number_of(second) < ids.unsettled_from <= number_of(ids.next(NOW))
