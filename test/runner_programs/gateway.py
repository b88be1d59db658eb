# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the gateway that a test may kill: a runner that starts scripts and waits.

argv: a state directory, in which it ends what an earlier one left, then a script for each
execution (`run_id(1)`, ...). It says `up` once all have started, and each end's cause.
"""

import asyncio
import os
from pathlib import Path
import sys

from runner_support import Floor, run_id

from gateway_node.process.own_processes import OwnProcesses
from gateway_node.process.runner import SupervisedScriptRunner
from gateway_node.side_tasks import SideTasks

RECORDS = os.environ.get('TEST_RECORDS', '').split()
"""What is done with each end, of `acknowledge` and `discard`."""
TIMEOUT_SEC = float(os.environ.get('TEST_TIMEOUT_SEC', '600'))


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


async def main() -> None:
    """Start the scripts and tell how they end; end when stdin does."""
    state, *scripts = map(Path, sys.argv[1:])
    own_processes = OwnProcesses()
    runner = SupervisedScriptRunner(state, own_processes=own_processes, side_tasks=SideTasks())
    await runner.start_up()
    await runner.recover()
    floor = Floor(runner, state, own_processes)
    processes = [
        await floor.start(
            floor.order(floor.script(script), timeout_sec=TIMEOUT_SEC, execution_id=run_id(number))
        )
        for number, script in enumerate(scripts, start=1)
    ]
    say('up')
    for process in processes:
        outcome = await process.ended()
        if 'acknowledge' in RECORDS:
            runner.acknowledge([process.execution_id])
        if 'discard' in RECORDS:
            await runner.discard(process.execution_id)
        say(f'{process.execution_id} {outcome.cause.value}')
    await asyncio.to_thread(sys.stdin.read)
    await runner.close()


asyncio.run(main())
