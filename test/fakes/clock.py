# SPDX-License-Identifier: Apache-2.0
"""The clocks, in a test's hand."""

import datetime

from gateway_node.clock import BootTime


class FakeClock:
    """The clocks, standing still until a test moves them."""

    def __init__(
        self, now: datetime.datetime = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
    ) -> None:
        self.wall = now
        """What `now()` returns; set it to let the wall clock jump."""
        self.seconds = 1000.0
        """What `monotonic()` returns."""
        self.boot_id = 'first_boot'
        """Set it, and `boot_seconds` back, to let the machine boot again."""
        self.boot_seconds = 1000.0
        """What `boot_time()` counts."""

    def now(self) -> datetime.datetime:
        """Return the wall time."""
        return self.wall

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return self.seconds

    def boot_time(self) -> BootTime:
        """Return the machine's uptime."""
        return BootTime(boot_id=self.boot_id, seconds=self.boot_seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass on all clocks."""
        self.wall += datetime.timedelta(seconds=seconds)
        self.seconds += seconds
        self.boot_seconds += seconds
