# SPDX-License-Identifier: Apache-2.0
"""The table of transitions, as properties of every history that it allows."""

from fakes import new_execution
from hypothesis import assume, given
from hypothesis import strategies as st
import pytest

from gateway_node.executions.errors import IllegalTransition
from gateway_node.executions.transitions import advance, ALLOWED
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES, OPEN_STATUSES

STATUSES = st.sampled_from(ExecutionStatus)
ATTEMPTS = st.lists(STATUSES, max_size=12)

DOCUMENTED = {
    ('prepared', 'running'),
    ('prepared', 'failed'),
    ('prepared', 'terminated'),
    ('running', 'completed'),
    ('running', 'failed'),
    ('running', 'terminated'),
}
"""The design's page: prepared → running → completed | failed | terminated, and prepared →
failed | terminated."""


def history(attempts: list[ExecutionStatus]) -> list[ExecutionStatus]:
    """Return the statuses that an execution goes through while it tries each of `attempts`."""
    execution = new_execution(1)
    statuses = [execution.status]
    for attempt in attempts:
        try:
            execution = advance(execution, attempt)
        except IllegalTransition:
            continue
        statuses.append(execution.status)
    return statuses


def test_the_table_is_the_documented_one() -> None:
    """Every pair of statuses is allowed if and only if the design names it."""
    allowed = {
        (status.value, target.value) for status in ExecutionStatus for target in ALLOWED[status]
    }
    assert allowed == DOCUMENTED


@given(ATTEMPTS)
def test_a_final_status_is_the_last(attempts: list[ExecutionStatus]) -> None:
    """Whatever is tried, at most the last status of a history is a final one."""
    assert FINAL_STATUSES.isdisjoint(history(attempts)[:-1])


@given(ATTEMPTS)
def test_no_status_comes_twice(attempts: list[ExecutionStatus]) -> None:
    """A history never returns to a status, so it has three entries at most."""
    statuses = history(attempts)
    assert len(set(statuses)) == len(statuses) <= 3


@given(ATTEMPTS)
def test_only_what_ran_is_completed(attempts: list[ExecutionStatus]) -> None:
    """A completed execution was running before."""
    *before, last = history(attempts)
    if last is ExecutionStatus.COMPLETED:
        assert before[-1] is ExecutionStatus.RUNNING


@given(ATTEMPTS)
def test_an_open_execution_can_always_end(attempts: list[ExecutionStatus]) -> None:
    """From every open status a failure and a stop lead to the end."""
    last = history(attempts)[-1]
    if last in OPEN_STATUSES:
        assert {ExecutionStatus.FAILED, ExecutionStatus.TERMINATED} <= ALLOWED[last]


@given(STATUSES, STATUSES)
def test_a_refused_transition_names_both_statuses(
    status: ExecutionStatus, target: ExecutionStatus
) -> None:
    """What the table does not allow raises, and the execution stays as it is."""
    assume(target not in ALLOWED[status])
    execution = new_execution(1, status=status)
    with pytest.raises(IllegalTransition) as refused:
        advance(execution, target)
    assert (refused.value.status, refused.value.target) == (status, target)
    assert execution.status is status
