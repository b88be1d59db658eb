# SPDX-License-Identifier: Apache-2.0
"""What is seen of the robot around an execution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
import datetime


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """A line of `/rosout`."""

    received: float
    """When it came, in seconds of the monotonic clock."""
    at: datetime.datetime
    """As its node stamped it."""
    level: str
    """`DEBUG`, `INFO`, `WARN`, `ERROR` or `FATAL`; another one as its number."""
    node: str
    """The name of the logger."""
    message: str
    place: str = ''
    """Where in the node's code: `file:line function`; empty where it does not say."""


@dataclass(frozen=True, kw_only=True)
class LogLines:
    """What was logged in a part of time."""

    lines: tuple[LogLine, ...]
    """In the order in which they came."""
    lost: int = 0
    """Lines of that time that are not held any more."""


@dataclass(frozen=True, kw_only=True)
class DiagnosticStatus:
    """A status of `/diagnostics`."""

    name: str
    level: str
    """`OK`, `WARN`, `ERROR` or `STALE`."""
    message: str
    hardware_id: str = ''
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DiagnosticChange:
    """A status of which the level or the message became another one."""

    received: float
    """When it came, in seconds of the monotonic clock."""
    at: datetime.datetime
    """By the wall clock."""
    status: DiagnosticStatus
    """As it is from then on."""
    before: DiagnosticStatus | None = None
    """As it was; None where nobody had told it before."""


@dataclass(frozen=True, kw_only=True)
class Diagnostics:
    """How `/diagnostics` stood at the begin of a part of time, and what changed in it."""

    at_begin: tuple[DiagnosticStatus, ...]
    """By name."""
    changes: tuple[DiagnosticChange, ...]
    """In the order in which they came."""
    lost: int = 0
    """Changes of that time that are not held any more."""


@dataclass(frozen=True, kw_only=True)
class TopicPicture:
    """A topic, as it is in the graph."""

    types: tuple[str, ...]
    """`sensor_msgs/msg/BatteryState`; one, unless somebody is wrong."""
    publishers: int
    subscribers: int


@dataclass(frozen=True, kw_only=True)
class GraphPicture:
    """The graph at a moment, without what is the gateway's own."""

    nodes: tuple[str, ...]
    """Fully qualified, sorted; twice where two nodes have one name."""
    topics: Mapping[str, TopicPicture]
    services: Mapping[str, tuple[str, ...]]
    """The types of each."""
    left_out: int = 0
    """Nodes, topics and services beyond a bound."""
