# SPDX-License-Identifier: Apache-2.0
"""A database that tells how long its reads kept SQLite busy, and by which indexes."""

from collections.abc import Callable, Iterator
import re
import sqlite3
import time
from typing import Any, cast, TypeVar

from gateway_node.storage.database import Database

_INDEX = re.compile(r'USING (?:COVERING )?(?:INDEX (\w+)|.*PRIMARY KEY)')

_Result = TypeVar('_Result')


class TimedDatabase(Database):
    """A `Database` whose last read is known."""

    took_ms = 0.0
    """What SQLite needed for the last read."""

    _asked: 'list[tuple[str, tuple[Any, ...]]]'

    async def read(self, query: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let `query` read."""

        def timed(connection: sqlite3.Connection) -> _Result:
            watch = _Watch(connection)
            # It is used like one.
            result = query(cast(sqlite3.Connection, watch))
            self.took_ms, self._asked = watch.seconds * 1000, watch.asked
            return result

        return await super().read(timed)

    async def indexes(self) -> list[str]:
        """Return the indexes that the last read used, and the tables that it read without."""
        asked = self._asked
        return await super().read(lambda connection: _indexes(connection, asked))


class _Watch:
    """A connection with a watch."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.seconds = 0.0
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def execute(self, sql: str, arguments: tuple[Any, ...] = ()) -> '_WatchedCursor':
        self.asked.append((sql, arguments))
        return _WatchedCursor(self, self.during(lambda: self._connection.execute(sql, arguments)))

    def during(self, work: Callable[[], _Result]) -> _Result:
        begun = time.perf_counter()
        try:
            return work()
        finally:
            self.seconds += time.perf_counter() - begun


class _WatchedCursor:
    """A cursor with a watch."""

    def __init__(self, watch: _Watch, cursor: sqlite3.Cursor) -> None:
        self._watch = watch
        self._cursor = cursor

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._watch.during(self._cursor.__next__)

    def fetchone(self) -> Any:
        return self._watch.during(self._cursor.fetchone)

    def fetchall(self) -> list[Any]:
        return self._watch.during(self._cursor.fetchall)


def _indexes(
    connection: sqlite3.Connection, asked: list[tuple[str, tuple[Any, ...]]]
) -> list[str]:
    found: dict[str, None] = {}
    for sql, arguments in asked:
        for row in connection.execute(f'EXPLAIN QUERY PLAN {sql}', arguments):
            used = _INDEX.search(row[3])
            if used:
                found[used[1] or row[3].split()[1]] = None
            elif row[3].startswith('SCAN'):
                found[f'all of {row[3].split()[1]}'] = None
    return list(found)
