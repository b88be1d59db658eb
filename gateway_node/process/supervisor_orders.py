# SPDX-License-Identifier: Apache-2.0
"""From what is to be started to what a supervisor is told: program, environment, limits."""

from collections.abc import Sequence
import json
from pathlib import Path
import signal

from gateway_node.child.messages import ArtifactBounds, SupervisorOrder
from gateway_node.executions.errors import RunnerUnavailable, ScriptNotRunnable, SpawnFailed
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.process.command_line import command_line
from gateway_node.process.environment import script_environment
from gateway_node.process.installed_interpreters import InstalledInterpreters
from gateway_node.process.launch_fragments import LaunchFragments
from gateway_node.process.limits import supervisor_limits
from gateway_node.process.sourced_environment import SourcedEnvironment
from gateway_node.scripts.arguments import declared_arguments
from gateway_node.scripts.values import Limits, ScriptKind

LAUNCH_GRACE_SEC = 12.0
"""Least grace of a launch fragment: launch itself escalates for 10 s."""


class SupervisorOrders:
    """Makes them, and says before a start what would keep it from being made."""

    def __init__(
        self,
        environment: SourcedEnvironment,
        fragments: LaunchFragments,
        python_folder: Path,
        *,
        default_limits: Limits,
        keep_working_directories: bool,
        artifact_bounds: ArtifactBounds,
    ) -> None:
        self._environment = environment
        self._fragments = fragments
        self._interpreters = InstalledInterpreters()
        self._python_folder = python_folder
        self._default_limits = default_limits
        self._keep_working_directories = keep_working_directories
        self.gateway_url: str | None = None
        """The base of the API, for scripts; None as long as it is not served."""
        self._artifact_bounds = artifact_bounds

    async def vet_script(self, order: StartOrder) -> None:
        """Raise where the script cannot be run with its parameters; starts nothing.

        Raises:
            ScriptNotRunnable: the script has a fault, or what is to run it is not installed.
            ParametersInvalid: a parameter cannot be an argument, or is to be one and is secret.
            RunnerUnavailable: what is to run it is not found in time.
        """
        declared_arguments(order.script, order.parameters, order.secrets)
        present = self._environment.present
        if present is not None:
            # Where the set-up files have to be sourced first, the start says it.
            await self._interpreters.of(order.script, present)

    async def vet_fragment(self, order: StartOrder) -> None:
        """Raise where a launch fragment does not take the parameters; it may have to be executed.

        Raises:
            KindNotAvailable: the environment's Python has no launch.
            ParametersInvalid: the fragment requires or allows others.
            RunnerUnavailable: nothing can be started at the moment.
        """
        if order.script.kind is not ScriptKind.LAUNCH:
            return
        try:
            world = await self._environment.world()
        except SpawnFailed:
            # The start says so, in the execution.
            return
        await self._fragments.check(order.script, order.parameters, world, order.secrets)

    async def make(
        self, order: StartOrder, directory: Path, credentials: Path | None
    ) -> SupervisorOrder:
        """Return what a supervisor is told; `directory` is to be the execution's own.

        `credentials` is the file of what its script shows to the API.

        Raises:
            SpawnFailed: the set-up files cannot be sourced, or nothing runs the script any more.
        """
        world = await self._environment.world()
        try:
            runs_by = await self._interpreters.of(order.script, world)
        except (RunnerUnavailable, ScriptNotRunnable) as error:
            raise SpawnFailed(str(error)) from error
        environment = script_environment(
            world.variables,
            order,
            self._python_folder,
            gateway_url=self.gateway_url,
            credentials=credentials,
        )
        grace_sec = order.stop_grace_period_sec
        launch = order.script.kind is ScriptKind.LAUNCH
        told = SupervisorOrder(
            execution_id=order.execution_id,
            directory=str(directory),
            script_file=str(order.script.runs_from),
            argv=command_line(order, runs_by),
            base_environment=environment.base,
            environment=environment.own,
            folder_variables=environment.of_folder,
            # A line, as `read` wants it.
            stdin=json.dumps(dict(order.parameters)) + '\n',
            timeout_sec=order.timeout_sec,
            grace_sec=max(grace_sec, LAUNCH_GRACE_SEC) if launch else grace_sec,
            stop_signal=signal.SIGINT if launch else signal.SIGTERM,
            limits=supervisor_limits(order.script.limits, self._default_limits),
            keep_working_directory=self._keep_working_directories,
            artifacts=self._artifact_bounds,
        )
        if order.secrets:
            told['has_secrets'] = True
        return told

    def warnings(self, order: StartOrder) -> Sequence[str]:
        """Return what is odd about an order that was vetted, in sentences."""
        if order.script.kind is not ScriptKind.LAUNCH:
            return ()
        return self._fragments.warnings(order.script, order.parameters)
