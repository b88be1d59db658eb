# SPDX-License-Identifier: Apache-2.0
"""Executions that scripts start: who may have children, how many, and what ends with a parent."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from clients import CLIENT
from execution_stage import APP, Gate, MANY, NOW, RUNNING, set_stage, Stage, STOP, TERMINATED
from fakes import FakeScript
import pytest

from gateway_node.executions import families as families_module
from gateway_node.executions.child_counts import ChildCounts
from gateway_node.executions.errors import (
    ChildLimitReached,
    GenerationLimitReached,
    ParentNotRunning,
    StoreUnavailable,
)
from gateway_node.executions.events import Change
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    StopAction,
)
from gateway_node.scripts.values import Retries


@pytest.fixture
async def roomy_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: RetentionPolicy
) -> AsyncIterator[Stage]:
    """Set a stage on which no limit is reached."""
    async with set_stage(tmp_path, retention, monkeypatch, MANY) as stage:
        yield stage


def below(parent: Execution) -> StartRequest:
    """Return what a script of this execution asks for."""
    return replace(NOW, parent=parent.id)


async def child_of(stage: Stage, parent: Execution) -> tuple[Execution, FakeScript]:
    """Start a child, on an entity that has room, and wait until it runs."""
    script_id = await stage.upload()
    child = await stage.service.start(APP, script_id, below(parent), actor=CLIENT)
    script = await stage.runner.script(child.id)
    return await stage.listener.wait_for(child.id, RUNNING), script


async def children(stage: Stage, execution: Execution) -> ChildCounts:
    """Return what is counted of an execution's children."""
    return await stage.store.count_children(execution.id)


async def test_a_child_names_its_parent_and_its_ancestors(roomy_stage: Stage) -> None:
    """Each its parent; the ancestors, parent first, are on record for a later gateway."""
    parent, _ = await roomy_stage.running(await roomy_stage.upload())
    child, _ = await child_of(roomy_stage, parent)
    grandchild, _ = await child_of(roomy_stage, child)
    assert (parent.parent, child.parent, grandchild.parent) == (None, parent.id, child.id)
    assert child.ancestors == (parent.id,)
    assert grandchild.ancestors == (child.id, parent.id)


async def test_only_an_execution_that_runs_has_children(stage: Stage) -> None:
    """Not one that nobody knows, that is not started yet, that was asked to end, or has ended."""
    script_id = await stage.upload()
    unknown = replace(NOW, parent='exec_01KXJ5M8Q2N4T6V8W0Y2Z4B6D8')
    schedule = await stage.service.start(
        APP, script_id, StartRequest(execution_type=ExecutionType.ON_RESTART), actor=CLIENT
    )
    parent, script = await stage.running(script_id)
    await stage.stop(parent)
    for request in (unknown, below(schedule), below(parent)):
        with pytest.raises(ParentNotRunning) as caught:
            await stage.service.start(APP, script_id, request, actor=CLIENT)
        assert caught.value.execution_id == request.parent
    script.exit(0)
    await stage.listener.wait_for(parent.id)
    with pytest.raises(ParentNotRunning):
        await stage.service.start(APP, script_id, below(parent), actor=CLIENT)
    await stage.stop(schedule)
    other, _ = await stage.running(script_id)
    await stage.service.start(APP, script_id, below(other), actor=CLIENT)


async def test_a_script_may_have_children_before_it_is_known_to_run(stage: Stage) -> None:
    """It runs before the gateway hears so; what it asks for at once is not refused."""
    script_id = await stage.upload()
    stage.runner.hold_starts = Gate()
    parent = await stage.service.start(APP, script_id, NOW, actor=CLIENT)
    await stage.runner.hold_starts.reached.wait()
    child = await stage.service.start(APP, script_id, below(parent), actor=CLIENT)
    assert child.ancestors == (parent.id,)


async def test_an_execution_has_at_most_so_many_open_children(
    roomy_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same moment too; one that ends, or is refused, makes room."""
    monkeypatch.setattr(families_module, 'MAX_OPEN_CHILDREN', 3)
    stage, script_id = roomy_stage, await roomy_stage.upload()
    parent, _ = await stage.running(script_id)
    starts = [stage.service.start(APP, script_id, below(parent), actor=CLIENT) for _ in range(5)]
    results = await asyncio.gather(*starts, return_exceptions=True)
    begun = [each for each in results if isinstance(each, Execution)]
    refused = [each for each in results if isinstance(each, ChildLimitReached)]
    assert (len(begun), len(refused)) == (3, 2)
    assert (refused[0].execution_id, refused[0].limit) == (parent.id, 3)
    (await stage.runner.script(begun[0].id)).exit(0)
    await stage.listener.wait_for(begun[0].id)
    stage.store.unavailable = 'disk full'
    with pytest.raises(StoreUnavailable):
        await stage.service.start(APP, script_id, below(parent), actor=CLIENT)
    stage.store.unavailable = None
    await stage.service.start(APP, script_id, below(parent), actor=CLIENT)
    other, _ = await stage.running(script_id)
    await child_of(stage, other)


async def test_there_are_three_generations_below_who_has_no_parent(roomy_stage: Stage) -> None:
    """The last has none, also where those between have ended."""
    execution, script = await roomy_stage.running(await roomy_stage.upload())
    for _ in range(3):
        child, child_script = await child_of(roomy_stage, execution)
        script.exit(0)
        await roomy_stage.listener.wait_for(execution.id)
        execution, script = child, child_script
    with pytest.raises(GenerationLimitReached) as caught:
        await child_of(roomy_stage, execution)
    assert (caught.value.execution_id, caught.value.limit) == (execution.id, 3)


@pytest.mark.parametrize('action', StopAction)
async def test_all_that_descend_from_it_are_stopped_with_a_parent(
    roomy_stage: Stage, action: StopAction
) -> None:
    """In the same way, by the same client; what is no descendant goes on."""
    stage = roomy_stage
    stranger, _ = await stage.running(await stage.upload())
    parent, script = await stage.running(await stage.upload())
    child, child_script = await child_of(stage, parent)
    grandchild, grandchild_script = await child_of(stage, child)
    await stage.stop(parent, action)
    family = ((parent, script), (child, child_script), (grandchild, grandchild_script))
    for execution, its_script in family:
        assert await its_script.wait_stop_asked() is action
        its_script.exit(0)
        ended = await stage.listener.wait_for(execution.id)
        assert ended.status is TERMINATED
        assert ended.stop_trigger is not None
        assert ended.stop_trigger.setting == action.value
    assert (await stage.get(stranger)).stop_trigger is None


async def test_children_of_an_ended_child_are_stopped_too(roomy_stage: Stage) -> None:
    """The ancestors stay known."""
    parent, _ = await roomy_stage.running(await roomy_stage.upload())
    child, child_script = await child_of(roomy_stage, parent)
    _, grandchild_script = await child_of(roomy_stage, child)
    child_script.exit(0)
    await roomy_stage.listener.wait_for(child.id)
    await roomy_stage.stop(parent)
    assert await grandchild_script.wait_stop_asked() is STOP


async def test_what_follows_a_child_is_stopped_too(
    roomy_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the child's end, and that it is tried again, is being recorded at that moment."""
    stage = roomy_stage
    parent, _ = await stage.running(await stage.upload())
    script_id = await stage.upload(retries=Retries(limit=1))
    child = await stage.service.start(APP, script_id, below(parent), actor=CLIENT)
    await stage.listener.wait_for(child.id, RUNNING)
    gate, persist = Gate(), stage.ledger.persist

    async def persist_late(*changes: Change) -> None:
        await gate.wait()
        await persist(*changes)

    monkeypatch.setattr(stage.ledger, 'persist', persist_late)
    (await stage.runner.script(child.id)).exit(3)
    await gate.reached.wait()
    await stage.stop(parent)
    gate.set()
    await stage.listener.wait_for(child.id)
    wanted = ExecutionFilter(parents=frozenset({child.id}))
    (further,) = (await stage.questions.find(wanted, KeysetPage(limit=-9))).executions
    assert (await stage.listener.wait_for(further.execution_id)).status is TERMINATED
    assert further.execution_id not in stage.runner.started


async def test_children_go_on_where_the_client_says_so(roomy_stage: Stage) -> None:
    """And where the parent ends by itself."""
    stage = roomy_stage
    parent, script = await stage.running(await stage.upload())
    child, _ = await child_of(stage, parent)
    await stage.service.stop(
        APP, parent.script_id, parent.id, STOP, actor=CLIENT, stop_children=False
    )
    script.exit(0)
    await stage.listener.wait_for(parent.id)
    other, other_script = await stage.running(await stage.upload())
    other_child, _ = await child_of(stage, other)
    other_script.exit(1)
    await stage.listener.wait_for(other.id)
    for each in (child, other_child):
        assert not (await stage.get(each)).terminating


async def test_a_child_on_its_way_in_is_refused_where_its_parent_is_stopped(
    roomy_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it is recorded, nothing starts, and its place is free again."""
    stage = roomy_stage
    parent, _ = await stage.running(await stage.upload())
    child, child_script = await child_of(stage, parent)
    gate = Gate()

    async def vet(order: object) -> None:
        await gate.wait()

    monkeypatch.setattr(stage.runner, 'vet', vet)
    script_id = await stage.upload(single_execution=True)
    coming = asyncio.ensure_future(stage.service.start(APP, script_id, below(child), actor=CLIENT))
    await gate.reached.wait()
    await stage.stop(parent)
    await child_script.wait_stop_asked()
    gate.set()
    with pytest.raises(ParentNotRunning):
        await coming
    assert (await children(stage, child)).total == 0
    await stage.running(script_id)


async def test_a_stop_reaches_the_children_though_its_client_leaves(roomy_stage: Stage) -> None:
    """What was begun is done."""
    parent, _ = await roomy_stage.running(await roomy_stage.upload())
    _, child_script = await child_of(roomy_stage, parent)
    stopping = asyncio.ensure_future(roomy_stage.stop(parent))
    await asyncio.sleep(0)
    stopping.cancel()
    assert await child_script.wait_stop_asked() is STOP


async def test_children_are_counted_by_status_and_verdict(roomy_stage: Stage) -> None:
    """Those of all statuses, as long as they are kept; grandchildren are not among them."""
    stage = roomy_stage
    parent, _ = await stage.running(await stage.upload())
    assert (await stage.questions.detail_by_id(parent.id)).has_children is False
    done, done_script = await child_of(stage, parent)
    _, failed_script = await child_of(stage, parent)
    await child_of(stage, done)
    done_script.exit(0, printed={'verdict': 'WARN'})
    failed_script.exit(1)
    await child_of(stage, parent)
    await stage.listener.wait_for(done.id)
    counts = await children(stage, parent)
    assert counts.total == 3
    assert counts.by_status[ExecutionStatus.COMPLETED] == 1
    assert {each.value: count for each, count in counts.by_verdict.items()} == {'WARN': 1}
    assert '"children":{"total":3,' in (await stage.questions.detail_by_id(parent.id)).beside


async def test_what_is_shown_of_an_ended_parent_changes_with_its_children(
    roomy_stage: Stage,
) -> None:
    """Their ends and their deletions are seen at once, though what has ended is held."""
    stage = roomy_stage
    parent, script = await stage.running(await stage.upload())
    child, child_script = await child_of(stage, parent)
    script.exit(0)
    await stage.listener.wait_for(parent.id)

    async def shown() -> str:
        return (await stage.questions.detail_by_id(parent.id)).beside

    assert '"running":1' in await shown()
    child_script.exit(0)
    await stage.listener.wait_for(child.id)
    assert '"completed":1' in await shown()
    await stage.service.delete(APP, child.script_id, child.id, actor=CLIENT)
    assert '"children"' not in await shown()


async def test_a_schedule_counts_no_children(stage: Stage) -> None:
    """Neither itself nor what it came with: these documents are as they were."""
    both = StartRequest(execution_type=ExecutionType.NOW_AND_ON_RESTART)
    execution = await stage.service.start(APP, await stage.upload(), both, actor=CLIENT)
    assert execution.schedule is not None
    (await stage.runner.script(execution.id)).exit(0)
    await stage.listener.wait_for(execution.id)
    schedule = await stage.questions.get_by_id(execution.schedule)
    for each in (execution.id, schedule.id):
        assert '"children"' not in (await stage.questions.detail_by_id(each)).beside
    await stage.stop(schedule)
