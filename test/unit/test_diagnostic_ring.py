# SPDX-License-Identifier: Apache-2.0
"""How /diagnostics stood, and what changed."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway_node.ros.diagnostic_ring import DiagnosticRing

OK, WARN, ERROR, STALE = range(4)


def message(*statuses: tuple[str, int, str], values: dict[str, str] | None = None) -> Any:
    """Return what stands for a `diagnostic_msgs/msg/DiagnosticArray`."""
    pairs = [SimpleNamespace(key=key, value=value) for key, value in (values or {}).items()]
    return SimpleNamespace(
        status=[
            SimpleNamespace(
                name=name, level=bytes([level]), message=text, hardware_id='', values=pairs
            )
            for name, level, text in statuses
        ]
    )


def holding(**bounds: int) -> DiagnosticRing:
    """Return a ring that holds what comes."""
    ring = DiagnosticRing(**bounds)
    ring.hold()
    return ring


def standing(ring: DiagnosticRing, at: float) -> dict[str, tuple[str, str]]:
    """Return level and message of each status at some time."""
    found = ring.between(at, at).at_begin
    return {each.name: (each.level, each.message) for each in found}


def test_nothing_is_held_before_somebody_wants_it() -> None:
    """And nothing after nobody does."""
    ring = DiagnosticRing()
    ring.take(message(('a', OK, 'x')), 1.0)
    assert standing(ring, 2.0) == {}
    ring.hold()
    ring.take(message(('a', OK, 'x')), 3.0)
    assert standing(ring, 4.0) == {'a': ('OK', 'x')}
    ring.clear()
    ring.take(message(('a', OK, 'x')), 5.0)
    assert standing(ring, 6.0) == {}


def test_changes_of_level_or_message_are_told() -> None:
    """With what was before; a status that only says again what it said is none."""
    ring = holding()
    ring.take(message(('a', OK, 'fine'), ('b', OK, 'fine')), 1.0)
    ring.take(message(('a', OK, 'fine'), ('b', WARN, 'hot')), 2.0)
    ring.take(message(('b', WARN, 'hotter')), 3.0)
    found = ring.between(2.0, 4.0)
    told = [
        (each.received, each.status.level, each.status.message, each.before and each.before.level)
        for each in found.changes
    ]
    assert told == [(2.0, 'WARN', 'hot', 'OK'), (3.0, 'WARN', 'hotter', 'WARN')]
    assert [(each.name, each.level) for each in found.at_begin] == [('a', 'OK'), ('b', 'OK')]


def test_a_status_that_is_new_has_nothing_before_it() -> None:
    """And was not there before it came."""
    ring = holding()
    ring.take(message(('late', ERROR, 'gone')), 5.0)
    found = ring.between(4.0, 6.0)
    assert found.at_begin == ()
    assert [each.before for each in found.changes] == [None]


_STORIES = st.lists(st.tuples(st.sampled_from('abc'), st.integers(0, 3), st.sampled_from('xy')))


@given(story=_STORIES, at=st.integers(0, 30))
def test_the_state_at_any_time_is_what_was_told_up_to_then(
    story: list[tuple[str, int, str]], at: int
) -> None:
    """Whatever came afterwards."""
    ring = holding()
    told = {}
    for number, (name, level, text) in enumerate(story):
        ring.take(message((name, level, text)), float(number))
        if number < at:
            told[name] = (('OK', 'WARN', 'ERROR', 'STALE')[level], text)
    assert standing(ring, float(at)) == told


def test_statuses_and_changes_are_bounded() -> None:
    """What goes of the changes is counted by its time."""
    ring = holding(max_statuses=10, max_changes=20)
    for number in range(100):
        ring.take(message((f'name_{number}', OK, '')), float(number))
    found = ring.between(0.0, 100.0)
    assert [each.status.name for each in found.changes] == [f'name_{at}' for at in range(80, 100)]
    assert found.lost == 80
    assert len(standing(ring, 100.0)) == 10


def test_long_texts_and_unknown_levels_are_shown_as_far_as_they_go() -> None:
    """Whatever a node publishes."""
    ring = holding()
    values = {f'key_{number}': 'v' * 5000 for number in range(100)}
    ring.take(message(('n' * 5000, 9, 'm' * 5000), values=values), 1.0)
    (status,) = ring.between(2.0, 2.0).at_begin
    assert (len(status.name), status.level, len(status.message)) == (1000, '9', 1000)
    assert len(status.values) == 50
    assert {len(value) for value in status.values.values()} == {1000}
