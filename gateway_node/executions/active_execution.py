# SPDX-License-Identifier: Apache-2.0
"""One open execution: from its record to the final status, whatever happens in between."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
import contextlib
from dataclasses import replace
import logging

from gateway_node.clock import Clock
from gateway_node.executions.active_record import ActiveRecord
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.call_off import CallOff
from gateway_node.executions.errors import NotStartable, SpawnFailed, StoreUnavailable
from gateway_node.executions.events import Change
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.final_status import (
    end_moment,
    final_changes,
    final_status_of,
    FinalStatus,
    lost_message,
    status_without_outcome,
)
from gateway_node.executions.holding import Holding
from gateway_node.executions.ports import ScriptCredentials, Witness
from gateway_node.executions.preconditions import PRECONDITION_LOST, PreconditionCheck
from gateway_node.executions.runner_ports import Outcome, ScriptProcess, ScriptRunner, StartOrder
from gateway_node.executions.stop import RECORD_PATIENCE_SEC
from gateway_node.executions.values import (
    Execution,
    ExecutionType,
    Output,
    Progress,
    StopAction,
    Trigger,
)
from gateway_node.to_the_end import ToTheEnd

_log = logging.getLogger(__name__)

RUNNING_PATIENCE_SEC = 0.02
"""How long the record that a script runs waits for its end, with which it costs nothing."""


_Enter = Callable[[], Awaitable[StartOrder]]
RecordEnd = Callable[[Sequence[Change]], Awaitable['ActiveExecution | None']]


class ActiveExecution:
    """Drives one execution; what becomes of it goes through its record."""

    def __init__(
        self,
        record: ActiveRecord,
        order: StartOrder | None = None,
        *,
        runner: ScriptRunner,
        clock: Clock,
        credentials: ScriptCredentials,
        witness: Witness,
        preconditions: PreconditionCheck,
        start_prepared: bool,
        record_end: RecordEnd,
        on_lost: Callable[['ActiveExecution'], None],
    ) -> None:
        """Take an execution, with what is to be started where it was let in already.

        With `start_prepared` the next gateway starts what this one has not. `record_end` records
        its last changes, and returns what follows it, if anything; `on_lost` is called where a
        precondition does not hold any more.
        """
        self.order = order
        """What is, or is to be, started; None until it is let in."""
        self.record = record
        """What is on record of it, and what is newer."""
        self._runner = runner
        self._clock = clock
        self._credentials = credentials
        self._witness = witness
        self._is_witnessed = False
        self._holding = Holding(preconditions, self._on_lost)
        self._start_prepared = start_prepared
        self._record_end = record_end
        self._tell_lost = on_lost
        self._process: ScriptProcess | None = None
        self._stop_following: Callable[[ActiveExecution], object] | None = None
        self._refusal: NotStartable | None = None
        self._call_off = CallOff()
        self._to_the_end = ToTheEnd()
        self._decided = False
        self._begins = False
        self.asked_by: Actor | None = None
        """Who had it started; None where an earlier gateway was asked."""
        self.has_children = False
        """Whether its script started executions, or another attempt followed it."""
        self._ended = asyncio.Event()
        self.output: Output | None = None
        """What the script wrote, once the execution has ended and where that came with its end."""

    @property
    def id(self) -> str:
        """Its id."""
        return self.record.recorded.id

    @property
    def ancestors(self) -> tuple[str, ...]:
        """The ids of its ancestors, the parent first."""
        return self.record.recorded.ancestors

    @property
    def execution(self) -> Execution:
        """The present state, as far as it is on record; a stop and progress are shown at once."""
        return self.record.shown

    async def drive(self, enter: _Enter | None = None) -> None:
        """Start the script and see it through to the final status.

        `enter` gives what is to be started, where that is not known yet. It may wait, and raises
        NotStartable where there will be no start.
        """
        try:
            if enter is not None:
                await self._call_off.unless(lambda: self._take_order(enter))
            await self._see_through()
        except NotStartable as error:
            await self._settle(
                status_without_outcome(
                    self.execution, error.reason, str(error), error.left, error.told
                )
            )
        except StoreUnavailable:
            # The gateway ends, and the store is still not to be had; the ledger logged it. The
            # next start finds the outcome with the runner.
            _log.warning('%s ends without a record of its end', self.id)
        except Exception:
            _log.exception('a defect of the gateway ended the supervision of %s', self.id)
            await self._give_up()
        finally:
            self._credentials.revoke(self.id)
            self._ended.set()

    async def wait_ended(self) -> None:
        """Wait for the final status."""
        await self._ended.wait()

    def give_up(self, refusal: NotStartable) -> None:
        """Let it fail with this reason, as long as it is not let in."""
        if self.order is None:
            self._refusal = refusal
            self._call_off.call()

    def stop(self, action: StopAction, trigger: Trigger, actor: Actor) -> bool:
        """Ask for the end; False where the final status is decided already.

        The first stop that somebody wants is the one that is recorded. A forced termination
        overrides a stop, not the other way round; repeating either is harmless.
        """
        if self._decided:
            return False
        self.record.stop = self.record.stop.ask(action, trigger, actor, hold=False)
        self._call_off.call()
        self._tell_stop()
        return True

    async def record_and_stop(self, action: StopAction, trigger: Trigger, actor: Actor) -> bool:
        """Ask for the end as `stop` does, and record that before the script hears of it.

        Should the gateway die in between, the next one knows why the script died of a signal.
        """
        if self._decided:
            return False
        self.record.stop = self.record.stop.ask(action, trigger, actor, hold=True)
        self._call_off.call()
        try:
            # A disk that stalls keeps no script alive; what it takes later is on record too.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RECORD_PATIENCE_SEC):
                    await self._to_the_end.run('note a stop', self.record.note_stop())
        finally:
            self.record.stop = self.record.stop.release()
            self._tell_stop()
        return True

    def lose(self) -> None:
        """End as with a stop: a precondition does not hold any more, its own or one of what led to
        it."""
        lost = self._holding.lost
        told = {} if lost is None else {'lost': lost.document()}
        # Where it has not started yet.
        self._refusal = NotStartable(
            FailureReason.PRECONDITION_LOST, lost_message(lost), told=told
        )
        if not self.stop(StopAction.STOP, PRECONDITION_LOST, GATEWAY):
            # What follows it needs the robot as it is not any more, too.
            self._stop_following = lambda following: following.lose()

    def stop_following(self, action: StopAction, trigger: Trigger, actor: Actor) -> None:
        """Ask for the end of what follows it, where its own end is decided and not on record."""
        self._stop_following = lambda following: following.stop(action, trigger, actor)

    @property
    def decided(self) -> bool:
        """Whether the final status is decided, though it may not be on record yet."""
        return self._decided

    @property
    def may_have_children(self) -> bool:
        """Whether its script may run, and nobody asked for its end."""
        return self._begins and not self._decided and self.record.stop.trigger is None

    @property
    def stop_holds(self) -> bool:
        """Whether an accepted stop needs this gateway no more: a script heard of it, or it is on
        record. What waits and is not on record would be started by the next gateway."""
        recorded = self.record.recorded
        return self._process is not None or recorded.stop_accepted or not recorded.is_open

    def _tell_stop(self) -> None:
        action = self.record.stop.to_tell
        if action is not None and self._process is not None and not self._decided:
            self.record.stop = self.record.stop.tell()
            self._process.stop(action, self.record.stop.trigger)

    async def _see_through(self) -> None:
        if self.record.recorded.is_schedule and not self._call_off.called:
            # A schedule that becomes its own execution is used up before anything is started.
            assert self.order is not None
            await self.record.use_up(self.order.script)
        # Whoever asked for the start goes on first, perhaps with a stop.
        await asyncio.sleep(0)
        try:
            process = None if self._call_off.called else await self._start()
            if process is None or self.order is None:
                self._end_unstarted()
                return
            self._tell_stop()
            await self.record.begin_to_run(self.order.script, warm=process.warm)
            await self.record.note_stop()
            outcome = await self._outcome(process)
        finally:
            self._holding.end()
        output = outcome.output
        if output is None:
            output = await self._runner.outputs.of(self.id)
        final = final_status_of(
            self.record.latest,
            outcome,
            output,
            timeout_sec=self.order.timeout_sec,
            lost=self._holding.lost,
        )
        await self._settle(final, outcome)

    async def _start(self) -> ScriptProcess | None:
        """Start the script; None where a stop comes first."""
        order = self.order
        assert order is not None
        self._holding.begin(order.preconditions)
        recorded = self.record.recorded
        if self._witness.wants(recorded, order.script):
            self._is_witnessed = True
            await self._call_off.unless(lambda: self._witness.before(recorded, order.script))
        token = self._credentials.issue(recorded)
        # What is kept of the order knows none.
        with_token = order if token is None else replace(order, token=token)
        # Before it is known to run, a script may ask for something already.
        self._begins = True
        try:
            self._process = await self._call_off.unless(
                lambda: self._runner.start(with_token, self._on_progress)
            )
        except SpawnFailed as error:
            raise NotStartable(FailureReason.SPAWN_FAILED, str(error), error.left) from error
        finally:
            self.order = order.without_secrets()
        return self._process

    async def _take_order(self, enter: _Enter) -> None:
        # At once: between the two the script could be deleted as that of a schedule that waits.
        self.order = await enter()

    async def _outcome(self, process: ScriptProcess) -> Outcome:
        """Wait for the end; record meanwhile that the script runs, unless it ends at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RUNNING_PATIENCE_SEC):
                return await process.ended()
        await self.record.record_running()
        return await process.ended()

    def _on_lost(self) -> None:
        self.lose()
        self._tell_lost(self)

    def _end_unstarted(self) -> None:
        if self._refusal is not None:
            raise self._refusal
        if self._is_for_next_gateway and not self.execution.stop_accepted:
            self._decided = True
            return
        message = 'the gateway was shut down before the script started'
        raise NotStartable(FailureReason.SHUTDOWN, message)

    @property
    def _is_for_next_gateway(self) -> bool:
        """Whether a shutdown leaves it as it is, as long as it has not started."""
        recorded = self.record.recorded
        if recorded.is_schedule:
            return True
        # What runs at most once, and was used up, is not tried a second time.
        once = recorded.execution_type is ExecutionType.ONCE_ON_RESTART
        return self._start_prepared and not once

    async def _give_up(self) -> None:
        """Leave neither a process nor an open record behind after a defect."""
        if self._process is not None:
            self._process.stop(StopAction.FORCED_TERMINATION)
            await self._process.ended()
        if self.record.recorded.is_open:
            message = 'an internal error of the gateway; its log has the traceback'
            lost = FailureReason.SUPERVISOR_LOST
            await self._settle(status_without_outcome(self.execution, lost, message))

    def _on_progress(self, progress: Progress) -> None:
        self.record.take_progress(progress, is_told=not self._decided)

    async def _settle(self, final: FinalStatus, outcome: Outcome | None = None) -> None:
        """Record the final status; from here on no stop is accepted, and no token is good."""
        self._decided = True
        self._credentials.revoke(self.id)
        self.record.stop = replace(self.record.stop, trigger=final.stop_trigger)
        following = await self.record.end(
            self._record_end,
            final.status,
            final.cause,
            **final_changes(self.record.latest, final, outcome),
            completed_at=end_moment(self.record.latest, outcome, self._clock.now()),
            kept_bytes=await self._kept_bytes(outcome),
            evidence=self._is_witnessed
            and self._witness.keeps(self.id, final.status, final.verdict),
        )
        if following is not None:
            self.has_children = True
            if self._stop_following is not None:
                self._stop_following(following)
        self.output = None if outcome is None else outcome.output
        # Before all that need not be done for who waits.
        self._ended.set()
        self._runner.acknowledge([self.id])
        if self._is_witnessed:
            self._witness.ended(self.record.recorded)

    async def _kept_bytes(self, outcome: Outcome | None) -> int:
        if outcome is not None and outcome.kept_bytes is not None:
            return outcome.kept_bytes
        (kept_bytes,) = await self._runner.kept_bytes([self.id])
        return kept_bytes
