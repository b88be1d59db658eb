# SPDX-License-Identifier: Apache-2.0
"""What a script may do through the API: what whoever started it may, until it has ended."""

from dataclasses import replace
import gc
from typing import Any

from clients import CLIENT
from execution_stage import APP, NOW, Stage
from fakes import FakeScript
import pytest

from gateway_node.access.credentials import Credential
from gateway_node.access.script_credentials import PREFIX, ScriptCredentials
from gateway_node.executions.active_execution import ActiveExecution
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.errors import OutlivesScript, ParentForeign, SpawnFailed
from gateway_node.executions.events import Event
from gateway_node.executions.rights import Rights
from gateway_node.executions.scopes import Scope
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionStatus, ExecutionType
from gateway_node.scripts.values import Retries

SCOPE = Scope(entities=('apps/*',), scripts=('*',))
ANNA = Actor(name='anna', role=Role.OPERATOR, origin='192.0.2.7', scope=SCOPE, client_id='tab')


async def started(
    stage: Stage, actor: Actor = ANNA, request: StartRequest = NOW, **metadata: Any
) -> tuple[Execution, FakeScript]:
    """Start a new script, and wait until it runs."""
    script_id = await stage.upload(**metadata)
    execution = await stage.service.start(APP, script_id, request, actor=actor)
    return execution, await stage.runner.script(execution.id)


def as_script(execution: Execution) -> Actor:
    """Return who acts with the credential of an execution."""
    return replace(ANNA, origin='127.0.0.1', execution=execution.id)


async def test_a_script_gets_a_token_with_the_rights_of_who_started_it(stage: Stage) -> None:
    """For its execution alone; nothing shows it."""
    execution, script = await started(stage)
    token = script.order.token
    assert token is not None
    assert token.startswith(PREFIX)
    assert stage.credentials.credential_of(token) == Credential(
        name='anna', role=Role.OPERATOR, scope=SCOPE, execution=execution.id, client_id='tab'
    )
    assert token not in repr(script.order)
    _, other = await started(stage)
    assert other.order.token not in (None, token)


async def test_the_gateway_keeps_its_hash_alone(stage: Stage) -> None:
    """From when the script has it."""
    execution, script = await started(stage)
    await stage.listener.wait_for(execution.id, ExecutionStatus.RUNNING)
    assert script.order.token is not None
    (active,) = (
        each
        for each in gc.get_objects()
        if isinstance(each, ActiveExecution) and each.id == execution.id
    )
    assert active.order is not None
    assert active.order.token is None


async def test_it_is_good_no_more_when_the_end_is_told(stage: Stage) -> None:
    """However it ends; who hears of the end finds it refused."""
    execution, script = await started(stage)
    token = script.order.token
    assert token is not None
    good: list[bool] = []

    class Listener:
        def on_event(self, event: Event, execution: Execution | None) -> None:
            assert token is not None
            if event.subject_id == script.order.execution_id:
                good.append(stage.credentials.credential_of(token) is not None)

    await stage.listener.wait_for(execution.id, ExecutionStatus.RUNNING)
    stage.ledger.add_listener(Listener())
    script.exit(3)
    await stage.listener.wait_for(execution.id)
    assert good == [False]


async def test_what_cannot_be_started_leaves_no_token(stage: Stage) -> None:
    """It was issued before."""
    stage.runner.start_error = SpawnFailed('no')
    script_id = await stage.upload()
    execution = await stage.service.start(APP, script_id, NOW, actor=ANNA)
    await stage.listener.wait_for(execution.id)
    assert vars(stage.credentials) == vars(ScriptCredentials(is_on=True))


async def test_who_did_not_say_who_they_are_has_no_rights_to_give(stage: Stage) -> None:
    """Nor is a token needed where nobody has to say."""
    _, script = await started(stage, actor=CLIENT)
    assert script.order.token is None
    execution, _ = await started(stage)
    assert execution.rights == Rights(
        name='anna', role=Role.OPERATOR, scope=SCOPE, client_id='tab'
    )
    assert ScriptCredentials(is_on=False).issue(execution) is None


async def test_further_attempts_have_the_same_rights(stage: Stage) -> None:
    """And a token each."""
    execution, script = await started(stage, retries=Retries(limit=1))
    script.exit(3)
    ended = await stage.listener.wait_for(execution.id)
    (following,) = [each for each in stage.listener.executions.values() if each.parent == ended.id]
    token = (await stage.runner.script(following.id)).order.token
    assert token not in (None, script.order.token)
    assert following.rights == execution.rights


async def test_what_a_script_starts_is_a_child_of_its_execution(stage: Stage) -> None:
    """Whether it says so or not, and with the rights of who started that."""
    parent, _ = await started(stage)
    for request in (NOW, replace(NOW, parent=parent.id)):
        child, script = await started(stage, as_script(parent), request)
        assert (child.parent, child.ancestors) == (parent.id, (parent.id,))
        assert child.rights == parent.rights
        assert script.order.token is not None
        assert stage.credentials.credential_of(script.order.token) == Credential(
            name='anna', role=Role.OPERATOR, scope=SCOPE, execution=child.id, client_id='tab'
        )


async def test_a_script_names_no_other_parent(stage: Stage) -> None:
    """That one's children end with it, and count as its own."""
    parent, _ = await started(stage)
    other, _ = await started(stage)
    script_id = await stage.upload()
    with pytest.raises(ParentForeign, match=f'that of {parent.id}; allowed: {parent.id}, or none'):
        await stage.service.start(
            APP, script_id, replace(NOW, parent=other.id), actor=as_script(parent)
        )


@pytest.mark.parametrize(
    'execution_type', [each for each in ExecutionType if each is not ExecutionType.NOW]
)
async def test_a_script_makes_no_schedule(stage: Stage, execution_type: ExecutionType) -> None:
    """It would act with the rights of who started the script, when its credential has ended."""
    parent, _ = await started(stage)
    script_id = await stage.upload()
    request = StartRequest(execution_type=execution_type)
    with pytest.raises(OutlivesScript, match=f'of {parent.id} ends with it, and a schedule'):
        await stage.service.start(APP, script_id, request, actor=as_script(parent))
    assert stage.service.scheduled_scripts() == frozenset()


def test_a_token_of_another_kind_is_none_of_these() -> None:
    """Whatever it is."""
    credentials = ScriptCredentials(is_on=True)
    credentials.revoke('exec_x')
    for token in ('', 'gwt_x', 'gwx_', 'gwx_\udcff'):
        assert credentials.credential_of(token) is None
