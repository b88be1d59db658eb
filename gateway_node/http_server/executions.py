# SPDX-License-Identifier: Apache-2.0
"""Routes of executions."""

import enum
from typing import Any, TypeVar

from aiohttp import web

from gateway_node.entities.values import EntityRef
from gateway_node.executions.ids import is_execution_id
from gateway_node.executions.starts import StartRequest
from gateway_node.executions.values import Execution, ExecutionType, StopAction
from gateway_node.http_server.callers import actor_of
from gateway_node.http_server.errors import InvalidParameter, InvalidRequest
from gateway_node.http_server.reading import (
    entity_ref,
    json_object,
    path_id,
    query_integer,
)
from gateway_node.http_server.representations import (
    execution_detail,
    execution_href,
    execution_summary,
    listing,
    respond,
)
from gateway_node.http_server.services import services

DEFAULT_PAGE = 100
MAX_PAGE = 1000
MAX_PARAMETERS = 1000
MAX_ARGUMENTS = 256
MAX_ARGUMENT_BYTES = 32 * 1024
"""Bytes of one argument; Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN)."""

_Choice = TypeVar('_Choice', bound=enum.Enum)


async def start_execution(request: web.Request) -> web.Response:
    """POST {entity}/scripts/{id}/executions."""
    entity, script_id = _script_names(request)
    here = services(request)
    await here.library.get(entity, script_id)
    wish = _start_request(await json_object(request))
    execution = await here.executions.start(entity, script_id, wish, actor=actor_of(request))
    href = execution_href(here.base, execution)
    body = {'id': execution.id, 'status': execution.status.value, 'href': href}
    if execution.schedule is not None:
        body['schedule'] = execution_href(here.base, execution, execution.schedule)
    return respond(body, status=202, location=href)


async def list_executions(request: web.Request) -> web.Response:
    """GET {entity}/scripts/{id}/executions: newest first, `next` where older ones follow."""
    entity, script_id = _script_names(request)
    here = services(request)
    limit = query_integer(request, 'limit', default=DEFAULT_PAGE, minimum=1, maximum=MAX_PAGE)
    before = request.query.get('before')
    if before is not None and not is_execution_id(before):
        raise InvalidParameter(
            f'before is {before[:80]!r}; allowed: the id of an execution, "exec_" and 26 digits '
            'and capital letters'
        )
    page = await here.executions.page(entity, script_id, limit=limit, before=before)
    version = await here.executions.present_version(entity, script_id)
    body = listing(execution_summary(here.base, each, version) for each in page.executions)
    if page.more:
        href = f'{here.base}/{entity.path}/scripts/{script_id}/executions'
        body['next'] = f'{href}?limit={limit}&before={page.executions[-1].id}'
    return respond(body)


async def show_execution(request: web.Request) -> web.Response:
    """GET {entity}/scripts/{id}/executions/{id}."""
    entity, script_id, execution_id = _execution_names(request)
    execution = await services(request).executions.get(entity, script_id, execution_id)
    return await _respond_detail(request, execution)


async def stop_execution(request: web.Request) -> web.Response:
    """PUT {entity}/scripts/{id}/executions/{id}: `{"action": "stop"}`."""
    entity, script_id, execution_id = _execution_names(request)
    executions = services(request).executions
    await executions.get(entity, script_id, execution_id)
    action = _stop_action(await json_object(request))
    execution = await executions.stop(
        entity, script_id, execution_id, action, actor=actor_of(request)
    )
    return await _respond_detail(request, execution)


async def delete_execution(request: web.Request) -> web.Response:
    """DELETE {entity}/scripts/{id}/executions/{id}."""
    entity, script_id, execution_id = _execution_names(request)
    executions = services(request).executions
    await executions.delete(entity, script_id, execution_id, actor=actor_of(request))
    return web.Response(status=204)


async def _respond_detail(request: web.Request, execution: Execution) -> web.Response:
    here = services(request)
    version = await here.executions.present_version(execution.entity, execution.script_id)
    output = await here.executions.output(execution.id)
    return respond(execution_detail(here.base, execution, version, output))


def _script_names(request: web.Request) -> tuple[EntityRef, str]:
    entity = entity_ref(request)
    services(request).library.check_turned_on()
    return entity, path_id(request, 'script_id')


def _execution_names(request: web.Request) -> tuple[EntityRef, str, str]:
    return (*_script_names(request), path_id(request, 'execution_id'))


def _start_request(body: dict[str, Any]) -> StartRequest:
    _check_fields(
        body,
        required='execution_type',
        allowed=('execution_type', 'parameters', 'arguments', 'proximity_response'),
    )
    parameters = body.get('parameters', {})
    if not isinstance(parameters, dict):
        raise InvalidParameter('parameters is no JSON object')
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidParameter(
            f'parameters has {len(parameters)} names; allowed: {MAX_PARAMETERS}'
        )
    proximity_response = body.get('proximity_response')
    if proximity_response is not None and not isinstance(proximity_response, str):
        raise InvalidParameter('proximity_response is no text')
    return StartRequest(
        execution_type=_member(ExecutionType, body['execution_type'], 'execution_type'),
        parameters=parameters,
        arguments=_arguments(body.get('arguments', [])),
    )


def _arguments(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidParameter('arguments is no list of texts')
    if len(value) > MAX_ARGUMENTS:
        raise InvalidParameter(f'arguments has {len(value)} texts; allowed: {MAX_ARGUMENTS}')
    for argument in value:
        if '\0' in argument or len(argument.encode()) > MAX_ARGUMENT_BYTES:
            raise InvalidParameter(
                f'an argument has a NUL, or more than {MAX_ARGUMENT_BYTES} bytes; '
                f'it begins with {argument[:40]!r}'
            )
    return tuple(value)


def _stop_action(body: dict[str, Any]) -> StopAction:
    _check_fields(body, required='action', allowed=('action',))
    return _member(StopAction, body['action'], 'action')


def _check_fields(body: dict[str, Any], *, required: str, allowed: tuple[str, ...]) -> None:
    for name in body:
        if name not in allowed:
            raise InvalidRequest(f'unknown field {name[:80]!r}; allowed: {", ".join(allowed)}')
    if required not in body:
        raise InvalidRequest(f'the field {required!r} is missing')


def _member(kind: type[_Choice], value: object, name: str) -> _Choice:
    try:
        return kind(value)
    except ValueError:
        allowed = ', '.join(member.value for member in kind)
        raise InvalidParameter(f'{name} is {value!r:.80}; allowed: {allowed}') from None
