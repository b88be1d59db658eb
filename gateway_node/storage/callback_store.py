# SPDX-License-Identifier: Apache-2.0
"""Where callbacks stand, beside their executions."""

from collections.abc import Callable
import datetime
import sqlite3
from typing import Any

from gateway_node.callbacks.values import Callback, CallbackStatus
from gateway_node.clock import rfc3339
from gateway_node.executions.ids import number_of
from gateway_node.executions.values import Execution
from gateway_node.storage.database import Database

_SELECT = """
    SELECT
        executions.id, url, callbacks.status, attempts, since_sec, next_sec, last_attempt_at,
        last_status, last_error
    FROM callbacks JOIN executions USING (number)
"""
_UPDATE = """
    UPDATE callbacks SET
        status = ?, attempts = ?, since_sec = ?, next_sec = ?, last_attempt_at = ?,
        last_status = ?, last_error = ?
    WHERE number = ?
"""


def add_callback(connection: sqlite3.Connection, number: int, execution: Execution) -> None:
    """Add the callback of a new execution, which has one."""
    connection.execute(
        'INSERT INTO callbacks (number, url, status) VALUES (?, ?, ?)',
        (number, execution.callback, CallbackStatus.WAITING.value),
    )


class SqliteCallbackStore:
    """The `CallbackStore` that outlives the gateway."""

    def __init__(self, database: Database, up_sec: Callable[[], float]) -> None:
        """`up_sec` tells the seconds that all gateways on this database were up."""
        self._database = database
        self._up_sec = up_sec

    def up_sec(self) -> float:
        """Return the seconds that all gateways on this database were up."""
        return self._up_sec()

    async def get(self, execution_id: str) -> Callback | None:
        """Return the callback of an execution; None where it has none, or is not kept."""
        found = await self._select('WHERE executions.id = ?', execution_id)
        return found[0] if found else None

    async def undelivered(self) -> tuple[Callback, ...]:
        """Return the callbacks that wait although their executions have ended, oldest first."""
        return await self._select(
            "WHERE callbacks.status = 'waiting' AND ended_sec IS NOT NULL ORDER BY number"
        )

    async def keep(self, callback: Callback) -> None:
        """Keep where a callback stands now, if it is kept at all."""
        at = callback.last_attempt_at
        values = (
            callback.status.value,
            callback.attempts,
            callback.since_sec,
            callback.next_sec,
            None if at is None else rfc3339(at),
            callback.last_status,
            callback.last_error,
            number_of(callback.execution_id),
        )
        await self._database.write(lambda connection: connection.execute(_UPDATE, values))

    async def _select(self, condition: str, *values: str) -> tuple[Callback, ...]:
        query = f'{_SELECT} {condition}'
        return await self._database.read(
            lambda connection: tuple(map(_callback, connection.execute(query, values)))
        )


def _callback(row: tuple[Any, ...]) -> Callback:
    execution_id, url, status, attempts, since_sec, next_sec, at, last_status, last_error = row
    return Callback(
        execution_id=execution_id,
        url=url,
        status=CallbackStatus(status),
        attempts=attempts,
        since_sec=since_sec,
        next_sec=next_sec,
        last_attempt_at=None if at is None else datetime.datetime.fromisoformat(at),
        last_status=last_status,
        last_error=last_error,
    )
