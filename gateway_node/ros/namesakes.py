# SPDX-License-Identifier: Apache-2.0
"""Warns where another node of the graph bears the gateway's own full name.

ROS does not forbid it: parameters, services and topics of the two mix. Knows nothing of rclpy;
belongs to the event loop.
"""

import asyncio
import logging

from gateway_node.entities.values import NodeName

_log = logging.getLogger(__name__)

PATIENCE_SEC = 60.0
"""An earlier gateway that was killed stays in the graph until its lease ends: 20 s in Fast DDS."""


class Namesakes:
    """Hears how many there are, and has a warning where they stay."""

    def __init__(self, own_node: NodeName, patience_sec: float = PATIENCE_SEC) -> None:
        self._name = own_node.fully_qualified_name
        self._patience_sec = patience_sec
        self._timer: asyncio.TimerHandle | None = None
        self.warnings: tuple[str, ...] = ()
        """A sentence while there are others."""

    def note(self, count: int) -> None:
        """Take how many other nodes of that name the graph holds now."""
        if count and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._patience_sec, self._warn)
        elif not count and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.warnings = ()

    def _warn(self) -> None:
        self.warnings = (
            f'another node of this ROS domain is called {self._name} too: parameters, services '
            'and topics of the two mix; give one of them another name or namespace, as with '
            '--ros-args -r __ns:=/robot7, or another ROS_DOMAIN_ID',
        )
        _log.warning('%s', self.warnings[0])
