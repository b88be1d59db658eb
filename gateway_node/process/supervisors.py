# SPDX-License-Identifier: Apache-2.0
"""The processes of all executions: spawner, supervisors, and the journal of what is open.

Knows supervisor orders and directories, neither scripts nor their environment.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
import contextlib
from functools import partial
import logging
import os
from pathlib import Path
import time
from typing import Any, TypeVar

from gateway_node.child.cgroup_leaf import CgroupLeaf
from gateway_node.child.leavings import remove_leavings
from gateway_node.child.messages import SupervisorOrder
from gateway_node.child.process_tree import become_subreaper, identify, Identity
from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.values import Progress
from gateway_node.process.containment import (
    Containment,
    probe_containment,
    remove_containment,
)
from gateway_node.process.journal import (
    Journal,
    JournalEntry,
    read_spawner_mark,
    write_spawner_mark,
)
from gateway_node.process.orphans import end_below, Orphans
from gateway_node.process.own_processes import OwnProcesses, reap
from gateway_node.process.script_process import SupervisedProcess
from gateway_node.process.spawner_client import SpawnerClient
from gateway_node.process.spawner_connection import TreeGone
from gateway_node.side_tasks import log_failure, SideTasks

_log = logging.getLogger(__name__)

_LOG_FILE = 'supervision.log'
_JOURNAL_FOLDER = 'open'
_SPAWNER_FILE = 'spawner.json'
_STOPPED_INTERVAL_SEC = 0.25
"""How often spawner and supervisors that lost theirs, which scripts can stop, are continued."""
_GOODBYE_SEC = 5.0
"""In which the spawner ends by itself, at the gateway's end."""
_STUCK_GOODBYE_SEC = 0.5
"""The same where it has a child that SIGKILL does not end."""
_SPAWNER_PATIENCE_SEC = 15.0
"""Longer than the spawner tries to kill what a lost supervisor left."""
_FIRST_MOMENT_SEC = 0.03
"""Of a script, in which the next supervisor does not take processor time from it."""
_START_DESCRIPTORS = 4
"""Of this process's, which a start needs at one moment: two sockets, a pidfd, a file."""

_Result = TypeVar('_Result')


class Supervisors:
    """Starts supervisors and looks after them; `start_up` before use."""

    def __init__(
        self, state_dir: Path, own_processes: OwnProcesses, *, side_tasks: SideTasks
    ) -> None:
        self._state_dir = state_dir
        self._own = own_processes
        self._spawner_file = state_dir / _SPAWNER_FILE
        self.journal = Journal(state_dir / _JOURNAL_FOLDER)
        self.earlier: Mapping[str, JournalEntry] = {}
        """What an earlier gateway had open when this one started."""
        self.earlier_spawner: Identity | None = None
        self.containment: Containment | None = None
        self._spawner = SpawnerClient(
            state_dir / _LOG_FILE,
            self._note_spawner,
            self._end_all_orphans,
            side_tasks=side_tasks,
        )
        self._spawner_pid: int | None = None
        self._orphans = Orphans(
            own_processes, side_tasks=side_tasks, spawner_lives=lambda: self._spawner.lives
        )
        self._processes: dict[str, SupervisedProcess] = {}
        self._endings: dict[str, asyncio.Task[None]] = {}
        """What waits for the end of each process."""
        self._any_stuck = False
        self._companions: set[asyncio.Task[Any]] = set()
        self._watch: asyncio.Task[None] | None = None

    @property
    def spawner_restarts(self) -> int:
        """How often the spawner died and was started again."""
        return self._spawner.restarts

    def check(self) -> None:
        """Raise where nothing can be started at the moment.

        Raises:
            RunnerUnavailable: the spawner is being restarted, or this process has as many open
                files as it may have.
        """
        if not self._spawner.available:
            raise RunnerUnavailable('the process that starts scripts is being restarted')
        probes: list[int] = []
        try:
            probes.extend(os.open('/dev/null', os.O_RDONLY) for _ in range(_START_DESCRIPTORS))
        except OSError as error:
            raise RunnerUnavailable(f'no script can be started: {error.strerror}') from error
        finally:
            for probe in probes:
                os.close(probe)

    async def start_up(self) -> None:
        """Read the journal, probe the machine, start the spawner.

        Raises:
            RunnerUnavailable: the spawner does not come up.
            OSError: the state directory cannot be written.
        """
        (self._state_dir / _JOURNAL_FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
        self.earlier = self.journal.read()
        self.earlier_spawner = read_spawner_mark(self._spawner_file, self.journal.boot_id)
        become_subreaper()
        self._orphans.begin()
        self.containment = probe_containment()
        await self._spawner.start()

    async def start(
        self,
        order: SupervisorOrder,
        on_progress: Callable[[Progress], None],
        *,
        journalled: bool,
    ) -> SupervisedProcess:
        """Have a supervisor take the order; return before its script has begun.

        Raises:
            RunnerUnavailable: there is no spawner at the moment.
            SpawnFailed: the start cannot be prepared.
        """
        name = order['execution_id']
        if self.containment is not None and self.containment.folder is not None:
            order['cgroup'] = str(self.containment.folder)
        supervisor = await self._spawner.take_supervisor()
        self._own.add(supervisor.pid)
        if journalled:
            try:
                self.journal.write(self._entry(name, supervisor.pid))
            except OSError as error:
                supervisor.dismiss()
                self._own.remove(supervisor.pid)
                self.journal.remove(name)
                raise SpawnFailed(f'the start cannot be prepared: {error.strerror}') from error
        process = SupervisedProcess(name, Path(order['directory']), supervisor, on_progress)
        self._processes[name] = process
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(
                self._continue_stopped(), name='continue stopped supervisors'
            )
            self._watch.add_done_callback(log_failure)
        clear_away = partial(
            remove_leavings,
            Path(order['directory']),
            CgroupLeaf(order['cgroup'], name) if 'cgroup' in order else None,
            keep_working_directory=order['keep_working_directory'],
        )
        process.begin(order)
        self._endings[name] = self.accompany(
            self._conclude_when_gone(process, supervisor.gone, clear_away)
        )
        self.accompany(self._prepare_next(process))
        return process

    def note_script(self, process: SupervisedProcess, pid: int | None) -> None:
        """Journal the script's process too; its execution goes on without."""
        if pid is None or process.execution_id not in self._processes:
            return
        entry = self._entry(process.execution_id, process.supervisor_pid, pid)
        try:
            self.journal.write(entry)
        except OSError as error:
            # A later gateway finds the script by its supervisor, or by its execution's id.
            _log.warning('the journal cannot be written, execution goes on: %s', error)

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
        while self._companions:
            await asyncio.wait(self._companions)
        if self._watch is not None:
            self._watch.cancel()
        self._orphans.close()
        await self._spawner.close(_STUCK_GOODBYE_SEC if self._any_stuck else _GOODBYE_SEC)
        self._spawner_file.unlink(missing_ok=True)
        if self.containment is not None:
            remove_containment(self.containment)

    def _entry(
        self, execution_id: str, supervisor: int, script: int | None = None
    ) -> JournalEntry:
        folder = None if self.containment is None else self.containment.folder
        return JournalEntry(
            execution_id=execution_id,
            boot_id=self.journal.boot_id,
            supervisor=identify(supervisor),
            script=None if script is None else identify(script),
            cgroup=None if folder is None else str(folder),
        )

    def accompany(self, companion: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        """Run a coroutine that `close` waits for."""
        task = asyncio.create_task(companion)
        self._companions.add(task)
        task.add_done_callback(self._companions.discard)
        task.add_done_callback(log_failure)
        return task

    async def _conclude_when_gone(
        self,
        process: SupervisedProcess,
        gone: 'asyncio.Future[TreeGone]',
        clear_away: Callable[[], None],
    ) -> None:
        await process.supervisor_gone()
        try:
            if not await process.told_its_end():
                await process.conclude_lost(await self._end_tree(process, gone))
                if process.stuck is None:
                    # What a supervisor hangs on may hang whoever touches it.
                    await asyncio.to_thread(clear_away)
        except Exception:
            _log.exception('an end is not known: execution %s', process.execution_id)
            process.conclude_unknown()
        finally:
            del self._processes[process.execution_id]
            self._orphans.note_ended(process.execution_id)
            self._own.remove(process.supervisor_pid)
            del self._endings[process.execution_id]
            process.output.close()
            if gone.cancelled():
                reap(process.supervisor_pid)

    async def _end_tree(
        self, process: SupervisedProcess, gone: 'asyncio.Future[TreeGone]'
    ) -> TreeGone:
        """Have ended what a lost supervisor left, by whoever it came to."""
        if process.stuck is not None:
            self._any_stuck = True
            return await end_below(process.stuck)
        await self._await_spawner(gone)
        return await self._orphans.end_all() if gone.cancelled() else gone.result()

    async def _prepare_next(self, process: SupervisedProcess) -> None:
        """Have a supervisor ready for the next start; the script has its first moment alone."""
        with contextlib.suppress(SpawnFailed):
            await process.started()
            await asyncio.sleep(_FIRST_MOMENT_SEC)
        self._spawner.prepare_next()

    async def _await_spawner(self, gone: 'asyncio.Future[TreeGone]') -> None:
        """Wait for the spawner's word, or for its end."""
        deadline = time.monotonic() + _SPAWNER_PATIENCE_SEC
        while not gone.done():
            await asyncio.wait({gone}, timeout=_STOPPED_INTERVAL_SEC)
            if time.monotonic() > deadline:
                self._spawner.force_restart()

    def _note_spawner(self, pid: int) -> None:
        self._own.add(pid)
        self._spawner_pid = pid
        mark = identify(pid)
        if mark is not None:
            write_spawner_mark(self._spawner_file, self.journal.boot_id, mark)

    def _end_all_orphans(self) -> None:
        """End what a spawner that died cannot end any more; supervisors that live go on."""
        if self._spawner_pid is not None:
            self._own.remove(self._spawner_pid)
        self._orphans.note_spawner_lost(self._processes)
        self.accompany(self._orphans.end_all())

    async def _continue_stopped(self) -> None:
        """Continue the spawner, and supervisors that lost theirs, as long as scripts run.

        The spawner does so for its own supervisors, once it goes on itself.
        """
        while self._processes:
            self._spawner.continue_if_stopped()
            for process in self._processes.values():
                process.continue_if_stopped()
            await asyncio.sleep(_STOPPED_INTERVAL_SEC)
