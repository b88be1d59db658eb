# SPDX-License-Identifier: Apache-2.0
"""How much was lost when, in bounded memory; and how much of what was published never came.

Knows nothing of rclpy.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

_WIDTH_SEC = 0.5
_MAX_BUCKETS = 2000
_MAX_PUBLISHERS = 10_000


class Losses:
    """Counts what is lost by the time at which it came, in seconds of the monotonic clock.

    The longer it counts, the coarser that time is.
    """

    def __init__(self) -> None:
        self._width_sec = _WIDTH_SEC
        self._counts: Counter[int] = Counter()
        """By the number of the stretch of time."""

    def add(self, at: float, count: int) -> None:
        """Note that so many were lost that came at some time."""
        self._counts[int(at // self._width_sec)] += count
        if len(self._counts) > _MAX_BUCKETS:
            self._width_sec *= 2
            finer, self._counts = self._counts, Counter()
            for number, counted in finer.items():
                self._counts[number // 2] += counted

    def between(self, begin: float, end: float) -> int:
        """Return how many were lost from `begin` up to, and without, `end`."""
        return sum(
            count
            for number, count in self._counts.items()
            if (number + 1) * self._width_sec > begin and number * self._width_sec < end
        )


class MissedMessages:
    """Tells by the publishers' own numbers how many messages were overwritten unread."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}

    def before(self, info: Mapping[str, Any]) -> int:
        """Return how many of its publisher were missed just before the message that `info`, as
        rclpy gives it, is of.

        0 where the middleware does not number them, or does not tell whose they are.
        """
        publisher, number = info.get('publisher_gid'), info.get('publication_sequence_number')
        if not publisher or number is None:
            return 0
        key = bytes(publisher['data'])
        last = self._last.pop(key, number - 1)
        self._last[key] = number
        if len(self._last) > _MAX_PUBLISHERS:
            del self._last[next(iter(self._last))]
        return int(max(0, number - last - 1))
