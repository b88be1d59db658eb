# SPDX-License-Identifier: Apache-2.0
"""What watches the gateway is told whether it lives, and whether it takes work."""

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from api_support import BASE
import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from assembled_gateway import bound_gateway

LIVE = f'{BASE}/health/live'
READY = f'{BASE}/health/ready'


async def answer(client: ClientSession, path: str) -> tuple[int, str | None]:
    """Return the status of an answer, and its vendor code where it has one."""
    async with client.get(path) as response:
        return response.status, (await response.json()).get('vendor_code')


async def test_a_gateway_that_recovers_lives_and_is_not_ready_and_others_wait(
    tmp_path: Path,
) -> None:
    """From the moment when its port is open; what waited is answered once it is ready."""
    async with bound_gateway(tmp_path) as (gateway, client):
        asking = asyncio.create_task(answer(client, f'{BASE}/apps'))
        assert await answer(client, LIVE) == (200, None)
        assert await answer(client, READY) == (503, 'x-gateway-recovering')
        assert not asking.done()
        await gateway.open()
        assert await asking == (200, None)
        assert await answer(client, READY) == (200, None)


async def test_who_waits_for_a_gateway_that_ends_before_it_is_ready_is_told_so(
    tmp_path: Path,
) -> None:
    """A start that fails leaves nobody without an answer."""
    async with bound_gateway(tmp_path) as (gateway, client):
        asking = asyncio.create_task(answer(client, f'{BASE}/apps'))
        assert await answer(client, LIVE) == (200, None)
        closing = asyncio.create_task(gateway.close(asyncio.Event()))
        assert await asking == (503, 'x-gateway-shutting-down')
        await closing


async def test_a_gateway_without_its_database_lives_and_is_not_ready(tmp_path: Path) -> None:
    """What writes next would find that out; the probe does so by itself."""
    async with bound_gateway(tmp_path) as (gateway, client):
        await gateway.open()
        assert await answer(client, READY) == (200, None)
        (tmp_path / 'gateway.sqlite3').rename(tmp_path / 'elsewhere')
        assert await answer(client, READY) == (503, 'x-gateway-storage-unavailable')
        assert await answer(client, LIVE) == (200, None)


async def test_a_gateway_that_cannot_archive_is_degraded(tmp_path: Path) -> None:
    """It is told from the start on, long before anything is to be archived."""
    in_the_way = tmp_path / 'archive'
    in_the_way.write_bytes(b'')
    parameters = {'history.archive_dir': str(in_the_way)}
    async with bound_gateway(tmp_path, parameters=parameters) as (gateway, client):
        await gateway.open()
        health: dict[str, Any] = {'warnings': []}
        async with asyncio.timeout(30):
            while not health['warnings']:
                async with client.get(f'{BASE}/health') as response:
                    health = await response.json()
        assert health['status'] == 'degraded'
        assert 'nothing is removed from the history' in health['warnings'][0]
        assert str(in_the_way) in health['warnings'][0]
