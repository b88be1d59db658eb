# SPDX-License-Identifier: Apache-2.0
"""Process trees as /proc shows them, and signals that cannot reach a stranger.

A tree is found by its parents: below a subreaper nothing can leave it, neither by a new session
nor by a double fork (man 2 PR_SET_CHILD_SUBREAPER).
"""

from collections.abc import Container, Iterable
import contextlib
import ctypes
import os
import select
import signal
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36

KILL_INTERVAL_SEC = 0.01
"""Between two rounds of killing: what is killed may fork until it is dead."""

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: object) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f'prctl({option}): {os.strerror(error)}')


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def die_with_parent() -> None:
    """Have this process killed when the thread that forked it ends."""
    _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))


def set_name(name: str) -> None:
    """Set this process's name as `ps -o comm` shows it; at most 15 bytes."""
    _prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()))


class Identity(NamedTuple):
    """Names one process for good, within one boot; its pid alone is given away again."""

    pid: int
    start_ticks: int
    """Clock ticks from the boot to its start, as /proc/<pid>/stat says."""

    def find(self) -> 'ProcessEntry | None':
        """Return the process's entry; None where it is gone, or the pid is a stranger's by now."""
        entry = read_entry(self.pid)
        return entry if entry is not None and entry.identity == self else None

    @property
    def lives(self) -> bool:
        """True unless it has ended, be it waited for or not."""
        entry = self.find()
        return entry is not None and not entry.is_zombie


class ProcessEntry(NamedTuple):
    """A line of /proc/<pid>/stat (man 5 proc_pid_stat); times in clock ticks."""

    pid: int
    name: str
    state: str
    parent: int
    session: int
    cpu_ticks: int
    """User and system time of the process and of its children that were waited for."""
    waited_ticks: int
    """The part of it that its children used."""
    start_ticks: int
    threads: int
    resident_pages: int

    @property
    def identity(self) -> Identity:
        """What names this process and no later one with its pid."""
        return Identity(self.pid, self.start_ticks)

    @property
    def is_zombie(self) -> bool:
        """True for a process that has ended and was not waited for.

        One whose first thread alone has ended looks the same, but has others.
        """
        return self.state in 'ZXx' and self.threads < 2


def identify(pid: int) -> Identity | None:
    """Return what names the process that has the pid now, or None where there is none."""
    entry = read_entry(pid)
    return None if entry is None else entry.identity


def read_entry(pid: int) -> ProcessEntry | None:
    """Return the process's entry, or None where there is no such process."""
    try:
        fd = os.open(f'/proc/{pid}/stat', os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        line = os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)
    opening, closing = line.find(b'('), line.rfind(b')')
    if opening < 0 or closing < 0:
        return None
    fields = line[closing + 2 :].split()
    return ProcessEntry(
        pid=pid,
        name=line[opening + 1 : closing].decode(errors='replace'),
        state=fields[0].decode(),
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_ticks=sum(int(ticks) for ticks in fields[11:15]),
        waited_ticks=sum(int(ticks) for ticks in fields[13:15]),
        start_ticks=int(fields[19]),
        threads=int(fields[17]),
        resident_pages=int(fields[21]),
    )


def read_proc(pid: int, name: str, max_bytes: int = -1) -> bytes:
    """Return what /proc/<pid>/<name> says (man 5 proc); empty where that cannot be read."""
    try:
        with open(f'/proc/{pid}/{name}', 'rb') as file:
            return file.read(max_bytes)
    except OSError:
        return b''


def all_entries() -> list[ProcessEntry]:
    """Return every process that /proc shows."""
    pids = (int(name) for name in os.listdir('/proc') if name.isdecimal())
    return [entry for entry in map(read_entry, pids) if entry is not None]


_Children = dict[int, list[ProcessEntry]]


def _children_from_stat(*_: object) -> tuple[_Children, bool]:
    entries = all_entries()
    by_parent: _Children = {0: []}
    for entry in entries:
        by_parent.setdefault(entry.parent, []).append(entry)
    pids = {entry.pid for entry in entries}
    return by_parent, all(parent in pids for parent in by_parent if parent != 0)


def _children_from_lists(root: int, without: Container[int]) -> tuple[_Children, bool]:
    by_parent: _Children = {}
    consistent = True
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        listed = _listed_children(pid)
        if pid == root:
            listed = [child for child in listed if child not in without]
        found = [entry for entry in map(read_entry, listed) if entry is not None]
        # A pid that was given away since it was listed now names somebody else's child.
        entries = [entry for entry in found if entry.parent == pid]
        consistent = consistent and len(entries) == len(listed)
        consistent = consistent and (bool(listed) or os.path.exists(f'/proc/{pid}'))
        by_parent[pid] = entries
        waiting.extend(entry.pid for entry in entries)
    return by_parent, consistent


def _listed_children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        threads = os.listdir(f'/proc/{pid}/task')
    except OSError:
        return children
    for thread in threads:
        children.extend(map(int, read_proc(pid, f'task/{thread}/children').split()))
    return children


# A walk is no snapshot: where a parent ends meanwhile its children show below nobody. The walk is
# then repeated; not for ever, since on some machines other users' processes are never shown.
_WALKS = 5

# Kernels without CONFIG_PROC_CHILDREN have no list of children.
_children = (
    _children_from_lists
    if os.path.exists(f'/proc/self/task/{os.getpid()}/children')
    else _children_from_stat
)


def descendants(root: int, without: Container[int] = ()) -> list[ProcessEntry]:
    """Return all processes below `root`, parents before children, zombies included.

    Direct children of `root` in `without`, and what is below them, are left out.
    """
    for _ in range(_WALKS):
        by_parent, consistent = _children(root, without)
        if consistent:
            break
    found: list[ProcessEntry] = []
    level = [entry for entry in by_parent.get(root, ()) if entry.pid not in without]
    while level:
        found.extend(level)
        level = [child for entry in level for child in by_parent.get(entry.pid, ())]
    return found


class Sent(NamedTuple):
    """Who got a signal. What was gone is in neither list."""

    reached: list[ProcessEntry]
    refused: list[ProcessEntry]
    """Those that this user may not signal."""


def signal_process(entry: ProcessEntry, number: int) -> bool:
    """Send a signal to exactly the process that `entry` names; False where it is gone.

    The pidfd holds on to one process before its start time is compared, so that a pid that was
    given to a stranger meanwhile is never signalled.

    Raises:
        PermissionError: it lives and may not be signalled (EPERM).
    """
    try:
        pidfd = os.pidfd_open(entry.pid)
    except OSError:
        return False
    try:
        if entry.identity.find() is None:
            return False
        signal.pidfd_send_signal(pidfd, number)
    except PermissionError:
        raise
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def signal_all(entries: Iterable[ProcessEntry], number: int) -> Sent:
    """Send a signal to each that is no zombie."""
    sent = Sent([], [])
    for entry in entries:
        if entry.is_zombie:
            continue
        try:
            if signal_process(entry, number):
                sent.reached.append(entry)
        except PermissionError:
            sent.refused.append(entry)
    return sent


def continue_beginning(maker: Identity) -> None:
    """Continue what a process is making, where somebody has stopped that before its exec.

    Its maker waits for the exec in the kernel, deaf to all but SIGKILL (man 2 vfork).
    """
    entry = maker.find()
    if entry is not None and entry.state == 'D':
        stopped = [child for child in descendants(maker.pid) if child.state == 'T']
        signal_all(stopped, signal.SIGCONT)


def has_ended(pidfd: int) -> bool:
    """Tell whether a process has ended, be it reaped or not."""
    # No `select.select`: the descriptor's number may be above 1023.
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def continue_if_stopped(pidfd: int) -> None:
    """Continue a child of this process that somebody has stopped."""
    with contextlib.suppress(OSError):
        if os.waitid(os.P_PIDFD, pidfd, os.WSTOPPED | os.WNOHANG) is not None:
            signal.pidfd_send_signal(pidfd, signal.SIGCONT)
