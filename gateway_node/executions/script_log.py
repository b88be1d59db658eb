# SPDX-License-Identifier: Apache-2.0
"""Telling the log of the scripts that clients upload, replace and delete.

A script changes on the disk first, and the log is told after. What it last told of each script is
kept beside it; what it could not be told, because the gateway died or the store took nothing, is
found by comparing at the next start.

The scripts of the manifest are not in the log: which entities have them depends on the graph, and
their files change under the gateway.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
import logging
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.documents import changed_fields
from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.executions.events import EventKind, Happening, script_subject
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.script_summaries import script_summary
from gateway_node.scripts.values import Script
from gateway_node.side_tasks import log_failure

_log = logging.getLogger(__name__)

RETRY_SEC = 1.0
"""Seconds between attempts to tell what the store did not take."""
_FOUND = 'found'
"""The cause of what nobody told when it happened."""


class ScriptLog:
    """Tells the log, in the order in which the scripts changed."""

    def __init__(self, *, store: ExecutionStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger
        # What the log says of each script once all of `_untold` is told.
        self._summaries: dict[str, Mapping[str, Any]] = {}
        self._untold: deque[Happening] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None

    async def open(self, library: ScriptLibrary) -> None:
        """Tell what is not told of the scripts yet, in the gateway's name; StoreUnavailable.

        Called once, before any other method.
        """
        self._summaries = dict(await self._store.told_scripts())
        if library.turned_on:
            self._note_found(library)
            await self._ledger.record(*self._untold)
            self._untold.clear()

    def noting(self, kind: EventKind, entity: EntityRef, actor: Actor) -> Callable[[Script], None]:
        """Return what the library is to call once a change is made; the log is told then."""

        def note(script: Script) -> None:
            summary = {} if kind is EventKind.SCRIPT_DELETED else script_summary(script)
            self._note(kind, script_subject(entity, script.id), summary, actor)
            self._begin_telling()

        return note

    async def wait_told(self) -> None:
        """Wait until the log was told, or took nothing; it is told later then."""
        if self._telling is not None:
            await asyncio.shield(self._telling)

    def _note_found(self, library: ScriptLibrary) -> None:
        """Note how the library differs from what the log says."""
        present = {
            script_subject(entity, script.id): script_summary(script)
            for entity, script in library.uploads()
        }
        for subject in sorted(self._summaries.keys() - present.keys()):
            self._note(EventKind.SCRIPT_DELETED, subject, {}, GATEWAY, _FOUND)
        for subject, summary in present.items():
            told = self._summaries.get(subject)
            if told is None:
                self._note(EventKind.SCRIPT_UPLOADED, subject, summary, GATEWAY, _FOUND)
            elif told != summary:
                self._note(EventKind.SCRIPT_REPLACED, subject, summary, GATEWAY, _FOUND)

    def _note(
        self,
        kind: EventKind,
        subject: str,
        summary: Mapping[str, Any],
        actor: Actor,
        cause: str | None = None,
    ) -> None:
        told = self._summaries.pop(subject, {})
        if summary:
            self._summaries[subject] = summary
        changes = changed_fields(told, summary) if summary else {}
        self._untold.append(
            Happening(kind=kind, subject=subject, actor=actor, cause=cause, changes=changes)
        )

    def _begin_telling(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell(), name='tell of scripts')
            self._telling.add_done_callback(log_failure)

    async def _tell(self) -> None:
        try:
            while self._untold:
                await self._ledger.record(self._untold[0])
                self._untold.popleft()
        except StoreUnavailable as error:
            # The change is made, and whoever asked for it hears so.
            _log.warning('cannot record a change of %s: %s', self._untold[0].subject, error)
            if not isinstance(error, StoreUnusable):
                loop = asyncio.get_running_loop()
                self._retry = loop.call_later(RETRY_SEC, self._begin_telling)
