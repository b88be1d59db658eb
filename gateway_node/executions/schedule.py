# SPDX-License-Identifier: Apache-2.0
"""What a schedule notes of the starts of the gateway."""

from dataclasses import dataclass, replace
import datetime

from gateway_node.clock import BootTime


@dataclass(frozen=True, kw_only=True)
class ScheduledStart:
    """When a schedule last started an execution."""

    at: datetime.datetime
    boot_time: BootTime
    """The same moment by the machine's uptime, which no clock jump moves."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What an execution that waits for starts of the gateway notes of those."""

    last_start: ScheduledStart | None = None
    skipped_starts: int = 0
    """Starts of the gateway that came too soon after the last one."""

    def skipped(self) -> 'Schedule':
        """Return it with one more skipped start."""
        return replace(self, skipped_starts=self.skipped_starts + 1)

    def started(self, start: ScheduledStart) -> 'Schedule':
        """Return it with another last start."""
        return replace(self, last_start=start)

    def starts_too_soon(self, now: BootTime, min_interval_sec: float) -> bool:
        """Tell whether a start now is too close to the last one, within one boot."""
        if self.last_start is None or self.last_start.boot_time.boot_id != now.boot_id:
            return False
        return now.seconds - self.last_start.boot_time.seconds < min_interval_sec
