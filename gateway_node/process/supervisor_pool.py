# SPDX-License-Identifier: Apache-2.0
"""A spawner and its supervisors, one of which is ready for the next start.

Several pools can be there beside each other, each with a spawner of its own.
"""

import asyncio
from collections.abc import Iterator
import itertools
import logging
from pathlib import Path
import secrets

from gateway_node.child.process_tree import identify, Identity
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.process.companions import Companions
from gateway_node.process.journal import Journal
from gateway_node.process.orphans import Orphans
from gateway_node.process.own_processes import OwnProcesses, reap
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_connection import WaitingSupervisor
from gateway_node.process.spawner_program import SpawnerProgram
from gateway_node.side_tasks import SideTasks

_log = logging.getLogger(__name__)


class SupervisorPool:
    """`start` before use, `close` after."""

    def __init__(
        self,
        program: SpawnerProgram,
        log_file: Path,
        *,
        own_processes: OwnProcesses,
        journal: Journal,
        orphans: Orphans,
        side_tasks: SideTasks,
    ) -> None:
        """`log_file` takes what spawner and supervisors write to stderr."""
        self.spawner = SpawnerClient(
            program,
            log_file,
            on_started=self._note_spawner,
            on_ready=self.prepare_next,
            on_lost=self._note_spawner_lost,
            side_tasks=side_tasks,
        )
        self._own = own_processes
        self._journal = journal
        self._orphans = orphans
        self._names = _names()
        self._present: Identity | None = None
        """The spawner."""
        self._spare: WaitingSupervisor | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._taken: set[str] = set()
        """The names of supervisors that have an order."""
        self._companions = Companions()

    async def start(self) -> None:
        """Start the spawner and keep it alive from now on.

        Raises:
            RunnerUnavailable: it does not come up.
        """
        self._orphans.add_spawner(self.spawner)
        try:
            await self.spawner.start()
        except BaseException:
            self._orphans.remove_spawner(self.spawner)
            raise

    async def take(self) -> WaitingSupervisor:
        """Return a supervisor that waits for its order, at once where one is ready.

        Whoever takes it closes its channel and its pidfd, and says here that it is gone.

        Raises:
            RunnerUnavailable: there is no spawner at the moment, or no process can be made.
        """
        if self._preparing is not None and not self._preparing.done():
            await asyncio.wait({self._preparing})
        spare, self._spare = self._spare, None
        if spare is not None and not (spare.lives and self.spawner.available):
            self._dismiss(spare)
            spare = None
        supervisor = spare or await self._fork()
        self._taken.add(supervisor.name)
        return supervisor

    def note_gone(self, supervisor: WaitingSupervisor) -> None:
        """Take note that a supervisor that was taken is gone."""
        self._taken.discard(supervisor.name)
        self._orphans.note_gone(supervisor.name)
        self._own.remove(supervisor.pid)
        if supervisor.gone.cancelled():
            reap(supervisor.pid)

    def prepare_next(self) -> None:
        """Have a supervisor made ready in the background, where there is none.

        A start then waits neither for the fork nor for what the new process does first.
        """
        idle = self._preparing is None or self._preparing.done()
        if self.spawner.available and self._spare is None and idle:
            self._preparing = self._companions.start('prepare a supervisor', self._prepare())

    async def close(self, patience_sec: float) -> None:
        """End the spawner, once all supervisors that were taken are gone."""
        if self._preparing is not None:
            self._preparing.cancel()
        await self._companions.wait()
        self._dismiss_spare()
        await self.spawner.close(patience_sec)
        self._orphans.remove_spawner(self.spawner)
        if self._present is not None:
            self._journal.forget_spawner(self._present)

    async def _fork(self) -> WaitingSupervisor:
        supervisor = await self.spawner.fork(next(self._names))
        self._own.add(supervisor.pid)
        return supervisor

    async def _prepare(self) -> None:
        try:
            self._spare = await self._fork()
        except RunnerUnavailable as error:
            # The next start tries by itself, and tells its client.
            _log.warning('no supervisor is ready for the next start: %s', error)

    def _dismiss_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            self._dismiss(spare)

    def _dismiss(self, supervisor: WaitingSupervisor) -> None:
        supervisor.dismiss()
        self._own.remove(supervisor.pid)

    def _note_spawner(self, pid: int) -> None:
        self._own.add(pid)
        self._present = identify(pid)
        if self._present is not None:
            self._journal.note_spawner(self._present)

    def _note_spawner_lost(self) -> None:
        """End what a spawner that died cannot end any more; supervisors that live go on."""
        if self._present is not None:
            self._own.remove(self._present.pid)
            self._journal.forget_spawner(self._present)
        self._dismiss_spare()
        self._orphans.note_spawner_lost(self._taken)
        self._companions.start('end orphans', self._orphans.end_all())


def _names() -> Iterator[str]:
    """Yield names for supervisors that no other pool and no other gateway gives."""
    prefix = secrets.token_hex(4)
    return (f'supervisor_{prefix}_{number}' for number in itertools.count(1))
