# SPDX-License-Identifier: Apache-2.0
"""Who holds which entity at the moment. It lives on the event loop."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import datetime

from gateway_node.clock import Clock
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.entity_lock import EntityLock, LockScope
from gateway_node.executions.errors import BeyondScope, EntityLocked

_SCRIPTS = (LockScope.SCRIPTS,)


class LockBook:
    """The locks that are on record, or about to be: an `EntityGuard`.

    A lock on a component is one on all that is located there, on the host one on everything.
    """

    def __init__(self, clock: Clock, up_sec: Callable[[], float]) -> None:
        """`up_sec` tells how long all gateways on the store were up."""
        self._clock = clock
        self._up_sec = up_sec
        self._locks: dict[EntityRef, EntityLock] = {}
        self._directory: EntityDirectory | None = None

    def open(self, directory: EntityDirectory, locks: Iterable[EntityLock]) -> None:
        """Have these locks, on entities as the directory has them; before anybody asks."""
        self._directory = directory
        self._locks = {lock.entity: lock for lock in locks}

    def check(self, entity: EntityRef | None, actor: Actor) -> None:
        """Return where an actor may change something of an entity, or, None, of all;
        EntityLocked.

        The gateway itself always may: what it does, somebody asked for before.
        """
        if not self._locks or actor is GATEWAY:
            return
        for lock in self._holding() if entity is None else self._on(entity):
            if lock.is_on(_SCRIPTS) and not lock.holder.is_actor(actor):
                raise self.refusal(lock, entity, actor)

    def refusal(self, lock: EntityLock, entity: EntityRef | None, actor: Actor) -> EntityLocked:
        """Return what tells an actor of the lock that an entity, or, None, all cannot be changed
        for: it names no entity that this actor may not see."""
        shown = lock.entity
        if entity is not None and not actor.scope.has_entity(shown):
            shown = entity
        return EntityLocked(lock, shown, self.until(lock))

    def check_seen(self, entity: EntityRef, actor: Actor) -> None:
        """Return where an actor sees all that a lock on an entity would be on; BeyondScope."""
        assert self._directory is not None, 'the book is not open'
        scope = actor.scope
        if scope.is_everything:
            return
        for each in self._directory.refs():
            if entity in self._directory.holding(each) and not scope.has_entity(each):
                raise BeyondScope(
                    f'a lock on {entity.path} is one on all that is located there, and the '
                    'credential is narrowed to less'
                )

    def lock_of(self, entity: EntityRef) -> EntityLock | None:
        """Return the lock on an entity itself, if there is one."""
        lock = self._locks.get(entity)
        return lock if lock is not None and self._holds(lock) else None

    def in_the_way(
        self, entity: EntityRef, scopes: Sequence[LockScope], actor: Actor
    ) -> tuple[EntityLock, ...]:
        """Return the locks that have to end before an actor has an entity: the one on it, whoever
        holds it, and those of others on what it is a part of, or on parts of it."""
        return tuple(
            lock
            for lock in self._holding()
            if lock.entity == entity
            or (
                not lock.holder.is_actor(actor)
                and lock.is_on(scopes)
                and self._share(lock.entity, entity)
            )
        )

    def due(self) -> tuple[EntityLock, ...]:
        """Return the locks whose time is over, and that are still on record."""
        return tuple(lock for lock in self._locks.values() if not self._holds(lock))

    def until(self, lock: EntityLock) -> datetime.datetime:
        """Return when a lock ends, by the wall clock as it is now."""
        left_sec = lock.ends_up_sec - self._up_sec()
        return self._clock.now() + datetime.timedelta(seconds=left_sec)

    @property
    def next_end_sec(self) -> float | None:
        """How long it takes until the next lock ends, below 0 where it is late; None where there
        is none."""
        ends = [lock.ends_up_sec for lock in self._locks.values()]
        return min(ends) - self._up_sec() if ends else None

    def put(self, lock: EntityLock, *, instead_of: Iterable[EntityLock] = ()) -> None:
        """Have a lock that is on record, or about to be, in place of others."""
        for each in instead_of:
            self.remove(each)
        self._locks[lock.entity] = lock

    def take_back(self, lock: EntityLock, replaced: Iterable[EntityLock]) -> None:
        """Have those again that a lock was to be in place of, for it could not be recorded."""
        self.remove(lock)
        for each in replaced:
            self.put(each)

    def remove(self, lock: EntityLock) -> None:
        """Have it no more."""
        del self._locks[lock.entity]

    def _on(self, entity: EntityRef) -> Iterator[EntityLock]:
        assert self._directory is not None, 'the book is not open'
        for each in self._directory.holding(entity):
            lock = self.lock_of(each)
            if lock is not None:
                yield lock

    def _holding(self) -> Iterator[EntityLock]:
        return (lock for lock in self._locks.values() if self._holds(lock))

    def _holds(self, lock: EntityLock) -> bool:
        return self._up_sec() < lock.ends_up_sec

    def _share(self, one: EntityRef, other: EntityRef) -> bool:
        assert self._directory is not None, 'the book is not open'
        return one in self._directory.holding(other) or other in self._directory.holding(one)
