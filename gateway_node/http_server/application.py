"""The route table and the application that serves it."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web

from gateway_node.http_server import entities, executions, gateway, scripts
from gateway_node.http_server.entrance import admit, leave_expectation
from gateway_node.http_server.errors import answer_errors
from gateway_node.http_server.reading import MAX_JSON_BYTES
from gateway_node.http_server.services import SERVICES, Services, START

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_ENTITY = '/{collection:apps|components}/{entity_id}'
_SCRIPT = f'{_ENTITY}/scripts/{{script_id}}'
_EXECUTION = f'{_SCRIPT}/executions/{{execution_id}}'

ROUTES = (
    ('GET', '', gateway.show_root),
    ('GET', '/', gateway.show_root),
    ('GET', '/version-info', gateway.show_version_info),
    ('GET', '/health', gateway.show_health),
    ('GET', '/apps', entities.list_apps),
    ('GET', '/apps/{entity_id}', entities.show_app),
    ('GET', '/apps/{entity_id}/is-located-on', entities.show_app_location),
    ('GET', '/components', entities.list_components),
    ('GET', '/components/{entity_id}', entities.show_component),
    ('GET', '/components/{entity_id}/hosts', entities.list_hosted_apps),
    ('GET', '/areas', entities.list_areas),
    ('GET', '/areas/{area_id}', entities.show_area),
    ('GET', '/areas/{area_id}/components', entities.list_area_components),
    ('GET', '/functions', entities.list_functions),
    ('GET', '/functions/{function_id}', entities.show_function),
    ('GET', '/functions/{function_id}/hosts', entities.list_function_hosts),
    ('GET', f'{_ENTITY}/scripts', scripts.list_scripts),
    ('POST', f'{_ENTITY}/scripts', scripts.upload_script),
    ('GET', _SCRIPT, scripts.show_script),
    ('PUT', _SCRIPT, scripts.replace_script),
    ('DELETE', _SCRIPT, scripts.delete_script),
    ('GET', f'{_SCRIPT}/content', scripts.download_script),
    ('GET', f'{_SCRIPT}/executions', executions.list_executions),
    ('POST', f'{_SCRIPT}/executions', executions.start_execution),
    ('GET', _EXECUTION, executions.show_execution),
    ('PUT', _EXECUTION, executions.stop_execution),
    ('DELETE', _EXECUTION, executions.delete_execution),
)
"""Method, path below the base, handler."""


def build_application(services: Services) -> web.Application:
    """Build the application of a gateway."""
    application = web.Application(
        middlewares=[answer_errors, admit], client_max_size=MAX_JSON_BYTES
    )
    application[SERVICES] = services
    application[START] = services.clock.monotonic()
    for path in dict.fromkeys(path for _, path, _ in ROUTES):
        _add_resource(application, f'{services.base}{path}', _handlers(path))
    unversioned = {'GET': gateway.show_version_info}
    _add_resource(application, f'{services.path_prefix}/version-info', unversioned)
    application.router.add_route('*', '/{rest:.*}', _refuse_path, expect_handler=leave_expectation)
    return application


def _handlers(path: str) -> Mapping[str, _Handler]:
    return {method: handler for method, each, handler in ROUTES if each == path}


def _add_resource(
    application: web.Application, path: str, handlers: Mapping[str, _Handler]
) -> None:
    """Serve a path, with HEAD beside GET, and refuse the other methods by a route too.

    What aiohttp refuses without a route never comes to the error table where it has `Expect`.
    """
    if hdrs.METH_GET in handlers:
        # RFC 9110, section 9.1; aiohttp leaves the body out of the answer.
        handlers = {**handlers, hdrs.METH_HEAD: handlers[hdrs.METH_GET]}

    async def refuse_method(request: web.Request) -> web.StreamResponse:
        raise web.HTTPMethodNotAllowed(request.method, handlers)

    resource = application.router.add_resource(path)
    for method, handler in (*handlers.items(), ('*', refuse_method)):
        resource.add_route(method, handler, expect_handler=leave_expectation)


async def _refuse_path(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound
