# SPDX-License-Identifier: Apache-2.0
"""Kills processes until they are gone, and tells which of them have to be given up.

SIGKILL does not end what hangs in the kernel (uninterruptible sleep), and does not reach what is
of another user, as a program that sudo started (man 2 kill, EPERM).
"""

from collections.abc import Sequence
import os
import signal
import time

from gateway_node.child.messages import ProcessNote
from gateway_node.child.process_tree import (
    descendants,
    Identity,
    KILL_INTERVAL_SEC,
    ProcessEntry,
    read_proc,
    signal_all,
)

KILL_PATIENCE_SEC = 10.0
"""After which a process that SIGKILL does not end is given up."""
REFUSED_PATIENCE_SEC = 1.0
"""The same for one that may not be signalled: it can end by itself, as its kin are gone."""
MAX_NOTED = 64
_MAX_COMMAND = 200


class Killing:
    """Kills, round after round, whatever it is given."""

    def __init__(self) -> None:
        self.killed: set[Identity] = set()
        """All that were reached so far."""
        self._since: dict[Identity, float] = {}
        self._refused: set[Identity] = set()

    def round(self, entries: Sequence[ProcessEntry]) -> list[ProcessEntry]:
        """Kill once more; return what is still to end: what lives, and what to wait for here."""
        now = time.monotonic()
        living = [entry for entry in entries if not entry.is_zombie]
        sent = signal_all(living, signal.SIGKILL)
        self.killed.update(entry.identity for entry in sent.reached)
        self._refused = {entry.identity for entry in sent.refused}
        self._since = {e.identity: self._since.get(e.identity, now) for e in living}
        own_zombies = [e for e in entries if e.is_zombie and e.parent == os.getpid()]
        return own_zombies + [e for e in living if now - self.since(e) < self._patience_sec(e)]

    def since(self, entry: ProcessEntry) -> float:
        """Return the moment of the first round that had this process."""
        return self._since[entry.identity]

    def notes(self, entries: Sequence[ProcessEntry]) -> list[ProcessNote]:
        """Describe processes of the last round that are given up."""
        return [note_of(e, permitted=e.identity not in self._refused) for e in entries[:MAX_NOTED]]

    def _patience_sec(self, entry: ProcessEntry) -> float:
        refused = entry.identity in self._refused
        return REFUSED_PATIENCE_SEC if refused else KILL_PATIENCE_SEC


def end_all() -> list[ProcessNote]:
    """Kill and reap all that is below this process, a subreaper; describe what lives on."""
    killing = Killing()
    give_up_at = time.monotonic() + KILL_PATIENCE_SEC
    while True:
        tree = descendants(os.getpid())
        pending = killing.round(tree)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return []
        living = [entry for entry in tree if not entry.is_zombie]
        if (living and not pending) or time.monotonic() > give_up_at:
            return killing.notes(living)
        time.sleep(KILL_INTERVAL_SEC)


def note_of_supervisor(entry: ProcessEntry) -> ProcessNote:
    """Describe a supervisor that SIGKILL does not end; its command line is that of its spawner."""
    return ProcessNote(**{**note_of(entry, permitted=True), 'command': entry.name})


def note_of(entry: ProcessEntry, *, permitted: bool) -> ProcessNote:
    """Describe a process for whoever has to find it."""
    return ProcessNote(
        pid=entry.pid,
        start_ticks=entry.start_ticks,
        uid=_effective_user(entry.pid),
        command=_command(entry)[:_MAX_COMMAND],
        permitted=permitted,
    )


def _effective_user(pid: int) -> int | None:
    for line in read_proc(pid, 'status').splitlines():
        if line.startswith(b'Uid:'):
            return int(line.split()[2])
    return None


def _command(entry: ProcessEntry) -> str:
    """Return the command line, or the name in brackets where there is none (man 1 ps)."""
    line = read_proc(entry.pid, 'cmdline', 4 * _MAX_COMMAND)
    words = line.rstrip(b'\0').replace(b'\0', b' ').decode(errors='replace')
    return words or f'[{entry.name}]'
