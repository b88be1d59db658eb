"""Routes that tell about the gateway itself."""

from aiohttp import web

from gateway_node.http_server.representations import respond
from gateway_node.http_server.services import API_VERSION, services

SOVD_VERSION = '1.0.0'
"""The version of SOVD (ISO 17978-3) whose style the API follows."""


async def show_root(request: web.Request) -> web.Response:
    """GET / of the API: what there is."""
    here = services(request)
    collections = ('apps', 'components', 'areas', 'functions', 'health', 'version-info')
    return respond(
        {
            'name': 'gateway_node',
            'version': here.gateway_version,
            'api_version': API_VERSION,
            **{name: f'{here.base}/{name}' for name in collections},
        }
    )


async def show_version_info(request: web.Request) -> web.Response:
    """GET /version-info, under the base and unversioned.

    SOVD names the list `sovd_info`; `items` holds the same for clients that read every list alike.
    """
    here = services(request)
    entry = {
        'version': SOVD_VERSION,
        'base_uri': here.base,
        'vendor_info': {'name': 'gateway_node', 'version': here.gateway_version},
    }
    return respond({'items': [entry], 'sovd_info': [entry]})


async def show_health(request: web.Request) -> web.Response:
    """GET /health."""
    return respond(dict(await services(request).health()))
