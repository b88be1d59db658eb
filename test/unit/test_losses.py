# SPDX-License-Identifier: Apache-2.0
"""What is lost is counted, by time and by the publishers' numbers."""

import pickle
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway_node.ros.losses import Losses, MissedMessages


def info(publisher: int, number: int) -> dict[str, Any]:
    """Return what rclpy tells of a message."""
    return {
        'publisher_gid': {'data': bytes([publisher])},
        'publication_sequence_number': number,
    }


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 10)), max_size=200))
def test_every_loss_is_counted(losses: list[tuple[float, int]]) -> None:
    """In whatever order they are told of."""
    counted = Losses()
    for at, count in losses:
        counted.add(at, count)
    assert counted.between(-1.0, 1e6 + 2000) == sum(count for _, count in losses)


def test_losses_are_counted_by_their_time() -> None:
    """Half a second is as near as it is known."""
    losses = Losses()
    for second in range(100):
        losses.add(float(second), 1)
    assert losses.between(10.0, 20.0) == 10
    assert losses.between(99.6, 200.0) == 0


def test_losses_over_days_take_no_more_room() -> None:
    """Their time becomes coarser; their number stays."""
    losses = Losses()
    for minute in range(100_000):
        losses.add(minute * 60.0, 1)
    assert len(pickle.dumps(losses)) < 50_000
    assert losses.between(0.0, 1e9) == 100_000
    assert 0 < losses.between(0.0, 50_000 * 60.0) < 51_000


def test_messages_between_two_that_came_are_missed() -> None:
    """Each publisher numbers its own."""
    missed = MissedMessages()
    told = [(1, 7), (2, 100), (1, 8), (1, 12), (2, 102), (1, 13)]
    assert [missed.before(info(*each)) for each in told] == [0, 0, 0, 3, 1, 0]


def test_publishers_that_begin_anew_have_missed_nothing() -> None:
    """Numbers that go backwards are another life."""
    missed = MissedMessages()
    assert [missed.before(info(1, number)) for number in (50, 1, 2, 5)] == [0, 0, 0, 2]


def test_nothing_is_missed_where_nothing_is_numbered() -> None:
    """A middleware may tell neither number nor publisher."""
    missed = MissedMessages()
    assert missed.before({'publication_sequence_number': 5}) == 0
    assert missed.before(info(1, 1) | {'publication_sequence_number': None}) == 0
