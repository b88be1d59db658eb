# SPDX-License-Identifier: Apache-2.0
"""The one table of routes: what is served, to whom, what each takes, answers and is refused with.

Whatever needs to know the API reads it here: the application serves it, and tests hold the
documented contract and every answer to it.
"""

from typing import Any

from gateway_node.entities.errors import AreaNotFound, EntityNotFound, FunctionNotFound
from gateway_node.executions.actors import Role
from gateway_node.executions.errors import (
    ConcurrencyLimitReached,
    DiskSpaceLow,
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotStoppable,
    FeatureNotAvailable,
    GatewayShuttingDown,
    RunnerUnavailable,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
    ScriptHasOpenExecutions,
    StoreUnavailable,
)
from gateway_node.http_server import entities, executions, gateway, scripts
from gateway_node.http_server.bodies import JsonBody, UploadBody
from gateway_node.http_server.errors import ContentNotFound
from gateway_node.http_server.route import BYTES, Route
from gateway_node.http_server.subjects import (
    ByAreaId,
    ByEntityId,
    ByFunctionId,
    find_entity,
    find_execution,
    find_script,
    find_scripts,
    Nothing,
    OfEntity,
    OfExecution,
    OfScript,
)
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptIsManaged,
    ScriptLimitReached,
    ScriptNotFound,
    ScriptRefused,
    ScriptsTurnedOff,
    ScriptTooLarge,
    UploadsTurnedOff,
)

VIEWER, OPERATOR, CONFIGURATOR = Role.VIEWER, Role.OPERATOR, Role.CONFIGURATOR

_SCRIPTS = (EntityNotFound, ScriptsTurnedOff, LibraryUnavailable)
_SCRIPT = (*_SCRIPTS, ScriptNotFound)
_UPLOAD = (
    UploadsTurnedOff,
    ScriptRefused,
    ScriptTooLarge,
    SchemaCheckUnavailable,
    DiskSpaceLow,
)
_EXECUTION = (*_SCRIPTS, ExecutionNotFound, StoreUnavailable)
_START = (
    GatewayShuttingDown,
    ParametersInvalid,
    FeatureNotAvailable,
    ScriptAlreadyRunning,
    ConcurrencyLimitReached,
    ScheduleLimitReached,
    SchemaCheckUnavailable,
    DiskSpaceLow,
    RunnerUnavailable,
    StoreUnavailable,
)

_GATEWAY_ROUTES = (
    Route('GET', '', VIEWER, gateway.show_root, Nothing, answers='Server'),
    Route(
        'GET', '/version-info', VIEWER, gateway.show_version_info, Nothing, answers='VersionInfo'
    ),
    Route(
        'GET', '/openapi.json', VIEWER, gateway.show_description, Nothing, answers='Description'
    ),
    Route('GET', '/health', VIEWER, gateway.show_health, Nothing, answers='Health'),
)

_ENTITY_ROUTES = (
    Route('GET', '/apps', VIEWER, entities.list_apps, Nothing, answers='AppList'),
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
        'GET', '/components', VIEWER, entities.list_components, Nothing, answers='ComponentList'
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
    Route('GET', '/areas', VIEWER, entities.list_areas, Nothing, answers='ReferenceList'),
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
    Route('GET', '/functions', VIEWER, entities.list_functions, Nothing, answers='ReferenceList'),
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

_SCRIPT_ROUTES = (
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts',
        VIEWER,
        scripts.list_scripts,
        OfEntity,
        finds=find_entity,
        answers='ScriptList',
        errors=_SCRIPTS,
    ),
    Route(
        'POST',
        '/{collection}/{entity_id}/scripts',
        CONFIGURATOR,
        scripts.upload_script,
        OfEntity,
        finds=find_entity,
        body=UploadBody(),
        status=201,
        answers='UploadedScript',
        errors=(*_SCRIPTS, *_UPLOAD, ScriptLimitReached),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}',
        VIEWER,
        scripts.show_script,
        OfScript,
        finds=find_entity,
        answers='Script',
        errors=_SCRIPT,
    ),
    Route(
        'PUT',
        '/{collection}/{entity_id}/scripts/{script_id}',
        CONFIGURATOR,
        scripts.replace_script,
        OfScript,
        finds=find_script,
        body=UploadBody(),
        answers='Script',
        errors=(*_SCRIPT, *_UPLOAD, ScriptIsManaged),
    ),
    Route(
        'DELETE',
        '/{collection}/{entity_id}/scripts/{script_id}',
        CONFIGURATOR,
        scripts.delete_script,
        OfScript,
        finds=find_entity,
        status=204,
        errors=(*_SCRIPT, UploadsTurnedOff, ScriptIsManaged, ScriptHasOpenExecutions),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/content',
        VIEWER,
        scripts.download_script,
        OfScript,
        finds=find_entity,
        answers=BYTES,
        errors=(*_SCRIPT, ContentNotFound),
    ),
)

_EXECUTION_ROUTES = (
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/executions',
        VIEWER,
        executions.list_executions,
        executions.OfPage,
        finds=find_scripts,
        answers='ExecutionList',
        errors=(*_SCRIPT, StoreUnavailable),
    ),
    Route(
        'POST',
        '/{collection}/{entity_id}/scripts/{script_id}/executions',
        OPERATOR,
        executions.start_execution,
        OfScript,
        finds=find_script,
        body=JsonBody(executions.StartBody),
        status=202,
        answers='StartedExecution',
        errors=(*_SCRIPT, *_START),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}',
        VIEWER,
        executions.show_execution,
        OfExecution,
        finds=find_scripts,
        answers='Execution',
        errors=_EXECUTION,
    ),
    Route(
        'PUT',
        '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}',
        OPERATOR,
        executions.stop_execution,
        OfExecution,
        finds=find_execution,
        body=JsonBody(executions.StopBody),
        answers='Execution',
        errors=(*_EXECUTION, ExecutionNotStoppable),
    ),
    Route(
        'DELETE',
        '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}',
        OPERATOR,
        executions.delete_execution,
        OfExecution,
        finds=find_scripts,
        status=204,
        errors=(*_EXECUTION, ExecutionNotDeletable, ExecutionNotStoppable),
    ),
)

ROUTES: tuple[Route[Any, Any], ...] = (
    *_GATEWAY_ROUTES,
    *_ENTITY_ROUTES,
    *_SCRIPT_ROUTES,
    *_EXECUTION_ROUTES,
)

UNVERSIONED = Route(
    'GET', '/version-info', VIEWER, gateway.show_version_info, Nothing, answers='VersionInfo'
)
"""Served below the prefix, not below the base (SOVD)."""
