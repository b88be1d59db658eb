# SPDX-License-Identifier: Apache-2.0
"""The last lines of `/rosout`, bounded; knows nothing of rclpy."""

from collections import defaultdict, deque, OrderedDict
import threading

from gateway_node.evidence.values import LogLine, LogLines
from gateway_node.ros.losses import Losses

MAX_LINES = 10_000
MAX_CHARACTERS = 4_000_000
"""Of messages, all together."""
_SHARE = 4
"""A logger has at most this part of the ring: one that floods does not push out the others'."""


class LogRing:
    """Lines in the order in which they came; what goes is counted.

    One thread adds, another one asks.
    """

    def __init__(
        self, *, max_lines: int = MAX_LINES, max_characters: int = MAX_CHARACTERS
    ) -> None:
        self._max_lines = max_lines
        self._max_characters = max_characters
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._lines: OrderedDict[int, LogLine] = OrderedDict()
            self._of_logger: defaultdict[str, deque[int]] = defaultdict(deque)
            self._number = 0
            self._characters = 0
            self._losses = Losses()

    def add(self, line: LogLine) -> None:
        """Hold a line, which came no earlier than the one before."""
        with self._lock:
            self._number += 1
            self._lines[self._number] = line
            self._characters += len(line.message)
            numbers = self._of_logger[line.node]
            numbers.append(self._number)
            if len(numbers) > self._max_lines // _SHARE:
                self._drop(numbers[0])
            while len(self._lines) > self._max_lines or self._characters > self._max_characters:
                self._drop(next(iter(self._lines)))

    def miss(self, at: float, count: int) -> None:
        """Count lines that were never seen."""
        with self._lock:
            self._losses.add(at, count)

    def between(self, begin: float, end: float) -> LogLines:
        """Return the lines from `begin` up to, and without, `end`."""
        with self._lock:
            return LogLines(
                lines=tuple(each for each in self._lines.values() if begin <= each.received < end),
                lost=self._losses.between(begin, end),
            )

    def _drop(self, number: int) -> None:
        line = self._lines.pop(number)
        numbers = self._of_logger[line.node]
        # The oldest one of its logger, whichever bound it is beyond.
        numbers.popleft()
        if not numbers:
            del self._of_logger[line.node]
        self._characters -= len(line.message)
        self._losses.add(line.received, 1)
