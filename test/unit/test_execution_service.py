"""The execution service with fakes around it; the library's directory is its only disk."""

import asyncio
from collections.abc import AsyncIterator
import datetime
from pathlib import Path
from typing import Any

import pytest
from ros_support import wait_until

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef, EntityType, NodeName
from gateway_node.executions import ledger as ledger_module
from gateway_node.executions import service as service_module
from gateway_node.executions.admission import Admission
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotStoppable,
    GatewayShuttingDown,
    KindNotAvailable,
    ProximityNotAvailable,
    RunnerUnavailable,
    ScriptAlreadyRunning,
    ScriptHasOpenExecutions,
    SpawnFailed,
    StoreUnavailable,
)
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import EndCause, LimitReached, Outcome, RetentionPolicy
from gateway_node.executions.restarts import RestartSettings
from gateway_node.executions.service import ExecutionService, ExecutionSettings, StartRequest
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    FailureReason,
    Output,
    Progress,
    StopAction,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.errors import ParametersInvalid, ScriptNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.values import ScriptKind
from gateway_node.testing import (
    FakeClock,
    FakeSchemaChecker,
    FakeScript,
    FakeScriptRunner,
    InMemoryExecutionStore,
    RecordingListener,
)

APP = EntityRef(entity_type=EntityType.APP, entity_id='temp_sensor')
COMPONENT = EntityRef(entity_type=EntityType.COMPONENT, entity_id='temp_sensor')
PREPARED = ExecutionStatus.PREPARED
RUNNING = ExecutionStatus.RUNNING
COMPLETED = ExecutionStatus.COMPLETED
FAILED = ExecutionStatus.FAILED
TERMINATED = ExecutionStatus.TERMINATED
STOP = StopAction.STOP
FORCE = StopAction.FORCED_TERMINATION
NOW = StartRequest(execution_type=ExecutionType.NOW)


class Gate(asyncio.Event):
    """Holds up the start of a script, and tells that it was reached."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> bool:  # type: ignore[override]
        """Wait until the gate is open."""
        self.reached.set()
        return await super().wait()


class Stage:
    """A service and the fakes around it."""

    def __init__(self, folder: Path, *, retention: RetentionPolicy) -> None:
        self.clock = FakeClock()
        self.store = InMemoryExecutionStore(self.clock)
        self.schemas = FakeSchemaChecker()
        self.runner = FakeScriptRunner()
        self.listener = RecordingListener()
        self.library = ScriptLibrary(
            scripts_dir=folder, max_file_bytes=1024, schemas=self.schemas, clock=self.clock
        )
        ledger = Ledger(self.store)
        ledger.add_listener(self.listener)
        self.service = ExecutionService(
            library=self.library,
            schemas=self.schemas,
            store=self.store,
            runner=self.runner,
            ledger=ledger,
            ids=ExecutionIds(),
            clock=self.clock,
            settings=ExecutionSettings(
                default_timeout_sec=300,
                stop_grace_period_sec=5,
                admission=Admission(max_executions=3, max_executions_per_entity=2),
                retention=retention,
                restarts=RestartSettings(
                    min_interval_sec=60, entity_timeout_sec=30, start_prepared=False
                ),
            ),
        )

    async def upload(self, entity: EntityRef = APP, **metadata: Any) -> str:
        """Upload a script; return its id."""
        async with self.library.begin_upload() as upload:
            await upload.write(b'true\n')
            script = await self.library.create(entity, upload, 'a.sh', Metadata(**metadata))
        return script.id

    async def replace(self, script_id: str) -> None:
        """Give a script another content."""
        async with self.library.begin_upload() as upload:
            await upload.write(b'false\n')
            await self.library.replace(
                APP,
                script_id,
                upload,
                file_name='a.sh',
                metadata=None,
                versions_in_use=self.service.versions_in_use,
            )

    async def running(self, script_id: str) -> tuple[Execution, FakeScript]:
        """Start an execution and wait until it runs."""
        execution = await self.service.start(APP, script_id, NOW)
        script = await self.runner.script(execution.id)
        return await self.listener.wait_for(execution.id, RUNNING), script

    async def stop(self, execution: Execution, action: StopAction = STOP) -> Execution:
        """Send a termination action."""
        return await self.service.stop(APP, execution.script_id, execution.id, action)

    async def get(self, execution: Execution) -> Execution:
        """Return an execution as it is now."""
        return await self.service.get(APP, execution.script_id, execution.id)


@pytest.fixture
def retention() -> RetentionPolicy:
    """Keep everything; a test that wants less says so."""
    return RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)


@pytest.fixture
async def stage(
    tmp_path: Path, retention: RetentionPolicy, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Set a stage whose waits are short; at the end nothing may be open."""
    monkeypatch.setattr(ledger_module, 'RETRY_SEC', 0.01)
    monkeypatch.setattr(service_module, 'STOP_WAIT_SEC', 0.05)
    stage = Stage(tmp_path, retention=retention)
    await stage.library.open()
    directory = EntityDirectory(
        host_name='robot',
        own_node=NodeName(namespace='/', name='gateway_node'),
        clock=stage.clock,
        is_held=lambda ref: True,
    )
    await stage.service.open(directory)
    yield stage
    stage.store.unavailable = None
    stage.runner.release()
    stage.service.close()
    stage.service.kill()
    async with asyncio.timeout(5):
        await stage.service.wait_closed()
    assert await stage.store.open_executions() == ()


async def test_an_execution_goes_its_way_and_every_step_is_told(stage: Stage) -> None:
    """Prepared, running, completed: recorded, told in order, with times and exit code."""
    execution, script = await stage.running(await stage.upload())
    assert execution.started_at == stage.clock.now()
    stage.clock.advance(3)
    script.exit(0, stdout=b'{"ok": true}')
    ended = await stage.listener.wait_for(execution.id)
    assert stage.listener.statuses(execution.id) == [PREPARED, RUNNING, COMPLETED]
    assert ended.output_parameters == {'ok': True}
    assert (ended.exit_code, ended.duration_ms) == (0, 500)
    assert ended.completed_at == stage.clock.now()
    assert await stage.get(execution) == ended
    causes = [t.cause for t in await stage.store.transitions(after=0, limit=10)]
    assert causes == ['accepted', 'started', 'exited']


async def test_a_start_gives_the_script_what_it_was_given(stage: Stage) -> None:
    """Parameters, arguments, the script's own timeout else the default, and the grace period."""
    quick = await stage.upload(timeout_sec=7.0)
    request = StartRequest(
        execution_type=ExecutionType.NOW, parameters={'a': 1}, arguments=('-v',)
    )
    execution = await stage.service.start(APP, quick, request)
    order = (await stage.runner.script(execution.id)).order
    assert (order.parameters, order.arguments) == ({'a': 1}, ('-v',))
    assert (order.timeout_sec, order.stop_grace_period_sec) == (7.0, 5)
    other = await stage.service.start(APP, await stage.upload(), NOW)
    assert (await stage.runner.script(other.id)).order.timeout_sec == 300


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
    """The start that is under way gets the stop as soon as there is something to stop."""
    gate = Gate()
    stage.runner.hold_starts = gate
    execution = await stage.service.start(APP, await stage.upload(), NOW)
    await gate.reached.wait()
    assert (await stage.get(execution)).status is PREPARED
    assert (await stage.stop(execution)).terminating
    gate.set()
    script = await stage.runner.script(execution.id)
    assert await script.wait_stop_asked() is STOP
    script.end(Outcome(cause=EndCause.EXITED, signal=15))
    assert (await stage.listener.wait_for(execution.id)).status is TERMINATED


async def test_a_stop_before_anything_began_starts_nothing(stage: Stage) -> None:
    """Stopped in the same turn of the loop, the script never starts."""
    execution = await stage.service.start(APP, await stage.upload(), NOW)
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
    with pytest.raises(ExecutionNotStoppable, match='completed'):
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
    stage.store.unavailable = None
    ended = await stage.listener.wait_for(execution.id)
    assert (ended.status, ended.exit_code) == (FAILED, 3)
    assert await stage.store.get(execution.id) == ended


async def test_nothing_starts_that_cannot_be_recorded(stage: Stage) -> None:
    """StoreUnavailable at the start: no script runs, and the place is free again."""
    script_id = await stage.upload()
    stage.store.unavailable = 'disk full'
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await stage.service.start(APP, script_id, NOW)
    stage.store.unavailable = None
    assert stage.runner.started == ()
    assert stage.listener.transitions == []
    await stage.running(script_id)


async def test_a_script_that_cannot_be_spawned_fails(stage: Stage) -> None:
    """`failed` with spawn-failed and the reason, straight from `prepared`."""
    stage.runner.start_error = SpawnFailed('no such interpreter')
    execution = await stage.service.start(APP, await stage.upload(), NOW)
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
    execution = await stage.service.start(APP, await stage.upload(), NOW)
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

    monkeypatch.setattr(stage.runner, 'output', broken)
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
    stage.runner.outputs[execution.id] = Output(stderr='last words')
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
        await stage.service.start(APP, script_id, NOW)
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


async def test_two_starts_at_once_cannot_both_have_the_last_place(stage: Stage) -> None:
    """The limit of an entity, and of the gateway, holds for starts in the same moment."""
    first, second = await stage.upload(), await stage.upload()
    starts = [stage.service.start(APP, each, NOW) for each in (first, second, first, second)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    refused = [each for each in results if isinstance(each, ConcurrencyLimitReached)]
    assert [each.parameter for each in refused] == [
        'scripts.max_concurrent_executions_per_entity'
    ] * 2
    other = await stage.upload(COMPONENT)
    starts = [stage.service.start(COMPONENT, other, NOW) for _ in range(2)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    (overall,) = (each for each in results if isinstance(each, ConcurrencyLimitReached))
    assert (overall.parameter, overall.limit) == ('scripts.max_concurrent_executions', 3)


async def test_a_place_is_free_again_after_the_end(stage: Stage) -> None:
    """As many as the limit, over and over."""
    script_id = await stage.upload()
    for _ in range(5):
        execution, script = await stage.running(script_id)
        script.exit(0)
        await stage.listener.wait_for(execution.id)


async def test_a_single_execution_script_starts_once_at_a_time(stage: Stage) -> None:
    """Two in the same moment: one wins; after its end the next may."""
    script_id = await stage.upload(single_execution=True)
    starts = [stage.service.start(APP, script_id, NOW) for _ in range(2)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    (winner,) = (each for each in results if isinstance(each, Execution))
    (loser,) = (each for each in results if isinstance(each, ScriptAlreadyRunning))
    assert loser.execution_id == winner.id
    (await stage.runner.script(winner.id)).exit(0)
    await stage.listener.wait_for(winner.id)
    await stage.running(script_id)


@pytest.mark.parametrize(
    'error',
    [
        ParametersInvalid('no', ()),
        KindNotAvailable(ScriptKind.LAUNCH, 'no launch'),
        RunnerUnavailable('the spawner is being started'),
    ],
)
async def test_what_the_runner_refuses_is_not_recorded(stage: Stage, error: Exception) -> None:
    """The refusal is the caller's, and nothing of it is kept."""
    stage.runner.refusal = error
    with pytest.raises(type(error)):
        await stage.service.start(APP, await stage.upload(), NOW)
    assert await stage.store.last_id() is None


async def test_parameters_are_checked_against_the_schema(stage: Stage) -> None:
    """Only where the script has one, and a refusal starts nothing."""
    schema = {'type': 'object'}
    script_id = await stage.upload(parameters_schema=schema)
    stage.schemas.parameters_error = ParametersInvalid('no', ())
    with pytest.raises(ParametersInvalid):
        await stage.service.start(APP, script_id, NOW)
    assert stage.schemas.checked == [(schema, {})]
    await stage.running(await stage.upload())


async def test_a_proof_of_proximity_cannot_be_given_yet(stage: Stage) -> None:
    """Such a script never starts silently."""
    script_id = await stage.upload(proximity_proof_required=True)
    with pytest.raises(ProximityNotAvailable):
        await stage.service.start(APP, script_id, NOW)


async def test_a_script_that_is_deleted_during_the_start_does_not_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted while its parameters are checked, it is not found."""
    script_id = await stage.upload(parameters_schema={})

    async def delete_meanwhile(*_: object) -> None:
        await stage.service.delete_script(APP, script_id)

    monkeypatch.setattr(stage.schemas, 'check_parameters', delete_meanwhile)
    with pytest.raises(ScriptNotFound):
        await stage.service.start(APP, script_id, NOW)
    assert stage.runner.started == ()


async def test_a_script_that_is_replaced_during_the_start_starts_as_it_is_now(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what starts: the new version is checked again."""
    script_id = await stage.upload(parameters_schema={})
    checks = 0

    async def replace_once(*_: object) -> None:
        nonlocal checks
        checks += 1
        if checks == 1:
            await stage.replace(script_id)

    monkeypatch.setattr(stage.schemas, 'check_parameters', replace_once)
    execution = await stage.service.start(APP, script_id, NOW)
    order = (await stage.runner.script(execution.id)).order
    assert order.script.path.read_bytes() == b'false\n'
    assert execution.script_version == order.script.version
    assert execution.script_version == await stage.service.present_version(APP, script_id)


async def test_a_replaced_script_runs_on_in_the_version_that_started(stage: Stage) -> None:
    """The old version's file stays while an execution needs it; then the record is outdated."""
    script_id = await stage.upload()
    execution, script = await stage.running(script_id)
    await stage.replace(script_id)
    assert script.order.script.path.read_bytes() == b'true\n'
    assert stage.service.versions_in_use(script_id) == {execution.script_version}
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    assert execution.script_version != await stage.service.present_version(APP, script_id)


async def test_a_script_with_open_executions_cannot_be_deleted(stage: Stage) -> None:
    """Afterwards it can, and its execution stays readable."""
    script_id = await stage.upload()
    execution, script = await stage.running(script_id)
    with pytest.raises(ScriptHasOpenExecutions) as refused:
        await stage.service.delete_script(APP, script_id)
    assert refused.value.execution_ids == (execution.id,)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    await stage.service.delete_script(APP, script_id)
    assert (await stage.get(execution)).status is COMPLETED
    page = await stage.service.page(APP, script_id, limit=10, before=None)
    assert [each.id for each in page.executions] == [execution.id]


async def test_only_what_has_ended_can_be_deleted(stage: Stage) -> None:
    """Its output goes with it, and then nobody knows it any more."""
    execution, script = await stage.running(await stage.upload())
    with pytest.raises(ExecutionNotDeletable):
        await stage.service.delete(APP, execution.script_id, execution.id)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    await stage.service.delete(APP, execution.script_id, execution.id)
    assert stage.runner.discarded == [execution.id]
    with pytest.raises(ExecutionNotFound):
        await stage.get(execution)


async def test_progress_is_told_and_kept(stage: Stage) -> None:
    """The last progress is in the record of the end; progress after the end changes nothing."""
    execution, script = await stage.running(await stage.upload())
    script.report(Progress(percent=40))
    script.report(Progress(percent=45, message='half'))
    assert [each.progress for each in stage.listener.progress] == [
        Progress(percent=40),
        Progress(percent=45, message='half'),
    ]
    assert (await stage.get(execution)).progress == Progress(percent=45, message='half')
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    script.report(Progress(percent=99))
    assert len(stage.listener.progress) == 2
    assert ended.progress == Progress(percent=45, message='half')
    assert await stage.get(execution) == ended


async def test_a_cancelled_request_does_not_take_the_execution_along(stage: Stage) -> None:
    """A client that goes while its stop is waited for changes nothing about the stop."""
    execution, script = await stage.running(await stage.upload())
    stopping = asyncio.create_task(stage.stop(execution))
    await script.wait_stop_asked()
    stopping.cancel()
    script.exit(0)
    assert (await stage.listener.wait_for(execution.id)).status is TERMINATED


async def test_the_wall_clock_may_go_back_a_year(stage: Stage) -> None:
    """Ids still grow, the duration is right, and the newest execution is listed first."""
    script_id = await stage.upload()
    started = []
    for _ in range(3):
        execution, script = await stage.running(script_id)
        stage.clock.wall -= datetime.timedelta(days=365)
        script.exit(0)
        ended = await stage.listener.wait_for(execution.id)
        assert ended.duration_ms == 500
        started.append(execution.id)
    assert started == sorted(started)
    page = await stage.service.page(APP, script_id, limit=2, before=None)
    assert [each.id for each in page.executions] == started[:0:-1]
    assert page.more


class TestRetention:
    @pytest.fixture
    def retention(self) -> RetentionPolicy:
        """Keep two, and failed ones for an hour."""
        return RetentionPolicy(max_executions=2, max_age_sec=0, max_failed_age_sec=3600)

    async def test_the_oldest_ended_ones_go_first_and_open_ones_stay(self, stage: Stage) -> None:
        """Past the bound the longest ended are removed with their output."""
        script_id = await stage.upload()
        staying, _ = await stage.running(script_id)
        ended = []
        for _ in range(4):
            execution, script = await stage.running(script_id)
            script.exit(0)
            await stage.listener.wait_for(execution.id)
            ended.append(execution.id)
            stage.clock.advance(1)
        await wait_until(lambda: len(stage.runner.discarded) >= 2, what='a sweep')
        assert stage.runner.discarded == ended[:2]
        assert (await stage.get(staying)).status is RUNNING
