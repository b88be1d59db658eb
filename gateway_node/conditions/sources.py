# SPDX-License-Identifier: Apache-2.0
"""What of the robot conditions look at, and what is read there."""

from dataclasses import dataclass
import enum
from functools import cached_property
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TopicValue:
    """The messages of a topic, or a field of them; the newest ones, sampled."""

    topic: str
    """Fully qualified: `/battery`."""
    field: str | None = None
    """The path of a field, `cells[0].temperature`; None: that messages come is what counts."""
    type_name: str | None = None
    """`sensor_msgs/msg/BatteryState`; None: as the graph says."""
    every: bool = False
    """Whether each message is read, whatever that costs."""

    @cached_property
    def _hash(self) -> int:
        return hash((self.topic, self.field, self.type_name, self.every))

    def __hash__(self) -> int:
        # Kept: it is looked up by each condition with each message.
        return self._hash

    @property
    def text(self) -> str:
        """For a person: `/battery cells[0].temperature`."""
        return self.topic if self.field is None else f'{self.topic} {self.field}'


class GraphKind(enum.Enum):
    """What of the graph can be there or not."""

    NODE = 'node'
    """A node, named fully or by a glob."""
    TOPIC = 'topic'
    """A topic that somebody publishes."""
    SERVICE = 'service'
    """A service that somebody offers."""


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Whether something is in the graph: True or False."""

    kind: GraphKind
    name: str

    @property
    def text(self) -> str:
        """For a person: `node /lidar`."""
        return f'{self.kind.value} {self.name}'


@dataclass(frozen=True, kw_only=True)
class PublisherCount:
    """How many publishers a topic has."""

    topic: str

    @property
    def text(self) -> str:
        """For a person: `publishers of /scan`."""
        return f'publishers of {self.topic}'


@dataclass(frozen=True, kw_only=True)
class LifecycleState:
    """The state of a lifecycle node, by its label: `active`."""

    node: str
    """Fully qualified."""

    @property
    def text(self) -> str:
        """For a person: `state of /camera`."""
        return f'state of {self.node}'


@dataclass(frozen=True, kw_only=True)
class ParameterValue:
    """The value of a node's parameter."""

    node: str
    """Fully qualified."""
    name: str

    @property
    def text(self) -> str:
        """For a person: `parameter max_speed of /base`."""
        return f'parameter {self.name} of {self.node}'


@dataclass(frozen=True, kw_only=True)
class DiagnosticLevel:
    """The worst status in `/diagnostics` whose name matches a glob: `{name, level, message}`,
    the level as its number; None where no status has such a name."""

    name: str

    @property
    def text(self) -> str:
        """For a person: `diagnostics motor*`."""
        return f'diagnostics {self.name}'


RobotSource = (
    TopicValue | Presence | PublisherCount | LifecycleState | ParameterValue | DiagnosticLevel
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What was read of a source."""

    at: float
    """When it was received, in seconds of the monotonic clock."""
    value: Any = None
    """A JSON value."""
    messages: int = 1
    """Of a topic: how many came since the reading before."""
    fault: str = ''
    """Why there is no value, for a person, with the name of what is missing; empty where there is
    one."""
    unpublished: bool = False
    """Of a topic: whether the fault is that nobody publishes it, so that none of its messages is
    missed."""
    stays: bool = False
    """Whether it is the value for as long as there is no other: its publishers keep it for those
    who come later (transient local)."""
