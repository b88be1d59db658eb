# SPDX-License-Identifier: Apache-2.0
"""The lock on a state directory: one gateway at a time."""

import contextlib
import fcntl
import json
import os
from pathlib import Path
import time

from gateway_node.clock import Clock
from gateway_node.executions.errors import StoreUnavailable
from gateway_node.storage.errors import StateDirectoryInUse

FILE_NAME = 'gateway.lock'

_WAIT_SEC = 5.0
"""How long a holder that is just dying is waited for."""
_ATTEMPT_SEC = 0.05


class StateDirectoryLock:
    """A state directory that this process holds until it releases it or dies.

    The kernel's lock is what counts (flock(2)); the file's content only tells who holds it. It
    belongs to the open file, which no exec'd child inherits; a child forked without an exec
    would hold it too.
    """

    def __init__(self, fd: int) -> None:
        """Take a descriptor that holds the lock; `acquire` makes one."""
        self._fd = fd

    @classmethod
    def acquire(
        cls, state_dir: Path, clock: Clock, *, wait_sec: float = _WAIT_SEC
    ) -> 'StateDirectoryLock':
        """Hold `state_dir`, making it where it is missing; blocks for up to `wait_sec`.

        Raises:
            StateDirectoryInUse: somebody else still holds it.
            StoreUnavailable: the directory cannot be used; the message says why.
        """
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = state_dir / FILE_NAME
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f'cannot use the state_dir {state_dir}: {error}') from error
        try:
            if not _locked(fd, wait_sec):
                raise StateDirectoryInUse(state_dir, *_holder(fd))
        except OSError as error:
            os.close(fd)
            raise StoreUnavailable(f'cannot lock the state_dir {state_dir}: {error}') from error
        except BaseException:
            os.close(fd)
            raise
        _sign(fd, clock)
        return cls(fd)

    def release(self) -> None:
        """Let the next one have it; releasing again is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _locked(fd: int, wait_sec: float) -> bool:
    deadline = time.monotonic() + wait_sec
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_ATTEMPT_SEC)


def _sign(fd: int, clock: Clock) -> None:
    holder = {'pid': os.getpid(), 'started_at': clock.now().isoformat(timespec='seconds')}
    # On a full disk the lock holds as well as ever; it only cannot tell whose it is.
    with contextlib.suppress(OSError):
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps(holder).encode(), 0)


def _holder(fd: int) -> tuple[int | None, str | None]:
    """Return the pid and start time that the holder wrote; Nones where it did not yet."""
    try:
        holder = json.loads(os.pread(fd, 4096, 0))
        return int(holder['pid']), str(holder['started_at'])
    except (ValueError, KeyError, TypeError):
        return None, None
