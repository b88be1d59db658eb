# SPDX-License-Identifier: Apache-2.0
"""Who may start: limits, refusals, and scripts that change during the start."""

import asyncio
from dataclasses import replace
import gc
from typing import Any

from clients import CLIENT
from execution_stage import APP, AT_ONCE, COMPONENT, NOW, Stage
import pytest

from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    GatewayShuttingDown,
    KindNotAvailable,
    RunnerUnavailable,
    ScriptAlreadyRunning,
    StoreUnavailable,
    TimeoutTooLong,
)
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.scripts.errors import ParametersInvalid, ScriptNotFound
from gateway_node.scripts.values import ScriptKind


async def test_nothing_starts_that_cannot_be_recorded(stage: Stage) -> None:
    """StoreUnavailable at the start: no script runs, and the place is free again."""
    script_id = await stage.upload()
    stage.store.unavailable = 'disk full'
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    stage.store.unavailable = None
    assert stage.runner.started == ()
    assert stage.listener.events == []
    await stage.running(script_id)


async def test_two_starts_at_once_cannot_both_have_the_last_place(stage: Stage) -> None:
    """The limit of an entity, and of the gateway, holds for starts in the same moment."""
    first, second = await stage.upload(), await stage.upload()
    starts = [
        stage.service.start(APP, each, AT_ONCE, actor=CLIENT)
        for each in (first, second, first, second)
    ]
    results = await asyncio.gather(*starts, return_exceptions=True)
    refused = [each for each in results if isinstance(each, ConcurrencyLimitReached)]
    assert [each.parameter for each in refused] == [
        'scripts.max_concurrent_executions_per_entity'
    ] * 2
    other = await stage.upload(COMPONENT)
    starts = [stage.service.start(COMPONENT, other, AT_ONCE, actor=CLIENT) for _ in range(2)]
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
    starts = [stage.service.start(APP, script_id, NOW, actor=CLIENT) for _ in range(2)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    (winner,) = (each for each in results if isinstance(each, Execution))
    (loser,) = (each for each in results if isinstance(each, ScriptAlreadyRunning))
    assert loser.execution_id == winner.id
    (await stage.runner.script(winner.id)).exit(0)
    await stage.listener.wait_for(winner.id)
    await stage.running(script_id)


async def test_a_launch_fragment_takes_no_arguments(stage: Stage) -> None:
    """They would go nowhere: the refusal names them, and where launch arguments are given."""
    script_id = await stage.upload()
    await stage.replace(script_id, file_name='a.launch.py')
    with pytest.raises(ParametersInvalid, match="'arguments' begins with 'text:=x'"):
        await stage.service.start(
            APP, script_id, replace(NOW, arguments=('text:=x',)), actor=CLIENT
        )
    await stage.running(script_id)


class Vets:
    """Holds the runner's word on each order, and gives it as the test wants."""

    def __init__(self, stage: Stage, patch: pytest.MonkeyPatch) -> None:
        self.orders: list[StartOrder] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.refusal: Exception | None = None
        patch.setattr(stage.runner, 'vet', self._vet)

    async def _vet(self, order: StartOrder) -> None:
        self.orders.append(order)
        self.asked.set()
        await self.go_on.wait()
        if self.refusal is not None:
            raise self.refusal


async def test_the_runner_is_not_asked_about_what_has_no_place(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To answer it may execute a part of the script: that needs a place first."""
    single, many = await stage.upload(single_execution=True), await stage.upload()
    await stage.running(single)
    vets = Vets(stage, monkeypatch)
    with pytest.raises(ScriptAlreadyRunning):
        await stage.service.start(APP, single, NOW, actor=CLIENT)
    waiting = asyncio.create_task(stage.service.start(APP, many, NOW, actor=CLIENT))
    await vets.asked.wait()
    with pytest.raises(ConcurrencyLimitReached):
        await stage.service.start(APP, many, AT_ONCE, actor=CLIENT)
    stage.service.close()
    with pytest.raises(GatewayShuttingDown):
        await stage.service.start(COMPONENT, await stage.upload(COMPONENT), NOW, actor=CLIENT)
    vets.go_on.set()
    with pytest.raises(GatewayShuttingDown):
        await waiting
    assert len(vets.orders) == 1
    stage.runner.release()


@pytest.mark.parametrize('end', ['refused', 'cancelled'])
async def test_a_place_is_held_while_the_runner_is_asked(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Nobody else has it meanwhile; where it comes to nothing it is free again."""
    script_id = await stage.upload()
    await stage.running(script_id)
    vets = Vets(stage, monkeypatch)
    waiting = asyncio.create_task(stage.service.start(APP, script_id, NOW, actor=CLIENT))
    await vets.asked.wait()
    with pytest.raises(ConcurrencyLimitReached):
        await stage.service.start(APP, script_id, AT_ONCE, actor=CLIENT)
    if end == 'cancelled':
        waiting.cancel()
    vets.refusal = RunnerUnavailable('the spawner is being started')
    vets.go_on.set()
    await asyncio.wait({waiting})
    assert waiting.cancelled() is (end == 'cancelled')
    vets.refusal = None
    await stage.running(script_id)


@pytest.mark.parametrize('execution_type', [ExecutionType.NOW, ExecutionType.ON_RESTART])
async def test_a_failed_record_that_nobody_waits_for_is_logged_at_once(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    execution_type: ExecutionType,
) -> None:
    """A client that went away has no answer to get; asyncio has nothing to complain of later."""
    script_id = await stage.upload()
    asked, refused = asyncio.Event(), asyncio.Event()

    async def begin(
        *executions: Execution, actor: Actor, key: object, queued: bool = False
    ) -> None:
        asked.set()
        await refused.wait()
        raise StoreUnavailable('disk full')

    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: unheard.append(told))
    with monkeypatch.context() as patch:
        patch.setattr(stage.ledger, 'begin', begin)
        starting = asyncio.create_task(
            stage.service.start(
                APP,
                script_id,
                replace(NOW, execution_type=execution_type),
                actor=CLIENT,
            )
        )
        await asked.wait()
        starting.cancel()
        await asyncio.wait({starting})
        refused.set()
    await stage.running(script_id)
    del starting
    gc.collect()
    assert unheard == []
    (told,) = [each for each in caplog.messages if 'nobody waits for it' in each]
    assert told.endswith("StoreUnavailable('disk full')")


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
        await stage.service.start(APP, await stage.upload(), NOW, actor=CLIENT)
    assert await stage.store.last_id() is None


async def test_parameters_are_checked_against_the_schema(stage: Stage) -> None:
    """Only where the script has one, and a refusal starts nothing."""
    schema = {'type': 'object'}
    script_id = await stage.upload(parameters_schema=schema)
    stage.schemas.parameters_error = ParametersInvalid('no', ())
    with pytest.raises(ParametersInvalid):
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert stage.schemas.checked == [(schema, {})]
    await stage.running(await stage.upload())


async def test_a_script_that_is_deleted_during_the_start_does_not_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted while its parameters are checked, it is not found."""
    script_id = await stage.upload(parameters_schema={})

    async def delete_meanwhile(*_: object) -> tuple[str, ...]:
        await stage.script_changes.delete(APP, script_id, actor=CLIENT)
        return ()

    monkeypatch.setattr(stage.schemas, 'check_parameters', delete_meanwhile)
    with pytest.raises(ScriptNotFound):
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert stage.runner.started == ()


async def test_a_script_that_is_replaced_during_the_start_starts_as_it_is_now(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked is what starts: the new version is checked again."""
    script_id = await stage.upload(parameters_schema={})
    checks = 0

    async def replace_once(*_: object) -> tuple[str, ...]:
        nonlocal checks
        checks += 1
        if checks == 1:
            await stage.replace(script_id)
        return ()

    monkeypatch.setattr(stage.schemas, 'check_parameters', replace_once)
    execution = await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    order = (await stage.runner.script(execution.id)).order
    assert order.script.path.read_bytes() == b'false\n'
    assert execution.script_version == order.script.version
    assert execution.script_version == (await stage.library.get(APP, script_id)).version


async def test_a_replaced_script_runs_on_in_the_version_that_started(stage: Stage) -> None:
    """The old version's file stays while an execution needs it; then the record is outdated."""
    script_id = await stage.upload()
    execution, script = await stage.running(script_id)
    await stage.replace(script_id)
    assert script.order.script.path.read_bytes() == b'true\n'
    assert stage.service.versions_in_use(script_id) == {execution.script_version}
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    assert execution.script_version != (await stage.library.get(APP, script_id)).version


async def test_a_version_stays_while_an_order_of_it_is_made_out(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner may read the file, as of a launch fragment; afterwards nobody needs it."""
    script_id = await stage.upload()
    read: list[bytes] = []

    async def replace_and_read(order: StartOrder) -> None:
        if not read:
            await stage.replace(script_id)
        read.append(order.script.path.read_bytes())

    monkeypatch.setattr(stage.runner, 'vet', replace_and_read)
    execution = await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    assert read == [b'true\n', b'false\n']
    assert stage.service.versions_in_use(script_id) == {execution.script_version}


async def test_an_order_that_is_refused_needs_no_version(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many are refused, nothing is kept for them."""
    script_id = await stage.upload()
    needed = []

    async def refuse(_: StartOrder) -> None:
        needed.append(stage.service.versions_in_use(script_id))
        raise RunnerUnavailable('not now')

    monkeypatch.setattr(stage.runner, 'vet', refuse)
    starts = [stage.service.start(APP, script_id, NOW, actor=CLIENT) for _ in range(2)]
    await asyncio.gather(*starts, return_exceptions=True)
    version = (await stage.library.get(APP, script_id)).version
    assert needed == [{version}, {version}]
    assert stage.service.versions_in_use(script_id) == frozenset()


async def test_a_script_that_comes_back_under_another_name_starts_under_that(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced twice while its start is being checked: the same bytes, and yet another file."""
    script_id = await stage.upload(parameters_schema={})
    checks = 0

    async def replace_twice(*_: object) -> tuple[str, ...]:
        nonlocal checks
        checks += 1
        if checks == 1:
            await stage.replace(script_id)
            await stage.replace(script_id, b'true\n', 'b.sh')
        return ()

    monkeypatch.setattr(stage.schemas, 'check_parameters', replace_twice)
    execution = await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    order = (await stage.runner.script(execution.id)).order
    assert (order.script.name, order.script.path.read_bytes()) == ('b.sh', b'true\n')


async def test_a_start_may_shorten_the_time_limit(stage: Stage) -> None:
    """Up to the script's own, or to the default where it sets none; the execution says so."""
    quick, plain = await stage.upload(timeout_sec=7.0), await stage.upload()
    for script_id, asked_sec in ((quick, 7.0), (plain, 0.5)):
        request = replace(NOW, timeout_sec=asked_sec)
        execution = await stage.service.start(APP, script_id, request, actor=CLIENT)
        script = await stage.runner.script(execution.id)
        assert (script.order.timeout_sec, execution.timeout_sec) == (asked_sec, asked_sec)


async def test_no_start_may_lengthen_the_time_limit(stage: Stage) -> None:
    """It is refused with the limit and whose it is, and nothing is recorded."""
    quick, plain = await stage.upload(timeout_sec=7.0), await stage.upload()
    for script_id, limit, whose in (
        (quick, 7, 'timeout_sec of the script'),
        (plain, 300, 'scripts.default_timeout_sec'),
    ):
        request = replace(NOW, timeout_sec=limit + 0.5)
        with pytest.raises(TimeoutTooLong) as refused:
            await stage.service.start(APP, script_id, request, actor=CLIENT)
        (violation,) = refused.value.violations
        assert violation.path == '/body/timeout_sec'
        assert violation.reason == f'is {limit}.5; allowed: at most {limit} ({whose})'
    assert stage.runner.started == ()
    assert stage.listener.events == []
