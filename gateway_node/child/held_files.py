# SPDX-License-Identifier: Apache-2.0
"""Whatever lies under a name, held by a descriptor: so it stays the same while it is looked at.

Others can put something else there at any moment, or be at it still.
"""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import os
import signal

_HELD = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def held(name: str, folder: int | None = None) -> Iterator[int]:
    """Hold what is there, whatever it is: no link is followed, nothing is opened."""
    pin = os.open(name, _HELD, dir_fd=folder)
    try:
        yield pin
    finally:
        os.close(pin)


def path_of(descriptor: int) -> str:
    """Return a path to what a descriptor holds, wherever it is by now."""
    return f'/proc/self/fd/{descriptor}'


def mount_of(descriptor: int) -> str:
    """Return what tells the mount in which something lies from others, also from those that show
    the same file system elsewhere (man 5 proc_pid_fdinfo)."""
    with open(f'/proc/self/fdinfo/{descriptor}') as told:
        return next((line for line in told if line.startswith('mnt_id:')), '')


def is_being_written(reader: int) -> bool:
    """Tell whether somebody has a file open for writing, as far as its file system knows: there
    is no lease on it then (man 2 fcntl, F_SETLEASE)."""
    try:
        # Who opens it meanwhile has a signal sent here: one that is ignored.
        fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(reader, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
