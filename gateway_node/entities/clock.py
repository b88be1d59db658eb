"""The two clocks: wall time to show, monotonic time to measure with.

A robot's wall clock jumps by years; nothing may be measured with it.
"""

import datetime
import time
from typing import Protocol


class Clock(Protocol):
    """Where the rooms get the time from."""

    def now(self) -> datetime.datetime:
        """Return the wall time, in UTC."""

    def monotonic(self) -> float:
        """Return seconds since some moment; they never go back."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime.datetime:
        """Return the wall time, in UTC."""
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()
