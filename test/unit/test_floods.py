# SPDX-License-Identifier: Apache-2.0
"""Floods of refusals are counted."""

import datetime

from gateway_node.access.audit import Asked, AuditNote, NoteKind
from gateway_node.access.floods import Refusals

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def refusal(origin: str = '192.0.2.7', status: int = 401, *, name: str | None = None) -> AuditNote:
    """Return the note of a refused request."""
    asked = Asked(method='GET', origin=origin, name=name)
    return AuditNote(kind=NoteKind.REQUEST, time=NOON, asked=asked, status=status)


def noted(refusals: Refusals, notes: list[AuditNote], now: float = 0.0) -> int:
    """Return how many of these are noted."""
    return sum(refusals.is_noted(note, now) for note in notes)


def test_the_first_refusals_of_a_client_are_noted_and_the_rest_is_counted() -> None:
    """When the minute is over, that tells how many there were, and how they were answered."""
    refusals = Refusals(of_client=3)
    assert noted(refusals, [refusal()] * 5 + [refusal(status=429)] * 2) == 3
    assert list(refusals.due(59.9)) == []
    assert refusals.next_due == 60.0
    assert list(refusals.due(60.0)) == [
        AuditNote(
            kind=NoteKind.REPEATED,
            time=NOON,
            origin='192.0.2.7',
            since=NOON,
            statuses={401: 2, 429: 2},
        )
    ]
    assert list(refusals.due(120.0)) == []


def test_a_client_that_goes_on_has_a_new_minute() -> None:
    """In which its first ones are noted again."""
    refusals = Refusals(of_client=1)
    assert noted(refusals, [refusal()] * 2) == 1
    assert len(list(refusals.due(60.0))) == 1
    assert noted(refusals, [refusal()] * 2, 60.0) == 1


def test_one_client_takes_no_room_from_another() -> None:
    """Nor does who has no credential from those behind the same address who have one."""
    refusals = Refusals(of_client=2)
    assert noted(refusals, [refusal()] * 100) == 2
    assert noted(refusals, [refusal('192.0.2.8')]) == 1
    assert noted(refusals, [refusal(name='anna')]) == 1


def test_all_addresses_of_one_network_are_one_client() -> None:
    """Of IPv6, where everybody has as many as they like."""
    refusals = Refusals(of_client=2)
    flood = [refusal(f'2001:db8::{number:x}') for number in range(1, 50)]
    assert noted(refusals, flood) == 2
    (counted,) = refusals.due(60.0)
    assert (counted.origin, counted.statuses) == ('2001:db8::/64', {401: 47})


def test_many_clients_together_are_counted_as_one() -> None:
    """So that a flood from everywhere is a few notes a minute, whatever it does."""
    refusals = Refusals(of_client=10, of_all=5)
    flood = [refusal(f'192.0.{high}.{low}') for high in range(20) for low in range(50)]
    assert noted(refusals, flood) == 5
    counted = list(refusals.due(60.0))
    assert [(each.origin, each.statuses) for each in counted] == [(None, {401: 995})]
    assert noted(refusals, flood[:1], 60.0) == 1


def test_no_number_of_clients_takes_up_memory() -> None:
    """Those beyond the bound are counted as one."""
    refusals = Refusals(of_client=10, of_all=10_000, max_clients=3)
    flood = [refusal(f'192.0.2.{number}') for number in range(100) for _ in range(2)]
    assert noted(refusals, flood) == 3 * 2 + 10
    (counted,) = refusals.due(60.0)
    assert counted.origin is None


def test_what_was_counted_can_be_told_before_its_minute_is_over() -> None:
    """At the end of the gateway, before the minute is over."""
    refusals = Refusals(of_client=1)
    noted(refusals, [refusal()] * 3)
    assert [each.statuses for each in refusals.due(float('inf'))] == [{401: 2}]
    assert refusals.next_due is None
