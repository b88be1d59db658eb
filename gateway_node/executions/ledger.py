# SPDX-License-Identifier: Apache-2.0
"""The one way in which an execution changes: check, persist, then tell everyone."""

import asyncio
import contextlib
import logging
from typing import Any

from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.listeners import Guard
from gateway_node.executions.ports import Change, ExecutionStore, TransitionListener
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    OPEN_STATUSES,
    Transition,
)

_log = logging.getLogger(__name__)

RETRY_SEC = 1.0
"""Seconds between attempts to write a change that the store did not take."""


class Ledger:
    """Owns the transitions of all executions."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._listeners: list[TransitionListener] = []
        self._guard = Guard()
        self._last_attempts = asyncio.Event()
        self._last_attempts.set()

    def add_listener(self, listener: TransitionListener) -> None:
        """Tell `listener` of every change from now on."""
        self._listeners.append(listener)

    def begin_waiting(self) -> None:
        """Wait for a store that is not to be had; before, that is an error of the start."""
        self._last_attempts.clear()

    def stop_waiting(self) -> None:
        """Wait for the store no longer: what it does not take now is left to the next start."""
        self._last_attempts.set()

    async def begin(
        self, *executions: Execution, actor: Actor, also: tuple[Execution, ...] = ()
    ) -> None:
        """Record new executions, and new states of others (`also`), all or none.

        StoreUnavailable where they cannot be recorded, and then they never were.
        """
        changes = [
            Change(execution=each, actor=actor, cause='accepted', new=True) for each in executions
        ]
        changes += [Change(execution=each, actor=actor) for each in also]
        await self.record(*changes)

    async def advance(
        self, execution: Execution, status: ExecutionStatus, cause: str, **changes: Any
    ) -> Execution:
        """Bring an execution into its next status, which the gateway does, and return it.

        What happened has happened: while the store cannot take it, this waits and tries again.
        StoreUnavailable only before `begin_waiting` and after `stop_waiting`, and StoreUnusable,
        which waiting does not change.
        """
        advanced = advance(execution, status, **changes)
        await self._persist([Change(execution=advanced, actor=GATEWAY, cause=cause)])
        return advanced

    async def record(self, *changes: Change) -> None:
        """Record changes, all or none, each made by `transitions.advance`; StoreUnavailable."""
        self._tell(list(changes), await self._store.record(changes))

    async def keep(self, execution: Execution) -> Execution:
        """Record what the gateway changes beside the status, before anything hangs on it."""
        await self._persist([Change(execution=execution, actor=GATEWAY)])
        return execution

    async def note(self, execution: Execution, actor: Actor) -> bool:
        """Record a change that is no change of status; return whether that is done.

        What cannot be written now is only logged, for the next transition carries it again.
        """
        try:
            await self._store.record([Change(execution=execution, actor=actor)])
        except StoreUnavailable as error:
            _log.warning('cannot record a change of %s: %s', execution.id, error)
            return False
        return True

    def tell_progress(self, execution: Execution) -> None:
        """Tell the listeners of progress; it is not recorded until the next transition."""
        for listener in self._listeners:
            self._guard.tell(listener.on_progress, execution)

    async def replay(self, after: int, limit: int) -> list[tuple[Execution, Transition]]:
        """Return up to `limit` changes of status after a sequence, in order; StoreUnavailable.

        For listeners that could not take them when they were told. Of an execution that was
        removed meanwhile there is nothing.
        """
        found: list[tuple[Execution, Transition]] = []
        while not found:
            transitions = await self._store.transitions(after=after, limit=limit)
            if not transitions:
                break
            for transition in transitions:
                execution = await self._store.get(transition.execution_id)
                if execution is not None:
                    found.append((_as_of(execution, transition), transition))
            after = transitions[-1].sequence
        return found

    async def _persist(self, changes: list[Change]) -> None:
        while True:
            last_attempt = self._last_attempts.is_set()
            try:
                transitions = await self._store.record(changes)
                break
            except StoreUnavailable as error:
                names = ', '.join(change.execution.id for change in changes)
                _log.error('cannot record a change of %s: %s', names, error)
                if last_attempt or isinstance(error, StoreUnusable):
                    raise
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_SEC):
                    await self._last_attempts.wait()
        self._tell(changes, transitions)

    def _tell(self, changes: list[Change], transitions: tuple[Transition, ...]) -> None:
        changed = (change.execution for change in changes if change.cause is not None)
        for execution, transition in zip(changed, transitions, strict=True):
            for listener in self._listeners:
                self._guard.tell(listener.on_transition, execution, transition)


def _as_of(execution: Execution, transition: Transition) -> Execution:
    """Return what an execution was like after a transition, as far as its later state tells."""
    if transition.status not in OPEN_STATUSES:
        return execution
    began = None if transition.status is ExecutionStatus.PREPARED else execution.started_at
    return execution.evolve(
        status=transition.status,
        started_at=began,
        completed_at=None,
        duration_ms=None,
        exit_code=None,
        signal=None,
        failure=None,
        output_parameters=None,
    )
