# SPDX-License-Identifier: Apache-2.0
"""When something is due: one timer of the event loop for all of it."""

import asyncio
from collections.abc import Callable, Hashable, Iterator
import heapq
import itertools

from gateway_node.triggers.turns import Turns

_LONGEST_SEC = 3600.0
"""Between two looks at the clock; a timer of the loop is not to be set for years."""


class Timers:
    """Calls who is due, by the monotonic clock: each has one moment at a time."""

    def __init__(self, monotonic: Callable[[], float], turns: Turns) -> None:
        self._monotonic = monotonic
        self._turns = turns
        self._due: dict[Hashable, tuple[float, Callable[[], object]]] = {}
        self._heap: list[tuple[float, int, Hashable]] = []
        self._numbers = itertools.count()
        self._handle: asyncio.TimerHandle | None = None
        self._handle_at = 0.0

    def set(self, key: Hashable, at: float | None, call: Callable[[], object]) -> None:
        """Have `call` called at a moment, in place of what was set before; None: not at all."""
        known = self._due.get(key)
        if at is None:
            self._due.pop(key, None)
            return
        self._due[key] = (at, call)
        if known is None or known[0] != at:
            heapq.heappush(self._heap, (at, next(self._numbers), key))
            self._thin_out()
            self._wake()

    def close(self) -> None:
        """Call nobody any more."""
        self._due.clear()
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _thin_out(self) -> None:
        """Let go of moments that others replaced, once they are most of all."""
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(at, next(self._numbers), key) for key, (at, _) in self._due.items()]
            heapq.heapify(self._heap)

    def _wake(self) -> None:
        while self._heap and self._is_over(self._heap[0]):
            heapq.heappop(self._heap)
        if not self._heap:
            return
        at = self._heap[0][0]
        if self._handle is not None and self._handle_at <= at:
            return
        if self._handle is not None:
            self._handle.cancel()
        delay_sec = min(max(0.0, at - self._monotonic()), _LONGEST_SEC)
        self._handle_at = at
        self._handle = asyncio.get_running_loop().call_later(delay_sec, self._on_time)

    def _is_over(self, entry: tuple[float, int, Hashable]) -> bool:
        at, _, key = entry
        known = self._due.get(key)
        return known is None or known[0] != at

    def _on_time(self) -> None:
        self._handle = None
        now = self._monotonic()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if not self._is_over(entry):
                _, call = self._due.pop(entry[2])
                self._turns.add(_calling(call))
        self._wake()


def _calling(call: Callable[[], object]) -> Iterator[object]:
    yield call()
