# SPDX-License-Identifier: Apache-2.0
"""What scripts leave, from the script to the download, with all that is between them."""

import io
import os
from pathlib import Path
from typing import Any
import zipfile

from aiohttp import ClientSession
from api_support import form
from assembled_gateway import assembled_gateway, OWN_NODE
import pytest
from waiting import wait_until

from gateway_node.entities.values import GraphSnapshot, NodeName

BASE = '/api/v1'
SENSOR = 'apps/temp_sensor'
GRAPH = GraphSnapshot(nodes=frozenset({OWN_NODE, NodeName(namespace='/', name='temp_sensor')}))
LEAVES = b"""
cd "$GATEWAY_ARTIFACTS"
mkdir logs
echo first > logs/a.log
echo second > b.txt
echo third > c.txt
"""


async def run(client: ClientSession, content: bytes) -> Any:
    """Upload a script, have it executed, and return the execution as it ended."""
    uploaded = await client.post(f'{BASE}/{SENSOR}/scripts', data=form(content, 'leaves.sh'))
    href = (await uploaded.json())['href']
    ended = await client.post(
        f'{href}/executions', json={'execution_type': 'now'}, headers={'Prefer': 'wait=30'}
    )
    assert ended.status == 200
    return await ended.json()


async def listed(client: ClientSession, execution: Any) -> list[Any]:
    """Return the list of what it left."""
    answer = await client.get(f'{execution["href"]}/artifacts')
    items: list[Any] = (await answer.json())['items']
    return items


async def test_what_a_script_leaves_is_had_until_its_execution_is_removed(tmp_path: Path) -> None:
    """Over a restart of the gateway too; the bounds are those that are configured."""
    parameters = {'artifacts.max_files': 2}
    async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
        execution = await run(client, LEAVES)
        assert execution['artifacts'] == 2
        assert execution['warnings'] == [
            'not all artifacts are kept: more than 2 files were left (artifacts.max_files)'
        ]
        items = await listed(client, execution)
        assert [each['path'] for each in items] == ['b.txt', 'c.txt']
        found = await (await client.get(f'{BASE}/executions?fields=id,artifacts')).json()
        assert found['items'] == [{'id': execution['id'], 'artifacts': 2}]
    async with assembled_gateway(tmp_path, GRAPH) as client:
        assert await listed(client, execution) == items
        answer = await client.get(items[0]['href'], headers={'Range': 'bytes=3-'})
        assert (answer.status, await answer.read()) == (206, b'ond\n')
        content = await (await client.get(f'{execution["href"]}/artifacts.zip')).read()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.read('c.txt') == b'third\n'
        assert (await client.delete(execution['href'])).status == 204
        assert (await client.get(items[0]['href'])).status == 404
    assert not (tmp_path / 'executions' / execution['id']).exists()


async def test_an_execution_that_leaves_nothing_does_not_mention_it(tmp_path: Path) -> None:
    """Its documents are what they were before there were artifacts; so is its folder."""
    async with assembled_gateway(tmp_path, GRAPH) as client:
        execution = await run(client, b'true\n')
        assert 'artifacts' not in execution
        assert await listed(client, execution) == []
        assert not (tmp_path / 'executions' / execution['id']).exists()


async def test_what_is_left_counts_for_the_bound_of_the_disk(tmp_path: Path) -> None:
    """The oldest go for the newest."""
    parameters = {'history.max_disk_mb': 3}
    async with assembled_gateway(tmp_path, GRAPH, parameters=parameters) as client:
        content = b'head -c 2000000 /dev/urandom > "$GATEWAY_ARTIFACTS/noise"\n'
        first, second = await run(client, content), await run(client, content)
        while (await client.get(first['href'])).status == 200:
            pass  # the history is swept beside the requests
        assert [each['size'] for each in await listed(client, second)] == [2_000_000]


@pytest.mark.parametrize('below', ['/hole', '.zip'])
async def test_a_download_that_breaks_off_holds_no_file(tmp_path: Path, below: str) -> None:
    """However much of it was still to come."""

    def is_held() -> bool:
        links = (f'/proc/self/fd/{number}' for number in os.listdir('/proc/self/fd'))
        held = [os.readlink(link) for link in links if os.path.lexists(link)]
        return any('/artifacts/' in each for each in held)

    async with assembled_gateway(tmp_path, GRAPH) as client:
        execution = await run(client, b'truncate -s 90M "$GATEWAY_ARTIFACTS/hole"\n')
        async with client.get(f'{execution["href"]}/artifacts{below}') as answer:
            await answer.content.readexactly(1000)
            assert is_held()
            answer.close()
        await wait_until(lambda: not is_held(), what='the file is closed')
