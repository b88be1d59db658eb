# SPDX-License-Identifier: Apache-2.0
"""Much work in short turns, so that nobody else on the event loop waits for it."""

import asyncio
from collections import deque
from collections.abc import Iterator
import time

from gateway_node.executions.listeners import Guard

TURN_SEC = 0.003
"""How long a turn may take, and one step more."""


class Turns:
    """Does pieces of work one after the other, step by step; who else has something to do on the
    loop comes in between.

    A piece that fails is logged, and the others go on.
    """

    def __init__(self) -> None:
        self._work: deque[Iterator[object]] = deque()
        self._guard = Guard()
        self._running = False

    def add(self, work: Iterator[object]) -> None:
        """Have something done, soon: each `next` of it is a step."""
        self._work.append(work)
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_soon(self._run)

    def clear(self) -> None:
        """Do nothing of what is left."""
        self._work.clear()

    def _run(self) -> None:
        until = time.perf_counter() + TURN_SEC
        while self._work:
            self._guard.tell(self._step, self._work.popleft())
            if time.perf_counter() >= until:
                break
        self._running = bool(self._work)
        if self._running:
            asyncio.get_running_loop().call_soon(self._run)

    def _step(self, work: Iterator[object]) -> None:
        for _ in work:
            # In front again: what was begun first is done first.
            self._work.appendleft(work)
            return
