# SPDX-License-Identifier: Apache-2.0
"""A script that requires a proof of proximity starts for who is there, then and never later."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from clients import CLIENT
from execution_stage import (
    APP,
    FAILED,
    NOW,
    Stage,
)
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    LinePaused,
    RunnerUnavailable,
    ScriptAlreadyRunning,
    TimeoutTooLong,
)
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.instance_refs import InstanceStart
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.proximity import (
    NoProximityCheck,
    Proof,
    ProximityNeeded,
    ProximityNotAvailable,
    ProximityRefused,
    StartUnattended,
)
from gateway_node.executions.values import ExecutionType, Trigger, TriggerType
from gateway_node.scripts.errors import ParametersInvalid, ScriptNotFound
from gateway_node.scripts.values import Retries

HERE = replace(NOW, proximity_response='here')
ELSEWHERE = replace(NOW, proximity_response='elsewhere')


async def ids_of(stage: Stage, script_id: str) -> list[str]:
    """Return the ids of a script's executions, oldest first."""
    wanted = ExecutionFilter(entity=APP, script_id=script_id)
    page = await stage.questions.find(wanted, KeysetPage(limit=-100))
    return [each.execution_id for each in page.executions[::-1]]


async def test_who_proves_to_be_there_starts_the_script(stage: Stage) -> None:
    """The check is asked of the script, the entity and who asks; what was said is not kept."""
    script_id = await stage.upload(proximity_proof_required=True)
    execution = await stage.service.start(APP, script_id, HERE, actor=CLIENT)
    await stage.runner.script(execution.id)
    assert stage.proximity.checked == [(APP, script_id, Proof(by=CLIENT, response='here'))]
    assert 'here' not in repr(stage.proximity.checked) + repr(HERE)


async def test_who_does_not_prove_it_starts_nothing(stage: Stage) -> None:
    """Nothing is recorded, and no place is taken."""
    script_id = await stage.upload(proximity_proof_required=True)
    for _ in range(5):
        with pytest.raises(ProximityNeeded):
            await stage.service.start(APP, script_id, NOW, actor=CLIENT)
        with pytest.raises(ProximityRefused):
            await stage.service.start(APP, script_id, ELSEWHERE, actor=CLIENT)
    assert stage.listener.events == []
    await stage.service.start(APP, script_id, HERE, actor=CLIENT)


async def test_a_response_to_a_script_that_asks_for_none_is_not_looked_at(stage: Stage) -> None:
    """A client that always gives one is not refused."""
    await stage.service.start(APP, await stage.upload(), ELSEWHERE, actor=CLIENT)
    assert stage.proximity.checked == []


async def test_where_nothing_checks_proofs_no_such_script_starts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which parameters would change that."""
    script_id = await stage.upload(proximity_proof_required=True)
    monkeypatch.setattr(stage.proximity, 'check', NoProximityCheck().check)
    with pytest.raises(ProximityNotAvailable, match=r'proximity\.command'):
        await stage.service.start(APP, script_id, HERE, actor=CLIENT)


async def _parameters_refused(stage: Stage) -> type[Exception]:
    stage.schemas.parameters_error = ParametersInvalid('no', ())
    return ParametersInvalid


async def _runner_unavailable(stage: Stage) -> type[Exception]:
    stage.runner.refusal = RunnerUnavailable('no spawner')
    return RunnerUnavailable


async def _no_place(stage: Stage) -> type[Exception]:
    for _ in range(2):
        await stage.running(await stage.upload())
    return ConcurrencyLimitReached


async def _paused(stage: Stage) -> type[Exception]:
    await stage.service.line.set_paused(None, paused=True, actor=CLIENT)
    return LinePaused


@pytest.mark.parametrize('refuse', [_parameters_refused, _runner_unavailable, _no_place, _paused])
async def test_a_proof_is_asked_for_last(
    stage: Stage, refuse: Callable[[Stage], Awaitable[type[Exception]]]
) -> None:
    """What would be refused all the same uses none up; and what has no place does not wait for
    one: nobody may stand there by then."""
    script_id = await stage.upload(proximity_proof_required=True, parameters_schema={})
    refusal = await refuse(stage)
    with pytest.raises(refusal):
        await stage.service.start(APP, script_id, HERE, actor=CLIENT)
    assert stage.proximity.checked == []


async def test_other_refusals_come_before_that_of_a_proof(stage: Stage) -> None:
    """A confirmation that is missing, a time limit, an open execution."""
    single = await stage.upload(proximity_proof_required=True, single_execution=True)
    await stage.service.start(APP, single, HERE, actor=CLIENT)
    stage.proximity.checked.clear()
    with pytest.raises(ScriptAlreadyRunning):
        await stage.service.start(APP, single, HERE, actor=CLIENT)
    with pytest.raises(TimeoutTooLong):
        await stage.service.start(APP, single, replace(HERE, timeout_sec=301), actor=CLIENT)
    confirmed = await stage.upload(proximity_proof_required=True, confirmation='It moves.')
    with pytest.raises(ConfirmationNeeded):
        await stage.service.start(APP, confirmed, HERE, actor=CLIENT)
    assert stage.proximity.checked == []


async def test_a_script_that_is_deleted_while_its_proof_is_checked_does_not_start(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a verifier takes its time for is looked at again."""
    script_id = await stage.upload(proximity_proof_required=True)

    async def delete_meanwhile(*_: object) -> None:
        await stage.script_changes.delete(APP, script_id, actor=CLIENT)

    monkeypatch.setattr(stage.proximity, 'check', delete_meanwhile)
    with pytest.raises(ScriptNotFound):
        await stage.service.start(APP, script_id, HERE, actor=CLIENT)


async def test_a_script_that_is_replaced_while_its_proof_is_checked_is_not_proven_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new version starts, by the one proof."""
    script_id = await stage.upload(proximity_proof_required=True)
    proofs = []

    async def replace_meanwhile(*proof: object) -> None:
        proofs.append(proof)
        await stage.replace(script_id)

    monkeypatch.setattr(stage.proximity, 'check', replace_meanwhile)
    execution = await stage.service.start(APP, script_id, HERE, actor=CLIENT)
    present = await stage.library.get(APP, script_id)
    assert (execution.script_version, len(proofs)) == (present.version, 1)


@pytest.mark.parametrize(
    'execution_type', [each for each in ExecutionType if each is not ExecutionType.NOW]
)
async def test_no_schedule_starts_what_requires_a_proof(
    stage: Stage, execution_type: ExecutionType
) -> None:
    """Nobody is sure to stand there at the next start of the gateway."""
    script_id = await stage.upload(proximity_proof_required=True)
    wish = replace(HERE, execution_type=execution_type)
    with pytest.raises(StartUnattended) as refused:
        await stage.service.start(APP, script_id, wish, actor=CLIENT)
    assert [each.path for each in refused.value.violations] == ['/body/execution_type']
    assert (stage.proximity.checked, stage.listener.events) == ([], [])


async def test_no_group_starts_what_requires_a_proof(stage: Stage) -> None:
    """All entities are named whose script does; nobody stands beside each."""
    node = NodeName(namespace='/', name=APP.entity_id)
    stage.directory.update(GraphSnapshot(nodes=frozenset({node})))
    host = stage.directory.host()
    for entity in (APP, host):
        await stage.upload(entity, name='check', proximity_proof_required=True)
    wish = GroupRequest(script='check', entities=('*/*',), start=HERE)
    with pytest.raises(StartUnattended, match=f'{APP.path}, {host.path}') as refused:
        await stage.service.start_group(wish, stage.directory, actor=CLIENT)
    assert [each.path for each in refused.value.violations] == ['/body/entities']
    assert (stage.proximity.checked, stage.listener.events) == ([], [])


async def test_no_trigger_starts_what_came_to_require_a_proof(stage: Stage) -> None:
    """Nobody is shown a code when one fires."""
    script_id = await stage.upload(proximity_proof_required=True)
    fired = Trigger(type=TriggerType.CONDITION, setting='/hot above 60', firing=7)
    wish = replace(NOW, instance=InstanceStart(name='when_hot', version='1', trigger=fired))
    with pytest.raises(StartUnattended) as refused:
        await stage.service.start(APP, script_id, wish, actor=GATEWAY)
    assert [each.path for each in refused.value.violations] == ['/start_triggers']
    assert (stage.proximity.checked, stage.listener.events) == ([], [])


async def test_a_further_attempt_belongs_to_the_start_that_was_proven(stage: Stage) -> None:
    """All of them; the check is not asked again."""
    script_id = await stage.upload(proximity_proof_required=True, retries=Retries(limit=2))
    await stage.service.start(APP, script_id, HERE, actor=CLIENT)
    for attempt in range(3):
        execution_id = (await ids_of(stage, script_id))[attempt]
        (await stage.runner.script(execution_id)).exit(3)
        await stage.listener.wait_for(execution_id, FAILED)
    assert (len(stage.proximity.checked), len(await ids_of(stage, script_id))) == (1, 3)


async def test_a_further_attempt_of_what_came_to_require_a_proof_fails(stage: Stage) -> None:
    """Its start was not proven; no other attempt follows."""
    script_id = await stage.upload(retries=Retries(limit=3))
    execution, script = await stage.running(script_id)
    await stage.require_proof(script_id)
    script.exit(3)
    await stage.listener.wait_for(execution.id, FAILED)
    _, second = await ids_of(stage, script_id)
    ended = await stage.listener.wait_for(second, FAILED)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.PROXIMITY_UNPROVEN
    assert await ids_of(stage, script_id) == [execution.id, second]
