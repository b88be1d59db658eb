# SPDX-License-Identifier: Apache-2.0
"""A code from the command to the start, through the assembled gateway; it is nowhere else."""

import json
import logging
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from api_support import form
from assembled_gateway import assembled_gateway
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName

GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='arm')}))
SCRIPTS = '/api/v1/apps/arm/scripts'
TELLS = b'cat /proc/[0-9]*/cmdline 2>&- | tr "\\0" "\\n"; env; exit 3\n'


async def answered(client: ClientSession, method: str, path: str, **options: Any) -> Any:
    """Send a request; return its body and its headers."""
    async with client.request(method, path, **options) as response:
        return await response.json(), str(response.headers)


async def test_a_code_is_shown_by_the_command_and_is_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the state directory, the database among it, nor in the log, nor in an answer, nor
    where a script can see it: its environment, its output, command lines."""
    caplog.set_level(logging.DEBUG)
    state, shown = tmp_path / 'state', tmp_path / 'shown'
    parameters = {
        'python.warm': False,
        'proximity.command': ['sh', '-c', 'cat > "$0"', str(shown)],
        'proximity.code_digits': 12,
    }
    answers = []
    async with assembled_gateway(state, GRAPH, parameters=parameters) as client:
        upload = form(TELLS, 'tells.sh', {'proximity_proof_required': True})
        made, _ = await answered(client, 'POST', SCRIPTS, data=upload)
        script = f'{SCRIPTS}/{made["id"]}'
        answers.append(await answered(client, 'GET', script))
        told = json.loads(shown.read_text())
        challenge = answers[-1][0]['proximity_challenge']['challenge']
        assert (told['challenge'], told['entity']) == (challenge, 'apps/arm')
        code = told['code']
        wrong = '0' * 12
        for response in (wrong, code, code):
            body = {'execution_type': 'now', 'proximity_response': response}
            wait = {'Prefer': 'wait=60'}
            answers.append(
                await answered(client, 'POST', f'{script}/executions', json=body, headers=wait)
            )
        assert [body.get('status') for body, _ in answers[1:]] == [None, 'failed', None]
        execution = f'/api/v1/executions/{answers[2][0]["id"]}'
        read = (execution, f'{execution}/output', '/api/v1/events', '/api/v1/health')
        answers += [await answered(client, 'GET', path) for path in read]
    assert 'GATEWAY_EXECUTION_ID' in str(answers)
    assert code not in str(answers)
    assert code not in caplog.text
    files = [path for path in state.rglob('*') if path.is_file()]
    assert any(path.name == 'gateway.sqlite3' for path in files)
    assert [path for path in files if code.encode() in path.read_bytes()] == []
