# SPDX-License-Identifier: Apache-2.0
"""What a script could have changed of its supervisor, which the next one would inherit.

A process of the same user can set another's limits and priorities, move it into a cgroup and
write files of its /proc folder; a child can have its parent take over its session keyring.
Umask, signals, session and name only a process itself can set, and a supervisor sets none between
two scripts.
"""

from collections.abc import Callable
import ctypes
from functools import partial
import os
from typing import Any

_FILES = ('limits', 'oom_score_adj', 'cgroup', 'coredump_filter', 'timerslack_ns', 'autogroup')
"""Of /proc/self (man 5 proc); each is there only where the kernel has what it tells."""
_MAX_BYTES = 4096
_MACHINE = os.uname().machine
_IOPRIO_GET = {'x86_64': 252, 'aarch64': 31, 'riscv64': 31}.get(_MACHINE, -1)
"""The numbers of calls that the C library has no functions for (man 2 ioprio_get)."""
_SCHED_GETATTR = {'x86_64': 315, 'aarch64': 275, 'riscv64': 275}.get(_MACHINE, -1)
_KEYCTL = {'x86_64': 250, 'aarch64': 219, 'riscv64': 219}.get(_MACHINE, -1)
_IOPRIO_WHO_PROCESS = 1
_GET_KEYRING_ID, _SESSION_KEYRING = 0, -3
"""Of keyctl (man 2 KEYCTL_SESSION_TO_PARENT)."""
_ATTRIBUTES_BYTES = 56
"""Of policy, priorities and bounds on use of a processor (man 2 sched_getattr)."""

_libc = ctypes.CDLL(None)


class OwnState:
    """This process as it was when this was made."""

    def __init__(self) -> None:
        self._looks: list[Callable[[], Any]] = []
        """At one thing each. What does not show here, as in a container, nobody can look at."""
        self._at_first: list[Any] = []
        looks: list[Callable[[], Any]] = [
            # Held open: that makes a look at one a single call.
            *(partial(os.pread, file, _MAX_BYTES, 0) for file in map(_open, _FILES)),
            partial(os.getpriority, os.PRIO_PROCESS, 0),
            partial(os.sched_getscheduler, 0),
            lambda: os.sched_getparam(0).sched_priority,
            partial(os.sched_getaffinity, 0),
            partial(_libc.syscall, _IOPRIO_GET, _IOPRIO_WHO_PROCESS, 0),
            partial(_libc.syscall, _KEYCTL, _GET_KEYRING_ID, _SESSION_KEYRING, 0),
            _scheduling,
            os.getcwd,
            _next_descriptor,
        ]
        for look in looks:
            try:
                self._at_first.append(look())
            except OSError:
                continue
            self._looks.append(look)

    @property
    def unchanged(self) -> bool:
        """True where it still is as it was."""
        try:
            return [look() for look in self._looks] == self._at_first
        except OSError:
            return False


def _open(name: str) -> int:
    """Return a descriptor of the file, or one that cannot be read."""
    try:
        return os.open(f'/proc/self/{name}', os.O_RDONLY)
    except OSError:
        return -1


def _scheduling() -> bytes:
    """Return the attributes that the scheduler has of this process; zeros where it tells none."""
    attributes = ctypes.create_string_buffer(_ATTRIBUTES_BYTES)
    _libc.syscall(_SCHED_GETATTR, 0, attributes, _ATTRIBUTES_BYTES, 0)
    return attributes.raw


def _next_descriptor() -> int:
    """Return the lowest number that is free: higher than before where one was not closed."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor
