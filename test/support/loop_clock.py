# SPDX-License-Identifier: Apache-2.0
"""The clock of the running loop, which a test can put forward: what takes long takes no time."""

import asyncio

import pytest


class LoopClock:
    """Real time, and what the test adds to it; every timer and timeout of the loop goes by it.

    Spans are then so long that no machine stalls for them. A deadline has to be longer than all
    that a test adds.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take over the clock of the running loop, until the end of the test."""
        loop = asyncio.get_running_loop()
        real_time = loop.time
        self._added_sec = 0.0
        monkeypatch.setattr(loop, 'time', lambda: real_time() + self._added_sec)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and whatever is due by then happen."""
        self._added_sec += seconds
        # Timers fire in the order of their times: this one after all that were due before it.
        await asyncio.sleep(0.1)
