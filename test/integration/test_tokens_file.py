# SPDX-License-Identifier: Apache-2.0
"""A gateway lets in whose token is in its file now."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import hashlib
from pathlib import Path

from aiohttp import ClientSession
from api_support import BASE
from clients import bearer
import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from assembled_gateway import bound_gateway

from gateway_node.access.errors import FileInvalid
from gateway_node.running import Gateway

DEADLINE_SEC = 60.0


def write_tokens(path: Path, **roles: str) -> None:
    """Let in who bears their name as a token, as a careful writer does."""
    entries = ''.join(
        f'- {{name: {name}, role: {role}, '
        f'sha256: "{hashlib.sha256(name.encode()).hexdigest()}"}}\n'
        for name, role in roles.items()
    )
    fresh = path.with_name('fresh')
    fresh.write_text(f'tokens:\n{entries or "  []"}')
    fresh.chmod(0o600)
    fresh.rename(path)


@contextlib.asynccontextmanager
async def gateway_with(path: Path) -> AsyncIterator[tuple[Gateway, ClientSession]]:
    """Serve a gateway with a tokens file."""
    async with bound_gateway(
        path.parent / 'state', parameters={'auth.tokens_file': str(path)}
    ) as (gateway, client):
        await gateway.open()
        yield gateway, client


async def status(client: ClientSession, token: str, path: str = '/apps') -> int:
    """Return how a request is answered."""
    async with client.get(f'{BASE}{path}', headers=bearer(token)) as response:
        return response.status


async def until(client: ClientSession, token: str, expected: int) -> None:
    """Wait until a token is answered so."""
    async with asyncio.timeout(DEADLINE_SEC):
        while await status(client, token) != expected:
            pass  # each turn is a request: the loop goes on meanwhile


async def test_a_token_is_let_in_from_when_it_is_in_the_file_and_no_longer(
    tmp_path: Path,
) -> None:
    """Nobody has to ask; where the file is wrong, what it said holds, and /health says so."""
    path = tmp_path / 'tokens.yaml'
    write_tokens(path, anna='viewer')
    async with gateway_with(path) as (_gateway, client):
        assert [await status(client, token) for token in ('anna', 'bert')] == [200, 401]
        write_tokens(path, anna='viewer', bert='viewer')
        await until(client, 'bert', 200)
        path.chmod(0o644)
        async with asyncio.timeout(DEADLINE_SEC):
            while True:
                async with client.get(f'{BASE}/health', headers=bearer('anna')) as response:
                    health = await response.json()
                if health['warnings']:
                    break
        assert health['status'] == 'degraded'
        assert str(path) in health['warnings'][0]
        assert 'allowed: a file that only its owner may read' in health['warnings'][0]
        write_tokens(path, anna='viewer')
        await until(client, 'bert', 401)


async def test_a_reading_is_asked_for_by_a_signal(tmp_path: Path) -> None:
    """As for the manifests."""
    path = tmp_path / 'tokens.yaml'
    write_tokens(path)
    async with gateway_with(path) as (gateway, client):
        assert await status(client, 'anna') == 401
        write_tokens(path, anna='viewer')
        await gateway.read_access_anew()
        assert await status(client, 'anna') == 200


async def test_no_gateway_starts_with_a_file_that_others_may_read(tmp_path: Path) -> None:
    """One line names the parameter, the file and what is allowed."""
    path = tmp_path / 'tokens.yaml'
    write_tokens(path, anna='viewer')
    path.chmod(0o640)
    with pytest.raises(FileInvalid, match=r'parameter auth\.tokens_file: .*chmod 600'):
        async with gateway_with(path):
            pass
