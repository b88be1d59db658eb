# SPDX-License-Identifier: Apache-2.0
"""One action on all executions that a filter finds."""

from pathlib import Path
from typing import Any

from api_support import Api, serve_api
import pytest

from gateway_node.executions import many
from gateway_node.executions.errors import RunnerUnavailable

ENTITY = 'apps/temp_sensor'


async def act(api: Api, action: str, wanted: Any, **more: Any) -> Any:
    """Ask for an action; return the answer."""
    body = {'action': action, 'filter': wanted, **more}
    status, answer = await api.json('POST', '/executions/actions', json=body)
    assert status == 200, answer
    return answer


async def refused(api: Api, body: Any) -> list[str]:
    """Ask for what is refused; return the paths of what is wrong."""
    status, error = await api.json('POST', '/executions/actions', json=body)
    assert status == 400
    return [each['path'] for each in error['parameters']['violations']]


async def ended(api: Api, script_id: str, exit_code: int = 0, **body: Any) -> str:
    """Have an execution end; return its id."""
    execution_id = await api.start(ENTITY, script_id, **body)
    (await api.runner.script(execution_id)).exit(exit_code)
    await api.listener.wait_for(execution_id)
    return execution_id


async def status_of(api: Api, execution_id: str) -> str:
    """Return the status of an execution; the code of the answer where it is not there."""
    code, shown = await api.json('GET', f'/executions/{execution_id}')
    return str(shown['status'] if code == 200 else code)


def results(answer: Any) -> dict[str, str]:
    """Return what came of it for each."""
    return {each['id']: each['result'] for each in answer['items']}


@pytest.mark.parametrize('action', ['stop', 'forced_termination'])
async def test_all_that_is_open_and_wanted_is_stopped(tmp_path: Path, action: str) -> None:
    """Of one script, by its id; what has ended is not tried, and the others go on."""
    async with serve_api(tmp_path) as api:
        one, other = [await api.upload(ENTITY) for _ in range(2)]
        over = await ended(api, one)
        wanted = [(await api.running(ENTITY, one))[0] for _ in range(3)]
        unwanted, _ = await api.running(ENTITY, other)
        answer = await act(api, action, {'script': one})
        assert (answer['truncated'], answer['dry_run']) == (False, False)
        assert [each['id'] for each in answer['items']] == sorted(wanted, reverse=True)
        assert set(results(answer).values()) == {'done'}
        assert {await status_of(api, each) for each in wanted} == {'terminated'}
        assert await status_of(api, unwanted) == 'running'
        assert await status_of(api, over) == 'completed'


async def test_a_dry_run_tells_what_would_be_acted_on(tmp_path: Path) -> None:
    """And leaves everything as it is."""
    async with serve_api(tmp_path) as api:
        running, _ = await api.running(ENTITY, await api.upload(ENTITY))
        answer = await act(api, 'stop', {}, dry_run=True)
        assert (results(answer), answer['dry_run']) == ({running: 'matched'}, True)
        assert answer['items'][0]['href'].endswith(f'/executions/{running}')
        assert await status_of(api, running) == 'running'


async def test_all_that_has_ended_and_is_wanted_is_removed(tmp_path: Path) -> None:
    """What is open, schedules among it, stays."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        good, bad = await ended(api, script_id), await ended(api, script_id, 3)
        schedule = await api.start(ENTITY, script_id, execution_type='on_restart')
        running, _ = await api.running(ENTITY, script_id)
        answer = await act(api, 'delete', {'status': 'failed'})
        assert results(answer) == {bad: 'done'}
        answer = await act(api, 'delete', {})
        assert results(answer) == {good: 'done'}
        left = [await status_of(api, each) for each in (good, bad, schedule, running)]
        assert left == ['404', '404', 'prepared', 'running']


async def test_all_that_has_ended_and_is_wanted_is_started_again(tmp_path: Path) -> None:
    """The oldest first, with what each was given; the answer names what was started."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        failed = [await ended(api, script_id, 3, parameters={'n': n}) for n in range(3)]
        await ended(api, script_id)
        answer = await act(api, 'retry', {'status': ['failed']})
        started = {each['id']: each['started']['id'] for each in answer['items']}
        assert sorted(started) == failed
        assert [started[each] for each in failed] == sorted(started.values())
        for number, each in enumerate(failed):
            order = (await api.runner.script(started[each])).order
            assert order.parameters == {'n': number}


async def test_what_is_amiss_with_one_keeps_nothing_from_the_others(tmp_path: Path) -> None:
    """The answer is 200, and tells of each as its own request would be answered."""
    async with serve_api(tmp_path) as api:
        script_id, gone = await api.upload(ENTITY), await api.upload(ENTITY)
        first, second = await ended(api, script_id), await ended(api, gone)
        await api.request('DELETE', f'/{ENTITY}/scripts/{gone}')
        answer = await act(api, 'retry', {})
        assert results(answer) == {first: 'done', second: 'refused'}
        (error,) = (each['error'] for each in answer['items'] if 'error' in each)
        assert error['error_code'] == 'resource-not-found'
        api.runner.refusal = RunnerUnavailable('the spawner is being started')
        answer = await act(api, 'retry', {'script': script_id, 'status': 'completed'})
        (item,) = answer['items']
        assert item['error']['vendor_code'] == 'x-gateway-runner-unavailable'


@pytest.mark.parametrize('at_once', [1, 50])
async def test_what_is_stopped_with_its_parent_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Whether or not it has ended when its turn comes: it was open, and no child is refused."""
    monkeypatch.setattr(many, '_AT_ONCE', at_once)
    async with serve_api(tmp_path) as api:
        entities = [ENTITY, 'components/powertrain_engine']
        for entity in entities:
            await api.upload(entity)
        body = {'script': 'check.sh', 'entities': entities, 'execution_type': 'now'}
        status, group = await api.json('POST', '/executions', json=body)
        assert status == 202, group
        answer = await act(api, 'stop', {})
        assert list(results(answer).values()) == ['done'] * 3
        assert {await status_of(api, each) for each in results(answer)} == {'terminated'}


async def test_so_many_at_most_are_acted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest; `truncated` tells that there are more, for who asks again."""
    monkeypatch.setattr(many, 'MAX_EXECUTIONS', 2)
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        oldest, *others = [await ended(api, script_id) for _ in range(3)]
        answer = await act(api, 'delete', {})
        assert (sorted(results(answer)), answer['truncated']) == (others, True)
        answer = await act(api, 'delete', {})
        assert (results(answer), answer['truncated']) == ({oldest: 'done'}, False)


@pytest.mark.parametrize(
    ('wanted', 'found'),
    [
        ({}, [0, 1, 2]),
        ({'exit_code': 3}, [1, 2]),
        ({'exit_code': [0, 3], 'parameter.mode': 'fast'}, [0, 2]),
        ({'parameter.depth': 3}, [1]),
        ({'parameter.depth': [3, 4]}, [1, 2]),
        ({'entity': ['apps/*'], 'kind': ['sh'], 'trigger': 'manual'}, [0, 1, 2]),
        ({'scheduled': True}, []),
        ({'min_duration_ms': 0, 'created_after': '2001-01-01T00:00:00Z'}, [0, 1, 2]),
        ({'component': 'powertrain_engine', 'include_outdated': False}, [0, 1, 2]),
        ({'status': ['running']}, []),
    ],
)
async def test_the_filter_is_that_of_lists(
    tmp_path: Path, wanted: dict[str, Any], found: list[int]
) -> None:
    """The same names, with JSON values: one or a list where lists take several."""
    async with serve_api(tmp_path) as api:
        script_id = await api.upload(ENTITY)
        executions = [
            await ended(api, script_id, code, parameters=parameters)
            for code, parameters in (
                (0, {'mode': 'fast'}),
                (3, {'depth': 3}),
                (3, {'mode': 'fast', 'depth': 4}),
            )
        ]
        answer = await act(api, 'delete', wanted, dry_run=True)
        assert sorted(results(answer)) == [executions[each] for each in found]


async def test_what_is_wrong_with_a_filter_is_told_where_it_stands(tmp_path: Path) -> None:
    """All of it at once, and nothing is done: an unknown name would act on too much."""
    async with serve_api(tmp_path) as api:
        running, _ = await api.running(ENTITY, await api.upload(ENTITY))
        body: dict[str, Any] = {'action': 'stop'}
        wrong = {'state': 'running', 'exit_code': ['3'], 'parameter.': 1, 'scheduled': 'true'}
        paths = [f'/body/filter/{name}' for name in wrong]
        assert await refused(api, body | {'filter': wrong}) == paths
        assert await refused(api, body | {'filter': []}) == ['/body/filter']
        assert await refused(api, body) == ['/body/filter']
        unknown = {'component': 'nobody'}
        assert await refused(api, body | {'filter': unknown}) == ['/body/filter/component']
        many_names = {f'parameter.{number}': number for number in range(21)}
        assert await refused(api, body | {'filter': many_names}) == ['/body/filter/parameter.NAME']
        assert await refused(api, {'action': 'cancel', 'filter': {}}) == ['/body/action']
        assert await status_of(api, running) == 'running'
