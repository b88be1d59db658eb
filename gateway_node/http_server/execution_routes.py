# SPDX-License-Identifier: Apache-2.0
"""The routes of executions."""

from typing import Any

from gateway_node.callbacks.errors import CallbackNotDue, CallbackNotFound
from gateway_node.entities.errors import EntityNotFound
from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.errors import (
    CallbackRefused,
    ChildLimitReached,
    ConcurrencyLimitReached,
    DiskSpaceLow,
    EntityLocked,
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotRepeatable,
    ExecutionNotStoppable,
    ExpiryPast,
    FeatureNotAvailable,
    GenerationLimitReached,
    IdempotencyKeyReused,
    LineFull,
    LinePaused,
    NothingToStart,
    OpenLimitReached,
    OutlivesScript,
    ParentForeign,
    ParentNotRunning,
    RunnerUnavailable,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
    StoreUnavailable,
    TimeoutTooLong,
)
from gateway_node.executions.preconditions import PreconditionsUnmet
from gateway_node.executions.proximity import (
    ProximityClosed,
    ProximityNeeded,
    ProximityRefused,
    ProximityUnavailable,
    StartUnattended,
)
from gateway_node.http_server import (
    callbacks,
    execution_actions,
    execution_lists,
    execution_statistics,
    executions,
    groups,
    metric_series,
    output,
)
from gateway_node.http_server.bodies import JsonBody
from gateway_node.http_server.execution_paths import and_by_id, OF_SCRIPT
from gateway_node.http_server.route import OPERATOR, Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPT, ERRORS_OF_SCRIPTS
from gateway_node.http_server.start_bodies import RetryBody, StartBody
from gateway_node.http_server.subjects import (
    find_execution,
    find_library,
    find_script,
    find_scripts,
    find_way,
    Nothing,
    OfExecution,
)
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptNotFound,
    ScriptsTurnedOff,
)

_EXECUTION = (*ERRORS_OF_SCRIPTS, ExecutionNotFound, StoreUnavailable)
_START = (
    EntityLocked,
    ParametersInvalid,
    ConfirmationNeeded,
    PreconditionsUnmet,
    StartUnattended,
    ProximityNeeded,
    ProximityRefused,
    ProximityClosed,
    ProximityUnavailable,
    CallbackRefused,
    TimeoutTooLong,
    FeatureNotAvailable,
    ScriptAlreadyRunning,
    ConcurrencyLimitReached,
    ExpiryPast,
    LineFull,
    LinePaused,
    ScheduleLimitReached,
    OpenLimitReached,
    IdempotencyKeyReused,
    SchemaCheckUnavailable,
    DiskSpaceLow,
    RunnerUnavailable,
    StoreUnavailable,
)
ERRORS_OF_START = (
    *_START,
    OutlivesScript,
    ParentForeign,
    ParentNotRunning,
    ChildLimitReached,
    GenerationLimitReached,
    ExecutionNotFound,
)

_GROUP = (
    ScriptsTurnedOff,
    LibraryUnavailable,
    ScriptNotFound,
    NothingToStart,
    ExecutionNotFound,
)

_LIST = (ScriptsTurnedOff, LibraryUnavailable, StoreUnavailable)
_RETRY = (*_START, ScriptNotFound, ExecutionNotFound, ExecutionNotRepeatable)

EXECUTION_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        '/executions',
        VIEWER,
        execution_lists.list_all_executions,
        execution_lists.OfExecutions,
        finds=find_library,
        answers='ExecutionList',
        errors=_LIST,
    ),
    Route(
        'POST',
        '/executions',
        OPERATOR,
        groups.start_group,
        groups.OfGroupStart,
        finds=find_library,
        body=JsonBody(groups.GroupStartBody),
        status=202,
        answers='StartedGroup',
        answers_end='Execution',
        errors=(*_GROUP, *_START),
    ),
    Route(
        'GET',
        '/executions/stats',
        VIEWER,
        execution_statistics.show_statistics,
        execution_statistics.OfStatistics,
        finds=find_library,
        answers='Statistics',
        errors=_LIST,
    ),
    Route(
        'GET',
        '/executions/status/{status}',
        VIEWER,
        execution_lists.list_executions_by_status,
        execution_lists.OfStatus,
        finds=find_library,
        answers='ExecutionList',
        errors=_LIST,
    ),
    Route(
        'POST',
        '/executions/actions',
        OPERATOR,
        execution_actions.act_on_executions,
        Nothing,
        finds=find_library,
        body=JsonBody(execution_actions.ActionBody),
        answers='ActionsTaken',
        errors=_LIST,
    ),
    Route(
        'GET',
        '/executions/metrics',
        VIEWER,
        metric_series.list_metric,
        metric_series.OfMetric,
        finds=find_library,
        answers='MetricSeries',
        errors=_LIST,
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/executions',
        VIEWER,
        execution_lists.list_entity_executions,
        execution_lists.OfEntityExecutions,
        finds=find_scripts,
        answers='ExecutionList',
        errors=(*_LIST, EntityNotFound),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/executions',
        VIEWER,
        execution_lists.list_executions,
        execution_lists.OfScriptExecutions,
        finds=find_scripts,
        answers='ExecutionList',
        errors=(*ERRORS_OF_SCRIPT, StoreUnavailable),
    ),
    Route(
        'POST',
        '/{collection}/{entity_id}/scripts/{script_id}/executions',
        OPERATOR,
        executions.start_execution,
        executions.OfStart,
        finds=find_script,
        body=JsonBody(StartBody),
        status=202,
        answers='StartedExecution',
        answers_end='Execution',
        errors=(*ERRORS_OF_SCRIPT, *ERRORS_OF_START),
    ),
    *and_by_id(
        Route(
            'GET',
            OF_SCRIPT,
            VIEWER,
            executions.show_execution,
            executions.OfShown,
            finds=find_way,
            answers='Execution',
            errors=_EXECUTION,
        ),
        executions.ByShownId,
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/output',
            VIEWER,
            output.show_output,
            output.OfOutput,
            finds=find_way,
            answers='OutputLines',
            errors=_EXECUTION,
        ),
        output.ByOutputId,
    ),
    *and_by_id(
        Route(
            'PUT',
            OF_SCRIPT,
            OPERATOR,
            executions.stop_execution,
            OfExecution,
            finds=find_execution,
            body=JsonBody(executions.StopBody),
            answers='Execution',
            errors=(*_EXECUTION, EntityLocked, ExecutionNotStoppable),
        ),
    ),
    *and_by_id(
        Route(
            'DELETE',
            OF_SCRIPT,
            OPERATOR,
            executions.delete_execution,
            OfExecution,
            finds=find_way,
            status=204,
            errors=(
                *_EXECUTION,
                EntityLocked,
                ExecutionNotDeletable,
                ExecutionNotStoppable,
            ),
        ),
    ),
    *and_by_id(
        Route(
            'POST',
            f'{OF_SCRIPT}/retry',
            OPERATOR,
            executions.retry_execution,
            executions.OfRetry,
            finds=find_execution,
            body=JsonBody(RetryBody, required=False),
            status=202,
            answers='StartedExecution',
            answers_end='Execution',
            errors=(*ERRORS_OF_SCRIPTS, *_RETRY),
        ),
        executions.ByRetriedId,
    ),
    *and_by_id(
        Route(
            'GET',
            f'{OF_SCRIPT}/callback',
            VIEWER,
            callbacks.show_callback,
            OfExecution,
            finds=find_way,
            answers='Callback',
            errors=(*_EXECUTION, CallbackNotFound),
        ),
    ),
    *and_by_id(
        Route(
            'POST',
            f'{OF_SCRIPT}/callback',
            OPERATOR,
            callbacks.send_callback,
            OfExecution,
            finds=find_way,
            status=202,
            answers='Callback',
            errors=(*_EXECUTION, CallbackNotFound, CallbackNotDue),
        ),
    ),
)
