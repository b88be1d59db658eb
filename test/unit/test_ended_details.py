# SPDX-License-Identifier: Apache-2.0
"""Details of ended executions that are held: which, how many, and until when."""

import datetime

from fakes import new_execution
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.ended_details import Detail, detail_of, EndedDetails
from gateway_node.executions.events import Event, EventKind
from gateway_node.executions.values import ExecutionStatus, Output


def detail(number: int, *, stdout: str = '') -> Detail:
    """Return what is shown of an execution that has ended."""
    ended = new_execution(number, status=ExecutionStatus.COMPLETED)
    return detail_of(ended, Output(stdout=stdout))


def event(kind: EventKind, execution_id: str) -> Event:
    """Return what tells of an execution."""
    return Event(
        epoch='one',
        sequence=1,
        at=datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC),
        kind=kind,
        subject=f'apps/a/scripts/s/executions/{execution_id}',
        actor=GATEWAY,
        cause=None,
        changes={},
    )


def hold(details: EndedDetails, *numbers: int, stdout: str = '') -> None:
    """Have details held."""
    for number in numbers:
        details.keep(f'exec_{number}', detail(number, stdout=stdout), details.losses)


def held(details: EndedDetails, *numbers: int) -> list[bool]:
    """Tell which are held; asking for one makes it the last to go."""
    return [details.get(f'exec_{number}') is not None for number in numbers]


def test_what_was_asked_for_longest_ago_gives_way() -> None:
    """They take no more memory than they may."""
    one = detail(1).size
    details = EndedDetails(max_bytes=10 * one)
    hold(details, *range(10))
    assert held(details, 0) == [True]
    hold(details, 10, 11)
    assert held(details, 0, 1, 2, 3, 10, 11) == [True, False, False, True, True, True]
    assert details.bytes <= 10 * one


def test_the_same_one_is_held_once() -> None:
    """Two clients may have asked at the same time."""
    details = EndedDetails()
    hold(details, 1, 1)
    assert details.bytes == detail(1).size


def test_a_long_one_turns_out_no_others() -> None:
    """It is made each time."""
    details = EndedDetails(max_bytes=64 * detail(1).size)
    hold(details, *range(8))
    hold(details, 8, stdout='x' * 8 * detail(1).size)
    assert held(details, *range(9)) == [True] * 8 + [False]


@pytest.mark.parametrize('kind', [EventKind.EXECUTION_DELETED, EventKind.EXECUTION_ENDED])
def test_a_deletion_drops_it(kind: EventKind) -> None:
    """And nothing else that happens does: what has ended never changes."""
    details = EndedDetails()
    hold(details, 1, 2)
    details.on_event(event(kind, 'exec_1'), None)
    assert held(details, 1, 2) == [kind is not EventKind.EXECUTION_DELETED, True]
    if kind is EventKind.EXECUTION_DELETED:
        assert details.bytes == detail(2).size


def test_what_was_deleted_while_it_was_made_is_not_held() -> None:
    """Nobody would drop it any more."""
    details = EndedDetails()
    losses = details.losses
    details.on_event(event(EventKind.EXECUTION_DELETED, 'exec_1'), None)
    details.keep('exec_1', detail(1), losses)
    assert held(details, 1) == [False]
    hold(details, 1)
    assert held(details, 1) == [True]
