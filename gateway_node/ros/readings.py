# SPDX-License-Identifier: Apache-2.0
"""Readings on their way from a ROS thread to the event loop; knows nothing of rclpy."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
import contextlib
from dataclasses import replace
import threading
import time
from typing import Any

from gateway_node.conditions.sources import Reading, RobotSource, TopicValue

Batch = Mapping[RobotSource, Reading]
"""Readings that were made together, as the fields of one message are."""
OnDiagnostics = Callable[[Any, float], None]
"""Takes each message of `/diagnostics` that is read, and when it came, on a ROS thread."""
MAX_WAITING = 1000
"""Batches; where more wait, the newest become one: values are left out, messages counted."""
SLICE_SEC = 0.002
"""What is told at a stretch: in between requests are answered."""


class Readings:
    """What one thread has read and the event loop has not taken yet, in order.

    Of a topic that is sampled the newest reading waits, of everything else each one. `put` and
    `send` belong to the ROS thread.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, tell: Callable[[RobotSource, Reading], None]
    ) -> None:
        """`tell` is called on the loop."""
        self._loop = loop
        self._tell = tell
        self._lock = threading.Lock()
        self._waiting: deque[dict[RobotSource, Reading]] = deque()
        self._sampled: dict[RobotSource, dict[RobotSource, Reading]] = {}
        """For each sampled source of which a reading waits, what that waits in."""
        self._asked = False

    def put(self, batch: Batch) -> None:
        """Take what was read together."""
        with self._lock:
            full = len(self._waiting) >= MAX_WAITING
            newest = self._waiting[-1] if full else {}
            for source, reading in batch.items():
                newest[source] = self._following(source, reading, newest)
                if _is_sampled(source):
                    self._sampled[source] = newest
            if not full:
                self._waiting.append(newest)

    @property
    def waits(self) -> bool:
        """Whether there is something to send."""
        return bool(self._waiting) and not self._asked

    def send(self) -> None:
        """Have the loop take what waits."""
        with self._lock:
            if not self.waits:
                return
            self._asked = True
        # RuntimeError: the loop is closed, and nobody is left who could be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._take)

    def _following(
        self, source: RobotSource, reading: Reading, newest: dict[RobotSource, Reading]
    ) -> Reading:
        """Return a reading with the messages of the one that it replaces, if it does."""
        before = self._sampled.get(source, newest).pop(source, None)
        if before is None or before.fault or reading.fault:
            return reading
        return replace(reading, messages=before.messages + reading.messages)

    def _take(self) -> None:
        until = time.monotonic() + SLICE_SEC
        while (batch := self._next()) is not None:
            for source, reading in batch.items():
                self._tell(source, reading)
            if time.monotonic() > until:
                self._loop.call_soon(self._take)
                return

    def _next(self) -> Batch | None:
        with self._lock:
            if not self._waiting:
                self._asked = False
                return None
            batch = self._waiting.popleft()
            for source in batch:
                self._sampled.pop(source, None)
            return batch


def _is_sampled(source: RobotSource) -> bool:
    return isinstance(source, TopicValue) and not source.every
