# SPDX-License-Identifier: Apache-2.0
"""What waits for a start of the gateway keeps the rights of who wanted it."""

from dataclasses import replace
from pathlib import Path

from lives import APP, Robot
import pytest

from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.failure_reasons import FailureReason
from gateway_node.executions.scopes import Scope
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import ExecutionType

ANNA = Actor(
    name='anna',
    role=Role.OPERATOR,
    origin='192.0.2.7',
    scope=Scope(entities=('apps/*',), scripts=('*',)),
    client_id='tablet',
)


OF_SCHEDULES = pytest.mark.parametrize(
    'execution_type', [ExecutionType.ON_RESTART, ExecutionType.ONCE_ON_RESTART]
)


@OF_SCHEDULES
async def test_a_script_that_a_schedule_starts_has_the_rights_of_who_made_that(
    tmp_path: Path, execution_type: ExecutionType
) -> None:
    """Whoever it was may be long gone."""
    robot = Robot(tmp_path)
    async with robot.gateway() as first:
        script_id = await first.upload()
        request = StartRequest(execution_type=execution_type)
        await first.executions.start(APP, script_id, request, actor=ANNA)
    async with robot.gateway() as second:
        execution = (await second.all(script_id))[-1]
        token = (await second.runner.script(execution.id)).order.token
        assert token is not None
        assert second.credentials.credential_of(token) == Credential(
            name='anna',
            role=Role.OPERATOR,
            scope=ANNA.scope,
            execution=execution.id,
            client_id='tablet',
        )


async def test_what_waited_for_a_place_has_the_rights_of_who_wanted_it(tmp_path: Path) -> None:
    """Its script starts in another gateway than the one that was asked."""
    robot = Robot(tmp_path)
    robot.start_prepared, robot.max_executions = True, 1
    request = StartRequest(execution_type=ExecutionType.NOW)
    async with robot.gateway() as first:
        script_id = await first.upload()
        await first.executions.start(APP, script_id, request, actor=ANNA)
        waiting = await first.executions.start(APP, script_id, request, actor=ANNA)
    robot.max_executions = 2
    async with robot.gateway() as second:
        token = (await second.runner.script(waiting.id)).order.token
        assert token is not None
        credential = second.credentials.credential_of(token)
        assert credential is not None
        assert (credential.scope, credential.execution) == (ANNA.scope, waiting.id)


@OF_SCHEDULES
async def test_a_schedule_starts_no_script_that_who_made_it_does_not_see_any_more(
    tmp_path: Path, execution_type: ExecutionType
) -> None:
    """As they could not start it themselves: it has other tags by now."""
    narrowed = replace(ANNA, scope=Scope(tags=('open',)))
    robot = Robot(tmp_path)
    async with robot.gateway() as first:
        script_id = await first.upload(tags=['open'])
        request = StartRequest(execution_type=execution_type)
        await first.executions.start(APP, script_id, request, actor=narrowed)
        await first.replace(script_id, tags=['closed'])
    async with robot.gateway() as second:
        execution = (await second.all(script_id))[-1]
        failed = await second.listener.wait_for(execution.id)
        assert failed.failure is not None
        assert failed.failure.reason is FailureReason.SCRIPT_GONE
        assert "its tags are 'closed'" in failed.failure.message
