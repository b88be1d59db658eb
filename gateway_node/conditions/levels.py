# SPDX-License-Identifier: Apache-2.0
"""The conditions on the robot that are true for some time."""

from dataclasses import dataclass

from gateway_node.conditions.condition_bases import LevelBase
from gateway_node.conditions.sources import RobotSource
from gateway_node.conditions.value_tests import number_text, RateTest, ValueTest

RATE_SPAN_SEC = 1.0
"""How far apart the two values are at least of which a rate is made, and how long messages are
counted at least."""
COUNTED_MESSAGES = 3.0
"""How many messages, at the rate that is the limit, the time holds in which they are counted."""


@dataclass(frozen=True, kw_only=True)
class _OfRobot(LevelBase):
    source: RobotSource

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """The one."""
        return (self.source,)


@dataclass(frozen=True, kw_only=True)
class ValueHolds(_OfRobot):
    """The value that was read last is as the test wants it."""

    test: ValueTest

    @property
    def said(self) -> str:
        """As `/battery voltage below 10`."""
        return f'{self.source.text} {self.test.text}'


@dataclass(frozen=True, kw_only=True)
class Present(_OfRobot):
    """Something is in the graph, or is not."""

    present: bool

    @property
    def said(self) -> str:
        """As `node /lidar is there`."""
        return f'{self.source.text} is {"" if self.present else "not "}there'


@dataclass(frozen=True, kw_only=True)
class FieldRate(_OfRobot):
    """How fast a value changes, in its unit per second: the newest value less the newest that is
    at least RATE_SPAN_SEC older, by the time between them."""

    test: RateTest

    @property
    def said(self) -> str:
        """As `/battery voltage: rate above 2 a second`."""
        return f'{self.source.text}: rate {self.test.text} a second'

    @property
    def _judged_in_sec(self) -> float:
        return RATE_SPAN_SEC


@dataclass(frozen=True, kw_only=True)
class MessageRate(_OfRobot):
    """How many messages a topic brings a second, counted over `window_sec`."""

    test: RateTest

    @property
    def said(self) -> str:
        """As `/scan: messages below 5 a second`."""
        return f'{self.source.text}: messages {self.test.text} a second'

    @property
    def window_sec(self) -> float:
        """A second, and longer where the limit is slow."""
        return max(RATE_SPAN_SEC, COUNTED_MESSAGES / self.test.limit)

    @property
    def _judged_in_sec(self) -> float:
        return self.window_sec


@dataclass(frozen=True, kw_only=True)
class Silence(_OfRobot):
    """No message came for so long, whether somebody publishes or not."""

    silent_sec: float

    @property
    def said(self) -> str:
        """As `/scan silent for 5 s`."""
        return f'{self.source.text} silent for {number_text(self.silent_sec)} s'

    @property
    def _judged_in_sec(self) -> float:
        return self.silent_sec
