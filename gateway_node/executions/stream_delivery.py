# SPDX-License-Identifier: Apache-2.0
"""Handing news to the readers of streams: to a few of them in each turn of the event loop.

So a change that a thousand streams tell keeps no request waiting.
"""

import asyncio
from collections import deque
from collections.abc import Callable
import time

from gateway_node.executions.listeners import Guard

TURN_SEC = 0.0005
"""How long readers are served in one turn of the loop."""


class Delivery:
    """The queue of those that have something to hand on, first come first served."""

    def __init__(self) -> None:
        self._queue: deque[Callable[[], None]] = deque()
        self._arranged = False
        self._guard = Guard()

    def put(self, hand_on: Callable[[], None]) -> None:
        """Have this called in its turn; it must return at once."""
        self._queue.append(hand_on)
        if not self._arranged:
            self._arranged = True
            asyncio.get_running_loop().call_soon(self._serve)

    async def done(self) -> None:
        """Wait until all is handed on that was put here before."""
        done = asyncio.Event()
        self.put(done.set)
        await done.wait()

    def _serve(self) -> None:
        until = time.perf_counter() + TURN_SEC
        while self._queue:
            self._guard.tell(self._queue.popleft())
            if time.perf_counter() >= until:
                break
        self._arranged = bool(self._queue)
        if self._arranged:
            asyncio.get_running_loop().call_soon(self._serve)
