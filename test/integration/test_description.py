# SPDX-License-Identifier: Apache-2.0
"""The description of the API, as a client gets it."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
import re

from api_support import Api, BASE, serve_api
from clients import bearer, KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.executions.actors import Role
from gateway_node.http_server.routes import ROUTES

PROXY = ('127.0.0.1',)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway behind a proxy."""
    async with serve_api(tmp_path, trusted_proxies=PROXY) as api:
        yield api


async def test_the_description_is_openapi(api: Api) -> None:
    """Its form, its references, the placeholders of its paths, and names that stand once."""
    status, document = await api.json('GET', '/openapi.json')
    assert (status, document['openapi']) == (200, '3.1.0')
    openapi = pytest.importorskip(
        'openapi_spec_validator', '0.7', "what goes with Ubuntu's jsonschema is too old"
    )
    assert list(openapi.OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_the_description_with_credentials_is_openapi(tmp_path: Path) -> None:
    """With the schemes and the roles that operations need."""
    anna = KnownTokens({'a': Credential(name='anna', role=Role.VIEWER)})
    authentication = Authentication([anna])
    async with serve_api(tmp_path, authentication=authentication) as api:
        status, document = await api.json('GET', '/openapi.json', headers=bearer('a'))
    assert (status, document['components']['securitySchemes'].keys()) == (200, {'bearer'})
    openapi = pytest.importorskip(
        'openapi_spec_validator', '0.7', "what goes with Ubuntu's jsonschema is too old"
    )
    assert list(openapi.OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_what_is_described_stands_below_the_base_that_the_client_sees(api: Api) -> None:
    """What a proxy took off the path stands in front."""
    for headers, base in (({}, BASE), ({'X-Forwarded-Prefix': '/robot'}, f'/robot{BASE}')):
        _, document = await api.json('GET', '/openapi.json', headers=headers)
        assert document['servers'] == [{'url': base}]
        examples = re.findall(r'"examples": \["([^"]*)"', json.dumps(document))
        assert f'{base}/apps/temp_sensor' in examples
        assert [each for each in examples if not f'{each}/'.startswith(f'{base}/')] == []
        _, root = await api.json('GET', '', headers=headers)
        assert root['openapi.json'] == f'{base}/openapi.json'
        assert root['docs'] == f'{base}/docs'
        assert root['endpoints'] == [f'{each.method} {each.path or "/"}' for each in ROUTES]
