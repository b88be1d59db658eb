# SPDX-License-Identifier: Apache-2.0
"""Routes of apps, components, areas and functions."""

from aiohttp import web

from gateway_node.http_server.reading import path_id
from gateway_node.http_server.representations import (
    app_detail,
    app_reference,
    area_detail,
    component_detail,
    component_reference,
    function_detail,
    Json,
    listing,
    reference,
    respond,
)
from gateway_node.http_server.services import services


async def list_apps(request: web.Request) -> web.Response:
    """GET /apps."""
    here = services(request)
    return respond(listing(app_reference(here.base, app) for app in here.directory.apps()))


async def show_app(request: web.Request) -> web.Response:
    """GET /apps/{id}."""
    here = services(request)
    return respond(app_detail(here.base, here.directory.app(path_id(request, 'entity_id'))))


async def show_app_location(request: web.Request) -> web.Response:
    """GET /apps/{id}/is-located-on: the one component that the app is located on."""
    here = services(request)
    app = here.directory.app(path_id(request, 'entity_id'))
    component = here.directory.component(app.component_id)
    return respond(listing([component_reference(here.base, component)]))


async def list_components(request: web.Request) -> web.Response:
    """GET /components."""
    here = services(request)
    components = here.directory.components()
    return respond(listing(component_reference(here.base, each) for each in components))


async def show_component(request: web.Request) -> web.Response:
    """GET /components/{id}."""
    here = services(request)
    component = here.directory.component(path_id(request, 'entity_id'))
    return respond(component_detail(here.base, component))


async def list_hosted_apps(request: web.Request) -> web.Response:
    """GET /components/{id}/hosts."""
    here = services(request)
    component = here.directory.component(path_id(request, 'entity_id'))
    return respond(_apps(request, component.app_ids))


async def list_areas(request: web.Request) -> web.Response:
    """GET /areas."""
    here = services(request)
    areas = here.directory.areas()
    return respond(listing(reference(here.base, 'areas', area.id, area.name) for area in areas))


async def show_area(request: web.Request) -> web.Response:
    """GET /areas/{id}."""
    here = services(request)
    return respond(area_detail(here.base, here.directory.area(path_id(request, 'area_id'))))


async def list_area_components(request: web.Request) -> web.Response:
    """GET /areas/{id}/components."""
    here = services(request)
    area = here.directory.area(path_id(request, 'area_id'))
    components = (here.directory.component(each) for each in area.component_ids)
    return respond(listing(component_reference(here.base, each) for each in components))


async def list_functions(request: web.Request) -> web.Response:
    """GET /functions."""
    here = services(request)
    functions = here.directory.functions()
    return respond(
        listing(reference(here.base, 'functions', each.id, each.name) for each in functions)
    )


async def show_function(request: web.Request) -> web.Response:
    """GET /functions/{id}."""
    here = services(request)
    function = here.directory.function(path_id(request, 'function_id'))
    return respond(function_detail(here.base, function))


async def list_function_hosts(request: web.Request) -> web.Response:
    """GET /functions/{id}/hosts."""
    here = services(request)
    function = here.directory.function(path_id(request, 'function_id'))
    return respond(_apps(request, function.app_ids))


def _apps(request: web.Request, app_ids: tuple[str, ...]) -> Json:
    here = services(request)
    return listing(app_reference(here.base, here.directory.app(app_id)) for app_id in app_ids)
