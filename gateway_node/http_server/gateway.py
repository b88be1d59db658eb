# SPDX-License-Identifier: Apache-2.0
"""Routes that tell about the gateway itself."""

from aiohttp import web

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.representations import Json, respond
from gateway_node.http_server.services import API_VERSION, services, START

SOVD_VERSION = '1.0.0'
"""The version of SOVD (ISO 17978-3) whose style the API follows."""


async def show_root(request: web.Request) -> web.Response:
    """GET / of the API: what there is."""
    here = services(request)
    collections = ('apps', 'components', 'areas', 'functions', 'health', 'version-info')
    return respond(
        {
            'name': 'gateway_node',
            'version': here.versions['gateway'],
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
        'vendor_info': {'name': 'gateway_node', 'version': here.versions['gateway']},
    }
    return respond({'items': [entry], 'sovd_info': [entry]})


async def show_health(request: web.Request) -> web.Response:
    """GET /health: 200 also where something is amiss, which `status` then says."""
    here = services(request)
    apps = here.directory.apps()
    health: Json = {
        'status': 'ok',
        'uptime_sec': round(here.clock.monotonic() - request.app[START], 3),
        'versions': dict(here.versions),
        'entities': {
            'apps': len(apps),
            'apps_online': sum(app.online for app in apps),
            'components': len(here.directory.components()),
        },
    } | dict(here.conditions())
    if health['warnings']:
        health['status'] = 'degraded'
    try:
        counts = await here.executions.counts()
        health['executions'] = {status.value: counts.get(status, 0) for status in ExecutionStatus}
    except StoreUnavailable as error:
        health['status'] = 'degraded'
        health['warnings'] = [*health['warnings'], str(error)]
    return respond(health)
