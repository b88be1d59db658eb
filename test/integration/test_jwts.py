# SPDX-License-Identifier: Apache-2.0
"""A gateway lets in whose JSON Web Token an issuer signed that it is told of."""

import asyncio
from collections.abc import AsyncIterator
import contextlib
import logging
from pathlib import Path
import subprocess
import sys
import time
from typing import Any

from aiohttp import ClientSession
from api_support import BASE
from clients import bearer
from jwts import AUDIENCE, base64url, ISSUER, key_set, SECRET, SIGNING, token
import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from assembled_gateway import bound_gateway

from gateway_node.access.errors import FileInvalid
from gateway_node.running import Gateway

DEADLINE_SEC = 60.0


def write_keys(path: Path, content: bytes) -> None:
    """Put keys where the gateway reads them, as a careful writer does."""
    fresh = path.with_name('fresh')
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    fresh.rename(path)


@contextlib.asynccontextmanager
async def gateway_with(path: Path) -> AsyncIterator[tuple[Gateway, ClientSession]]:
    """Serve a gateway with a file of keys."""
    parameters = {
        'auth.jwt.keys_file': str(path),
        'auth.jwt.issuer': ISSUER,
        'auth.jwt.audience': AUDIENCE,
    }
    async with bound_gateway(path.parent / 'state', parameters=parameters) as (gateway, client):
        await gateway.open()
        yield gateway, client


def signed(algorithm: str = 'HS256', **claims: Any) -> str:
    """Return a token of a viewer, for a while from now on."""
    now = int(time.time())
    every = {
        'iss': ISSUER,
        'aud': AUDIENCE,
        'sub': 'anna',
        'role': 'viewer',
        'iat': now,
        'exp': now + 600,
    } | claims
    return token(every, algorithm=algorithm, kid=algorithm)


async def answered(
    client: ClientSession, shown: str, method: str = 'GET', path: str = '/apps', **options: Any
) -> tuple[int, dict[str, Any]]:
    """Return status and body of the answer to a request."""
    async with client.request(
        method, f'{BASE}{path}', headers=bearer(shown), **options
    ) as response:
        return response.status, await response.json()


async def until(client: ClientSession, shown: str, expected: int) -> None:
    """Wait until a token is answered so."""
    async with asyncio.timeout(DEADLINE_SEC):
        while (await answered(client, shown))[0] != expected:
            pass  # each turn is a request: the loop goes on meanwhile


async def test_a_token_does_what_its_role_may(tmp_path: Path) -> None:
    """Of each algorithm; to its bounds, and no further."""
    path = tmp_path / 'keys.json'
    write_keys(path, key_set())
    async with gateway_with(path) as (_gateway, client):
        for algorithm in SIGNING:
            assert (await answered(client, signed(algorithm)))[0] == 200
        status, body = await answered(client, signed(), 'POST', '/components/robot/scripts')
        assert (status, body['error_code']) == (403, 'insufficient-access-rights')
        status, body = await answered(client, signed(exp=int(time.time()) - 31))
        assert (status, 'has expired' in body['message']) == (401, True)
        async with client.get(f'{BASE}/apps') as response:
            assert response.status == 401
            assert response.headers['WWW-Authenticate'].startswith('Bearer')


async def test_an_issuer_changes_its_keys_while_the_gateway_runs(tmp_path: Path) -> None:
    """A key that is gone checks nothing more; where the file is wrong, what it said holds."""
    path = tmp_path / 'keys.json'
    write_keys(path, key_set('RS256'))
    async with gateway_with(path) as (gateway, client):
        assert (await answered(client, signed('RS256')))[0] == 200
        assert (await answered(client, signed('ES256')))[0] == 401
        write_keys(path, b'{"keys": [')
        await gateway.read_access_anew()
        _, health = await answered(client, signed('RS256'), path='/health')
        assert str(path) in health['warnings'][0]
        write_keys(path, key_set('ES256'))
        await until(client, signed('ES256'), 200)
        assert (await answered(client, signed('RS256')))[0] == 401


@pytest.mark.parametrize(
    ('content', 'mode', 'told'),
    [
        (b'{}', 0o600, 'no list "keys"'),
        (key_set(), 0o644, 'allowed: a file that only its owner may read'),
        (key_set('RS256'), 0o666, 'allowed: a file that only its owner may write'),
    ],
)
async def test_no_gateway_starts_with_keys_that_are_none(
    tmp_path: Path, content: bytes, mode: int, told: str
) -> None:
    """One line names the parameter, the file and what is allowed."""
    path = tmp_path / 'keys.json'
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(FileInvalid) as error:
        async with gateway_with(path):
            pass
    assert str(error.value).startswith(f'parameter auth.jwt.keys_file: {path} has ')
    assert told in str(error.value)


async def test_neither_a_token_nor_a_secret_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether it is taken or refused, whatever the level of the log is."""
    caplog.set_level(logging.DEBUG)
    path = tmp_path / 'keys.json'
    write_keys(path, key_set('HS256'))
    shown = [signed(), signed(aud='robot-8'), signed('ES256'), signed()[:-3] + 'AAA']
    async with gateway_with(path) as (gateway, client):
        for each in shown:
            await answered(client, each)
        write_keys(path, key_set('HS256', k=base64url(b'short')))
        await gateway.read_access_anew()
        write_keys(path, key_set('HS256', k=base64url(SECRET[::-1])))
        await gateway.read_access_anew()
    assert caplog.text
    kept = [file.read_bytes() for file in (tmp_path / 'state').rglob('*') if file.is_file()]
    for secret in (*shown, base64url(SECRET), SECRET.decode(), base64url(SECRET[::-1])):
        assert secret not in caplog.text
        assert not any(secret.encode() in content for content in kept)


def test_a_gateway_without_keys_imports_nothing_for_them() -> None:
    """Who has none does not wait for them."""
    code = (
        'import sys, gateway_node.access_room\n'
        "print([name for name in ('jwt', 'cryptography') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout
    assert told == '[]\n'
