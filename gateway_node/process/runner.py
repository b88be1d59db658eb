# SPDX-License-Identifier: Apache-2.0
"""Starts scripts under supervisors; fulfils the port `ScriptRunner`."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
import os
from pathlib import Path
from typing import Any

from gateway_node.child.messages import ArtifactBounds
from gateway_node.clock import Clock, SystemClock
from gateway_node.evidence.errors import Unavailable
from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.runner_ports import Outcome, StartOrder
from gateway_node.executions.values import Progress, UnkillableProcess
from gateway_node.process.artifact_files import ArtifactFiles
from gateway_node.process.clearing_away import make_anew_unless_usable
from gateway_node.process.code_command import CodeCommand
from gateway_node.process.companions import Companions
from gateway_node.process.credential_files import CredentialFiles
from gateway_node.process.environment import make_python_folder, without_secrets
from gateway_node.process.evidence_files import EvidenceFiles
from gateway_node.process.internal_programs import InternalPrograms
from gateway_node.process.journal import Journal
from gateway_node.process.kept_files import kept_bytes, remove_recorded
from gateway_node.process.launch_fragments import LaunchFragments
from gateway_node.process.limits import artifact_bounds
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.recovery import Recovery
from gateway_node.process.script_outputs import ScriptOutputs
from gateway_node.process.sourced_environment import SourcedEnvironment
from gateway_node.process.supervised_process import SupervisedProcess
from gateway_node.process.supervisor_orders import SupervisorOrders
from gateway_node.process.supervisors import Supervisors
from gateway_node.process.unkillable_notes import lives, UnkillableNotes
from gateway_node.process.warm_interpreter import WarmInterpreter
from gateway_node.removal import remove_tree
from gateway_node.scripts.installed_executables import PREFIX_PATH_VARIABLE
from gateway_node.scripts.values import Limits, Script
from gateway_node.side_tasks import SideTasks

_LOG_FILE = 'supervision.log'
_EXECUTIONS_FOLDER = 'executions'
_SUPERVISORS_FOLDER = 'supervisors'
_UNKILLABLE_FILE = 'unkillable.json'
_INTERNAL_FOLDER = 'internal'
_PYTHON_FOLDER = 'python'
_CREDENTIALS_FOLDER = 'credentials'


class SupervisedScriptRunner:
    """Turns orders into supervised process trees and keeps what they write.

    `start_up` before use, `close` after; both on the event loop's thread. Everything on disk is
    below the state directory.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        side_tasks: SideTasks,
        own_processes: OwnProcesses,
        setup_files: Sequence[Path] = (),
        base_environment: Mapping[str, str] | None = None,
        default_limits: Limits | None = None,
        keep_working_directories: bool = False,
        kept_artifacts: ArtifactBounds | None = None,
        warm_modules: Sequence[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`warm_modules` are loaded ahead for Python scripts; None: all scripts start cold."""
        clock = clock or SystemClock()
        self._state_dir = state_dir.absolute()
        self._folder = self._state_dir / _EXECUTIONS_FOLDER
        self._keep_working_directories = keep_working_directories
        self._kept_artifacts = kept_artifacts or artifact_bounds()
        self.artifacts = ArtifactFiles(self._folder)
        """What ended executions left."""
        self.evidence = EvidenceFiles(self._folder)
        """What was around ended executions."""
        self._own = own_processes
        self._journal = Journal(self._state_dir)
        self._supervisors_folder = self._state_dir / _SUPERVISORS_FOLDER
        self._earlier_folders: Sequence[Path] = ()
        self._supervisors = Supervisors(
            self._supervisors_folder,
            self._state_dir / _LOG_FILE,
            self._journal,
            self._own,
            side_tasks=side_tasks,
        )
        self._python_folder = self._state_dir / _PYTHON_FOLDER
        self._internal = InternalPrograms(
            self._state_dir / _INTERNAL_FOLDER, self._python_folder, self._supervisors
        )
        self._credentials = CredentialFiles(self._state_dir / _CREDENTIALS_FOLDER)
        self._unkillable = UnkillableNotes(self._state_dir / _UNKILLABLE_FILE)
        self._environment = SourcedEnvironment(
            without_secrets(os.environ if base_environment is None else base_environment),
            setup_files,
            self._state_dir / _INTERNAL_FOLDER,
            self._internal.run,
            clock,
        )
        self.outputs = ScriptOutputs(self._folder, self._supervisors.find)
        """What scripts write."""
        self._fragments = LaunchFragments(self._internal.describe, clock)
        self._orders = SupervisorOrders(
            self._environment,
            self._fragments,
            self._python_folder,
            default_limits=default_limits or Limits(),
            keep_working_directories=keep_working_directories,
            artifact_bounds=self._kept_artifacts,
        )
        self._warm = None
        if warm_modules is not None:
            self._warm = WarmInterpreter(
                warm_modules,
                environment=self._environment,
                trial=self._internal.try_warm,
                open_pool=self._supervisors.open_pool,
                close_pool=self._supervisors.close_pool,
                python_folder=self._python_folder,
                clock=clock,
                side_tasks=side_tasks,
            )
        self._putting_away = Companions()

    @property
    def containment(self) -> Mapping[str, Any]:
        """What holds scripts and keeps their limits on this machine; JSON values."""
        containment = self._supervisors.containment
        return {} if containment is None else containment.describe()

    @property
    def environment_warnings(self) -> Sequence[str]:
        """What is wrong with the set-up files, in sentences: that no script can start, or less."""
        return self._environment.warnings

    @property
    def warm_warnings(self) -> Sequence[str]:
        """Why Python scripts start cold although they should not, in a sentence."""
        return () if self._warm is None else self._warm.warnings

    @property
    def warm_state(self) -> str:
        """Whether Python scripts start warm at the moment: `ready`, `starting` or `off`."""
        return 'off' if self._warm is None else self._warm.state

    @property
    def spawner_restarts(self) -> int:
        """How often the process that starts scripts died and was started again."""
        return self._supervisors.spawner_restarts

    def serve_at(self, gateway_url: str) -> None:
        """Tell scripts where the API is: its base, as this host reaches it."""
        self._orders.gateway_url = gateway_url

    async def start_up(self) -> None:
        """Start the spawner and take the script environment.

        Raises:
            RunnerUnavailable: the spawner does not come up, or the state directory cannot be
                written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_anew_unless_usable(self._supervisors_folder)
            self._earlier_folders = tuple(self._supervisors_folder.iterdir())
            await asyncio.to_thread(self._internal.make_folder)
            await asyncio.to_thread(self._credentials.clear)
            make_python_folder(self._python_folder)
            self._journal.open()
            await self._supervisors.start_up()
        except OSError as error:
            raise RunnerUnavailable(
                f'the state_dir {self._state_dir} cannot be used: {error}'
            ) from error
        await self._environment.refresh()

    async def refresh_environment(self) -> None:
        """Source the set-up files anew; `environment_warnings` tell how it went."""
        await self._environment.refresh()

    async def prefix_path(self) -> str | None:
        """Return AMENT_PREFIX_PATH of the environment, taken anew where that is due; None where
        there is no environment."""
        try:
            world = await self._environment.world()
        except SpawnFailed:
            return None
        return world.variables.get(PREFIX_PATH_VARIABLE, '')

    async def variables(self, script: Script) -> Mapping[str, str]:
        """Return the variables that a script finds, without what each execution has for itself;
        Unavailable."""
        try:
            world = await self._environment.world()
        except SpawnFailed as error:
            raise Unavailable(str(error)) from error
        return {**world.variables, **script.environment}

    def code_command(self, argv: Sequence[str]) -> CodeCommand:
        """Return the command that shows codes beside the robot."""
        return CodeCommand(argv, self._environment.world, self._internal.tell)

    def warm_up(self) -> None:
        """Have an interpreter ready soon that Python scripts are forked from."""
        if self._warm is not None:
            self._warm.begin()

    async def ready(self) -> None:
        """Return where scripts can be started at the moment, their environment included.

        Raises:
            RunnerUnavailable: there is no spawner, or the set-up files cannot be sourced.
        """
        self._supervisors.check()
        try:
            await self._environment.world()
        except SpawnFailed as error:
            raise RunnerUnavailable(str(error)) from error

    async def vet(self, order: StartOrder) -> None:
        """Raise where `order` cannot be started now, before anything is recorded.

        Raises:
            KindNotAvailable, ScriptNotRunnable: this gateway cannot run the script's kind, or
                this script.
            ParametersInvalid: a parameter cannot be an argument of the script, or the launch
                fragment requires or allows others.
            RunnerUnavailable: nothing can be started at the moment.
        """
        await self._orders.vet_script(order)
        self._supervisors.check()
        await self._orders.vet_fragment(order)

    async def look_over(self, order: StartOrder) -> None:
        """Raise as `vet` does, as far as nothing has to be executed to know."""
        await self._orders.vet_script(order)

    async def start(
        self, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> SupervisedProcess:
        """Start the script; `on_progress` is called on the event loop until the tree has ended.

        Raises:
            SpawnFailed: the process could not be started; nothing is left behind.
        """
        try:
            return await self._start(order, on_progress)
        except BaseException:
            self._credentials.remove(order.execution_id)
            raise

    async def _start(
        self, order: StartOrder, on_progress: Callable[[Progress], None]
    ) -> SupervisedProcess:
        directory = self._folder / order.execution_id
        supervisor_order = await self._orders.make(
            order, directory, self._written_credentials(order)
        )
        warnings = self._orders.warnings(order)
        pool = None
        if self._warm is not None:
            pool = await self._warm.pool_for(order.script, supervisor_order['argv'])
        return await self._supervisors.start(supervisor_order, on_progress, warnings, pool)

    def _written_credentials(self, order: StartOrder) -> Path | None:
        if order.token is None:
            return None
        try:
            return self._credentials.write(order.execution_id, order.token)
        except OSError as error:
            raise SpawnFailed(
                f'what the script shows to the API cannot be written: {error.strerror}'
            ) from error

    def acknowledge(self, execution_ids: Iterable[str]) -> None:
        """Take note that these ends are recorded.

        Until then `recover` of the next gateway tells of them. What the record holds is removed
        here, but not before the supervisors are gone; returns at once.
        """
        execution_ids = tuple(execution_ids)
        for execution_id in execution_ids:
            self._credentials.remove(execution_id)
        others = [each for each in execution_ids if not self._supervisors.acknowledge(each)]
        if others:
            self._putting_away.start('put away', self._put_away(others))

    async def kept(self) -> tuple[str, ...]:
        """Return the ids of all executions of which something is kept, in order."""
        return tuple(sorted(await asyncio.to_thread(os.listdir, self._folder)))

    async def kept_bytes(self, execution_ids: Sequence[str]) -> Sequence[int]:
        """Return how much of the disk is taken by what is kept of each of these ended
        executions."""
        return await asyncio.to_thread(lambda: [*map(self._kept_bytes, execution_ids)])

    async def discard(self, execution_id: str) -> None:
        """Remove all that was kept of an ended execution."""
        await asyncio.to_thread(remove_tree, self._folder / execution_id)
        self.outputs.forget(execution_id)
        if not self._supervisors.may_tell_of(execution_id):
            self._journal.remove(execution_id)

    async def recover(self) -> Mapping[str, Outcome]:
        """End what an earlier gateway left running; return how it ended, by execution id.

        Executions whose end earlier gateways had seen, but not acknowledged, are among them.
        """
        recovery = Recovery(
            self._journal,
            self._folder,
            self._earlier_folders,
            self._own.strangers,
            keep_working_directories=self._keep_working_directories,
            artifact_bounds=self._kept_artifacts,
        )
        return await recovery.conclude()

    def lives(self, process: UnkillableProcess) -> bool:
        """Tell whether a process that could not be ended still lives."""
        return lives(process)

    def remember(self, execution_id: str, left: Sequence[UnkillableProcess]) -> None:
        """Note for later gateways what an execution left; nothing fails without."""
        self._unkillable.remember(execution_id, left)

    async def remembered(self) -> Mapping[str, tuple[UnkillableProcess, ...]]:
        """Return what was noted and still lives, by execution id."""
        return self._unkillable.living()

    async def close(self) -> None:
        """End the runner's own processes; every script has ended before."""
        if self._warm is not None:
            await self._warm.close()
        await self._fragments.close()
        self._internal.end()
        await self._putting_away.wait()
        await self._supervisors.close()
        await asyncio.to_thread(self._credentials.clear)
        self._journal.close()

    async def _put_away(self, execution_ids: Sequence[str]) -> None:
        await self._supervisors.wait_released(execution_ids)
        await asyncio.to_thread(self._remove_recorded, execution_ids)
        for execution_id in execution_ids:
            self._journal.remove(execution_id)

    def _remove_recorded(self, execution_ids: Sequence[str]) -> None:
        for execution_id in execution_ids:
            remove_recorded(self._folder / execution_id)

    def _kept_bytes(self, execution_id: str) -> int:
        return kept_bytes(
            self._folder / execution_id, keep_working_directory=self._keep_working_directories
        )
