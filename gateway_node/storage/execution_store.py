# SPDX-License-Identifier: Apache-2.0
"""Executions, and what happens to them recorded in the same commit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
from dataclasses import replace
import sqlite3
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.child_counts import ChildCounts
from gateway_node.executions.document_reading import (
    execution_from,
    executions_from,
    present_texts,
)
from gateway_node.executions.entity_lock import EntityLock
from gateway_node.executions.errors import (
    StoreUnavailable,
)
from gateway_node.executions.events import (
    Change,
    Event,
    Happening,
)
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import (
    FoundNumberedPage,
    FoundPage,
    KeysetPage,
    NumberedPage,
)
from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import Execution, ExecutionStatus
from gateway_node.storage.children import read_child_counts
from gateway_node.storage.counts import read_counts
from gateway_node.storage.database import Database
from gateway_node.storage.end_counts import count_ends
from gateway_node.storage.end_statistics import SqliteEndCounts
from gateway_node.storage.entity_locks import read_locks
from gateway_node.storage.event_log import SqliteEventLog
from gateway_node.storage.event_rows import LogWriter
from gateway_node.storage.execution_rows import (
    keep_up_sec,
    read_last_id,
    record_news,
    remove_rows,
)
from gateway_node.storage.expired import read_expired
from gateway_node.storage.kept_keys import SqliteIdempotencyKeys
from gateway_node.storage.named_versions import read_named_versions
from gateway_node.storage.numbered_searches import find_numbered_page
from gateway_node.storage.paused_lines import read_paused
from gateway_node.storage.searches import find_page
from gateway_node.storage.terms import read_values, TermField
from gateway_node.storage.told_scripts import read_told

_SELECT = 'SELECT document, parameters FROM executions WHERE'
_KEEP_UP_SEC = 60.0
"""Seconds between records of the time up where nothing else is written; a crash forgets that
much of the ages, so that something is kept a little longer."""


class SqliteExecutionStore:
    """The `ExecutionStore` that outlives the gateway."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        log: SqliteEventLog,
        up_sec: Callable[[], float],
    ) -> None:
        """Take the parts that `open` made."""
        self._database = database
        self._clock = clock
        self._log = log
        self._end_counts = SqliteEndCounts(database)
        self._keys = SqliteIdempotencyKeys(database, up_sec)
        self._up_sec = up_sec
        """Tells the seconds that all gateways on this database were up."""
        self._kept_up_sec = up_sec()

    @classmethod
    async def open(cls, database: Database, clock: Clock) -> 'SqliteExecutionStore':
        """Return the store of an open database; StoreUnavailable."""
        begun, before = clock.monotonic(), await database.read(_up_sec)

        def up_sec() -> float:
            return before + clock.monotonic() - begun

        log = await SqliteEventLog.open(database, up_sec)
        with contextlib.suppress(StoreUnavailable):  # they are counted with the next end then
            await database.write(count_ends)
        return cls(database, clock, log=log, up_sec=up_sec)

    @property
    def log(self) -> SqliteEventLog:
        """The log of what happened."""
        return self._log

    @property
    def end_counts(self) -> SqliteEndCounts:
        """The ends of all executions that it ever kept, counted."""
        return self._end_counts

    @property
    def keys(self) -> SqliteIdempotencyKeys:
        """The keys under which clients asked for something."""
        return self._keys

    @property
    def may_have_forgotten(self) -> bool:
        """True as long as a corrupt database lies beside this one."""
        return bool(self._database.set_aside)

    def up_sec(self) -> float:
        """Return the seconds that all gateways on this database were up."""
        return self._up_sec()

    async def record(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        """Keep all of `news`, or none; return the event of each.

        Raises:
            ExecutionNotFound: a change that is not new is of an execution that is not kept.
            ValueError: the id of a new execution is taken.
        """
        return await self._write(lambda log: record_news(log, news))

    async def get(self, execution_id: str) -> Execution | None:
        """Return the execution, or None."""
        found = await self._select('id = ?', (execution_id,))
        return found[0] if found else None

    async def find(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[Execution]:
        """Return a page of the executions that are wanted, newest first."""

        def query(connection: sqlite3.Connection) -> FoundPage[Execution]:
            found = find_page(connection, wanted, page)
            return FoundPage(
                executions=executions_from(found.executions),
                more=found.more,
                complete=found.complete,
            )

        return await self._database.read(query)

    async def find_texts(self, wanted: ExecutionFilter, page: KeysetPage) -> FoundPage[str]:
        """Return the same page as texts, as they are answered."""

        def query(connection: sqlite3.Connection) -> FoundPage[str]:
            found = find_page(connection, wanted, page)
            return replace(found, executions=present_texts(found.executions))

        return await self._database.read(query)

    async def find_numbered(
        self, wanted: ExecutionFilter, page: NumberedPage
    ) -> FoundNumberedPage[str]:
        """Return a page of the executions that are wanted, in its order, as texts."""

        def query(connection: sqlite3.Connection) -> FoundNumberedPage[str]:
            found = find_numbered_page(connection, wanted, page)
            return replace(found, executions=present_texts(found.executions))

        return await self._database.read(query)

    async def get_with_children(self, execution_id: str) -> tuple[Execution, ChildCounts] | None:
        """Return the execution with those that name it as their parent, counted; or None."""

        def read(connection: sqlite3.Connection) -> tuple[Execution, ChildCounts] | None:
            row = connection.execute(f'{_SELECT} id = ?', (execution_id,)).fetchone()
            if row is None:
                return None
            execution = execution_from(*row)
            return execution, read_child_counts(connection, execution_id, execution.schedule)

        return await self._database.read(read)

    async def count_children(
        self, parent_id: str, *, schedule_id: str | None = None
    ) -> ChildCounts:
        """Count the executions that name a parent, but for the schedule that came with it."""
        return await self._database.read(
            lambda connection: read_child_counts(connection, parent_id, schedule_id)
        )

    async def remove(
        self, execution_ids: Sequence[str], *, actor: Actor, cause: str
    ) -> tuple[Event, ...]:
        """Remove ended executions, all or none; return a tombstone of each that was known.

        Raises:
            ExecutionNotDeletable: one of them is open.
        """
        return await self._write(lambda log: remove_rows(log, execution_ids, actor, cause))

    async def open_executions(self) -> tuple[Execution, ...]:
        """Return every execution without a final status, schedules included, oldest first."""
        return await self._select('ended_sec IS NULL ORDER BY number', ())

    async def paused_lines(self) -> frozenset[EntityRef | None]:
        """Return the entities whose part of the line is held; None stands for all of it."""
        return await self._database.read(read_paused)

    async def locks(self) -> tuple[EntityLock, ...]:
        """Return the locks on entities, those that are over included."""
        return await self._database.read(read_locks)

    async def told_scripts(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the log last told of each script, by its subject."""
        return await self._database.read(read_told)

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids that `policy` does not keep, the longest ended first."""
        up_sec = self._up_sec()
        if up_sec - self._kept_up_sec >= _KEEP_UP_SEC:
            await self._database.write(lambda connection: keep_up_sec(connection, up_sec))
            self._kept_up_sec = up_sec
        return await self._database.read(
            lambda connection: read_expired(connection, policy, limit, up_sec)
        )

    async def unmeasured(self, *, limit: int) -> tuple[str, ...]:
        """Return up to `limit` ids of ended executions that nobody has measured, in order."""
        query = """
            SELECT id FROM executions WHERE ended_sec IS NOT NULL AND kept_bytes IS NULL
            ORDER BY id LIMIT ?
        """
        return await self._database.read(
            lambda connection: tuple(each for (each,) in connection.execute(query, (limit,)))
        )

    async def measure(self, kept_bytes: Mapping[str, int]) -> None:
        """Note how much of the disk is taken by what is kept of these beside their records."""
        change = """
            UPDATE executions
            SET kept_bytes = ? + length(CAST(document AS BLOB)) + length(parameters)
            WHERE id = ? AND ended_sec IS NOT NULL
        """
        rows = [(each, execution_id) for execution_id, each in kept_bytes.items()]
        await self._database.write(lambda connection: connection.executemany(change, rows))

    async def versions_named(self, script_id: str) -> Mapping[str, int]:
        """Return how many executions name each version of a script."""
        return await self._database.read(
            lambda connection: read_named_versions(connection, script_id)
        )

    async def check(self) -> None:
        """Return where it can be read and, as far as is known, written; cheap."""
        await self._database.check()

    async def counts(self) -> Mapping[ExecutionStatus, int]:
        """Return how many executions stand in each status."""
        return await self._database.read(read_counts)

    async def last_id(self) -> str | None:
        """Return the greatest id ever given, or None."""
        return await self._database.read(read_last_id)

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
            await self._database.write(lambda connection: keep_up_sec(connection, up_sec))
        except StoreUnavailable:
            pass  # some time up is forgotten: what is kept is kept a little longer
        finally:
            await self._database.close()
            self._log.close()

    async def _write(self, change: Callable[[LogWriter], Iterator[Event]]) -> tuple[Event, ...]:
        """Let `change` write, with the events that it gives; return those."""
        epoch, at, up_sec = self._log.end.epoch, self._clock.now(), self._up_sec()
        events = await self._database.write(
            lambda connection: tuple(
                change(LogWriter(connection=connection, epoch=epoch, at=at, up_sec=up_sec))
            ),
            then=self._log.note,
        )
        self._log.told(events)
        return events

    async def _select(self, condition: str, values: tuple[object, ...]) -> tuple[Execution, ...]:
        query = f'{_SELECT} {condition}'
        return await self._database.read(
            lambda connection: tuple(
                execution_from(*row) for row in connection.execute(query, values)
            )
        )


def _up_sec(connection: sqlite3.Connection) -> float:
    """Return the last time up that was noted, by itself or with an event."""
    up_sec: float
    (up_sec,) = connection.execute(
        """
        SELECT max(up_sec, coalesce(
            (SELECT up_sec FROM events ORDER BY sequence DESC LIMIT 1), 0.0
        )) FROM store_state
        """
    ).fetchone()
    return up_sec


def _entities(connection: sqlite3.Connection) -> frozenset[EntityRef]:
    return frozenset(map(EntityRef.from_path, read_values(connection, TermField.ENTITY)))
