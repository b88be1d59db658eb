# SPDX-License-Identifier: Apache-2.0
"""What a script could have changed of its supervisor, which the next one would inherit.

A process of the same user can set another's limits and priorities, move it into a cgroup and
write files of its /proc folder. Umask, signals, session and name only a process itself can set,
and a supervisor sets none between two scripts.
"""

import ctypes
import os
from typing import Any

_FILES = ('limits', 'oom_score_adj', 'cgroup', 'coredump_filter', 'timerslack_ns', 'autogroup')
"""Of /proc/self (man 5 proc); each is there only where the kernel has what it tells."""
_MAX_BYTES = 4096
_IOPRIO_GET = {'x86_64': 252, 'aarch64': 31, 'riscv64': 31}.get(os.uname().machine)
"""The number of a call that the C library has no function for (man 2 ioprio_get)."""
_IOPRIO_WHO_PROCESS = 1

_libc = ctypes.CDLL(None)


class OwnState:
    """This process as it was when this was made."""

    def __init__(self) -> None:
        # Held open: that makes a look at one a single call.
        self._files = [found for name in _FILES if (found := _open(name)) is not None]
        self._at_first = self._look()

    @property
    def unchanged(self) -> bool:
        """True where it still is as it was."""
        return self._look() == self._at_first

    def _look(self) -> tuple[Any, ...]:
        return (
            *(os.pread(file, _MAX_BYTES, 0) for file in self._files),
            os.getpriority(os.PRIO_PROCESS, 0),
            os.sched_getscheduler(0),
            os.sched_getparam(0).sched_priority,
            os.sched_getaffinity(0),
            None if _IOPRIO_GET is None else _libc.syscall(_IOPRIO_GET, _IOPRIO_WHO_PROCESS, 0),
            os.getcwd(),
            _next_descriptor(),
        )


def _next_descriptor() -> int:
    """Return the lowest number that is free: higher than before where one was not closed."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def _open(name: str) -> int | None:
    try:
        return os.open(f'/proc/self/{name}', os.O_RDONLY)
    except OSError:
        return None
