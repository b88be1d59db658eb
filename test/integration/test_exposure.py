# SPDX-License-Identifier: Apache-2.0
"""Strangers reach a gateway without credentials only where that is wanted in so many words."""

from collections.abc import Mapping
from pathlib import Path

from api_support import BASE
import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from assembled_gateway import bound_gateway

from gateway_node.access.errors import AnonymousAccessUnwanted

EVERYWHERE: Mapping[str, object] = {'server.host': '0.0.0.0'}
PROXIES: Mapping[str, object] = {'server.trusted_proxies': ['192.0.2.1']}
ALLOWED: Mapping[str, object] = {'auth.allow_anonymous_access': True}


@pytest.mark.parametrize(
    ('parameters', 'way'),
    [
        (EVERYWHERE, r'server\.host names 0\.0\.0\.0'),
        (PROXIES, r'there are server\.trusted_proxies'),
        ({**EVERYWHERE, **PROXIES}, r'server\.host names 0\.0\.0\.0 and there are server\.tr'),
    ],
)
async def test_a_gateway_that_strangers_would_reach_does_not_start(
    tmp_path: Path, parameters: Mapping[str, object], way: str
) -> None:
    """One line says why, and what to set."""
    with pytest.raises(AnonymousAccessUnwanted, match=way) as refused:
        async with bound_gateway(tmp_path, parameters=parameters):
            pass
    assert 'set auth.tokens_file' in str(refused.value)
    assert 'auth.allow_anonymous_access to true where that is wanted' in str(refused.value)


@pytest.mark.parametrize('parameters', [EVERYWHERE, PROXIES])
async def test_where_it_is_wanted_health_and_the_log_warn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, parameters: Mapping[str, object]
) -> None:
    """As long as it lasts."""
    async with bound_gateway(tmp_path, parameters={**parameters, **ALLOWED}) as (gateway, client):
        await gateway.open()
        async with client.get(f'{BASE}/health') as response:
            health = await response.json()
    assert health['status'] == 'degraded'
    (warning,) = health['warnings']
    assert warning.startswith('whoever reaches the gateway executes code as its user')
    assert warning in caplog.messages


@pytest.mark.parametrize('parameters', [EVERYWHERE, PROXIES])
async def test_with_credentials_it_may_be_reached_from_anywhere(
    tmp_path: Path, parameters: Mapping[str, object]
) -> None:
    """Who has none is not let in."""
    tokens = tmp_path / 'tokens.yaml'
    tokens.write_text('tokens: []')
    tokens.chmod(0o600)
    given = {**parameters, **ALLOWED, 'auth.tokens_file': str(tokens)}
    async with bound_gateway(tmp_path / 'state', parameters=given) as (_gateway, client):
        async with client.get(f'{BASE}/health/live') as response:
            assert response.status == 200
        async with client.get(f'{BASE}/apps') as response:
            assert response.status == 401


@pytest.mark.parametrize('host', ['127.0.0.1', '127.0.0.2'])
async def test_loopback_is_not_exposed(tmp_path: Path, host: str) -> None:
    """Who is on this host is an admin."""
    async with bound_gateway(tmp_path, parameters={'server.host': host}) as (gateway, client):
        await gateway.open()
        async with client.get(f'{BASE}/health') as response:
            assert (await response.json())['warnings'] == []
