"""One open execution: from its record to the final status, whatever happens in between."""

import asyncio
import logging
from typing import Any

from gateway_node.entities.clock import Clock
from gateway_node.executions.conclusion import conclude, Conclusion, not_started
from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import Outcome, ScriptProcess, ScriptRunner, StartOrder
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    FailureReason,
    Progress,
    StopAction,
    Trigger,
    TriggerType,
)

_log = logging.getLogger(__name__)


class LiveExecution:
    """Drives one execution.

    The record changes with transitions, which take time; a stop and progress arrive at any
    moment. So those two are held beside the record, and each transition takes them along.
    """

    def __init__(
        self,
        execution: Execution,
        order: StartOrder,
        *,
        runner: ScriptRunner,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self.order = order
        self._record = execution
        self._runner = runner
        self._ledger = ledger
        self._clock = clock
        self._process: ScriptProcess | None = None
        self._asked: StopAction | None = None
        self._stop_trigger: Trigger | None = None
        self._progress: Progress | None = None
        self._concluded = False
        self._ended = asyncio.Event()

    @property
    def execution(self) -> Execution:
        """The present state."""
        if not self._record.is_open:
            return self._record
        return self._record.evolve(stop_trigger=self._stop_trigger, progress=self._progress)

    async def drive(self) -> None:
        """Start the script and see it through to the final status."""
        try:
            if self._asked is None:
                await self._see_through()
            else:
                await self._end_unstarted()
        except Exception:
            _log.exception('a defect of the gateway ended the supervision of %s', self._record.id)
            await self._give_up()
        finally:
            self._ended.set()

    async def wait_ended(self) -> None:
        """Wait for the final status."""
        await self._ended.wait()

    def stop(self, action: StopAction, trigger: Trigger) -> bool:
        """Ask for the end; False where the final status is decided already.

        The first client's stop is the one that is recorded. A forced termination overrides a
        stop, not the other way round; repeating either is harmless.
        """
        if self._concluded:
            return False
        if self._stop_trigger is None or self._stop_trigger.type is not TriggerType.MANUAL:
            self._stop_trigger = trigger
        if self._asked is not StopAction.FORCED_TERMINATION:
            self._asked = action
            if self._process is not None:
                self._process.stop(action)
        return True

    async def _see_through(self) -> None:
        try:
            process = await self._runner.start(self.order, self._on_progress)
        except SpawnFailed as error:
            await self._settle(not_started(FailureReason.SPAWN_FAILED, str(error)))
            return
        self._process = process
        if self._asked is not None:
            process.stop(self._asked)
        await self._advance(ExecutionStatus.RUNNING, 'started', started_at=self._clock.now())
        if self._progress is not None:
            self._ledger.tell_progress(self.execution)
        if self._stop_trigger is not None and self._record.stop_trigger is None:
            await self._ledger.note(self.execution)
        outcome = await process.ended()
        output = await self._runner.output(self._record.id)
        conclusion = conclude(self.execution, outcome, output, timeout_sec=self.order.timeout_sec)
        await self._settle(conclusion, outcome)

    async def _give_up(self) -> None:
        """Leave neither a process nor an open record behind after a defect."""
        if self._process is not None:
            self._process.stop(StopAction.FORCED_TERMINATION)
            await self._process.ended()
        if self._record.is_open:
            message = 'an internal error of the gateway; its log has the traceback'
            await self._settle(not_started(FailureReason.SUPERVISOR_LOST, message))

    async def _end_unstarted(self) -> None:
        if self.execution.stop_accepted:
            await self._settle(Conclusion(status=ExecutionStatus.TERMINATED, cause='stop'))
        else:
            message = 'the gateway was shut down before the script started'
            await self._settle(not_started(FailureReason.SHUTDOWN, message))

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        if self._record.status is ExecutionStatus.RUNNING and not self._concluded:
            self._ledger.tell_progress(self.execution)

    async def _settle(self, conclusion: Conclusion, outcome: Outcome | None = None) -> None:
        """Record the final status; from here on no stop is accepted."""
        self._concluded = True
        self._stop_trigger = conclusion.stop_trigger or self._stop_trigger
        measured: dict[str, Any] = {}
        if outcome is not None:
            measured = {
                'duration_ms': round(outcome.duration_sec * 1000),
                'exit_code': outcome.exit_code,
                'signal': outcome.signal,
                'leftover_processes': outcome.leftover_processes,
                'resource_use': outcome.resource_use,
            }
        await self._advance(
            conclusion.status,
            conclusion.cause,
            completed_at=self._clock.now(),
            failure=conclusion.failure,
            output_parameters=conclusion.output_parameters,
            **measured,
        )

    async def _advance(self, status: ExecutionStatus, cause: str, **changes: Any) -> None:
        self._record = await self._ledger.advance(self.execution, status, cause, **changes)
