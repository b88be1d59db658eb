# SPDX-License-Identifier: Apache-2.0
"""A witness that sees nothing, where there is no ROS."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway_node.evidence.errors import Unavailable
from gateway_node.evidence.values import Diagnostics, GraphPicture, LogLines

_WHY = 'nothing is seen of the robot: this gateway has no node'


class NoRobotWitness:
    """Fulfils the port `RobotWitness`."""

    def keep(self) -> Callable[[], None]:
        """Hold nothing."""
        return lambda: None

    def log_lines(self, begin: float, end: float) -> LogLines:
        """Know of none."""
        return LogLines(lines=())

    def diagnostics(self, begin: float, end: float) -> Diagnostics:
        """Know of none."""
        return Diagnostics(at_begin=(), changes=())

    async def graph(self) -> GraphPicture:
        """Raise Unavailable."""
        raise Unavailable(_WHY)

    async def parameters(self, node: str, patience_sec: float) -> Mapping[str, Any]:
        """Raise Unavailable."""
        raise Unavailable(_WHY)

    @property
    def bag_fault(self) -> str:
        """Why no bag can be recorded."""
        return _WHY
