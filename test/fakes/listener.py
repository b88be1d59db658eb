# SPDX-License-Identifier: Apache-2.0
"""A listener that keeps what it was told."""

import asyncio

from gateway_node.executions.events import Event, EventKind, STATUS_KINDS
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.values import Execution, ExecutionStatus


class RecordingListener:
    """An `EventListener`, and a `ProgressListener`, that keeps what it was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.progress: list[Execution] = []
        self.executions: dict[str, Execution] = {}
        """Each execution as last told."""
        self._told = asyncio.Event()

    def listen_to(self, ledger: Ledger) -> None:
        """Be told of everything from now on."""
        ledger.add_listener(self)
        ledger.add_progress_listener(self)

    def on_event(self, event: Event, execution: Execution | None) -> None:
        """Keep an event."""
        self.events.append(event)
        self._told.set()
        if execution is not None:
            self._take(execution)

    def on_progress(self, execution: Execution) -> None:
        """Keep a change of progress."""
        self.progress.append(execution)
        self._take(execution)

    def statuses(self, execution_id: str) -> list[ExecutionStatus]:
        """Return the statuses that an execution went through, in order."""
        return [
            ExecutionStatus(event.changes['status'])
            for event in self.events
            if event.kind in STATUS_KINDS and event.subject_id == execution_id
        ]

    async def wait_for(self, execution_id: str, *statuses: ExecutionStatus) -> Execution:
        """Wait until an execution was told to stand in one of `statuses`, or, without any, to
        have ended; return it as last told."""
        while True:
            execution = self.executions.get(execution_id)
            if execution is not None and (
                execution.status in statuses if statuses else not execution.is_open
            ):
                return execution
            self._told.clear()
            await self._told.wait()

    async def wait_for_kind(self, kind: EventKind) -> Event:
        """Wait until something of this kind was told; return the last event of it."""
        while True:
            for event in reversed(self.events):
                if event.kind is kind:
                    return event
            self._told.clear()
            await self._told.wait()

    def _take(self, execution: Execution) -> None:
        self.executions[execution.id] = execution
        self._told.set()
