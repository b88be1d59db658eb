# SPDX-License-Identifier: Apache-2.0
"""How long the machine let a thread wait for a processor: that is nobody's fault."""

from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path

OWN_THREAD = Path('/proc/thread-self')


def waited_sec(thread: Path) -> float:
    """Return how long a thread was ready to run and did not (man 5 proc), by its folder."""
    # Not every kernel counts, and a thread can have ended.
    with contextlib.suppress(OSError):
        return _seconds((thread / 'schedstat').read_bytes())
    return 0.0


@contextlib.contextmanager
def waiting_of_this_thread() -> Iterator[Callable[[], float]]:
    """Yield what tells the same of this thread, also where it can open nothing any more."""
    try:
        told = os.open(OWN_THREAD / 'schedstat', os.O_RDONLY)
    except OSError:
        yield lambda: 0.0
        return
    try:
        yield lambda: _seconds(os.pread(told, 100, 0))
    finally:
        os.close(told)


def _seconds(schedstat: bytes) -> float:
    return int(schedstat.split()[1]) / 1e9
