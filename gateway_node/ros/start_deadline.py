# SPDX-License-Identifier: Apache-2.0
"""A deadline for the start that holds while the GIL is held.

A DDS library can hang while a node is created, and rclpy holds the GIL meanwhile: no Python timer,
thread or signal handler gets its turn. The watchdog is a thread of faulthandler's own, in C.
"""

from collections.abc import Iterator
import contextlib
import faulthandler


@contextlib.contextmanager
def start_deadline(seconds: float) -> Iterator[None]:
    """End the process with status 1 where the body takes longer than `seconds`.

    At the deadline the stacks of all threads go to stderr below a line `Timeout (0:00:30)!`; they
    name what hangs, as nothing of ours can then. The end is `man 2 _exit`: no clean-up is done.
    There is one such deadline in a process at a time.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
