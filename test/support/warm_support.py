# SPDX-License-Identifier: Apache-2.0
"""For tests of scripts that are forked from an interpreter with their modules loaded."""

from collections.abc import AsyncIterator, Sequence
import contextlib
import dataclasses
from pathlib import Path
import re

from runner_support import Floor, floor_on
from waiting import wait_until

from gateway_node.executions.runner_ports import Outcome
from gateway_node.executions.values import Output
from gateway_node.scripts.values import Script, ScriptKind

MODULES = ('rclpy', 'gateway_node.script')
# What no two runs have in common: ids, times, addresses, the folders of supervisors.
_OF_ONE_RUN = re.compile(
    r'exec_[0-9a-z]+_\d+|0x[0-9a-f]+|\d{10}\.\d+|supervisors/[0-9a-f]+_\d+|pid=\d+'
)


@contextlib.asynccontextmanager
async def warm_floor_on(
    folder: Path, modules: Sequence[str] = MODULES, setup_files: Sequence[Path] = ()
) -> AsyncIterator[Floor]:
    """Give a started runner whose warm interpreter is ready, closed at the end."""
    async with floor_on(folder, setup_files, warm_modules=modules) as floor:
        floor.runner.warm_up()
        await ready(floor)
        yield floor


async def ready(floor: Floor, *, warned: bool = False) -> None:
    """Wait for the warm interpreter; without any warning before, unless that is expected."""

    def is_ready() -> bool:
        assert warned or floor.runner.warm_warnings == ()
        return floor.runner.warm_state == 'ready'

    await wait_until(is_ready, what='the warm interpreter')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """What there is to compare of a run."""

    warm: bool
    outcome: Outcome
    output: Output

    @property
    def told(self) -> dict[str, object]:
        """All that must not depend on how the script was started."""
        outcome = self.outcome
        return {
            'cause': outcome.cause,
            'exit code': outcome.exit_code,
            'signal': outcome.signal,
            'message': outcome.message,
            'leftovers': outcome.leftover_processes,
            'result': outcome.result,
            'printed': outcome.printed,
            'warnings': outcome.warnings,
            'stdout': _OF_ONE_RUN.sub('…', self.output.stdout).splitlines(),
            'stderr': _OF_ONE_RUN.sub('…', self.output.stderr).splitlines(),
        }


async def run(
    floor: Floor,
    content: str | bytes | Path,
    *,
    warm: bool = True,
    managed: bool = False,
) -> Run:
    """Run a Python script to its end."""
    script = floor.script(content, ScriptKind.PYTHON, warm=warm, managed=managed)
    return await run_script(floor, script)


async def run_script(floor: Floor, script: Script) -> Run:
    """Run a script to its end."""
    order = floor.order(script, parameters={'a': 1, 'text': 'ä'}, arguments=('x', '--y'))
    process = await floor.start(order)
    outcome = await process.ended()
    output = await floor.runner.outputs.of(order.execution_id)
    floor.runner.acknowledge([order.execution_id])
    return Run(warm=process.warm, outcome=outcome, output=output)
