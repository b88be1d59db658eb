"""Starts scripts under supervisors; fulfils the port `ScriptRunner`."""

import asyncio
from collections.abc import Callable, Mapping
import contextlib
import json
import logging
import os
from pathlib import Path
import shutil
import signal
import socket

from gateway_node.child.messages import SupervisorLimits, SupervisorOrder
from gateway_node.child.workplace import MENDED_SCRIPT
from gateway_node.executions.errors import KindNotAvailable, RunnerUnavailable, SpawnFailed
from gateway_node.executions.ports import Outcome, StartOrder
from gateway_node.executions.values import Output, Progress, StopAction
from gateway_node.process.command_line import command_line, Interpreters, resolve_interpreters
from gateway_node.process.environment import script_environment, without_secrets
from gateway_node.process.output_log import read_output
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
        self._spawner = SpawnerClient(self._state_dir / _LOG_FILE)
        self._watchers: set[asyncio.Task[None]] = set()

    async def start_up(self) -> None:
        """Start the spawner.

        Raises:
            RunnerUnavailable: it does not come up.
            OSError: the state directory cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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
            shutil.rmtree(directory, ignore_errors=True)
            raise
        try:
            await process.started()
        except SpawnFailed:
            await process.supervisor_gone()
            shutil.rmtree(directory, ignore_errors=True)
            raise
        except asyncio.CancelledError:
            process.stop(StopAction.FORCED_TERMINATION)
            raise
        return process

    async def output(self, execution_id: str) -> Output:
        """Return what was kept of the output, while it runs and after; empty where unknown."""
        return read_output(self._folder / execution_id)

    async def discard(self, execution_id: str) -> None:
        """Remove all that was kept of an ended execution."""
        await asyncio.to_thread(shutil.rmtree, self._folder / execution_id, ignore_errors=True)

    async def recover(self) -> Mapping[str, Outcome]:
        """End what an earlier gateway left running; return how it ended, by execution id."""
        return {}

    async def close(self) -> None:
        """End the runner's own processes; every script has ended before."""
        if self._watchers:
            await asyncio.wait(self._watchers)
        await self._spawner.close()

    async def _start_in(
        self, directory: Path, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> SupervisedProcess:
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            raise SpawnFailed(f'no socket can be made: {error.strerror}') from error
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
        process.send(self._supervisor_order(order, directory))
        watcher = asyncio.create_task(self._watch(process, gone))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)
        return process

    async def _watch(self, process: SupervisedProcess, gone: 'asyncio.Future[TreeGone]') -> None:
        await process.supervisor_gone()
        try:
            report = await gone
        except asyncio.CancelledError:
            report = TreeGone(killed=0, unkillable_pids=())
        process.conclude_lost(report)

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
