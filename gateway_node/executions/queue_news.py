# SPDX-License-Identifier: Apache-2.0
"""The log hears who has to wait: of all who have to at one moment with one commit."""

import asyncio
from collections.abc import Callable
import contextlib
import logging

from gateway_node.entities.values import EntityRef
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.events import Happening
from gateway_node.executions.ledger import Ledger

_log = logging.getLogger(__name__)

_PATIENCE_SEC = 0.5
"""How long who has to wait waits for the record of that."""


class QueueNews:
    """Tells of executions that are on record and stand in line."""

    def __init__(self, ledger: Ledger, waits: Callable[[str], bool]) -> None:
        """Take the ledger, and what tells whether an execution still waits."""
        self._ledger = ledger
        self._waits = waits
        self._queued: dict[str, Happening] = {}
        self._telling: asyncio.Task[None] | None = None

    async def tell(self, entity: EntityRef, script_id: str, execution_id: str) -> None:
        """Tell that an execution has to wait."""
        telling = self._telling if self._queued else None
        if telling is None:
            telling = asyncio.create_task(self._record(), name='tell who waits')
            self._telling = telling
        self._queued[execution_id] = Happening.queued(entity, script_id, execution_id)
        # A disk that stalls keeps nobody from a place.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SEC):
                await asyncio.shield(telling)

    async def _record(self) -> None:
        await asyncio.sleep(0)
        told, self._queued = self._queued, {}
        news = [each for execution_id, each in told.items() if self._waits(execution_id)]
        try:
            if news:
                await self._ledger.record(*news)
        except StoreUnavailable as error:
            _log.warning('cannot record who has to wait: %s', error)
