# SPDX-License-Identifier: Apache-2.0
"""Restart types, recovery and what a schedule goes through, over several lives of a gateway."""

from pathlib import Path

from clients import CLIENT
from lives import APP, COMPLETED, FAILED, Life, PREPARED, Robot, RUNNING, TERMINATED
import pytest
from waiting import wait_until

from gateway_node.executions import active_execution, admission
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import DiskSpaceLow, RunnerUnavailable, StoreUnavailable
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.values import ExecutionType, StopAction, Trigger, TriggerType
from gateway_node.scripts.metadata import parse_metadata
from gateway_node.scripts.values import Verdict
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore


@pytest.fixture
def robot(tmp_path: Path) -> Robot:
    """Return a robot without scripts and executions."""
    return Robot(tmp_path)


async def test_on_restart_makes_a_run_at_each_start_and_stays(robot: Robot) -> None:
    """`on_restart`: a prepared schedule; each start makes a run with `parent` set."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ON_RESTART)
        assert (schedule.status, schedule.is_schedule) == (PREPARED, True)
        assert life.runner.started == ()
    for start in range(1, 4):
        robot.clock.advance(3600)
        async with robot.gateway() as life:
            run = (await life.all(script_id))[start]
            assert run.parent == schedule.id
            assert run.trigger.type is TriggerType.RESTART
            ended = await life.finish(run.id)
            assert (ended.status, ended.input_parameters) == (COMPLETED, {'depth': 3})
            kept = await life.questions.get(APP, script_id, schedule.id)
            assert (kept.status, kept.is_schedule) == (PREPARED, True)


async def test_now_and_on_restart_runs_now_and_leaves_a_schedule(robot: Robot) -> None:
    """`now_and_on_restart` answers the execution that runs now; `schedule` names the other."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        now = await life.start(script_id, ExecutionType.NOW_AND_ON_RESTART)
        assert now.schedule is not None
        assert (await life.finish(now.id)).status is COMPLETED
        schedule = await life.questions.get(APP, script_id, now.schedule)
        assert (schedule.status, schedule.is_schedule, schedule.parent) == (PREPARED, True, now.id)
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        run = (await life.all(script_id))[-1]
        assert run.parent == schedule.id
        assert (await life.finish(run.id)).status is COMPLETED


@pytest.mark.parametrize(
    'execution_type', [ExecutionType.ON_RESTART, ExecutionType.ONCE_ON_RESTART]
)
async def test_what_a_schedule_starts_has_the_time_limit_that_it_was_given(
    robot: Robot, execution_type: ExecutionType
) -> None:
    """No longer than the script allows by then: what is accepted starts all the same."""
    async with robot.gateway() as life:
        script_id = await life.upload(timeout_sec=60)
        await life.start(script_id, execution_type, timeout_sec=50)
        await life.replace(script_id, timeout_sec=40)
        other_id = await life.upload(timeout_sec=60)
        await life.start(other_id, execution_type, timeout_sec=50)
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        for each, limit_sec in ((script_id, 40), (other_id, 50)):
            run = (await life.all(each))[-1]
            assert (await life.runner.script(run.id)).order.timeout_sec == limit_sec
            assert (await life.finish(run.id)).timeout_sec == 50


async def test_once_on_restart_becomes_the_run_itself_once(robot: Robot) -> None:
    """`once_on_restart`: the schedule becomes the run at the next start, and only then."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway() as life:
        assert (await life.finish(schedule.id)).status is COMPLETED
    async with robot.gateway() as life:
        assert life.runner.started == ()
        assert [each.id for each in await life.all(script_id)] == [schedule.id]


async def test_once_on_restart_is_used_up_when_the_gateway_dies_at_the_spawn(
    robot: Robot,
) -> None:
    """Killed between the consumption and the spawn, no second run is made, and it says so."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway(online=False) as life:
        life.runner.hold_starts.clear()
        life.bring_online()
        while (await life.questions.get(APP, script_id, schedule.id)).is_schedule:
            await life.store.last_id()  # each turn is a read of the disk
    async with robot.gateway() as life:
        lost = await life.questions.get(APP, script_id, schedule.id)
        assert lost.status is FAILED
        assert lost.failure is not None
        assert lost.failure.reason is FailureReason.RESTARTED
        assert life.runner.started == ()


async def test_once_on_restart_is_not_used_up_while_it_waits_for_its_entity(
    robot: Robot,
) -> None:
    """Killed while waiting, the schedule waits again at the next start."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway(online=False) as life:
        waiting = await life.questions.get(APP, script_id, schedule.id)
        assert (waiting.status, waiting.is_schedule) == (PREPARED, True)
    async with robot.gateway(online=False) as life:
        life.bring_online()
        assert (await life.finish(schedule.id)).status is COMPLETED


async def test_a_shutdown_leaves_a_waiting_schedule_for_the_next_start(robot: Robot) -> None:
    """A graceful end of the gateway is no end of a schedule."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway(online=False) as life:
        life.executions.close()
        await life.executions.wait_closed()
    async with robot.gateway() as life:
        assert (await life.finish(schedule.id)).status is COMPLETED


async def test_a_run_whose_entity_stays_away_fails_and_says_so(robot: Robot) -> None:
    """Past the configured time a run without its entity fails; the schedule stays."""
    robot.entity_timeout_sec = 0.01
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ON_RESTART)
    async with robot.gateway(online=False) as life:
        run = (await life.all(script_id))[-1]
        failed = await life.listener.wait_for(run.id)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.ENTITY_ABSENT
        assert 'apps/temp_sensor' in failed.failure.message
        assert (await life.questions.get(APP, script_id, schedule.id)).is_schedule


async def test_a_crash_loop_skips_starts_and_records_that(robot: Robot) -> None:
    """A start sooner than the minimum interval makes no run; the schedule counts it."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        now = await life.start(script_id, ExecutionType.NOW_AND_ON_RESTART)
        await life.finish(now.id)
    for skipped in range(1, 4):
        robot.clock.advance(5)
        async with robot.gateway() as life:
            assert life.runner.started == ()
            assert now.schedule is not None
            schedule = await life.questions.get(APP, script_id, now.schedule)
            assert schedule.as_schedule is not None
            assert schedule.as_schedule.skipped_starts == skipped


async def test_the_interval_is_measured_by_uptime_and_ends_with_the_boot(robot: Robot) -> None:
    """A jump of the wall clock skips nothing and allows nothing; another boot allows a run."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        await life.start(script_id, ExecutionType.NOW_AND_ON_RESTART)
    robot.clock.wall = robot.clock.wall.replace(year=2031)
    async with robot.gateway() as life:
        assert len(await life.all(script_id)) == 2
    robot.clock.boot_id, robot.clock.boot_seconds = 'another', 1.0
    async with robot.gateway() as life:
        assert len(await life.all(script_id)) == 3


@pytest.mark.parametrize(
    'execution_type', [ExecutionType.ON_RESTART, ExecutionType.ONCE_ON_RESTART]
)
async def test_the_schedules_of_a_deleted_script_fail(
    robot: Robot, execution_type: ExecutionType
) -> None:
    """Deleting a script ends its schedules as failed, and says so."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, execution_type)
        await life.script_changes.delete(APP, script_id, actor=CLIENT)
        ended = await life.questions.get(APP, script_id, schedule.id)
        assert (ended.status, ended.is_schedule) == (FAILED, False)
        assert ended.ended_as_schedule
        assert ended.failure is not None
        assert ended.failure.reason is FailureReason.SCRIPT_GONE
    async with robot.gateway() as life:
        assert life.runner.started == ()


async def test_a_schedule_whose_script_is_gone_at_the_start_fails(robot: Robot) -> None:
    """A script that went while the gateway was down ends the schedule too."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ON_RESTART)
        await life.library.delete(APP, script_id)
    async with robot.gateway() as life:
        ended = await life.questions.get(APP, script_id, schedule.id)
        assert ended.failure is not None
        assert ended.failure.reason is FailureReason.SCRIPT_GONE


async def test_delete_and_stop_end_a_schedule(robot: Robot) -> None:
    """DELETE removes a schedule, `stop` makes it terminated; neither runs again."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        deleted = await life.start(script_id, ExecutionType.ON_RESTART)
        stopped = await life.start(script_id, ExecutionType.ON_RESTART)
        await life.executions.delete(APP, script_id, deleted.id, actor=CLIENT)
        ended = await life.executions.stop(
            APP, script_id, stopped.id, StopAction.STOP, actor=CLIENT
        )
        assert (ended.status, ended.is_schedule) == (TERMINATED, False)
        assert ended.ended_as_schedule
    robot.clock.advance(3600)
    async with robot.gateway() as life:
        assert [each.id for each in await life.all(script_id)] == [stopped.id]
        assert life.runner.started == ()


async def test_schedules_are_exempt_from_limits_and_their_runs_wait_for_a_place(
    robot: Robot,
) -> None:
    """Any number of schedules is taken; at the start their runs go one after the other."""
    robot.max_executions = 1
    async with robot.gateway() as life:
        script_id = await life.upload()
        for _ in range(3):
            await life.start(script_id, ExecutionType.ON_RESTART)
    async with robot.gateway() as life:
        runs = [each for each in await life.all(script_id) if each.parent]
        assert len(runs) == 3
        for ended in range(3):
            while len(life.runner.started) == ended:
                await life.store.last_id()
            assert len(life.runner.started) == ended + 1
            await life.finish(life.runner.started[-1])


async def test_what_ran_when_the_gateway_died_failed_by_the_restart(robot: Robot) -> None:
    """A running execution becomes failed, reason restarted, before the API takes work."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
    async with robot.gateway() as life:
        failed = await life.questions.get(APP, script_id, running.id)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.RESTARTED
        assert life.listener.statuses(running.id) == [FAILED]


@pytest.mark.parametrize('start_prepared', [False, True])
async def test_what_ran_without_a_record_of_that_is_not_started_again(
    robot: Robot, monkeypatch: pytest.MonkeyPatch, start_prepared: bool
) -> None:
    """The runner knows of it; the log tells that it ran, and how it ended."""
    robot.start_prepared = start_prepared
    with monkeypatch.context() as patch:
        patch.setattr(active_execution, 'RUNNING_PATIENCE_SEC', 60)
        async with robot.gateway() as life:
            execution = await life.start(await life.upload(), ExecutionType.NOW)
            await life.runner.script(execution.id)
            kept = await life.store.get(execution.id)
            assert kept is not None
            assert kept.status is PREPARED
    outcome = Outcome(cause=EndCause.GATEWAY_LOST)
    async with robot.gateway(recovered={execution.id: outcome}) as life:
        assert life.listener.statuses(execution.id) == [RUNNING, FAILED]
        ended = await life.store.get(execution.id)
        assert ended is not None
        assert ended.failure is not None
        assert ended.failure.reason is FailureReason.RESTARTED
        assert life.runner.started == ()
        assert life.runner.acknowledged == [execution.id]


async def test_an_outcome_that_the_supervisor_wrote_is_honoured(robot: Robot) -> None:
    """A script that ended by itself while the gateway was dead is completed."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
    outcome = Outcome(cause=EndCause.EXITED, exit_code=0, printed={'volts': 12})
    async with robot.gateway(recovered={running.id: outcome}) as life:
        completed = await life.questions.get(APP, script_id, running.id)
        assert (completed.status, completed.output_parameters) == (COMPLETED, {'volts': 12})


async def test_exit_verdicts_outlive_the_gateway(robot: Robot) -> None:
    """They are those of the version that ran, though its script has others by now."""
    async with robot.gateway() as life:
        script_id = await life.upload(exit_verdicts={'1': 'FAIL'})
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
        async with await life.script_changes.begin_upload(replacing=True) as new:
            await new.write(b'false\n')
            metadata = parse_metadata({'exit_verdicts': {}})
            await life.script_changes.replace(
                APP, script_id, new, file_name='check.sh', metadata=metadata, actor=CLIENT
            )
    outcome = Outcome(cause=EndCause.EXITED, exit_code=1)
    async with robot.gateway(recovered={running.id: outcome}) as life:
        completed = await life.questions.get(APP, script_id, running.id)
        assert (completed.status, completed.verdict) == (COMPLETED, Verdict.FAIL)


async def test_an_accepted_stop_outlives_the_gateway(robot: Robot) -> None:
    """Once a stop was accepted, `terminated` is the final status, over a crash too."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
        stopping = await life.executions.stop(
            APP, script_id, running.id, StopAction.STOP, actor=CLIENT
        )
        assert stopping.terminating
    async with robot.gateway() as life:
        ended = await life.questions.get(APP, script_id, running.id)
        assert ended.status is TERMINATED


@pytest.mark.parametrize('start_prepared', [False, True])
async def test_what_was_accepted_and_not_started_fails_or_starts_as_configured(
    robot: Robot, start_prepared: bool
) -> None:
    """`restart.start_prepared` decides; by default it fails."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        life.runner.hold_starts.clear()
        accepted = await life.start(script_id, ExecutionType.NOW)
    robot.start_prepared = start_prepared
    async with robot.gateway() as life:
        if start_prepared:
            assert (await life.finish(accepted.id)).status is COMPLETED
        else:
            failed = await life.questions.get(APP, script_id, accepted.id)
            assert failed.status is FAILED
            assert life.runner.started == ()


async def test_what_may_run_once_is_not_started_again_after_it_was_used_up(robot: Robot) -> None:
    """A power cut can take the journal along: nothing then says whether the script began."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
        await life.ledger.use_up(schedule)
    robot.start_prepared = True
    async with robot.gateway() as life:
        failed = await life.questions.get(APP, script_id, schedule.id)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.RESTARTED
        assert life.runner.started == ()


async def test_a_shutdown_that_was_cut_short_is_still_named(robot: Robot) -> None:
    """Killed after it had asked its scripts to end: they did not just die of a signal."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
    outcome = Outcome(cause=EndCause.EXITED, signal=15, end_asked=True)
    async with robot.gateway(recovered={running.id: outcome}) as life:
        failed = await life.questions.get(APP, script_id, running.id)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.SHUTDOWN
        assert failed.stop_trigger == Trigger(type=TriggerType.SYSTEM, setting='shutdown')


@pytest.mark.parametrize('met_the_script', [True, False])
async def test_a_clients_stop_that_no_record_took_is_kept(
    robot: Robot, met_the_script: bool
) -> None:
    """The store stalled, the stop was accepted and told, the gateway died: it is terminated."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
    client = Trigger(type=TriggerType.MANUAL, setting='stop')
    outcome = Outcome(
        cause=EndCause.EXITED, exit_code=1, end_asked=met_the_script, end_asked_by=client
    )
    async with robot.gateway(recovered={running.id: outcome}) as life:
        ended = await life.questions.get(APP, script_id, running.id)
        assert (ended.status, ended.stop_trigger) == (TERMINATED, client)


async def test_a_shutdown_that_met_leftovers_only_is_not_named(robot: Robot) -> None:
    """Noted or not, it did not end the script: the next gateway says so too."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        running = await life.listener.wait_for(running.id, RUNNING)
        noted = Trigger(type=TriggerType.SYSTEM, setting='shutdown')
        await life.ledger.note_stop(running.evolve(stop_trigger=noted), GATEWAY)
    outcome = Outcome(cause=EndCause.EXITED, exit_code=0, printed={'volts': 12})
    async with robot.gateway(recovered={running.id: outcome}) as life:
        completed = await life.questions.get(APP, script_id, running.id)
        assert (completed.status, completed.stop_trigger) == (COMPLETED, None)
        assert completed.output_parameters == {'volts': 12}


async def test_delete_ends_a_schedule_that_waits_for_its_entity(robot: Robot) -> None:
    """DELETE ends a `once_on_restart` also while it waits to become its own execution."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway(online=False) as life:
        await life.executions.delete(APP, script_id, schedule.id, actor=CLIENT)
        assert await life.all(script_id) == []
    async with robot.gateway() as life:
        assert life.runner.started == ()


async def test_schedules_wait_while_scripts_are_turned_off(robot: Robot) -> None:
    """A start without scripts starts nothing and ends nothing; the next one with them does."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        once = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
        every = await life.start(script_id, ExecutionType.ON_RESTART)
    async with robot.gateway(scripts=False) as life:
        kept = [await life.store.get(each.id) for each in (once, every)]
        assert all(each is not None and each.is_schedule for each in kept)
    async with robot.gateway() as life:
        assert (await life.finish(once.id)).status is COMPLETED


@pytest.mark.parametrize('what', ['refusal', 'not_ready'])
async def test_what_is_refused_for_the_moment_is_started_later(
    robot: Robot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    """A runner, or set-up files, not ready at the start of the gateway cost a schedule nothing."""
    monkeypatch.setattr(admission, '_RETRY_SEC', 0.01)
    async with robot.gateway() as life:
        script_id = await life.upload()
        once = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway(online=False) as life:
        setattr(life.runner, what, RunnerUnavailable('the spawner is being started'))
        life.bring_online()
        waits = f'{once.id} waits: the spawner is being started'
        await wait_until(lambda: caplog.messages.count(waits) > 1, what='the run waits')
        assert (await life.questions.get(APP, script_id, once.id)).is_schedule
        setattr(life.runner, what, None)
        assert (await life.finish(once.id)).status is COMPLETED


async def test_a_schedule_waits_for_room_on_the_disk(
    robot: Robot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Too little that is free is refused to a client, and costs a schedule nothing."""
    monkeypatch.setattr(admission, '_RETRY_SEC', 0.01)
    async with robot.gateway() as life:
        script_id = await life.upload()
        once = await life.start(script_id, ExecutionType.ONCE_ON_RESTART)
    async with robot.gateway(online=False) as life:
        life.free_space.shortage = 'too little is free'
        life.bring_online()
        waits = f'{once.id} waits: too little is free'
        await wait_until(lambda: caplog.messages.count(waits) > 1, what='the run waits')
        for execution_type in ExecutionType:
            with pytest.raises(DiskSpaceLow):
                await life.start(script_id, execution_type)
        life.free_space.shortage = None
        assert (await life.finish(once.id)).status is COMPLETED


async def test_a_store_that_cannot_be_written_is_an_error_of_the_start(robot: Robot) -> None:
    """Recovery does not wait for the disk; the next start does what this one could not."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        running = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(running.id, RUNNING)
    database = await Database.open(robot.state_dir)
    store = await SqliteExecutionStore.open(database, robot.clock)
    life = Life(robot, database, store, await store.last_id())
    await life.library.open()
    outcomes = life.runner.acknowledged
    robot.state_dir.joinpath('gateway.sqlite3').rename(robot.state_dir / 'away')
    with pytest.raises(StoreUnavailable):
        await life.executions.open(life.directory)
    assert outcomes == []
    robot.state_dir.joinpath('away').rename(robot.state_dir / 'gateway.sqlite3')
    await database.close()
    async with robot.gateway() as life:
        ended = await life.questions.get(APP, script_id, running.id)
        assert ended.status is FAILED
        assert life.runner.acknowledged == [running.id]


async def test_a_schedule_whose_end_cannot_be_recorded_goes_on_waiting(robot: Robot) -> None:
    """Stopped while the store is away, it answers so and is still there."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        schedule = await life.start(script_id, ExecutionType.ON_RESTART)
        robot.state_dir.joinpath('gateway.sqlite3').rename(robot.state_dir / 'away')
        with pytest.raises(StoreUnavailable):
            await life.executions.stop(APP, script_id, schedule.id, StopAction.STOP, actor=CLIENT)
        robot.state_dir.joinpath('away').rename(robot.state_dir / 'gateway.sqlite3')
        assert (await life.questions.get(APP, script_id, schedule.id)).is_schedule
        ended = await life.executions.stop(
            APP, script_id, schedule.id, StopAction.STOP, actor=CLIENT
        )
        assert ended.status is TERMINATED


async def test_output_of_executions_that_nobody_knows_is_removed(robot: Robot) -> None:
    """What a crash left behind goes at the next start."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        known = await life.start(script_id, ExecutionType.NOW)
        await life.finish(known.id)
    async with robot.gateway(kept=(known.id, 'exec_of_nobody')) as life:
        while not life.runner.discarded:
            await life.store.last_id()
        assert life.runner.discarded == ['exec_of_nobody']


async def test_what_a_database_that_was_set_aside_may_know_is_kept(robot: Robot) -> None:
    """Outputs, and ends that nobody recorded, stay as long as the corrupt database lies there."""
    robot.max_kept = 1
    async with robot.gateway() as life:
        script_id = await life.upload()
        forgotten = await life.start(script_id, ExecutionType.NOW)
        await life.listener.wait_for(forgotten.id, RUNNING)
    (robot.state_dir / 'gateway.sqlite3').write_bytes(b'not a database, ' * 4096)
    outcome = Outcome(cause=EndCause.EXITED, exit_code=0)
    kept = (forgotten.id,)
    async with robot.gateway(recovered={forgotten.id: outcome}, kept=kept) as life:
        ended = [await life.start(script_id, ExecutionType.NOW) for _ in range(2)]
        for execution in ended:
            await life.finish(execution.id)
        while ended[0].id not in life.runner.discarded:
            await life.store.last_id()
        assert forgotten.id not in life.runner.discarded
        assert forgotten.id not in life.runner.acknowledged
    for aside in robot.state_dir.glob('gateway.sqlite3.corrupt-*'):
        aside.unlink()
    async with robot.gateway(recovered={forgotten.id: outcome}, kept=kept) as life:
        assert life.runner.acknowledged == [forgotten.id]
        while life.runner.discarded != [forgotten.id]:
            await life.store.last_id()


async def test_an_end_that_was_recorded_is_acknowledged_at_the_next_start(robot: Robot) -> None:
    """Killed between the record and the word to the runner, the next gateway gives that word."""
    async with robot.gateway() as life:
        script_id = await life.upload()
        ended = await life.start(script_id, ExecutionType.NOW)
        await life.finish(ended.id)
    outcome = Outcome(cause=EndCause.EXITED, exit_code=3)
    async with robot.gateway(recovered={ended.id: outcome}) as life:
        assert life.runner.acknowledged == [ended.id]
        assert (await life.questions.get(APP, script_id, ended.id)).status is COMPLETED


async def test_many_that_wait_are_let_in_in_order(robot: Robot) -> None:
    """First come first served, whatever their number."""
    robot.max_executions = 1
    async with robot.gateway() as life:
        script_id = await life.upload()
        for _ in range(40):
            await life.start(script_id, ExecutionType.ON_RESTART)
    async with robot.gateway() as life:
        waiting = [each.id for each in await life.all(script_id) if each.parent]
        for execution_id in waiting:
            await life.finish(execution_id)
        assert list(life.runner.started) == waiting
