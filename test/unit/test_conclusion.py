"""What the end of a process tree means: the order of reasons, and the output parameters."""

from dataclasses import replace
import json
from typing import Any

from hypothesis import given, strategies
import pytest

from gateway_node.executions.conclusion import conclude, STDERR_TAIL_CHARACTERS
from gateway_node.executions.ports import EndCause, LimitReached, Outcome
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    FailureReason,
    Output,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import Limits
from gateway_node.testing import new_execution

WELL = Outcome(cause=EndCause.EXITED, exit_code=0, stdout=b'')
STOPPED = Trigger(type=TriggerType.MANUAL, setting='stop')
SHUT_DOWN = Trigger(type=TriggerType.SYSTEM, setting='shutdown')


def running(**fields: Any) -> Execution:
    """Return an execution that runs."""
    return new_execution(1, status=ExecutionStatus.RUNNING, **fields)


def parameters_of(stdout: bytes | None, **fields: Any) -> Any:
    """Return the output parameters of a script that ended well and wrote this."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=0, stdout=stdout, **fields)
    kept = Output(stdout=(stdout or b'').decode(errors='replace'), stderr='e')
    return conclude(running(), outcome, kept, timeout_sec=1).output_parameters


@pytest.mark.parametrize('cause', EndCause)
@pytest.mark.parametrize('exit_code', [0, 1])
def test_a_clients_stop_goes_before_everything(cause: EndCause, exit_code: int) -> None:
    """Once accepted, the end is `terminated`, and there is neither error nor result."""
    limit = LimitReached(name='cpu_sec', value=1, used=2)
    outcome = Outcome(cause=cause, exit_code=exit_code, limit=limit, result={'a': 1})
    end = conclude(running(stop_trigger=STOPPED), outcome, Output(), timeout_sec=1)
    assert end.status is ExecutionStatus.TERMINATED
    assert (end.failure, end.output_parameters, end.cause) == (None, None, 'stop')
    assert end.stop_trigger == STOPPED


def test_a_shutdown_is_a_failure_even_with_exit_code_0() -> None:
    """The gateway ended it: what it was about to do is not done."""
    outcome = replace(WELL, end_asked=True)
    end = conclude(running(stop_trigger=SHUT_DOWN), outcome, Output(), timeout_sec=1)
    assert end.failure is not None
    assert end.failure.reason is FailureReason.SHUTDOWN
    assert end.stop_trigger == SHUT_DOWN


@pytest.mark.parametrize('exit_code', [0, 3])
def test_an_end_before_the_shutdown_is_the_scripts_own(exit_code: int) -> None:
    """Only leftovers lived when the gateway asked for the end: the exit code and result count."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=exit_code, stdout=b'{"volts": 12}')
    end = conclude(running(stop_trigger=SHUT_DOWN), outcome, Output(), timeout_sec=1)
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
    end = conclude(running(stop_trigger=SHUT_DOWN), outcome, Output(), timeout_sec=2.5)
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
    end = conclude(running(), outcome, Output(), timeout_sec=1)
    assert end.failure is not None
    assert end.failure.reason.value.startswith('x-gateway-limit-')
    assert name.split('_')[0] in end.failure.reason.value
    assert end.failure.parameters == {'limit': name, 'value': 64, 'used': 65.5}
    assert end.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting=name)


def test_an_error_carries_the_end_of_stderr() -> None:
    """Only the end; the rest is in `output`."""
    outcome = Outcome(cause=EndCause.EXITED, exit_code=1)
    stderr = 'x' * STDERR_TAIL_CHARACTERS + 'the end'
    end = conclude(running(), outcome, Output(stderr=stderr), timeout_sec=1)
    assert end.failure is not None
    tail = end.failure.parameters['stderr']
    assert len(tail) == STDERR_TAIL_CHARACTERS
    assert tail.endswith('the end')


def test_a_result_goes_before_what_was_printed() -> None:
    """What the script gave as its result is its output parameters."""
    assert parameters_of(b'{"a": 1}', result={'b': 2}) == {'b': 2}
    assert parameters_of(b'{"a": 1}', result={}) == {}


@given(
    strategies.dictionaries(
        strategies.text(),
        strategies.recursive(
            strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(),
            lambda inner: strategies.lists(inner, max_size=3),
            max_leaves=5,
        ),
        max_size=3,
    )
)
def test_a_printed_json_object_is_the_output_parameters(printed: dict[str, Any]) -> None:
    """Where all of stdout is one object, white space around it aside."""
    assert parameters_of(b' \n' + json.dumps(printed).encode() + b'\n') == printed


@pytest.mark.parametrize(
    'stdout',
    [
        b'',
        b'[]',
        b'7',
        b'"text"',
        b'{"a": 1} and more',
        b'{"a": 1}{"b": 2}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": \xff}',
        b'{"a": ' + b'9' * 5000 + b'}',
        b'{"a":' * 100_000,
        b'{"a": ' + b'[' * 100_000 + b']' * 100_000 + b'}',
    ],
    ids=lambda stdout: repr(stdout[:20]),
)
def test_what_is_no_json_object_is_told_as_text(stdout: bytes) -> None:
    """Both streams and the exit code, whatever the script printed."""
    told = parameters_of(stdout)
    assert told == {'stdout': stdout.decode(errors='replace'), 'stderr': 'e', 'exit_code': 0}


def test_more_than_is_kept_is_told_as_text() -> None:
    """A stdout that was cut is no JSON, though its head may look so."""
    assert parameters_of(None) == {'stdout': '', 'stderr': 'e', 'exit_code': 0}


@pytest.mark.parametrize('stdout', [b'{"a": 1e999}', b'{"a": -1e999}', b'{"a": [{"b": 1e400}]}'])
def test_a_number_that_json_cannot_say_again_is_told_as_text(stdout: bytes) -> None:
    """1e999 would come back as Infinity, which is no JSON: the execution must stay readable."""
    json.dumps(parameters_of(stdout), allow_nan=False)
