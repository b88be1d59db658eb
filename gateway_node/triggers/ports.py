# SPDX-License-Identifier: Apache-2.0
"""What triggers need from outside, as protocols that adapters fulfil.

`test/fakes/` has an in-memory fake of each.
"""

from collections.abc import Callable
from typing import Protocol

from gateway_node.conditions.sources import Reading, RobotSource


class RobotValues(Protocol):
    """What can be read of the robot."""

    def watch(self, source: RobotSource, tell: Callable[[Reading], None]) -> Callable[[], None]:
        """Have `tell` called on the event loop with what is read of a source, and with each newer
        reading; return what ends that.

        The first one comes as soon as something is known: a value, or a fault; never from within
        this call, and none once it is ended. However many watch the same, it is read once, and
        only while somebody watches. Belongs to the event loop; never raises.
        """
