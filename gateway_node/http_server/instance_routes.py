# SPDX-License-Identifier: Apache-2.0
"""The routes of instances of scripts."""

from typing import Any

from gateway_node.executions.confirmations import ConfirmationNeeded
from gateway_node.executions.errors import (
    BeyondScope,
    DiskSpaceLow,
    EntityLocked,
    FeatureNotAvailable,
    IdempotencyKeyReused,
    InstanceAlreadyRunning,
    OutlivesScript,
    RunnerUnavailable,
    StoreUnavailable,
    TimeoutTooLong,
)
from gateway_node.executions.proximity import StartUnattended
from gateway_node.http_server import instance_requests as requests
from gateway_node.http_server.bodies import DocumentBody, JsonBody
from gateway_node.http_server.execution_routes import ERRORS_OF_START
from gateway_node.http_server.instance_schemas import INSTANCE_BODY, REPLACING_BODY
from gateway_node.http_server.route import CONFIGURATOR, OPERATOR, Route, VIEWER
from gateway_node.http_server.script_routes import ERRORS_OF_SCRIPT
from gateway_node.scripts.errors import ParametersInvalid, SchemaCheckUnavailable
from gateway_node.triggers.errors import (
    InstanceExists,
    InstanceHasOpenExecution,
    InstanceIsManaged,
    InstanceLimitReached,
    InstanceNotFound,
    InstanceNotRunning,
)

_INSTANCES = '/{collection}/{entity_id}/scripts/{script_id}/instances'
_INSTANCE = f'{_INSTANCES}/{{instance}}'
_ONE = (*ERRORS_OF_SCRIPT, InstanceNotFound)
_MAKE = (
    EntityLocked,
    BeyondScope,
    OutlivesScript,
    ParametersInvalid,
    TimeoutTooLong,
    FeatureNotAvailable,
    StartUnattended,
    ConfirmationNeeded,
    SchemaCheckUnavailable,
    DiskSpaceLow,
    RunnerUnavailable,
    StoreUnavailable,
)

INSTANCE_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        _INSTANCES,
        VIEWER,
        requests.list_instances,
        requests.OfInstanceList,
        finds=requests.find_instances,
        answers='InstanceList',
        errors=ERRORS_OF_SCRIPT,
    ),
    Route(
        'POST',
        _INSTANCES,
        CONFIGURATOR,
        requests.create_instance,
        requests.OfNewInstance,
        finds=requests.find_instances,
        body=DocumentBody('NewInstance', INSTANCE_BODY),
        status=201,
        answers='Instance',
        errors=(
            *ERRORS_OF_SCRIPT,
            *_MAKE,
            InstanceExists,
            InstanceLimitReached,
            InstanceNotFound,
            IdempotencyKeyReused,
        ),
    ),
    Route(
        'GET',
        _INSTANCE,
        VIEWER,
        requests.show_instance,
        requests.OfInstance,
        finds=requests.find_instance,
        answers='Instance',
        errors=_ONE,
    ),
    Route(
        'PUT',
        _INSTANCE,
        CONFIGURATOR,
        requests.replace_instance,
        requests.OfInstance,
        finds=requests.find_instance,
        body=DocumentBody('ReplacingInstance', REPLACING_BODY),
        answers='Instance',
        errors=(*_ONE, *_MAKE, InstanceIsManaged),
    ),
    Route(
        'DELETE',
        _INSTANCE,
        CONFIGURATOR,
        requests.delete_instance,
        requests.OfInstance,
        finds=requests.find_instance,
        status=204,
        errors=(
            *_ONE,
            EntityLocked,
            InstanceIsManaged,
            InstanceHasOpenExecution,
            StoreUnavailable,
        ),
    ),
    Route(
        'POST',
        f'{_INSTANCE}/executions',
        OPERATOR,
        requests.start_instance,
        requests.OfInstanceStart,
        finds=requests.find_instance,
        body=JsonBody(requests.InstanceStartBody, required=False),
        status=202,
        answers='StartedExecution',
        answers_end='Execution',
        errors=(*_ONE, *ERRORS_OF_START, InstanceAlreadyRunning),
    ),
    Route(
        'POST',
        f'{_INSTANCE}/actions',
        OPERATOR,
        requests.act_on_instance,
        requests.OfInstance,
        finds=requests.find_instance,
        body=JsonBody(requests.InstanceActionBody),
        answers='Instance',
        errors=(*_ONE, EntityLocked, InstanceNotRunning, StoreUnavailable),
    ),
)
