# SPDX-License-Identifier: Apache-2.0
"""Cgroup v2 leaves, where the gateway may make them: one for each execution."""

from pathlib import Path

import pytest
from runner_support import Floor, floor
from waiting import wait_until

from gateway_node.executions.runner_ports import EndCause
from gateway_node.scripts.values import Limits, ScriptKind

__all__ = ['floor']


def leaves(floor: Floor) -> Path:
    """Return the folder of the leaves; skip where there are no cgroups."""
    containment = floor.runner.containment
    if containment['cgroup'] is None:
        pytest.skip(f'no cgroup leaves here: {containment["reason"]}')
    return Path(containment['cgroup'])


async def test_an_execution_is_in_a_leaf_of_its_own_that_goes_with_it(floor: Floor) -> None:
    """The whole tree is in the leaf from its first moment on, and the leaf is gone after it."""
    folder = leaves(floor)
    script = floor.script(
        'grep ^0:: /proc/self/cgroup; (grep ^0:: /proc/self/cgroup)', limits=Limits(memory_mb=512)
    )
    order = floor.order(script)
    outcome, output = await floor.run(order)
    assert outcome.exit_code == 0
    assert output.stdout.split() == [f'0::/{folder.name}/{order.execution_id}'] * 2
    await wait_until(
        lambda: not (folder / order.execution_id).exists(), what='the supervisor removes the leaf'
    )


async def test_the_kernel_keeps_the_memory_limit_of_a_leaf(floor: Floor) -> None:
    """With the controller no sample has to see the excess; the error names the limit."""
    leaves(floor)
    if 'memory' not in floor.runner.containment['controllers']:
        pytest.skip('the cgroup controller "memory" is not available to leaves here')
    script = floor.script('head -c 300000000 /dev/zero | tail', limits=Limits(memory_mb=64))
    outcome, _ = await floor.run(floor.order(script))
    assert outcome.cause is EndCause.LIMIT_REACHED
    assert outcome.limit is not None
    assert outcome.limit.name == 'memory_mb'


THREADS = """
import threading, time
for _ in range(60):
    threading.Thread(target=time.sleep, args=(0.5,)).start()
"""


async def test_threads_are_no_processes(floor: Floor) -> None:
    """A limit of 4 lets one process have 60 threads, as DDS has them; the kernel's counts all."""
    script = floor.script(THREADS, ScriptKind.PYTHON, limits=Limits(processes=4))
    outcome, output = await floor.run(floor.order(script))
    assert (outcome.exit_code, output.stderr) == (0, '')
