# SPDX-License-Identifier: Apache-2.0
"""The assembled gateway keeps its audit in its state directory."""

import hashlib
import hmac
import json
from pathlib import Path
import stat
from typing import Any

from aiohttp import ClientSession
from api_support import form
from assembled_gateway import assembled_gateway

from gateway_node.clock import read_boot_id
from gateway_node.entities.values import GraphSnapshot, NodeName

GRAPH = GraphSnapshot(nodes=frozenset({NodeName(namespace='/', name='temp_sensor')}))
BASE = '/api/v1'
SCRIPTS = f'{BASE}/apps/temp_sensor/scripts'


async def answer(client: ClientSession, method: str, path: str, **options: Any) -> Any:
    """Return the body of an answer."""
    async with client.request(method, path, **options) as response:
        return await response.json()


async def test_the_audit_goes_on_over_restarts(tmp_path: Path) -> None:
    """For the gateway's user alone; whoever has the key proves with it what was asked for."""
    parameters = {'pin': 1234, 'näme': 'x'}
    async with assembled_gateway(tmp_path, GRAPH) as client:
        uploaded = await answer(client, 'POST', SCRIPTS, data=form(b'true\n', 'check.sh'))
    async with assembled_gateway(tmp_path, GRAPH) as client:
        start = {'execution_type': 'now', 'parameters': parameters}
        path = f'{SCRIPTS}/{uploaded["id"]}/executions'
        started = await answer(client, 'POST', path, json=start)
        notes = (await answer(client, 'GET', f'{BASE}/audit'))['items']
    assert [(note['sequence'], note['result']) for note in notes] == [
        (2, started['id']),
        (1, uploaded['id']),
    ]
    assert {note['boot'] for note in notes} == {read_boot_id().replace('-', '')}
    key = hmac.digest((tmp_path / 'state.key').read_bytes(), b'parameters in the audit', 'sha256')
    text = json.dumps(parameters, sort_keys=True, separators=(',', ':'), ensure_ascii=False)
    assert notes[0]['parameters_hmac'] == hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    folder = tmp_path / 'audit'
    (file,) = folder.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)] == [0o700, 0o600]


async def test_an_audit_that_cannot_be_written_is_told_before_anything_is_asked(
    tmp_path: Path,
) -> None:
    """In /health, with what that means where it is required."""
    (tmp_path / 'audit').touch()
    async with assembled_gateway(tmp_path, GRAPH, parameters={'audit.required': True}) as client:
        health = await answer(client, 'GET', f'{BASE}/health')
        refused = await answer(client, 'POST', SCRIPTS, data=form(b'true\n', 'check.sh'))
    assert health['status'] == 'degraded'
    cannot, nothing = health['warnings']
    assert cannot.startswith('the audit cannot be written: ')
    assert nothing == 'nothing is changed, as no audit of it can be kept (audit.required)'
    assert refused['vendor_code'] == 'x-gateway-audit-unavailable'
