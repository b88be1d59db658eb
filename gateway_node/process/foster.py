"""What the gateway does for processes whose spawner died: it is the next subreaper up.

Supervisors that lost their spawner go on and are the gateway's children then. What a lost
supervisor leaves after that is killed and reaped here: everything below the gateway that it did
not start itself and that is no stranger's, whatever it has done to its session, its environment,
its pipes and its out-of-memory adjustment.
"""

import asyncio
import os
import time

from gateway_node.child.killing import KILL_PATIENCE_SEC, Killing, note_of_supervisor
from gateway_node.child.process_tree import descendants, ProcessEntry
from gateway_node.process.own_processes import OwnProcesses, reap
from gateway_node.process.spawner_connection import TreeGone

_POLL_SEC = 0.01


async def end_below(supervisor: ProcessEntry) -> TreeGone:
    """Kill all that is below a supervisor that hangs; name what lives on, itself first."""
    killing = Killing()
    deadline = time.monotonic() + KILL_PATIENCE_SEC
    while True:
        tree = descendants(supervisor.pid)
        if not killing.round(tree) or time.monotonic() > deadline:
            left = [entry for entry in tree if not entry.is_zombie]
            return TreeGone(
                killed=len(killing.killed),
                unkillable=(note_of_supervisor(supervisor), *killing.notes(left)),
            )
        await asyncio.sleep(_POLL_SEC)


async def end_orphans(own: OwnProcesses) -> TreeGone:
    """Kill and reap all orphans that became children of this process, and what is below them.

    What cannot be ended is left alone from then on.
    """
    killing = Killing()
    # Whatever is forked meanwhile.
    deadline = time.monotonic() + KILL_PATIENCE_SEC
    while True:
        orphans = await own.orphans()
        pending = killing.round(orphans)
        if not pending or time.monotonic() > deadline:
            left = [entry for entry in orphans if not entry.is_zombie]
            own.leave_alone(left)
            return TreeGone(killed=len(killing.killed), unkillable=tuple(killing.notes(left)))
        for entry in orphans:
            if entry.is_zombie and entry.parent == os.getpid():
                reap(entry.pid)
        await asyncio.sleep(_POLL_SEC)
