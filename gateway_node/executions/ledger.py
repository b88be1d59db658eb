# SPDX-License-Identifier: Apache-2.0
"""The one way in which anything changes: check, persist, then tell everyone."""

import asyncio
from collections.abc import Callable, Sequence
import contextlib
import logging

from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import (
    Change,
    Cursor,
    Event,
    EventKind,
    Happening,
)
from gateway_node.executions.following import Follower, OpenSummaries
from gateway_node.executions.idempotency import IdempotencyKey
from gateway_node.executions.listeners import Guard
from gateway_node.executions.ports import EventListener, ProgressListener
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution

_log = logging.getLogger(__name__)

RETRY_SEC = 1.0
"""Seconds between attempts to write a change that the store did not take."""


class Ledger:
    """Owns the one log of what happened."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._listeners: list[EventListener] = []
        self._progress_listeners: list[ProgressListener] = []
        self._guard = Guard()
        self._last_attempts = asyncio.Event()
        self._last_attempts.set()

    def add_listener(self, listener: EventListener) -> None:
        """Tell `listener` of everything that is recorded here, from now on."""
        self._listeners.append(listener)

    def remove_listener(self, listener: EventListener) -> None:
        """Tell `listener` nothing more."""
        self._listeners.remove(listener)

    def add_progress_listener(self, listener: ProgressListener) -> None:
        """Tell `listener` of progress from now on."""
        self._progress_listeners.append(listener)

    def follow(
        self, after: Cursor | None = None, *, on_news: Callable[[], None] = lambda: None
    ) -> Follower:
        """Return a reader of the log, from a place on or from now on; see `Follower`.

        `remove_listener` lets it go.
        """
        log = self._store.log
        follower = Follower(log, after or log.end, on_news=on_news)
        self.add_listener(follower)
        return follower

    async def open_summaries(self) -> OpenSummaries:
        """Return the executions that are open now, for a follower that begins now."""
        return OpenSummaries(await self._store.open_executions())

    def begin_waiting(self) -> None:
        """Wait for a store that is not to be had; before, that is an error of the start."""
        self._last_attempts.clear()

    def stop_waiting(self) -> None:
        """Wait for the store no longer: what it does not take now is left to the next start."""
        self._last_attempts.set()

    async def begin(
        self,
        *executions: Execution,
        actor: Actor,
        key: IdempotencyKey | None = None,
        queued: bool = False,
    ) -> None:
        """Record new executions and schedules, all or none; `key` names the first from now on, and
        where they are `queued`, it has to wait.

        StoreUnavailable where they cannot be recorded, and then they never were.
        """
        first, *others = executions
        news: list[Change | Happening] = [Change.first(first, actor, key)]
        if queued:
            news.append(Happening.queued(first.entity, first.script_id, first.id))
        await self.record(*news, *(Change.first(each, actor) for each in others))

    async def record(self, *news: Change | Happening) -> tuple[Event, ...]:
        """Record what happened, all or none, each change of status made by
        `transitions.advance`; return the event of each. StoreUnavailable."""
        events = await self._store.record(news)
        self._tell(news, events)
        return events

    async def persist(self, *changes: Change) -> None:
        """Record changes of one execution, in their order, with what follows it, all or none.

        What happened has happened: while the store cannot take it, this waits and tries again.
        StoreUnavailable only before `begin_waiting` and after `stop_waiting`, and StoreUnusable,
        which waiting does not change.
        """
        while True:
            last_attempt = self._last_attempts.is_set()
            try:
                events = await self._store.record(changes)
                break
            except StoreUnavailable as error:
                _log.error('cannot record a change of %s: %s', changes[-1].execution.id, error)
                if last_attempt or isinstance(error, StoreUnusable):
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SEC):
                    await self._last_attempts.wait()
        self._tell(changes, events)

    async def use_up(self, schedule: Execution) -> Execution:
        """Make a schedule the execution that it starts, before anything is started; return it.

        Waits for the store as `persist` does.
        """
        execution = schedule.evolve(as_schedule=None)
        started = EventKind.SCHEDULE_STARTED
        await self.persist(Change(execution=execution, kind=started, actor=GATEWAY))
        return execution

    async def note_stop(
        self, execution: Execution, actor: Actor, *, after: Sequence[Change] = ()
    ) -> bool:
        """Record that an end was asked for, `after` what is not on record yet; return whether
        that is done.

        What cannot be written now is only logged, for the next transition carries it again.
        """
        trigger = execution.stop_trigger
        change = Change(
            execution=execution,
            kind=EventKind.EXECUTION_STOP_ACCEPTED,
            actor=actor,
            cause=trigger.cause_of_stop if trigger else None,
        )
        try:
            await self.record(*after, change)
        except StoreUnavailable as error:
            _log.warning('cannot record a change of %s: %s', execution.id, error)
            return False
        return True

    async def remove(self, *execution_ids: str, actor: Actor, cause: str) -> tuple[Event, ...]:
        """Remove ended executions, all or none; return the tombstones of those that were known.

        Raises:
            ExecutionNotDeletable, StoreUnavailable: nothing was removed.
        """
        removed = await self._store.remove(execution_ids, actor=actor, cause=cause)
        for event in removed:
            self._tell_one(event, None)
        return removed

    def tell_progress(self, execution: Execution) -> None:
        """Tell the listeners of progress; it is not recorded until the next transition."""
        for listener in self._progress_listeners:
            self._guard.tell(listener.on_progress, execution)

    def _tell(self, news: Sequence[Change | Happening], events: tuple[Event, ...]) -> None:
        changed: dict[str, Execution] = {}
        for each, event in zip(news, events, strict=True):
            if isinstance(each, Change):
                changed[event.subject] = each.execution
            # What else happens to an execution with a change of it leaves it as that did.
            self._tell_one(event, changed.get(event.subject))

    def _tell_one(self, event: Event, execution: Execution | None) -> None:
        for listener in tuple(self._listeners):
            self._guard.tell(listener.on_event, event, execution)
