# SPDX-License-Identifier: Apache-2.0
"""What is seen around an execution, before its start, in its time and after its end."""

from dataclasses import dataclass, field
import datetime

from gateway_node.evidence.seen_robot import Json, unavailable
from gateway_node.evidence.values import (
    DiagnosticChange,
    DiagnosticStatus,
    LogLine,
)
from gateway_node.scripts.evidence_policy import EvidencePolicy

BEFORE_SEC = 10.0
"""Before the start, of which it is kept what was logged."""
AFTER_SEC = 2.0
"""After the end, likewise."""
MAX_LINES_BEFORE = 500
"""The last ones, of those before the start."""

_NOT_SEEN = unavailable('the execution was over before this was looked at')


@dataclass(kw_only=True)
class Begun:
    """What was seen before the start, as far as it is seen yet."""

    policy: EvidencePolicy
    at: datetime.datetime
    """By the wall clock."""
    monotonic: float
    graph: Json = field(default_factory=lambda: _NOT_SEEN)
    node_parameters: Json = field(default_factory=lambda: _NOT_SEEN)
    machine: Json = field(default_factory=lambda: _NOT_SEEN)
    environment: Json = field(default_factory=lambda: _NOT_SEEN)
    lines: tuple[LogLine, ...] = ()
    """Logged before: a long execution outlasts what is held of that."""
    statuses: tuple[DiagnosticStatus, ...] = ()
    """Of `/diagnostics`, as they were."""
    bag_fault: str = ''
    """Why there is no bag."""

    def take_nothing(self, why: str) -> None:
        """Say why nothing was looked at."""
        self.graph = self.node_parameters = self.machine = self.environment = unavailable(why)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What was seen after the end."""

    at: datetime.datetime
    monotonic: float
    graph: Json
    node_parameters: Json
    machine: Json


@dataclass(frozen=True, kw_only=True)
class Logged:
    """What happened from the start on."""

    lines: tuple[LogLine, ...]
    changes: tuple[DiagnosticChange, ...]
    lost_lines: int
    """That are not held any more, as the lost changes are not."""
    lost_changes: int
