# SPDX-License-Identifier: Apache-2.0
"""What the gateway runs for itself, under supervision like scripts, but in no journal.

A shell that sources the set-up files, the program that tells what a launch fragment declares, the
one that tries what a warm interpreter would load, and a command of the site's: all execute what
others wrote.
"""

import asyncio
from collections.abc import Sequence
import itertools
from pathlib import Path
import signal

from gateway_node.child.contract import (
    DESCRIBE,
    SAFE_PATH,
    WARM_TRIAL_PROGRAM,
    WORKING_DIRECTORY,
)
from gateway_node.child.messages import SupervisorOrder
from gateway_node.executions.runner_ports import Outcome
from gateway_node.executions.values import StopAction
from gateway_node.process.command_line import launch_program
from gateway_node.process.environment import internal_environment, LOG_DIRECTORY
from gateway_node.process.launch_fragments import READING_TIMEOUT_SEC
from gateway_node.process.limits import NO_LIMITS, supervisor_limits
from gateway_node.process.output_reading import read_output
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.process.supervised_process import SupervisedProcess
from gateway_node.process.supervisors import Supervisors
from gateway_node.removal import remove_tree
from gateway_node.scripts.values import Limits, Script

_DESCRIBE_LIMITS = Limits(cpu_sec=15.0, memory_mb=1024, processes=64, file_size_mb=64, output_mb=8)
"""Of reading what a launch fragment declares, where it sets no limits itself."""


_TRIAL_TIMEOUT_SEC = 60.0
"""For what imports modules and makes two nodes; on a small robot that takes ten seconds."""


class InternalPrograms:
    """Runs them; `make_folder` before use."""

    def __init__(self, folder: Path, python_folder: Path, supervisors: Supervisors) -> None:
        self._folder = folder
        self._python_folder = python_folder
        self._supervisors = supervisors
        self._numbers = itertools.count(1)
        self._running: set[SupervisedProcess] = set()

    def make_folder(self) -> None:
        """Make the folder of their directories, in place of an earlier gateway's; blocks.

        Raises:
            OSError: it cannot be made.
        """
        remove_tree(self._folder)
        self._folder.mkdir(mode=0o700)

    async def describe(self, script: Script, world: ScriptWorld) -> Outcome:
        """Run the program that tells what a launch fragment declares.

        Raises:
            RunnerUnavailable, SpawnFailed: it cannot be started.
        """
        directory = self._folder / f'describe_{next(self._numbers)}'
        environment = internal_environment(
            world.variables, script.environment, self._python_folder
        )
        outcome, _ = await self.run(
            SupervisorOrder(
                execution_id=directory.name,
                directory=str(directory),
                argv=[*launch_program(world.interpreters), DESCRIBE, str(script.runs_from)],
                base_environment=environment.base,
                environment=environment.own,
                folder_variables=environment.of_folder,
                stdin='',
                timeout_sec=READING_TIMEOUT_SEC,
                grace_sec=1.0,
                stop_signal=signal.SIGTERM,
                limits=supervisor_limits(script.limits, _DESCRIBE_LIMITS),
                keep_working_directory=False,
            )
        )
        return outcome

    async def try_warm(self, world: ScriptWorld, modules: Sequence[str]) -> tuple[Outcome, str]:
        """Run the program that tries whether scripts can be forked with the modules loaded.

        Raises:
            RunnerUnavailable, SpawnFailed: it cannot be started.
        """
        environment = internal_environment(world.variables, {}, self._python_folder)
        # A node logs, to a folder that goes with the trial.
        logs = {'ROS_LOG_DIR': f'{WORKING_DIRECTORY}/{LOG_DIRECTORY}'}
        name = f'warm_trial_{next(self._numbers)}'
        return await self.run(
            SupervisorOrder(
                execution_id=name,
                directory=str(self._folder / name),
                argv=[world.interpreters.python, SAFE_PATH, '-m', WARM_TRIAL_PROGRAM, *modules],
                base_environment=environment.base,
                environment=environment.own,
                folder_variables={**environment.of_folder, **logs},
                stdin='',
                timeout_sec=_TRIAL_TIMEOUT_SEC,
                grace_sec=1.0,
                stop_signal=signal.SIGTERM,
                limits=NO_LIMITS,
                keep_working_directory=False,
            )
        )

    async def tell(
        self, argv: Sequence[str], message: str, world: ScriptWorld, *, timeout_sec: float
    ) -> Outcome:
        """Run a command of the site's, with a message on its stdin and nowhere else.

        Raises:
            RunnerUnavailable, SpawnFailed: it cannot be started.
        """
        environment = internal_environment(world.variables, {}, self._python_folder)
        name = f'command_{next(self._numbers)}'
        outcome, _ = await self.run(
            SupervisorOrder(
                execution_id=name,
                directory=str(self._folder / name),
                argv=list(argv),
                base_environment=environment.base,
                environment=environment.own,
                folder_variables=environment.of_folder,
                stdin=message,
                timeout_sec=timeout_sec,
                grace_sec=1.0,
                stop_signal=signal.SIGTERM,
                limits=NO_LIMITS,
                keep_working_directory=False,
            )
        )
        return outcome

    async def run(self, order: SupervisorOrder) -> tuple[Outcome, str]:
        """Run a program to its end; return how it ended, and its stderr.

        Raises:
            RunnerUnavailable, SpawnFailed: it cannot be started.
        """
        process = await self._supervisors.begin(order, lambda _: None, journalled=False)
        self._running.add(process)
        try:
            outcome = await process.ended()
            output = outcome.output
            if output is None:
                output = await asyncio.to_thread(read_output, process.directory)
            return outcome, output.stderr
        finally:
            self._running.discard(process)
            await self._supervisors.give_up(process)

    def end(self) -> None:
        """Kill what runs: nobody waits for it any more."""
        for process in self._running:
            process.stop(StopAction.FORCED_TERMINATION)
