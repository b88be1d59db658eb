# SPDX-License-Identifier: Apache-2.0
"""A robot whose values a test sets."""

import asyncio
from collections import Counter
from collections.abc import Callable
import itertools
import time
from typing import Any

from gateway_node.conditions.sources import Reading, RobotSource


class FakeRobot:
    """RobotValues: who watches is told at once, on the running loop, of what a test says."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._readings: dict[RobotSource, Reading] = {}
        self._watches: dict[int, tuple[RobotSource, Callable[[Reading], None]]] = {}
        self._numbers = itertools.count()

    @property
    def watched(self) -> Counter[RobotSource]:
        """How many watch each source that is watched."""
        return Counter(source for source, _ in self._watches.values())

    def set(self, source: RobotSource, value: Any, *, messages: int = 1) -> None:
        """Let a source have a value from now on."""
        self._take(source, Reading(at=self._monotonic(), value=value, messages=messages))

    def fault(self, source: RobotSource, text: str) -> None:
        """Let a source have no value from now on, and why."""
        self._take(source, Reading(at=self._monotonic(), fault=text))

    def watch(self, source: RobotSource, tell: Callable[[Reading], None]) -> Callable[[], None]:
        """Tell of what the source has already, soon, and of what a test says of it then."""
        number = next(self._numbers)
        self._watches[number] = (source, tell)
        known = self._readings.get(source)
        if known is not None:
            asyncio.get_running_loop().call_soon(self._tell_known, number, known)
        return lambda: self._end(number)

    def _take(self, source: RobotSource, reading: Reading) -> None:
        self._readings[source] = reading
        for number, (watched, tell) in list(self._watches.items()):
            if watched == source and number in self._watches:
                tell(reading)

    def _tell_known(self, number: int, known: Reading) -> None:
        if number in self._watches:
            source, tell = self._watches[number]
            if self._readings[source] is known:
                tell(known)

    def _end(self, number: int) -> None:
        self._watches.pop(number, None)
