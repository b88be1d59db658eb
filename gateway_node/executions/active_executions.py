# SPDX-License-Identifier: Apache-2.0
"""The executions that are being driven at the moment, and who is let among them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    NotStartable,
    ScriptAlreadyRunning,
)
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.line import ConcurrencyLimits, Place
from gateway_node.executions.ports import ScriptRunner, StartOrder
from gateway_node.executions.values import Execution, StopAction, Trigger, TriggerType
from gateway_node.scripts.values import Script
from gateway_node.side_tasks import log_failure
from gateway_node.to_the_end import ToTheEnd

_SHUTDOWN = Trigger(type=TriggerType.SYSTEM, setting='shutdown')
_LOOK_SEC = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Waiter:
    """An execution that waits for a place."""

    place: Place
    script: Script
    admitted: 'asyncio.Future[None]'


class ActiveExecutions:
    """Holds every active execution from its entry to its end."""

    def __init__(
        self,
        *,
        runner: ScriptRunner,
        ledger: Ledger,
        clock: Clock,
        concurrency: ConcurrencyLimits,
        held_scripts: HeldScripts,
        on_end: Callable[[Execution], None],
    ) -> None:
        """`on_end` is called with each execution that was driven and has ended."""
        self._runner = runner
        self._ledger = ledger
        self._clock = clock
        self._concurrency = concurrency
        self._held_scripts = held_scripts
        self._looking: asyncio.TimerHandle | None = None
        self._on_end = on_end
        self._active: dict[str, ActiveExecution] = {}
        self._taken: dict[str, Place] = {}
        self._waiters: list[_Waiter] = []
        self._to_the_end = ToTheEnd()
        self._driving: set[asyncio.Task[None]] = set()
        self._left = asyncio.Event()
        self._stopping: StopAction | None = None

    def get(self, execution_id: str) -> ActiveExecution | None:
        """Return an active execution, or None."""
        return self._active.get(execution_id)

    def need(self, entity: EntityRef, script_id: str) -> tuple[str, ...]:
        """Return the ids of the executions that need a script.

        A schedule that waits to become an execution does not, until its start is ordered.
        """
        return tuple(
            active.execution.id
            for active in self._of(entity, script_id)
            if active.order is not None or not active.execution.is_schedule
        )

    def give_up(self, entity: EntityRef, script_id: str, refusal: NotStartable) -> None:
        """Let the executions of a script fail that do not need it yet."""
        for active in self._of(entity, script_id):
            active.give_up(refusal)

    def waiting_schedules(self) -> int:
        """Return how many schedules wait to become their executions."""
        return sum(active.execution.is_schedule for active in self._active.values())

    def versions_in_use(self, script_id: str) -> frozenset[str]:
        """Return the versions of a script that active executions need."""
        orders = (active.order for active in self._active.values())
        return frozenset(o.script.version for o in orders if o and o.script.id == script_id)

    def reserve(self, execution_id: str, entity: EntityRef, script: Script) -> None:
        """Take a place for an execution that is to enter; `enter` or `give_back` follows.

        Reserving again, for the script as it is now, is harmless. No two can have the last place.

        Raises:
            ScriptAlreadyRunning, ConcurrencyLimitReached: there is no place.
        """
        others = [each for each in self._taken.values() if each.execution_id != execution_id]
        self._check(entity, script, others)
        self._taken[execution_id] = _place(execution_id, entity, script)

    def give_back(self, execution_id: str) -> None:
        """Free the place of an execution that does not enter; harmless where it has none."""
        self._taken.pop(execution_id, None)
        self._admit_waiters()

    async def enter(
        self, execution: Execution, order: StartOrder, record: Callable[[], Awaitable[None]]
    ) -> None:
        """Let an execution with a place in, record it, and begin to drive it.

        Whatever `record` raises keeps it out, and frees its place. Cancelled, it is recorded and
        driven on.
        """

        async def prepare() -> StartOrder:
            return order

        active = self._place(execution, prepare)
        active.order = order
        recording = self._record_and_drive(active, record)
        await self._to_the_end.run(f'record {execution.id}', recording)

    def enter_waiting(
        self, execution: Execution, prepare: Callable[[], Coroutine[Any, Any, StartOrder]]
    ) -> None:
        """Begin to drive a recorded execution; `prepare` calls `wait_for_place`."""
        self._spawn(self._drive(self._place(execution, prepare)))

    async def wait_for_place(self, execution_id: str, entity: EntityRef, script: Script) -> None:
        """Wait, first come first served, until the limits let an execution in."""
        waiter = _Waiter(
            place=_place(execution_id, entity, script),
            script=script,
            admitted=asyncio.get_running_loop().create_future(),
        )
        self._waiters.append(waiter)
        self._admit_waiters()
        try:
            await waiter.admitted
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def stop_all(self, action: StopAction) -> None:
        """Ask every execution to end because the gateway ends, those that come later too."""
        self._stopping = action
        for active in self._active.values():
            active.stop(action, _SHUTDOWN, GATEWAY)

    async def wait_empty(self) -> None:
        """Wait until every execution has left."""
        while self._active:
            self._left.clear()
            await self._left.wait()

    def _of(self, entity: EntityRef, script_id: str) -> list[ActiveExecution]:
        def fits(execution: Execution) -> bool:
            return (execution.entity, execution.script_id) == (entity, script_id)

        return [each for each in self._active.values() if fits(each.execution)]

    def _check(self, entity: EntityRef, script: Script, taken: Collection[Place]) -> None:
        self._concurrency.check(entity, script, taken)
        self._held_scripts.check(entity, script)

    def _admit_waiters(self) -> None:
        self._look_again()
        for waiter in tuple(self._waiters):
            if self._concurrency.full(self._taken.values()):
                return
            try:
                self._check(waiter.place.entity, waiter.script, self._taken.values())
            except (ScriptAlreadyRunning, ConcurrencyLimitReached):
                continue
            self._waiters.remove(waiter)
            if not waiter.admitted.done():
                self._taken[waiter.place.execution_id] = waiter.place
                waiter.admitted.set_result(None)

    def _look_again(self) -> None:
        """Nobody tells when what an execution left has ended; whoever waits for that looks."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        if self._waiters and self._held_scripts.any_lives():
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(_LOOK_SEC, self._admit_waiters)

    def _place(
        self, execution: Execution, prepare: Callable[[], Coroutine[Any, Any, StartOrder]]
    ) -> ActiveExecution:
        active = ActiveExecution(
            execution, prepare, runner=self._runner, ledger=self._ledger, clock=self._clock
        )
        self._active[execution.id] = active
        if self._stopping is not None:
            active.stop(self._stopping, _SHUTDOWN, GATEWAY)
        return active

    def _spawn(self, driving: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(driving, name='drive an execution')
        self._driving.add(task)
        task.add_done_callback(self._driving.discard)
        task.add_done_callback(log_failure)

    async def _record_and_drive(
        self, active: ActiveExecution, record: Callable[[], Awaitable[None]]
    ) -> None:
        try:
            await record()
        except Exception:
            self._let_go(active)
            raise
        self._spawn(self._drive(active))

    async def _drive(self, active: ActiveExecution) -> None:
        try:
            await active.drive()
        finally:
            self._held_scripts.add(active.execution)
            self._let_go(active)
        self._on_end(active.execution)

    def _let_go(self, active: ActiveExecution) -> None:
        execution_id = active.execution.id
        del self._active[execution_id]
        self._left.set()
        self.give_back(execution_id)


def _place(execution_id: str, entity: EntityRef, script: Script) -> Place:
    return Place(execution_id=execution_id, entity=entity, script_id=script.id)
