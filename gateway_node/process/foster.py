"""What the gateway does for processes whose spawner died: it is the next subreaper up.

Supervisors that lost their spawner go on and are the gateway's children then. What a lost
supervisor leaves after that is killed and reaped here: every child of the gateway that is
neither spawner nor supervisor and that the gateway did not start itself, whatever it has done to
its session, its environment and its out-of-memory adjustment.
"""

import asyncio
from collections.abc import Callable, Container
import contextlib
import os
import signal
import time

from gateway_node.child.image import OOM_SCORE_ADJUSTMENT
from gateway_node.child.process_tree import descendants, ProcessEntry, signal_all
from gateway_node.process.spawner_connection import TreeGone

_PATIENCE_SEC = 10.0
_POLL_SEC = 0.01
_ZOMBIE_PATIENCE_SEC = 0.5
"""In which a child that the gateway started, and that has ended, is reaped by who started it."""
_STDOUT = 1

_Name = tuple[int, int]
"""Pid and start time: one process for good."""


def has_script_adjustment(pid: int) -> bool:
    """Return True where the process's out-of-memory adjustment is that of scripts, or more.

    More, since without privileges it can only be raised (man 5 proc_pid_oom_score_adj).
    """
    try:
        with open(f'/proc/{pid}/oom_score_adj') as adjustment:
            return int(adjustment.read()) >= OOM_SCORE_ADJUSTMENT
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
    """Kill and reap all orphans that became children of this process, and what is below them.

    `supervisors` returns the pids of children that are none.
    """
    killed: set[_Name] = set()
    zombies: dict[_Name, float] = {}
    deadline = time.monotonic() + _PATIENCE_SEC
    while True:
        orphans = _orphans(supervisors())
        living = [entry for entry in orphans if not entry.is_zombie]
        if not orphans or time.monotonic() > deadline:
            return TreeGone(
                killed=len(killed), unkillable_pids=tuple(entry.pid for entry in living)
            )
        killed.update(map(_name, signal_all(orphans, signal.SIGKILL)))
        now = time.monotonic()
        for entry in orphans:
            if entry.parent == os.getpid() and entry.is_zombie:
                ended = zombies.setdefault(_name(entry), now)
                if _name(entry) in killed or now - ended > _ZOMBIE_PATIENCE_SEC:
                    reap(entry.pid)
        await asyncio.sleep(_POLL_SEC)


def _name(entry: ProcessEntry) -> _Name:
    return entry.pid, entry.start_ticks


def _orphans(supervisors: Container[int]) -> list[ProcessEntry]:
    own = os.getpid()
    answering = _own_pipes()
    found: list[ProcessEntry] = []
    adopted: set[int] = set()
    for entry in descendants(own, without=supervisors):
        is_orphan = entry.parent == own and _stdout(entry.pid) not in answering
        if is_orphan or entry.parent in adopted:
            adopted.add(entry.pid)
            found.append(entry)
    return found


def _own_pipes() -> set[str]:
    """Return the pipes by which children that this process started answer it.

    A script has none of them: it and all its ancestors up to the spawner, which inherits
    nothing, got theirs elsewhere.
    """
    pipes = set()
    for descriptor in os.listdir('/proc/self/fd'):
        # Its own standard streams are anybody's.
        if int(descriptor) > 2:
            with contextlib.suppress(OSError):
                pipes.add(os.readlink(f'/proc/self/fd/{descriptor}'))
    return {pipe for pipe in pipes if pipe.startswith('pipe:')}


def _stdout(pid: int) -> str:
    try:
        return os.readlink(f'/proc/{pid}/fd/{_STDOUT}')
    except OSError:
        return ''


def reap(pid: int) -> None:
    """Take note of the end of a child, where it is one and has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
