# SPDX-License-Identifier: Apache-2.0
"""What one identity may have open at a time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from clients import CLIENT
from execution_stage import APP, COMPONENT, NOW, set_stage, Stage
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.actors import Actor
from gateway_node.executions.errors import OpenLimitReached
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionType

ANNA, BERT = replace(CLIENT, name='anna'), replace(CLIENT, name='bert')


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Set a stage on which two run on an entity, and an identity has three open."""
    retention = RetentionPolicy(max_executions=1000, max_age_sec=0, max_failed_age_sec=0)
    async with set_stage(tmp_path, retention, monkeypatch, max_open_per_identity=3) as stage:
        yield stage


async def start(
    stage: Stage,
    script_id: str,
    actor: Actor,
    execution_type: ExecutionType = ExecutionType.NOW,
) -> Execution:
    """Start an execution on the app."""
    request = replace(NOW, execution_type=execution_type)
    return await stage.service.start(APP, script_id, request, actor=actor)


async def end(stage: Stage, execution: Execution) -> None:
    """Have an execution that runs end."""
    (await stage.runner.script(execution.id)).exit(0)
    await stage.listener.wait_for(execution.id)


async def test_an_identity_has_so_many_open_and_no_more(stage: Stage) -> None:
    """Whether they run or wait; others are not concerned, nor is who has no name."""
    script_id = await stage.upload()
    mine = [await start(stage, script_id, ANNA) for _ in range(3)]
    with pytest.raises(OpenLimitReached, match=r"'anna' may have 3 .*max_open_per_identity"):
        await start(stage, script_id, ANNA)
    for actor in (BERT, CLIENT, CLIENT, CLIENT, CLIENT):
        await start(stage, script_id, actor)
    await end(stage, mine[0])
    await start(stage, script_id, ANNA)


async def test_schedules_count_too(stage: Stage) -> None:
    """One that comes with a start is one more; none of both is accepted where one is too many."""
    script_id = await stage.upload()
    schedule = await start(stage, script_id, ANNA, ExecutionType.ON_RESTART)
    both = await start(stage, script_id, ANNA, ExecutionType.NOW_AND_ON_RESTART)
    with pytest.raises(OpenLimitReached):
        await start(stage, script_id, ANNA)
    await end(stage, both)
    with pytest.raises(OpenLimitReached):
        await start(stage, script_id, ANNA, ExecutionType.NOW_AND_ON_RESTART)
    await stage.stop(schedule)
    last = await start(stage, script_id, ANNA, ExecutionType.NOW_AND_ON_RESTART)
    for each in (both, last):
        assert each.schedule is not None
        await stage.stop(await stage.questions.get_by_id(each.schedule))


async def test_a_start_that_is_refused_takes_nothing(stage: Stage) -> None:
    """Whatever it is refused for."""
    script_id = await stage.upload(single_execution=True)
    await start(stage, script_id, ANNA)
    for _ in range(5):
        with pytest.raises(Exception, match='allows one execution at a time'):
            await start(stage, script_id, ANNA)
    other_id = await stage.upload()
    for _ in range(2):
        await start(stage, other_id, ANNA)


async def test_of_many_starts_at_once_no_more_pass(stage: Stage) -> None:
    """Each counts from the moment at which it is let in."""
    script_id = await stage.upload()
    answers = await asyncio.gather(
        *(start(stage, script_id, ANNA) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(each, Execution) for each in answers) == 3


async def test_a_group_counts_as_many_as_it_starts_or_is_refused(stage: Stage) -> None:
    """The parent, which executes nothing, does not count."""
    await stage.upload(APP, name='check')
    await stage.upload(COMPONENT, name='check')
    node = NodeName(namespace=f'/{COMPONENT.entity_id}', name=APP.entity_id)
    stage.directory.update(GraphSnapshot(nodes=frozenset({node})))
    request = GroupRequest(script='check', entities=('*',), start=NOW)
    await stage.service.start_group(request, stage.directory, actor=ANNA)
    with pytest.raises(OpenLimitReached):
        await stage.service.start_group(request, stage.directory, actor=ANNA)
    await stage.service.start_group(request, stage.directory, actor=BERT)
