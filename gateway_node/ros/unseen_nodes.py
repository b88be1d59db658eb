# SPDX-License-Identifier: Apache-2.0
"""Nodes of this machine that Fast DDS's shared memory hides from the gateway.

Where two participants on one machine have it, each takes it for the way to the other, although
users cannot write into each other's. Since Fast DDS 3 (Kilted) only root and another user are
kept apart, as root can write, and the other cannot answer. Knows nothing of rclpy.
"""

import asyncio
from collections.abc import Callable, Iterable
import contextlib
import logging
import os
from pathlib import Path
import re
from typing import NamedTuple

_log = logging.getLogger(__name__)

MOMENT_SEC = 5.0
"""What discovery may take before an empty graph means anything; and how long a look is valid."""
_SHARED_MEMORY = Path('/dev/shm')
_QUEUE = re.compile(r'(fastdds|fastrtps)_port(\d{1,5})')
_BEFORE_3 = 'fastrtps'
_FIRST_PORT, _PORTS_OF_DOMAIN = 7400, 250
"""Where the ports of domain 0 begin, and those of the next one (DDSI-RTPS 2.5, 9.6.2)."""
_ROOT = 0


class Queue(NamedTuple):
    """What a participant receives by, as a file in shared memory."""

    name: str
    user_id: int


def queues(folder: Path = _SHARED_MEMORY) -> tuple[Queue, ...]:
    """Return all queues of Fast DDS on this machine, those of killed participants included."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _QUEUE.fullmatch(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append(Queue(entry.name, status.st_uid))
    return tuple(found)


class UnseenNodes:
    """Tells whether there are such nodes while no node is seen; looks when it is asked.

    What it finds is logged when it is new.
    """

    def __init__(
        self,
        *,
        rmw: str,
        domain_id: int,
        user_id: int,
        monotonic: Callable[[], float],
        look: Callable[[], Iterable[Queue]] = queues,
        moment_sec: float = MOMENT_SEC,
    ) -> None:
        first = _FIRST_PORT + _PORTS_OF_DOMAIN * domain_id
        self._ports = range(first, first + _PORTS_OF_DOMAIN)
        self._is_fast_dds = rmw.startswith('rmw_fastrtps')
        self._user_id = user_id
        self._monotonic = monotonic
        self._look = look
        self._moment_sec = moment_sec
        self._look_at = monotonic() + moment_sec
        self._warnings: tuple[str, ...] = ()

    def warnings(self, *, alone: bool) -> tuple[str, ...]:
        """Return a sentence where nodes are hidden; `alone` where the graph holds no other node.

        There is none in the first moment, and it may be as old as that.
        """
        if not alone or not self._is_fast_dds:
            return ()
        if self._monotonic() >= self._look_at:
            self._look_at = self._monotonic() + self._moment_sec
            earlier, self._warnings = self._warnings, self._warnings_now()
            for warning in self._warnings:
                if warning not in earlier:
                    _log.warning('%s', warning)
        return self._warnings

    async def keep_looking(self, is_alone: Callable[[], bool]) -> None:
        """Look each moment, whoever asks, until this is cancelled."""
        while True:
            await asyncio.sleep(self._moment_sec)
            self.warnings(alone=is_alone())

    def _warnings_now(self) -> tuple[str, ...]:
        seen = [queue for queue in self._look() if self._is_in_domain(queue)]
        if all(queue.user_id != self._user_id for queue in seen):
            # The gateway itself does without shared memory.
            return ()
        hidden = {queue.user_id for queue in seen if self._is_hidden(queue)}
        if not hidden:
            return ()
        own, others = _name(self._user_id), ', '.join(sorted(map(_name, hidden)))
        return (
            f'no node is seen, though {others} has some in this domain: the shared memory of Fast '
            f'DDS hides them from {own}. Run the gateway and the nodes as one user, or the '
            'gateway with FASTDDS_BUILTIN_TRANSPORTS=UDPv4, which has no effect where '
            'ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST',
        )

    def _is_in_domain(self, queue: Queue) -> bool:
        found = _QUEUE.fullmatch(queue.name)
        return found is not None and int(found[2]) in self._ports

    def _is_hidden(self, queue: Queue) -> bool:
        if queue.user_id == self._user_id:
            return False
        return queue.name.startswith(_BEFORE_3) or _ROOT in (queue.user_id, self._user_id)


def _name(user_id: int) -> str:
    # Another name may be a directory service's to tell, which can hang.
    return 'root' if user_id == _ROOT else f'user {user_id}'
