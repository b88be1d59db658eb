# SPDX-License-Identifier: Apache-2.0
"""Who starts an execution may wait for its end: `Prefer: wait` (RFC 7240)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientTimeout, FormData
from api_support import Api, BASE, serve_api
from assembled_gateway import assembled_gateway, OWN_NODE
from fakes import FakeScript
from loop_clock import LoopClock
import pytest
from raw_requests import read_answer
from waiting import wait_until

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.runner_ports import EndCause, Outcome, StartOrder
from gateway_node.executions.values import ExecutionStatus, Output

DEADLINE_SEC = 30.0
TEMP_SENSOR = 'apps/temp_sensor'
START = {'execution_type': 'now'}
APPLIED = 'Preference-Applied'
NO_LIMIT = ClientTimeout(total=None)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


async def start(api: Api, script_id: str, prefer: str = 'wait=100', **body: Any) -> ClientResponse:
    """Start an execution with a preference."""
    path = f'/{TEMP_SENSOR}/scripts/{script_id}/executions'
    return await api.request(
        'POST', path, json=START | body, headers={'Prefer': prefer}, timeout=NO_LIMIT
    )


async def waiting(
    api: Api, prefer: str = 'wait=100', **body: Any
) -> tuple[asyncio.Task[ClientResponse], str, FakeScript]:
    """Start an execution, and leave its client to wait; return that, its id and its script."""
    script_id = await api.upload(TEMP_SENSOR)
    starting = asyncio.create_task(api.runner.next_script())
    await asyncio.sleep(0)
    answering = asyncio.create_task(start(api, script_id, prefer, **body))
    script = await starting
    return answering, script.order.execution_id, script


async def test_who_waits_is_answered_what_the_execution_is_at_its_end(api: Api) -> None:
    """200, as its GET answers it, with its place and what was applied."""
    answering, execution_id, script = await waiting(api)
    script.exit(0, printed={'ok': True})
    answer = await answering
    assert (answer.status, answer.headers[APPLIED]) == (200, 'wait=100')
    told = await answer.json()
    assert answer.headers['Location'] == told['href']
    assert (told['id'], told['status'], told['parameters']) == (
        execution_id,
        'completed',
        {'ok': True},
    )
    async with api.client.get(told['href']) as shown:
        assert await shown.json() == told


async def test_who_waited_is_answered_without_a_look_at_the_disk(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the script wrote came with its end; whoever asks next has it too."""
    answering, _, script = await waiting(api)

    async def unexpected(execution_id: str) -> Any:
        raise AssertionError(execution_id)

    monkeypatch.setattr(api.runner.outputs, 'of', unexpected)
    monkeypatch.setattr(api.store, 'get', unexpected)
    written = Output(stdout='said', stderr='', dropped_bytes=0)
    script.end(Outcome(cause=EndCause.EXITED, exit_code=0, kept_bytes=0, output=written))
    told = await (await answering).json()
    assert told['output'] == {'stdout': 'said', 'stderr': '', 'dropped_bytes': 0}
    async with api.client.get(told['href']) as shown:
        assert await shown.json() == told


async def test_who_waited_was_told_what_a_later_gateway_reads(tmp_path: Path) -> None:
    """From the record and from what is kept of the output: the same, to the byte."""
    graph = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='temp_sensor')}))
    scripts = {
        'says.sh': 'echo said; echo complained >&2; printf "no end"; exit 3\n',
        'gives.sh': 'echo \'{"volts": 12}\'\n',
        'silent.sh': 'true\n',
    }
    told = {}
    async with assembled_gateway(tmp_path, graph) as client:
        for name, content in scripts.items():
            form = FormData()
            form.add_field('file', content, filename=name)
            async with client.post(f'{BASE}/{TEMP_SENSOR}/scripts', data=form) as uploaded:
                href = f'{BASE}/{TEMP_SENSOR}/scripts/{(await uploaded.json())["id"]}'
            wait = {'Prefer': 'wait=60'}
            async with client.post(f'{href}/executions', json=START, headers=wait) as answer:
                assert answer.status == 200
                told[answer.headers['Location']] = await answer.read()
    async with assembled_gateway(tmp_path, graph) as client:
        for href, body in told.items():
            async with client.get(href) as shown:
                assert await shown.read() == body


async def test_a_wait_that_runs_out_is_answered_202(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the status by then; and the execution goes on."""
    answering, execution_id, script = await waiting(api, 'wait=5000')
    await api.listener.wait_for(execution_id, ExecutionStatus.RUNNING)
    clock = LoopClock(monkeypatch)
    await clock.advance(3599)
    assert not answering.done()
    await clock.advance(1)
    answer = await answering
    assert (answer.status, answer.headers[APPLIED]) == (202, 'wait=3600')
    body = await answer.json()
    assert (body['status'], body['href']) == ('running', answer.headers['Location'])
    script.exit(0)
    await api.listener.wait_for(execution_id, ExecutionStatus.COMPLETED)


async def test_what_comes_before_the_start_counts_as_waiting(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client waits for its answer from the moment when it has asked."""

    async def vet_slowly(order: StartOrder) -> None:
        api.clock.advance(100)

    monkeypatch.setattr(api.runner, 'vet', vet_slowly)
    script_id = await api.upload(TEMP_SENSOR)
    async with asyncio.timeout(DEADLINE_SEC):
        answer = await start(api, script_id)
    assert (answer.status, answer.headers[APPLIED]) == (202, 'wait=100')


async def test_what_does_not_start_is_waited_for_too(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what waits for a place, or for a process."""
    api.runner.hold_starts.clear()
    clock = LoopClock(monkeypatch)
    script_id = await api.upload(TEMP_SENSOR)
    answering = asyncio.create_task(start(api, script_id))
    await wait_until(lambda: api.listener.executions, what='the execution is recorded')
    await clock.advance(100)
    answer = await answering
    assert (answer.status, answer.headers[APPLIED]) == (202, 'wait=100')
    assert (await answer.json())['status'] == 'prepared'


@pytest.mark.parametrize('prefer', ['respond-async', 'wait=0', 'wait=soon', 'wait="100'])
async def test_who_prefers_no_wait_is_answered_at_once(api: Api, prefer: str) -> None:
    """And is not told that a preference was applied."""
    script_id = await api.upload(TEMP_SENSOR)
    async with asyncio.timeout(DEADLINE_SEC):
        answer = await start(api, script_id, prefer)
    assert (answer.status, APPLIED in answer.headers) == (202, False)


@pytest.mark.parametrize('execution_type', ['on_restart', 'once_on_restart'])
async def test_a_schedule_is_not_waited_for(api: Api, execution_type: str) -> None:
    """Nothing runs now."""
    script_id = await api.upload(TEMP_SENSOR)
    async with asyncio.timeout(DEADLINE_SEC):
        answer = await start(api, script_id, execution_type=execution_type)
    assert (answer.status, APPLIED in answer.headers) == (202, False)


async def test_of_what_runs_now_and_later_the_run_of_now_is_waited_for(api: Api) -> None:
    """Its schedule is named in it."""
    answering, execution_id, script = await waiting(api, execution_type='now_and_on_restart')
    script.exit(0)
    answer = await answering
    told = await answer.json()
    assert (answer.status, told['id'], told['status']) == (200, execution_id, 'completed')
    async with api.client.get(told['schedule']) as schedule:
        assert (await schedule.json())['status'] == 'prepared'


async def test_a_start_that_is_refused_is_refused_at_once(api: Api) -> None:
    """A preference changes nothing about that."""
    async with asyncio.timeout(DEADLINE_SEC):
        unknown = await start(api, 'unknown')
        script_id = await api.upload(TEMP_SENSOR)
        malformed = await start(api, script_id, arguments='-v')
    assert (unknown.status, malformed.status) == (404, 400)
    assert APPLIED not in unknown.headers


async def test_who_waits_hears_that_another_client_stopped_the_execution(api: Api) -> None:
    """The end is the end."""
    answering, execution_id, _ = await waiting(api)
    async with api.client.put(
        f'{BASE}/executions/{execution_id}', json={'action': 'stop'}
    ) as stopped:
        assert (await stopped.json())['status'] == 'terminated'
    answer = await answering
    assert (answer.status, (await answer.json())['status']) == (200, 'terminated')


async def test_who_waits_at_the_end_of_the_gateway_hears_how_the_execution_ended(
    api: Api,
) -> None:
    """It is ended with the gateway, before the connections are."""
    answering, _, _ = await waiting(api)
    api.executions.close()
    answer = await answering
    told = await answer.json()
    assert (answer.status, told['error']['vendor_code']) == (200, 'x-gateway-shutdown')


async def test_who_waits_is_told_of_no_end_that_is_not_on_record(api: Api) -> None:
    """As where the disk takes nothing when the gateway ends: the next one decides."""
    answering, execution_id, script = await waiting(api)
    await api.listener.wait_for(execution_id, ExecutionStatus.RUNNING)
    api.store.unavailable = 'the disk is full'
    script.exit(0)
    api.executions.close()
    answer = await answering
    assert (answer.status, (await answer.json())['status']) == (202, 'running')


async def test_a_client_that_leaves_changes_nothing(api: Api) -> None:
    """The execution goes on to its end, and others are answered."""
    answering, execution_id, script = await waiting(api)
    answering.cancel()
    await asyncio.wait([answering])
    async with api.client.get(f'{BASE}/executions/{execution_id}') as shown:
        assert (await shown.json())['status'] in ('prepared', 'running')
    script.exit(0)
    ended = await api.listener.wait_for(execution_id)
    assert (ended.status, ended.stop_trigger) == (ExecutionStatus.COMPLETED, None)


async def test_who_ended_its_side_and_waits_is_answered(api: Api) -> None:
    """As `nc -N` does: what asked whole is answered, and the connection closes."""
    script_id = await api.upload(TEMP_SENSOR)
    starting = asyncio.create_task(api.runner.next_script())
    reader, writer = await api.connect()
    path = f'{BASE}/{TEMP_SENSOR}/scripts/{script_id}/executions'
    lines = [f'POST {path} HTTP/1.1', 'Host: robot', 'Content-Type: application/json']
    content = b'{"execution_type": "now"}'
    lines += [f'Content-Length: {len(content)}', 'Prefer: respond-async', 'Prefer: Wait="100"']
    writer.write('\r\n'.join([*lines, '', '']).encode() + content)
    writer.write_eof()
    (await starting).exit(0)
    async with asyncio.timeout(DEADLINE_SEC):
        answer = await read_answer(reader)
        assert await reader.read() == b''
    assert (answer.status, answer.headers[APPLIED.lower()]) == (200, 'wait=100')
    writer.close()


async def test_a_script_that_runs_is_waited_for(tmp_path: Path) -> None:
    """By the whole gateway, with what the script printed."""
    graph = GraphSnapshot(nodes=frozenset({OWN_NODE, NodeName(namespace='/', name='temp_sensor')}))
    (tmp_path / 'says.sh').write_text('echo \'{"volts": 11.5}\'\n')
    (tmp_path / 'scripts.yaml').write_text(
        "scripts: [{id: says, name: Says, path: says.sh, entities: ['apps/*']}]\n"
    )
    parameters = {'scripts.manifest': str(tmp_path / 'scripts.yaml')}
    async with assembled_gateway(tmp_path / 'state', graph, parameters=parameters) as client:
        path = f'{BASE}/{TEMP_SENSOR}/scripts/says/executions'
        headers = {'Prefer': 'wait=300'}
        async with client.post(path, json=START, headers=headers) as answer:
            told = await answer.json()
            assert (answer.status, told['status']) == (200, 'completed')
        async with client.get(told['href']) as shown:
            assert await shown.json() == told
    assert told['parameters'] == {'volts': 11.5}
