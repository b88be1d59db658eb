# SPDX-License-Identifier: Apache-2.0
"""Executions that scripts start get in although their parents have all the places."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from clients import CLIENT
from execution_stage import APP, COMPONENT, NOW, PREPARED, RUNNING, set_stage, Stage
from fakes import FakeScript
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions.settings import ConcurrencyLimits
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution

DEADLINE_SEC = 20.0


@pytest.fixture
async def stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: RetentionPolicy
) -> AsyncIterator[Stage]:
    """Set a stage with a place for one on each of two entities."""
    limits = ConcurrencyLimits(max_executions=2, max_executions_per_entity=1)
    async with set_stage(tmp_path, retention, monkeypatch, limits) as stage:
        yield stage


async def started(
    stage: Stage, entity: EntityRef = APP, parent: Execution | None = None
) -> Execution:
    """Start an execution, perhaps as a child; it may have to wait."""
    script_id = await stage.upload(entity)
    request = NOW if parent is None else replace(NOW, parent=parent.id)
    return await stage.service.start(entity, script_id, request, actor=CLIENT)


async def runs(stage: Stage, execution: Execution) -> FakeScript:
    """Wait until an execution's script runs."""
    async with asyncio.timeout(DEADLINE_SEC):
        script = await stage.runner.script(execution.id)
        await stage.listener.wait_for(execution.id, RUNNING)
    return script


async def stands(stage: Stage, execution: Execution) -> object:
    """Return the status of an execution."""
    return (await stage.questions.get_by_id(execution.id)).status


async def test_children_have_no_need_of_a_place_where_their_parent_has_one(stage: Stage) -> None:
    """Nor have theirs; who is no child waits until the parent has ended."""
    parent = await started(stage)
    script = await runs(stage, parent)
    stranger = await started(stage)
    family = [parent]
    for _ in range(2):
        family.append(await started(stage, parent=family[-1]))
        await runs(stage, family[-1])
    assert await stands(stage, stranger) is PREPARED
    for execution in reversed(family[1:]):
        (await stage.runner.script(execution.id)).exit(0)
        await stage.listener.wait_for(execution.id)
        assert await stands(stage, stranger) is PREPARED
    script.exit(0)
    await runs(stage, stranger)


async def test_two_parents_with_children_on_each_others_entity_do_not_wedge(stage: Stage) -> None:
    """Each holds the place that the other's child waits for, and waits for its own child: one of
    these gets in, so that its parent goes on, and then the other."""
    here, there = await started(stage), await started(stage, COMPONENT)
    scripts = [await runs(stage, each) for each in (here, there)]
    waiting = await started(stage, COMPONENT, here)
    assert await stands(stage, waiting) is PREPARED
    let_in = await started(stage, APP, there)
    (await runs(stage, let_in)).exit(0)
    await stage.listener.wait_for(let_in.id)
    scripts[1].exit(0)
    (await runs(stage, waiting)).exit(0)
    await stage.listener.wait_for(waiting.id)


async def test_a_child_waits_for_who_waits_for_nobody(stage: Stage) -> None:
    """On another entity it counts as any execution does, as long as that is no wedge."""
    parent, busy = await started(stage), await started(stage, COMPONENT)
    await runs(stage, parent)
    script = await runs(stage, busy)
    child = await started(stage, COMPONENT, parent)
    assert await stands(stage, child) is PREPARED
    script.exit(0)
    await runs(stage, child)


async def test_children_that_outlive_their_parent_count_from_then_on(stage: Stage) -> None:
    """Nobody is sent away, and nobody else gets in before they are within the limits again."""
    parent = await started(stage)
    script = await runs(stage, parent)
    children = [await started(stage, parent=parent) for _ in range(2)]
    scripts = [await runs(stage, child) for child in children]
    stranger = await started(stage)
    script.exit(0)
    await stage.listener.wait_for(parent.id)
    for child, child_script in zip(children, scripts, strict=True):
        assert await stands(stage, stranger) is PREPARED
        child_script.exit(0)
        await stage.listener.wait_for(child.id)
    await runs(stage, stranger)
