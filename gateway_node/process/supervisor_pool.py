# SPDX-License-Identifier: Apache-2.0
"""A spawner and its supervisors, which are kept: one after the other they get many orders.

One is always ready for the next start. Several pools can be there beside each other, each with a
spawner of its own.
"""

import asyncio
from collections.abc import Callable, Iterator
import itertools
import logging
import os
from pathlib import Path
import secrets
import time

from gateway_node.child.process_tree import identify, Identity
from gateway_node.executions.errors import RunnerUnavailable
from gateway_node.process.companions import Companions
from gateway_node.process.journal import Journal
from gateway_node.process.orphans import Orphans
from gateway_node.process.own_processes import OwnProcesses, reap
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_program import SpawnerProgram
from gateway_node.process.supervisor_link import SupervisorLink
from gateway_node.removal import remove_tree
from gateway_node.side_tasks import SideTasks

_log = logging.getLogger(__name__)

_FIRST_MOMENT_SEC = 0.03
"""Of a script, in which the next supervisor does not take processor time from it."""
_READY_DESCRIPTORS = 1
"""Of this process's, which a start needs where a supervisor is ready: the output's memory."""
_FORK_DESCRIPTORS = 4
"""The same where there has to be a new one: two sockets and a pidfd more."""
_ANY_DESCRIPTOR = 2
"""Open in each process of ours: see `surroundings`."""
_IDLE_SEC = 30.0
"""Without use, after which a supervisor is let go unless it is the last one that is ready."""


class SupervisorPool:
    """`start` before use, `close` after."""

    def __init__(
        self,
        program: SpawnerProgram,
        folder: Path,
        log_file: Path,
        *,
        own_processes: OwnProcesses,
        journal: Journal,
        orphans: Orphans,
        on_gone: Callable[[SupervisorLink], None],
        side_tasks: SideTasks,
    ) -> None:
        """Supervisors have folders of their own in `folder`, and write to stderr into `log_file`.

        `on_gone` is told that one that was taken has exited or is given up.
        """
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
        self._names = _names(folder)
        self._on_gone = on_gone
        self._present: Identity | None = None
        """The spawner."""
        self._idle: dict[SupervisorLink, float] = {}
        """Those that wait for an order, since when; the one that was used last is the last."""
        self._living: set[SupervisorLink] = set()
        """All of which something lives."""
        self._taken: set[SupervisorLink] = set()
        self._without_spawner: set[SupervisorLink] = set()
        """Of those that are taken: they are not used again."""
        self._unused = asyncio.Event()
        self._unused.set()
        self._preparing: asyncio.Task[None] | None = None
        self._refilling: asyncio.TimerHandle | None = None
        self._shrinking: asyncio.TimerHandle | None = None
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

    def check(self) -> None:
        """Raise where no supervisor can be had at the moment.

        Raises:
            RunnerUnavailable: the spawner is being restarted, or this process has as many open
                files as it may have.
        """
        if not self.spawner.available:
            raise RunnerUnavailable('the process that starts scripts is being restarted')
        probes: list[int] = []
        try:
            needed = _READY_DESCRIPTORS if self._idle else _FORK_DESCRIPTORS
            probes.extend(os.dup(_ANY_DESCRIPTOR) for _ in range(needed))
        except OSError as error:
            raise RunnerUnavailable(f'no script can be started: {error.strerror}') from error
        finally:
            for probe in probes:
                os.close(probe)

    async def take(self) -> SupervisorLink:
        """Return a supervisor that waits for its order, at once where one is ready.

        It is given back, or found to be gone.

        Raises:
            RunnerUnavailable: there is no spawner at the moment, or no process can be made.
        """
        link = self._take_idle()
        if link is None and self._preparing is not None and not self._preparing.done():
            await asyncio.wait({self._preparing})
            link = self._take_idle()
        link = link or await self._fork()
        self._taken.add(link)
        self._unused.clear()
        if not self._idle:
            self._refill_soon()
        return link

    def give_back(self, link: SupervisorLink) -> None:
        """Take back a supervisor that waits for its next order, the last end being on record."""
        self._drop(link)
        if link.is_gone or link in self._without_spawner:
            self._retire(link)
            return
        self._idle[link] = time.monotonic()
        self._shrink_in_time()

    def note_gone(self, link: SupervisorLink) -> None:
        """Take note that one that was taken is gone, and all that was below it."""
        self._drop(link)
        self._without_spawner.discard(link)
        self._living.discard(link)
        self._orphans.note_gone(link.name)
        self._own.remove(link.pid)
        if link.tree_gone.cancelled():
            reap(link.pid)
        if link.stuck is None and os.path.lexists(link.name):
            # One that was killed did not remove its folder.
            self._companions.start('clear away', asyncio.to_thread(remove_tree, link.name))

    def prepare_next(self) -> None:
        """Have a supervisor made ready in the background, where none is.

        A start then waits neither for the fork nor for what the new process does first.
        """
        preparing = self._preparing is not None and not self._preparing.done()
        if self.spawner.available and not self._idle and not preparing:
            self._preparing = self._companions.start('prepare a supervisor', self._prepare())

    def may_tell_of(self, execution_id: str) -> bool:
        """Return whether this is the last execution of one that waits for an order."""
        return any(link.journalled == execution_id for link in self._idle)

    def continue_stopped(self) -> None:
        """Continue what a script has stopped: the spawner, and supervisors that lost theirs."""
        self.spawner.continue_if_stopped()
        for link in self._living:
            link.continue_if_stopped()

    async def close(self, patience_sec: float) -> None:
        """End the spawner, once all supervisors that were taken are gone or given back."""
        for timer in (self._refilling, self._shrinking):
            if timer is not None:
                timer.cancel()
        if self._preparing is not None:
            self._preparing.cancel()
        while self._idle:
            self._retire(self._idle.popitem()[0])
        await self._companions.wait()
        await self.spawner.close(patience_sec)
        if self._living:
            await asyncio.wait({link.gone for link in self._living}, timeout=patience_sec)
        await self._companions.wait()
        self._orphans.remove_spawner(self.spawner)
        if self._present is not None:
            self._journal.forget_spawner(self._present)

    async def unused(self) -> None:
        """Wait until every supervisor that was taken is gone or given back."""
        await self._unused.wait()

    def _drop(self, link: SupervisorLink) -> None:
        self._taken.discard(link)
        if not self._taken:
            self._unused.set()

    def _take_idle(self) -> SupervisorLink | None:
        while self._idle and self.spawner.available:
            link, _ = self._idle.popitem()
            if link.lives:
                return link
            self._retire(link)
        return None

    async def _fork(self) -> SupervisorLink:
        supervisor = await self.spawner.fork(next(self._names))
        link = SupervisorLink(supervisor, self._note_link_gone)
        self._own.add(link.pid)
        self._living.add(link)
        return link

    async def _prepare(self) -> None:
        try:
            link = await self._fork()
        except RunnerUnavailable as error:
            # The next start tries by itself, and tells its client.
            _log.warning('no supervisor is ready for the next start: %s', error)
        else:
            # Those that were used before start sooner.
            self._idle = {link: time.monotonic(), **self._idle}
            # One that was taken may have come back meanwhile.
            self._shrink_in_time()

    def _refill_soon(self) -> None:
        if self._refilling is None:
            loop = asyncio.get_running_loop()
            self._refilling = loop.call_later(_FIRST_MOMENT_SEC, self._refill)

    def _refill(self) -> None:
        self._refilling = None
        self.prepare_next()

    def _shrink_in_time(self) -> None:
        if len(self._idle) > 1 and self._shrinking is None:
            self._shrink_in(_IDLE_SEC)

    def _shrink_in(self, delay_sec: float) -> None:
        loop = asyncio.get_running_loop()
        self._shrinking = loop.call_later(delay_sec, self._shrink)

    def _shrink(self) -> None:
        """Let go of those that were not used for long, but for one."""
        self._shrinking = None
        while len(self._idle) > 1:
            link, since = next(iter(self._idle.items()))
            left_sec = since + _IDLE_SEC - time.monotonic()
            if left_sec > 0:
                self._shrink_in(left_sec)
                return
            del self._idle[link]
            self._retire(link)

    def _retire(self, link: SupervisorLink) -> None:
        """Let one end, or be gone, that has nothing to tell any more."""
        link.dismiss()
        if link.journalled is not None:
            self._journal.remove(link.journalled)

    def _note_link_gone(self, link: SupervisorLink) -> None:
        if link in self._taken:
            self._on_gone(link)
            return
        if self._idle.pop(link, None) is not None:
            self._retire(link)
            self._refill_soon()
        self.note_gone(link)

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
        while self._idle:
            self._retire(self._idle.popitem()[0])
        self._without_spawner |= self._taken
        self._orphans.note_spawner_lost(link.name for link in self._living)
        self._companions.start('end orphans', self._orphans.end_all())


def _names(folder: Path) -> Iterator[str]:
    """Yield paths for supervisors that no other pool and no other gateway gives."""
    prefix = secrets.token_hex(4)
    return (str(folder / f'{prefix}_{number}') for number in itertools.count(1))
