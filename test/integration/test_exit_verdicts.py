# SPDX-License-Identifier: Apache-2.0
"""Exit codes that are verdicts, of uploaded and managed scripts that really run."""

from collections.abc import AsyncIterator
from pathlib import Path
import time
from typing import Any

from aiohttp import ClientSession
from api_support import form
from assembled_gateway import assembled_gateway
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName

GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='temp_sensor')}))
SCRIPTS = '/api/v1/apps/temp_sensor/scripts'
VERDICTS = {'1': 'FAIL', '3': 'WARN', '77': 'SKIP'}
DEADLINE_SEC = 30.0
MANIFEST = """
scripts:
  - {id: check_disk, path: check_disk.sh, entities: apps/*, exit_verdicts: {"1": FAIL}}
"""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """Serve a gateway with a managed script."""
    (tmp_path / 'check_disk.sh').write_text('echo full; exit 1\n')
    manifest = tmp_path / 'scripts.yaml'
    manifest.write_text(MANIFEST)
    parameters = {'scripts.manifest': str(manifest)}
    async with assembled_gateway(tmp_path / 'state', GRAPH, parameters=parameters) as client:
        yield client


async def upload(client: ClientSession, name: str, content: str, **metadata: Any) -> str:
    """Upload a script; return its path."""
    data = form(content.encode(), name, {'exit_verdicts': VERDICTS, **metadata})
    async with client.post(SCRIPTS, data=data) as response:
        assert response.status == 201, await response.text()
        return response.headers['Location']


async def ended(client: ClientSession, script: str) -> dict[str, Any]:
    """Execute a script; return its detail once it has ended."""
    wish = {'execution_type': 'now'}
    async with client.post(f'{script}/executions', json=wish) as response:
        assert response.status == 202, await response.text()
        path = response.headers['Location']
    deadline = time.monotonic() + DEADLINE_SEC
    while time.monotonic() < deadline:
        async with client.get(path) as response:
            body: dict[str, Any] = await response.json()
        if body['status'] not in ('prepared', 'running'):
            return body
    raise AssertionError(body)


@pytest.mark.parametrize(
    ('name', 'content', 'verdict'),
    [
        ('check.sh', '{}; exit 1', 'FAIL'),
        ('check.bash', '{}; (exit 3)', 'WARN'),
        (
            'check.py',
            'import sys, subprocess; subprocess.call({!r}, shell=True); sys.exit(77)',
            'SKIP',
        ),
    ],
)
async def test_a_mapped_exit_code_completes_an_execution_with_its_verdict(
    client: ClientSession, name: str, content: str, verdict: str
) -> None:
    """What it printed as JSON is its result then, as of any that completes."""
    prints = 'echo \'{"summary": "two", "metrics": {"found": 2}}\''
    content = content.replace('{}', prints).replace('{!r}', repr(prints))
    body = await ended(client, await upload(client, name, content))
    assert (body['status'], body['verdict']) == ('completed', verdict)
    assert (body['summary'], body['metrics']) == ('two', {'found': 2})
    assert 'error' not in body


async def test_another_exit_code_and_a_signal_fail(client: ClientSession) -> None:
    """As before, and what was printed is no result."""
    for content in ('exit 2', 'kill -1 $$'):
        body = await ended(client, await upload(client, 'a.sh', f"echo '{{}}'; {content}"))
        assert body['status'] == 'failed'
        assert body['error']['vendor_code'] == 'x-gateway-script-failed'
        assert 'verdict' not in body
        assert 'parameters' not in body


async def test_a_timeout_is_none_though_the_script_exits_with_such_a_code(
    client: ClientSession,
) -> None:
    """It was asked to end."""
    content = "trap 'exit 1' TERM; while true; do sleep 0.05; done"
    body = await ended(client, await upload(client, 'a.sh', content, timeout_sec=0.5))
    assert (body['status'], body['exit_code']) == ('failed', 1)
    assert body['error']['vendor_code'] == 'x-gateway-timeout'
    assert 'verdict' not in body


async def test_a_managed_script_has_them_too(client: ClientSession) -> None:
    """And its detail shows them, as that of an upload does."""
    body = await ended(client, f'{SCRIPTS}/check_disk')
    assert (body['status'], body['verdict']) == ('completed', 'FAIL')
    assert body['parameters'] == {'stdout': 'full\n', 'stderr': '', 'exit_code': 1}
    for path, told in (
        (f'{SCRIPTS}/check_disk', {'1': 'FAIL'}),
        (await upload(client, 'a.sh', 'true'), VERDICTS),
    ):
        async with client.get(path) as response:
            assert (await response.json())['exit_verdicts'] == told
