# SPDX-License-Identifier: Apache-2.0
"""The processes of all executions: each under a supervisor, from its order to its end.

Knows supervisor orders and directories, neither scripts nor their environment.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
import logging
from pathlib import Path

from gateway_node.child.messages import SupervisorOrder
from gateway_node.child.process_tree import become_subreaper, identify
from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.values import Progress, StopAction, UnkillableProcess
from gateway_node.process.companions import Companions
from gateway_node.process.containment import (
    Containment,
    probe_containment,
    remove_containment,
)
from gateway_node.process.journal import Journal, JournalEntry
from gateway_node.process.orphans import Orphans
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.spawner_program import cold_spawner, SpawnerProgram
from gateway_node.process.supervised_process import SupervisedProcess
from gateway_node.process.supervisor_link import SupervisorLink
from gateway_node.process.supervisor_pool import SupervisorPool
from gateway_node.removal import remove_tree
from gateway_node.side_tasks import log_failure, SideTasks

_log = logging.getLogger(__name__)

_STOPPED_INTERVAL_SEC = 0.25
"""How often spawner and supervisors that lost theirs, which scripts can stop, are continued."""
_GOODBYE_SEC = 5.0
"""In which the spawner ends by itself, at the gateway's end."""
_STUCK_GOODBYE_SEC = 0.5
"""The same where it has a child that SIGKILL does not end."""


class Supervisors:
    """Starts supervisors and looks after them; `start_up` before use."""

    def __init__(
        self,
        folder: Path,
        log_file: Path,
        journal: Journal,
        own_processes: OwnProcesses,
        *,
        side_tasks: SideTasks,
    ) -> None:
        """`folder` takes those of supervisors, `log_file` what they and spawners write to
        stderr."""
        self._journal = journal
        self._orphans = Orphans(own_processes, side_tasks=side_tasks)
        self._make_pool = partial(
            SupervisorPool,
            folder=folder,
            log_file=log_file,
            own_processes=own_processes,
            journal=journal,
            orphans=self._orphans,
            on_gone=self._note_gone,
            side_tasks=side_tasks,
        )
        self._pool = self._make_pool(cold_spawner())
        self._pools = [self._pool]
        self._pool_of: dict[SupervisorLink, SupervisorPool] = {}
        """Of those that were taken."""
        self._containment: Containment | None = None
        self._processes: dict[str, SupervisedProcess] = {}
        """Those that a supervisor has, by execution."""
        self._unrecorded: dict[str, SupervisorLink] = {}
        """Supervisors that wait for their last end to be recorded, by execution."""
        self._any_stuck = False
        self._companions = Companions()
        self._watch: asyncio.Task[None] | None = None

    @property
    def containment(self) -> Containment | None:
        """What holds trees on this machine; None before `start_up`."""
        return self._containment

    @property
    def spawner_restarts(self) -> int:
        """How often the spawner died and was started again."""
        return self._pool.spawner.restarts

    def check(self) -> None:
        """Raise where nothing can be started at the moment.

        Raises:
            RunnerUnavailable: the spawner is being restarted, or this process has as many open
                files as it may have.
        """
        self._pool.check()

    async def start_up(self) -> None:
        """Probe the machine and start the spawner; the journal has been opened before.

        Raises:
            RunnerUnavailable: the spawner does not come up.
        """
        become_subreaper()
        self._orphans.begin()
        self._containment = probe_containment()
        await self._pool.start()

    async def start(
        self,
        order: SupervisorOrder,
        on_progress: Callable[[Progress], None],
        warnings: Sequence[str] = (),
        pool: SupervisorPool | None = None,
    ) -> SupervisedProcess:
        """Have a script started; return once its program has begun.

        A supervisor of the pool takes it, where one can be had; else one that executes it. It is
        kept for others once `acknowledge` says that the end is on record.

        Raises:
            SpawnFailed: it could not be; what is left is named, and nothing else is left.
        """
        try:
            process = await self.begin(order, on_progress, warnings, pool, journalled=True)
        except RunnerUnavailable as error:
            raise SpawnFailed(str(error)) from error
        try:
            pid = await process.started()
        except BaseException as error:
            left = await self.give_up(process)
            if left and not isinstance(error, SpawnFailed):
                message = 'its end was asked for before it had begun'
                raise SpawnFailed(message, left) from error
            raise
        self._note_script(process, pid)
        return process

    async def begin(
        self,
        order: SupervisorOrder,
        on_progress: Callable[[Progress], None],
        warnings: Sequence[str] = (),
        pool: SupervisorPool | None = None,
        *,
        journalled: bool,
    ) -> SupervisedProcess:
        """Have a supervisor take the order; return before its program has begun.

        Raises:
            RunnerUnavailable: there is no spawner at the moment.
            SpawnFailed: the start cannot be prepared.
        """
        if self._containment is not None and self._containment.folder is not None:
            order['cgroup'] = str(self._containment.folder)
        link = await self._take(pool)
        process = SupervisedProcess(
            order,
            link,
            on_progress,
            warnings,
            on_reusable=self._keep_unrecorded if journalled else self._keep,
        )
        if journalled:
            self._note_start(process)
        self._processes[process.execution_id] = process
        self._continue_while_scripts_run()
        process.begin()
        return process

    def acknowledge(self, execution_id: str) -> bool:
        """Take note that an end is on record; True where nothing of it has to be put away."""
        link = self._unrecorded.pop(execution_id, None)
        if link is None:
            return False
        link.journalled = execution_id
        self._give_back(link)
        return True

    def may_tell_of(self, execution_id: str) -> bool:
        """Return whether a supervisor that waits would tell an end that is on record.

        It does where this process dies, and the journal has to name the execution then.
        """
        return any(pool.may_tell_of(execution_id) for pool in self._pools)

    def open_pool(self, program: SpawnerProgram) -> SupervisorPool:
        """Return a pool of the program's supervisors, still to be started; closed with this."""
        pool = self._make_pool(program)
        self._pools.append(pool)
        return pool

    async def close_pool(self, pool: SupervisorPool) -> None:
        """Close a pool that nobody takes from any more, once its scripts have ended."""
        await pool.unused()
        await pool.close(self._goodbye_sec)
        self._pools.remove(pool)

    async def give_up(self, process: SupervisedProcess) -> tuple[UnkillableProcess, ...]:
        """End what is left of it and remove the directory, also where nobody waits any more.

        What could not be ended is returned.
        """
        process.stop(StopAction.FORCED_TERMINATION)
        await asyncio.shield(self._companions.start('give up', self._clear_away(process)))
        return (await process.ended()).unkillable_processes

    def find(self, execution_id: str) -> SupervisedProcess | None:
        """Return the process of an execution, where its supervisor still has it."""
        return self._processes.get(execution_id)

    async def wait_released(self, execution_ids: Iterable[str]) -> None:
        """Wait until the supervisors of these executions are gone, with what they leave."""
        for execution_id in execution_ids:
            process = self._processes.get(execution_id)
            if process is not None:
                await process.released()

    async def close(self) -> None:
        """End the spawners, once all supervisors have ended or wait for an order."""
        await self.wait_released(tuple(self._processes))
        await self._companions.wait()
        if self._watch is not None:
            self._watch.cancel()
        for link in self._unrecorded.values():
            # It tells the next gateway.
            link.abandon()
        self._orphans.close()
        await asyncio.gather(*(pool.close(self._goodbye_sec) for pool in self._pools))
        if self._containment is not None:
            remove_containment(self._containment)

    @property
    def _goodbye_sec(self) -> float:
        return _STUCK_GOODBYE_SEC if self._any_stuck else _GOODBYE_SEC

    async def _take(self, pool: SupervisorPool | None) -> SupervisorLink:
        if pool is not None:
            try:
                link = await pool.take()
            except RunnerUnavailable as error:
                _log.warning('a script starts cold: %s', error)
            else:
                self._pool_of[link] = pool
                return link
        link = await self._pool.take()
        self._pool_of[link] = self._pool
        return link

    def _give_back(self, link: SupervisorLink) -> None:
        self._pool_of.pop(link).give_back(link)

    def _keep_unrecorded(self, process: SupervisedProcess) -> None:
        """Keep a supervisor whose last end is told, but not on record yet."""
        self._release(process)
        self._unrecorded[process.execution_id] = process.link

    def _keep(self, process: SupervisedProcess) -> None:
        self._release(process)
        self._give_back(process.link)

    def _release(self, process: SupervisedProcess) -> None:
        del self._processes[process.execution_id]
        process.release()

    def _note_gone(self, link: SupervisorLink) -> None:
        process = next((each for each in self._processes.values() if each.link is link), None)
        if process is None:
            self._pool_of[link].note_gone(link)
        else:
            self._companions.start('see an end', self._conclude(process))

    async def _conclude(self, process: SupervisedProcess) -> None:
        """See to the end of what a supervisor had that is gone."""
        link = process.link
        try:
            if not await process.told_its_end():
                self._any_stuck = self._any_stuck or link.stuck is not None
                spawner = self._pool_of[link].spawner
                gone = await self._orphans.end_left(link.tree_gone, spawner, link.stuck)
                await process.conclude_lost(gone.unkillable)
        except Exception:
            _log.exception('an end is not known: execution %s', process.execution_id)
            process.conclude_unknown()
        finally:
            self._pool_of.pop(link).note_gone(link)
            self._release(process)

    async def _clear_away(self, process: SupervisedProcess) -> None:
        # The supervisor can be gone before its tree is: the outcome waits for both.
        await process.ended()
        await process.released()
        if not self.acknowledge(process.execution_id):
            self._journal.remove(process.execution_id)
        await asyncio.to_thread(remove_tree, process.directory)

    def _note_start(self, process: SupervisedProcess) -> None:
        link = process.link
        try:
            self._journal.write(self._entry(process), instead_of=link.journalled)
        except OSError as error:
            self._give_back(link)
            raise SpawnFailed(f'the start cannot be prepared: {error.strerror}') from error
        link.journalled = None

    def _note_script(self, process: SupervisedProcess, pid: int | None) -> None:
        """Journal the script's process too; its execution goes on without."""
        if pid is None or process.has_ended:
            return
        try:
            self._journal.write(self._entry(process, pid))
        except OSError as error:
            # A later gateway finds the script by its supervisor, or by its execution's id.
            _log.warning('the journal cannot be written, execution goes on: %s', error)

    def _entry(self, process: SupervisedProcess, script: int | None = None) -> JournalEntry:
        folder = None if self._containment is None else self._containment.folder
        return JournalEntry(
            execution_id=process.execution_id,
            boot_id=self._journal.boot_id,
            supervisor=process.link.identity,
            supervisor_folder=process.link.name,
            script=None if script is None else identify(script),
            cgroup=None if folder is None else str(folder),
        )

    def _continue_while_scripts_run(self) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(
                self._continue_stopped(), name='continue stopped supervisors'
            )
            self._watch.add_done_callback(log_failure)

    async def _continue_stopped(self) -> None:
        """Continue the spawner, supervisors that lost theirs, and what is about to be a script.

        The spawner does so for its own supervisors, once it goes on itself.
        """
        while self._processes:
            for pool in self._pools:
                pool.continue_stopped()
            for process in self._processes.values():
                process.continue_beginning()
            await asyncio.sleep(_STOPPED_INTERVAL_SEC)
