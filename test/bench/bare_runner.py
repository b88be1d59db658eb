# SPDX-License-Identifier: Apache-2.0
"""The supervised runner by itself: no HTTP, no record, no service."""

import asyncio
import itertools
from pathlib import Path
import time

from fakes import AN_APP

from bench.gateways import Signpost
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.scripts.values import Script, ScriptKind
from gateway_node.side_tasks import SideTasks


class BareRunner:
    """A started runner on a state directory of its own; close it."""

    def __init__(self, state_dir: Path) -> None:
        self._loop = asyncio.Runner()
        self._numbers = itertools.count(1)
        self._runner = self._loop.run(self._started(state_dir))

    def start(self, kind: ScriptKind, path: str, post: Signpost) -> float:
        """Start a script; return the milliseconds to its first line."""
        return self._loop.run(self._start(kind, path, post))

    def close(self) -> None:
        """End the spawner."""
        self._loop.run(self._runner.close())
        self._loop.close()

    @staticmethod
    async def _started(state_dir: Path) -> SupervisedScriptRunner:
        runner = SupervisedScriptRunner(
            state_dir, own_processes=OwnProcesses(), side_tasks=SideTasks()
        )
        await runner.start_up()
        return runner

    async def _start(self, kind: ScriptKind, path: str, post: Signpost) -> float:
        begun = time.perf_counter()
        process = await self._runner.start(self._order(kind, path, post), lambda _: None)
        post.wait()
        total = (time.perf_counter() - begun) * 1000
        outcome = await process.ended()
        await process.released()
        self._runner.acknowledge([process.execution_id])
        if outcome.exit_code != 0:
            raise RuntimeError(f'{path}: {outcome}')
        return total

    def _order(self, kind: ScriptKind, path: str, post: Signpost) -> StartOrder:
        script = Script(
            id='self_test',
            name='self_test',
            kind=kind,
            path=Path(path),
            version='0' * 64,
            size=0,
            managed=True,
        )
        return StartOrder(
            execution_id=f'exec_{next(self._numbers)}',
            entity=AN_APP,
            script=script,
            parameters={},
            arguments=(str(post.path),),
            timeout_sec=60.0,
            stop_grace_period_sec=1.0,
        )
