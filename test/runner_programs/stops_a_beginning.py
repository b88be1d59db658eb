# SPDX-License-Identifier: Apache-2.0
"""Stops what a supervisor makes, before it is a script, and ends; argv: the supervisor's pid.

What no exec has begun yet still has its maker's name.
"""

import os
from pathlib import Path
import signal
import sys

CHILDREN = f'/proc/{sys.argv[1]}/task/{sys.argv[1]}/children'


def stop(pid: int) -> None:
    """Stop a process; a signal that was sent may find it beyond its exec."""
    os.kill(pid, signal.SIGSTOP)
    while Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'T':
        pass


def stop_one() -> int | None:
    """Stop a child that is no script yet; return its pid."""
    for pid in map(int, Path(CHILDREN).read_text().split()):
        try:
            stop(pid)
            if Path(f'/proc/{pid}/comm').read_text() == 'gw-supervisor\n':
                return pid
            os.kill(pid, signal.SIGCONT)
        except OSError:
            continue
    return None


while stop_one() is None:
    pass
