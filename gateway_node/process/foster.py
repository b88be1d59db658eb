"""What the gateway does for processes whose spawner died: it is the next subreaper up.

Supervisors that lost their spawner go on and are the gateway's children then. What a lost
supervisor leaves after that is killed and reaped here. The gateway has other children, so an
orphan is known by what every process of a script inherits: the out-of-memory adjustment, or the
mark in its environment.
"""

import asyncio
from collections.abc import Callable, Container
import contextlib
import os
import signal
import time

from gateway_node.child.image import OOM_SCORE_ADJUSTMENT
from gateway_node.child.process_tree import descendants, ProcessEntry, signal_all
from gateway_node.process.spawner_client import TreeGone

_PATIENCE_SEC = 10.0
_POLL_SEC = 0.01
_MARK = b'GATEWAY_EXECUTION_ID='


def bears_mark(pid: int) -> bool:
    """Return True for a process of a script, however it cut its ties."""
    return has_script_adjustment(pid) or any(
        variable.startswith(_MARK) for variable in read_environment(pid)
    )


def has_script_adjustment(pid: int) -> bool:
    """Return True where the process's out-of-memory adjustment is that of scripts."""
    try:
        with open(f'/proc/{pid}/oom_score_adj') as adjustment:
            return int(adjustment.read()) == OOM_SCORE_ADJUSTMENT
    except (OSError, ValueError):
        return False


def read_environment(pid: int) -> list[bytes]:
    """Return the variables with which a process's program began; empty where unreadable."""
    try:
        with open(f'/proc/{pid}/environ', 'rb') as environment:
            return environment.read().split(b'\0')
    except OSError:
        return []


async def end_orphans(supervisors: Callable[[], Container[int]]) -> TreeGone:
    """Kill and reap all marked children of this process and what is below them.

    `supervisors` returns the pids of children that are none.
    """
    killed: set[tuple[int, int]] = set()
    deadline = time.monotonic() + _PATIENCE_SEC
    while True:
        orphans = _orphans(supervisors())
        living = [entry for entry in orphans if not entry.is_zombie]
        if not orphans or time.monotonic() > deadline:
            return TreeGone(
                killed=len(killed), unkillable_pids=tuple(entry.pid for entry in living)
            )
        reached = signal_all(orphans, signal.SIGKILL)
        killed.update((entry.pid, entry.start_ticks) for entry in reached)
        for entry in orphans:
            if entry.parent == os.getpid():
                _reap(entry.pid)
        await asyncio.sleep(_POLL_SEC)


def _orphans(supervisors: Container[int]) -> list[ProcessEntry]:
    own = os.getpid()
    found: list[ProcessEntry] = []
    adopted: set[int] = set()
    for entry in descendants(own, without=supervisors):
        is_orphan = entry.parent == own and bears_mark(entry.pid)
        if is_orphan or entry.parent in adopted:
            adopted.add(entry.pid)
            found.append(entry)
    return found


def _reap(pid: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
