# SPDX-License-Identifier: Apache-2.0
"""One open execution: from its record to the final status, whatever happens in between."""

import asyncio
from collections.abc import Callable, Coroutine
import contextlib
import logging
from typing import Any, TypeVar

from gateway_node.clock import Clock
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.errors import NotStartable, SpawnFailed, StoreUnavailable
from gateway_node.executions.final_status import (
    final_status_of,
    FinalStatus,
    status_without_outcome,
)
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

_RECORD_PATIENCE_SEC = 0.5
"""How long a stop waits for its record before the script hears of it all the same."""


_Work = TypeVar('_Work')


class ActiveExecution:
    """Drives one execution.

    The record changes with transitions, which take time; a stop and progress arrive at any
    moment. So those two are held beside the record, and each write takes them along. Writes are
    made one after the other, so that none takes back what another wrote.
    """

    def __init__(
        self,
        execution: Execution,
        prepare: Callable[[], Coroutine[Any, Any, StartOrder]],
        *,
        runner: ScriptRunner,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        """Take a recorded execution.

        `prepare` is awaited before the start; it may wait (for the entity, for a free place) and
        raises NotStartable where there will be no start.
        """
        self.order: StartOrder | None = None
        """What is, or is to be, started; None while that is being prepared."""
        self._prepare = prepare
        self._record = execution
        self._runner = runner
        self._ledger = ledger
        self._clock = clock
        self._process: ScriptProcess | None = None
        self._refusal: NotStartable | None = None
        self._asked: StopAction | None = None
        self._passed_on: StopAction | None = None
        self._recording_stops = 0
        self._writing = asyncio.Lock()
        self._stop_asked = asyncio.Event()
        self._stop_trigger = execution.stop_trigger
        self._stop_actor = GATEWAY
        self._progress: Progress | None = None
        self._decided = False
        self._ended = asyncio.Event()

    @property
    def execution(self) -> Execution:
        """The present state."""
        if not self._record.is_open:
            return self._record
        present = self._record.evolve(stop_trigger=self._stop_trigger)
        if self._record.status is ExecutionStatus.RUNNING:
            return present.evolve(progress=self._progress)
        return present

    async def drive(self) -> None:
        """Start the script and see it through to the final status."""
        try:
            await self._see_through()
        except NotStartable as error:
            reason, message = error.reason, str(error)
            await self._settle(status_without_outcome(self.execution, reason, message, error.left))
        except StoreUnavailable:
            # The gateway ends, and the store is still not to be had; the ledger logged it. The
            # next start finds the outcome with the runner.
            _log.warning('%s ends without a record of its end', self._record.id)
        except Exception:
            _log.exception('a defect of the gateway ended the supervision of %s', self._record.id)
            await self._give_up()
        finally:
            self._ended.set()

    async def wait_ended(self) -> None:
        """Wait for the final status."""
        await self._ended.wait()

    def give_up(self, refusal: NotStartable) -> None:
        """Let it fail with this reason, as long as its start is not ordered."""
        if self.order is None:
            self._refusal = refusal
            self._stop_asked.set()

    def stop(self, action: StopAction, trigger: Trigger, actor: Actor) -> bool:
        """Ask for the end; False where the final status is decided already.

        The first client's stop is the one that is recorded. A forced termination overrides a
        stop, not the other way round; repeating either is harmless.
        """
        if self._decided:
            return False
        self._accept_stop(action, trigger, actor)
        self._pass_stop_on()
        return True

    async def record_and_stop(self, action: StopAction, trigger: Trigger, actor: Actor) -> bool:
        """Ask for the end as `stop` does, and record that before the script hears of it.

        Should the gateway die in between, the next one knows why the script died of a signal.
        """
        if self._decided:
            return False
        self._accept_stop(action, trigger, actor)
        self._recording_stops += 1
        try:
            # A disk that stalls does not keep a script alive.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RECORD_PATIENCE_SEC):
                    await self._note_stop()
        finally:
            self._recording_stops -= 1
            self._pass_stop_on()
        return True

    @property
    def decided(self) -> bool:
        """Whether the final status is decided, though it may not be on record yet."""
        return self._decided

    @property
    def stop_holds(self) -> bool:
        """Whether an accepted stop needs this gateway no more: a script heard of it, or it is on
        record. What waits and is not on record would be started by the next gateway."""
        return self._process is not None or self._record.stop_accepted or not self._record.is_open

    def _accept_stop(self, action: StopAction, trigger: Trigger, actor: Actor) -> None:
        if self._stop_trigger is None or self._stop_trigger.type is not TriggerType.MANUAL:
            self._stop_trigger = trigger
            self._stop_actor = actor
        if self._asked is not StopAction.FORCED_TERMINATION:
            self._asked = action
            self._stop_asked.set()

    def _pass_stop_on(self) -> None:
        asked = self._asked
        if asked is None or asked is self._passed_on or self._process is None or self._decided:
            return
        self._passed_on = asked
        self._process.stop(asked)

    async def _see_through(self) -> None:
        await self._unless_stopped(self._take_order())
        if self._stop_asked.is_set():
            self._end_unstarted()
            return
        assert self.order is not None
        if self._record.is_schedule:
            # A schedule that becomes its own execution is used up before anything is started.
            await self._use_up()
        if self._stop_asked.is_set():
            self._end_unstarted()
            return
        try:
            starting = self._runner.start(self.order, self._on_progress)
            self._process = await self._unless_stopped(starting)
        except SpawnFailed as error:
            raise NotStartable(FailureReason.SPAWN_FAILED, str(error), error.left) from error
        if self._process is None:
            self._end_unstarted()
            return
        if not self._recording_stops:
            self._pass_stop_on()
        await self._advance(
            ExecutionStatus.RUNNING,
            None,
            started_at=self._clock.now(),
            script_version=self.order.script.version,
            mended=self.order.script.mended,
        )
        if self._progress is not None:
            self._ledger.tell_progress(self.execution)
        await self._note_stop()
        outcome = await self._process.ended()
        output = await self._runner.output(self._record.id)
        final = final_status_of(
            self.execution, outcome, output, timeout_sec=self.order.timeout_sec
        )
        await self._settle(final, outcome)

    async def _take_order(self) -> None:
        # At once: between its making and this nobody could tell which version is needed.
        self.order = await self._prepare()

    async def _unless_stopped(self, work: Coroutine[Any, Any, _Work]) -> _Work | None:
        """Return what `work` gives; None where a stop comes first, and then it is cancelled."""
        working = asyncio.create_task(work)
        stop_asked = asyncio.create_task(self._stop_asked.wait())
        try:
            await asyncio.wait({working, stop_asked}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            return None
        finally:
            stop_asked.cancel()

    def _end_unstarted(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._record.is_schedule and not self.execution.stop_accepted:
            self._decided = True  # a shutdown leaves a schedule for the next start
            return
        message = 'the gateway was shut down before the script started'
        raise NotStartable(FailureReason.SHUTDOWN, message)

    async def _give_up(self) -> None:
        """Leave neither a process nor an open record behind after a defect."""
        if self._process is not None:
            self._process.stop(StopAction.FORCED_TERMINATION)
            await self._process.ended()
        if self._record.is_open:
            message = 'an internal error of the gateway; its log has the traceback'
            lost = FailureReason.SUPERVISOR_LOST
            await self._settle(status_without_outcome(self.execution, lost, message))

    def _on_progress(self, progress: Progress) -> None:
        self._progress = progress
        if self._record.status is ExecutionStatus.RUNNING and not self._decided:
            self._ledger.tell_progress(self.execution)

    async def _settle(self, final: FinalStatus, outcome: Outcome | None = None) -> None:
        """Record the final status; from here on no stop is accepted."""
        self._decided = True
        self._stop_trigger = final.stop_trigger
        await self._advance(
            final.status,
            final.cause,
            **final_changes(self.execution, final, outcome),
            completed_at=self._clock.now(),
        )
        self._runner.acknowledge([self._record.id])

    async def _advance(self, status: ExecutionStatus, cause: str | None, **changes: Any) -> None:
        async with self._writing:
            self._record = await self._ledger.advance(self.execution, status, cause, **changes)

    async def _use_up(self) -> None:
        async with self._writing:
            self._record = await self._ledger.use_up(self.execution)

    async def _note_stop(self) -> None:
        """Record who asked for the end, where that is not on record and no end is."""
        async with self._writing:
            present = self.execution
            news = present.is_open and present.stop_trigger != self._record.stop_trigger
            if news and await self._ledger.note_stop(present, self._stop_actor):
                self._record = present


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def final_changes(
    execution: Execution, final: FinalStatus, outcome: Outcome | None
) -> dict[str, Any]:
    """Return the fields of an execution that its end sets."""
    changes: dict[str, Any] = {
        'failure': final.failure,
        'output_parameters': final.output_parameters,
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
        }
    return changes
