# SPDX-License-Identifier: Apache-2.0
"""The table of what a supervisor has to do when."""

import math

from gateway_node.child.supervision.due_times import DueTimes


def test_what_is_due_is_done_once_in_the_order_of_its_moments() -> None:
    """Whatever the order in which it was put in; what is not due stays."""
    done: list[str] = []
    due = DueTimes()
    steps = {name: (lambda name=name: done.append(name)) for name in ('late', 'first', 'then')}
    due.put(steps['late'], 9.0)
    due.put(steps['then'], 2.0)
    due.put(steps['first'], 1.0)
    due.keep(2.0)
    due.keep(2.0)
    assert done == ['first', 'then']
    assert due.next_moment == 9.0


def test_a_step_is_due_in_one_moment_only() -> None:
    """Put in again it is moved; brought forward it never becomes later."""
    done: list[str] = []
    due = DueTimes()

    def step() -> None:
        done.append('step')

    due.put(step, 1.0)
    due.put(step, 5.0)
    due.bring_forward(step, 7.0)
    assert due.next_moment == 5.0
    due.bring_forward(step, 3.0)
    assert due.next_moment == 3.0
    due.keep(10.0)
    assert done == ['step']


def test_a_step_can_drop_another_that_is_due_with_it() -> None:
    """As a kill does with the polite request that would have come after it."""
    done: list[str] = []
    due = DueTimes()

    def dropped() -> None:
        done.append('dropped')

    due.put(lambda: due.drop(dropped), 1.0)
    due.put(dropped, 2.0)
    due.keep(3.0)
    assert done == []


def test_a_step_that_puts_itself_in_again_waits_for_the_next_look() -> None:
    """A moment that has passed already makes no endless round."""
    done: list[str] = []
    due = DueTimes()

    def again() -> None:
        done.append('again')
        due.put(again, 0.0)

    due.put(again, 1.0)
    due.keep(1.0)
    assert done == ['again']
    assert due.next_moment == 0.0


def test_nothing_is_due_where_nothing_was_put_in() -> None:
    """A wait for it has no end."""
    assert DueTimes().next_moment == math.inf
