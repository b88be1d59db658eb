# SPDX-License-Identifier: Apache-2.0
"""The warnings of an execution: what a person should know although it changes no status."""

import json

from execution_stage import COMPLETED, FAILED, Stage, TERMINATED
from fakes import new_execution
from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.executions.document_reading import execution_from
from gateway_node.executions.documents import summary_of, to_document, to_parameters
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import (
    ExecutionStatus,
    MAX_WARNING_CHARACTERS,
    MAX_WARNINGS,
    MORE_WARNINGS,
)


def test_a_warning_is_kept_once_and_in_order() -> None:
    """Who warns again adds nothing; earlier warnings stay."""
    execution = new_execution(1).warn('one', 'two').warn('two', 'three')
    assert execution.warnings == ('one', 'two', 'three')
    assert execution.warn().warnings == execution.warnings


def test_warnings_are_bounded_in_number() -> None:
    """The last one says that there were more, once."""
    execution = new_execution(1)
    for number in range(3 * MAX_WARNINGS):
        execution = execution.warn(f'warning {number}')
    kept = [f'warning {number}' for number in range(MAX_WARNINGS - 1)]
    assert list(execution.warnings) == [*kept, MORE_WARNINGS]


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_becomes_a_line_that_can_be_served(text: str) -> None:
    """Lone surrogates and line ends come from scripts and file names."""
    (warning,) = new_execution(1).warn(text).warnings
    assert len(warning.encode().decode().splitlines()) <= 1
    assert len(warning) <= MAX_WARNING_CHARACTERS


def test_a_long_warning_is_clipped() -> None:
    """What was clipped shows it."""
    (warning,) = new_execution(1).warn('x' * 1000).warnings
    assert warning == 'x' * (MAX_WARNING_CHARACTERS - 1) + '…'


def test_lists_and_the_detail_show_warnings_where_there_are_any() -> None:
    """What is unset is left out of a body."""
    plain, warned = new_execution(1), new_execution(1).warn('look here')
    for execution, told in ((plain, None), (warned, ['look here'])):
        assert summary_of(execution).get('warnings') == told


def test_an_execution_that_was_recorded_before_there_were_warnings_has_none() -> None:
    """The databases of earlier versions stay readable."""
    execution = new_execution(1)
    warned = execution.warn('output is lost')
    document = json.loads(to_document(warned))
    del document['warnings']
    assert execution_from(json.dumps(document), to_parameters(execution)) == execution


@pytest.mark.parametrize(
    ('exit_code', 'stop', 'status'),
    [(0, False, COMPLETED), (1, False, FAILED), (0, True, TERMINATED)],
)
async def test_warnings_of_the_outcome_are_recorded_whatever_the_final_status(
    stage: Stage, exit_code: int, stop: bool, status: ExecutionStatus
) -> None:
    """They change nothing of it."""
    execution, script = await stage.running(await stage.upload())
    if stop:
        await stage.stop(execution)
    script.end(Outcome(cause=EndCause.EXITED, exit_code=exit_code, warnings=('look here',)))
    ended = await stage.listener.wait_for(execution.id)
    assert (ended.status, ended.warnings) == (status, ('look here',))
    assert (await stage.get(execution)).warnings == ('look here',)
