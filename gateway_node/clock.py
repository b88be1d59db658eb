# SPDX-License-Identifier: Apache-2.0
"""The two clocks: wall time to show, monotonic time to measure with.

A robot's wall clock jumps by years; nothing may be measured with it.
"""

from dataclasses import dataclass
import datetime
import functools
from pathlib import Path
import time
from typing import Protocol

_UP_TO_OFFSET = len('2026-01-31T12:00:00.000')
"""Of what `isoformat` writes: it is always as long."""


@dataclass(frozen=True, kw_only=True)
class BootTime:
    """A moment by the machine's uptime, comparable over restarts of the gateway."""

    boot_id: str
    """Differs from one boot of the machine to the next."""
    seconds: float
    """Since that boot, time in suspend included."""


class Clock(Protocol):
    """Where the rooms get the time from."""

    def now(self) -> datetime.datetime:
        """Return the wall time, in UTC, to the millisecond: as it is shown it is kept."""

    def monotonic(self) -> float:
        """Return seconds since some moment; they never go back."""

    def boot_time(self) -> BootTime:
        """Return the machine's uptime."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime.datetime:
        """Return the wall time, in UTC, to the millisecond."""
        now = datetime.datetime.now(datetime.UTC)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic(self) -> float:
        """Return `time.monotonic()`."""
        return time.monotonic()

    def boot_time(self) -> BootTime:
        """Return CLOCK_BOOTTIME (man 2 clock_gettime) in the present boot."""
        return BootTime(boot_id=read_boot_id(), seconds=time.clock_gettime(time.CLOCK_BOOTTIME))


@functools.cache
def read_boot_id() -> str:
    """Return what names the machine's present boot (man 4 random): no process outlives it."""
    return Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()


def rfc3339(moment: datetime.datetime) -> str:
    """Write a moment as RFC 3339 in UTC with `Z`, to the millisecond."""
    if moment.tzinfo is not datetime.UTC:
        moment = moment.astimezone(datetime.UTC)
    return moment.isoformat('T', 'milliseconds')[:_UP_TO_OFFSET] + 'Z'
