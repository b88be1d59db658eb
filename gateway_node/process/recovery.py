# SPDX-License-Identifier: Apache-2.0
"""Ends what an earlier gateway left running: finds it by the journal, kills it, never adopts it.

A supervisor whose gateway is gone ends its tree by itself, and the earlier spawner ends the trees
of lost supervisors; both are waited for. What is left after that is found by the mark in its
environment, by its session, or by its cgroup, and killed.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
import logging
import os
from pathlib import Path
import signal
import time

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.contract import (
    EXECUTION_ID_VARIABLE,
    OOM_SCORE_ADJUSTMENT,
    SPARE_NAME,
    SPAWNER_NAME,
    SUPERVISOR_NAME,
)
from gateway_node.child.killing import Killing, note_of_supervisor
from gateway_node.child.messages import ArtifactBounds, ProcessNote
from gateway_node.child.process_tree import (
    all_entries,
    descendants,
    Identity,
    ProcessEntry,
    read_entry,
    read_proc,
    signal_all,
)
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.process.clearing_away import clear_away
from gateway_node.process.journal import Journal, JournalEntry
from gateway_node.process.outcomes import outcome_of_directory
from gateway_node.removal import remove_tree

_log = logging.getLogger(__name__)

_SUPERVISOR_NAMES = (SUPERVISOR_NAME, SPARE_NAME)
_PATIENCE_SEC = 5.0
"""For supervisors and spawners of the earlier gateway, which end by themselves."""
_KILL_PATIENCE_SEC = 5.0
_POLL_SEC = 0.01
_GATEWAY_LOST = Outcome(
    cause=EndCause.GATEWAY_LOST, message='the gateway died while the script ran'
)


class Recovery:
    """One pass over the journal of an earlier gateway."""

    def __init__(
        self,
        journal: Journal,
        executions_folder: Path,
        earlier_folders: Iterable[Path],
        strangers: AbstractSet[Identity],
        *,
        keep_working_directories: bool,
        artifact_bounds: ArtifactBounds,
    ) -> None:
        self._journal = journal
        self._folder = executions_folder
        self._earlier_folders = tuple(earlier_folders)
        """Those of an earlier gateway's supervisors."""
        self._strangers = strangers
        self._keep_working_directories = keep_working_directories
        self._artifact_bounds = artifact_bounds

    async def conclude(self) -> Mapping[str, Outcome]:
        """End what lives of the journal's earlier executions; return how each ended.

        The entries stay in the journal until somebody has recorded the ends.
        """
        entries = self._journal.take_earlier()
        current = [e for e in entries.values() if e.boot_id == self._journal.boot_id]
        await self._await_helpers(current)
        left = await self._sweep(current)
        for entry in current:
            mark = entry.supervisor
            for supervisor in _living({mark: _SUPERVISOR_NAMES} if mark else {}):
                # It hangs in the kernel.
                left.setdefault(entry.execution_id, []).insert(0, note_of_supervisor(supervisor))
        outcomes = {}
        for execution_id, entry in entries.items():
            outcomes[execution_id] = await asyncio.to_thread(
                self._conclude, entry, left.get(execution_id, ())
            )
        for folder in self._earlier_folders:
            await asyncio.to_thread(remove_tree, folder)
        return outcomes

    def _conclude(self, entry: JournalEntry, left: Sequence[ProcessNote]) -> Outcome:
        directory, keep = self._folder / entry.execution_id, self._keep_working_directories
        artifacts = clear_away(
            directory,
            entry.supervisor_folder,
            _leaf(entry),
            keep_working_directory=keep,
            artifact_bounds=self._artifact_bounds,
        )
        return outcome_of_directory(
            directory, _GATEWAY_LOST, left, artifacts=artifacts, keep_working_directory=keep
        )

    async def _await_helpers(self, entries: Iterable[JournalEntry]) -> None:
        """Wait for supervisors and spawners to end their trees; end them past the patience."""
        marks: dict[Identity, Container[str]] = {
            entry.supervisor: _SUPERVISOR_NAMES for entry in entries if entry.supervisor
        }
        marks |= dict.fromkeys(self._journal.earlier_spawners, (SPAWNER_NAME,))
        waiting = _living(marks)
        signal_all(waiting, signal.SIGCONT)
        deadline = time.monotonic() + _PATIENCE_SEC
        while waiting and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SEC)
            waiting = _living(marks)
        for helper in waiting:
            _log.warning('%s of an earlier gateway is killed: pid %d', helper.name, helper.pid)
            signal_all([*descendants(helper.pid), helper], signal.SIGKILL)

    async def _sweep(self, entries: list[JournalEntry]) -> dict[str, list[ProcessNote]]:
        """Kill what is left of the executions, wherever it hangs in the tree; return what lives
        on, by execution."""
        killing = Killing()
        deadline = time.monotonic() + _KILL_PATIENCE_SEC
        while entries:
            for leaf in filter(None, map(_leaf, entries)):
                leaf.kill()
            left = _leftovers(entries, self._strangers)
            pending = killing.round([each for each, _ in left])
            if not pending or time.monotonic() > deadline:
                by_execution: dict[str, list[ProcessNote]] = {}
                for each, execution_id in left:
                    by_execution.setdefault(execution_id, []).extend(killing.notes([each]))
                return by_execution
            await asyncio.sleep(_POLL_SEC)
        return {}


def _leaf(entry: JournalEntry) -> CgroupLeaf | None:
    return None if entry.cgroup is None else CgroupLeaf(entry.cgroup, entry.execution_id)


def _living(marks: Mapping[Identity, Container[str]]) -> list[ProcessEntry]:
    """Return those of the marked processes that live and have a name that they should have."""
    found = ((mark.find(), names) for mark, names in marks.items())
    return [e for e, names in found if e and e.name in names and not e.is_zombie]


def _leftovers(
    entries: Iterable[JournalEntry], strangers: Container[Identity]
) -> list[tuple[ProcessEntry, str]]:
    """Return what bears an execution's mark, or is of the session of its script, and whose it is.

    What a script started bears the marks of that script for good, and so does this process where
    a script started it: those say nothing then.
    """
    # Not from /proc, where this process's own is closed to its own user.
    own = {name + b'=' + value for name, value in os.environb.items()}
    marks = {f'{EXECUTION_ID_VARIABLE}={e.execution_id}'.encode(): e.execution_id for e in entries}
    marks = {mark: execution_id for mark, execution_id in marks.items() if mark not in own}
    sessions = {e.script.pid: e for e in entries if e.script is not None}
    found = []
    for entry in all_entries():
        if entry.pid == os.getpid() or entry.is_zombie:
            continue
        of_session = sessions.get(entry.session)
        if (
            of_session is not None
            and entry.identity not in strangers
            and _is_of_session(entry, of_session.script)
        ):
            found.append((entry, of_session.execution_id))
            continue
        borne = next((marks[v] for v in read_environment(entry.pid) if v in marks), None)
        if borne is not None:
            found.append((entry, borne))
    return found


def _is_of_session(entry: ProcessEntry, script: Identity | None) -> bool:
    if script is None or entry.start_ticks < script.start_ticks:
        return False
    leader = read_entry(entry.session)
    if leader is not None and leader.start_ticks != script.start_ticks:
        # The number was given to another session, as in a container that was started again.
        return False
    return has_script_adjustment(entry.pid)


def has_script_adjustment(pid: int) -> bool:
    """Return True where the process's out-of-memory adjustment is that of scripts, or more.

    More, since without privileges it can only be raised (man 5 proc_pid_oom_score_adj).
    """
    adjustment = read_proc(pid, 'oom_score_adj')
    return bool(adjustment) and int(adjustment) >= OOM_SCORE_ADJUSTMENT


def read_environment(pid: int) -> list[bytes]:
    """Return the variables with which a process's program began; empty where unreadable."""
    return read_proc(pid, 'environ').split(b'\0')
