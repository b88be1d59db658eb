# SPDX-License-Identifier: Apache-2.0
"""What a supervisor's last words mean."""

import logging
from pathlib import Path
from typing import Any

import pytest

from gateway_node.executions.runner_ports import EndCause, LimitReached
from gateway_node.executions.values import ResourceUse, Trigger, TriggerType
from gateway_node.process.outcomes import asker_note, outcome_of_report

REPORT = {
    'cause': 'exited',
    'exit_code': 0,
    'signal': None,
    'limit': None,
    'duration_sec': 1.5,
    'leftover_processes': 2,
    'unkillable_processes': [],
    'max_memory_bytes': 1000,
    'cpu_sec': 0.5,
    'stdout_bytes': 0,
    'progress_garbage': 0,
    'end_asked': True,
    'end_asked_by': {'type': 'manual', 'setting': 'stop', 'username': 'ada'},
}


def test_a_report_is_the_outcome(tmp_path: Path) -> None:
    """Every field arrives; the limit by its name."""
    limit = {'name': 'cpu_sec', 'value': 1, 'used': 1.2}
    outcome = outcome_of_report(
        {**REPORT, 'cause': 'limit_reached', 'limit': limit},
        tmp_path,
        keep_working_directory=False,
    )
    assert outcome.cause is EndCause.LIMIT_REACHED
    assert outcome.limit == LimitReached(name='cpu_sec', value=1.0, used=1.2)
    assert outcome.resource_use == ResourceUse(max_memory_bytes=1000, cpu_sec=0.5)
    assert (outcome.duration_sec, outcome.leftover_processes, outcome.end_asked) == (1.5, 2, True)
    client = Trigger(type=TriggerType.MANUAL, setting='stop', username='ada')
    assert outcome.end_asked_by == client


def test_a_report_says_which_firing_asked_for_the_end(tmp_path: Path) -> None:
    """As it was noted; of a client's stop the note is as it always was."""
    fired = Trigger(type=TriggerType.CONDITION, setting='/battery below 20', firing=41)
    report = {**REPORT, 'end_asked_by': asker_note(fired)}
    outcome = outcome_of_report(report, tmp_path, keep_working_directory=False)
    assert outcome.end_asked_by == fired
    client = Trigger(type=TriggerType.MANUAL, setting='stop', username='ada')
    assert asker_note(client) == REPORT['end_asked_by']


def test_a_report_from_before_an_update_is_understood(tmp_path: Path) -> None:
    """What earlier supervisors did not say is as if nothing had happened."""
    earlier: dict[str, Any] = {**REPORT, 'message': ''}
    del earlier['end_asked'], earlier['end_asked_by'], earlier['progress_garbage']
    outcome = outcome_of_report(earlier, tmp_path, keep_working_directory=False)
    assert (outcome.exit_code, outcome.end_asked, outcome.end_asked_by) == (0, False, None)


def test_progress_that_was_not_understood_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The author of the script finds the count in the gateway's log."""
    with caplog.at_level(logging.WARNING):
        outcome_of_report(
            {**REPORT, 'progress_garbage': 3}, tmp_path / 'exec_1', keep_working_directory=False
        )
    assert '3 lines of progress were not understood: execution exec_1' in caplog.text
