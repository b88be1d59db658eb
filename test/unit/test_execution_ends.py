# SPDX-License-Identifier: Apache-2.0
"""How executions end: by a stop, by a failure, by a shutdown, with the store away."""

import asyncio

from clients import CLIENT
from execution_stage import (
    APP,
    COMPLETED,
    FAILED,
    FORCE,
    Gate,
    NOW,
    PREPARED,
    RUNNING,
    Stage,
    STOP,
    TERMINATED,
)
from fakes import RecordingListener
import pytest
from waiting import wait_until

from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotStoppable,
    GatewayShuttingDown,
    ScriptHasOpenExecutions,
    SpawnFailed,
)
from gateway_node.executions.events import Event
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.runner_ports import EndCause, LimitReached, Outcome
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, Output, Trigger, TriggerType


async def test_a_stopped_execution_ends_terminated_whatever_its_exit(stage: Stage) -> None:
    """Once a stop was accepted the final status is `terminated`, with exit code 0 too."""
    execution, script = await stage.running(await stage.upload())
    answer = await stage.stop(execution)
    assert (answer.status, answer.terminating) == (RUNNING, True)
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    assert (ended.status, ended.exit_code, ended.failure) == (TERMINATED, 0, None)
    assert ended.stop_trigger == Trigger(type=TriggerType.MANUAL, setting='stop')
    assert not ended.terminating


async def test_what_an_execution_keeps_is_recorded_with_its_end(stage: Stage) -> None:
    """In the same commit; where its outcome does not tell it, it is measured before."""
    script_id = await stage.upload()
    told, measured = [await stage.running(script_id) for _ in range(2)]
    told[1].end(Outcome(cause=EndCause.EXITED, exit_code=0, kept_bytes=100_000))
    stage.runner.kept_bytes_of[measured[0].id] = 200_000
    measured[1].exit(0)
    for execution, _ in (told, measured):
        await stage.listener.wait_for(execution.id)
    assert await stage.store.unmeasured(limit=1) == ()
    bounds = {
        max_bytes: RetentionPolicy(
            max_executions=0, max_age_sec=0, max_failed_age_sec=0, max_disk_bytes=max_bytes
        )
        for max_bytes in (299_999, 310_000)
    }
    expired = {
        max_bytes: len(await stage.store.expired(policy, limit=10))
        for max_bytes, policy in bounds.items()
    }
    assert expired == {299_999: 1, 310_000: 0}


async def test_an_obedient_script_is_terminated_in_the_answer(stage: Stage) -> None:
    """A stop waits a moment for the tree to go."""
    execution, script = await stage.running(await stage.upload())
    script.obedient = True
    assert (await stage.stop(execution)).status is TERMINATED


async def test_a_stop_twice_changes_nothing(stage: Stage) -> None:
    """The first stop is the one that is recorded; the second is answered as well."""
    execution, script = await stage.running(await stage.upload())
    await stage.stop(execution)
    again = await stage.stop(execution)
    assert again.terminating
    assert set(script.stops) == {STOP}
    script.exit(1)
    await stage.listener.wait_for(execution.id)
    with pytest.raises(ExecutionNotStoppable):
        await stage.stop(execution)


async def test_forced_termination_goes_after_a_stop_but_not_before(stage: Stage) -> None:
    """A kill overrides a stop; a stop after a kill asks for nothing less."""
    execution, script = await stage.running(await stage.upload())
    await stage.stop(execution)
    await stage.stop(execution, FORCE)
    await stage.stop(execution)
    assert script.stops == [STOP, FORCE]
    script.end(Outcome(cause=EndCause.EXITED, signal=9))
    ended = await stage.listener.wait_for(execution.id)
    assert ended.status is TERMINATED
    assert ended.stop_trigger == Trigger(type=TriggerType.MANUAL, setting='stop')


async def test_a_stop_while_it_is_prepared_ends_it(stage: Stage) -> None:
    """A start that is under way is given up, however long it would take."""
    gate = Gate()
    stage.runner.hold_starts = gate
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    await gate.reached.wait()
    assert (await stage.get(execution)).status is PREPARED
    assert (await stage.stop(execution)).status is TERMINATED
    assert stage.runner.started == ()
    assert stage.listener.statuses(execution.id) == [PREPARED, TERMINATED]


async def test_a_stop_before_anything_began_starts_nothing(stage: Stage) -> None:
    """Stopped in the same turn of the loop, the script never starts."""
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    ended = await stage.stop(execution)
    assert ended.status is TERMINATED
    assert stage.runner.started == ()
    assert stage.listener.statuses(execution.id) == [PREPARED, TERMINATED]


async def test_a_stop_at_the_very_end_comes_too_late(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """While the final status is being recorded no stop is accepted, and it stays what it is."""
    execution, script = await stage.running(await stage.upload())
    stage.store.unavailable = 'disk full'
    script.exit(0)
    await wait_until(lambda: 'cannot record' in caplog.text, what='a failed write')
    stopping = asyncio.create_task(stage.stop(execution))
    await asyncio.wait({stopping}, timeout=0.05)
    assert not stopping.done()
    stage.store.unavailable = None
    with pytest.raises(ExecutionNotStoppable, match='has ended already'):
        await stopping
    assert script.stops == []
    assert (await stage.get(execution)).stop_trigger is None


async def test_the_end_is_recorded_when_the_store_is_there_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Until then nobody is told of it, and it counts as running; nothing pretends."""
    execution, script = await stage.running(await stage.upload())
    stage.store.unavailable = 'disk full'
    script.exit(3)
    await wait_until(lambda: 'disk full' in caplog.text, what='a failed write')
    assert (await stage.get(execution)).status is RUNNING
    assert stage.listener.statuses(execution.id) == [PREPARED, RUNNING]
    with pytest.raises(ExecutionNotDeletable, match='delete it once that is done'):
        await stage.service.delete(APP, execution.script_id, execution.id, actor=CLIENT)
    with pytest.raises(ScriptHasOpenExecutions, match='wait until those that have ended are rec'):
        await stage.script_changes.delete(APP, execution.script_id, actor=CLIENT)
    stage.store.unavailable = None
    ended = await stage.listener.wait_for(execution.id)
    assert (ended.status, ended.exit_code) == (FAILED, 3)
    assert await stage.store.get(execution.id) == ended


async def test_a_script_that_cannot_be_spawned_fails(stage: Stage) -> None:
    """`failed` with spawn-failed and the reason, straight from `prepared`."""
    stage.runner.start_error = SpawnFailed('no such interpreter')
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    ended = await stage.listener.wait_for(execution.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.SPAWN_FAILED
    assert ended.failure.message == 'no such interpreter'
    assert ended.started_at is None
    assert stage.listener.statuses(execution.id) == [PREPARED, FAILED]


async def test_a_defect_of_the_runner_leaves_no_open_record(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw ends as `failed`, with the traceback in the log."""
    stage.runner.start_error = ZeroDivisionError('a defect')
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    ended = await stage.listener.wait_for(execution.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.SUPERVISOR_LOST
    assert 'a defect' not in ended.failure.message
    assert 'ZeroDivisionError: a defect' in caplog.text


async def test_a_defect_while_it_runs_ends_the_script_first(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree is killed and gone before the record says `failed`."""
    execution, script = await stage.running(await stage.upload())

    async def broken(execution_id: str) -> Output:
        raise ZeroDivisionError

    monkeypatch.setattr(stage.runner.outputs, 'of', broken)
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    assert script.stops == [FORCE]
    assert ended.status is FAILED


@pytest.mark.parametrize(
    ('outcome', 'reason'),
    [
        (Outcome(cause=EndCause.EXITED, exit_code=1), FailureReason.SCRIPT_FAILED),
        (Outcome(cause=EndCause.EXITED, signal=11), FailureReason.SCRIPT_FAILED),
        (Outcome(cause=EndCause.TIMED_OUT, signal=9), FailureReason.TIMEOUT),
        (Outcome(cause=EndCause.SUPERVISOR_LOST), FailureReason.SUPERVISOR_LOST),
        (Outcome(cause=EndCause.SPAWN_FAILED, message='x'), FailureReason.SPAWN_FAILED),
        (Outcome(cause=EndCause.GATEWAY_LOST), FailureReason.RESTARTED),
        (
            Outcome(
                cause=EndCause.LIMIT_REACHED,
                limit=LimitReached(name='memory_mb', value=64, used=65.5),
            ),
            FailureReason.LIMIT_MEMORY,
        ),
    ],
)
async def test_each_bad_end_is_a_failure_with_its_reason(
    stage: Stage, outcome: Outcome, reason: FailureReason
) -> None:
    """The reason is the outcome's, and what is known stands in the error."""
    execution, script = await stage.running(await stage.upload())
    stage.runner.outputs.written[execution.id] = Output(stderr='last words')
    script.end(outcome)
    ended = await stage.listener.wait_for(execution.id)
    assert ended.failure is not None
    assert (ended.status, ended.failure.reason) == (FAILED, reason)
    known = ended.failure.parameters
    assert known['stderr'] == 'last words'
    assert known.get('exit_code') == outcome.exit_code
    assert known.get('signal') == outcome.signal
    if outcome.limit is not None:
        assert (known['limit'], known['value'], known['used']) == ('memory_mb', 64, 65.5)
        assert ended.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting='memory_mb')


async def test_a_shutdown_fails_what_runs_and_refuses_what_comes(stage: Stage) -> None:
    """Open executions are asked to end and fail with `x-gateway-shutdown`."""
    script_id = await stage.upload()
    execution, script = await stage.running(script_id)
    stage.service.close()
    with pytest.raises(GatewayShuttingDown):
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert script.stops == [STOP]
    closing = asyncio.create_task(stage.service.wait_closed())
    await asyncio.wait({closing}, timeout=0.05)
    assert not closing.done()
    script.exit(0)
    await closing
    ended = await stage.get(execution)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.SHUTDOWN
    assert ended.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting='shutdown')


async def test_a_kill_at_shutdown_overrides_the_stop(stage: Stage) -> None:
    """Whoever does not wait gets SIGKILL for every tree."""
    _, script = await stage.running(await stage.upload())
    stage.service.close()
    stage.service.kill()
    assert script.stops == [STOP, FORCE]
    script.end(Outcome(cause=EndCause.EXITED, signal=9))
    await stage.service.wait_closed()


async def test_a_clients_stop_before_the_shutdown_is_still_a_stop(stage: Stage) -> None:
    """What a client ended is `terminated`, whatever came after."""
    execution, script = await stage.running(await stage.upload())
    await stage.stop(execution)
    stage.service.close()
    script.exit(0)
    assert (await stage.listener.wait_for(execution.id)).status is TERMINATED


async def test_a_cancelled_request_does_not_take_the_execution_along(stage: Stage) -> None:
    """A client that goes while its stop is waited for changes nothing about the stop."""
    execution, script = await stage.running(await stage.upload())
    stopping = asyncio.create_task(stage.stop(execution))
    await script.wait_stop_asked()
    stopping.cancel()
    script.exit(0)
    assert (await stage.listener.wait_for(execution.id)).status is TERMINATED


async def test_a_stop_is_not_turned_into_a_failure_of_the_start(stage: Stage) -> None:
    """Stopped while its start fails, an execution is terminated: the stop was accepted."""
    gate = Gate()
    stage.runner.hold_starts = gate
    stage.runner.start_error = SpawnFailed('no such interpreter')
    execution = await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    await gate.reached.wait()
    gate.set()
    ended = await stage.stop(execution)
    assert ended.status is TERMINATED
    assert ended.failure is None


async def test_a_listener_that_fails_changes_no_record(stage: Stage) -> None:
    """What is recorded stays, and everybody else is told."""

    class Deaf(RecordingListener):
        def on_event(self, event: Event, execution: Execution | None) -> None:
            raise RuntimeError('deaf')

    stage.ledger.add_listener(Deaf())
    execution, script = await stage.running(await stage.upload())
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    assert ended.status is COMPLETED
    assert stage.listener.statuses(execution.id) == [PREPARED, RUNNING, COMPLETED]
