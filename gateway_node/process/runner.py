"""Starts scripts under supervisors; fulfils the port `ScriptRunner`."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
import contextlib
from dataclasses import replace
import json
import logging
import os
from pathlib import Path
import shutil
import signal
import socket
from typing import Any

from gateway_node.child.messages import SupervisorLimits, SupervisorOrder
from gateway_node.child.process_tree import become_subreaper
from gateway_node.child.workplace import MENDED_SCRIPT
from gateway_node.executions.errors import KindNotAvailable, RunnerUnavailable, SpawnFailed
from gateway_node.executions.ports import Outcome, StartOrder
from gateway_node.executions.values import Output, Progress, StopAction
from gateway_node.process.command_line import command_line, Interpreters, resolve_interpreters
from gateway_node.process.containment import (
    Containment,
    probe_containment,
    remove_containment,
)
from gateway_node.process.environment import script_environment, without_secrets
from gateway_node.process.foster import end_orphans
from gateway_node.process.journal import (
    Journal,
    JournalEntry,
    ProcessMark,
    read_spawner_mark,
    write_spawner_mark,
)
from gateway_node.process.output_log import read_output
from gateway_node.process.recovery import Recovery
from gateway_node.process.script_process import SupervisedProcess
from gateway_node.process.spawner_client import SpawnerClient, TreeGone
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.values import Limits, ScriptKind

_log = logging.getLogger(__name__)

LAUNCH_GRACE_SEC = 12.0
"""Least grace of a launch fragment: launch itself escalates for 10 s."""
_EXECUTIONS_FOLDER = 'executions'
_LOG_FILE = 'supervision.log'
_MAX_LOG_BYTES = 1024 * 1024
_JOURNAL_FOLDER = 'open'
_SPAWNER_FILE = 'spawner.json'
_JOURNAL_AFTERLIFE_SEC = 60.0
_FOSTER_INTERVAL_SEC = 0.25
_MENDED_KINDS = (ScriptKind.SH, ScriptKind.BASH)


class SupervisedScriptRunner:
    """Owns the spawner and the folder of everything that executions leave.

    `start_up` before use, `close` after; both on the event loop's thread.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        base_environment: Mapping[str, str] | None = None,
        default_limits: Limits | None = None,
        keep_working_directories: bool = False,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._folder = self._state_dir / _EXECUTIONS_FOLDER
        self._default_limits = default_limits or Limits()
        self._keep_working_directories = keep_working_directories
        self._environment = without_secrets(
            os.environ if base_environment is None else base_environment
        )
        self._interpreters: Interpreters | None = None
        self._journal = Journal(self._state_dir / _JOURNAL_FOLDER)
        self._earlier: Mapping[str, JournalEntry] = {}
        self._earlier_spawner: ProcessMark | None = None
        self._containment: Containment | None = None
        self._spawner = SpawnerClient(
            self._state_dir / _LOG_FILE, self._note_spawner, self._foster_all
        )
        self._processes: dict[str, SupervisedProcess] = {}
        self._companions: set[asyncio.Task[None]] = set()
        self._concluded: dict[str, asyncio.TimerHandle] = {}

    @property
    def containment(self) -> Mapping[str, Any]:
        """What holds scripts and keeps their limits on this machine; JSON values."""
        return {} if self._containment is None else self._containment.describe()

    @property
    def spawner_restarts(self) -> int:
        """How often the process that starts scripts died and was started again."""
        return self._spawner.restarts

    async def start_up(self) -> None:
        """Start the spawner.

        Raises:
            RunnerUnavailable: it does not come up.
            OSError: the state directory cannot be written.
        """
        for folder in (self._folder, self._state_dir / _JOURNAL_FOLDER):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._earlier = self._journal.read()
        self._earlier_spawner = read_spawner_mark(
            self._state_dir / _SPAWNER_FILE, self._journal.boot_id
        )
        become_subreaper()
        self._containment = probe_containment()
        log_file = self._state_dir / _LOG_FILE
        with contextlib.suppress(FileNotFoundError):
            if log_file.stat().st_size > _MAX_LOG_BYTES:
                log_file.unlink()
        self._offer_script_api()
        self._interpreters = resolve_interpreters(self._environment, changed_path=False)
        await self._spawner.start()

    async def vet(self, order: StartOrder) -> None:
        """Raise where `order` cannot be started now, before anything is recorded.

        Raises:
            KindNotAvailable: this gateway cannot run the script's kind.
            ParametersInvalid: a parameter cannot be an argument of the script.
            RunnerUnavailable: nothing can be started at the moment.
        """
        if order.script.kind is ScriptKind.LAUNCH:
            raise KindNotAvailable(ScriptKind.LAUNCH, 'launch fragments are not implemented yet')
        declared_arguments(order.script, order.parameters)
        if not self._spawner.available:
            raise RunnerUnavailable('the process that starts scripts is being restarted')

    async def start(
        self, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> SupervisedProcess:
        """Start the script; `on_progress` is called on the event loop until the tree has ended.

        Raises:
            SpawnFailed: the process could not be started; nothing is left behind.
        """
        directory = self._folder / order.execution_id
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            raise SpawnFailed(f'{directory} cannot be made: {error.strerror}') from error
        try:
            process = await self._start_in(directory, order, on_progress)
        except BaseException:
            self._journal.remove(order.execution_id)
            shutil.rmtree(directory, ignore_errors=True)
            raise
        try:
            pid = await process.started()
        except SpawnFailed:
            await process.supervisor_gone()
            self._journal.remove(order.execution_id)
            shutil.rmtree(directory, ignore_errors=True)
            raise
        except asyncio.CancelledError:
            process.stop(StopAction.FORCED_TERMINATION)
            raise
        self._note_script(order.execution_id, process, pid)
        return process

    async def output(self, execution_id: str) -> Output:
        """Return what was kept of the output, while it runs and after; empty where unknown."""
        return read_output(self._folder / execution_id)

    async def discard(self, execution_id: str) -> None:
        """Remove all that was kept of an ended execution."""
        await asyncio.to_thread(shutil.rmtree, self._folder / execution_id, ignore_errors=True)

    async def recover(self) -> Mapping[str, Outcome]:
        """End what an earlier gateway left running; return how it ended, by execution id.

        Executions whose end the earlier gateway had seen, but perhaps not recorded, are among
        them.
        """
        recovery = Recovery(
            self._journal,
            self._folder,
            self._earlier_spawner,
            keep_working_directories=self._keep_working_directories,
        )
        earlier, self._earlier = self._earlier, {}
        return await recovery.conclude(earlier)

    async def close(self) -> None:
        """End the runner's own processes; every script has ended before."""
        if self._companions:
            await asyncio.wait(self._companions)
        await self._spawner.close()
        for execution_id, timer in self._concluded.items():
            timer.cancel()
            self._journal.remove(execution_id)
        self._concluded.clear()
        (self._state_dir / _SPAWNER_FILE).unlink(missing_ok=True)
        if self._containment is not None:
            remove_containment(self._containment)

    async def _start_in(
        self, directory: Path, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> SupervisedProcess:
        try:
            self._journal.write(self._journal_entry(order.execution_id))
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise SpawnFailed(f'the start cannot be prepared: {error.strerror}') from error
        try:
            forked, gone = await self._spawner.spawn(order.execution_id, theirs)
        except RunnerUnavailable as error:
            ours.close()
            raise SpawnFailed(str(error)) from error
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        process = SupervisedProcess(order.execution_id, directory, ours, forked, on_progress)
        self._processes[order.execution_id] = process
        self._accompany(self._conclude_when_gone(process, gone))
        self._note_script(order.execution_id, process, None)
        process.send(self._supervisor_order(order, directory))
        return process

    def _journal_entry(self, execution_id: str) -> JournalEntry:
        folder = None if self._containment is None else self._containment.folder
        return JournalEntry(
            execution_id=execution_id,
            boot_id=self._journal.boot_id,
            cgroup=None if folder is None else str(folder),
        )

    def _note_script(self, execution_id: str, process: SupervisedProcess, pid: int | None) -> None:
        """Journal who is to be ended should this gateway die; the start goes on without."""
        if execution_id not in self._processes:
            return
        entry = replace(
            self._journal_entry(execution_id),
            supervisor=ProcessMark.of(process.supervisor_pid),
            script=None if pid is None else ProcessMark.of(pid),
        )
        try:
            self._journal.write(entry)
        except OSError:
            _log.exception('the journal cannot be written: execution %s', execution_id)

    def _accompany(self, companion: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(companion)
        self._companions.add(task)
        task.add_done_callback(self._companions.discard)

    async def _conclude_when_gone(
        self, process: SupervisedProcess, gone: 'asyncio.Future[TreeGone]'
    ) -> None:
        await process.supervisor_gone()
        if not process.concluded:
            # The spawner ends what a lost supervisor leaves; without a spawner it comes here.
            await asyncio.wait({gone})
            if gone.cancelled():
                process.conclude_lost(await end_orphans(self._supervisor_pids))
            else:
                process.conclude_lost(gone.result())
        del self._processes[process.execution_id]
        # Kept a moment for whoever records the outcome: a gateway that dies before that was done
        # hears of it from `recover`.
        self._concluded[process.execution_id] = asyncio.get_running_loop().call_later(
            _JOURNAL_AFTERLIFE_SEC, self._forget, process.execution_id
        )

    def _forget(self, execution_id: str) -> None:
        self._concluded.pop(execution_id, None)
        self._journal.remove(execution_id)

    def _supervisor_pids(self) -> set[int]:
        pids = {process.supervisor_pid for process in self._processes.values()}
        return pids if self._spawner.pid is None else pids | {self._spawner.pid}

    def _note_spawner(self, pid: int) -> None:
        mark = ProcessMark.of(pid)
        if mark is not None:
            write_spawner_mark(self._state_dir / _SPAWNER_FILE, self._journal.boot_id, mark)

    def _foster_all(self) -> None:
        """Look after supervisors whose spawner died; they are this process's children now."""
        self._accompany(self._foster(tuple(self._processes.values())))

    async def _foster(self, processes: tuple[SupervisedProcess, ...]) -> None:
        await end_orphans(self._supervisor_pids)
        while any(process.alive for process in processes):
            for process in processes:
                process.continue_if_stopped()
            await asyncio.sleep(_FOSTER_INTERVAL_SEC)

    def _supervisor_order(self, order: StartOrder, directory: Path) -> SupervisorOrder:
        assert self._interpreters is not None, 'start_up comes first'
        kind = order.script.kind
        script = str(order.script.path)
        launch = kind is ScriptKind.LAUNCH
        supervisor_order = SupervisorOrder(
            execution_id=order.execution_id,
            directory=str(directory),
            argv=[],
            environment=script_environment(
                self._environment, order, str(directory), str(self._state_dir / 'python')
            ),
            stdin=json.dumps(dict(order.parameters)),
            timeout_sec=order.timeout_sec,
            grace_sec=(
                max(order.stop_grace_period_sec, LAUNCH_GRACE_SEC)
                if launch
                else order.stop_grace_period_sec
            ),
            stop_signal=signal.SIGINT if launch else signal.SIGTERM,
            limits=supervisor_limits(order.script.limits, self._default_limits),
            keep_working_directory=self._keep_working_directories,
        )
        if self._containment is not None and self._containment.folder is not None:
            supervisor_order['cgroup'] = str(self._containment.folder)
        if kind in _MENDED_KINDS:
            mended = str(directory / MENDED_SCRIPT)
            supervisor_order['mend'] = (script, mended)
            script = mended
        supervisor_order['argv'] = command_line(order, self._interpreters, script)
        return supervisor_order

    def _offer_script_api(self) -> None:
        """Make a folder in which Python finds this package and nothing else."""
        folder = self._state_dir / 'python'
        folder.mkdir(exist_ok=True, mode=0o700)
        package = Path(__file__).resolve().parent.parent
        link = folder / package.name
        if not link.is_symlink() or link.readlink() != package:
            link.unlink(missing_ok=True)
            link.symlink_to(package)


def supervisor_limits(limits: Limits, default: Limits) -> SupervisorLimits:
    """Return the script's limits, and the default where it sets none."""

    def pick(own: float | None, general: float | None) -> float | None:
        return general if own is None else own

    return SupervisorLimits(
        cpu_sec=pick(limits.cpu_sec, default.cpu_sec),
        memory_mb=pick(limits.memory_mb, default.memory_mb),
        processes=limits.processes if limits.processes is not None else default.processes,
        open_files=limits.open_files if limits.open_files is not None else default.open_files,
        file_size_mb=pick(limits.file_size_mb, default.file_size_mb),
        output_mb=pick(limits.output_mb, default.output_mb),
    )
