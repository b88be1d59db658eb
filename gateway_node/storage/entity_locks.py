# SPDX-License-Identifier: Apache-2.0
"""Locks on entities, in SQL: each kept in the commit of the event that tells of it."""

from collections.abc import Iterator
import json
import sqlite3

from gateway_node.entities.values import EntityRef
from gateway_node.executions.documents import to_text
from gateway_node.executions.entity_lock import EntityLock, Holder, LockScope
from gateway_node.executions.events import EventKind, Happening

ENTITY_LOCKS = (
    """
    CREATE TABLE entity_locks (
        id TEXT PRIMARY KEY,
        entity TEXT NOT NULL,
        holder TEXT,
        client_id TEXT,
        scopes TEXT NOT NULL,
        ends_up_sec REAL NOT NULL,
        boot_id TEXT NOT NULL
    ) WITHOUT ROWID
    """,
)

_HELD = frozenset({EventKind.LOCK_ACQUIRED, EventKind.LOCK_EXTENDED})


def keep_lock(connection: sqlite3.Connection, happening: Happening) -> None:
    """Keep what a happening tells of a lock, where it does."""
    lock = happening.lock
    if lock is None:
        return
    if happening.kind not in _HELD:
        connection.execute('DELETE FROM entity_locks WHERE id = ?', (lock.id,))
        return
    connection.execute(
        'INSERT OR REPLACE INTO entity_locks VALUES (?, ?, ?, ?, ?, ?, ?)',
        (
            lock.id,
            lock.entity.path,
            lock.holder.name,
            lock.holder.client_id,
            to_text([scope.value for scope in lock.scopes]),
            lock.ends_up_sec,
            lock.boot_id,
        ),
    )


def read_locks(connection: sqlite3.Connection) -> tuple[EntityLock, ...]:
    """Return all that are kept."""
    return tuple(_locks(connection))


def _locks(connection: sqlite3.Connection) -> Iterator[EntityLock]:
    rows = connection.execute(
        'SELECT id, entity, holder, client_id, scopes, ends_up_sec, boot_id FROM entity_locks'
    )
    for lock_id, entity, holder, client_id, scopes, ends_up_sec, boot_id in rows:
        yield EntityLock(
            id=lock_id,
            entity=EntityRef.from_path(entity),
            holder=Holder(name=holder, client_id=client_id),
            scopes=tuple(map(LockScope, json.loads(scopes))),
            ends_up_sec=ends_up_sec,
            boot_id=boot_id,
        )
