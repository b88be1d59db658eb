# SPDX-License-Identifier: Apache-2.0
"""A script that allows one execution, and what an ended one left that nobody could end."""

import asyncio

from clients import CLIENT
from execution_stage import APP, NOW, Stage
from fakes import remove, WAITING
import pytest

from gateway_node.executions import line as line_module
from gateway_node.executions.errors import ScriptHeldByProcesses
from gateway_node.executions.held_scripts import HeldScripts
from gateway_node.executions.line import Line
from gateway_node.executions.places import Place
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.settings import ConcurrencyLimits
from gateway_node.executions.values import Execution, ExecutionStatus, UnkillableProcess

LEFT = UnkillableProcess(pid=7, start_ticks=1, user='root', command='apt update', permitted=False)


async def ended_with_remains(stage: Stage, script_id: str) -> Execution:
    """Run the script; it ends well and leaves a process."""
    execution, script = await stage.running(script_id)
    stage.runner.living.add(LEFT)
    script.end(Outcome(cause=EndCause.EXITED, exit_code=0, unkillable_processes=(LEFT,)))
    return await stage.listener.wait_for(execution.id)


async def test_it_stays_taken_as_long_as_a_process_lives(stage: Stage) -> None:
    """The refusal names the execution and the process; the execution itself has ended."""
    script_id = await stage.upload(single_execution=True)
    ended = await ended_with_remains(stage, script_id)
    assert ended.status is ExecutionStatus.COMPLETED
    assert ended.unkillable_processes == (LEFT,)
    with pytest.raises(ScriptHeldByProcesses) as refused:
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert (refused.value.execution_id, refused.value.processes) == (ended.id, (LEFT,))
    assert str(refused.value).endswith('there lives on: pid 7 of root (apt update)')
    stage.runner.living.clear()
    await stage.running(script_id)


async def test_other_scripts_are_not_concerned(stage: Stage) -> None:
    """Nor is one that allows several executions at a time."""
    several, other = await stage.upload(), await stage.upload(single_execution=True)
    await ended_with_remains(stage, several)
    await stage.running(several)
    await stage.running(other)


async def test_a_later_gateway_knows_of_it(stage: Stage) -> None:
    """It asks its runner, which remembers, and the store, which knows the script."""
    script_id = await stage.upload(single_execution=True)
    ended = await ended_with_remains(stage, script_id)
    script = await stage.library.get(APP, script_id)
    later = HeldScripts(stage.runner)
    later.check(APP, script)
    await later.read(stage.store)
    with pytest.raises(ScriptHeldByProcesses):
        later.check(APP, script)
    await remove(stage.store, ended.id)
    without_record = HeldScripts(stage.runner)
    await without_record.read(stage.store)
    without_record.check(APP, script)


async def test_who_waits_for_a_place_gets_it_when_the_process_has_ended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells of that end: it is looked for."""
    monkeypatch.setattr(line_module, '_LOOK_SEC', 0.01)
    script_id = await stage.upload(single_execution=True)
    await ended_with_remains(stage, script_id)
    held_scripts = HeldScripts(stage.runner)
    await held_scripts.read(stage.store)
    limits = ConcurrencyLimits(max_executions=3, max_executions_per_entity=2)
    line = Line(limits, WAITING, held_scripts, stage.clock.monotonic)
    script = await stage.library.get(APP, script_id)
    place = Place(execution_id='exec_2', entity=APP, script=script)
    waiting = line.join(place)
    assert not (await asyncio.wait({waiting}, timeout=0.05))[0]
    stage.runner.living.clear()
    async with asyncio.timeout(10):
        await waiting
