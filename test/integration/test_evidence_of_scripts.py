# SPDX-License-Identifier: Apache-2.0
"""Evidence of real scripts of a real gateway: what the disk has, and what nothing shows."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import io
import json
from pathlib import Path
from typing import Any
import zipfile

from aiohttp import ClientSession, FormData
from assembled_gateway import assembled_gateway, OWN_NODE
import pytest
from waiting import wait_until

from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.evidence import keeping
from gateway_node.evidence.no_robot import NoRobotWitness
from gateway_node.evidence.values import LogLines

SEED = 'hunter2-5c7e'
SCHEMA = {'type': 'object', 'properties': {'pin': {'type': 'string', 'writeOnly': True}}}
SCRIPT = 'read -r given\necho "$PLAIN" "$PARAM_USER"; echo wrong >&2; exit 3\n'
APP = '/api/v1/apps/temp_sensor'
GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='temp_sensor'), OWN_NODE}))


@pytest.fixture(autouse=True)
def soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for what comes after an end for a moment only."""
    monkeypatch.setattr(keeping, 'AFTER_SEC', 0.05)


@contextlib.asynccontextmanager
async def gateway(tmp_path: Path, **parameters: object) -> AsyncIterator[ClientSession]:
    """Serve a gateway that keeps evidence of failures, and takes a token from a set-up file."""
    setup = tmp_path / 'setup.bash'
    setup.write_text(f'export SOME_TOKEN={SEED} PLAIN=plain\n')
    given = {
        'evidence.default': 'on_failure',
        'environment.setup_files': [str(setup)],
        **parameters,
    }
    async with assembled_gateway(tmp_path / 'state', GRAPH, parameters=given) as client:
        yield client


async def failed(client: ClientSession) -> str:
    """Have a script fail that is given secrets; return the id of its execution."""
    data = FormData()
    data.add_field('file', SCRIPT.encode(), filename='check.sh')
    metadata = json.dumps({'parameters_schema': SCHEMA})
    data.add_field('metadata', metadata, content_type='application/json')
    made = await (await client.post(f'{APP}/scripts', data=data)).json()
    start = {'execution_type': 'now', 'parameters': {'pin': SEED, 'user': 'anna'}}
    path = f'{APP}/scripts/{made["id"]}/executions'
    answer = await client.post(path, json=start, headers={'Prefer': 'wait=60'})
    body = await answer.json()
    assert (body['status'], body['evidence']) == ('failed', True)
    return str(body['id'])


async def summary(client: ClientSession, execution_id: str) -> Any:
    """Return the summary of evidence; None where there is none."""
    answer = await client.get(f'/api/v1/executions/{execution_id}/evidence')
    return await answer.json() if answer.status == 200 else None


async def whole(client: ClientSession, execution_id: str) -> Any:
    """Return the summary once all was taken."""
    async with asyncio.timeout(60):
        while True:
            told = await summary(client, execution_id)
            if told is not None and told['complete']:
                return told
            await asyncio.sleep(0.05)


def archive_of(tmp_path: Path, execution_id: str) -> Path:
    """Return where the archive of an execution is."""
    return tmp_path / 'state' / 'executions' / execution_id / 'evidence.zip'


async def test_evidence_of_a_failed_script_is_kept_without_its_secrets(tmp_path: Path) -> None:
    """Neither those of its parameters nor what looks like one in its environment."""
    async with gateway(tmp_path) as client:
        execution_id = await failed(client)
        told = await whole(client, execution_id)
        assert told['environment']['masked'] == ['SOME_TOKEN']
        answer = await client.get(f'/api/v1/executions/{execution_id}/evidence.zip')
        with zipfile.ZipFile(io.BytesIO(await answer.read())) as archive:
            held = {name: archive.read(name) for name in archive.namelist()}
        assert {name for name, content in held.items() if SEED.encode() in content} == set()
        assert held['script/check.sh'] == SCRIPT.encode()
        assert (held['stdout.txt'], held['stderr.txt']) == (b'plain anna\n', b'wrong\n')
        environment = json.loads(held['environment.json'])['variables']
        assert environment['PLAIN'] == 'plain'
        assert 'temp_sensor' in held['execution.json'].decode()
        assert json.loads(held['machine.json'])['after']['memory']['total_mb'] > 0
        assert {'gateway', 'python', 'sqlite', 'kernel'} <= told['versions'].keys()


async def test_evidence_goes_with_its_execution(tmp_path: Path) -> None:
    """Nothing of it stays on the disk."""
    async with gateway(tmp_path) as client:
        execution_id = await failed(client)
        await whole(client, execution_id)
        archive = archive_of(tmp_path, execution_id)
        assert archive.exists()
        await client.delete(f'/api/v1/executions/{execution_id}')
        assert not archive.parent.exists()


async def test_a_gateway_that_ends_meanwhile_keeps_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next life answers it, and that it is not all."""
    monkeypatch.setattr(keeping, 'AFTER_SEC', 600)
    async with gateway(tmp_path) as client:
        execution_id = await failed(client)
        await wait_until(archive_of(tmp_path, execution_id).exists, what='what there is')
    async with gateway(tmp_path) as client:
        told = await summary(client, execution_id)
        assert (told['complete'], told['missing']) == (False, keeping._INCOMPLETE)
        assert 'script/check.sh' in {each['name'] for each in told['parts']}


async def test_an_execution_that_a_gateway_ends_with_itself_has_evidence(tmp_path: Path) -> None:
    """The end of the gateway is a failure, too."""
    runs = tmp_path / 'runs'
    async with gateway(tmp_path) as client:
        data = FormData()
        data.add_field('file', b'touch "$PARAM_AT"; sleep 600\n', filename='long.sh')
        made = await (await client.post(f'{APP}/scripts', data=data)).json()
        start = {'execution_type': 'now', 'parameters': {'at': str(runs)}}
        answer = await client.post(f'{APP}/scripts/{made["id"]}/executions', json=start)
        execution_id = (await answer.json())['id']
        await wait_until(runs.exists, what='a script that runs')
    async with gateway(tmp_path) as client:
        told = await summary(client, execution_id)
        assert not told['complete']


async def test_what_is_held_is_let_go_when_all_evidence_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was logged is in the evidence of a gateway that ends meanwhile, too."""
    said: list[str] = []

    def reading(robot: NoRobotWitness, begin: float, end: float) -> LogLines:
        said.append('read')
        return LogLines(lines=())

    monkeypatch.setattr(keeping, 'AFTER_SEC', 600)
    monkeypatch.setattr(NoRobotWitness, 'keep', lambda robot: lambda: said.append('let go'))
    monkeypatch.setattr(NoRobotWitness, 'log_lines', reading)
    async with gateway(tmp_path) as client:
        execution_id = await failed(client)
        await wait_until(archive_of(tmp_path, execution_id).exists, what='what there is')
    assert said[-2:] == ['read', 'let go']
