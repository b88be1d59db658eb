# SPDX-License-Identifier: Apache-2.0
"""For tests that run real scripts under real supervisors, and look at what is left."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
import contextlib
import importlib.util
import itertools
import os
from pathlib import Path
import secrets
import time
from typing import Any

from helper_processes import HELPERS, SPAWNER, without_idle_helpers
import pytest
from waiting import wait_until

from gateway_node.child.messages import ArtifactBounds
from gateway_node.child.process_tree import (
    become_subreaper,
    descendants,
    ProcessEntry,
)
from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.runner_ports import Outcome, StartOrder
from gateway_node.executions.values import Output, Progress
from gateway_node.process.environment import LOG_DIRECTORY
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.process.supervised_process import SupervisedProcess
from gateway_node.scripts.file_names import kind_by_name
from gateway_node.scripts.values import ArgumentDefinition, Limits, Script, ScriptKind
from gateway_node.side_tasks import SideTasks

# A folder of that name, such as the package's own, has a spec without an origin.
_LAUNCH = importlib.util.find_spec('launch')
needs_launch = pytest.mark.skipif(
    _LAUNCH is None or _LAUNCH.origin is None,
    reason='launch is not installed: it comes with a ROS distribution',
)
HOSTILE = Path(__file__).parents[1] / 'integration' / 'hostile'
DEADLINE_SEC = 45.0
_RUN = os.environ.setdefault('GATEWAY_TEST_RUN', secrets.token_hex(4))
"""Of tests and the programs that they start; tests run side by side, and a recovery ends whatever
on the machine bears one of its executions' ids."""


def run_id(number: int) -> str:
    """Return the id of an execution of which no other run of tests has one."""
    return f'exec_{_RUN}_{number:04}'


def living_descendants(without: Sequence[int] = ()) -> list[ProcessEntry]:
    """Return what lives below this process, which is a subreaper in these tests."""
    return [entry for entry in descendants(os.getpid(), without) if not entry.is_zombie]


def living_scripts() -> list[ProcessEntry]:
    """Return what lives below this process and belongs to an execution."""
    return without_idle_helpers(living_descendants())


async def without_helpers(gateway: int, entries: Sequence[ProcessEntry]) -> list[ProcessEntry]:
    """Return what of these was no helper of a gateway that has lost its spawner.

    The next spawner takes its name only a moment after it is there, and what the last one held
    ready may be gone by then.
    """
    helpers = {each.identity for each in entries if each.name in HELPERS}

    def has_spawner() -> bool:
        below = [each for each in descendants(gateway) if each.name in HELPERS]
        helpers.update(each.identity for each in below)
        return any(each.name == SPAWNER for each in below)

    await wait_until(has_spawner, what='the next spawner')
    return [each for each in entries if each.identity not in helpers]


KEPT = 'kept="$PWD/../../../executions/$GATEWAY_EXECUTION_ID"; mkdir -p "$kept"\n'
"""The first line of a shell script that lays hands on its execution's directory, `$kept`."""


class Floor:
    """A runner on a state directory of its own, and short ways to use it."""

    def __init__(
        self, runner: SupervisedScriptRunner, folder: Path, own_processes: OwnProcesses
    ) -> None:
        self.runner = runner
        self.own_processes = own_processes
        self.folder = folder
        self._numbers = itertools.count(1)
        # Tests run side by side, and a recovery ends whatever bears one of its executions' ids.
        self._prefix = f'exec_{secrets.token_hex(4)}'

    def script(
        self,
        content: str | bytes | Path,
        kind: ScriptKind = ScriptKind.SH,
        *,
        managed: bool = False,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
        argument_definitions: tuple[ArgumentDefinition, ...] = (),
        warm: bool = True,
    ) -> Script:
        """Return a script: the file itself, or a new one with the content."""
        if isinstance(content, Path):
            path = content
            kind = kind_by_name(path.name) or kind
        else:
            path = self.folder / f'script_{next(self._numbers)}'
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            path.chmod(0o700)
        return Script(
            id='script_1',
            name=path.name,
            kind=kind,
            path=path,
            version='0' * 64,
            size=path.stat().st_size,
            managed=managed,
            limits=limits or Limits(),
            environment=environment or {},
            argument_definitions=argument_definitions,
            warm=warm,
        )

    def order(
        self,
        script: Script,
        *,
        parameters: Mapping[str, Any] | None = None,
        arguments: tuple[str, ...] = (),
        timeout_sec: float = 30.0,
        grace_sec: float = 5.0,
        execution_id: str | None = None,
    ) -> StartOrder:
        """Return an order to run the script."""
        return StartOrder(
            execution_id=execution_id or f'{self._prefix}_{next(self._numbers):04}',
            entity=EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor'),
            script=script,
            parameters=parameters or {},
            arguments=arguments,
            timeout_sec=timeout_sec,
            stop_grace_period_sec=grace_sec,
        )

    def ros_logs(self) -> list[Path]:
        """Return what ROS has logged: where this process logs, and in the state directory."""
        logs = [*Path(os.environ['ROS_LOG_DIR']).glob('**/*')]
        # Folders go meanwhile, which a glob does not bear.
        state = os.walk(self.folder / 'state')
        kept = (
            Path(folder, LOG_DIRECTORY) for folder, names, _ in state if LOG_DIRECTORY in names
        )
        return [*logs, *kept]

    async def start(
        self, order: StartOrder, on_progress: Callable[[Progress], None] = lambda _: None
    ) -> SupervisedProcess:
        """Vet and start the order, as the service does."""
        await self.runner.vet(order)
        return await self.runner.start(order, on_progress)

    async def run(self, order: StartOrder) -> tuple[Outcome, Output]:
        """Start the order and wait for its end."""
        process = await self.start(order)
        async with asyncio.timeout(2 * DEADLINE_SEC):
            outcome = await process.ended()
        return outcome, await self.runner.outputs.of(order.execution_id)

    async def written(self, order: StartOrder, text: str) -> None:
        """Wait until the script has written `text` to stdout."""
        deadline = time.monotonic() + DEADLINE_SEC
        while text not in (await self.runner.outputs.of(order.execution_id)).stdout:
            if time.monotonic() > deadline:
                pytest.fail(f'the script did not write {text!r}')
            await asyncio.sleep(0.01)


def setup_file(folder: Path, content: str | bytes, name: str = 'setup.bash') -> Path:
    """Write a set-up file whose time differs from that of the one that it replaces."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    now = time.time_ns()
    os.utime(file, ns=(now, now))
    return file


@contextlib.asynccontextmanager
async def floor_on(
    folder: Path,
    setup_files: Sequence[Path] = (),
    clock: Clock | None = None,
    *,
    keep_working_directories: bool = False,
    warm_modules: Sequence[str] | None = None,
    kept_artifacts: ArtifactBounds | None = None,
) -> AsyncIterator[Floor]:
    """Give a started runner with the set-up files, closed at the end."""
    own_processes = OwnProcesses()
    runner = SupervisedScriptRunner(
        folder / 'state',
        own_processes=own_processes,
        setup_files=setup_files,
        clock=clock,
        keep_working_directories=keep_working_directories,
        warm_modules=warm_modules,
        kept_artifacts=kept_artifacts,
        side_tasks=SideTasks(),
    )
    await runner.start_up()
    try:
        yield Floor(runner, folder, own_processes)
    finally:
        await runner.close()


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    """Yield a started runner; afterwards nothing may live and no descriptor be open."""
    become_subreaper()
    descriptors = len(os.listdir('/proc/self/fd'))
    before = [entry.pid for entry in living_descendants()]
    async with floor_on(tmp_path) as started:
        yield started
    left = living_descendants(before)
    for entry in left:
        os.kill(entry.pid, 9)
    assert left == []
    # What an earlier test left to the garbage collector may be closed meanwhile.
    assert len(os.listdir('/proc/self/fd')) <= descriptors
