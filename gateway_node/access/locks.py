# SPDX-License-Identifier: Apache-2.0
"""What clients do with locks on entities: take, extend, give back, break. See decision 059."""

import asyncio
from collections.abc import Coroutine, Sequence
import contextlib
from dataclasses import dataclass, replace
import datetime
import logging
import secrets
from typing import Any, TypeVar

from gateway_node.access.errors import (
    LockHolderUnnamed,
    LockNotBreakable,
    LockNotFound,
    LockNotHeld,
    LockTooLong,
    RoleTooLow,
)
from gateway_node.access.lock_book import LockBook
from gateway_node.clock import Clock, rfc3339
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.entity_lock import EntityLock, Holder, LockScope
from gateway_node.executions.errors import BeyondScope, StoreUnavailable
from gateway_node.executions.events import EventKind, Happening, lock_subject
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.to_the_end import ToTheEnd

_log = logging.getLogger(__name__)
_T = TypeVar('_T')

RETRY_SEC = 5.0
"""Seconds after which an end that the store did not take is told again."""
_BOOTED = 'boot'
"""The cause of the end of a lock that an earlier boot of the machine had."""


@dataclass(frozen=True, kw_only=True)
class LockSettings:
    """What the configuration says of locks."""

    max_expiration_sec: int
    breakable: bool


@dataclass(frozen=True, kw_only=True)
class LockRequest:
    """A client's wish to hold an entity."""

    expiration_sec: int
    scopes: tuple[LockScope, ...] = ()
    """None stands for all."""
    breaks: bool = False
    """Whether locks of others are to end for it."""


class Locks:
    """Changes the locks; what it changes is on record before anybody is told that it holds."""

    def __init__(
        self,
        *,
        book: LockBook,
        ledger: Ledger,
        store: ExecutionStore,
        clock: Clock,
        settings: LockSettings,
    ) -> None:
        self._book = book
        self._ledger = ledger
        self._store = store
        self._clock = clock
        self._settings = settings
        self._boot_id = ''
        self._changes = asyncio.Lock()
        self._changed = asyncio.Event()
        self._to_the_end = ToTheEnd()

    async def open(self, directory: EntityDirectory) -> None:
        """Have the locks of earlier gateways in this boot of the machine; StoreUnavailable.

        Called once, before any other method.
        """
        self._boot_id = self._clock.boot_time().boot_id
        locks = await self._store.locks()
        past = [lock for lock in locks if lock.boot_id != self._boot_id]
        if past:
            await self._ledger.record(*(_ended(lock, cause=_BOOTED) for lock in past))
        self._book.open(directory, set(locks) - set(past))

    def of(self, entity: EntityRef) -> EntityLock | None:
        """Return the lock on an entity, if there is one."""
        return self._book.lock_of(entity)

    def get(self, entity: EntityRef, lock_id: str) -> EntityLock:
        """Return the lock of this id; LockNotFound where the entity has no such one."""
        lock = self._book.lock_of(entity)
        if lock is None or lock.id != lock_id:
            raise LockNotFound(entity, lock_id)
        return lock

    async def acquire(
        self, entity: EntityRef, request: LockRequest, *, actor: Actor
    ) -> EntityLock:
        """Lock an entity.

        Raises:
            LockHolderUnnamed: the actor has neither a name nor an id.
            LockTooLong: for longer than is allowed.
            EntityLocked: it is, or what it is located on, or what is located there.
            BeyondScope: the actor does not see all that would be locked, or broken for it.
            RoleTooLow, LockNotBreakable: locks of others are not broken for this actor, or at all.
            StoreUnavailable: as its name says; nothing is changed.
        """
        if actor.name is None and actor.client_id is None:
            raise LockHolderUnnamed
        self._check_length(request.expiration_sec)
        self._book.check_seen(entity, actor)
        return await self._change('lock', self._acquire(entity, request, actor))

    async def extend(
        self, entity: EntityRef, lock_id: str, expiration_sec: int, *, actor: Actor
    ) -> None:
        """Have a lock end so many seconds from now.

        Raises:
            LockNotFound, LockTooLong: as their names say.
            LockNotHeld: by this actor.
            StoreUnavailable: as its name says; nothing is changed.
        """
        self._check_length(expiration_sec)
        await self._change('extend a lock', self._extend(entity, lock_id, expiration_sec, actor))

    async def release(self, entity: EntityRef, lock_id: str, *, actor: Actor) -> None:
        """Give a lock back.

        Raises:
            LockNotFound: as its name says.
            LockNotHeld: by this actor.
            StoreUnavailable: as its name says; nothing is changed.
        """
        await self._change('release a lock', self._release(entity, lock_id, actor))

    def until(self, lock: EntityLock) -> datetime.datetime:
        """Return when a lock ends, by the wall clock as it is now."""
        return self._book.until(lock)

    async def keep_expiring(self) -> None:
        """Tell the log of each lock whose time is over; never returns."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._book.next_end_sec):
                    await self._changed.wait()
            self._changed.clear()
            try:
                async with self._changes:
                    await self._expire()
            except StoreUnavailable as error:
                _log.warning('that locks are over is not recorded: %s', error)
                await asyncio.sleep(RETRY_SEC)

    async def _change(self, name: str, change: Coroutine[Any, Any, _T]) -> _T:
        async def alone() -> _T:
            async with self._changes:
                return await change

        try:
            return await self._to_the_end.run(name, alone())
        finally:
            self._changed.set()

    async def _acquire(self, entity: EntityRef, request: LockRequest, actor: Actor) -> EntityLock:
        await self._expire()
        ended = self._book.in_the_way(entity, request.scopes, actor)
        if ended:
            self._check_breakable(ended, entity, request, actor)
        lock = EntityLock(
            id=f'lock_{secrets.token_hex(8)}',
            entity=entity,
            holder=Holder(name=actor.name, client_id=actor.client_id),
            scopes=request.scopes,
            ends_up_sec=self._store.up_sec() + request.expiration_sec,
            boot_id=self._boot_id,
        )
        taken = Happening(
            kind=EventKind.LOCK_ACQUIRED,
            subject=lock_subject(lock),
            actor=actor,
            changes=_told(lock)
            | {
                'scopes': [scope.value for scope in lock.scopes],
                'lock_expiration': rfc3339(self._book.until(lock)),
            },
            lock=lock,
        )
        # It keeps the others out from here on, lest the log tell of a start of theirs behind it.
        self._book.put(lock, instead_of=ended)
        try:
            # What was let in before is recorded before.
            await asyncio.sleep(0)
            await self._ledger.record(*(_ended(each, actor) for each in ended), taken)
        except BaseException:
            self._book.take_back(lock, ended)
            raise
        return lock

    def _check_breakable(
        self,
        locks: Sequence[EntityLock],
        entity: EntityRef,
        request: LockRequest,
        actor: Actor,
    ) -> None:
        if not request.breaks:
            raise self._book.refusal(locks[0], entity, actor)
        if all(lock.holder.is_actor(actor) for lock in locks):
            return
        if not actor.role.includes(Role.ADMIN):
            raise RoleTooLow(actor.role, Role.ADMIN)
        if not self._settings.breakable:
            raise LockNotBreakable(entity)
        if not all(actor.scope.has_entity(lock.entity) for lock in locks):
            raise BeyondScope(
                f'what {entity.path} is located on is locked, and the credential is narrowed to '
                'less'
            )

    async def _extend(
        self, entity: EntityRef, lock_id: str, expiration_sec: int, actor: Actor
    ) -> None:
        ends_up_sec = self._store.up_sec() + expiration_sec
        lock = replace(self._held(entity, lock_id, actor), ends_up_sec=ends_up_sec)
        await self._ledger.record(
            Happening(
                kind=EventKind.LOCK_EXTENDED,
                subject=lock_subject(lock),
                actor=actor,
                changes=_told(lock) | {'lock_expiration': rfc3339(self._book.until(lock))},
                lock=lock,
            )
        )
        self._book.put(lock)

    async def _release(self, entity: EntityRef, lock_id: str, actor: Actor) -> None:
        lock = self._held(entity, lock_id, actor)
        await self._ledger.record(_ended(lock, actor))
        self._book.remove(lock)

    async def _expire(self) -> None:
        """Tell of the locks whose time is over."""
        due = self._book.due()
        if due:
            await self._ledger.record(*(_ended(lock) for lock in due))
        for lock in due:
            self._book.remove(lock)

    def _held(self, entity: EntityRef, lock_id: str, actor: Actor) -> EntityLock:
        lock = self.get(entity, lock_id)
        if not lock.holder.is_actor(actor):
            raise LockNotHeld(lock)
        return lock

    def _check_length(self, expiration_sec: int) -> None:
        if expiration_sec > self._settings.max_expiration_sec:
            raise LockTooLong(expiration_sec, self._settings.max_expiration_sec)


def _ended(lock: EntityLock, actor: Actor = GATEWAY, *, cause: str | None = None) -> Happening:
    """Return what tells of the end of a lock: given back, broken, or, by the gateway, over."""
    kind = EventKind.LOCK_EXPIRED
    if actor is not GATEWAY:
        own = lock.holder.is_actor(actor)
        kind = EventKind.LOCK_RELEASED if own else EventKind.LOCK_BROKEN
    return Happening(
        kind=kind,
        subject=lock_subject(lock),
        actor=actor,
        cause=cause,
        changes=_told(lock),
        lock=lock,
    )


def _told(lock: EntityLock) -> dict[str, Any]:
    """Return what each event tells of a lock."""
    return {'id': lock.id, 'entity': lock.entity.path, 'holder': lock.holder.shown}
