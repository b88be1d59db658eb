# SPDX-License-Identifier: Apache-2.0
"""A secret that is given to a real gateway is searched for wherever it could be."""

from collections.abc import AsyncIterator
import json
import logging
import os
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, FormData
from assembled_gateway import assembled_gateway, OWN_NODE
import pytest
from runner_support import floor_on
from waiting import wait_until

from gateway_node.child.process_tree import descendants
from gateway_node.entities.values import GraphSnapshot, NodeName
from gateway_node.executions.runner_ports import StartOrder
from gateway_node.scripts.values import ScriptKind

SEED = 'hunter2-8b1f'
SCHEMA = {
    'type': 'object',
    'properties': {
        'key': {'type': 'string', 'format': 'password', 'minLength': 3},
        'login': {'properties': {'pin': {'writeOnly': True}}},
    },
    'required': ['key'],
}
GIVEN = {'key': SEED, 'login': {'pin': [SEED], 'user': 'anna'}, 'user': 'anna'}
SHOWN = {'key': '********', 'login': {'pin': '********', 'user': 'anna'}, 'user': 'anna'}
SCRIPT = (
    'read -r given\n'
    f'case $given in *{SEED[:4]}*) echo has it;; esac\n'
    'echo "$PARAM_USER:$PARAM_KEY:"; until [ -e "$PARAM_GO_ON" ]; do sleep 0.05; done\n'
)
APP = '/api/v1/apps/temp_sensor'
GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='temp_sensor'), OWN_NODE}))


class Told:
    """A client that keeps all that it is told."""

    def __init__(self, client: ClientSession) -> None:
        self._client = client
        self.all: list[str] = []

    async def ask(self, method: str, path: str, **options: Any) -> ClientResponse:
        """Send a request, and keep the answer."""
        answer = await self._client.request(method, path, **options)
        self.all += [repr(answer.headers), await answer.text()]
        return answer

    async def json(self, method: str, path: str, **options: Any) -> Any:
        """Send a request; return what is answered."""
        return await (await self.ask(method, path, **options)).json()


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    """Serve a gateway, and give a client of it."""
    async with assembled_gateway(tmp_path / 'state', GRAPH) as client:
        yield Told(client)


async def upload(told: Told) -> str:
    """Upload a script that takes secrets; return the path of its executions."""
    data = FormData()
    data.add_field('file', SCRIPT.encode(), filename='check.sh')
    metadata = json.dumps({'parameters_schema': SCHEMA})
    data.add_field('metadata', metadata, content_type='application/json')
    made = await told.json('POST', f'{APP}/scripts', data=data)
    return f'{APP}/scripts/{made["id"]}/executions'


def has_seed(path: Path) -> bool:
    """Tell whether the secret is in a file; one that is gone had none."""
    try:
        return SEED.encode() in path.read_bytes()
    except (OSError, ValueError):
        return False


def files_with_seed(folder: Path) -> list[Path]:
    """Return the files below a folder in which the secret is."""
    return [path for path in folder.rglob('*') if path.is_file() and has_seed(path)]


def shown_of_processes() -> list[str]:
    """Return command lines and environments of all that runs below this process."""
    return [
        f'/proc/{each.pid}/{name}'
        for each in descendants(os.getpid())
        for name in ('cmdline', 'environ')
        if has_seed(Path(f'/proc/{each.pid}/{name}'))
    ]


async def test_a_secret_is_nowhere_but_on_the_scripts_stdin(
    told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in any answer, list, filter, export, stream, event, log line or file of the gateway, nor
    in a command line or an environment."""
    caplog.set_level(logging.DEBUG)
    executions = await upload(told)
    go_on = tmp_path / 'go_on'
    start = {'execution_type': 'now', 'parameters': GIVEN | {'go_on': str(go_on)}}
    key = {'Idempotency-Key': 'once'}
    made = await told.json('POST', executions, json=start, headers=key)
    again = await told.ask('POST', executions, json=start, headers=key)
    assert again.headers['Idempotency-Replayed'] == 'true'
    path = f'{executions}/{made["id"]}'
    while 'has it' not in (await told.json('GET', path))['output']['stdout']:
        pass  # each turn is a request: the script goes on meanwhile
    assert shown_of_processes() == []
    assert files_with_seed(tmp_path / 'state') == []
    go_on.touch()
    live = {'Accept': 'text/event-stream'}
    assert (await told.ask('GET', f'{path}/events', headers=live)).status == 200
    ended = await told.json('GET', path)
    assert ended['status'] == 'completed'
    assert ended['output']['stdout'] == 'has it\nanna::\n'
    assert ended['input_parameters'] == SHOWN | {'go_on': str(go_on)}
    hidden = await told.json('GET', '/api/v1/executions', params={'parameter.key': '********'})
    assert [each['id'] for each in hidden['items']] == [made['id']]
    columns = {'columns': 'input_parameters.key,input_parameters.login'}
    for media_type in ('text/csv', 'application/x-ndjson'):
        accepted = {'Accept': media_type}
        exported = await told.ask('GET', '/api/v1/executions', params=columns, headers=accepted)
        assert '********' in await exported.text()
    for each in ('executions', 'events', 'scripts', 'openapi.json', f'{executions[8:-11]}/docs'):
        assert (await told.ask('GET', f'/api/v1/{each}')).status == 200
    assert SEED not in ''.join(told.all) + caplog.text
    assert files_with_seed(tmp_path / 'state') == []
    # Who knows it may ask for it; it is not found.
    found = await told.json('GET', '/api/v1/executions', params={'parameter.key': SEED})
    assert found['items'] == []


@pytest.mark.parametrize(
    'wrong',
    [
        {'key': SEED[:2], 'login': SEED},
        {'login': {'pin': SEED}},
        {'key': [SEED]},
        {'key': {SEED: 1}},
        {'key': '********'},
    ],
)
async def test_a_refusal_quotes_no_secret(
    told: Told, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    """It names the place, and what does not fit."""
    executions = await upload(told)
    start = {'execution_type': 'now', 'parameters': wrong}
    answer = await told.ask('POST', executions, json=start)
    assert answer.status == 400
    quoted = ''.join(told.all) + caplog.text
    if wrong.get('login') != SEED:
        assert SEED not in quoted


async def test_a_retry_names_the_secrets_that_it_lacks(told: Told) -> None:
    """And starts where all parameters are given again; what was read of it is refused."""
    executions = await upload(told)
    start = {'execution_type': 'now', 'parameters': GIVEN | {'go_on': '/'}}
    made = await told.json('POST', executions, json=start, headers={'Prefer': 'wait=20'})
    retry = f'{executions}/{made["id"]}/retry'
    refused = await told.ask('POST', retry, json={})
    assert refused.status == 400
    violations = (await refused.json())['parameters']['violations']
    assert {each['path'] for each in violations} == {'/key', '/login/pin'}
    shown = made['input_parameters']
    assert (await told.ask('POST', retry, json={'parameters': shown})).status == 400
    answer = await told.ask('POST', retry, json={'parameters': start['parameters']})
    assert answer.status == 202


async def test_a_schedule_that_would_keep_secrets_is_refused(told: Told) -> None:
    """Given or required, whichever way it is to start."""
    executions = await upload(told)
    for parameters in (GIVEN, {}):
        start = {'execution_type': 'now_and_on_restart', 'parameters': parameters}
        answer = await told.ask('POST', executions, json=start)
        assert answer.status == 400
        assert '/key' in json.dumps(await answer.json()) or "'key'" in await answer.text()


@pytest.mark.parametrize('kind', [ScriptKind.SH, ScriptKind.PYTHON])
async def test_who_had_a_secret_in_its_memory_gets_no_other_script(
    tmp_path: Path, kind: ScriptKind
) -> None:
    """A warm script is a copy of its supervisor: of an earlier one's secrets it must have none."""
    async with floor_on(tmp_path, warm_modules=('json',)) as floor:
        floor.runner.warm_up()
        await wait_until(lambda: floor.runner.warm_state == 'ready', what='warm scripts')
        content = 'echo 1' if kind is ScriptKind.SH else 'print(1)'
        for secrets, kept in (((), True), (('/key',), False)):
            order = floor.order(floor.script(content, kind), parameters={'key': SEED})
            order = StartOrder(**{**vars(order), 'secrets': secrets})
            process = await floor.start(order)
            await process.ended()
            floor.runner.acknowledge([process.execution_id])
            if kept:
                assert process.link.lives
            else:
                await process.link.gone
