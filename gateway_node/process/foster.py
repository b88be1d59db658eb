"""What the gateway does for processes whose spawner died: it is the next subreaper up.

Supervisors that lost their spawner go on and are the gateway's children then. What a lost
supervisor leaves after that is killed and reaped here: everything below the gateway that it did
not start itself and that is no stranger's, whatever it has done to its session, its environment,
its pipes and its out-of-memory adjustment.
"""

import asyncio
import os
import signal
import time

from gateway_node.child.process_tree import Identity, signal_all
from gateway_node.process.own_processes import OwnProcesses, reap
from gateway_node.process.spawner_connection import TreeGone

_PATIENCE_SEC = 10.0
_POLL_SEC = 0.01


async def end_orphans(own: OwnProcesses) -> TreeGone:
    """Kill and reap all orphans that became children of this process, and what is below them."""
    killed: set[Identity] = set()
    deadline = time.monotonic() + _PATIENCE_SEC
    while True:
        orphans = await own.orphans()
        living = [entry for entry in orphans if not entry.is_zombie]
        if not orphans or time.monotonic() > deadline:
            return TreeGone(
                killed=len(killed), unkillable_pids=tuple(entry.pid for entry in living)
            )
        killed.update(entry.identity for entry in signal_all(orphans, signal.SIGKILL))
        for entry in orphans:
            if entry.parent == os.getpid() and entry.is_zombie:
                reap(entry.pid)
        await asyncio.sleep(_POLL_SEC)
