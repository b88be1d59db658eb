# SPDX-License-Identifier: Apache-2.0
"""The interpreter that Python scripts are forked from, which has their modules loaded.

It is a second spawner, in the environment of scripts. First a trial under supervision finds out
whether a fork of it can use ROS; without that, and while it is away, scripts start cold. It is
started anew where the environment is another one, or a file has changed of which it has loaded
something; the one before is not used any more then, and ends with the last script that it has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
import json
import logging
import math
from pathlib import Path
from typing import Any, cast

from gateway_node.child.contract import EXECUTION_ID_VARIABLE, SAFE_PATH, WARM_SPAWNER_PROGRAM
from gateway_node.child.messages import Loaded
from gateway_node.clock import Clock
from gateway_node.executions.errors import RunnerUnavailable, SpawnFailed
from gateway_node.executions.runner_ports import Outcome
from gateway_node.process.environment import internal_environment
from gateway_node.process.sourced_environment import SourcedEnvironment
from gateway_node.process.sourcing import ScriptWorld
from gateway_node.process.spawner_program import SpawnerProgram
from gateway_node.process.supervisor_pool import SupervisorPool
from gateway_node.process.warm_starts import may_be_warm
from gateway_node.scripts.values import Script
from gateway_node.side_tasks import SideTasks
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)

_RETRY_SEC = 60.0
"""After a failure, until a start is a reason to try again."""
_LOOK_INTERVAL_SEC = 1.0
"""Between two looks at the files; each is a millisecond's work."""
_LOOK_PATIENCE_SEC = 2.0
"""For a look; where a mount does not answer a script starts cold."""
_MARK_ROOM = '_' * 128
"""What the variable that marks a process is at first: as long as any id."""
_STDERR_TAIL = 500
_OWN_PACKAGE = str(Path(__file__).resolve().parent.parent)
"""The other side of the fork has to be of this version."""

Trial = Callable[[ScriptWorld, Sequence[str]], Awaitable[tuple[Outcome, str]]]
"""Runs the program that tries whether the modules can be loaded ahead; its outcome and stderr."""


@dataclass(kw_only=True)
class _Present:
    """One that serves."""

    pool: SupervisorPool
    world: ScriptWorld
    files: Mapping[Path, tuple[int, ...]]
    """Of which it has loaded something, as they were then."""
    looked_at: float
    """When they were last seen to be so, by the monotonic clock."""
    look: 'Look[bool]' = field(init=False)


class _NotWarm(Exception):
    """There can be no such interpreter here; says why."""


class WarmInterpreter:
    """Keeps one, from `begin` to `close`."""

    def __init__(
        self,
        modules: Sequence[str],
        *,
        environment: SourcedEnvironment,
        trial: Trial,
        open_pool: Callable[[SpawnerProgram], SupervisorPool],
        close_pool: Callable[[SupervisorPool], Coroutine[Any, Any, None]],
        python_folder: Path,
        clock: Clock,
        side_tasks: SideTasks,
    ) -> None:
        """`modules` are to be loaded."""
        self._modules = tuple(modules)
        self._environment = environment
        self._trial = trial
        self._open_pool = open_pool
        self._close_pool = close_pool
        self._python_folder = python_folder
        self._clock = clock
        self._side_tasks = side_tasks
        self._threads = Threads('files of the warm interpreter', 1)
        self._present: _Present | None = None
        self._trouble = ''
        self._again_at = math.inf
        self._wanted = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def serves(self) -> bool:
        """True where scripts can be forked from it at the moment."""
        return self._present is not None and self._present.pool.spawner.available

    @property
    def state(self) -> str:
        """`ready`, `starting`, or `off` where there is a warning."""
        if self.warnings:
            return 'off'
        return 'ready' if self.serves else 'starting'

    @property
    def warnings(self) -> Sequence[str]:
        """Why Python scripts start cold, in a sentence; none while the first one is started."""
        if self._trouble:
            return (f'Python scripts start cold: {self._trouble}',)
        if self._present is not None and not self.serves:
            return ('Python scripts start cold: their interpreter died and is started again',)
        return ()

    def begin(self) -> None:
        """Start one, in the background, and keep it from now on."""
        self._wanted.set()
        self._tasks.add(self._side_tasks.start('keep a warm interpreter', self._keep()))

    async def pool_for(self, script: Script, argv: Sequence[str]) -> SupervisorPool | None:
        """Return whose supervisors fork this script; None where it is to start cold."""
        present = self._present
        if present is None:
            if self._clock.monotonic() >= self._again_at:
                self._wanted.set()
            return None
        if not may_be_warm(script, argv, present.world) or not self.serves:
            return None
        if not self._is_of(present, self._environment.present):
            self._renew_later(present)
            return None
        return present.pool if await self._is_fresh(present) else None

    async def close(self) -> None:
        """Start none any more; the pools are their owner's to close."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            self._trouble, self._again_at = '', math.inf
            try:
                await self._start()
            except SpawnFailed:
                # A warning of the environment's says that no script can start.
                self._again_at = self._clock.monotonic()
            except (_NotWarm, RunnerUnavailable, OSError) as error:
                self._trouble = str(error)
                self._again_at = self._clock.monotonic() + _RETRY_SEC
                _log.warning('%s', self.warnings[0])

    async def _start(self) -> None:
        world = await self._environment.world()
        loaded = await self._try(world)
        pool = self._open_pool(self._program(world, loaded))
        try:
            await pool.start()
        except RunnerUnavailable:
            await self._close_pool(pool)
            raise
        present = _Present(
            pool=pool,
            world=world,
            files={Path(path): tuple(stamp) for path, stamp in loaded['files'].items()},
            looked_at=self._clock.monotonic(),
        )
        present.look = Look(self._threads, lambda: _are_as(present.files), _LOOK_PATIENCE_SEC)
        self._present = present
        _log.info('Python scripts start warm: %d modules are loaded', len(loaded['modules']))

    async def _try(self, world: ScriptWorld) -> Loaded:
        try:
            outcome, stderr = await self._trial(world, self._modules)
        except SpawnFailed as error:
            raise _NotWarm(str(error)) from error
        found = outcome.result or {}
        if 'loaded' not in found:
            tail = stderr.strip()[-_STDERR_TAIL:]
            why = found.get('failed') or outcome.message or 'the trial gave no result'
            raise _NotWarm(f'{why}; stderr: {tail}' if tail else str(why))
        loaded = cast(Loaded, found['loaded'])
        if loaded['package'] != _OWN_PACKAGE:
            raise _NotWarm(f'their environment has another gateway_node, in {loaded["package"]}')
        return loaded

    def _program(self, world: ScriptWorld, loaded: Loaded) -> SpawnerProgram:
        program = f'from {WARM_SPAWNER_PROGRAM} import main; main()'
        what = json.dumps({**loaded, 'files': {}})
        environment = internal_environment(world.variables, {}, self._python_folder)
        return SpawnerProgram(
            argv=(world.interpreters.python, SAFE_PATH, '-c', program, what),
            environment={
                **environment.base,
                **environment.own,
                EXECUTION_ID_VARIABLE: _MARK_ROOM,
            },
        )

    def _is_of(self, present: _Present, world: ScriptWorld | None) -> bool:
        """Tell whether it has the environment that scripts have now."""
        return world is not None and (
            world is present.world
            or (world.variables, world.interpreters)
            == (present.world.variables, present.world.interpreters)
        )

    async def _is_fresh(self, present: _Present) -> bool:
        """Tell whether what it has loaded is what would be loaded now."""
        if self._clock.monotonic() - present.looked_at < _LOOK_INTERVAL_SEC:
            return True
        try:
            fresh = await present.look.answer()
        except TimeoutError:
            return False
        if fresh:
            present.looked_at = self._clock.monotonic()
        else:
            self._renew_later(present)
        return fresh

    def _renew_later(self, present: _Present) -> None:
        if self._present is present:
            self._present = None
            ending = self._side_tasks.start('end an interpreter', self._close_pool(present.pool))
            self._tasks.add(ending)
            ending.add_done_callback(self._tasks.discard)
            self._wanted.set()


def _are_as(files: Mapping[Path, tuple[int, ...]]) -> bool:
    """Tell whether all files are what they were; blocks."""
    try:
        return all(stamp == _stamp_of(path) for path, stamp in files.items())
    except OSError:
        return False


def _stamp_of(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
