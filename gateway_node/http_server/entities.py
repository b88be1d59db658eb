# SPDX-License-Identifier: Apache-2.0
"""Handlers of apps, components, areas and functions."""

from collections.abc import Iterable

from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.parts import OfKnown
from gateway_node.http_server.representations import (
    app_detail,
    app_reference,
    area_detail,
    component_detail,
    component_reference,
    function_detail,
    listing,
    reference,
)
from gateway_node.http_server.subjects import ByAreaId, ByEntityId, ByFunctionId


async def list_apps(call: Call[OfKnown, None]) -> Answer:
    """List the apps: the nodes of the robot."""
    apps = call.services.directory.apps()
    return Answer(body=listing(app_reference(call.base, app) for app in apps), asked=call.at)


async def show_app(call: Call[ByEntityId, None]) -> Answer:
    """Show an app."""
    app = call.services.directory.app(call.at.entity_id)
    return Answer(body=app_detail(call.base, app), asked=call.at)


async def show_app_location(call: Call[ByEntityId, None]) -> Answer:
    """List the one component that an app is located on."""
    directory = call.services.directory
    located_on = directory.app(call.at.entity_id).component_id
    components = (each for each in directory.components() if each.id == located_on)
    body = listing(component_reference(call.base, each) for each in components)
    return Answer(body=body, asked=call.at)


async def list_components(call: Call[OfKnown, None]) -> Answer:
    """List the components; the host is the first."""
    components = call.services.directory.components()
    body = listing(component_reference(call.base, each) for each in components)
    return Answer(body=body, asked=call.at)


async def show_component(call: Call[ByEntityId, None]) -> Answer:
    """Show a component."""
    component = call.services.directory.component(call.at.entity_id)
    return Answer(body=component_detail(call.base, component), asked=call.at)


async def list_hosted_apps(call: Call[ByEntityId, None]) -> Answer:
    """List the apps that are located on a component."""
    component = call.services.directory.component(call.at.entity_id)
    return _apps(call, component.app_ids)


async def list_areas(call: Call[OfKnown, None]) -> Answer:
    """List the areas."""
    areas = call.services.directory.areas()
    body = listing(reference(call.base, 'areas', area.id, area.name) for area in areas)
    return Answer(body=body, asked=call.at)


async def show_area(call: Call[ByAreaId, None]) -> Answer:
    """Show an area."""
    area = call.services.directory.area(call.at.area_id)
    return Answer(body=area_detail(call.base, area), asked=call.at)


async def list_area_components(call: Call[ByAreaId, None]) -> Answer:
    """List the components of an area."""
    directory = call.services.directory
    area = directory.area(call.at.area_id)
    components = (directory.component(each) for each in area.component_ids)
    body = listing(component_reference(call.base, each) for each in components)
    return Answer(body=body, asked=call.at)


async def list_functions(call: Call[OfKnown, None]) -> Answer:
    """List the functions."""
    functions = call.services.directory.functions()
    body = listing(reference(call.base, 'functions', each.id, each.name) for each in functions)
    return Answer(body=body, asked=call.at)


async def show_function(call: Call[ByFunctionId, None]) -> Answer:
    """Show a function."""
    function = call.services.directory.function(call.at.function_id)
    return Answer(body=function_detail(call.base, function), asked=call.at)


async def list_function_hosts(call: Call[ByFunctionId, None]) -> Answer:
    """List the apps that serve a function."""
    function = call.services.directory.function(call.at.function_id)
    return _apps(call, function.app_ids)


def _apps(call: Call[OfKnown, None], app_ids: Iterable[str]) -> Answer:
    apps = (call.services.directory.app(app_id) for app_id in app_ids)
    return Answer(body=listing(app_reference(call.base, app) for app in apps), asked=call.at)
