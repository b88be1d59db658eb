# SPDX-License-Identifier: Apache-2.0
"""Terminals for tests: a real one, whose keys and whose end reach the processes in it."""

from collections.abc import Iterator
import contextlib
import os
import sys

from ros_support import PROGRAMS


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, list[str]]]:
    """Give a terminal's other end, which hangs it up once closed, and a parent that runs in it."""
    ours, theirs = os.openpty()
    parent = [sys.executable, str(PROGRAMS / 'takes_terminal.py'), os.ttyname(theirs)]
    try:
        yield ours, parent
    finally:
        os.close(theirs)
        with contextlib.suppress(OSError):
            os.close(ours)


def press_ctrl_c(other_end: int) -> None:
    """Have the terminal signal the processes in its foreground (man 3 termios, VINTR)."""
    os.write(other_end, b'\x03')
