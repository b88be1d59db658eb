# SPDX-License-Identifier: Apache-2.0
"""Streams of real scripts: the assembled gateway, its children and its database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from api_support import BASE, form
from assembled_gateway import assembled_gateway
from event_streams import EventSource, names_of
import pytest

from gateway_node.entities.values import GraphSnapshot, NodeName

GRAPH = GraphSnapshot(
    nodes=frozenset({NodeName(namespace='/powertrain/engine', name='temp_sensor')})
)
SCRIPTS = f'{BASE}/apps/temp_sensor/scripts'


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[ClientSession]:
    """Serve a gateway that starts scripts."""
    parameters = {'python.warm': False}
    async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
        yield client


async def start(client: ClientSession, content: bytes) -> str:
    """Start a script; return the path of its execution."""
    async with client.post(SCRIPTS, data=form(content, 'check.sh')) as answer:
        script_id = (await answer.json())['id']
    body = {'execution_type': 'now'}
    async with client.post(f'{SCRIPTS}/{script_id}/executions', json=body) as answer:
        assert answer.status == 202
        return str((await answer.json())['href'])


async def get(client: ClientSession, path: str) -> Any:
    """GET what is there."""
    async with client.get(path) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_a_script_is_followed_line_by_line(client: ClientSession, tmp_path: Path) -> None:
    """Each line as soon as it is said, on either stream, and the last one that has no end."""
    go_on = tmp_path / 'go_on'
    content = f"""
        echo one; echo two >&2; echo 30 >&3
        while [ ! -e {go_on} ]; do sleep 0.02; done
        printf three
    """
    href = await start(client, content.encode())
    async with EventSource(client, f'{href}/events') as stream:
        lines = [(await stream.named('output')).payload for _ in range(2)]
        assert [each['text'] for each in lines] == ['one', 'two']
        assert [each['stream'] for each in lines] == ['stdout', 'stderr']
        assert (await stream.named('progress')).payload['progress'] == 30
        go_on.touch()
        *_, line, ended, result = await stream.rest()
    assert (line.payload['text'], ended.payload['status']) == ('three', 'completed')
    assert result.payload == await get(client, href)


async def test_lines_of_which_nothing_is_kept_are_told_as_dropped(client: ClientSession) -> None:
    """Between those that are; all numbers are told, each once."""
    href = await start(client, b'i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo "$i"; done')
    async with asyncio.timeout(60):
        while (await get(client, href))['status'] not in ('completed', 'failed'):
            pass  # each turn is a request
    async with EventSource(client, f'{href}/events') as stream:
        events = await stream.rest()
    (dropped,) = (each.payload for each in events if each.name == 'dropped')
    numbers = [each.payload['number'] for each in events if each.name == 'output']
    gap = list(range(dropped['from'], dropped['to'] + 1))
    assert sorted(numbers + gap) == list(range(1, 40001))
    kept = [number for number in range(1, 40001) if number not in range(gap[0], gap[-1] + 1)]
    assert numbers == kept
    place = next(each for each in events if each.name == 'dropped').id
    async with EventSource(client, f'{href}/events', after=place) as stream:
        rest = names_of(await stream.rest())
    assert rest[0] == f'line {gap[-1] + 1}'
    assert rest == names_of(events)[-len(rest) :]


async def test_one_that_ends_at_once_is_told_whole(client: ClientSession) -> None:
    """Whatever of it comes first: nothing of it is lost between its start and the stream."""
    for _ in range(5):
        href = await start(client, b'echo quick')
        async with EventSource(client, f'{href}/events') as stream:
            told = names_of(await stream.rest())
        assert told == [
            'status execution.accepted',
            'status execution.running',
            'line 1',
            'status execution.ended',
            'result',
        ]
