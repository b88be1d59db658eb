"""The route table and the application that serves it."""

from aiohttp import web

from gateway_node.http_server import entities, executions, scripts, server_info
from gateway_node.http_server.errors import answer_errors
from gateway_node.http_server.reading import MAX_JSON_BYTES
from gateway_node.http_server.services import SERVICES, Services, START

_ENTITY = '/{collection:apps|components}/{entity_id}'
_SCRIPT = f'{_ENTITY}/scripts/{{script_id}}'
_EXECUTION = f'{_SCRIPT}/executions/{{execution_id}}'

ROUTES = (
    ('GET', '', server_info.show_root),
    ('GET', '/', server_info.show_root),
    ('GET', '/version-info', server_info.show_version_info),
    ('GET', '/health', server_info.show_health),
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
    application = web.Application(middlewares=[answer_errors], client_max_size=MAX_JSON_BYTES)
    application[SERVICES] = services
    application[START] = services.clock.monotonic()
    for method, path, handler in ROUTES:
        application.router.add_route(method, f'{services.base}{path}', handler)
    application.router.add_get(
        f'{services.path_prefix}/version-info', server_info.show_version_info
    )
    return application
