# SPDX-License-Identifier: Apache-2.0
"""The routes of the line."""

from typing import Any

from gateway_node.entities.errors import EntityNotFound
from gateway_node.executions.errors import (
    BeyondScope,
    EntityLocked,
    ExecutionNotFound,
    ExecutionNotWaiting,
    StoreUnavailable,
)
from gateway_node.http_server import line_requests
from gateway_node.http_server.bodies import JsonBody
from gateway_node.http_server.execution_paths import and_by_id, OF_SCRIPT
from gateway_node.http_server.route import OPERATOR, Route, VIEWER
from gateway_node.http_server.subjects import (
    find_execution,
    find_line,
    find_scripts,
    Nothing,
    OfEntity,
    OfExecution,
)
from gateway_node.scripts.errors import ScriptsTurnedOff

_OF_ENTITY = (EntityNotFound, ScriptsTurnedOff)
_OF_EXECUTION = (
    *_OF_ENTITY,
    EntityLocked,
    ExecutionNotFound,
    ExecutionNotWaiting,
    StoreUnavailable,
)

LINE_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        '/line',
        VIEWER,
        line_requests.show_line,
        Nothing,
        finds=find_line,
        answers='Line',
        errors=(ScriptsTurnedOff, BeyondScope),
    ),
    Route(
        'PUT',
        '/line',
        OPERATOR,
        line_requests.set_line,
        Nothing,
        finds=find_line,
        body=JsonBody(line_requests.LineBody),
        answers='Line',
        errors=(ScriptsTurnedOff, BeyondScope, EntityLocked, StoreUnavailable),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/line',
        VIEWER,
        line_requests.show_entity_line,
        OfEntity,
        finds=find_scripts,
        answers='Line',
        errors=_OF_ENTITY,
    ),
    Route(
        'PUT',
        '/{collection}/{entity_id}/line',
        OPERATOR,
        line_requests.set_entity_line,
        OfEntity,
        finds=find_scripts,
        body=JsonBody(line_requests.LineBody),
        answers='Line',
        errors=(*_OF_ENTITY, EntityLocked, StoreUnavailable),
    ),
    *and_by_id(
        Route(
            'PATCH',
            OF_SCRIPT,
            OPERATOR,
            line_requests.set_priority,
            OfExecution,
            finds=find_execution,
            body=JsonBody(line_requests.PriorityBody),
            answers='Execution',
            errors=_OF_EXECUTION,
        ),
    ),
)
