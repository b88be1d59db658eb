# SPDX-License-Identifier: Apache-2.0
"""What clients do with the line: hold it, let it go on, and have one before another."""

import asyncio

from gateway_node.entities.values import EntityRef
from gateway_node.executions.active_executions import ActiveExecutions
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import ExecutionNotWaiting
from gateway_node.executions.events import EventKind, Happening, line_subject
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.line import Line, LineState
from gateway_node.executions.ports import EntityGuard
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution
from gateway_node.to_the_end import ToTheEnd


class LineControl:
    """Changes the line; what it changes is on record first, and holds over restarts."""

    def __init__(
        self,
        *,
        line: Line,
        active: ActiveExecutions,
        ledger: Ledger,
        store: ExecutionStore,
        guard: EntityGuard,
    ) -> None:
        self._line = line
        self._active = active
        self._ledger = ledger
        self._store = store
        self._guard = guard
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()

    async def open(self) -> None:
        """Hold what earlier gateways held; before anybody is let in. StoreUnavailable."""
        for entity in await self._store.paused_lines():
            self._line.pause(entity)

    def state(self, entity: EntityRef | None = None) -> LineState:
        """Return how the line stands, or the part of it for one entity."""
        return self._line.state(entity)

    async def set_paused(
        self, entity: EntityRef | None, *, paused: bool, actor: Actor
    ) -> LineState:
        """Hold the line, or the part of it for one entity, or let it go on; return how it stands.

        What runs goes on. EntityLocked, StoreUnavailable, and nothing is changed.
        """
        await self._to_the_end.run('hold the line', self._set_paused(entity, paused, actor))
        return self.state(entity)

    async def prioritise(self, execution: Execution, priority: int, *, actor: Actor) -> None:
        """Give an execution that stands in line another priority.

        Raises:
            ExecutionNotWaiting: it does not stand in line.
            EntityLocked, StoreUnavailable: as their names say; nothing is changed.
        """
        await self._to_the_end.run(
            'change a priority', self._prioritise(execution, priority, actor)
        )

    async def _prioritise(self, execution: Execution, priority: int, actor: Actor) -> None:
        async with self._changes:
            # Only now: while this waited for its turn, somebody may have locked the entity.
            self._guard.check(execution.entity, actor)
            active = self._active.get(execution.id)
            if active is None or not self._line.waits(execution.id):
                raise ExecutionNotWaiting(execution.id, execution.status)
            await active.record.prioritise(priority, actor)
            self._line.prioritise(execution.id, priority)

    async def _set_paused(self, entity: EntityRef | None, paused: bool, actor: Actor) -> None:
        async with self._changes:
            self._guard.check(entity, actor)
            if self.state(entity).paused == paused:
                return
            kind = EventKind.LINE_PAUSED if paused else EventKind.LINE_RESUMED
            subject = line_subject(entity)
            await self._ledger.record(Happening(kind=kind, subject=subject, actor=actor))
            (self._line.pause if paused else self._line.resume)(entity)
