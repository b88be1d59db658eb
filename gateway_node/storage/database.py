# SPDX-License-Identifier: Apache-2.0
"""The open database: one connection that writes, and another one that reads.

A long list then holds no commit up, and no commit a read (sqlite.org/wal.html).
"""

import asyncio
from collections.abc import Callable, Sequence
import contextlib
from pathlib import Path
import sqlite3
from typing import Self, TypeVar

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.side_tasks import log_failure
from gateway_node.storage.connection import Connection
from gateway_node.storage.database_file import connect, files_set_aside, open_file
from gateway_node.storage.grouped_writes import GroupedWrites, roll_back
from gateway_node.storage.schema import STEPS, Steps, version_of

FILE_NAME = 'gateway.sqlite3'
SQLITE_VERSION = sqlite3.sqlite_version
"""Of the SQLite library in use."""

_VACUUM_PAGES = 256
"""Pages given back in one step: a megabyte, some milliseconds."""
_SPARE_PAGES = 256
"""Free pages that are left for the next executions: giving back and taking again wears a disk."""
_PROBE_SEC = 5.0
"""Seconds between trials to write after a write failed."""
_MAX_GROWN_WAL_BYTES = 64 * 1024 * 1024
"""From here on a commit waits, a second at most, for the read that keeps the WAL from being
folded into the file: two thousand commits during one read."""

_Result = TypeVar('_Result')


class Database:
    """One open database file.

    Writes are done one after the other, several of them with one commit, and so are reads, both
    as `Connection` says; a read that is asked for after a write has returned sees what that wrote.
    Each call raises StoreUnavailable, and changes nothing, where the file cannot be read or
    written; the next call tries anew. Where it is corrupt, or gone, that is StoreUnusable.
    """

    def __init__(self, path: Path) -> None:
        """Take the path of the file; `open` opens it."""
        self.path = path
        self._writer = Connection(path, 'storage')
        self._reader = Connection(path, 'storage reads')
        self._writes = GroupedWrites(
            self._writer, check=self._check_in_place, after=self._bound_wal
        )
        self._wal = path.with_name(f'{path.name}-wal')
        self._inode = 0
        self._write_error: str | None = None
        self._set_aside: tuple[Path, ...] = ()
        self._probing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, state_dir: Path, *, steps: Steps = STEPS) -> Self:
        """Open `<state_dir>/gateway.sqlite3`, making or migrating it as needed.

        A corrupt file is set aside and a fresh one begun.

        Raises:
            StoreVersionError: a newer gateway wrote it.
            StoreUnavailable: it cannot be opened (permissions, disk full).
        """
        database = cls(state_dir / FILE_NAME)
        try:
            await database._writer.open(lambda: open_file(database.path, steps))
            await database._reader.open(lambda: _connect_to_read(database.path))
            inode = await asyncio.to_thread(lambda: database.path.stat().st_ino)
            database._inode = inode
            database._set_aside = await asyncio.to_thread(files_set_aside, database.path)
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """The corrupt files that were set aside, in this life or an earlier one, oldest first."""
        return self._set_aside

    @property
    def inode(self) -> int:
        """The number of the file's inode."""
        return self._inode

    @property
    def write_error(self) -> str | None:
        """Why the file cannot be written at the moment; None where it can. It is tried anew
        every few seconds, whether or not somebody has something to write."""
        return self._write_error

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the database, in sentences."""
        aside = [
            f'a corrupt database was set aside: {path}; outputs are kept until it is removed'
            for path in self._set_aside
        ]
        if self._write_error is None:
            return tuple(aside)
        return (
            *aside,
            f'nothing can be recorded: {self._write_error}; executions that have ended are '
            'shown as running until it can',
        )

    async def check(self) -> None:
        """Return where the file is in its place and can be read, and the last write was made."""
        if self._write_error is not None:
            raise StoreUnavailable(self._write_error)

        def look(connection: sqlite3.Connection) -> None:
            self._check_in_place()
            version_of(connection)

        await self.read(look)

    async def write(
        self,
        change: Callable[[sqlite3.Connection], _Result],
        *,
        then: Callable[[Sequence[_Result]], None] | None = None,
    ) -> _Result:
        """Let `change` write, all of it or nothing; it is on the disk when this returns.

        What others want to write meanwhile may go into the same commit; where that fails, so does
        this. `change` may be called more than once, and all but the last one is taken back.
        `then` is given what it returns once that is on the disk, on the thread, with what all
        changes of that commit returned that have the same `then`.
        """
        try:
            result = await self._writes.write(change, then)
        except StoreUnavailable as error:
            self._write_error = str(error)
            if self._probing is None or self._probing.done():
                self._probing = asyncio.create_task(self._probe(), name='probe the database')
                self._probing.add_done_callback(log_failure)
            raise
        self._write_error = None
        return result

    async def read(self, query: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let `query` read, all of it as at one moment; it cannot write."""
        return await self._reader.use(lambda connection: _read(connection, query))

    async def shrink(self) -> bool:
        """Give free pages beyond a spare megabyte back, a step of it; True where more are left.

        The file gets smaller with the last step, unless somebody reads just then.
        """
        return await self._writer.use(_shrink)

    async def close(self) -> None:
        """Close the file after all that was submitted; closing again is harmless."""
        if self._probing is not None:
            self._probing.cancel()
        # The last connection folds the WAL into the file, for which it has to be able to write.
        await self._reader.close()
        await self._writer.close()

    async def _probe(self) -> None:
        """Write the version over itself until that works."""
        while self._write_error is not None:
            await asyncio.sleep(_PROBE_SEC)
            with contextlib.suppress(StoreUnavailable):
                await self._writes.write(_write_nothing_new)
                self._write_error = None

    def _check_in_place(self) -> None:
        """Refuse to write into a file that was removed or replaced: SQLite would not notice."""
        try:
            in_place = self.path.stat().st_ino == self._inode
        except OSError:
            in_place = False
        if not in_place:
            raise StoreUnusable(
                f'{self.path} was removed or replaced while in use; start the gateway again'
            )

    def _bound_wal(self, connection: sqlite3.Connection) -> None:
        """Fold a WAL that has grown long into the file, for which the present read has to end."""
        # What was committed is, whether or not this can be done now.
        with contextlib.suppress(OSError, sqlite3.Error):
            if self._wal.stat().st_size > _MAX_GROWN_WAL_BYTES:
                connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute('PRAGMA query_only = ON')
    return connection


def _read(
    connection: sqlite3.Connection, query: Callable[[sqlite3.Connection], _Result]
) -> _Result:
    connection.execute('BEGIN')
    try:
        return query(connection)
    finally:
        roll_back(connection)


def _write_nothing_new(connection: sqlite3.Connection) -> None:
    connection.execute(f'PRAGMA user_version = {version_of(connection)}')


def _shrink(connection: sqlite3.Connection) -> bool:
    surplus = _surplus_pages(connection)
    if surplus <= 0:
        return False
    # Each step of the statement frees one page; `execute` makes a single step, this makes all.
    connection.executescript(f'PRAGMA incremental_vacuum({min(surplus, _VACUUM_PAGES)})')
    if _surplus_pages(connection) > 0:
        return True
    # Only a checkpoint cuts the file. One that would have to wait for a read is made later.
    (busy_ms,) = connection.execute('PRAGMA busy_timeout').fetchone()
    connection.execute('PRAGMA busy_timeout = 0')
    try:
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
    finally:
        connection.execute(f'PRAGMA busy_timeout = {busy_ms}')
    return False


def _surplus_pages(connection: sqlite3.Connection) -> int:
    free_pages: int = connection.execute('PRAGMA freelist_count').fetchone()[0]
    return free_pages - _SPARE_PAGES
