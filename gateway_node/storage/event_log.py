# SPDX-License-Identifier: Apache-2.0
"""The one log of what happened: its epoch, its readers' places, and what is not kept of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
import itertools
import secrets
import sqlite3

from gateway_node.executions.events import Cursor, Event, LogBounds
from gateway_node.executions.store_ports import LogPolicy
from gateway_node.storage.database import Database
from gateway_node.storage.event_rows import (
    read_bounds,
    read_events,
    read_history,
    read_newest,
)
from gateway_node.storage.mark import FILE_NAME as MARK_FILE_NAME
from gateway_node.storage.mark import Mark

_PRUNED_AT_ONCE = 1000
"""Events that go with one commit, and how many there are before it is made: a commit for each
would wear a disk."""
_LOOK_SEC = 600.0
"""Seconds between looks at the age of the oldest event."""
_HELD_TIMES = 2
"""How many times as many events, and as old ones, are kept for followers that need them."""


class SqliteEventLog:
    """The `EventLog` that outlives the gateway."""

    def __init__(
        self, database: Database, mark: Mark, bounds: LogBounds, up_sec: Callable[[], float]
    ) -> None:
        """Take the parts that `open` made."""
        self._database = database
        self._mark = mark
        self._begins = bounds.begins
        self._end = bounds.ends
        self._up_sec = up_sec
        self._looked_up_sec = up_sec()

    @classmethod
    async def open(cls, database: Database, up_sec: Callable[[], float]) -> 'SqliteEventLog':
        """Return the log of an open database; StoreUnavailable.

        It takes a new epoch where it may be older than what readers of it know.
        """
        mark = Mark(database.path.with_name(MARK_FILE_NAME), database.inode)

        def look(connection: sqlite3.Connection) -> tuple[LogBounds, bool]:
            bounds = read_bounds(connection)
            if mark.open(bounds.ends):
                return bounds, False
            _begin_epoch(connection)
            return read_bounds(connection), True

        def make_mark(found: Sequence[tuple[LogBounds, bool]]) -> None:
            bounds, is_new = found[-1]
            if is_new:
                mark.make(bounds.ends)

        bounds, _ = await database.write(look, then=make_mark)
        return cls(database, mark, bounds, up_sec)

    @property
    def end(self) -> Cursor:
        """The place behind the newest event that anybody was told of."""
        return self._end

    def note(self, commit: Sequence[Sequence[Event]]) -> None:
        """Mark that somebody is going to be told of all events of a commit. On the storage
        thread."""
        if events := [*itertools.chain.from_iterable(commit)]:
            self._mark.write(events[-1].cursor)

    def told(self, events: Sequence[Event]) -> None:
        """Take the events that somebody is told of. On the event loop."""
        if events:
            self._end = events[-1].cursor

    async def bounds(self) -> LogBounds:
        """Return where the log begins and ends."""
        bounds = await self._database.read(read_bounds)
        return LogBounds(begins=bounds.begins, ends=self._end)

    async def events(self, after: Cursor, *, limit: int) -> tuple[Event, ...]:
        """Return up to `limit` events behind a place in the log, in sequence.

        Raises:
            LogBegins: the log does not reach back to it.
        """
        events = await self._database.read(
            lambda connection: read_events(connection, after, limit)
        )
        return tuple(event for event in events if event.sequence <= self._end.sequence)

    async def newest(self, before: int | None = None, *, limit: int) -> tuple[Event, ...]:
        """Return the last `limit` events that are kept, in sequence; with sequences below
        `before` where that is given."""
        behind = self._end.sequence + 1
        before = behind if before is None else min(before, behind)
        return await self._database.read(lambda connection: read_newest(connection, before, limit))

    async def history(
        self, subjects: Collection[str], *, until: int | None = None, limit: int
    ) -> Mapping[str, tuple[Event, ...]]:
        """Return the last `limit` events that are kept of each of these executions, in sequence,
        from its first one on where there are not more; up to a sequence where that is given."""
        until = self._end.sequence if until is None else min(until, self._end.sequence)
        return await self._database.read(
            lambda connection: read_history(connection, subjects, until, limit)
        )

    async def hold(self, name: str, after: Cursor) -> None:
        """Keep the events behind a place for a follower of that name, for a while.

        Raises:
            LogBegins: the log does not reach back to it.
        """

        def change(connection: sqlite3.Connection) -> None:
            read_events(connection, after, 0)
            connection.execute('INSERT OR REPLACE INTO followers VALUES (?, ?)', _row(name, after))

        await self._database.write(change)

    async def held(self, name: str) -> Cursor | None:
        """Return the place from which on events are kept for a follower; None where there is
        none, or it stayed away for too long."""

        def query(connection: sqlite3.Connection) -> Cursor | None:
            row = connection.execute(
                'SELECT sequence FROM followers WHERE name = ?', (name,)
            ).fetchone()
            return Cursor(epoch=self._end.epoch, sequence=row[0]) if row else None

        return await self._database.read(query)

    async def release(self, name: str) -> None:
        """Keep nothing for a follower any more."""
        await self._database.write(
            lambda connection: connection.execute('DELETE FROM followers WHERE name = ?', (name,))
        )

    async def prune(self, policy: LogPolicy) -> None:
        """Remove the oldest events that `policy` does not keep and no follower holds.

        Not before there are enough of them.
        """
        up_sec = self._up_sec()
        surplus = self._end.sequence - self._begins.sequence - policy.max_events
        enough = min(_PRUNED_AT_ONCE, policy.max_events // 10)
        many = bool(policy.max_events) and surplus > enough
        if not many and up_sec - self._looked_up_sec < _LOOK_SEC:
            return
        self._looked_up_sec = up_sec
        begins: Cursor | None = None
        while begins != self._begins:
            begins = self._begins
            self._begins = await self._database.write(
                lambda connection: _prune(connection, policy, up_sec)
            )

    def close(self) -> None:
        """Close the mark."""
        self._mark.close()


def _row(name: str, after: Cursor) -> tuple[str, int]:
    return name, after.sequence


def _begin_epoch(connection: sqlite3.Connection) -> None:
    connection.execute('UPDATE store_state SET epoch = ?', (secrets.token_hex(8),))
    # Their places are in the history before.
    connection.execute('DELETE FROM followers')


def _prune(connection: sqlite3.Connection, policy: LogPolicy, up_sec: float) -> Cursor:
    """Remove some of the oldest events; return where the log begins then."""
    bounds = read_bounds(connection)
    last = _last_surplus(connection, bounds, policy, up_sec)
    (held,) = connection.execute('SELECT min(sequence) FROM followers').fetchone()
    if held is not None and held < last:
        longer = LogPolicy(
            max_events=policy.max_events * _HELD_TIMES,
            max_age_sec=policy.max_age_sec * _HELD_TIMES,
        )
        last = max(held, _last_surplus(connection, bounds, longer, up_sec))
    if last <= bounds.begins.sequence:
        return bounds.begins
    connection.execute('DELETE FROM events WHERE sequence <= ?', (last,))
    connection.execute('DELETE FROM followers WHERE sequence < ?', (last,))
    return Cursor(epoch=bounds.begins.epoch, sequence=last)


def _last_surplus(
    connection: sqlite3.Connection, bounds: LogBounds, policy: LogPolicy, up_sec: float
) -> int:
    """Return the sequence up to which a part of the log is not kept."""
    within = bounds.begins.sequence + _PRUNED_AT_ONCE
    by_number = bounds.ends.sequence - policy.max_events if policy.max_events else 0
    by_age = None
    if policy.max_age_sec:
        (by_age,) = connection.execute(
            'SELECT max(sequence) FROM events WHERE sequence <= ? AND up_sec < ?',
            (within, up_sec - policy.max_age_sec),
        ).fetchone()
    return min(within, max(by_number, by_age or 0))
