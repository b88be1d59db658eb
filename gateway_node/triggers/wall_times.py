# SPDX-License-Identifier: Apache-2.0
"""Moments by the wall clock, on timers by the monotonic one: set anew when the wall clock jumps,
or the machine has another zone.

Forwards, what was jumped over counts as missed where that is more than a minute. Backwards,
nothing happens twice as long as it is no more than three hours, as cron(8) does; a clock that is
set back further was wrong, and all begins anew by the right one.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
import datetime

from gateway_node.clock import Clock
from gateway_node.conditions.condition_words import Missed
from gateway_node.conditions.values import Cron
from gateway_node.triggers.local_zone import local_zone, zone_mark
from gateway_node.triggers.timers import Timers

LOOK_SEC = 5.0
"""Between two looks whether the wall clock jumped, as long as something goes by it."""
LATE = datetime.timedelta(minutes=1)
"""What is later than that was missed."""
REPEATED = datetime.timedelta(hours=3)
_JUMP_SEC = 0.5
_LOOKING = 'look at the wall clock'


@dataclass(kw_only=True, eq=False)
class _Entry:
    cron: Cron
    after: datetime.datetime
    """Up to when all has happened, or was missed."""
    happen: Callable[[], None]
    due: datetime.datetime | None = None
    """In UTC, as all that is compared here: of one zone times compare as the clock shows them."""


class WallTimes:
    """Calls when a moment of a calendar has come."""

    def __init__(self, clock: Clock, timers: Timers) -> None:
        self._clock = clock
        self._timers = timers
        self._entries: dict[Hashable, _Entry] = {}
        self._zone: datetime.tzinfo = datetime.UTC
        self._known: tuple[float, object] = (0.0, None)

    def set(
        self,
        key: Hashable,
        cron: Cron,
        happen: Callable[[], None],
        *,
        after: datetime.datetime | None = None,
    ) -> None:
        """Have `happen` called at each moment of `cron`, behind `after` or from now on; what was
        missed is made up for once, where `cron` says so."""
        if not self._entries:
            self._read_zone()
            self._look_later()
        begins = self._clock.now() if after is None else after
        entry = _Entry(cron=cron, after=begins, happen=happen)
        self._entries[key] = entry
        self._set_timer(key, entry)

    def forget(self, key: Hashable) -> None:
        """Call for it no more."""
        if self._entries.pop(key, None) is not None:
            self._timers.set((self, key), None, _nothing)

    def due(self, key: Hashable) -> datetime.datetime | None:
        """Return when it happens next; None: never."""
        entry = self._entries.get(key)
        return None if entry is None else entry.due

    def _set_timer(self, key: Hashable, entry: _Entry) -> None:
        now = self._clock.now()
        if entry.after - now > REPEATED:
            # Noted by a clock that was ahead: it tells nothing.
            entry.after = now
        entry.due = entry.cron.next_after(entry.after.astimezone(self._zone))
        at = None
        if entry.due is not None:
            at = self._clock.monotonic() + (entry.due - now).total_seconds()
        self._timers.set((self, key), at, lambda: self._on_time(key, entry))

    def _on_time(self, key: Hashable, entry: _Entry) -> None:
        if self._entries.get(key) is not entry or entry.due is None:
            return
        now = self._clock.now()
        due = entry.due
        if now >= due:
            entry.after = max(now, due)
            self._set_timer(key, entry)
            if now - due <= LATE or entry.cron.missed is Missed.ONCE:
                entry.happen()
        else:
            # The wall clock is slower than the monotonic one, or was set back.
            self._set_timer(key, entry)

    def _look_later(self) -> None:
        self._timers.set((self, _LOOKING), self._clock.monotonic() + LOOK_SEC, self._look)

    def _look(self) -> None:
        if not self._entries:
            return
        offset_sec, mark = self._known
        if abs(self._offset() - offset_sec) > _JUMP_SEC or zone_mark() != mark:
            self._read_zone()
            for key, entry in list(self._entries.items()):
                self._set_timer(key, entry)
        self._look_later()

    def _read_zone(self) -> None:
        self._zone = local_zone()
        self._known = (self._offset(), zone_mark())

    def _offset(self) -> float:
        return self._clock.now().timestamp() - self._clock.monotonic()


def _nothing() -> None:
    pass
