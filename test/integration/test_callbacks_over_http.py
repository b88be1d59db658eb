# SPDX-License-Identifier: Apache-2.0
"""Callbacks as clients see them, of a whole gateway: asked for, shown, sent again."""

import asyncio
import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, FormData
from assembled_gateway import assembled_gateway, OWN_NODE
import pytest
from receivers import answers, answers_one_after_another, hang, receiver

from gateway_node.entities.values import GraphSnapshot, NodeName

BASE = '/api/v1'
GRAPH = GraphSnapshot(nodes=frozenset({OWN_NODE, NodeName(namespace='/', name='temp_sensor')}))
KEY = bytes(range(24))


async def script(client: ClientSession, content: bytes = b'echo 21 degrees\n') -> str:
    """Upload a script; return the path of its executions."""
    form = FormData()
    form.add_field('file', content, filename='check.sh')
    async with client.post(f'{BASE}/apps/temp_sensor/scripts', data=form) as answer:
        return f'{BASE}/apps/temp_sensor/scripts/{(await answer.json())["id"]}/executions'


async def ask(client: ClientSession, method: str, path: str, **options: Any) -> tuple[int, Any]:
    async with client.request(method, path, **options) as answer:
        return answer.status, await answer.json()


async def shown(client: ClientSession, href: str, status: str) -> Any:
    """Return the state of a callback once it has a status."""
    async with asyncio.timeout(60):
        while True:
            _, body = await ask(client, 'GET', f'{href}/callback')
            if body['status'] == status:
                return body
            await asyncio.sleep(0.01)


async def test_a_real_end_is_told_signed_and_shown(tmp_path: Path) -> None:
    """What is told is, byte for byte, what GET answers."""
    secret_file = tmp_path / 'secret'
    secret_file.write_bytes(b'whsec_' + base64.b64encode(KEY))
    secret_file.chmod(0o600)
    async with receiver(answers_one_after_another(answers(410), answers(200))) as told:
        parameters = {
            'callbacks.allowed': [f'localhost:{told.port}'],
            'callbacks.secret_file': str(secret_file),
        }
        async with assembled_gateway(tmp_path / 'state', GRAPH, parameters=parameters) as client:
            path = await script(client)
            url = f'http://localhost:{told.port}/ended'
            start = {'execution_type': 'now', 'callback': url}
            _, started = await ask(client, 'POST', path, json=start)
            href = started['href']
            body = await shown(client, href, 'failed')
            assert body['url'] == url
            assert (body['attempts'], body['last_status']) == (1, 410)
            assert 'next_attempt_in_sec' not in body
            status, again = await ask(client, 'POST', f'{href}/callback')
            assert (status, again['url']) == (202, url)
            body = await shown(client, href, 'delivered')
            assert (body['attempts'], body['last_status']) == (2, 200)
            assert 'last_error' not in body
            async with client.get(href) as answer:
                detail = await answer.read()
            by_id = f'{BASE}/executions/{started["id"]}/callback'
            assert (await ask(client, 'GET', by_id)) == (200, body)
            _, health = await ask(client, 'GET', f'{BASE}/health')
            assert health['callbacks'] == {
                'waiting': 0,
                'delivering': 0,
                'delivered': 1,
                'failed': 1,
            }
    assert len(told.told) == 2
    for each in told.told:
        assert each.body == detail
        assert each.execution['output']['stdout'] == '21 degrees\n'
        signed = f'{started["id"]}.{each.headers["webhook-timestamp"]}.'.encode() + detail
        digest = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert each.headers['webhook-signature'] == f'v1,{digest}'


@pytest.mark.parametrize(
    ('callback', 'reason'),
    [
        (
            'http://10.0.0.7/',
            'port 80 of 10.0.0.7 is in no entry of the parameter callbacks.allowed',
        ),
        ('ftp://localhost/', 'allowed: an http or https URL'),
    ],
)
async def test_a_callback_that_may_not_go_there_is_refused_at_the_start(
    tmp_path: Path, callback: str, reason: str
) -> None:
    """400 names the value and the parameter, and nothing is recorded."""
    parameters = {'callbacks.allowed': ['localhost']}
    async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
        path = await script(client)
        start = {'execution_type': 'now', 'callback': callback}
        status, body = await ask(client, 'POST', path, json=start)
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        (violation,) = body['parameters']['violations']
        assert violation['path'] == '/body/callback'
        assert violation['reason'].startswith(f"is '{callback}'; {reason}")
        assert (await ask(client, 'GET', path)) == (200, {'items': []})


async def test_what_cannot_be_signed_waits_and_health_says_why(tmp_path: Path) -> None:
    """The gateway starts all the same: a robot stays diagnosable."""
    secret_file = tmp_path / 'secret'
    async with receiver(answers(200)) as told:
        parameters = {
            'callbacks.allowed': ['127.0.0.1'],
            'callbacks.secret_file': str(secret_file),
        }
        async with assembled_gateway(tmp_path / 'state', GRAPH, parameters=parameters) as client:
            async with asyncio.timeout(60):
                health: Any = {'warnings': []}
                while not health['warnings']:
                    _, health = await ask(client, 'GET', f'{BASE}/health')
            assert health['status'] == 'degraded'
            assert str(secret_file) in health['warnings'][0]
            path = await script(client)
            start = {'execution_type': 'now', 'callback': f'http://127.0.0.1:{told.port}/'}
            _, started = await ask(client, 'POST', path, json=start)
            async with asyncio.timeout(60):
                body: Any = {'attempts': 0}
                while not body['attempts']:
                    body = await shown(client, started['href'], 'waiting')
            assert 0 < body['next_attempt_in_sec'] <= 6
            assert str(secret_file) in body['last_error']
            secret_file.write_bytes(b'whsec_' + base64.b64encode(KEY))
            secret_file.chmod(0o600)
            await ask(client, 'POST', f'{started["href"]}/callback')
            await shown(client, started['href'], 'delivered')
            _, health = await ask(client, 'GET', f'{BASE}/health')
            assert health['warnings'] == []
    assert len(told.told) == 1


async def test_the_gateway_ends_although_a_receiver_hangs(tmp_path: Path) -> None:
    """What runs then is told by the next one, and so is what was under way."""
    async with receiver(answers_one_after_another(hang, answers(200))) as told:
        parameters = {'callbacks.allowed': ['127.0.0.1']}
        start = {'execution_type': 'now', 'callback': f'http://127.0.0.1:{told.port}/'}
        async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
            _, hung = await ask(client, 'POST', await script(client), json=start)
            await shown(client, hung['href'], 'delivering')
            running = await script(client, b'sleep 600\n')
            _, left = await ask(client, 'POST', running, json=start)
        async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
            for each in (hung, left):
                await shown(client, each['href'], 'delivered')
    codes = {
        each.execution['id']: each.execution.get('error', {}).get('vendor_code')
        for each in told.told
    }
    assert codes == {hung['id']: None, left['id']: 'x-gateway-shutdown'}


async def test_the_end_of_several_executions_is_told_once(tmp_path: Path) -> None:
    """Of the group, when all of it has ended; its members are in it by number."""
    async with receiver(answers(200)) as told:
        parameters = {'callbacks.allowed': ['127.0.0.1']}
        async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
            await script(client)
            start = {
                'script': 'check.sh',
                'entities': ['apps/temp_sensor'],
                'execution_type': 'now',
                'callback': f'http://127.0.0.1:{told.port}/',
            }
            status, started = await ask(client, 'POST', f'{BASE}/executions', json=start)
            assert status == 202, started
            end = (await told.wait_for(1)).execution
            assert (end['id'], end['status']) == (started['id'], 'completed')
            assert end['children']['by_status']['completed'] == 1
            await shown(client, f'{BASE}/executions/{started["id"]}', 'delivered')
    assert len(told.told) == 1
