# SPDX-License-Identifier: Apache-2.0
"""When who takes evidence hears of an execution, and what it is that is recorded of that."""

import asyncio

from clients import CLIENT
from execution_stage import APP, COMPLETED, FAILED, NOW, Stage, STOP, TERMINATED
from waiting import wait_until

from gateway_node.executions.errors import SpawnFailed
from gateway_node.executions.values import Execution


async def ended(stage: Stage, exit_code: int = 0) -> Execution:
    """Execute a script to its end."""
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    script = await stage.runner.script(execution.id)
    script.exit(exit_code)
    return await stage.questions.ended_within(execution, 10)


async def test_the_witness_looks_before_the_script_starts_and_hears_of_the_end_on_record(
    stage: Stage,
) -> None:
    """What was around it is known from before, and `ended` finds the end kept."""
    stage.witness.wanted = True
    stage.witness.hold_before.clear()
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    await wait_until(lambda: bool(stage.witness.said), what='a witness that looks')
    assert stage.witness.said == [('before', execution.id)]
    assert stage.runner.started == ()
    stage.witness.hold_before.set()
    (await stage.runner.script(execution.id)).exit()
    await wait_until(lambda: len(stage.witness.said) == 3, what='an end that is told')
    assert [what for what, _ in stage.witness.said] == [
        'before',
        'keeps of completed',
        'ended as completed',
    ]


async def test_an_execution_says_that_evidence_of_it_is_kept(stage: Stage) -> None:
    """As the witness decides once it is known how it ends; on record, and in its document."""
    stage.witness.wanted = True
    kept = await ended(stage)
    stage.witness.kept = False
    dropped = await ended(stage, 3)
    assert (kept.status, kept.evidence) == (COMPLETED, True)
    assert (dropped.status, dropped.evidence) == (FAILED, False)
    recorded = await stage.store.get(kept.id)
    assert recorded is not None
    assert recorded.evidence


async def test_where_nothing_asks_for_evidence_nothing_is_called(stage: Stage) -> None:
    """It costs one question at the start."""
    assert not (await ended(stage)).evidence
    assert stage.witness.said == []


async def test_a_stop_does_not_wait_for_a_look_around(stage: Stage) -> None:
    """The script is then never started, and the witness hears of the end."""
    stage.witness.wanted = True
    stage.witness.hold_before.clear()
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    await wait_until(lambda: bool(stage.witness.said), what='a witness that looks')
    stopped = await stage.service.stop(APP, execution.script_id, execution.id, STOP, actor=CLIENT)
    stopped = await stage.questions.ended_within(stopped, 10)
    assert stopped.status is TERMINATED
    assert stage.witness.said[-1] == ('ended as terminated', execution.id)


async def test_a_start_that_fails_is_witnessed_too(stage: Stage) -> None:
    """Why no process could be started may stand in what was around it."""
    stage.witness.wanted = True
    stage.runner.start_error = SpawnFailed('no memory')
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    async with asyncio.timeout(10):
        failed = await stage.questions.ended_within(execution, 10)
    assert (failed.status, failed.evidence) == (FAILED, True)
    await wait_until(lambda: len(stage.witness.said) == 3, what='an end that is told')
