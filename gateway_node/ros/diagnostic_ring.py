# SPDX-License-Identifier: Apache-2.0
"""How `/diagnostics` stands, and what changed in it, bounded; knows nothing of rclpy."""

from collections import deque
import datetime
import threading
from typing import Any

from gateway_node.evidence.values import DiagnosticChange, Diagnostics, DiagnosticStatus
from gateway_node.ros.losses import Losses

MAX_STATUSES = 2000
"""Names that are held; with more, those that were told longest ago go."""
MAX_CHANGES = 2000
_MAX_TEXT = 1000
"""Characters that are held of each text of a status."""
_MAX_VALUES = 50
"""Values that are held of a status."""
_LEVELS = ('OK', 'WARN', 'ERROR', 'STALE')
"""By their numbers (diagnostic_msgs/msg/DiagnosticStatus)."""


class DiagnosticRing:
    """The statuses as they were told last, and the last changes of level or message.

    One thread adds, another one asks.
    """

    def __init__(
        self, *, max_statuses: int = MAX_STATUSES, max_changes: int = MAX_CHANGES
    ) -> None:
        self._max_statuses = max_statuses
        self._max_changes = max_changes
        self._lock = threading.Lock()
        self.clear()

    def hold(self) -> None:
        """Hold what comes from now on."""
        self._holds = True

    def clear(self) -> None:
        """Hold nothing, and nothing of what comes."""
        with self._lock:
            self._holds = False
            self._statuses: dict[str, DiagnosticStatus] = {}
            self._changes: deque[DiagnosticChange] = deque()
            self._losses = Losses()

    def take(self, message: Any, received: float) -> None:
        """Take what a `diagnostic_msgs/msg/DiagnosticArray` tells, which came no earlier than the
        one before."""
        with self._lock:
            if not self._holds:
                return
            at = datetime.datetime.now(datetime.UTC)
            for told in message.status:
                status = _status(told)
                # At the end: what was told longest ago comes first, and goes first.
                before = self._statuses.pop(status.name, None)
                self._statuses[status.name] = status
                if before is None or _essence(before) != _essence(status):
                    self._note(
                        DiagnosticChange(received=received, at=at, status=status, before=before)
                    )
            while len(self._statuses) > self._max_statuses:
                del self._statuses[next(iter(self._statuses))]

    def between(self, begin: float, end: float) -> Diagnostics:
        """Return how it stood at `begin`, and the changes up to, and without, `end`.

        Of a status that did not change since `begin`, the values are those told last.
        """
        with self._lock:
            statuses, changes = dict(self._statuses), tuple(self._changes)
            lost = self._losses.between(begin, end)
        for change in reversed(changes):
            if change.received < begin:
                break
            if change.before is None:
                statuses.pop(change.status.name, None)
            else:
                statuses[change.status.name] = change.before
        return Diagnostics(
            at_begin=tuple(statuses[name] for name in sorted(statuses)),
            changes=tuple(each for each in changes if begin <= each.received < end),
            lost=lost,
        )

    def _note(self, change: DiagnosticChange) -> None:
        self._changes.append(change)
        if len(self._changes) > self._max_changes:
            self._losses.add(self._changes.popleft().received, 1)


def _essence(status: DiagnosticStatus) -> tuple[str, str]:
    return status.level, status.message


def _status(told: Any) -> DiagnosticStatus:
    level = told.level[0]
    return DiagnosticStatus(
        name=told.name[:_MAX_TEXT],
        level=_LEVELS[level] if level < len(_LEVELS) else str(level),
        message=told.message[:_MAX_TEXT],
        hardware_id=told.hardware_id[:_MAX_TEXT],
        values={
            each.key[:_MAX_TEXT]: each.value[:_MAX_TEXT] for each in told.values[:_MAX_VALUES]
        },
    )
