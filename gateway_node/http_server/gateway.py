# SPDX-License-Identifier: Apache-2.0
"""Handlers of what tells about the gateway itself."""

from dataclasses import dataclass

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.values import ExecutionStatus
from gateway_node.http_server.calls import Answer, Call, Document
from gateway_node.http_server.errors import NothingHere
from gateway_node.http_server.line_requests import line_summary
from gateway_node.http_server.media_types import accepts, HTML, JSON
from gateway_node.http_server.representations import Json
from gateway_node.http_server.services import API_VERSION, SOVD_VERSION
from gateway_node.http_server.subjects import Nothing


@dataclass(frozen=True, kw_only=True)
class OfBrowser:
    """Takes whether it is a browser that asks."""

    accept: str = accepts(JSON, HTML)


async def show_root(call: Call[Nothing, None]) -> Answer:
    """Tell what there is."""
    here = call.services
    collections = (
        'apps',
        'components',
        'areas',
        'functions',
        'scripts',
        'executions',
        'events',
        'line',
        'audit',
        'health',
        'version-info',
        'openapi.json',
        'docs',
    )
    return Answer(
        body={
            'name': 'gateway_node',
            'version': here.versions['gateway'],
            'api_version': API_VERSION,
            **{name: f'{call.base}/{name}' for name in collections},
            'endpoints': call.description.endpoints,
        }
    )


async def show_description(call: Call[Nothing, None]) -> Answer:
    """Describe the API (OpenAPI 3.1)."""
    content = call.description.document_below(call.base)
    return Answer(body=Document(content=content, media_type='application/json'))


async def show_version_info(call: Call[Nothing, None]) -> Answer:
    """List the versions of the API.

    SOVD names the list `sovd_info`; `items` holds the same for clients that read every list alike.
    Strangers are not told which version of the software runs here.
    """
    here = call.services
    entry: Json = {
        'version': SOVD_VERSION,
        'base_uri': call.base,
        'vendor_info': {'name': 'gateway_node'},
    }
    if not call.actor.is_stranger:
        entry['vendor_info']['version'] = here.versions['gateway']
    return Answer(body={'items': [entry], 'sovd_info': [entry]})


async def show_health(call: Call[Nothing, None]) -> Answer:
    """Tell how the gateway is.

    The status is 200 also where something is amiss, which `status` then says. Whose credential is
    narrowed is not told what that is, nor what others do here.
    """
    here = call.services
    apps = here.directory.apps()
    conditions = dict(await here.conditions())
    health: Json = {
        'status': 'ok',
        'sqlite_version': here.versions['sqlite'],
        'uptime_sec': round(here.clock.monotonic() - here.started, 3),
        'versions': dict(here.versions),
        'entities': {
            'apps': len(apps),
            'apps_online': sum(app.online for app in apps),
            'components': len(here.directory.components()),
        },
    }
    try:
        counts = await here.questions.counts()
    except StoreUnavailable as error:
        counts = None
        conditions['warnings'] = [*conditions['warnings'], str(error)]
    if conditions['warnings']:
        health['status'] = 'degraded'
    if not call.actor.scope.is_everything:
        return Answer(body=health | {'gateway': conditions['gateway']})
    health |= conditions
    health['streams'] = here.stream_places.counts
    health['line'] = line_summary(here.executions.line.state())
    if counts is not None:
        health['executions'] = {status.value: counts.get(status, 0) for status in ExecutionStatus}
    return Answer(body=health)


async def show_liveness(call: Call[Nothing, None]) -> Answer:
    """Tell that the gateway's process answers, whatever else is amiss."""
    return Answer(body={'status': 'ok'})


async def show_readiness(call: Call[Nothing, None]) -> Answer:
    """Tell whether executions can be started and found."""
    await call.services.executions.check_ready()
    return Answer(body={'status': 'ok'})


async def lead_to_docs(call: Call[OfBrowser, None]) -> Answer:
    """Lead a browser to the page of the whole API."""
    if call.at.accept != HTML:
        raise NothingHere(call.target.path or '/')
    return Answer(location=f'{call.base}/docs')
