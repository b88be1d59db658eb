# SPDX-License-Identifier: Apache-2.0
"""What all conditions have in common, and what levels and moments do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway_node.conditions.sources import RobotSource
from gateway_node.conditions.value_tests import number_text


@dataclass(frozen=True, kw_only=True)
class ConditionBase:
    """What can be asked of every condition."""

    document: Mapping[str, Any] = field(repr=False)
    """The JSON as it was given."""

    @property
    def said(self) -> str:
        """The condition in a line, without how long it has to hold."""
        raise NotImplementedError

    @property
    def text(self) -> str:
        """The condition in a line, for a person: `/battery voltage below 10 for 5 s`."""
        return self.said

    @property
    def sources(self) -> tuple[RobotSource, ...]:
        """What of the robot it looks at."""
        return ()

    @property
    def moments(self) -> tuple['FromOutside', ...]:
        """Which moments it has to be told of."""
        return ()

    @property
    def settles_sec(self) -> float:
        """How long one has to look before it can be known whether it is true."""
        return 0.0

    @property
    def is_moment(self) -> bool:
        """Whether it can be true in an instant only."""
        return False


@dataclass(frozen=True, kw_only=True)
class LevelBase(ConditionBase):
    """A condition that is true for some time."""

    for_sec: float = 0.0
    """How long it has to hold before it is true."""

    @property
    def text(self) -> str:
        """As it says, and for how long."""
        held = f' for {number_text(self.for_sec)} s' if self.for_sec else ''
        return f'{self.said}{held}'

    @property
    def settles_sec(self) -> float:
        """What it takes to judge it once, and then as long as it has to hold."""
        return self._judged_in_sec + self.for_sec

    @property
    def _judged_in_sec(self) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class MomentBase(ConditionBase):
    """A condition that is true in an instant."""

    @property
    def is_moment(self) -> bool:
        """It is."""
        return True


@dataclass(frozen=True, kw_only=True)
class FromOutside(MomentBase):
    """A moment that an evaluation cannot see for itself."""

    @property
    def moments(self) -> tuple['FromOutside', ...]:
        """It has to be told of itself."""
        return (self,)
