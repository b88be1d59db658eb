# SPDX-License-Identifier: Apache-2.0
"""One script on several entities, over HTTP, and over the lives of a gateway."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, BASE, form, RECEIVER, serve_api
from assembled_gateway import assembled_gateway
from clients import CLIENT
from fakes import add, FakeScript
from lives import COMPLETED, FAILED, Life, PREPARED, Robot, RUNNING, TERMINATED
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.group_starts import GroupRequest
from gateway_node.executions.ids import ExecutionIds
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.runner_ports import EndCause, Outcome
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType, Trigger, TriggerType
from gateway_node.scripts.metadata import Metadata

SENSOR = 'apps/temp_sensor'
ENGINE = 'components/powertrain_engine'
DEADLINE_SEC = 60.0


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway with a script of one name on two entities."""
    async with serve_api(tmp_path) as api:
        for entity in (SENSOR, ENGINE):
            await api.upload(entity, name='check.sh')
        yield api


async def started(api: Api, **body: Any) -> Any:
    """Start a group; return what is answered."""
    wish = {'script': 'check.sh', 'entities': [SENSOR, ENGINE]} | body
    status, answer = await api.json('POST', '/executions', json=wish)
    assert status == 202, answer
    return answer


async def children(api: Api, group: Any) -> list[Any]:
    """Return the children of a group as a list shows them, oldest first."""
    _, found = await api.json('GET', f'/executions?parent={group["id"]}')
    return list(reversed(found['items']))


async def scripts_of(api: Api, group: Any) -> list[FakeScript]:
    """Wait until all children run; return their scripts."""
    return [await api.runner.script(each['id']) for each in await children(api, group)]


async def test_a_group_is_started_shown_and_ends(api: Api) -> None:
    """202 with the parent, how its children stand and what was skipped; its GET tells the same."""
    answer = await started(
        api, entities=['*', 'apps/gone'], parameters={'depth': 3}, max_parallel=5, priority=70
    )
    assert answer['children']['total'] == 2
    assert {each['entity'] for each in answer['skipped']} >= {'apps/gone', 'components/robot'}
    first, second = await children(api, answer)
    assert [each['entity'] for each in (first, second)] == [SENSOR, ENGINE]
    assert {each['priority'] for each in (first, second)} == {70}
    for script in await scripts_of(api, answer):
        assert script.order.parameters == {'depth': 3}
        script.exit(0, printed={'verdict': 'PASS'})
    for each in (first, second, answer):
        await api.listener.wait_for(each['id'])
    _, shown = await api.json('GET', f'/executions/{answer["id"]}')
    assert answer['href'] == shown['href']
    assert (shown['status'], shown['entity'], shown['script_name'], shown['is_outdated']) == (
        'completed',
        'components/robot',
        'check.sh',
        False,
    )
    assert shown['group'] == {
        'script': 'check.sh',
        'entities': ['*', 'apps/gone'],
        'max_parallel': 5,
    }
    assert shown['skipped'] == answer['skipped']
    assert shown['children']['by_status']['completed'] == 2
    assert shown['children']['by_verdict'] == {'PASS': 2}
    assert 'script_content' not in shown
    assert (await api.json('GET', shown['href'].removeprefix('/api/v1')))[1] == shown


async def test_one_entity_or_pattern_needs_no_list(api: Api) -> None:
    """And the type of execution may be said, as in any start."""
    answer = await started(api, entities=SENSOR, execution_type='now')
    assert (answer['children']['total'], answer['skipped']) == (1, [])


async def test_groups_are_found_as_executions_are(api: Api) -> None:
    """By their script's name, on the host, and never as outdated."""
    group = await started(api)
    for query in ('script=check.sh', 'script=check.sh&include_outdated=false', 'entity=*robot'):
        _, found = await api.json('GET', f'/executions?{query}')
        (shown,) = (each for each in found['items'] if each['id'] == group['id'])
        assert shown['is_outdated'] is False


@pytest.mark.parametrize(
    ('body', 'path', 'reason'),
    [
        ({'entities': []}, '/body/entities', 'allowed: 1 to 100'),
        ({'entities': [SENSOR, 'temp sensor']}, '/body/entities/1', 'allowed: a path such as'),
        ({'entities': 5}, '/body/entities', 'allowed: a path such as'),
        ({'max_parallel': 0}, '/body/max_parallel', 'allowed: 1 to 1000'),
        ({'script': ''}, '/body/script', 'allowed: 1 to 255 characters'),
        ({'execution_type': 'on_restart'}, '/body/execution_type', 'allowed: now'),
    ],
)
async def test_what_is_wrong_with_a_group_is_told(
    api: Api, body: dict[str, Any], path: str, reason: str
) -> None:
    """400, with the place and what is allowed; nothing is started."""
    wish = {'script': 'check.sh', 'entities': [SENSOR]} | body
    status, error = await api.json('POST', '/executions', json=wish)
    assert (status, error['error_code']) == (400, 'invalid-parameter')
    assert error['parameters']['violations'][0]['path'] == path
    assert reason in error['message']
    assert (await api.json('GET', '/executions'))[1]['items'] == []


async def test_a_script_that_no_entity_has_is_not_found(api: Api) -> None:
    """404, which names the script."""
    wish = {'script': 'other', 'entities': '*'}
    status, error = await api.json('POST', '/executions', json=wish)
    assert (status, error['error_code']) == (404, 'resource-not-found')
    assert "'other'" in error['message']


async def test_a_group_that_does_not_fit_is_told_so(tmp_path: Path) -> None:
    """429 where nobody may wait, and nothing of it is started."""
    async with serve_api(tmp_path, max_executions=1) as api:
        for entity in (SENSOR, ENGINE):
            await api.upload(entity, name='check.sh')
        wish = {'script': 'check.sh', 'entities': '*', 'queue': False}
        answer = await api.request('POST', '/executions', json=wish)
        assert (answer.status, 'Retry-After' in answer.headers) == (429, True)
        assert api.runner.started == ()
        assert (await api.json('GET', '/executions'))[1]['items'] == []


async def test_a_group_is_started_once_under_one_key(api: Api) -> None:
    """Sent again it is answered the same group, as it is by then."""
    wish = {'script': 'check.sh', 'entities': '*'}
    keyed = {'Idempotency-Key': 'all-of-them'}
    answers = [
        await api.request('POST', '/executions', json=wish, headers=keyed) for _ in range(2)
    ]
    first, second = [await each.json() for each in answers]
    assert (first['id'], first['skipped']) == (second['id'], second['skipped'])
    assert answers[1].headers['Idempotency-Replayed'] == 'true'
    assert len((await api.json('GET', '/executions'))[1]['items']) == 3


async def test_a_group_waits_for_what_is_tried_again(api: Api) -> None:
    """A child that fails, and whose script says so, is followed by another attempt; the parent is
    completed where that is."""
    await api.upload(SENSOR, name='stubborn.sh', retries={'limit': 1, 'delay_sec': 0})
    group = await started(api, script='stubborn.sh', entities=SENSOR)
    (child,) = await children(api, group)
    trying = asyncio.create_task(api.runner.next_script())
    (await api.runner.script(child['id'])).exit(1)
    await api.listener.wait_for(child['id'])
    assert (await api.json('GET', f'/executions/{group["id"]}'))[1]['status'] == 'running'
    (await trying).exit(0)
    ended = await api.listener.wait_for(group['id'])
    assert ended.status is COMPLETED


async def test_a_callback_is_told_of_the_end_of_all(api: Api) -> None:
    """It is the group's, and none of its children's; where it may not go is said at the start."""
    refused = {'script': 'check.sh', 'entities': '*', 'callback': 'http://elsewhere.example/'}
    status, error = await api.json('POST', '/executions', json=refused)
    assert (status, error['error_code']) == (400, 'invalid-parameter')
    group = await started(api, callback=f'http://{RECEIVER}/ends')
    for each in (group, *(await children(api, group))):
        status, _ = await api.json('GET', f'/executions/{each["id"]}/callback')
        assert status == (200 if each is group else 404)


async def test_who_prefers_to_wait_is_answered_at_the_end_of_all(api: Api) -> None:
    """200 with the whole parent."""
    wish = {'script': 'check.sh', 'entities': [SENSOR, ENGINE]}
    waits = {'Prefer': 'wait=100'}
    starting = asyncio.create_task(api.runner.next_script())
    answering = asyncio.create_task(api.request('POST', '/executions', json=wish, headers=waits))
    parent = await api.listener.wait_for((await starting).order.execution_id, RUNNING)
    for script in await scripts_of(api, {'id': parent.parent}):
        script.exit(0)
    answer = await answering
    shown = await answer.json()
    assert (answer.status, shown['status'], shown['id']) == (200, 'completed', parent.parent)


async def test_a_stop_of_a_group_is_answered_with_its_end(api: Api) -> None:
    """As of any execution; then it can be removed, and its children stay."""
    group = await started(api)
    await scripts_of(api, group)
    path = f'/executions/{group["id"]}'
    assert (await api.request('DELETE', path)).status == 409
    status, stopped = await api.json('PUT', path, json={'action': 'stop'})
    assert (status, stopped['status']) == (200, 'terminated')
    assert stopped['children']['by_status']['terminated'] == 2
    assert (await api.json('PUT', path, json={'action': 'stop'}))[0] == 409
    assert (await api.request('DELETE', path)).status == 204
    assert len(await children(api, group)) == 2


async def group_of(life: Life, *, uploads: bool = True, **fields: Any) -> Execution:
    """Start a script on the sensor and on the host."""
    for entity in life.directory.refs() if uploads else ():
        async with life.library.begin_upload() as upload:
            await upload.write(b'true\n')
            await life.library.create(entity, upload, 'check.sh', Metadata(name='check'))
    start = StartRequest(execution_type=ExecutionType.NOW)
    request = GroupRequest(script='check', entities=('*',), start=start, **fields)
    return await life.executions.start_group(request, life.directory, actor=CLIENT)


async def occupied(life: Life) -> None:
    """Have another execution run, which is on record."""
    other = await life.start(await life.upload(), ExecutionType.NOW)
    await life.listener.wait_for(other.id, RUNNING)


async def family_of(life: Life, group: Execution) -> list[Execution]:
    """Return a group's children as they are, oldest first."""
    wanted = ExecutionFilter(parents=frozenset({group.id}))
    found = await life.questions.find(wanted, KeysetPage(limit=-100))
    ids = [each.execution_id for each in reversed(found.executions)]
    return [await life.questions.get_by_id(each) for each in ids]


async def test_a_group_ends_with_what_the_death_of_the_gateway_left_of_it(
    tmp_path: Path,
) -> None:
    """What ran has failed, and so has what nobody wants to be started again."""
    robot = Robot(tmp_path)
    robot.max_executions = 1
    async with robot.gateway() as life:
        group = await group_of(life)
        await life.listener.wait_for(group.id, RUNNING)
    async with robot.gateway() as life:
        ended = await life.listener.wait_for(group.id)
        assert (ended.status, ended.failure and ended.failure.parameters['failed']) == (FAILED, 2)
        assert [each.status for each in await family_of(life, group)] == [FAILED, FAILED]


async def test_a_group_goes_on_with_what_waits(tmp_path: Path) -> None:
    """Where accepted executions are started after all; what ran has failed, and so has the
    group when the rest has ended."""
    robot = Robot(tmp_path)
    robot.start_prepared = True
    async with robot.gateway() as life:
        group = await group_of(life, max_parallel=1)
        first, second = await family_of(life, group)
        await life.listener.wait_for(first.id, RUNNING)
    async with robot.gateway() as life:
        failed, waiting = await family_of(life, group)
        assert (failed.status, waiting.id) == (FAILED, second.id)
        assert (await life.questions.get_by_id(group.id)).is_open
        await life.finish(second.id)
        ended = await life.listener.wait_for(group.id)
        assert ended.failure is not None
        assert (ended.failure.parameters['completed'], ended.failure.parameters['failed']) == (
            1,
            1,
        )


async def test_the_bound_of_a_group_outlives_the_gateway(tmp_path: Path) -> None:
    """All of it waits when the gateway dies; one after the other runs then."""
    robot = Robot(tmp_path)
    robot.start_prepared, robot.max_executions = True, 1
    async with robot.gateway() as life:
        await occupied(life)
        group = await group_of(life, max_parallel=1)
        assert [each.status for each in await family_of(life, group)] == [PREPARED, PREPARED]
    robot.max_executions = 10
    async with robot.gateway() as life:
        for each in await family_of(life, group):
            await life.runner.script(each.id)
            assert life.runner.started[-1] == each.id
            await life.finish(each.id)
        assert (await life.listener.wait_for(group.id)).status is COMPLETED


async def test_a_later_gateway_knows_further_attempts(tmp_path: Path) -> None:
    """Of each child the last one counts, and what its script started does not."""
    robot = Robot(tmp_path)
    robot.start_prepared = True
    async with robot.gateway() as life:
        group = await group_of(life)
        failing, fine = await family_of(life, group)
        for each in (failing, fine):
            await life.listener.wait_for(each.id, RUNNING)
        (await life.runner.script(failing.id)).exit(1)
        failed = await life.listener.wait_for(failing.id)
        further = failed.evolve(
            id=ExecutionIds(fine.id).next(robot.clock.now()),
            status=PREPARED,
            parent=failed.id,
            trigger=Trigger(type=TriggerType.SYSTEM, setting='retry'),
            failure=None,
            started_at=None,
            completed_at=None,
        )
        await add(life.store, further)
    completed = Outcome(cause=EndCause.EXITED, exit_code=0, duration_sec=0.5)
    async with robot.gateway(recovered={fine.id: completed}) as life:
        await life.finish(further.id)
        assert (await life.listener.wait_for(group.id)).status is COMPLETED


async def test_a_shutdown_leaves_a_group_to_the_next_gateway(tmp_path: Path) -> None:
    """With what of it waits, where that is started after all."""
    robot = Robot(tmp_path)
    robot.start_prepared = True
    async with robot.gateway() as life:
        group = await group_of(life, max_parallel=1)
        first, second = await family_of(life, group)
        script = await life.runner.script(first.id)
        await life.listener.wait_for(group.id, RUNNING)
        life.executions.close()
        script.exit(0)
        async with asyncio.timeout(DEADLINE_SEC):
            await life.executions.wait_closed()
        kept = await life.store.get(group.id)
        assert kept is not None
        assert kept.status is RUNNING
    async with robot.gateway() as life:
        await life.finish(second.id)
        assert (await life.listener.wait_for(group.id)).status is FAILED


async def test_a_stop_of_a_group_holds_over_a_death_of_the_gateway(tmp_path: Path) -> None:
    """What waits is not started, although the gateway died before it could say so of each."""
    robot = Robot(tmp_path)
    robot.start_prepared, robot.max_executions = True, 1
    async with robot.gateway() as life:
        await occupied(life)
        group = await group_of(life)
        stopped = await life.questions.get_by_id(group.id)
        trigger = Trigger(type=TriggerType.MANUAL, setting='stop')
        await life.ledger.note_stop(stopped.evolve(stop_trigger=trigger), CLIENT)
    async with robot.gateway() as life:
        assert (await life.listener.wait_for(group.id)).status is TERMINATED
        assert {each.status for each in await family_of(life, group)} == {TERMINATED}
        assert life.runner.started == ()


async def test_real_scripts_run_on_several_entities(tmp_path: Path) -> None:
    """The assembled gateway has them all ended, with the parent."""
    nodes = frozenset({NodeName(namespace='/', name=f'arm_{n}') for n in range(3)})
    async with (
        asyncio.timeout(DEADLINE_SEC),
        assembled_gateway(tmp_path, GraphSnapshot(nodes=nodes)) as client,
    ):
        for number in range(3):
            await client.post(
                f'{BASE}/apps/arm_{number}/scripts',
                data=form(f'exit {number // 2}\n'.encode(), 'check.sh'),
            )
        answer = await client.post(
            f'{BASE}/executions',
            json={'script': 'check.sh', 'entities': 'apps/*', 'max_parallel': 2},
            headers={'Prefer': 'wait=60'},
        )
        group = await answer.json()
        assert (answer.status, group['status']) == (200, 'failed')
        assert group['error']['vendor_code'] == 'x-gateway-children-failed'
        assert group['children']['by_status']['completed'] == 2
        assert group['children']['by_status']['failed'] == 1
