# SPDX-License-Identifier: Apache-2.0
"""Evidence and comparisons, as clients see them; what is seen of the robot is told it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
import datetime
import io
import json
from pathlib import Path
from typing import Any
import zipfile

from api_support import Api, form, serve_api
import pytest
from waiting import wait_until

from gateway_node.evidence import keeping, looking, witnessing
from gateway_node.evidence.evidence_parts import Part
from gateway_node.evidence.values import GraphPicture, LogLine
from gateway_node.masking import MASK

ENTITY = 'apps/temp_sensor'
AT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    """Serve a gateway that waits for what comes after an end for a moment only."""
    monkeypatch.setattr(keeping, 'AFTER_SEC', 0.01)
    async with serve_api(tmp_path) as api:
        api.seen.robot.parameters_now['/temp_sensor'] = {'rate': 5, 'admin_password': 'hunter2'}
        yield api


async def executed(
    api: Api, script_id: str, exit_code: int = 0, result: Any = None, **start: Any
) -> str:
    """Execute a script to its end, and until evidence of it is kept where it is."""
    execution_id, script = await api.running(ENTITY, script_id, **start)
    script.exit(exit_code, printed=result)
    await api.listener.wait_for(execution_id)
    await wait_until(
        lambda: not api.seen.keeping.is_keeping(execution_id), what='evidence that is kept'
    )
    return execution_id


async def summary(api: Api, execution_id: str) -> Any:
    """Return the summary of evidence, which is there."""
    status, body = await api.json('GET', f'/executions/{execution_id}/evidence')
    assert status == 200, body
    return body


async def parts(api: Api, execution_id: str) -> dict[str, bytes]:
    """Return all that the archive holds."""
    response = await api.request('GET', f'/executions/{execution_id}/evidence.zip')
    assert response.status == 200
    with zipfile.ZipFile(io.BytesIO(await response.read())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def compared(api: Api, this: str, other: str = 'last-pass') -> Any:
    """Return a comparison."""
    status, body = await api.json('GET', f'/executions/{this}/comparison?with={other}')
    assert status == 200, body
    return body


async def test_an_archive_holds_all_that_was_around_an_execution(api: Api) -> None:
    """From the execution as it is answered to the graph as it differs."""
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id, script = await api.running(
        ENTITY, script_id, parameters={'limit': 3}, arguments=['-v']
    )
    api.runner.outputs.say(execution_id, 'said')
    now = api.clock.monotonic()
    api.seen.robot.lines += [
        LogLine(received=now, at=AT, level='WARN', node='arm', message='slow')
    ]
    api.seen.robot.graph_now = GraphPicture(nodes=('/arm', '/leg'), topics={}, services={})
    script.exit(0, printed={'verdict': 'PASS'})
    await api.listener.wait_for(execution_id)
    await wait_until(
        lambda: not api.seen.keeping.is_keeping(execution_id), what='evidence that is kept'
    )
    told = await summary(api, execution_id)
    assert (told['execution'], told['complete'], told['policy']) == (execution_id, True, 'always')
    assert told['graph'] == {'differences': 1}
    assert (told['rosout']['levels'], told['environment']['variables']) == ({'WARN': 1}, 1)
    held = await parts(api, execution_id)
    assert set(held) == {
        'summary.json',
        'versions.json',
        'machine.json',
        'environment.json',
        'node_parameters.json',
        'diagnostics.json',
        'graph.json',
        'rosout.ndjson',
        'execution.json',
        'parameters.json',
        'result.json',
        'stderr.txt',
        'stdout.txt',
        'script.json',
        'script/check.sh',
    }
    shown = await api.json('GET', f'/executions/{execution_id}')
    assert json.loads(held['execution.json']) == shown[1]
    assert shown[1]['evidence'] is True
    assert held['script/check.sh'] == b'true\n'
    assert held['stdout.txt'] == b'said\n'
    assert json.loads(held['parameters.json']) == {
        'parameters': {'limit': 3},
        'arguments': ['-v'],
    }
    values = json.loads(held['node_parameters.json'])['before']['values']
    assert values == {'rate': 5, 'admin_password': MASK}


async def test_of_a_failure_it_is_known_what_was_before(api: Api) -> None:
    """Nobody knew then that it was going to fail; of what passes nothing stays."""
    script_id = await api.upload(ENTITY, evidence='on_failure')
    passed = await executed(api, script_id)
    failed = await executed(api, script_id, 3)
    found = await executed(api, script_id, 0, {'verdict': 'FAIL'})
    for execution_id in (failed, found):
        assert (await summary(api, execution_id))['graph'] == {'differences': 0}
    status, body = await api.json('GET', f'/executions/{passed}/evidence')
    assert (status, 'nothing asked for it' in body['message']) == (404, True)
    assert 'evidence' not in (await api.json('GET', f'/executions/{passed}'))[1]
    assert api.seen.files.kept.keys() == {failed, found}


async def test_where_nothing_asks_the_robot_is_left_alone(api: Api) -> None:
    """What is logged is held from the first script that asks to the last one."""
    silent = await api.upload(ENTITY)
    await executed(api, silent, 3)
    assert (api.seen.robot.looks, api.seen.robot.kept) == (0, 0)
    asking = await api.upload(ENTITY, evidence='on_failure')
    await wait_until(lambda: api.seen.robot.kept == 1, what='a robot that is looked at')
    await api.request('DELETE', f'/{ENTITY}/scripts/{asking}')
    await wait_until(lambda: api.seen.robot.kept == 0, what='a robot that is left alone')


async def test_a_robot_that_does_not_answer_holds_up_no_start_for_long(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence says what could not be seen, and has all else."""
    monkeypatch.setattr(looking, 'PATIENCE_SEC', 0.05)
    api.seen.robot.hold.clear()
    script_id = await api.upload(ENTITY, evidence='always')
    told = await summary(api, await executed(api, script_id))
    assert told['graph'] == {'unavailable': 'the graph could not be seen within 0.05 s'}
    assert 'unavailable' in told['node_parameters']
    assert told['complete']


async def test_a_disk_that_is_full_harms_no_execution(api: Api) -> None:
    """It ends as it does, and says that evidence was to be kept."""
    api.seen.files.refusal = 'no space left on device'
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id = await executed(api, script_id)
    body = (await api.json('GET', f'/executions/{execution_id}'))[1]
    assert (body['status'], body['evidence']) == ('completed', True)
    status, refused = await api.json('GET', f'/executions/{execution_id}/evidence')
    assert (status, 'could not be kept' in refused['message']) == (404, True)


async def test_where_the_disk_has_less_than_it_should_nothing_is_kept(api: Api) -> None:
    """What is left is for others."""
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id, script = await api.running(ENTITY, script_id)
    api.free_space.shortage = 'too little'
    script.exit()
    await wait_until(
        lambda: not api.seen.keeping.is_keeping(execution_id), what='evidence that is given up'
    )
    assert api.seen.files.kept == {}


async def test_what_an_execution_keeps_is_measured_anew_with_its_evidence(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of the disk counts it."""
    measured: dict[str, int] = {}

    async def measure(kept_bytes: Mapping[str, int]) -> None:
        measured.update(kept_bytes)

    monkeypatch.setattr(api.store, 'measure', measure)
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id, script = await api.running(ENTITY, script_id)
    api.runner.kept_bytes_of[execution_id] = 4711
    script.exit()
    await wait_until(lambda: execution_id in measured, what='a measurement')
    assert measured == {execution_id: 4711}


async def test_evidence_is_there_at_once_and_says_that_it_is_not_all(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes after is waited for; a gateway that ends meanwhile leaves that."""
    monkeypatch.setattr(keeping, 'AFTER_SEC', 600)
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id, script = await api.running(ENTITY, script_id)
    script.exit()
    await wait_until(lambda: execution_id in api.seen.files.kept, what='what there is')
    told = await summary(api, execution_id)
    assert (told['complete'], told['missing']) == (False, keeping._INCOMPLETE)
    await api.seen.keeping.close()
    assert not (await summary(api, execution_id))['complete']
    assert api.seen.files.written == [execution_id] * 2


async def test_what_is_deleted_meanwhile_leaves_no_evidence(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is written just then or not."""
    monkeypatch.setattr(keeping, 'AFTER_SEC', 600)
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id, script = await api.running(ENTITY, script_id)
    script.exit()
    await wait_until(lambda: execution_id in api.seen.files.kept, what='what there is')
    await api.request('DELETE', f'/executions/{execution_id}')
    await api.seen.files.remove(execution_id)
    await api.seen.keeping.close()
    assert api.seen.files.kept == {}


async def test_nobody_is_warned_that_there_is_no_evidence_of_what_is_deleted(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Its folder goes while it is written: that is as it should be."""
    api.seen.files.hold.clear()
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id, script = await api.running(ENTITY, script_id)
    script.exit()
    await wait_until(lambda: api.seen.files.writes == 1, what='a write')
    await api.request('DELETE', f'/executions/{execution_id}')
    api.seen.files.refusal = 'no such file'
    api.seen.files.hold.set()
    await wait_until(
        lambda: not api.seen.keeping.is_keeping(execution_id), what='evidence that is given up'
    )
    assert 'is not kept' not in caplog.text


async def test_where_no_bag_can_be_recorded_that_is_said_at_once(api: Api) -> None:
    """By the name of what is missing, to who uploads a script or makes an instance."""
    script_id = await api.upload(ENTITY)
    api.seen.robot.bag_fault = 'rosbag2_py is not installed'
    evidence = {'when': 'always', 'bag_topics': ['/scan']}
    instance = {'json': {'name': 'one', 'evidence': evidence}}

    def upload() -> dict[str, Any]:
        return {'data': form(b'true\n', 'a.sh', {'evidence': evidence})}

    for method, path, body, place in (
        ('POST', f'/{ENTITY}/scripts', upload(), ''),
        ('PUT', f'/{ENTITY}/scripts/{script_id}', upload(), ''),
        ('POST', f'/{ENTITY}/scripts/{script_id}/instances', instance, '/body'),
    ):
        status, answer = await api.json(method, path, **body)
        assert (status, answer['parameters']['violations']) == (
            400,
            [
                {
                    'path': f'{place}/evidence/bag_topics',
                    'reason': 'cannot be recorded: rosbag2_py is not installed',
                }
            ],
        ), path
    api.seen.robot.bag_fault = ''


async def test_where_a_bag_cannot_be_recorded_any_more_evidence_says_why(api: Api) -> None:
    """Everything else is there."""
    policy = {'when': 'always', 'bag_topics': ['/scan']}
    script_id = await api.upload(ENTITY, evidence=policy)
    api.seen.robot.bag_fault = 'rosbag2_py is not installed'
    told = await summary(api, await executed(api, script_id))
    assert told['bag'] == {
        'topics': ['/scan'],
        'fault': 'rosbag2_py is not installed',
    }


async def test_parts_of_an_archive_are_answered_and_known_ones_are_not_sent(api: Api) -> None:
    """As of any file."""
    execution_id = await executed(api, await api.upload(ENTITY, evidence='always'))
    path = f'/executions/{execution_id}/evidence.zip'
    whole = await api.request('GET', path)
    content, tag = await whole.read(), whole.headers['ETag']
    part = await api.request('GET', path, headers={'Range': 'bytes=10-19', 'If-Range': tag})
    assert (part.status, await part.read()) == (206, content[10:20])
    known = await api.request('GET', path, headers={'If-None-Match': tag})
    assert known.status == 304


async def test_an_execution_is_compared_with_the_last_one_that_passed(api: Api) -> None:
    """By what the records tell, and by what was seen around both."""
    script_id = await api.upload(ENTITY, evidence='always')
    first = await executed(
        api,
        script_id,
        0,
        {
            'verdict': 'PASS',
            'metrics': {'volts': 12},
            'checks': [{'name': 'cell', 'verdict': 'PASS', 'value': 4}],
        },
        parameters={'limit': 3},
    )
    api.seen.robot.parameters_now['/temp_sensor']['rate'] = 50
    api.seen.robot.graph_now = GraphPicture(nodes=(), topics={}, services={})
    api.runner.environment['ROS_DOMAIN_ID'] = '7'
    second = await executed(
        api,
        script_id,
        0,
        {
            'verdict': 'FAIL',
            'metrics': {'volts': 9},
            'checks': [{'name': 'cell', 'verdict': 'FAIL', 'value': 3}],
        },
        parameters={'limit': 4},
    )
    told = await compared(api, second)
    assert (told['this']['id'], told['other']['id']) == (second, first)
    same = {name for name, aspect in told.items() if aspect.get('same')}
    assert same == {'script', 'versions'}
    differing = {
        name: aspect['differences'] for name, aspect in told.items() if aspect.get('differences')
    }
    assert differing == {
        'parameters': [{'path': '/parameters/limit', 'this': 4, 'other': 3}],
        'outcome': [{'path': '/verdict', 'this': 'FAIL', 'other': 'PASS'}],
        'checks': [
            {'path': '/cell/verdict', 'this': 'FAIL', 'other': 'PASS'},
            {'path': '/cell/value', 'this': 3, 'other': 4},
        ],
        'metrics': [{'path': '/volts', 'this': 9, 'other': 12}],
        'environment': [{'path': '/variables/ROS_DOMAIN_ID', 'this': '7'}],
        'graph': [{'path': '/nodes/~1arm', 'other': 1}],
        'node_parameters': [{'path': '/values/rate', 'this': 50, 'other': 5}],
    }


async def test_without_evidence_the_records_are_compared(api: Api) -> None:
    """What only evidence tells says why it is not."""
    script_id = await api.upload(ENTITY)
    first = await executed(api, script_id, 0, parameters={'limit': 3})
    second = await executed(api, script_id, 3, parameters={'limit': 3})
    told = await compared(api, second)
    assert told['other']['id'] == first
    assert told['parameters'] == {'same': True, 'differences': []}
    assert {each['path'] for each in told['outcome']['differences']} == {
        '/status',
        '/exit_code',
        '/vendor_code',
    }
    (failed,) = (each for each in told['outcome']['differences'] if 'vendor' in each['path'])
    assert failed == {'path': '/vendor_code', 'this': 'x-gateway-script-failed'}
    assert told['graph'] == {'unavailable': f'no evidence was kept of {second}'}


async def test_who_passed_last_is_the_newest_before_it(api: Api) -> None:
    """With the verdict PASS; where there is none, without a FAIL; or nothing is compared."""
    script_id = await api.upload(ENTITY)
    alone = await executed(api, script_id, 3)
    status, body = await api.json('GET', f'/executions/{alone}/comparison?with=last-pass')
    assert (status, body['error_code']) == (404, 'resource-not-found')
    silent = await executed(api, script_id)
    await executed(api, script_id, 0, {'verdict': 'FAIL'})
    third = await executed(api, script_id, 3)
    assert (await compared(api, third))['other']['id'] == silent
    passed = await executed(api, script_id, 0, {'verdict': 'PASS'})
    await executed(api, script_id, 0, {'verdict': 'WARN'})
    last = await executed(api, script_id, 3)
    assert (await compared(api, last))['other']['id'] == passed
    assert (await compared(api, third))['other']['id'] == silent


async def test_any_two_executions_can_be_compared(api: Api) -> None:
    """Also of another version of the script, and of another script."""
    script_id = await api.upload(ENTITY)
    first = await executed(api, script_id)
    other = await executed(api, await api.upload(ENTITY, name='b.sh', content=b'false\n'))
    told = await compared(api, first, other)
    assert {each['path'] for each in told['script']['differences']} == {
        '/id',
        '/name',
        '/version',
    }
    assert (await compared(api, first, first))['script']['same']


@pytest.mark.parametrize('query', ['', '?with=', '?with=best', '?with=last-pass&with=x'])
async def test_what_it_is_compared_with_has_to_be_said(api: Api, query: str) -> None:
    """The message says what is allowed."""
    execution_id = await executed(api, await api.upload(ENTITY))
    status, body = await api.json('GET', f'/executions/{execution_id}/comparison{query}')
    assert status == 400
    assert 'with' in body['message'] or 'with' in str(body.get('parameters'))


async def test_secrets_are_neither_compared_nor_kept(api: Api) -> None:
    """Masked on record, they may be the same or not."""
    schema = {'type': 'object', 'properties': {'password': {'writeOnly': True}}}
    script_id = await api.upload(ENTITY, parameters_schema=schema, evidence='always')
    await executed(api, script_id, parameters={'password': 'hunter2'})
    second = await executed(api, script_id, parameters={'password': 'hunter3'})
    told = (await compared(api, second))['parameters']
    assert (told['same'], told['not_compared']) == (True, ['/parameters/password'])
    assert all(b'hunter' not in content for content in (await parts(api, second)).values())


async def test_what_is_held_of_executions_that_run_is_bounded(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more of them evidence says that it was not looked before."""
    monkeypatch.setattr(witnessing, 'MAX_HELD', 1)
    script_id = await api.upload(ENTITY, evidence='always')
    _, held = await api.running(ENTITY, script_id)
    told = await summary(api, await executed(api, script_id))
    assert told['graph'] == {'unavailable': 'of 1 executions it is held already'}
    held.exit()


@pytest.mark.parametrize(
    ('content', 'why'),
    [(b'{', 'is no JSON'), (b'[]', 'is no JSON object'), (None, 'was left out')],
)
async def test_evidence_that_nobody_here_wrote_breaks_no_comparison(
    api: Api, content: bytes | None, why: str
) -> None:
    """A script of the same user may have put anything there."""
    script_id = await api.upload(ENTITY, evidence='always')
    execution_id = await executed(api, script_id)
    written = [Part(name='summary.json', content=b'[]'), Part(name='versions.json', content=b'{}')]
    if content is not None:
        written.append(Part(name='graph.json', content=content))
    await api.seen.files.keep(execution_id, written)
    told = await compared(api, execution_id, await executed(api, script_id))
    assert why in told['graph']['unavailable']
    status, body = await api.json('GET', f'/executions/{execution_id}/evidence')
    assert (status, body['error_code']) == (404, 'resource-not-found')


async def test_many_starts_at_once_look_at_the_graph_once(api: Api) -> None:
    """A robot is not asked for the same again while it answers."""
    api.seen.robot.hold.clear()
    script_id = await api.upload(ENTITY, evidence='on_failure')
    started = [await api.start(ENTITY, script_id) for _ in range(2)]
    await wait_until(lambda: api.seen.robot.looks == 1, what='a look')
    api.seen.robot.hold.set()
    async with asyncio.timeout(30):
        for execution_id in started:
            (await api.runner.script(execution_id)).exit()
            await api.listener.wait_for(execution_id)
    assert api.seen.robot.looks == 1


async def test_what_an_instance_says_goes_before_what_its_script_does(api: Api) -> None:
    """The robot is looked at for as long as the instance asks; its executions have evidence."""
    script_id = await api.upload(ENTITY)
    path = f'/{ENTITY}/scripts/{script_id}/instances'
    status, body = await api.json('POST', path, json={'name': 'one', 'evidence': 'always'})
    assert status == 201, body
    assert api.seen.robot.kept == 1
    status, body = await api.json('POST', f'{path}/one/executions', json={})
    assert status == 202, body
    execution_id = str(body['id'])
    (await api.runner.script(execution_id)).exit()
    await api.listener.wait_for(execution_id)
    await wait_until(lambda: execution_id in api.seen.files.kept, what='evidence that is kept')
    other = await executed(api, script_id)
    assert api.seen.files.kept.keys() == {execution_id}
    assert (await compared(api, other, execution_id))['script']['same']
    _, refused = await api.json('GET', f'/executions/{execution_id}/comparison?with=last-pass')
    assert "no execution of its instance 'one' passed" in refused['message']
    assert (await api.request('DELETE', f'{path}/one')).status == 204
    assert api.seen.robot.kept == 0
