# SPDX-License-Identifier: Apache-2.0
"""The routes of what happens."""

from typing import Any

from gateway_node.executions.errors import ExecutionNotFound, StoreUnavailable
from gateway_node.http_server import event_lists
from gateway_node.http_server.errors import EventNotFound, TooManyStreams
from gateway_node.http_server.execution_paths import and_by_id, OF_SCRIPT
from gateway_node.http_server.route import Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPTS
from gateway_node.http_server.subjects import find_library, find_way
from gateway_node.scripts.errors import LibraryUnavailable, ScriptsTurnedOff

_LOG = (ScriptsTurnedOff, LibraryUnavailable, StoreUnavailable, TooManyStreams)

EVENT_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        '/events',
        VIEWER,
        event_lists.list_events,
        event_lists.OfEvents,
        finds=find_library,
        answers='EventList',
        errors=_LOG,
    ),
    Route(
        'GET',
        '/events/{sequence}',
        VIEWER,
        event_lists.show_event,
        event_lists.OfEvent,
        finds=find_library,
        answers='Event',
        errors=(ScriptsTurnedOff, EventNotFound, StoreUnavailable),
    ),
    Route(
        'GET',
        '/executions/events',
        VIEWER,
        event_lists.list_execution_events,
        event_lists.OfEvents,
        finds=find_library,
        answers='EventList',
        errors=_LOG,
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/events',
            VIEWER,
            event_lists.list_events_of_execution,
            event_lists.OfExecutionEvents,
            finds=find_way,
            answers='EventList',
            answers_over=True,
            errors=(*ERRORS_OF_SCRIPTS, ExecutionNotFound, StoreUnavailable, TooManyStreams),
        ),
        event_lists.ByExecutionEvents,
    ),
)
