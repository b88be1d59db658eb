# SPDX-License-Identifier: Apache-2.0
"""What the end of a process tree means: the order of reasons, and the output parameters."""

from dataclasses import replace
import datetime
from typing import Any

from fakes import new_execution
import pytest

from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.final_status import (
    end_moment,
    final_changes,
    final_status_of,
    status_without_outcome,
    STDERR_TAIL_CHARACTERS,
    told_unkillable,
)
from gateway_node.executions.findings import Check
from gateway_node.executions.runner_ports import EndCause, LimitReached, Outcome
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    Output,
    Trigger,
    TriggerType,
    UnkillableProcess,
)
from gateway_node.scripts.values import Limits, Verdict

WELL = Outcome(cause=EndCause.EXITED, exit_code=0)
STOPPED = Trigger(type=TriggerType.MANUAL, setting='stop')
SHUT_DOWN = Trigger(type=TriggerType.SYSTEM, setting='shutdown')


def running(**fields: Any) -> Execution:
    """Return an execution that runs."""
    return new_execution(1, status=ExecutionStatus.RUNNING, **fields)


@pytest.mark.parametrize('cause', EndCause)
@pytest.mark.parametrize('exit_code', [0, 1])
def test_a_clients_stop_goes_before_everything(cause: EndCause, exit_code: int) -> None:
    """Once accepted, the end is `terminated` without an error; a given result is kept."""
    limit = LimitReached(name='cpu_sec', value=1, used=2)
    outcome = Outcome(cause=cause, exit_code=exit_code, limit=limit, result={'a': 1})
    end = final_status_of(running(stop_trigger=STOPPED), outcome, Output(), timeout_sec=1)
    assert end.status is ExecutionStatus.TERMINATED
    assert (end.failure, end.output_parameters, end.cause) == (None, {'a': 1}, 'stop')
    assert end.stop_trigger == STOPPED


def test_what_a_stopped_script_printed_is_no_result() -> None:
    """It was stopped in the middle: only what it gave on purpose counts."""
    outcome = replace(WELL, printed={'volts': 12})
    end = final_status_of(running(stop_trigger=STOPPED), outcome, Output(stdout='{"volts": 12}'))
    assert (end.status, end.output_parameters) == (ExecutionStatus.TERMINATED, None)


def test_a_shutdown_is_a_failure_even_with_exit_code_0() -> None:
    """The gateway ended it: what it was about to do is not done."""
    outcome = replace(WELL, end_asked=True)
    end = final_status_of(running(stop_trigger=SHUT_DOWN), outcome, Output(), timeout_sec=1)
    assert end.failure is not None
    assert end.failure.reason is FailureReason.SHUTDOWN
    assert end.stop_trigger == SHUT_DOWN


@pytest.mark.parametrize('exit_code', [0, 3])
def test_an_end_before_the_shutdown_is_the_scripts_own(exit_code: int) -> None:
    """Only leftovers lived when the gateway asked for the end: the exit code and result count."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=exit_code, printed={'volts': 12})
    end = final_status_of(running(stop_trigger=SHUT_DOWN), outcome, Output(), timeout_sec=1)
    assert end.stop_trigger is None
    if exit_code:
        assert end.failure is not None
        assert end.failure.reason is FailureReason.SCRIPT_FAILED
    else:
        assert end.status is ExecutionStatus.COMPLETED
        assert end.output_parameters == {'volts': 12}


def test_a_timeout_before_a_shutdown_is_still_a_timeout() -> None:
    """What the runner says of the cause goes before the gateway's wish."""
    outcome = Outcome(cause=EndCause.TIMED_OUT, signal=15, end_asked=True)
    end = final_status_of(running(stop_trigger=SHUT_DOWN), outcome, Output(), timeout_sec=2.5)
    assert end.failure is not None
    assert end.failure.reason is FailureReason.TIMEOUT
    assert end.failure.parameters['timeout_sec'] == 2.5
    assert end.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting='timeout')


@pytest.mark.parametrize('name', Limits.__dataclass_fields__)
def test_every_limit_has_a_reason_of_its_own(name: str) -> None:
    """`x-gateway-limit-…`, with the limit, its value and the use."""
    outcome = Outcome(
        cause=EndCause.LIMIT_REACHED, limit=LimitReached(name=name, value=64, used=65.5)
    )
    end = final_status_of(running(), outcome, Output(), timeout_sec=1)
    assert end.failure is not None
    assert end.failure.reason.value.startswith('x-gateway-limit-')
    assert name.split('_')[0] in end.failure.reason.value
    assert end.failure.parameters == {'limit': name, 'value': 64, 'used': 65.5}
    assert end.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting=name)


def test_an_error_carries_the_end_of_stderr() -> None:
    """Only the end; the rest is in `output`."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=1)
    stderr = 'x' * STDERR_TAIL_CHARACTERS + 'the end'
    end = final_status_of(running(), outcome, Output(stderr=stderr), timeout_sec=1)
    assert end.failure is not None
    tail = end.failure.parameters['stderr']
    assert len(tail) == STDERR_TAIL_CHARACTERS
    assert tail.endswith('the end')


@pytest.mark.parametrize(
    ('given', 'printed', 'told'),
    [
        ({'a': 1}, None, {'a': 1}),
        ({}, {'b': 2}, {}),
        (None, {'b': 2}, {'b': 2}),
        (None, {}, {}),
        (None, None, {'stdout': 'o', 'stderr': 'e', 'exit_code': 0}),
    ],
)
def test_output_parameters_are_the_result_else_what_was_printed_else_both_streams(
    given: dict[str, Any] | None, printed: dict[str, Any] | None, told: dict[str, Any]
) -> None:
    """An empty object is a result as any other."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=0, result=given, printed=printed)
    end = final_status_of(running(), outcome, Output(stdout='o', stderr='e'))
    assert (end.status, end.output_parameters) == (ExecutionStatus.COMPLETED, told)


FOUND = {
    'verdict': 'WARN',
    'summary': 'the tank is nearly empty',
    'checks': [{'name': 'level', 'verdict': 'FAIL'}],
    'metrics': {'litres': 4.5},
}
CHECKED = {'checks': FOUND['checks']}


def test_what_a_script_found_is_in_its_result_however_it_ended() -> None:
    """A FAIL is no failure, and a failure no FAIL."""
    outcomes = [
        replace(WELL, result=FOUND),
        replace(WELL, printed=FOUND),
        Outcome(cause=EndCause.EXITED, exit_code=1, result=FOUND),
        Outcome(cause=EndCause.TIMED_OUT, signal=9, result=FOUND),
    ]
    ends = [final_status_of(running(), outcome, Output()) for outcome in outcomes]
    ends.append(final_status_of(running(stop_trigger=STOPPED), outcomes[0], Output()))
    assert [end.status.value for end in ends] == [
        *('completed', 'completed', 'failed', 'failed', 'terminated')
    ]
    for end in ends:
        changed = running().evolve(**final_changes(running(), end, None))
        assert changed.verdict is Verdict.WARN
        assert changed.summary == 'the tank is nearly empty'
        assert changed.metrics == {'litres': 4.5}
        assert changed.checks == (Check(name='level', verdict=Verdict.FAIL),)
        assert changed.output_parameters == FOUND


def test_the_checks_of_one_that_did_not_come_to_its_end_are_not_all() -> None:
    """So they give no verdict; those of one that did do."""
    good = final_status_of(running(), replace(WELL, result=CHECKED), Output())
    bad = final_status_of(
        running(), Outcome(cause=EndCause.EXITED, exit_code=1, result=CHECKED), Output()
    )
    assert (good.status, good.verdict) == (ExecutionStatus.COMPLETED, Verdict.FAIL)
    assert (bad.status, bad.verdict) == (ExecutionStatus.FAILED, None)


def test_what_a_failing_script_printed_tells_nothing() -> None:
    """It is no result, as before."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=1, printed=FOUND)
    assert final_status_of(running(), outcome, Output()).verdict is None


def test_what_is_not_taken_of_a_result_is_a_warning() -> None:
    """The result stays as it is, and the status too."""
    result = {'verdict': 'green'}
    end = final_status_of(running(), replace(WELL, result=result), Output())
    assert (end.status, end.verdict) == (ExecutionStatus.COMPLETED, None)
    assert end.output_parameters == {'verdict': 'green'}
    assert end.warnings == ("the result's /verdict is 'green'; allowed: PASS, WARN, FAIL, SKIP",)


MAPPED = {0: Verdict.PASS, 1: Verdict.FAIL, 77: Verdict.SKIP}


@pytest.mark.parametrize(
    ('exit_code', 'found', 'verdict'),
    [
        (0, {}, Verdict.PASS),
        (1, {}, Verdict.FAIL),
        (77, {}, Verdict.SKIP),
        (0, FOUND, Verdict.WARN),
        (1, FOUND, Verdict.FAIL),
        (77, FOUND, Verdict.WARN),
        (0, CHECKED, Verdict.FAIL),
    ],
)
@pytest.mark.parametrize('how', ['result', 'printed'])
def test_an_exit_code_that_is_a_verdict_completes(
    how: str, exit_code: int, found: dict[str, Any], verdict: Verdict
) -> None:
    """Of it and what the result tells the worse one counts; the printed result counts too."""
    outcome = Outcome(
        cause=EndCause.EXITED,
        exit_code=exit_code,
        result=found if how == 'result' else None,
        printed=found if how == 'printed' else None,
    )
    end = final_status_of(running(exit_verdicts=MAPPED), outcome, Output())
    assert (end.status, end.failure, end.cause) == (ExecutionStatus.COMPLETED, None, 'exited')
    assert (end.verdict, end.output_parameters) == (verdict, found)


@pytest.mark.parametrize(
    ('outcome', 'reason'),
    [
        (Outcome(cause=EndCause.EXITED, exit_code=2), FailureReason.SCRIPT_FAILED),
        (Outcome(cause=EndCause.EXITED, signal=1), FailureReason.SCRIPT_FAILED),
        (Outcome(cause=EndCause.EXITED, exit_code=1, end_asked=True), FailureReason.SHUTDOWN),
        (Outcome(cause=EndCause.TIMED_OUT, exit_code=1), FailureReason.TIMEOUT),
        (Outcome(cause=EndCause.GATEWAY_LOST, exit_code=1), FailureReason.RESTARTED),
        (Outcome(cause=EndCause.SUPERVISOR_LOST, exit_code=1), FailureReason.SUPERVISOR_LOST),
        (
            Outcome(
                cause=EndCause.LIMIT_REACHED,
                exit_code=1,
                limit=LimitReached(name='cpu_sec', value=1, used=2),
            ),
            FailureReason.LIMIT_CPU,
        ),
    ],
)
def test_an_exit_code_is_a_verdict_only_of_a_script_that_exited_by_itself(
    outcome: Outcome, reason: FailureReason
) -> None:
    """What the gateway or a signal ended did not come to its end."""
    execution = running(exit_verdicts=MAPPED, stop_trigger=SHUT_DOWN)
    end = final_status_of(execution, outcome, Output())
    assert end.failure is not None
    assert (end.failure.reason, end.verdict) == (reason, None)
    stopped = replace(execution, stop_trigger=STOPPED)
    end = final_status_of(stopped, outcome, Output())
    assert (end.status, end.verdict) == (ExecutionStatus.TERMINATED, None)


def test_what_is_wrong_with_what_was_printed_matters_where_that_would_be_the_result() -> None:
    """Not where the script failed, or was stopped."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=1, printed_warning='it is too long')
    mapped = running(exit_verdicts=MAPPED)
    assert final_status_of(mapped, outcome, Output()).warnings == ('it is too long',)
    assert final_status_of(running(), outcome, Output()).warnings == ()
    stopped = replace(mapped, stop_trigger=STOPPED)
    assert final_status_of(stopped, outcome, Output()).warnings == ()


FOREIGN = UnkillableProcess(
    pid=7, start_ticks=1, user='root', command='apt update', permitted=False
)
HANGING = UnkillableProcess(pid=8, start_ticks=2, user='robot', command='cp a b', permitted=True)


def test_what_could_not_be_ended_is_told_with_its_reason() -> None:
    """A warning says so whatever the status, and the error of one that failed does."""
    told = (
        'what could not be ended lives on: pid 7 of root (apt update: not permitted), '
        'pid 8 of robot (cp a b: SIGKILL does not end it)'
    )
    left = (FOREIGN, HANGING)
    outcome = Outcome(cause=EndCause.EXITED, exit_code=0, unkillable_processes=left)
    good = final_status_of(running(), outcome, Output())
    assert (good.status, good.warnings) == (ExecutionStatus.COMPLETED, (told,))
    outcome = Outcome(cause=EndCause.EXITED, exit_code=3, unkillable_processes=left)
    bad = final_status_of(running(), outcome, Output())
    assert bad.warnings == (told,)
    assert bad.failure is not None
    assert bad.failure.message == f'the script exited with 3; {told}'


def test_of_many_a_sentence_names_three() -> None:
    """The execution lists them all."""
    assert told_unkillable([FOREIGN] * 5).endswith('not permitted) and 2 more')


def test_what_a_failed_start_left_is_told_too() -> None:
    """Whether the start failed or was stopped."""
    failed = status_without_outcome(running(), FailureReason.SPAWN_FAILED, 'it hangs', (FOREIGN,))
    stopped = status_without_outcome(
        running(stop_trigger=STOPPED), FailureReason.SPAWN_FAILED, 'it hangs', (FOREIGN,)
    )
    assert failed.failure is not None
    assert failed.failure.message.startswith('it hangs; what could not be ended lives on: pid 7')
    for end in (failed, stopped):
        assert end.left == (FOREIGN,)
        assert 'not permitted' in end.warnings[0]


@pytest.mark.parametrize(
    ('heard_ms', 'duration_sec', 'end_ms'),
    [(50, 0.05, 50), (50, 0.04, 50), (50, 0.054, 54), (50, 3.0, 50), (-5000, 0.05, -5000)],
    ids=['both at once', 'end heard late', 'start heard late', 'set back', 'set back before it'],
)
def test_an_end_is_no_earlier_than_start_and_duration_say(
    heard_ms: int, duration_sec: float, end_ms: int
) -> None:
    """A start that is heard late puts the end off as well, but for a clock that was set back."""
    began = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)

    def after(milliseconds: int) -> datetime.datetime:
        return began + datetime.timedelta(milliseconds=milliseconds)

    outcome = Outcome(cause=EndCause.EXITED, exit_code=0, duration_sec=duration_sec)
    assert end_moment(running(started_at=began), outcome, after(heard_ms)) == after(end_ms)
    assert end_moment(running(), outcome, after(heard_ms)) == after(heard_ms)
    assert end_moment(running(started_at=began), None, after(heard_ms)) == after(heard_ms)
