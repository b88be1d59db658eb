# SPDX-License-Identifier: Apache-2.0
"""Idempotency keys, in SQL: each written in the commit of the execution that it names."""

from collections.abc import Callable
import sqlite3

from gateway_node.executions.idempotency import (
    IdempotencyKey,
    KEPT_FOR_SEC,
    KeptKey,
    MAX_KEYS,
)
from gateway_node.storage.database import Database

_LOOK_SEC = 600.0
"""Between looks for keys that need not be kept."""
_PRUNED_AT_ONCE = 1000
"""Keys that go with one commit."""


class SqliteIdempotencyKeys:
    """The `IdempotencyKeys` that outlive the gateway."""

    def __init__(self, database: Database, up_sec: Callable[[], float]) -> None:
        """`up_sec` tells the seconds that all gateways on this database were up."""
        self._database = database
        self._up_sec = up_sec
        self._looked_up_sec = up_sec()

    async def get(self, key: IdempotencyKey) -> KeptKey | None:
        """Return what is known of a key, whatever was asked for; None for a new one."""
        return await self._database.read(lambda connection: _read(connection, key))

    async def reserve(self, key: IdempotencyKey, script_id: str) -> None:
        """Note the id that a script is going to have which is made under this key."""
        up_sec = self._up_sec()
        await self._database.write(
            lambda connection: keep_key(connection, key, script_id, up_sec, made=False)
        )

    async def prune(self) -> None:
        """Remove the keys that need not be kept; looks now and then only."""
        up_sec = self._up_sec()
        if up_sec - self._looked_up_sec < _LOOK_SEC:
            return
        self._looked_up_sec = up_sec
        before_sec = up_sec - KEPT_FOR_SEC
        while await self._database.read(lambda connection: _old(connection, before_sec)):
            await self._database.write(lambda connection: _prune(connection, before_sec))


def keep_key(
    connection: sqlite3.Connection,
    key: IdempotencyKey,
    resource_id: str,
    up_sec: float,
    *,
    made: bool = True,
) -> None:
    """Keep a key with the id of what is made under it."""
    connection.execute(
        """
        INSERT OR REPLACE INTO idempotency_keys
            (scope, name, fingerprint, resource_id, made, up_sec)
        VALUES (?, ?, ?, ?, ?, ?)
        """,
        (key.scope, key.name, key.fingerprint, resource_id, made, up_sec),
    )


def note_made(connection: sqlite3.Connection, script_id: str) -> None:
    """Note that a script is there, whatever becomes of it, where a key names it."""
    connection.execute(
        'UPDATE idempotency_keys SET made = 1 WHERE resource_id = ? AND NOT made', (script_id,)
    )


def _read(connection: sqlite3.Connection, key: IdempotencyKey) -> KeptKey | None:
    row = connection.execute(
        """
        SELECT fingerprint, resource_id, made FROM idempotency_keys WHERE scope = ? AND name = ?
        """,
        (key.scope, key.name),
    ).fetchone()
    if row is None:
        return None
    fingerprint, resource_id, made = row
    return KeptKey(fingerprint=fingerprint, resource_id=resource_id, made=bool(made))


def _prune(connection: sqlite3.Connection, before_sec: float) -> None:
    """Remove some keys that need not be kept."""
    connection.executemany(
        'DELETE FROM idempotency_keys WHERE number = ?', _old(connection, before_sec)
    )


def _old(connection: sqlite3.Connection, before_sec: float) -> list[tuple[int]]:
    """Return the numbers of some keys that need not be kept, the oldest first."""
    rows = connection.execute(
        """
        SELECT number FROM idempotency_keys
        WHERE (up_sec < ? OR number <= (SELECT max(number) FROM idempotency_keys) - ?)
            AND NOT EXISTS (
                SELECT 1 FROM executions WHERE id = resource_id AND ended_sec IS NULL
            )
        ORDER BY number LIMIT ?
        """,
        (before_sec, MAX_KEYS, _PRUNED_AT_ONCE),
    )
    return rows.fetchall()
