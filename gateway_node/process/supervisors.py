# SPDX-License-Identifier: Apache-2.0
"""The processes of all executions: each under a supervisor, from its order to its end.

Knows supervisor orders and directories, neither scripts nor their environment.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
import contextlib
from functools import partial
import logging
from pathlib import Path

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.leavings import remove_leavings
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
from gateway_node.process.spawner_connection import WaitingSupervisor
from gateway_node.process.spawner_program import cold_spawner
from gateway_node.process.supervised_process import SupervisedProcess
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
_FIRST_MOMENT_SEC = 0.03
"""Of a script, in which the next supervisor does not take processor time from it."""


class Supervisors:
    """Starts supervisors and looks after them; `start_up` before use."""

    def __init__(
        self,
        log_file: Path,
        journal: Journal,
        own_processes: OwnProcesses,
        *,
        side_tasks: SideTasks,
    ) -> None:
        """`log_file` takes what spawner and supervisors write to stderr."""
        self._journal = journal
        self._orphans = Orphans(own_processes, side_tasks=side_tasks)
        self._pool = SupervisorPool(
            cold_spawner(),
            log_file,
            own_processes=own_processes,
            journal=journal,
            orphans=self._orphans,
            side_tasks=side_tasks,
        )
        self._containment: Containment | None = None
        self._processes: dict[str, SupervisedProcess] = {}
        self._endings: dict[str, asyncio.Task[None]] = {}
        """What waits for the end of each process."""
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
        self._pool.spawner.check()

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
    ) -> SupervisedProcess:
        """Have a script started; return once its program has begun.

        Raises:
            SpawnFailed: it could not be; what is left is named, and nothing else is left.
        """
        try:
            process = await self.begin(order, on_progress, warnings, journalled=True)
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
        *,
        journalled: bool,
    ) -> SupervisedProcess:
        """Have a supervisor take the order; return before its program has begun.

        Where none does, the order's directory is removed.

        Raises:
            RunnerUnavailable: there is no spawner at the moment.
            SpawnFailed: the start cannot be prepared.
        """
        if self._containment is not None and self._containment.folder is not None:
            order['cgroup'] = str(self._containment.folder)
        try:
            supervisor = await self._pool.take()
            if journalled:
                self._note_start(order['execution_id'], supervisor)
        except BaseException:
            await asyncio.to_thread(remove_tree, order['directory'])
            raise
        process = SupervisedProcess(
            order['execution_id'], Path(order['directory']), supervisor, on_progress, warnings
        )
        self._look_after(process, supervisor, order)
        process.begin(order)
        return process

    async def give_up(self, process: SupervisedProcess) -> tuple[UnkillableProcess, ...]:
        """End what is left of it and remove the directory, also where nobody waits any more.

        What could not be ended is returned.
        """
        process.stop(StopAction.FORCED_TERMINATION)
        await asyncio.shield(self._companions.start('give up', self._clear_away(process)))
        return (await process.ended()).unkillable_processes

    def find(self, execution_id: str) -> SupervisedProcess | None:
        """Return the process of an execution, where its supervisor may still be there."""
        return self._processes.get(execution_id)

    async def wait_cleared(self, execution_ids: Iterable[str]) -> None:
        """Wait until the supervisors of these executions are gone, with what they leave."""
        endings = {self._endings[each] for each in execution_ids if each in self._endings}
        if endings:
            await asyncio.wait(endings)

    async def close(self) -> None:
        """End the spawner, once all supervisors have ended."""
        await self._companions.wait()
        if self._watch is not None:
            self._watch.cancel()
        self._orphans.close()
        await self._pool.close(_STUCK_GOODBYE_SEC if self._any_stuck else _GOODBYE_SEC)
        if self._containment is not None:
            remove_containment(self._containment)

    def _look_after(
        self, process: SupervisedProcess, supervisor: WaitingSupervisor, order: SupervisorOrder
    ) -> None:
        """See to the process from now on, whatever becomes of its supervisor."""
        name = process.execution_id
        self._processes[name] = process
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(
                self._continue_stopped(), name='continue stopped supervisors'
            )
            self._watch.add_done_callback(log_failure)
        clear_leavings = partial(
            remove_leavings,
            process.directory,
            CgroupLeaf(order['cgroup'], name) if 'cgroup' in order else None,
            keep_working_directory=order['keep_working_directory'],
        )
        self._endings[name] = self._companions.start(
            'see an end', self._conclude_when_gone(process, supervisor, clear_leavings)
        )
        self._companions.start('prepare the next start', self._prepare_next(process))

    async def _conclude_when_gone(
        self,
        process: SupervisedProcess,
        supervisor: WaitingSupervisor,
        clear_leavings: Callable[[], None],
    ) -> None:
        await process.supervisor_gone()
        try:
            if not await process.told_its_end():
                self._any_stuck = self._any_stuck or process.stuck is not None
                await process.conclude_lost(
                    await self._orphans.end_left(
                        supervisor.gone, self._pool.spawner, process.stuck
                    )
                )
                if process.stuck is None:
                    # What a supervisor hangs on may hang whoever touches it.
                    await asyncio.to_thread(clear_leavings)
        except Exception:
            _log.exception('an end is not known: execution %s', process.execution_id)
            process.conclude_unknown()
        finally:
            del self._processes[process.execution_id]
            self._pool.note_gone(supervisor)
            del self._endings[process.execution_id]
            process.output.close()

    async def _clear_away(self, process: SupervisedProcess) -> None:
        # The supervisor can be gone before its tree is: the outcome waits for both.
        await process.ended()
        await process.supervisor_gone()
        self._journal.remove(process.execution_id)
        await asyncio.to_thread(remove_tree, process.directory)

    async def _prepare_next(self, process: SupervisedProcess) -> None:
        """Have a supervisor ready for the next start; the script has its first moment alone."""
        with contextlib.suppress(SpawnFailed):
            await process.started()
            await asyncio.sleep(_FIRST_MOMENT_SEC)
        self._pool.prepare_next()

    def _note_start(self, execution_id: str, supervisor: WaitingSupervisor) -> None:
        try:
            self._journal.write(self._entry(execution_id, supervisor.pid))
        except OSError as error:
            supervisor.dismiss()
            self._pool.note_gone(supervisor)
            self._journal.remove(execution_id)
            raise SpawnFailed(f'the start cannot be prepared: {error.strerror}') from error

    def _note_script(self, process: SupervisedProcess, pid: int | None) -> None:
        """Journal the script's process too; its execution goes on without."""
        if pid is None or process.execution_id not in self._processes:
            return
        try:
            self._journal.write(self._entry(process.execution_id, process.supervisor_pid, pid))
        except OSError as error:
            # A later gateway finds the script by its supervisor, or by its execution's id.
            _log.warning('the journal cannot be written, execution goes on: %s', error)

    def _entry(
        self, execution_id: str, supervisor: int, script: int | None = None
    ) -> JournalEntry:
        folder = None if self._containment is None else self._containment.folder
        return JournalEntry(
            execution_id=execution_id,
            boot_id=self._journal.boot_id,
            supervisor=identify(supervisor),
            script=None if script is None else identify(script),
            cgroup=None if folder is None else str(folder),
        )

    async def _continue_stopped(self) -> None:
        """Continue the spawner, and supervisors that lost theirs, as long as scripts run.

        The spawner does so for its own supervisors, once it goes on itself.
        """
        while self._processes:
            self._pool.spawner.continue_if_stopped()
            for process in self._processes.values():
                process.continue_if_stopped()
            await asyncio.sleep(_STOPPED_INTERVAL_SEC)
