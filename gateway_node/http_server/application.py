# SPDX-License-Identifier: Apache-2.0
"""The route table and the application that serves it."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from gateway_node.http_server import entities, executions, gateway, scripts
from gateway_node.http_server.entrance import (
    admit,
    ask_for_body,
    leave_expectation,
    stay_with_http,
)
from gateway_node.http_server.errors import answer_errors
from gateway_node.http_server.reading import check_query, MAX_JSON_BYTES
from gateway_node.http_server.services import SERVICES, Services, START

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ENTITY = '/{collection:apps|components}/{entity_id}'
_SCRIPT = f'{_ENTITY}/scripts/{{script_id}}'
_EXECUTION = f'{_SCRIPT}/executions/{{execution_id}}'


@dataclass(frozen=True)
class Route:
    """A row of the table."""

    method: str
    path: str
    """Below the base; the same with a slash behind it."""
    handler: _Handler
    query: tuple[str, ...] = ()
    """The names that its query may have; any other is refused before the handler is called."""


ROUTES = (
    Route('GET', '', gateway.show_root),
    Route('GET', '/version-info', gateway.show_version_info),
    Route('GET', '/health', gateway.show_health),
    Route('GET', '/apps', entities.list_apps),
    Route('GET', '/apps/{entity_id}', entities.show_app),
    Route('GET', '/apps/{entity_id}/is-located-on', entities.show_app_location),
    Route('GET', '/components', entities.list_components),
    Route('GET', '/components/{entity_id}', entities.show_component),
    Route('GET', '/components/{entity_id}/hosts', entities.list_hosted_apps),
    Route('GET', '/areas', entities.list_areas),
    Route('GET', '/areas/{area_id}', entities.show_area),
    Route('GET', '/areas/{area_id}/components', entities.list_area_components),
    Route('GET', '/functions', entities.list_functions),
    Route('GET', '/functions/{function_id}', entities.show_function),
    Route('GET', '/functions/{function_id}/hosts', entities.list_function_hosts),
    Route('GET', f'{_ENTITY}/scripts', scripts.list_scripts),
    Route('POST', f'{_ENTITY}/scripts', scripts.upload_script),
    Route('GET', _SCRIPT, scripts.show_script),
    Route('PUT', _SCRIPT, scripts.replace_script),
    Route('DELETE', _SCRIPT, scripts.delete_script),
    Route('GET', f'{_SCRIPT}/content', scripts.download_script),
    Route('GET', f'{_SCRIPT}/executions', executions.list_executions, ('limit', 'before')),
    Route('POST', f'{_SCRIPT}/executions', executions.start_execution),
    Route('GET', _EXECUTION, executions.show_execution),
    Route('PUT', _EXECUTION, executions.stop_execution),
    Route('DELETE', _EXECUTION, executions.delete_execution),
)


def build_application(services: Services) -> web.Application:
    """Build the application of a gateway."""
    application = web.Application(
        middlewares=[stay_with_http, answer_errors, admit, _find_server],
        client_max_size=MAX_JSON_BYTES,
    )
    application[SERVICES] = services
    application[START] = services.clock.monotonic()
    for path in dict.fromkeys(route.path for route in ROUTES):
        routes = [route for route in ROUTES if route.path == path]
        _add_resource(application, f'{services.base}{path}', routes)
    unversioned = Route(hdrs.METH_GET, '/version-info', gateway.show_version_info)
    _add_resource(application, f'{services.path_prefix}{unversioned.path}', [unversioned])
    everything = _EveryTarget('/{rest:.*}')
    everything.add_route('*', _answer_other, expect_handler=leave_expectation)
    application.router.register_resource(everything)
    return application


def _add_resource(application: web.Application, path: str, routes: Iterable[Route]) -> None:
    """Serve a path, and the same with a slash behind it: HEAD beside GET, and OPTIONS.

    The other methods are refused by a route too: what aiohttp refuses without one never comes to
    the error table where it has `Expect`.
    """
    handlers = {route.method: _called_by(route) for route in routes}
    if hdrs.METH_GET in handlers:
        # RFC 9110, section 9.1; aiohttp leaves the body out of the answer.
        handlers[hdrs.METH_HEAD] = handlers[hdrs.METH_GET]
    allowed = sorted({*handlers, hdrs.METH_OPTIONS})

    async def show_options(request: web.Request) -> web.StreamResponse:
        return _options(allowed)

    async def refuse_method(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, allowed)

    handlers |= {hdrs.METH_OPTIONS: show_options, '*': refuse_method}
    resource = application.router.add_resource(path + '{slash:/?}')
    for method, handler in handlers.items():
        resource.add_route(method, handler, expect_handler=leave_expectation)


def _called_by(route: Route) -> _Handler:
    """Return the handler of a route behind what every route checks."""

    async def handle(request: web.Request) -> web.StreamResponse:
        check_query(request, *route.query)
        await ask_for_body(request)
        return await route.handler(request)

    return handle


def _options(methods: Iterable[str]) -> web.Response:
    """Answer OPTIONS; without cross-origin headers, so that a preflight fails."""
    return web.Response(status=204, headers={hdrs.ALLOW: ','.join(methods)})


@web.middleware
async def _find_server(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take an empty path to where all other targets go: aiohttp finds no resource for it."""
    return await (handler if request.path else _answer_other)(request)


class _EveryTarget(web.DynamicResource):
    """Matches whatever no other resource does: aiohttp has no pattern for `*`."""

    async def resolve(
        self, request: web.Request
    ) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        return web.UrlMappingMatchInfo({}, next(iter(self))), set()


async def _answer_other(request: web.Request) -> web.StreamResponse:
    """Tell of the whole server where OPTIONS asks for that (RFC 9110, section 9.3.7); else 404.

    It does so by `*`, or by an absolute target without a path (RFC 9112, section 3.2.4). CONNECT
    has no path at all.
    """
    methods = sorted({route.method for route in ROUTES} | {hdrs.METH_HEAD, hdrs.METH_OPTIONS})
    if request.method == hdrs.METH_CONNECT:
        raise web.HTTPMethodNotAllowed(request.method, methods)
    if request.method == hdrs.METH_OPTIONS and (request.raw_path == '*' or not request.path):
        return _options(methods)
    raise web.HTTPNotFound
