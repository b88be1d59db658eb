# SPDX-License-Identifier: Apache-2.0
"""The routes of executions."""

from typing import Any

from gateway_node.entities.errors import EntityNotFound
from gateway_node.executions.errors import (
    ChildLimitReached,
    ConcurrencyLimitReached,
    DiskSpaceLow,
    ExecutionNotDeletable,
    ExecutionNotFound,
    ExecutionNotStoppable,
    FeatureNotAvailable,
    GenerationLimitReached,
    ParentNotRunning,
    RunnerUnavailable,
    ScheduleLimitReached,
    ScriptAlreadyRunning,
    StoreUnavailable,
    TimeoutTooLong,
)
from gateway_node.http_server import (
    execution_lists,
    execution_statistics,
    executions,
    metric_series,
    output,
)
from gateway_node.http_server.bodies import JsonBody
from gateway_node.http_server.route import OPERATOR, Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPT, ERRORS_OF_SCRIPTS
from gateway_node.http_server.start_bodies import StartBody
from gateway_node.http_server.subjects import (
    ByExecutionId,
    find_by_id,
    find_execution,
    find_library,
    find_script,
    find_scripts,
    OfExecution,
)
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ParametersInvalid,
    SchemaCheckUnavailable,
    ScriptsTurnedOff,
)

_EXECUTION = (*ERRORS_OF_SCRIPTS, ExecutionNotFound, StoreUnavailable)
_START = (
    ParametersInvalid,
    TimeoutTooLong,
    FeatureNotAvailable,
    ScriptAlreadyRunning,
    ConcurrencyLimitReached,
    ScheduleLimitReached,
    SchemaCheckUnavailable,
    DiskSpaceLow,
    RunnerUnavailable,
    StoreUnavailable,
)
_CHILD = (ParentNotRunning, ChildLimitReached, GenerationLimitReached)

_LIST = (ScriptsTurnedOff, LibraryUnavailable, StoreUnavailable)
_BY_ID = (*_LIST, ExecutionNotFound)

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
        errors=(*ERRORS_OF_SCRIPT, *_START, *_CHILD),
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}',
        VIEWER,
        executions.show_execution,
        executions.OfShown,
        finds=find_scripts,
        answers='Execution',
        errors=_EXECUTION,
    ),
    Route(
        'GET',
        '/{collection}/{entity_id}/scripts/{script_id}/executions/{execution_id}/output',
        VIEWER,
        output.show_output,
        output.OfOutput,
        finds=find_scripts,
        answers='OutputLines',
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
    Route(
        'GET',
        '/executions/{execution_id}',
        VIEWER,
        executions.show_execution,
        executions.ByShownId,
        finds=find_library,
        answers='Execution',
        errors=_BY_ID,
    ),
    Route(
        'GET',
        '/executions/{execution_id}/output',
        VIEWER,
        output.show_output,
        output.ByOutputId,
        finds=find_library,
        answers='OutputLines',
        errors=_BY_ID,
    ),
    Route(
        'PUT',
        '/executions/{execution_id}',
        OPERATOR,
        executions.stop_execution,
        ByExecutionId,
        finds=find_by_id,
        body=JsonBody(executions.StopBody),
        answers='Execution',
        errors=(*_BY_ID, ExecutionNotStoppable),
    ),
    Route(
        'DELETE',
        '/executions/{execution_id}',
        OPERATOR,
        executions.delete_execution,
        ByExecutionId,
        finds=find_library,
        status=204,
        errors=(*_BY_ID, ExecutionNotDeletable, ExecutionNotStoppable),
    ),
)
