"""Nodes of this machine that Fast DDS's shared memory hides from the gateway.

Where two participants are on one machine, each takes the other's shared memory for the way to it
if it can write there. Root can write everywhere, others not to root's: neither hears of the other.
Participants of two users that are both not root fall back to UDP. Knows nothing of rclpy.
"""

from collections.abc import Callable
import contextlib
import os
from pathlib import Path
import pwd
import re

MOMENT_SEC = 5.0
"""What discovery may take before an empty graph means anything; and how long a look is valid."""
_SHARED_MEMORY = Path('/dev/shm')
_PORT = re.compile(r'fast(?:dds|rtps)_port(\d{1,5})')
"""The queue of a participant; `fastrtps` before Fast DDS 3."""
_FIRST_PORT, _PORTS_OF_DOMAIN = 7400, 250
"""Where the ports of domain 0 begin, and those of the next one (DDSI-RTPS 2.5, 9.6.2)."""
_ROOT = 0


class UnseenNodes:
    """Watches whether there are such nodes while no node is seen; looks when it is asked."""

    def __init__(
        self,
        *,
        rmw: str,
        domain_id: int,
        user_id: int,
        monotonic: Callable[[], float],
        folder: Path = _SHARED_MEMORY,
    ) -> None:
        first = _FIRST_PORT + _PORTS_OF_DOMAIN * domain_id
        self._ports = range(first, first + _PORTS_OF_DOMAIN)
        self._is_fast_dds = rmw.startswith('rmw_fastrtps')
        self._user_id = user_id
        self._monotonic = monotonic
        self._folder = folder
        self._look_at = monotonic() + MOMENT_SEC
        self._warnings: tuple[str, ...] = ()

    def warnings(self, *, alone: bool) -> tuple[str, ...]:
        """Return a sentence where nodes are hidden; `alone` where the graph holds no other node.

        There is none in the first `MOMENT_SEC`, and it may be as old as that.
        """
        if not alone or not self._is_fast_dds:
            return ()
        if self._monotonic() >= self._look_at:
            self._look_at = self._monotonic() + MOMENT_SEC
            self._warnings = self._look()
        return self._warnings

    def _look(self) -> tuple[str, ...]:
        hidden = {each for each in self._users() if _ROOT in (each, self._user_id)}
        hidden.discard(self._user_id)
        if not hidden:
            return ()
        others = ', '.join(sorted(map(_user_name, hidden)))
        return (
            f'no node is seen, though Fast DDS is used by {others} in this domain: its shared '
            f'memory hides root and other users from each other. Run all as one user, not '
            f'{_user_name(self._user_id)} and {others}; or the gateway with '
            'FASTDDS_BUILTIN_TRANSPORTS=UDPv4, which has no effect where '
            'ROS_AUTOMATIC_DISCOVERY_RANGE is LOCALHOST',
        )

    def _users(self) -> set[int]:
        """Return the ids of the users who have participants in the gateway's domain."""
        users = set()
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                port = _PORT.fullmatch(entry.name)
                if port is not None and int(port[1]) in self._ports:
                    with contextlib.suppress(FileNotFoundError):
                        users.add(entry.stat(follow_symlinks=False).st_uid)
        return users


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f'user {user_id}'
