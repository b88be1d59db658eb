# SPDX-License-Identifier: Apache-2.0
"""The routes of apps, components, areas and functions."""

from typing import Any

from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.http_server import entities
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.route import Route, VIEWER
from gateway_node.http_server.subjects import ByAreaId, ByEntityId, ByFunctionId

ENTITY_ROUTES: tuple[Route[Any, Any], ...] = (
    Route('GET', '/apps', VIEWER, entities.list_apps, OfKnown, answers='AppList'),
    Route(
        'GET',
        '/apps/{entity_id}',
        VIEWER,
        entities.show_app,
        ByEntityId,
        answers='App',
        errors=(EntityNotFound,),
    ),
    Route(
        'GET',
        '/apps/{entity_id}/is-located-on',
        VIEWER,
        entities.show_app_location,
        ByEntityId,
        answers='ComponentList',
        errors=(EntityNotFound,),
    ),
    Route(
        'GET', '/components', VIEWER, entities.list_components, OfKnown, answers='ComponentList'
    ),
    Route(
        'GET',
        '/components/{entity_id}',
        VIEWER,
        entities.show_component,
        ByEntityId,
        answers='Component',
        errors=(EntityNotFound,),
    ),
    Route(
        'GET',
        '/components/{entity_id}/hosts',
        VIEWER,
        entities.list_hosted_apps,
        ByEntityId,
        answers='AppList',
        errors=(EntityNotFound,),
    ),
    Route('GET', '/areas', VIEWER, entities.list_areas, OfKnown, answers='ReferenceList'),
    Route(
        'GET',
        '/areas/{area_id}',
        VIEWER,
        entities.show_area,
        ByAreaId,
        answers='Area',
        errors=(AreaNotFound,),
    ),
    Route(
        'GET',
        '/areas/{area_id}/components',
        VIEWER,
        entities.list_area_components,
        ByAreaId,
        answers='ComponentList',
        errors=(AreaNotFound,),
    ),
    Route('GET', '/functions', VIEWER, entities.list_functions, OfKnown, answers='ReferenceList'),
    Route(
        'GET',
        '/functions/{function_id}',
        VIEWER,
        entities.show_function,
        ByFunctionId,
        answers='Function',
        errors=(FunctionNotFound,),
    ),
    Route(
        'GET',
        '/functions/{function_id}/hosts',
        VIEWER,
        entities.list_function_hosts,
        ByFunctionId,
        answers='AppList',
        errors=(FunctionNotFound,),
    ),
)
