"""The one way in which an execution changes: check, persist, then tell everyone."""

import asyncio
import logging
from typing import Any

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.ports import ExecutionStore, TransitionListener
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus

_log = logging.getLogger(__name__)

RETRY_SEC = 1.0
"""Seconds between attempts to write a change that the store did not take."""


class Ledger:
    """Owns the transitions of all executions."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._listeners: list[TransitionListener] = []

    def add_listener(self, listener: TransitionListener) -> None:
        """Tell `listener` of every change from now on."""
        self._listeners.append(listener)

    async def begin(self, execution: Execution) -> None:
        """Record a new execution; StoreUnavailable where it cannot be, and then it never was."""
        transition = await self._store.add(execution, 'accepted')
        for listener in self._listeners:
            listener.on_transition(execution, transition)

    async def advance(
        self, execution: Execution, status: ExecutionStatus, cause: str, **changes: Any
    ) -> Execution:
        """Bring an execution into its next status and return it.

        What happened has happened: while the store cannot take it, this waits and tries again.
        """
        advanced = advance(execution, status, **changes)
        while True:
            try:
                transition = await self._store.update(advanced, cause)
                break
            except StoreUnavailable as error:
                _log.error('cannot record %s as %s: %s', execution.id, status.value, error)
                await asyncio.sleep(RETRY_SEC)
        if transition is not None:
            for listener in self._listeners:
                listener.on_transition(advanced, transition)
        return advanced

    async def note(self, execution: Execution) -> None:
        """Record a change that is no change of status; what cannot be written now is only logged,
        for the next transition carries it again."""
        try:
            await self._store.update(execution, None)
        except StoreUnavailable as error:
            _log.warning('cannot record a change of %s: %s', execution.id, error)

    def tell_progress(self, execution: Execution) -> None:
        """Tell the listeners of progress; it is not recorded until the next transition."""
        for listener in self._listeners:
            listener.on_progress(execution)
