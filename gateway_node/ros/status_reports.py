# SPDX-License-Identifier: Apache-2.0
"""What is said of an execution on the status topic, and how often; knows nothing of rclpy."""

from collections.abc import Callable
from dataclasses import dataclass
import datetime
import enum
import json

from gateway_node.clock import rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.scripts.values import Verdict

MAX_MESSAGE_CHARACTERS = 400


class ReportLevel(enum.IntEnum):
    """Levels of diagnostic_msgs/msg/DiagnosticStatus."""

    OK = 0
    """Nothing to worry about: prepared, running, completed."""
    WARN = 1
    """A client or a trigger stopped it, or it found something that somebody should look at."""
    ERROR = 2
    """It failed, or what it looked at did."""


_LEVELS = {
    ExecutionStatus.FAILED: ReportLevel.ERROR,
    ExecutionStatus.TERMINATED: ReportLevel.WARN,
}
_VERDICT_LEVELS = {Verdict.FAIL: ReportLevel.ERROR, Verdict.WARN: ReportLevel.WARN}


@dataclass(frozen=True, kw_only=True)
class StatusReport:
    """One message of the status topic, in the words of DiagnosticStatus."""

    name: str
    """The execution's path."""
    level: ReportLevel
    message: str
    """The status; of a failed execution why as well, in a line."""
    hardware_id: str
    """The id of the component that the entity is located on."""
    values: tuple[tuple[str, str], ...]
    """Keys, always the same in the same order, and values; empty for what is not known yet."""


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Says what an execution is like.

    `path_of` gives an execution's path in the API, `component_of` the id of the component that an
    entity is located on; neither may raise.
    """

    path_of: Callable[[Execution], str]
    component_of: Callable[[EntityRef], str]
    gateway: str
    """Tells messages of one gateway from those of others, whatever their names."""

    def report(self, execution: Execution) -> StatusReport:
        """Return the message that tells how `execution` stands."""
        progress, stopped_by = execution.progress, execution.stop_trigger
        return StatusReport(
            name=self.path_of(execution),
            level=_level(execution),
            message=_message(execution),
            hardware_id=self.component_of(execution.entity),
            values=(
                ('id', execution.id),
                ('status', execution.status.value),
                ('progress', _text(progress.percent if progress else None)),
                ('entity', execution.entity.path),
                ('script_id', execution.script_id),
                ('exit_code', _text(execution.exit_code)),
                ('started_at', _time(execution.started_at)),
                ('completed_at', _time(execution.completed_at)),
                ('gateway', self.gateway),
                ('verdict', execution.verdict.value if execution.verdict else ''),
                ('summary', execution.summary or ''),
                ('metrics', json.dumps(execution.metrics) if execution.metrics else ''),
                ('script_name', execution.script_name or ''),
                ('vendor_code', execution.failure.reason.value if execution.failure else ''),
                ('username', execution.trigger.username or ''),
                ('stopped_by', (stopped_by and stopped_by.username) or ''),
                ('instance', execution.instance or ''),
                ('firing', _text(execution.trigger.firing)),
                ('stop_firing', _text(stopped_by.firing if stopped_by else None)),
            ),
        )


class ProgressCoalescer:
    """Lets through at most one change of progress per execution and interval, the last one always.

    Times are monotonic seconds that the caller gives; they never go back.
    """

    def __init__(self, interval_sec: float) -> None:
        """Begin with no execution known."""
        self._interval_sec = interval_sec
        self._next_at: dict[str, float] = {}
        self._pending: dict[str, Execution] = {}

    def offer(self, execution: Execution, now: float) -> bool:
        """Return True where `execution` may be told at once; otherwise it is kept as the latest.

        An execution that has ended is never let through: its final status told everything.
        """
        if not execution.is_open:
            return False
        if now < self._next_at.get(execution.id, float('-inf')):
            self._pending[execution.id] = execution
            return False
        self._pending.pop(execution.id, None)
        self._next_at[execution.id] = now + self._interval_sec
        return True

    def settle(self, execution: Execution) -> Execution | None:
        """Take a change of status; return a kept progress that it does not carry itself."""
        pending = self._pending.pop(execution.id, None)
        if not execution.is_open:
            self._next_at.pop(execution.id, None)
        if pending is None or pending.progress == execution.progress:
            return None
        return pending

    def take_due(self, now: float) -> tuple[Execution, ...]:
        """Return what is kept and may be told now."""
        due = [
            execution for execution in self._pending.values() if now >= self._next_at[execution.id]
        ]
        for execution in due:
            del self._pending[execution.id]
            self._next_at[execution.id] = now + self._interval_sec
        return tuple(due)

    def take_all(self) -> tuple[Execution, ...]:
        """Return everything that is kept, due or not."""
        kept = tuple(self._pending.values())
        self._pending.clear()
        return kept

    def next_due(self) -> float | None:
        """Return when the first kept one may be told; None where nothing is kept."""
        return min((self._next_at[execution_id] for execution_id in self._pending), default=None)


def _level(execution: Execution) -> ReportLevel:
    """Return the worse of what the status and the verdict mean."""
    found = ReportLevel.OK
    if execution.verdict is not None:
        found = _VERDICT_LEVELS.get(execution.verdict, ReportLevel.OK)
    return max(found, _LEVELS.get(execution.status, ReportLevel.OK))


def _message(execution: Execution) -> str:
    status, failure = execution.status.value, execution.failure
    if failure is None:
        return status
    # No subscriber can be served half of a surrogate pair.
    told = f'{status}: {failure.message}'.encode(errors='replace').decode()
    line = ' '.join(told.split())
    if len(line) <= MAX_MESSAGE_CHARACTERS:
        return line
    return f'{line[: MAX_MESSAGE_CHARACTERS - 1]}…'


def _text(value: int | None) -> str:
    return '' if value is None else str(value)


def _time(moment: datetime.datetime | None) -> str:
    return '' if moment is None else rfc3339(moment)
