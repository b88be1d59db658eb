# SPDX-License-Identifier: Apache-2.0
"""How often a trigger may fire, and what is told of what was held back."""

from gateway_node.triggers.damping import (
    Damping,
    LEAST_INTERVAL_SEC,
    QUIET_SEC,
    TOLERANCE_SEC,
)


def test_a_trigger_that_asks_for_nothing_fires_once_a_second() -> None:
    """A firing is written to the disk and starts processes, whatever its maker thought of."""
    damping = Damping(0)
    assert damping.until(5.0) is None
    damping.fire(5.0)
    assert damping.until(5.5) == 5.0 + LEAST_INTERVAL_SEC
    assert damping.until(6.0) is None


def test_a_longer_interval_holds() -> None:
    """`min_interval_sec` is what its maker wants."""
    damping = Damping(60)
    damping.fire(5.0)
    assert damping.until(64.8) == 65.0
    assert damping.until(65.0) is None


def test_what_keeps_to_the_interval_fires_each_time() -> None:
    """A timer is some milliseconds late, and the next time less so: nothing of it is lost."""
    damping = Damping(1)
    for number in range(1000):
        now = number + 0.04 * (number % 3)
        assert damping.until(now) is None
        damping.fire(now)


def test_what_comes_early_has_the_next_one_wait_for_longer() -> None:
    """On average the interval holds, however much of the tolerance is used."""
    damping = Damping(1)
    fired = []
    for step in range(10_000):
        now = step / 100
        if damping.until(now) is None:
            damping.fire(now)
            fired.append(now)
    assert fired[1] - fired[0] < 1.0
    assert all(later - fired[0] >= index - TOLERANCE_SEC for index, later in enumerate(fired))


def test_what_was_held_back_is_looked_at_when_the_interval_is_over() -> None:
    """So a condition that came true within it, and holds, is not forgotten."""
    damping = Damping(2)
    damping.fire(0.0)
    assert damping.due is None
    assert damping.hold_back(0.5)
    assert damping.owes
    assert damping.due == 2.0
    damping.fire(2.0)
    assert not damping.owes


def test_a_storm_begins_once_and_ends_with_its_count() -> None:
    """What flaps is told twice, however long it does."""
    damping = Damping(0)
    begins = []
    for step in range(500):
        now = step * 0.02
        if damping.until(now) is None:
            damping.fire(now)
        else:
            begins.append(damping.hold_back(now))
    assert begins[0]
    assert not any(begins[1:])
    assert damping.end_storm(now) == 0
    assert damping.end_storm(now + QUIET_SEC + 0.1) == len(begins) == damping.total
    assert damping.end_storm(now + 1000) == 0
    damping.settle()
    assert damping.due is None


def test_a_storm_can_be_ended_before_it_is_quiet() -> None:
    """Where nobody looks any more, what is known is told."""
    damping = Damping(0)
    damping.fire(0.0)
    damping.hold_back(0.1)
    damping.hold_back(0.2)
    assert damping.end_storm() == 2
    assert damping.end_storm() == 0
    assert damping.total == 2
