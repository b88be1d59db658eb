# SPDX-License-Identifier: Apache-2.0
"""Who may look into this process: into its memory, its environment and what it has open.

Any process of the same user may, and take it over as a debugger does, unless it is not dumpable
(man 2 PR_SET_DUMPABLE, man 2 ptrace). Forks inherit that, an exec takes it back. Standard library
only: both sides of the fork use it.
"""

from collections.abc import Iterator
import contextlib
import ctypes
import os

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4

_libc = ctypes.CDLL(None, use_errno=True)


def forbid() -> None:
    """Let nobody look but root. Its own files of /proc can then be written by root alone."""
    _set_dumpable(dumpable=False)


def allow() -> None:
    """Let processes of the same user look."""
    _set_dumpable(dumpable=True)


@contextlib.contextmanager
def allowed() -> Iterator[None]:
    """Let processes of the same user look for that moment."""
    dumpable = _libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1
    allow()
    try:
        yield
    finally:
        _set_dumpable(dumpable=dumpable)


def forbid_unless_hidden(mounts: str = '/proc/self/mountinfo') -> None:
    """Let nobody look but root, unless this process would be invisible then to its own user.

    So it would be where /proc is mounted with hidepid (man 5 proc), and whoever started it could
    neither watch nor find it.
    """
    if not _hides_processes(mounts):
        forbid()


def _hides_processes(mounts: str) -> bool:
    try:
        with open(mounts) as file:
            lines = [line.split() for line in file]
    except OSError:
        return False
    options = [fields[-1].split(',') for fields in lines if fields[4:5] == ['/proc']]
    return bool(options) and any(
        each.startswith('hidepid=') and each not in ('hidepid=0', 'hidepid=off')
        for each in options[-1]
    )


def _set_dumpable(*, dumpable: bool) -> None:
    if _libc.prctl(_PR_SET_DUMPABLE, int(dumpable), 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
