# SPDX-License-Identifier: Apache-2.0
"""Watches that a supervisor does not hang, as in the kernel on a mount that does not answer.

It keeps no time limit then, and hears nothing. What it leaves is ended as that of any lost
supervisor, once it has been killed; one that even SIGKILL does not end (uninterruptible sleep) is
given up, so that it holds nobody up.
"""

import asyncio
from collections.abc import Callable
import contextlib
import fcntl
import logging
import signal
import socket
import struct
import termios

from gateway_node.child.killing import KILL_PATIENCE_SEC

_log = logging.getLogger(__name__)

_HUNG_SEC = 20.0
"""Beyond all that a supervisor may take to end a tree, on the busiest machine."""
_DEAF_SEC = 10.0
"""In which a supervisor reads that the end is wanted."""
_GIVE_UP_SEC = 5.0
"""After which a supervisor that SIGKILL does not end is given up."""


class Watchdog:
    """Of one supervisor; `stop` before its pidfd or its channel is closed."""

    def __init__(
        self,
        execution_id: str,
        pidfd: int,
        channel: socket.socket,
        on_given_up: Callable[[], None],
    ) -> None:
        self._execution_id = execution_id
        self._pidfd = pidfd
        self._channel = channel
        self._on_given_up = on_given_up
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.TimerHandle | None = None
        self._hearing: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.TimerHandle | None = None

    def expect_end(self, within_sec: float) -> None:
        """Kill the supervisor, should it not be gone a good while after `within_sec` from now."""
        if self._end is not None:
            self._end.cancel()
        self._end = self._loop.call_later(
            within_sec + KILL_PATIENCE_SEC + _HUNG_SEC, self._kill, 'does not end'
        )

    def expect_heard(self) -> None:
        """Kill the supervisor, should it not read what was sent; once a moment is enough."""
        if self._hearing is None:
            self._hearing = self._loop.call_later(_DEAF_SEC, self._check_heard)

    def expect_nothing_heard(self) -> None:
        """Take note that the supervisor has told its end, and reads no more."""
        if self._hearing is not None:
            self._hearing.cancel()

    def stop(self) -> None:
        """Watch no longer."""
        for timer in (self._end, self._hearing, self._giving_up):
            if timer is not None:
                timer.cancel()

    def _check_heard(self) -> None:
        self._hearing = None
        if _unread(self._channel):
            self._kill('hears nothing')

    def _kill(self, why: str) -> None:
        _log.error('a supervisor %s and is killed: execution %s', why, self._execution_id)
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if self._giving_up is None:
            self._giving_up = self._loop.call_later(_GIVE_UP_SEC, self._give_up)

    def _give_up(self) -> None:
        _log.error(
            'SIGKILL does not end a supervisor, it is given up: execution %s', self._execution_id
        )
        self._on_given_up()


def _unread(channel: socket.socket) -> int:
    """Return the memory that what the peer has not read takes (man 7 unix, SIOCOUTQ)."""
    held = fcntl.ioctl(channel, termios.TIOCOUTQ, bytes(struct.calcsize('i')))
    (size,) = struct.unpack('i', held)
    return int(size)
