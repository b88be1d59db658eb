# SPDX-License-Identifier: Apache-2.0
"""Handlers of locks on entities, and what their routes take."""

from dataclasses import dataclass

from gateway_node.access.locks import LockRequest
from gateway_node.clock import rfc3339
from gateway_node.executions.entity_lock import EntityLock, LockScope
from gateway_node.http_server.calls import Answer, Call
from gateway_node.http_server.fields import Choice, Flag, Id, Integer
from gateway_node.http_server.query_fields import Several
from gateway_node.http_server.representations import Json, listing
from gateway_node.http_server.subjects import OfEntity
from gateway_node.http_server.takes import member, optional, path

MAX_EXPIRATION_SEC = 86400
"""As long as `locks.max_expiration_sec` may be."""
_EXPIRATION = Integer(1, MAX_EXPIRATION_SEC)
_SCOPES = Several(Choice(LockScope), len(LockScope))


@dataclass(frozen=True, kw_only=True)
class OfLock(OfEntity):
    """Takes a lock of an entity."""

    lock_id: str = path(Id())


@dataclass(frozen=True, kw_only=True)
class LockBody:
    """What a client says to lock an entity."""

    lock_expiration: int = member(_EXPIRATION)
    scopes: frozenset[LockScope] | None = optional(_SCOPES, default=None)
    break_lock: bool = optional(Flag(), default=False)


@dataclass(frozen=True, kw_only=True)
class ExtendBody:
    """What a client says to have a lock for longer."""

    lock_expiration: int = member(_EXPIRATION)


async def list_locks(call: Call[OfEntity, None]) -> Answer:
    """List the locks of an entity: none, or one."""
    lock = call.services.locks.of(call.at.entity)
    return Answer(body=listing([] if lock is None else [_lock(call, lock)]))


async def acquire_lock(call: Call[OfEntity, LockBody]) -> Answer:
    """Lock an entity for so many seconds: nobody else changes anything there.

    Whoever has the same credential holds it, and of these, where `X-Client-Id` is sent, who sends
    the same. A lock on a component is one on all that is located there. `break_lock` ends the
    locks of others that are in the way: for an admin.
    """
    body = call.body
    request = LockRequest(
        expiration_sec=body.lock_expiration,
        scopes=tuple(scope for scope in LockScope if scope in (body.scopes or ())),
        breaks=body.break_lock,
    )
    lock = await call.services.locks.acquire(call.at.entity, request, actor=call.actor)
    href = f'{call.base}/{lock.entity.path}/locks/{lock.id}'
    return Answer(body=_lock(call, lock), location=href)


async def show_lock(call: Call[OfLock, None]) -> Answer:
    """Show a lock of an entity."""
    lock = call.services.locks.get(call.at.entity, call.at.lock_id)
    return Answer(body=_lock(call, lock))


async def extend_lock(call: Call[OfLock, ExtendBody]) -> Answer:
    """Have a lock end so many seconds from now: for who holds it."""
    at = call.at
    await call.services.locks.extend(
        at.entity, at.lock_id, call.body.lock_expiration, actor=call.actor
    )
    return Answer()


async def release_lock(call: Call[OfLock, None]) -> Answer:
    """Give a lock back: for who holds it."""
    await call.services.locks.release(call.at.entity, call.at.lock_id, actor=call.actor)
    return Answer()


def _lock(call: Call[OfEntity, object], lock: EntityLock) -> Json:
    scopes = [scope.value for scope in lock.scopes]
    return {
        'id': lock.id,
        'owned': lock.holder.is_actor(call.actor),
        **({'scopes': scopes} if scopes else {}),
        'lock_expiration': rfc3339(call.services.locks.until(lock)),
        'holder': lock.holder.shown,
    }
