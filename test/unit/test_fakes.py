# SPDX-License-Identifier: Apache-2.0
"""The fakes do what a test tells them."""

import asyncio
import datetime
from pathlib import Path

from fakes import (
    add,
    AN_APP,
    FakeClock,
    FakeRobot,
    FakeSchemaChecker,
    FakeScriptRunner,
    InMemoryExecutionStore,
    new_execution,
    RecordingListener,
    update,
)
import pytest

from gateway_node.conditions.sources import LifecycleState, Reading
from gateway_node.executions.errors import SpawnFailed, StoreUnavailable
from gateway_node.executions.ports import EventListener
from gateway_node.executions.runner_ports import EndCause, Outcome, ScriptRunner, StartOrder
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import ExecutionStatus, Output, Progress, StopAction
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.scripts.values import Script, ScriptKind
from gateway_node.triggers.ports import RobotValues

ORDER = StartOrder(
    execution_id='exec_1',
    entity=AN_APP,
    script=Script(
        id='self_test',
        name='Self test',
        kind=ScriptKind.SH,
        path=Path('/nowhere/self_test.sh'),
        version='f' * 64,
        size=1,
    ),
    parameters={},
    arguments=(),
    timeout_sec=1.0,
    stop_grace_period_sec=1.0,
)


def ignore(progress: Progress) -> None:
    """Take progress and do nothing."""


def test_the_fakes_fulfil_their_ports() -> None:
    """The type checker compares each fake with its protocol here."""
    store: ExecutionStore = InMemoryExecutionStore(FakeClock())
    runner: ScriptRunner = FakeScriptRunner()
    listener: EventListener = RecordingListener()
    checker: SchemaChecker = FakeSchemaChecker()
    robot: RobotValues = FakeRobot()
    assert all((store, runner, listener, checker, robot))


def test_the_two_clocks_move_together_or_the_wall_alone() -> None:
    """`advance` lets time pass; setting `wall` is a jump."""
    clock = FakeClock()
    wall, seconds = clock.now(), clock.monotonic()
    clock.advance(5)
    assert (clock.now() - wall).total_seconds() == clock.monotonic() - seconds == 5
    clock.wall -= datetime.timedelta(days=365)
    assert clock.monotonic() - seconds == 5


async def test_a_script_ends_when_the_test_says_so() -> None:
    """The process waits for the outcome that the handle is given."""
    runner = FakeScriptRunner()
    process = await runner.start(ORDER, ignore)
    ended = asyncio.ensure_future(process.ended())
    await asyncio.sleep(0)
    assert not ended.done()
    (await runner.script('exec_1')).exit(3)
    assert (await ended).exit_code == 3


async def test_a_cancelled_wait_for_the_end_changes_nothing() -> None:
    """Who waits later gets the outcome all the same."""
    runner = FakeScriptRunner()
    process = await runner.start(ORDER, ignore)
    ended = asyncio.ensure_future(process.ended())
    await asyncio.sleep(0)
    ended.cancel()
    await asyncio.gather(ended, return_exceptions=True)
    (await runner.script('exec_1')).exit()
    assert (await process.ended()).exit_code == 0


async def test_a_test_sees_the_stop_that_was_asked_for() -> None:
    """The handle tells the stops in order, and lets a test wait for the first."""
    runner = FakeScriptRunner()
    process = await runner.start(ORDER, ignore)
    script = await runner.script('exec_1')
    asked = asyncio.ensure_future(script.wait_stop_asked())
    await asyncio.sleep(0)
    assert not asked.done()
    process.stop(StopAction.STOP)
    process.stop(StopAction.FORCED_TERMINATION)
    assert await asked is StopAction.FORCED_TERMINATION
    assert script.stops == [StopAction.STOP, StopAction.FORCED_TERMINATION]


async def test_an_obedient_script_ends_by_the_signal() -> None:
    """Where the end is not the test's subject, a stop is enough."""
    process = await FakeScriptRunner(obedient=True).start(ORDER, ignore)
    process.stop(StopAction.STOP)
    process.stop(StopAction.FORCED_TERMINATION)
    assert await process.ended() == Outcome(cause=EndCause.EXITED, signal=15, end_asked=True)


async def test_a_script_is_there_once_it_started() -> None:
    """A test can wait for the start, hold it back and see the order that was given."""
    runner = FakeScriptRunner()
    runner.hold_starts.clear()
    start = asyncio.ensure_future(runner.start(ORDER, ignore))
    waiting = asyncio.ensure_future(runner.script('exec_1'))
    await asyncio.sleep(0)
    assert not runner.started
    runner.hold_starts.set()
    script = await waiting
    assert script is await start
    assert script.order is ORDER
    assert runner.started == ('exec_1',)


async def test_a_script_reports_progress_to_the_callback() -> None:
    """`report` is the callback that `start` was given."""
    runner = FakeScriptRunner()
    told: list[Progress] = []
    await runner.start(ORDER, told.append)
    (await runner.script('exec_1')).report(Progress(percent=40))
    assert told == [Progress(percent=40)]


async def test_a_runner_refuses_on_demand() -> None:
    """`vet` and `start` raise what a test set."""
    runner = FakeScriptRunner()
    runner.refusal = SpawnFailed('vetted')
    runner.start_error = SpawnFailed('started')
    with pytest.raises(SpawnFailed, match='vetted'):
        await runner.vet(ORDER)
    with pytest.raises(SpawnFailed, match='started'):
        await runner.start(ORDER, ignore)


async def test_discarded_output_is_gone() -> None:
    """The runner keeps the output that a test gave until it is discarded."""
    runner = FakeScriptRunner()
    runner.outputs.written['exec_1'] = Output(stdout='hello')
    assert (await runner.outputs.of('exec_1')).stdout == 'hello'
    await runner.discard('exec_1')
    assert await runner.outputs.of('exec_1') == Output()
    assert runner.discarded == ['exec_1']


async def test_a_store_is_unavailable_on_demand() -> None:
    """While `unavailable` is set nothing is kept; afterwards all works."""
    store = InMemoryExecutionStore(FakeClock())
    store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable, match='disk full'):
        await add(store, new_execution(1))
    store.unavailable = None
    assert await store.get(new_execution(1).id) is None


async def test_a_listener_waits_for_a_status() -> None:
    """A test can wait until an execution was told to have ended."""
    store, listener = InMemoryExecutionStore(FakeClock()), RecordingListener()
    execution = new_execution(1)
    waiting = asyncio.ensure_future(listener.wait_for(execution.id))
    listener.on_event(await add(store, execution), execution)
    running = advance(execution, ExecutionStatus.RUNNING)
    listener.on_event(await update(store, running), running)
    listener.on_progress(running.evolve(progress=Progress(percent=1)))
    await asyncio.sleep(0)
    assert not waiting.done()
    ended = advance(running, ExecutionStatus.COMPLETED)
    listener.on_event(await update(store, ended, 'exited'), ended)
    assert await waiting == ended
    assert listener.statuses(execution.id) == [
        ExecutionStatus.PREPARED,
        ExecutionStatus.RUNNING,
        ExecutionStatus.COMPLETED,
    ]
    assert [told.progress for told in listener.progress] == [Progress(percent=1)]


async def test_a_checker_refuses_on_demand() -> None:
    """The checker accepts everything until a test says otherwise, and tells what it saw."""
    checker = FakeSchemaChecker()
    await checker.check_schema({})
    await checker.check_parameters({'type': 'object'}, {'depth': 1})
    assert checker.checked == [({'type': 'object'}, {'depth': 1})]
    checker.schema_error = checker.parameters_error = ValueError('no')
    with pytest.raises(ValueError, match='no'):
        await checker.check_schema({})
    with pytest.raises(ValueError, match='no'):
        await checker.check_parameters({}, {})


async def test_a_script_says_what_the_test_says() -> None:
    """Its lines can be followed as those of a real one."""
    runner = FakeScriptRunner()
    script = await runner.start(ORDER, ignore)
    heard: list[str] = []
    end_watch = runner.outputs.watch(ORDER.execution_id, lambda: heard.append('more'))
    runner.outputs.say(ORDER.execution_id, 'one')
    runner.outputs.say(ORDER.execution_id, 'two')
    end_watch()
    runner.outputs.say(ORDER.execution_id, 'three')
    assert heard == ['more', 'more']
    read = await runner.outputs.lines(ORDER.execution_id, after=1, limit=1)
    assert [(line.number, line.text) for line in read.lines] == [(2, 'two')]
    assert (read.last, read.complete) == (2, False)
    script.exit()
    rest = await runner.outputs.lines(ORDER.execution_id, after=read.last, limit=9)
    assert ([line.text for line in rest.lines], rest.complete) == (['three'], True)


async def test_who_watches_a_robot_is_told_what_it_has_soon_and_the_rest_at_once() -> None:
    """Never from within `watch`, and nothing once the watch is ended."""
    clock = FakeClock()
    robot = FakeRobot(clock.monotonic)
    source = LifecycleState(node='/camera')
    robot.set(source, 'inactive')
    told: list[Reading] = []
    end = robot.watch(source, told.append)
    robot.watch(source, told.append)()
    assert robot.watched == {source: 1}
    assert told == []
    await asyncio.sleep(0)
    robot.set(LifecycleState(node='/lidar'), 'active')
    robot.fault(source, '/camera does not answer')
    end()
    robot.set(source, 'active')
    at = clock.monotonic()
    assert told == [
        Reading(at=at, value='inactive'),
        Reading(at=at, fault='/camera does not answer'),
    ]
    assert not robot.watched
