# SPDX-License-Identifier: Apache-2.0
"""The output of real scripts over HTTP, while they run and after."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from api_support import form
from assembled_gateway import assembled_gateway, OWN_NODE
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName

TEMP_SENSOR = NodeName(namespace='/powertrain/engine', name='temp_sensor')
SCRIPTS = '/api/v1/apps/temp_sensor/scripts'
GRAPH = GraphSnapshot(nodes=frozenset({OWN_NODE, TEMP_SENSOR}))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """Serve a gateway that runs scripts."""
    async with assembled_gateway(tmp_path / 'state', GRAPH) as client:
        yield client


async def start(gateway: ClientSession, content: str) -> str:
    """Start a script; return the path of its execution."""
    uploaded = await gateway.post(SCRIPTS, data=form(content.encode(), 'script.sh'))
    href = (await uploaded.json())['href']
    started = await gateway.post(f'{href}/executions', json={'execution_type': 'now'})
    return str((await started.json())['href'])


async def follow(gateway: ClientSession, execution: str, query: str) -> list[Any]:
    """Follow `next` to the end; return all items and what was dropped, in order."""
    path = f'{execution}/output?{query}'
    found: list[Any] = []
    async with asyncio.timeout(60):
        while path:
            body = await (await gateway.get(path)).json()
            found += [*body['items'], *body['dropped']]
            path = body.get('next', '')
    return found


async def test_a_script_is_followed_while_it_runs(gateway: ClientSession, tmp_path: Path) -> None:
    """Each line once, in order, with the time at which it ended; then the page says it is over."""
    gate = tmp_path / 'gate'
    execution = await start(
        gateway,
        f'echo one; echo two >&2; printf begun; while ! [ -e {gate} ]; do sleep 0.02; done\n'
        'echo " and ended"; printf last\n',
    )
    async with asyncio.timeout(60):
        while True:
            body = await (await gateway.get(f'{execution}/output')).json()
            if body['unfinished']:
                break
    assert [item['text'] for item in body['items']] == ['one', 'two']
    assert [(begun['stream'], begun['text']) for begun in body['unfinished']] == [
        ('stdout', 'begun')
    ]
    text = await gateway.get(f'{execution}/output', headers={'Accept': 'text/plain'})
    assert await text.read() == b'one\ntwo\nbegun'
    gate.touch()
    lines = await follow(gateway, execution, 'limit=1')
    assert [(line['number'], line['stream'], line['text']) for line in lines] == [
        (1, 'stdout', 'one'),
        (2, 'stderr', 'two'),
        (3, 'stdout', 'begun and ended'),
        (4, 'stdout', 'last'),
    ]
    detail = await (await gateway.get(execution)).json()
    times = [line['time'] for line in lines]
    assert detail['started_at'] <= times[0] <= times[1] < times[2] <= times[3]


async def test_what_was_dropped_is_told_in_either_form(gateway: ClientSession) -> None:
    """By the numbers of lines, and in bytes; both agree with the execution's own output."""
    execution = await start(gateway, 'seq 100000\n')
    found = await follow(gateway, execution, 'limit=1000')
    lines = [each for each in found if 'text' in each]
    (gap,) = [each for each in found if 'first' in each]
    assert [int(line['text']) for line in lines if 'whole' not in line] == [
        line['number'] for line in lines if 'whole' not in line
    ]
    assert len(lines) + gap['last'] - gap['first'] + 1 == 100_000
    detail = await (await gateway.get(execution)).json()
    dropped = detail['output']['dropped_bytes']
    text = await (await gateway.get(f'{execution}/output?download=true')).text()
    assert f'\n[... {dropped} bytes of stdout dropped ...]\n' in text
    assert text.endswith('99999\n100000\n')
    newest = await (await gateway.get(f'{execution}/output?limit=-2')).json()
    assert [item['number'] for item in newest['items']] == [99_999, 100_000]
