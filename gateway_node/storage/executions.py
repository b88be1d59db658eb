# SPDX-License-Identifier: Apache-2.0
"""Executions and the one log of their transitions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import datetime
import sqlite3

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.documents import (
    execution_from,
    executions_from,
    to_document,
    to_parameters,
)
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    StoreUnavailable,
)
from gateway_node.executions.ports import Change, ExecutionPage, RetentionPolicy
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    FINAL_STATUSES,
    Transition,
)
from gateway_node.storage.database import Database

_KEEP_UP_SEC = 60.0
"""Seconds between records of the time up where nothing else is written; a crash forgets that
much of the ages, so that something is kept a little longer."""


class SqliteExecutionStore:
    """The `ExecutionStore` that outlives the gateway."""

    def __init__(self, database: Database, clock: Clock, up_sec: float) -> None:
        """Continue on a database whose earlier gateways were up for `up_sec` seconds."""
        self._database = database
        self._clock = clock
        self._up_sec_before = up_sec
        self._begun = clock.monotonic()
        self._kept_up_sec = up_sec

    @classmethod
    async def open(cls, database: Database, clock: Clock) -> 'SqliteExecutionStore':
        """Return the store of an open database; StoreUnavailable."""
        return cls(database, clock, await database.read(_up_sec))

    @property
    def may_have_forgotten(self) -> bool:
        """True as long as a corrupt database lies beside this one."""
        return bool(self._database.set_aside)

    async def record(self, changes: Sequence[Change]) -> tuple[Transition, ...]:
        """Keep all of `changes`, or none; return the transitions of those that have a cause.

        Raises:
            ExecutionNotFound: a change that is not new is of an execution that is not kept.
            ValueError: the id of a new execution is taken.
        """
        up_sec = self._up_sec()
        return await self._database.write(
            lambda connection: tuple(_record(connection, changes, up_sec))
        )

    async def get(self, execution_id: str) -> Execution | None:
        """Return the execution, or None."""
        found = await self._select('id = ?', (execution_id,))
        return found[0] if found else None

    async def page(
        self, entity: EntityRef, script_id: str, *, limit: int, before: str | None = None
    ) -> ExecutionPage:
        """Return up to `limit` executions of one script with ids below `before`, newest first.

        They come without their input and output parameters.
        """
        bound = '' if before is None else 'AND id < ?'
        query = f"""
            SELECT document FROM executions WHERE entity = ? AND script_id = ? {bound}
            ORDER BY id DESC LIMIT ?
        """
        arguments = (entity.path, script_id, *(() if before is None else (before,)), limit + 1)
        found = await self._database.read(
            lambda connection: executions_from(
                document for (document,) in connection.execute(query, arguments)
            )
        )
        return ExecutionPage(executions=found[:limit], more=len(found) > limit)

    async def remove(self, execution_id: str) -> None:
        """Remove an ended execution and its transitions; ExecutionNotDeletable for an open one,
        nothing happens where it is unknown."""
        await self._database.write(lambda connection: _delete(connection, execution_id))

    async def open_executions(self) -> tuple[Execution, ...]:
        """Return every execution without a final status, schedules included, oldest first."""
        return await self._select('ended_sec IS NULL ORDER BY id', ())

    async def transitions(self, *, after: int, limit: int) -> tuple[Transition, ...]:
        """Return up to `limit` transitions with a sequence above `after`, in sequence."""

        def query(connection: sqlite3.Connection) -> tuple[Transition, ...]:
            rows = connection.execute(
                'SELECT sequence, execution_id, status, at, cause FROM transitions'
                ' WHERE sequence > ? ORDER BY sequence LIMIT ?',
                (after, limit),
            )
            return tuple(_transitions(rows))

        return await self._database.read(query)

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids that `policy` does not keep, the longest ended first."""
        up_sec = self._up_sec()
        if up_sec - self._kept_up_sec >= _KEEP_UP_SEC:
            await self._database.write(lambda connection: _keep_up_sec(connection, up_sec))
            self._kept_up_sec = up_sec
        return await self._database.read(
            lambda connection: _expired(connection, policy, limit, up_sec)
        )

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""
        return await self._database.read(_counts)

    async def last_id(self) -> str | None:
        """Return the greatest id ever given, or None."""

        def query(connection: sqlite3.Connection) -> str | None:
            last_id: str | None
            (last_id,) = connection.execute('SELECT last_id FROM store_state').fetchone()
            return last_id

        return await self._database.read(query)

    async def entities(self) -> frozenset[EntityRef]:
        """Return the entities of all executions."""
        return await self._database.read(_entities)

    async def shrink(self) -> None:
        """Give back the room of removed executions, in steps between which others get a turn."""
        while await self._database.shrink():
            pass

    async def close(self) -> None:
        """Close the database too; the store is not used afterwards."""
        up_sec = self._up_sec()
        try:
            await self._database.write(lambda connection: _keep_up_sec(connection, up_sec))
        except StoreUnavailable:
            pass  # some time up is forgotten: what is kept is kept a little longer
        finally:
            await self._database.close()

    def _up_sec(self) -> float:
        """Return the seconds that all gateways on this database were up."""
        return self._up_sec_before + self._clock.monotonic() - self._begun

    async def _select(self, condition: str, values: tuple[object, ...]) -> tuple[Execution, ...]:
        query = f'SELECT document, parameters FROM executions WHERE {condition}'
        return await self._database.read(
            lambda connection: tuple(
                execution_from(*row) for row in connection.execute(query, values)
            )
        )


def _up_sec(connection: sqlite3.Connection) -> float:
    up_sec: float
    (up_sec,) = connection.execute('SELECT up_sec FROM store_state').fetchone()
    return up_sec


def _keep_up_sec(connection: sqlite3.Connection, up_sec: float) -> None:
    connection.execute('UPDATE store_state SET up_sec = ?', (up_sec,))


def _record(
    connection: sqlite3.Connection, changes: Sequence[Change], up_sec: float
) -> Iterator[Transition]:
    for change in changes:
        if change.new:
            _insert(connection, change.execution, up_sec)
        else:
            _replace(connection, change.execution, up_sec)
        if change.cause is not None:
            yield _append(connection, change.execution, change.cause)
    _keep_up_sec(connection, up_sec)


def _insert(connection: sqlite3.Connection, execution: Execution, up_sec: float) -> None:
    try:
        connection.execute(
            """
            INSERT INTO executions (
                id, entity, script_id, status, scheduled, parent, exit_code, created_at,
                ended_sec, document, parameters
            ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (
                execution.id,
                execution.entity.path,
                execution.script_id,
                execution.status.value,
                execution.is_schedule,
                execution.parent,
                execution.exit_code,
                execution.created_at.isoformat(),
                None if execution.is_open else up_sec,
                to_document(execution),
                to_parameters(execution),
            ),
        )
    except sqlite3.IntegrityError as error:
        raise ValueError(f'{execution.id} is in the store already') from error
    connection.execute(
        "UPDATE store_state SET last_id = max(coalesce(last_id, ''), ?)", (execution.id,)
    )


def _replace(connection: sqlite3.Connection, execution: Execution, up_sec: float) -> None:
    replaced = connection.execute(
        """
        UPDATE executions SET
            status = ?, scheduled = ?, exit_code = ?, ended_sec = coalesce(ended_sec, ?),
            document = ?, parameters = ?
        WHERE id = ?
        """,
        (
            execution.status.value,
            execution.is_schedule,
            execution.exit_code,
            None if execution.is_open else up_sec,
            to_document(execution),
            to_parameters(execution),
            execution.id,
        ),
    )
    if not replaced.rowcount:
        raise ExecutionNotFound(execution.id)


def _append(connection: sqlite3.Connection, execution: Execution, cause: str) -> Transition:
    at = execution.completed_at or execution.started_at or execution.created_at
    status = execution.status
    cursor = connection.execute(
        'INSERT INTO transitions (execution_id, status, at, cause) VALUES (?, ?, ?, ?)',
        (execution.id, status.value, at.isoformat(), cause),
    )
    sequence = cursor.lastrowid
    assert sequence is not None
    return Transition(
        sequence=sequence, execution_id=execution.id, status=status, at=at, cause=cause
    )


def _transitions(rows: Iterable[tuple[int, str, str, str, str]]) -> Iterator[Transition]:
    for sequence, execution_id, status, at, cause in rows:
        yield Transition(
            sequence=sequence,
            execution_id=execution_id,
            status=ExecutionStatus(status),
            at=datetime.datetime.fromisoformat(at),
            cause=cause,
        )


def _delete(connection: sqlite3.Connection, execution_id: str) -> None:
    query = 'SELECT status FROM executions WHERE id = ?'
    for (status,) in connection.execute(query, (execution_id,)).fetchall():
        if ExecutionStatus(status) not in FINAL_STATUSES:
            raise ExecutionNotDeletable(execution_id, ExecutionStatus(status))
        connection.execute('DELETE FROM transitions WHERE execution_id = ?', (execution_id,))
        connection.execute('DELETE FROM executions WHERE id = ?', (execution_id,))


def _entities(connection: sqlite3.Connection) -> frozenset[EntityRef]:
    """Step through the index from one entity to the next: DISTINCT would read all of it."""
    rows = connection.execute(
        """
        WITH RECURSIVE found (entity) AS (
            SELECT min(entity) FROM executions
            UNION ALL
            SELECT (SELECT min(entity) FROM executions WHERE entity > found.entity)
            FROM found WHERE found.entity IS NOT NULL
        )
        SELECT entity FROM found WHERE entity IS NOT NULL
        """
    )
    return frozenset(EntityRef.from_path(entity) for (entity,) in rows)


def _counts(connection: sqlite3.Connection) -> Mapping[ExecutionStatus, int]:
    counts = dict.fromkeys(ExecutionStatus, 0)
    for status, executions in connection.execute('SELECT * FROM status_counts'):
        counts[ExecutionStatus(status)] = executions
    return counts


def _expired(
    connection: sqlite3.Connection, policy: RetentionPolicy, limit: int, up_sec: float
) -> tuple[str, ...]:
    """Look at the `limit` longest ended of each status: those that expired are among them."""
    query = """
        SELECT ended_sec, id FROM executions WHERE status = ? AND ended_sec IS NOT NULL
        ORDER BY ended_sec, id LIMIT ?
    """
    ended = sorted(
        (ended_sec, execution_id, status)
        for status in sorted(FINAL_STATUSES, key=lambda each: each.value)
        for ended_sec, execution_id in connection.execute(query, (status.value, limit))
    )
    surplus = 0
    if policy.max_executions:
        counts = _counts(connection)
        surplus = sum(counts[status] for status in FINAL_STATUSES) - policy.max_executions
    expired = []
    for rank, (ended_sec, execution_id, status) in enumerate(ended):
        failed = status is ExecutionStatus.FAILED
        max_age = policy.max_failed_age_sec if failed else policy.max_age_sec
        if rank < surplus or 0 < max_age < up_sec - ended_sec:
            expired.append(execution_id)
    return tuple(expired[:limit])
