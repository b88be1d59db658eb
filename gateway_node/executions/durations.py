# SPDX-License-Identifier: Apache-2.0
"""Many durations in few bytes: how many, their sum, the least, the greatest, and a histogram.

The histogram's buckets are logarithmic: eight for each doubling, so that a quantile read from it
is within 5 % of the exact one, whether executions take a millisecond or years. It is one long
number, of LANE_BITS for each bucket's count, so that two of them are merged by one addition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
import functools
import math

LANE_BITS = 40
"""Of one bucket's count: a trillion, which no robot executes in its life."""
_LANE_BYTES = LANE_BITS // 8
_BUCKETS_PER_DOUBLING = 8
_LAST_BUCKET = 511
"""Takes all that is longer: 500 million years."""


@dataclass(frozen=True, kw_only=True)
class Durations:
    """What is kept of some durations, in milliseconds."""

    count: int = 0
    total_ms: int = 0
    min_ms: int | None = None
    max_ms: int | None = None
    histogram: int = 0

    @classmethod
    def of(cls, *durations_ms: int) -> 'Durations':
        """Return what is kept of these."""
        if not durations_ms:
            return NO_DURATIONS
        return cls(
            count=len(durations_ms),
            total_ms=sum(durations_ms),
            min_ms=min(durations_ms),
            max_ms=max(durations_ms),
            histogram=sum(1 << (_bucket_of(each) * LANE_BITS) for each in durations_ms),
        )

    def __add__(self, other: 'Durations') -> 'Durations':
        """Return what is kept of both."""
        least = [each.min_ms for each in (self, other) if each.min_ms is not None]
        greatest = [each.max_ms for each in (self, other) if each.max_ms is not None]
        return Durations(
            count=self.count + other.count,
            total_ms=self.total_ms + other.total_ms,
            min_ms=min(least, default=None),
            max_ms=max(greatest, default=None),
            histogram=self.histogram + other.histogram,
        )

    @property
    def mean_ms(self) -> float | None:
        """The mean, exactly; None of none."""
        return self.total_ms / self.count if self.count else None

    def quantile_ms(self, share: float) -> float | None:
        """Return the least duration that `share` of all do not exceed, within 5 %; None of none.

        0.5 is the median. With one duration, or several that are equal, it is exact.
        """
        if self.min_ms is None or self.max_ms is None:
            return None
        rank = max(1, math.ceil(share * self.count))
        seen = 0
        for bucket, count in _buckets(self.histogram):
            seen += count
            if seen >= rank:
                return float(min(max(_middle_of(bucket), self.min_ms), self.max_ms))
        return float(self.max_ms)


NO_DURATIONS = Durations()


def histogram_to_bytes(histogram: int) -> bytes:
    """Return a histogram as it is stored: the number of its first bucket, then the counts."""
    if not histogram:
        return b''
    first = ((histogram & -histogram).bit_length() - 1) // LANE_BITS
    counts = histogram >> (first * LANE_BITS)
    return first.to_bytes(2, 'little') + counts.to_bytes((counts.bit_length() + 7) // 8, 'little')


def histogram_from_bytes(stored: bytes) -> int:
    """Return the histogram that `histogram_to_bytes` was given."""
    first = int.from_bytes(stored[:2], 'little')
    return int.from_bytes(stored[2:], 'little') << (first * LANE_BITS)


def _bucket_of(duration_ms: int) -> int:
    """Return the number of a duration's bucket: 0 for nothing at all."""
    if duration_ms < 1:
        return 0
    return min(_LAST_BUCKET, 1 + int(_BUCKETS_PER_DOUBLING * math.log2(duration_ms)))


@functools.cache
def _middle_of(bucket: int) -> float:
    """Return what differs least, in proportion, from both the least and the greatest duration of
    a bucket."""
    if bucket == 0:
        return 0.0
    least = math.ceil(2 ** ((bucket - 1) / _BUCKETS_PER_DOUBLING))
    greatest = max(least, math.ceil(2 ** (bucket / _BUCKETS_PER_DOUBLING)) - 1)
    return 2 * least * greatest / (least + greatest)


def _buckets(histogram: int) -> Iterator[tuple[int, int]]:
    """Yield the buckets that are not empty, each with its count, the shortest durations first."""
    stored = histogram_to_bytes(histogram)
    first, counts = int.from_bytes(stored[:2], 'little'), stored[2:]
    for start in range(0, len(counts), _LANE_BYTES):
        count = int.from_bytes(counts[start : start + _LANE_BYTES], 'little')
        if count:
            yield first + start // _LANE_BYTES, count
