# SPDX-License-Identifier: Apache-2.0
"""What the gateway does for processes whose spawner died: it is the next subreaper up.

Supervisors that lost their spawner go on and are the gateway's children then. What a lost
supervisor leaves after that is killed and reaped here: everything below the gateway that it did
not start itself and that is no stranger's, whatever it has done to its session, its environment,
its pipes and its out-of-memory adjustment.
"""

import asyncio
from collections.abc import Iterable
import os
import time

from gateway_node.child.killing import KILL_PATIENCE_SEC, Killing, note_of_supervisor
from gateway_node.child.messages import ProcessNote
from gateway_node.child.process_tree import descendants, Identity, ProcessEntry
from gateway_node.process.own_processes import OwnProcesses, reap
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_connection import TreeGone
from gateway_node.side_tasks import SideTasks

_POLL_SEC = 0.01
_STRANGERS_INTERVAL_SEC = 0.25
_SPAWNER_PATIENCE_SEC = 15.0
"""Longer than the spawner tries to kill what a lost supervisor left."""
_SPAWNER_LOOK_SEC = 0.25


async def end_below(supervisor: ProcessEntry) -> TreeGone:
    """Kill all that is below a supervisor that hangs; name what lives on, itself first."""
    killing = Killing()
    deadline = time.monotonic() + KILL_PATIENCE_SEC
    while True:
        tree = descendants(supervisor.pid)
        if not killing.round(tree) or time.monotonic() > deadline:
            left = [entry for entry in tree if not entry.is_zombie]
            return TreeGone(
                unkillable=(note_of_supervisor(supervisor), *killing.notes(left)),
            )
        await asyncio.sleep(_POLL_SEC)


class Orphans:
    """Ends orphans, and leaves strangers alone; `begin` before anything is started."""

    def __init__(self, own: OwnProcesses, *, side_tasks: SideTasks) -> None:
        self._own = own
        self._side_tasks = side_tasks
        self._spawners: set[SpawnerClient] = set()
        self._without_spawner: set[str] = set()
        """The names of supervisors that lost their spawner."""
        self._given_up: dict[Identity, ProcessNote] = {}
        """What could not be ended since then: nobody knows whose of them it is."""
        self._ending = 0
        self._tending: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look after strangers, where there are any."""
        if self._tending is None and self._own.strangers:
            self._tending = self._side_tasks.start('tend strangers', self._tend_strangers())

    def close(self) -> None:
        """Look after nobody any more."""
        if self._tending is not None:
            self._tending.cancel()

    def add_spawner(self, spawner: SpawnerClient) -> None:
        """Count on this one too to hold all of its scripts, before it is started."""
        self._spawners.add(spawner)

    def remove_spawner(self, spawner: SpawnerClient) -> None:
        """Take note that this one is closed: nothing is left below it."""
        self._spawners.discard(spawner)

    def note_spawner_lost(self, supervisors: Iterable[str]) -> None:
        """Take note that the supervisors of these names lost their spawner."""
        if not self._without_spawner:
            # What an earlier spawner left is not theirs.
            self._given_up.clear()
        self._without_spawner.update(supervisors)

    def note_gone(self, supervisor: str) -> None:
        """Take note that a supervisor is gone, and all that was below it."""
        self._without_spawner.discard(supervisor)
        if not self._without_spawner:
            self._given_up.clear()

    async def end_left(
        self,
        gone: 'asyncio.Future[TreeGone]',
        spawner: SpawnerClient,
        stuck: ProcessEntry | None,
    ) -> TreeGone:
        """Have ended what a lost supervisor left, by whoever it came to; name what lives on.

        `gone` is the word of its `spawner`; `stuck` the supervisor where it hangs and is given up.
        """
        if stuck is not None:
            return await end_below(stuck)
        deadline = time.monotonic() + _SPAWNER_PATIENCE_SEC
        while not gone.done():
            await asyncio.wait({gone}, timeout=_SPAWNER_LOOK_SEC)
            if time.monotonic() > deadline:
                spawner.force_restart()
        return await self.end_all() if gone.cancelled() else gone.result()

    async def end_all(self) -> TreeGone:
        """Kill and reap all orphans that became children of this process, and what is below.

        What cannot be ended is left alone from then on.
        """
        self._ending += 1
        try:
            return await self._end_all()
        finally:
            self._ending -= 1
            # What was given up has to be reaped one day.
            self.begin()

    async def _end_all(self) -> TreeGone:
        killing = Killing()
        # Whatever is forked meanwhile.
        deadline = time.monotonic() + KILL_PATIENCE_SEC
        while True:
            orphans = await self._own.orphans()
            pending = killing.round(orphans)
            if not pending or time.monotonic() > deadline:
                left = [entry for entry in orphans if not entry.is_zombie]
                self._own.leave_alone(left)
                self._given_up = {
                    identity: note for identity, note in self._given_up.items() if identity.lives
                }
                self._given_up |= {entry.identity: killing.notes([entry])[0] for entry in left}
                unkillable = tuple(self._given_up.values())
                return TreeGone(unkillable=unkillable)
            for entry in orphans:
                if entry.is_zombie and entry.parent == os.getpid():
                    reap(entry.pid)
            await asyncio.sleep(_POLL_SEC)

    async def _tend_strangers(self) -> None:
        while True:
            self._own.tend_strangers(self._is_without_orphans)
            await asyncio.sleep(_STRANGERS_INTERVAL_SEC)

    def _is_without_orphans(self) -> bool:
        """Tell whether all of every script lies below a spawner, and all of those live."""
        live = all(spawner.lives for spawner in self._spawners)
        return live and not self._without_spawner and not self._ending
