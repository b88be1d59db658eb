# SPDX-License-Identifier: Apache-2.0
"""The executions that are active: each is here from its record to its end, with who drives it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
import logging
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.active_record import ActiveRecord
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.admission import Admission
from gateway_node.executions.candidates import accepted, Admitted, Candidate
from gateway_node.executions.errors import NotStartable
from gateway_node.executions.events import Change
from gateway_node.executions.further_attempts import FurtherAttempts
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.places import GroupLimit
from gateway_node.executions.ports import ScriptCredentials, Witness
from gateway_node.executions.preconditions import PreconditionCheck
from gateway_node.executions.runner_ports import ScriptRunner, StartOrder
from gateway_node.executions.values import Execution, Executor, StopAction, Trigger, TriggerType
from gateway_node.side_tasks import log_failure

_log = logging.getLogger(__name__)

_SHUTDOWN = Trigger(type=TriggerType.SYSTEM, setting='shutdown')


class ActiveExecutions:
    """Holds every active execution; schedules that wait for a start of the gateway are none."""

    def __init__(
        self,
        *,
        admission: Admission,
        runner: ScriptRunner,
        ledger: Ledger,
        clock: Clock,
        executor: Executor,
        credentials: ScriptCredentials,
        witness: Witness,
        preconditions: PreconditionCheck,
        held_scripts: HeldScripts,
        start_prepared: bool,
        group_of: Callable[[Execution], GroupLimit | None],
        further_attempts: FurtherAttempts,
        on_end: Callable[[Execution], None],
        on_lost: Callable[[ActiveExecution], None],
    ) -> None:
        """`on_end` is called with each execution that was driven and has ended, `on_lost` with
        each that ends for a precondition.

        `group_of` tells the bound that an execution's group sets. With `start_prepared` the end of
        the gateway leaves to the next one what has not started.
        """
        self._admission = admission
        self._runner = runner
        self._ledger = ledger
        self._clock = clock
        self._executor = executor
        self._credentials = credentials
        self._witness = witness
        self._preconditions = preconditions
        self._held_scripts = held_scripts
        self._start_prepared = start_prepared
        self._group_of = group_of
        self._further_attempts = further_attempts
        self._on_end = on_end
        self._on_lost = on_lost
        self._active: dict[str, ActiveExecution] = {}
        self._driving: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self._stopping: StopAction | None = None

    def get(self, execution_id: str) -> ActiveExecution | None:
        """Return an active execution, or None."""
        return self._active.get(execution_id)

    def all(self) -> tuple[ActiveExecution, ...]:
        """Return all of them, in the order in which they came."""
        return tuple(self._active.values())

    def needing(self, entity: EntityRef, script_id: str) -> tuple[str, ...]:
        """Return the ids of the executions that need a script.

        A schedule that waits to become an execution does not, until it is let in.
        """
        return tuple(
            active.execution.id
            for active in self._of(entity, script_id)
            if active.order is not None or not active.execution.is_schedule
        )

    def give_up(self, entity: EntityRef, script_id: str, refusal: NotStartable) -> None:
        """Let the executions of a script fail that are not let in yet."""
        for active in self._of(entity, script_id):
            active.give_up(refusal)

    def begin(
        self,
        execution: Execution,
        admitted: Admitted,
        record: Callable[[], Awaitable[None]],
        asked_by: Actor,
    ) -> 'asyncio.Future[None]':
        """Record an execution that was let in, or stands in line, and begin to drive it.

        What is returned is done once it is on record. Whatever `record` raises ends it. Cancelled,
        it is recorded and driven on.
        """
        recorded = asyncio.get_running_loop().create_future()
        active = self._add(execution, None if admitted.waits else admitted.order)
        active.asked_by = asked_by
        self._spawn(self._record_and_drive(active, record, recorded))
        return recorded

    def begin_accepted(self, execution: Execution) -> None:
        """Begin to drive a recorded execution, which is still to be let in."""
        active = self._add(execution)
        self._spawn(self._drive(active, accepted(execution, self._group_of(execution))))

    async def _record_end(self, changes: Sequence[Change]) -> ActiveExecution | None:
        """Record the last changes of an execution, and with them what is to follow it; return that
        where something does, and have it driven."""
        following = await self._further_attempts.after(changes[-1].execution)
        if following is None:
            await self._ledger.persist(*changes)
            return None
        recorded = False
        try:
            await self._ledger.persist(*changes, Change.first(following, GATEWAY))
            recorded = True
        finally:
            self._further_attempts.settle(following, recorded=recorded)
        active = self._add(following)
        if (before := self._active.get(changes[-1].execution.id)) is not None:
            active.asked_by = before.asked_by
        # Wherever its entity is: that one was let in, too.
        candidate = accepted(following, self._group_of(following), in_line=True)
        self._spawn(self._drive(active, candidate))
        return active

    def stop_all(self, action: StopAction) -> None:
        """Ask every execution to end because the gateway ends, those that come later too."""
        self._stopping = action
        for active in self._active.values():
            active.stop(action, _SHUTDOWN, GATEWAY)

    async def wait_empty(self) -> None:
        """Wait until every execution has ended."""
        while self._active:
            self._left.clear()
            await self._left.wait()

    def _of(self, entity: EntityRef, script_id: str) -> list[ActiveExecution]:
        def fits(execution: Execution) -> bool:
            return (execution.entity, execution.script_id) == (entity, script_id)

        return [each for each in self._active.values() if fits(each.execution)]

    def _add(self, execution: Execution, order: StartOrder | None = None) -> ActiveExecution:
        active = ActiveExecution(
            ActiveRecord(
                execution, ledger=self._ledger, clock=self._clock, executor=self._executor
            ),
            order,
            runner=self._runner,
            clock=self._clock,
            credentials=self._credentials,
            witness=self._witness,
            preconditions=self._preconditions,
            start_prepared=self._start_prepared,
            record_end=self._record_end,
            on_lost=self._on_lost,
        )
        self._active[execution.id] = active
        self._admission.note_open(execution)
        if self._stopping is not None:
            active.stop(self._stopping, _SHUTDOWN, GATEWAY)
        return active

    def _spawn(self, driving: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(driving, name='drive an execution')
        self._driving.add(task)
        task.add_done_callback(self._driving.discard)
        task.add_done_callback(log_failure)

    async def _record_and_drive(
        self,
        active: ActiveExecution,
        record: Callable[[], Awaitable[None]],
        recorded: 'asyncio.Future[None]',
    ) -> None:
        try:
            await record()
        except Exception as error:
            self._remove(active)
            if recorded.cancelled():
                name = f'record {active.execution.id}'
                _log.error('failed, and nobody waits for it: %s: %r', name, error)
            else:
                recorded.set_exception(error)
            return
        if not recorded.cancelled():
            recorded.set_result(None)
        candidate = None
        if active.order is None:
            execution = active.execution
            candidate = accepted(execution, self._group_of(execution), in_line=True)
        await self._drive(active, candidate)

    async def _drive(self, active: ActiveExecution, candidate: Candidate | None) -> None:
        """Drive an execution, which is still to be let in where it is a candidate."""
        enter = None if candidate is None else partial(self._enter, active, candidate)
        try:
            await active.drive(enter)
        finally:
            self._held_scripts.add(active.execution)
            self._remove(active)
        self._on_end(active.execution)

    async def _enter(self, active: ActiveExecution, candidate: Candidate) -> StartOrder:
        left_sec = self._further_attempts.left_sec(active.execution)
        if left_sec:
            await asyncio.sleep(left_sec)
        return await self._admission.enter(candidate)

    def _remove(self, active: ActiveExecution) -> None:
        execution_id = active.execution.id
        del self._active[execution_id]
        self._left.set()
        self._admission.leave(execution_id)
