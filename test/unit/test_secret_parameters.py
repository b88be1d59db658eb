# SPDX-License-Identifier: Apache-2.0
"""Secrets in parameters: for the script alone, and only until it has them."""

from dataclasses import replace
import gc
import json
from pathlib import Path
from typing import Any
import weakref

from clients import CLIENT
from execution_stage import APP, NOW, RUNNING, Stage, STOP
from fakes import whole_log
import pytest
from waiting import wait_until

from gateway_node.entities.values import EntityRef, EntityType, GraphSnapshot, NodeName
from gateway_node.executions.again import repetition_of
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.documents import archived_execution, to_document, to_parameters
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.many import Action, Many
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType
from gateway_node.masking import MASK
from gateway_node.scripts.errors import (
    ParametersInvalid,
    SecretsMissing,
    SecretsScheduled,
)
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.values import ArgumentDefinition, Retries, Script, ScriptKind
from gateway_node.violations import Violation

SEED = 'hunter2-8b1f'
OTHER = EntityRef(entity_type=EntityType.APP, entity_id='other')
SCHEMA = {'properties': {'key': {'writeOnly': True}}}
GIVEN = {'key': SEED, 'user': 'anna'}
SHOWN = {'key': MASK, 'user': 'anna'}
WISH = replace(NOW, parameters=GIVEN)


async def start(stage: Stage, script_id: str, wish: StartRequest = WISH) -> Execution:
    """Start an execution of a script."""
    return await stage.service.start(APP, script_id, wish, actor=CLIENT)


async def fill(stage: Stage) -> list[Execution]:
    """Take all the places of the entity."""
    return [(await stage.running(await stage.upload()))[0] for _ in range(2)]


class Given(dict[str, Any]):
    """Parameters of which a test sees whether anybody still has them."""


def is_held(given: 'weakref.ref[Given]') -> bool:
    """Tell whether anybody has parameters."""
    gc.collect()
    return given() is not None


async def test_the_script_gets_what_nobody_else_is_shown(stage: Stage) -> None:
    """The order has the secret; the record, its forms, the log and searches have the mask."""
    script_id = await stage.upload(parameters_schema=SCHEMA)
    execution = await start(stage, script_id)
    script = await stage.runner.script(execution.id)
    assert (script.order.parameters, script.order.secrets) == (GIVEN, ('/key',))
    script.exit(0)
    ended = await stage.listener.wait_for(execution.id)
    for each in (execution, ended, await stage.get(execution)):
        assert (each.input_parameters, each.secrets) == (SHOWN, ('/key',))
        assert SEED not in to_document(each) + to_parameters(each)
        assert SEED not in json.dumps(archived_execution(each))
    assert SEED not in repr(await whole_log(stage.store))
    for value, found in ((SEED, 0), (MASK, 1)):
        wanted = ExecutionFilter(parameters={'key': frozenset({value})})
        page = await stage.questions.find(wanted, KeysetPage(limit=-10))
        assert len(page.executions) == found


async def test_the_gateway_holds_no_secret_once_its_script_has_started(stage: Stage) -> None:
    """Neither who drives the execution nor who recorded it, as long as it runs."""
    script_id = await stage.upload(parameters_schema=SCHEMA)
    given = Given(GIVEN)
    held = weakref.ref(given)
    execution = await start(stage, script_id, replace(NOW, parameters=given))
    await stage.listener.wait_for(execution.id, RUNNING)
    (await stage.runner.script(execution.id)).order = None  # type: ignore[assignment]
    stage.schemas.checked.clear()
    del given
    assert not is_held(held)


async def test_what_waits_in_line_has_its_secrets_when_its_turn_comes(stage: Stage) -> None:
    """In memory; on record they are masked."""
    script_id = await stage.upload(parameters_schema=SCHEMA)
    before = await fill(stage)
    execution = await start(stage, script_id)
    assert (execution.queue_position, execution.input_parameters) == (1, SHOWN)
    kept = await stage.store.get(execution.id)
    assert kept is not None
    assert kept.input_parameters == SHOWN
    (await stage.runner.script(before[0].id)).exit(0)
    script = await stage.runner.script(execution.id)
    assert (script.order.parameters, script.order.secrets) == (GIVEN, ('/key',))


async def test_a_retry_has_to_give_the_secrets_again(stage: Stage) -> None:
    """Each of them is named; with all parameters given it starts."""
    script_id = await stage.upload(parameters_schema=SCHEMA)
    execution = await start(stage, script_id)
    (await stage.runner.script(execution.id)).exit(3)
    ended = await stage.listener.wait_for(execution.id)
    with pytest.raises(SecretsMissing, match='the parameter /key is a secret') as refused:
        await start(stage, script_id, repetition_of(ended))
    assert [each.path for each in refused.value.violations] == ['/key']
    again = await start(
        stage, script_id, replace(repetition_of(ended), parameters=GIVEN, secrets=())
    )
    assert (await stage.runner.script(again.id)).order.parameters == GIVEN


async def test_a_retry_of_many_says_the_same(stage: Stage) -> None:
    """Whatever the script's schema says by now: what is masked is no parameter."""
    script_id = await stage.upload(parameters_schema=SCHEMA)
    execution = await start(stage, script_id)
    (await stage.runner.script(execution.id)).exit(3)
    await stage.listener.wait_for(execution.id)
    await stage.replace(script_id)
    many = Many(stage.service, stage.questions)
    acted = await many.act(Action.RETRY, ExecutionFilter(), actor=CLIENT)
    (one,) = acted.executions
    assert isinstance(one.error, SecretsMissing)


async def test_further_attempts_have_the_secrets_of_the_first(stage: Stage) -> None:
    """Held as long as another may follow; each is recorded as the first was."""
    script_id = await stage.upload(parameters_schema=SCHEMA, retries=Retries(limit=2))
    given = Given(GIVEN)
    held = weakref.ref(given)
    execution = await start(stage, script_id, replace(NOW, parameters=given))
    del given
    for attempt in (1, 2, 3):
        script = await stage.runner.script(execution.id)
        assert (script.order.parameters, script.order.secrets) == (GIVEN, ('/key',))
        await stage.listener.wait_for(execution.id, RUNNING)
        script.order = None  # type: ignore[assignment]
        stage.schemas.checked.clear()
        assert is_held(held) == (attempt < 3)
        script.exit(3)
        ended = await stage.listener.wait_for(execution.id)
        assert (ended.input_parameters, ended.attempt) == (SHOWN, attempt)
        if attempt < 3:
            (execution,) = await stage.store.open_executions()
    assert await stage.store.open_executions() == ()


async def test_what_ends_well_leaves_no_secrets_for_an_attempt_that_does_not_come(
    stage: Stage,
) -> None:
    """They go with the execution."""
    script_id = await stage.upload(parameters_schema=SCHEMA, retries=Retries(limit=2))
    given = Given(GIVEN)
    held = weakref.ref(given)
    execution = await start(stage, script_id, replace(NOW, parameters=given))
    del given
    script = await stage.runner.script(execution.id)
    script.exit(0)
    await stage.listener.wait_for(execution.id)
    await wait_until(
        lambda: not stage.service.needing(APP, script_id), what='nobody drives it any more'
    )
    script.order = None  # type: ignore[assignment]
    stage.schemas.checked.clear()
    assert not is_held(held)


@pytest.mark.parametrize(
    'kind',
    [
        ExecutionType.ON_RESTART,
        ExecutionType.ONCE_ON_RESTART,
        ExecutionType.NOW_AND_ON_RESTART,
    ],
)
async def test_no_schedule_keeps_secrets(stage: Stage, kind: ExecutionType) -> None:
    """It is refused, names them, and leaves no place taken; without them it may be."""
    script_id = await stage.upload(parameters_schema=SCHEMA)
    with pytest.raises(SecretsScheduled, match="allowed: with execution_type 'now'") as refused:
        await start(stage, script_id, replace(WISH, execution_type=kind))
    assert [each.path for each in refused.value.violations] == ['/key']
    assert await stage.store.open_executions() == ()
    kept = await start(stage, script_id, StartRequest(execution_type=kind))
    assert kept.secrets == ()
    schedule_id = kept.schedule or kept.id
    await stage.service.stop(APP, script_id, schedule_id, STOP, actor=CLIENT)


async def test_a_group_hides_what_is_secret_to_any_of_its_scripts(stage: Stage) -> None:
    """In itself and in each child, the script of which may not know that it is."""
    nodes = (NodeName(namespace='/', name=each.entity_id) for each in (APP, OTHER))
    stage.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    await stage.upload(APP, parameters_schema=SCHEMA)
    await stage.upload(OTHER)
    wish = GroupRequest(script='a.sh', entities=('apps/*',), start=WISH)
    group = await stage.service.start_group(wish, stage.directory, actor=CLIENT)
    assert (group.input_parameters, group.secrets) == (SHOWN, ('/key',))
    children = [each for each in await stage.store.open_executions() if each.id != group.id]
    assert len(children) == 2
    for child in children:
        assert (child.input_parameters, child.secrets) == (SHOWN, ('/key',))
        order = (await stage.runner.script(child.id)).order
        assert (order.parameters, order.secrets) == (GIVEN, ('/key',))


async def test_what_is_to_be_confirmed_is_told_without_secrets(stage: Stage) -> None:
    """The parameters as they would be used are told, for a person to look at."""
    script_id = await stage.upload(parameters_schema=SCHEMA, confirmation='Stand back.')
    with pytest.raises(ConfirmationNeeded) as refused:
        await start(stage, script_id)
    assert refused.value.told['input_parameters'] == SHOWN


async def test_what_waits_of_a_group_has_what_is_secret_to_another_of_its_scripts(
    stage: Stage,
) -> None:
    """It is masked on record, and held in memory as if it were its own."""
    nodes = (NodeName(namespace='/', name=each.entity_id) for each in (APP, OTHER))
    stage.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    await stage.upload(OTHER, name='x', parameters_schema=SCHEMA)
    await stage.upload(APP, name='x')
    before = await fill(stage)
    wish = GroupRequest(script='x', entities=('apps/*',), start=WISH)
    await stage.service.start_group(wish, stage.directory, actor=CLIENT)
    (waits,) = [
        each
        for each in await stage.store.open_executions()
        if each.entity == APP and each.script_name == 'x'
    ]
    assert (waits.queue_position, waits.input_parameters) == (None, SHOWN)
    (await stage.runner.script(before[0].id)).exit(0)
    order = (await stage.runner.script(waits.id)).order
    assert (order.parameters, order.secrets) == (GIVEN, ('/key',))


async def test_a_group_says_what_is_to_be_confirmed_without_anybodys_secrets(
    stage: Stage,
) -> None:
    """Whichever of its scripts has to be confirmed, and whichever has the secret."""
    nodes = (NodeName(namespace='/', name=each.entity_id) for each in (APP, OTHER))
    stage.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    text = 'Stand back.'
    for name, of_one, of_other in (
        ('x', {'parameters_schema': SCHEMA}, {'confirmation': text}),
        ('y', {'confirmation': text}, {'confirmation': text, 'parameters_schema': SCHEMA}),
    ):
        await stage.upload(APP, name=name, **of_one)
        await stage.upload(OTHER, name=name, **of_other)
        wish = GroupRequest(script=name, entities=('apps/*',), start=WISH)
        with pytest.raises(ConfirmationNeeded) as refused:
            await stage.service.start_group(wish, stage.directory, actor=CLIENT)
        assert refused.value.told['input_parameters'] == SHOWN


async def test_a_group_gives_no_script_the_secret_of_another_as_an_argument(
    stage: Stage, tmp_path: Path
) -> None:
    """As if the script that takes it there were started by itself; nothing starts."""
    nodes = (NodeName(namespace='/', name=each.entity_id) for each in (APP, OTHER))
    stage.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
    file = tmp_path / 'managed.sh'
    file.write_text('true\n')
    takes_it = Script(
        id='check',
        name='a.sh',
        kind=ScriptKind.SH,
        path=file,
        version='0',
        size=0,
        argument_definitions=(ArgumentDefinition(name='key', flag='--key'),),
    )
    managed = (ManagedScript(script=takes_it, entities=(OTHER.path,)),)
    await stage.library.check_managed(managed)
    stage.library.take_managed(managed)
    await stage.upload(APP, parameters_schema=SCHEMA)
    wish = GroupRequest(script='a.sh', entities=('apps/*',), start=WISH)
    with pytest.raises(ParametersInvalid, match='on its command line'):
        await stage.service.start_group(wish, stage.directory, actor=CLIENT)
    assert await stage.store.open_executions() == ()


async def test_a_schema_that_marks_a_secret_no_more_does_not_have_it_told(stage: Stage) -> None:
    """A further attempt has the script as it is by then; why it is refused would quote it."""
    script_id = await stage.upload(parameters_schema=SCHEMA, retries=Retries(limit=1))
    execution = await start(stage, script_id)
    script = await stage.runner.script(execution.id)
    stage.schemas.parameters_error = ParametersInvalid(
        f"'{SEED}' is not of type 'number'", (Violation(path='/key', reason=SEED),)
    )
    script.exit(3)
    await stage.listener.wait_for(execution.id)
    (second,) = await stage.store.open_executions()
    ended = await stage.listener.wait_for(second.id)
    assert ended.failure is not None
    assert ended.failure.reason is FailureReason.PARAMETERS_REFUSED
    assert 'for secrets are among them' in ended.failure.message
    assert SEED not in repr(await whole_log(stage.store))
