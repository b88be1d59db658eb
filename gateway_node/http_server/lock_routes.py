# SPDX-License-Identifier: Apache-2.0
"""The routes of locks on entities."""

from typing import Any

from gateway_node.access.errors import (
    LockHolderUnnamed,
    LockNotBreakable,
    LockNotFound,
    LockNotHeld,
    LockTooLong,
)
from gateway_node.entities.errors import EntityNotFound
from gateway_node.executions.errors import BeyondScope, EntityLocked, StoreUnavailable
from gateway_node.http_server import lock_requests
from gateway_node.http_server.bodies import JsonBody
from gateway_node.http_server.route import OPERATOR, Route, VIEWER
from gateway_node.http_server.subjects import find_entity, OfEntity

_LOCKS = '/{collection}/{entity_id}/locks'
_LOCK = f'{_LOCKS}/{{lock_id}}'
_OWN = (EntityNotFound, LockNotFound, LockNotHeld, StoreUnavailable)

LOCK_ROUTES: tuple[Route[Any, Any], ...] = (
    Route(
        'GET',
        _LOCKS,
        VIEWER,
        lock_requests.list_locks,
        OfEntity,
        finds=find_entity,
        answers='LockList',
        errors=(EntityNotFound,),
    ),
    Route(
        'POST',
        _LOCKS,
        OPERATOR,
        lock_requests.acquire_lock,
        OfEntity,
        finds=find_entity,
        body=JsonBody(lock_requests.LockBody),
        status=201,
        answers='Lock',
        errors=(
            EntityNotFound,
            LockHolderUnnamed,
            LockTooLong,
            EntityLocked,
            BeyondScope,
            LockNotBreakable,
            StoreUnavailable,
        ),
    ),
    Route(
        'GET',
        _LOCK,
        VIEWER,
        lock_requests.show_lock,
        lock_requests.OfLock,
        finds=find_entity,
        answers='Lock',
        errors=(EntityNotFound, LockNotFound),
    ),
    Route(
        'PUT',
        _LOCK,
        OPERATOR,
        lock_requests.extend_lock,
        lock_requests.OfLock,
        finds=find_entity,
        body=JsonBody(lock_requests.ExtendBody),
        status=204,
        errors=(*_OWN, LockTooLong),
    ),
    Route(
        'DELETE',
        _LOCK,
        OPERATOR,
        lock_requests.release_lock,
        lock_requests.OfLock,
        finds=find_entity,
        status=204,
        errors=_OWN,
    ),
)
