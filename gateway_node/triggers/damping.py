# SPDX-License-Identifier: Apache-2.0
"""How often a trigger may fire: what flaps costs no more than what it may cost.

Pure, by a monotonic clock that it is told.
"""

LEAST_INTERVAL_SEC = 1.0
"""Between two firings of a start trigger, whatever it asks for: each firing is written to the
disk, and starts processes."""
TOLERANCE_SEC = 0.1
"""By how much a firing may come too early: what keeps to the interval, as a timer or a topic at
that rate, comes some milliseconds early as often as late. The next one waits so much longer."""
QUIET_SEC = 10.0
"""A storm is over once nothing was held back for so long, or for one interval."""


class Damping:
    """The storms of one trigger."""

    def __init__(self, min_interval_sec: float, *, free_at: float | None = None) -> None:
        """`free_at`: when it may fire again after an earlier gateway's last firing."""
        self.interval_sec = max(min_interval_sec, LEAST_INTERVAL_SEC)
        self.total = 0
        """How often it was held back."""
        self.owes = False
        """Whether it was held back since it fired last."""
        self._free_at = free_at
        self._storm = 0
        self._held_back_at = 0.0

    def until(self, now: float) -> float | None:
        """Return when it may fire again; None where it may now."""
        free_at = self._free_at
        return None if free_at is None or now >= free_at - TOLERANCE_SEC else free_at

    @property
    def due(self) -> float | None:
        """When it is to be looked at again, whether or not something happens; None: never."""
        moments = [self._over_at] if self._storm else []
        if self.owes and self._free_at is not None:
            moments.append(self._free_at)
        return min(moments, default=None)

    def fire(self, now: float) -> None:
        """Note that it fires."""
        begin = now if self._free_at is None else max(now, self._free_at)
        self._free_at = begin + self.interval_sec
        self.owes = False

    def hold_back(self, now: float) -> bool:
        """Note that it would have fired; return whether a storm begins with it."""
        self.owes = True
        self.total += 1
        self._storm += 1
        self._held_back_at = now
        return self._storm == 1

    def settle(self) -> None:
        """Owe nothing any more."""
        self.owes = False

    def end_storm(self, now: float | None = None) -> int:
        """Return how often it was held back in a storm that is over by now, or, None, ends here;
        0 where there is none."""
        if now is not None and now < self._over_at:
            return 0
        count, self._storm = self._storm, 0
        return count

    @property
    def _over_at(self) -> float:
        return self._held_back_at + max(QUIET_SEC, self.interval_sec)
