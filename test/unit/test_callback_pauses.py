# SPDX-License-Identifier: Apache-2.0
"""When a callback is tried again, and which one is next."""

import datetime

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.callbacks.values import (
    Attempt,
    Callback,
    CallbackStatus,
    GIVE_UP_SEC,
    MAX_PAUSE_SEC,
    MIN_PAUSE_SEC,
)
from gateway_node.callbacks.waiting_callbacks import (
    MAX_AT_ONCE,
    MAX_AT_ONCE_FOR_RECEIVER,
    WaitingCallbacks,
)

AT = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
JITTERS = st.floats(0.8, 1.2)


def callback(number: int, receiver: str = 'fleet.example', due_sec: float = 0.0) -> Callback:
    url = f'http://{receiver}/ended'
    return Callback(execution_id=f'exec_{number}', url=url).due(due_sec)


@given(
    up_sec=st.floats(0, 1e9),
    jitters=st.lists(JITTERS, min_size=200, max_size=200),
    took_sec=st.floats(0, 10),
    retry_after_sec=st.floats(0, 1e9),
)
def test_a_dead_receiver_is_tried_for_a_day_and_not_too_often(
    up_sec: float, jitters: list[float], took_sec: float, retry_after_sec: float
) -> None:
    """Whatever it asks for and however long it takes: pauses within bounds, and an end."""
    tried = callback(1, due_sec=up_sec)
    attempt = Attempt(at=AT, status=503, error='no', retry_after_sec=retry_after_sec)
    for number, jitter in enumerate(jitters, 1):
        assert tried.next_sec is not None
        now_sec = tried.next_sec + took_sec
        tried = tried.after(attempt, now_sec, jitter=jitter)
        assert tried.attempts == number
        if tried.status is CallbackStatus.FAILED:
            assert tried.next_sec is None
            assert now_sec - up_sec > GIVE_UP_SEC - 1.3 * MAX_PAUSE_SEC
            return
        assert tried.status is CallbackStatus.WAITING
        assert tried.next_sec is not None
        pause_sec = tried.next_sec - now_sec
        assert 0.79 * MIN_PAUSE_SEC <= pause_sec <= 1.21 * MAX_PAUSE_SEC
        assert tried.next_sec <= up_sec + GIVE_UP_SEC + 1e-6
    pytest.fail('never given up')


def test_another_day_begins_where_it_is_sent_again() -> None:
    """With short pauses, and all attempts counted."""
    failed = callback(1).after(Attempt(at=AT, status=410, error='gone'), 1.0, jitter=1.0)
    assert failed.status is CallbackStatus.FAILED
    again = failed.due(GIVE_UP_SEC * 3)
    assert (again.status, again.attempts) == (CallbackStatus.WAITING, 1)
    tried = again.after(Attempt(at=AT, error='no answer'), GIVE_UP_SEC * 3, jitter=1.0)
    assert tried.next_sec == GIVE_UP_SEC * 3 + MIN_PAUSE_SEC
    assert (tried.attempts, tried.last_status, tried.last_error) == (2, None, 'no answer')


def test_who_is_due_for_longest_is_next_and_nobody_before_it_is_due() -> None:
    """Over all receivers."""
    waiting = WaitingCallbacks()
    for number, due_sec in enumerate([30.0, 10.0, 20.0]):
        waiting.add(callback(number, f'fleet{number}.example', due_sec))
    assert waiting.take(9.9) is None
    assert waiting.next_due_sec() == 10.0
    taken = [each.execution_id for _ in range(3) if (each := waiting.take(100.0))]
    assert taken == ['exec_1', 'exec_2', 'exec_0']
    assert waiting.next_due_sec() is None


@pytest.mark.parametrize(
    'urls',
    [
        ('http://dead.example/', 'http://DEAD.example:80/?n=1', 'http://dead.example?n=2'),
        ('https://[2001:db8::7]', 'https://[2001:db8:0::7]:443/', 'https://[2001:DB8::0:7]/ended'),
    ],
)
def test_a_receiver_is_the_same_one_however_its_url_is_written(urls: tuple[str, ...]) -> None:
    """So no client gets more of the attempts at a time by other words."""
    waiting = WaitingCallbacks()
    for number, url in enumerate(urls):
        waiting.add(Callback(execution_id=f'exec_{number}', url=url).due(0.0))
    waiting.add(callback(9))
    taken = [each.execution_id for _ in range(4) if (each := waiting.take(1.0))]
    assert taken == ['exec_0', 'exec_1', 'exec_9']


def test_what_is_sent_again_sooner_is_held_once() -> None:
    """The earlier moment of it is forgotten."""
    waiting = WaitingCallbacks()
    waiting.add(callback(1, due_sec=100.0))
    waiting.add(callback(1, due_sec=5.0))
    assert len(waiting) == 1
    assert waiting.take(5.0) is not None
    waiting.give_back('exec_1')
    assert waiting.take(1000.0) is None


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(['add', 'drop', 'take', 'give back']),
            st.integers(0, 12),
            st.sampled_from(['a', 'b', 'A:80', 'c:81', 'd', 'e', 'f']),
            st.floats(0, 100),
        ),
        max_size=60,
    )
)
def test_nothing_is_lost_sent_twice_at_once_or_beyond_the_bounds(
    steps: list[tuple[str, int, str, float]],
) -> None:
    """Against a plain model: what is held, and what is being sent, by receiver."""
    waiting = WaitingCallbacks()
    held: dict[str, Callback] = {}
    taken: dict[str, str] = {}
    for what, number, receiver, now_sec in steps:
        execution_id = f'exec_{number}'
        if what == 'add' and not waiting.is_taken(execution_id):
            held[execution_id] = callback(number, receiver, now_sec)
            waiting.add(held[execution_id])
        elif what == 'drop':
            waiting.drop(execution_id)
            held.pop(execution_id, None)
        elif what == 'give back' and execution_id in taken:
            waiting.give_back(execution_id)
            del taken[execution_id]
        elif what == 'take':
            allowed = [
                each
                for each in held.values()
                if list(taken.values()).count(_host(each)) < MAX_AT_ONCE_FOR_RECEIVER
                and len(taken) < MAX_AT_ONCE
            ]
            due = [each.next_sec or 0.0 for each in allowed]
            assert waiting.next_due_sec() == min(due, default=None)
            got = waiting.take(now_sec)
            assert (got is None) == (min(due, default=now_sec + 1) > now_sec)
            if got is not None:
                assert held.pop(got.execution_id) == got
                assert got.next_sec == min(due)
                taken[got.execution_id] = _host(got)
        assert len(waiting) == len(held)
        assert waiting.taken == len(taken)


def _host(each: Callback) -> str:
    return each.url.split('/')[2].lower().removesuffix(':80')
