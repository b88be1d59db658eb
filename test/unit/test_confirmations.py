# SPDX-License-Identifier: Apache-2.0
"""What a script wants confirmed is confirmed before it is executed."""

from dataclasses import replace

from clients import CLIENT
from execution_stage import APP, COMPONENT, FAILED, NOW, Stage, STOP
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.values import ExecutionType
from gateway_node.scripts.errors import ParametersInvalid
from gateway_node.scripts.values import Retries

TEXT = 'The arm moves.'
CONFIRMED = replace(NOW, confirmed=True)


async def test_a_start_that_does_not_confirm_is_refused_with_what_it_would_do(
    stage: Stage,
) -> None:
    """The text and what the script would be given; nothing is recorded, no place is taken."""
    script_id = await stage.upload(confirmation=TEXT)
    wish = replace(NOW, parameters={'speed': 0.2}, arguments=('-v',))
    for _ in range(5):
        with pytest.raises(ConfirmationNeeded, match=TEXT) as refused:
            await stage.service.start(APP, script_id, wish, actor=CLIENT)
    assert refused.value.told == {
        'confirmation': TEXT,
        'entities': [APP.path],
        'input_parameters': {'speed': 0.2},
        'arguments': ['-v'],
    }
    assert stage.listener.events == []
    execution = await stage.service.start(
        APP, script_id, replace(wish, confirmed=True), actor=CLIENT
    )
    assert (await stage.runner.script(execution.id)).order.parameters == {'speed': 0.2}


async def test_who_confirms_a_text_confirms_that_alone(stage: Stage) -> None:
    """A script that says something else by then is not started."""
    script_id = await stage.upload(confirmation='The arm moves fast.')
    with pytest.raises(ConfirmationNeeded, match='The arm moves fast'):
        await stage.service.start(APP, script_id, replace(NOW, confirmed=TEXT), actor=CLIENT)
    said = replace(NOW, confirmed='The arm moves fast.')
    await stage.service.start(APP, script_id, said, actor=CLIENT)


async def test_what_needs_no_confirmation_may_be_confirmed(stage: Stage) -> None:
    """A client that always says so is not refused."""
    script_id = await stage.upload()
    for said in (True, TEXT):
        await stage.service.start(APP, script_id, replace(NOW, confirmed=said), actor=CLIENT)


async def test_nobody_confirms_what_would_be_refused(stage: Stage) -> None:
    """Parameters that the script does not take are told first."""
    script_id = await stage.upload(confirmation=TEXT, parameters_schema={'type': 'object'})
    stage.schemas.parameters_error = ParametersInvalid('no', ())
    with pytest.raises(ParametersInvalid):
        await stage.service.start(APP, script_id, NOW, actor=CLIENT)


@pytest.mark.parametrize(
    'execution_type', [each for each in ExecutionType if each is not ExecutionType.NOW]
)
async def test_a_schedule_is_confirmed_when_it_is_made(
    stage: Stage, execution_type: ExecutionType
) -> None:
    """Of each type; then for all its starts."""
    script_id = await stage.upload(confirmation=TEXT)
    wish = replace(NOW, execution_type=execution_type)
    with pytest.raises(ConfirmationNeeded):
        await stage.service.start(APP, script_id, wish, actor=CLIENT)
    confirmed = replace(wish, confirmed=True)
    execution = await stage.service.start(APP, script_id, confirmed, actor=CLIENT)
    schedule_id = execution.schedule or execution.id
    await stage.service.stop(APP, script_id, schedule_id, STOP, actor=CLIENT)


async def test_a_further_attempt_belongs_to_the_start_that_was_confirmed(stage: Stage) -> None:
    """Nobody is there to be asked again."""
    script_id = await stage.upload(confirmation=TEXT, retries=Retries(limit=1))
    first = await stage.service.start(APP, script_id, CONFIRMED, actor=CLIENT)
    (await stage.runner.script(first.id)).exit(3)
    await stage.listener.wait_for(first.id, FAILED)
    wanted = ExecutionFilter(entity=APP, script_id=script_id)
    page = await stage.questions.find(wanted, KeysetPage(limit=-10))
    (second,) = [each.execution_id for each in page.executions if each.execution_id != first.id]
    assert (await stage.runner.script(second)).order.script.confirmation == TEXT


async def test_a_group_is_refused_with_all_that_has_to_be_confirmed(stage: Stage) -> None:
    """Each text once, with all entities whose script has one; then all of them start, or none."""
    node = NodeName(namespace='/', name=APP.entity_id)
    stage.directory.update(GraphSnapshot(nodes=frozenset({node})))
    host = stage.directory.host()
    await stage.upload(APP, name='check', confirmation=TEXT)
    await stage.upload(host, name='check', confirmation='The host is busy.')
    wish = GroupRequest(script='check', entities=('*/*',), start=replace(NOW, parameters={'a': 1}))
    with pytest.raises(ConfirmationNeeded) as refused:
        await stage.service.start_group(wish, stage.directory, actor=CLIENT)
    assert refused.value.told == {
        'confirmation': f'{TEXT}\n\nThe host is busy.',
        'entities': [APP.path, host.path],
        'input_parameters': {'a': 1},
        'arguments': [],
    }
    assert stage.listener.events == []
    confirmed = replace(wish, start=replace(wish.start, confirmed=True))
    await stage.service.start_group(confirmed, stage.directory, actor=CLIENT)
    for said in (False, TEXT, f'{TEXT}\n\nThe host is idle.'):
        other = replace(wish, start=replace(wish.start, confirmed=said))
        with pytest.raises(ConfirmationNeeded) as refused:
            await stage.service.start_group(other, stage.directory, actor=CLIENT)
        assert len(refused.value.texts) == 2
    text = refused.value.told['confirmation']
    as_read = replace(wish, start=replace(wish.start, confirmed=text))
    await stage.service.start_group(as_read, stage.directory, actor=CLIENT)


async def test_one_text_of_several_scripts_is_told_once(stage: Stage) -> None:
    """A person reads it once."""
    wanted = [
        ConfirmationNeeded({entity.path: TEXT}, parameters={}, arguments=())
        for entity in (APP, COMPONENT)
    ]
    told = ConfirmationNeeded.of_all(wanted).told
    assert (told['confirmation'], told['entities']) == (TEXT, [APP.path, COMPONENT.path])
