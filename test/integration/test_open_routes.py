# SPDX-License-Identifier: Apache-2.0
"""What strangers are answered where credentials are configured: that there is a gateway."""

from pathlib import Path

from api_support import BASE, serve_api
from clients import bearer, KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role

VERSIONS = f'{BASE}/version-info'
AUTHENTICATION = Authentication([KnownTokens({'a': Credential(name='anna', role=Role.VIEWER)})])


@pytest.mark.parametrize('headers', [{}, bearer('a'), bearer('wrong'), {'Authorization': '?'}])
async def test_a_stranger_is_told_that_the_gateway_lives_and_which_api_it_has(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    """Nothing of its software; what is shown is not looked at, so that nobody can guess there."""
    async with serve_api(tmp_path, authentication=AUTHENTICATION) as api:
        live = await api.request('GET', '/health/live', headers=headers)
        assert (live.status, await live.json()) == (200, {'status': 'ok'})
        for path in (VERSIONS, '/version-info'):
            async with api.client.get(path, headers=headers) as response:
                assert response.status == 200
                (entry,) = (await response.json())['sovd_info']
                assert entry == {
                    'version': '1.0.0',
                    'base_uri': BASE,
                    'vendor_info': {'name': 'gateway_node'},
                }


@pytest.mark.parametrize('path', ['', '/health', '/health/ready', '/openapi.json', '/apps'])
async def test_nothing_else_is_open(tmp_path: Path, path: str) -> None:
    """A stranger is told how to show a credential."""
    async with serve_api(tmp_path, authentication=AUTHENTICATION) as api:
        refused = await api.request('GET', path)
        assert refused.status == 401
        assert refused.headers['WWW-Authenticate'] == 'Bearer realm="gateway_node"'
        assert (await api.request('GET', path, headers=bearer('a'))).status == 200


async def test_probes_may_need_a_credential_too(tmp_path: Path) -> None:
    """Who shows one is told the version."""
    async with serve_api(tmp_path, authentication=AUTHENTICATION, open_probes=False) as api:
        for path in ('/health/live', '/version-info'):
            assert (await api.request('GET', path)).status == 401
            assert (await api.request('GET', path, headers=bearer('a'))).status == 200
        _, body = await api.json('GET', '/version-info', headers=bearer('a'))
        assert body['items'][0]['vendor_info'] == {'name': 'gateway_node', 'version': 'test'}


async def test_without_credentials_the_versions_are_told_as_ever(tmp_path: Path) -> None:
    """Who is on this host is an admin, and no stranger."""
    async with serve_api(tmp_path) as api:
        _, body = await api.json('GET', '/version-info')
        assert body['items'][0]['vendor_info'] == {'name': 'gateway_node', 'version': 'test'}
