# SPDX-License-Identifier: Apache-2.0
"""What the end of a process tree means for its execution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
import datetime
from typing import Any

from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.findings import findings_of, worst
from gateway_node.executions.preconditions import Looked, PRECONDITION_LOST
from gateway_node.executions.runner_ports import EndCause, LimitReached, Outcome
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    Output,
    Trigger,
    TriggerType,
    UnkillableProcess,
)
from gateway_node.scripts.values import Verdict

STDERR_TAIL_CHARACTERS = 2048
"""How much of stderr an error carries; the rest is in `output`."""

_HEARD_LATE = datetime.timedelta(milliseconds=10)
"""The longest delay with which it is heard, as a rule, that a script has begun."""
_NAMED = 3
"""Processes that a sentence names; the execution lists them all."""

_LIMIT_REASONS = {
    'cpu_sec': FailureReason.LIMIT_CPU,
    'memory_mb': FailureReason.LIMIT_MEMORY,
    'processes': FailureReason.LIMIT_PROCESSES,
    'open_files': FailureReason.LIMIT_OPEN_FILES,
    'file_size_mb': FailureReason.LIMIT_FILE_SIZE,
    'output_mb': FailureReason.LIMIT_OUTPUT,
}


@dataclass(frozen=True, kw_only=True)
class FinalStatus:
    """The final status and what is to be recorded with it."""

    status: ExecutionStatus
    cause: str
    failure: Failure | None = None
    output_parameters: Mapping[str, Any] | None = None
    verdict: Verdict | None = None
    summary: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    stop_trigger: Trigger | None = None
    """Who ended it, where that was the gateway or a client."""
    warnings: tuple[str, ...] = ()
    left: tuple[UnkillableProcess, ...] = ()
    """What could not be ended."""


def final_status_of(
    execution: Execution,
    outcome: Outcome,
    output: Output,
    *,
    timeout_sec: float | None = None,
    lost: Looked | None = None,
) -> FinalStatus:
    """Decide the final status: a wanted stop first, then the gateway's reasons, then exit.

    `timeout_sec`, and which precondition was `lost`, are None where that is not known any more,
    after a restart.
    """
    if execution.stop_accepted:
        return _with_findings(
            FinalStatus(
                status=ExecutionStatus.TERMINATED,
                cause='stop',
                output_parameters=outcome.result,
                stop_trigger=execution.stop_trigger,
            ),
            outcome,
        )
    # A script that had ended when the end was asked for has its own end: it was only leftovers
    # that the gateway ended.
    ended_by = execution.stop_trigger if outcome.end_asked else None
    exit_verdict = _exit_verdict(execution, outcome, ended_by)
    failure = None
    if exit_verdict is None:
        failure = _failure(outcome, output, timeout_sec, ended_by, lost)
    if failure is None:
        return _with_findings(
            FinalStatus(
                status=ExecutionStatus.COMPLETED,
                cause='exited',
                output_parameters=_output_parameters(outcome, output),
            ),
            outcome,
            exit_verdict,
        )
    return _with_findings(
        FinalStatus(
            status=ExecutionStatus.FAILED,
            cause=failure.reason.value,
            failure=failure,
            output_parameters=outcome.result,
            stop_trigger=_own_stop(outcome) or ended_by,
        ),
        outcome,
    )


def _exit_verdict(
    execution: Execution, outcome: Outcome, ended_by: Trigger | None
) -> Verdict | None:
    """Return what its exit code means; None where that is not said, or others ended it."""
    if outcome.cause is not EndCause.EXITED or outcome.exit_code is None or ended_by is not None:
        return None
    return execution.exit_verdicts.get(outcome.exit_code)


def _with_findings(
    final: FinalStatus, outcome: Outcome, exit_verdict: Verdict | None = None
) -> FinalStatus:
    """Add what the script found, what could not be ended, and all that there is to warn of."""
    findings = findings_of(final.output_parameters)
    left = outcome.unkillable_processes
    verdict, printed_warning = findings.verdict, ''
    # The checks of one that did not come to its end say nothing of those that it did not make.
    if final.status is ExecutionStatus.COMPLETED:
        verdict = worst(filter(None, (findings.verdict_of_all, exit_verdict)))
        printed_warning = outcome.printed_warning
    warnings = (*outcome.warnings, printed_warning, *findings.complaints, *_warnings(left))
    return replace(
        final,
        verdict=verdict,
        summary=findings.summary,
        metrics=findings.metrics,
        warnings=tuple(filter(None, warnings)),
        left=left,
    )


def status_without_outcome(
    execution: Execution,
    reason: FailureReason,
    message: str,
    left: tuple[UnkillableProcess, ...] = (),
    told: Mapping[str, Any] | None = None,
) -> FinalStatus:
    """Conclude an execution of which no outcome is known: a wanted stop goes before the
    reason."""
    if execution.stop_accepted:
        return FinalStatus(
            status=ExecutionStatus.TERMINATED,
            cause='stop',
            stop_trigger=execution.stop_trigger,
            warnings=_warnings(left),
            left=left,
        )
    return FinalStatus(
        status=ExecutionStatus.FAILED,
        cause=reason.value,
        failure=Failure(
            reason=reason,
            message='; '.join((message, *_warnings(left))),
            parameters=told or {},
        ),
        stop_trigger=execution.stop_trigger,
        warnings=_warnings(left),
        left=left,
    )


def final_changes(
    execution: Execution, final: FinalStatus, outcome: Outcome | None
) -> dict[str, Any]:
    """Return the fields of an execution that its end sets."""
    changes: dict[str, Any] = {
        'failure': final.failure,
        'output_parameters': final.output_parameters,
        'verdict': final.verdict,
        'summary': final.summary,
        'metrics': final.metrics,
        'unkillable_processes': final.left,
        'warnings': execution.warn(*final.warnings).warnings,
    }
    if outcome is not None:
        changes |= {
            'duration_ms': _milliseconds(outcome.duration_sec),
            'exit_code': outcome.exit_code,
            'signal': outcome.signal,
            'leftover_processes': outcome.leftover_processes,
            'resource_use': outcome.resource_use,
            'artifacts': outcome.artifacts,
        }
    return changes


def end_moment(
    execution: Execution, outcome: Outcome | None, now: datetime.datetime
) -> datetime.datetime:
    """Return now, or what start and duration say where that is a moment later.

    That the script began was heard late then; no line of its output may stand behind its end. A
    clock that was set back is believed.
    """
    duration_ms = None if outcome is None else _milliseconds(outcome.duration_sec)
    if execution.started_at is None or duration_ms is None:
        return now
    by_duration = execution.started_at + datetime.timedelta(milliseconds=duration_ms)
    return by_duration if now < by_duration <= now + _HEARD_LATE else now


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _failure(
    outcome: Outcome,
    output: Output,
    timeout_sec: float | None,
    ended_by: Trigger | None,
    lost: Looked | None,
) -> Failure | None:
    """Return why it failed; None where it did not."""
    reason, message = _reason(outcome, ended_by, lost)
    if reason is None:
        return None
    message = '; '.join((message, *_warnings(outcome.unkillable_processes)))
    known: dict[str, Any] = {
        'exit_code': outcome.exit_code,
        'signal': outcome.signal,
        'stderr': output.stderr[-STDERR_TAIL_CHARACTERS:] or None,
    }
    if outcome.cause is EndCause.TIMED_OUT:
        known['timeout_sec'] = timeout_sec
    if reason is FailureReason.PRECONDITION_LOST and lost is not None:
        known['lost'] = lost.document()
    if outcome.limit is not None:
        known |= {
            'limit': outcome.limit.name,
            'value': outcome.limit.value,
            'used': outcome.limit.used,
        }
    parameters = {name: value for name, value in known.items() if value is not None}
    return Failure(reason=reason, message=message, parameters=parameters)


def _reason(
    outcome: Outcome, ended_by: Trigger | None, lost: Looked | None
) -> tuple[FailureReason | None, str]:
    match outcome.cause:
        case EndCause.GATEWAY_LOST:
            return FailureReason.RESTARTED, 'the gateway died while the script ran'
        case EndCause.SUPERVISOR_LOST:
            return FailureReason.SUPERVISOR_LOST, outcome.message or 'its supervisor died'
        case EndCause.SPAWN_FAILED:
            return FailureReason.SPAWN_FAILED, outcome.message
        case EndCause.TIMED_OUT:
            return FailureReason.TIMEOUT, 'it took longer than its time limit'
        case EndCause.LIMIT_REACHED if outcome.limit is not None:
            return _LIMIT_REASONS[outcome.limit.name], _limit_message(outcome.limit)
    if ended_by == PRECONDITION_LOST:
        return FailureReason.PRECONDITION_LOST, lost_message(lost)
    if ended_by is not None:
        return FailureReason.SHUTDOWN, 'the gateway was shut down while the script ran'
    if outcome.signal is not None:
        return FailureReason.SCRIPT_FAILED, f'the script died of signal {outcome.signal}'
    if outcome.exit_code != 0:
        return FailureReason.SCRIPT_FAILED, f'the script exited with {outcome.exit_code}'
    return None, ''


def lost_message(lost: Looked | None) -> str:
    """Return a sentence on a precondition that did not hold any more."""
    if lost is None:
        return 'a precondition, its own or one of what started it, did not hold any more'
    return f'a precondition did not hold any more: {lost.sentence}'


def _warnings(left: tuple[UnkillableProcess, ...]) -> tuple[str, ...]:
    return (told_unkillable(left),) if left else ()


def told_unkillable(left: Sequence[UnkillableProcess]) -> str:
    """Return a sentence on processes that could not be ended."""
    named = ', '.join(
        f'pid {process.pid} of {process.user or "an unknown user"} ({process.command}: '
        f'{"SIGKILL does not end it" if process.permitted else "not permitted"})'
        for process in left[:_NAMED]
    )
    more = f' and {len(left) - _NAMED} more' if len(left) > _NAMED else ''
    return f'what could not be ended lives on: {named}{more}'


def _limit_message(limit: LimitReached) -> str:
    return f'it used {limit.used:g} of at most {limit.value:g} ({limit.name})'


def _own_stop(outcome: Outcome) -> Trigger | None:
    if outcome.cause is EndCause.TIMED_OUT:
        return Trigger(type=TriggerType.SYSTEM, setting='timeout')
    if outcome.limit is not None:
        return Trigger(type=TriggerType.SYSTEM, setting=outcome.limit.name)
    return None


def _output_parameters(outcome: Outcome, output: Output) -> Mapping[str, Any]:
    """Return the result, else stdout where all of it is a JSON object, else both streams."""
    if outcome.result is not None:
        return outcome.result
    if outcome.printed is not None:
        return outcome.printed
    return {'stdout': output.stdout, 'stderr': output.stderr, 'exit_code': outcome.exit_code}
