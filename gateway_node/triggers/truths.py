# SPDX-License-Identifier: Apache-2.0
"""Keeping the last truths of conditions, so that the next gateway knows what came true meanwhile.

Together, and no more often than once a second: what flaps shall not wear the disk. A firing keeps
the truth of its condition by itself, in its own commit.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
import logging

from gateway_node.clock import Clock
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.instance_refs import TriggerRef
from gateway_node.triggers.ports import InstanceStore

_log = logging.getLogger(__name__)

PAUSE_SEC = 1.0


class Truths:
    """What is kept, and what is to be."""

    def __init__(
        self,
        store: InstanceStore,
        clock: Clock,
        is_firing: Callable[[TriggerRef], bool],
        ends_seen: Callable[[], int | None],
    ) -> None:
        """`is_firing` tells whether a trigger has fired, and that is not on record yet;
        `ends_seen` up to where ends of executions were looked at, None where nobody does."""
        self._is_firing = is_firing
        self._ends_seen = ends_seen
        self._kept_ends: int | None = None
        self._store = store
        self._clock = clock
        self._kept: dict[TriggerRef, bool | None] = {}
        self._news: dict[TriggerRef, bool | None] = {}
        self._arrived = asyncio.Event()
        self._fails = False

    def know(self, kept: Mapping[TriggerRef, bool | None]) -> None:
        """Take that these are kept."""
        for ref, truth in kept.items():
            self._kept[ref] = truth
            self._news.pop(ref, None)

    def note(self, ref: TriggerRef, truth: bool | None, *, seen: bool = False) -> None:
        """Have a truth kept where it is another one, or where the time at which it was `seen`
        counts."""
        if truth is None and not seen:
            return
        if not seen and self._kept.get(ref) == truth:
            self._news.pop(ref, None)
        else:
            self._news[ref] = truth
            self._arrived.set()

    def look(self) -> None:
        """Have kept up to where ends were looked at."""
        self._arrived.set()

    def forget(self, ref: TriggerRef) -> None:
        """Know nothing of a trigger any more: the store does not."""
        self._kept.pop(ref, None)
        self._news.pop(ref, None)

    async def keep_keeping(self) -> None:
        """Keep what is noted; never returns."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await asyncio.sleep(PAUSE_SEC)
            await self.keep()
            if self._news:
                self._arrived.set()

    async def keep(self, *, last: bool = False) -> None:
        """Keep what is noted now, as far as the store takes it.

        But of who is firing: that commit keeps the truth, and what was noted before must not come
        behind it. The `last` time it will not come any more.
        """
        news = {
            ref: truth for ref, truth in self._news.items() if last or not self._is_firing(ref)
        }
        ends_seen = self._ends_seen()
        if not news and ends_seen == self._kept_ends:
            return
        try:
            await self._store.keep_truths(news, at=self._clock.now(), ends_seen=ends_seen)
        except StoreUnavailable as error:
            if not self._fails:
                _log.warning('the last truths of conditions are not kept: %s', error)
            self._fails = True
            return
        self._fails = False
        self._kept_ends = ends_seen
        for ref, truth in news.items():
            self._kept[ref] = truth
            if self._news.get(ref) == truth:
                self._news.pop(ref, None)

    async def keep_only(self, refs: Iterable[TriggerRef]) -> None:
        """Have the store forget all others."""
        try:
            await self._store.keep_only(set(refs))
        except StoreUnavailable as error:
            _log.warning('what is kept of triggers that are gone stays: %s', error)
