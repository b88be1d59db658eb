# SPDX-License-Identifier: Apache-2.0
"""The record of one active execution, with what is newer than it, and how it is written."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from gateway_node.clock import Clock
from gateway_node.executions.actors import Actor
from gateway_node.executions.events import Change, EventKind
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.script_fields import script_fields
from gateway_node.executions.stop import Stop
from gateway_node.executions.transitions import transition
from gateway_node.executions.values import Execution, ExecutionStatus, Executor, Progress
from gateway_node.scripts.values import Script

Kept = TypeVar('Kept')


class ActiveRecord:
    """Writes what becomes of one execution.

    The record changes with transitions, which take time; a stop and progress arrive at any
    moment. So those two are held beside the record, and each write takes them along. Writes are
    made one after the other, so that none takes back what another wrote. That a script runs is
    recorded with what comes next, where that comes at once, and shown once it is on record: see
    decision 041.
    """

    def __init__(
        self, execution: Execution, *, ledger: Ledger, clock: Clock, executor: Executor
    ) -> None:
        """Take an execution as it is on record."""
        self._recorded = execution
        self._begun: Change | None = None
        """That the script runs, as long as it is not on record."""
        self._ledger = ledger
        self._clock = clock
        self._executor = executor
        self.stop = Stop(trigger=execution.stop_trigger)
        """What was asked about its end."""
        self._progress: Progress | None = None
        self._writing = asyncio.Lock()

    @property
    def recorded(self) -> Execution:
        """The execution as it is on record."""
        return self._recorded

    @property
    def shown(self) -> Execution:
        """The present state, as far as it is on record; a stop and progress are shown at once."""
        return self._with_news(self._recorded)

    @property
    def latest(self) -> Execution:
        """The present state, whatever of it is on record."""
        return self._with_news(self._recorded if self._begun is None else self._begun.execution)

    def take_progress(self, progress: Progress, *, is_told: bool) -> None:
        """Take what the script says of its progress; tell it where that it runs is on record."""
        self._progress = progress
        if is_told and self._recorded.status is ExecutionStatus.RUNNING:
            self._ledger.tell_progress(self.shown)

    async def use_up(self, script: Script) -> None:
        """Make a schedule the execution that it starts, before anything is started."""
        async with self._writing:
            schedule = self.shown.evolve(**self._as_started(script))
            self._recorded = await self._ledger.use_up(schedule)

    async def begin_to_run(self, script: Script, *, warm: bool) -> None:
        """Note that the script runs; `record_running`, or whatever is written next, records it."""
        async with self._writing:
            # Without a stop that was asked for meanwhile, which is recorded by itself.
            self._begun = transition(
                self._recorded,
                ExecutionStatus.RUNNING,
                started_at=self._clock.now(),
                warm=warm,
                **self._as_started(script),
            )

    async def record_running(self) -> None:
        """Record that the script runs, where nothing else has done that yet."""
        async with self._writing:
            if self._begun is not None:
                await self._ledger.persist(self._begun)
                self._take_as_recorded(self._begun.execution)

    async def note_stop(self) -> None:
        """Record who asked for the end, where that is not on record and no end is."""
        async with self._writing:
            if not self._recorded.is_open or self.stop.trigger == self._recorded.stop_trigger:
                return
            present = self.latest.evolve(changed_at=self._clock.now())
            actor, unrecorded = self.stop.actor, self._unrecorded
            if await self._ledger.note_stop(present, actor, after=unrecorded):
                self._take_as_recorded(present)

    async def prioritise(self, priority: int, actor: Actor) -> None:
        """Record another priority, as long as it is open; StoreUnavailable."""
        async with self._writing:
            if not self._recorded.is_open:
                return
            present = self.latest.evolve(priority=priority, changed_at=self._clock.now())
            kind = EventKind.EXECUTION_PRIORITISED
            change = Change(execution=present, kind=kind, actor=actor)
            await self._ledger.record(*self._unrecorded, change)
            self._take_as_recorded(present)

    async def end(
        self,
        record: Callable[[Sequence[Change]], Awaitable[Kept]],
        status: ExecutionStatus,
        cause: str | None,
        **changes: Any,
    ) -> Kept:
        """Have its last changes recorded, with a final status; return what that does."""
        async with self._writing:
            change = transition(self.latest, status, cause, **changes)
            kept = await record([*self._unrecorded, change])
            self._take_as_recorded(change.execution)
            return kept

    @property
    def _unrecorded(self) -> tuple[Change, ...]:
        """What comes before the next change, in the same commit."""
        return () if self._begun is None else (self._begun,)

    def _with_news(self, execution: Execution) -> Execution:
        if not execution.is_open:
            return execution
        runs = execution.status is ExecutionStatus.RUNNING
        progress = self._progress if runs else execution.progress
        if (execution.stop_trigger, execution.progress) == (self.stop.trigger, progress):
            return execution  # as nearly always, and to make another one takes its time
        return execution.evolve(stop_trigger=self.stop.trigger, progress=progress)

    def _take_as_recorded(self, execution: Execution) -> None:
        """Take the record as it is in the store now."""
        news, self._begun = self._begun is not None, None
        self._recorded = execution
        if news and execution.is_open and self._progress is not None:
            # Nobody is told of the progress of what they do not know to run.
            self._ledger.tell_progress(self.shown)

    def _as_started(self, script: Script) -> dict[str, Any]:
        """Return the fields that say what of the script is, or is to be, started, and by whom."""
        return {
            **script_fields(script),
            'executor': self._executor,
            'changed_at': self._clock.now(),
        }
