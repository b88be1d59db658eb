# SPDX-License-Identifier: Apache-2.0
"""The SQLite file, on a thread of its own: opening, transactions, closing.

Sources: sqlite.org/wal.html, sqlite.org/pragma.html, sqlite.org/rescode.html.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
import logging
from pathlib import Path
import sqlite3
from typing import Any, TypeVar

from gateway_node.executions.errors import StoreUnavailable, StoreUnusable
from gateway_node.side_tasks import log_failure
from gateway_node.storage.schema import check_version, migrate, STEPS, Steps, version_of

_log = logging.getLogger(__name__)

FILE_NAME = 'gateway.sqlite3'
SQLITE_VERSION = sqlite3.sqlite_version
"""Of the SQLite library in use."""

_CHECKED_BYTES = 32 * 1024 * 1024
"""Up to this size a file is checked at each start, which takes some 0.1 s; a larger one only
where a reader met corruption in it."""
_BUSY_SEC = 1.0
"""How long a lock held by somebody's sqlite3 shell is waited for."""
_MAX_WAL_BYTES = 4 * 1024 * 1024
_VACUUM_PAGES = 256
"""Pages given back in one step: a megabyte, some milliseconds."""
_SPARE_PAGES = 256
"""Free pages that are left for the next executions: giving back and taking again wears a disk."""
_PROBE_SEC = 5.0
"""Seconds between trials to write after a write failed."""
_CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PASSING_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""What the machine is to blame for, and what can be over the next time."""

_Result = TypeVar('_Result')


class Database:
    """One open database file.

    Calls are done one after the other in the order in which they were made, each submitted when
    its coroutine is first stepped. A call once submitted is done, also where its caller is
    cancelled meanwhile. Each raises StoreUnavailable, and changes nothing, where the file cannot
    be read or written; the next call tries anew. Where it is corrupt, or gone, that is
    StoreUnusable. A sqlite3.Error is a defect of what was asked for.
    """

    def __init__(self, path: Path, thread: ThreadPoolExecutor, steps: Steps) -> None:
        """Take the parts that `open` made."""
        self.path = path
        self._thread = thread
        self._steps = steps
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._write_error: str | None = None
        self._set_aside: tuple[Path, ...] = ()
        self._probing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, state_dir: Path, *, steps: Steps = STEPS) -> 'Database':
        """Open `<state_dir>/gateway.sqlite3`, making or migrating it as needed.

        A corrupt file is set aside and a fresh one begun.

        Raises:
            StoreVersionError: a newer gateway wrote it.
            StoreUnavailable: it cannot be opened (permissions, disk full).
        """
        thread = ThreadPoolExecutor(1, thread_name_prefix='storage')
        database = cls(state_dir / FILE_NAME, thread, steps)
        try:
            await database._submit(database._open)
            aside = await asyncio.to_thread(lambda: sorted(_set_aside_files(database.path)))
            database._set_aside = tuple(path for _, path in aside)
        except BaseException:
            thread.shutdown(wait=False)
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

    async def write(
        self,
        change: Callable[[sqlite3.Connection], _Result],
        *,
        then: Callable[[_Result], None] = lambda _: None,
    ) -> _Result:
        """Let `change` write in one transaction; it is on the disk when this returns.

        `then` is given what it returns once that is so, on the thread.
        """
        try:
            result = await self._submit(lambda: self._write(change, then))
        except StoreUnavailable as error:
            self._write_error = str(error)
            if self._probing is None or self._probing.done():
                self._probing = asyncio.create_task(self._probe(), name='probe the database')
                self._probing.add_done_callback(log_failure)
            raise
        self._write_error = None
        return result

    async def read(self, query: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Let `query` read."""
        return await self._submit(lambda: query(self._open_connection()))

    async def shrink(self) -> bool:
        """Give free pages beyond a spare megabyte back, a step of it; True where more are left.

        The file gets smaller with the last step.
        """
        return await self.read(_shrink)

    async def close(self) -> None:
        """Close the file after all that was submitted; closing again is harmless."""
        if self._probing is not None:
            self._probing.cancel()
        with contextlib.suppress(StoreUnavailable):
            await self._submit(self._close)
        self._thread.shutdown(wait=False)

    async def _probe(self) -> None:
        """Write the version over itself until that works."""
        while self._write_error is not None:
            await asyncio.sleep(_PROBE_SEC)
            with contextlib.suppress(StoreUnavailable):
                await self._submit(lambda: self._write(_write_nothing_new))
                self._write_error = None

    async def _submit(self, work: Callable[[], _Result]) -> _Result:
        try:
            submitted = self._thread.submit(self._translate_errors, work)
        except RuntimeError as error:
            raise StoreUnavailable(f'{self.path} is closed') from error
        done = asyncio.wrap_future(submitted)
        try:
            # Shielded: asyncio would cancel what the thread has not begun yet.
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            done.add_done_callback(self._note_unheard)
            raise

    def _note_unheard(self, done: 'asyncio.Future[Any]') -> None:
        """Take the error of a call whose caller went away; say it where it is a defect."""
        error = None if done.cancelled() else done.exception()
        if error is not None and not isinstance(error, StoreUnavailable):
            _log.error('failed, and nobody waits for it: %s: %r', self.path, error)

    def _translate_errors(self, work: Callable[[], _Result]) -> _Result:
        try:
            return work()
        except sqlite3.Error as error:
            if _is_corrupt(error):
                # The next start then looks at the whole file, however long it takes.
                with contextlib.suppress(OSError):
                    _suspicion(self.path).touch()
                raise StoreUnusable(f'{self.path}: {error}; start the gateway again') from error
            if _code(error) in _PASSING_CODES:
                raise StoreUnavailable(f'{self.path}: {error}') from error
            raise

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f'{self.path} is closed')
        return self._connection

    def _write(
        self,
        change: Callable[[sqlite3.Connection], _Result],
        then: Callable[[_Result], None] = lambda _: None,
    ) -> _Result:
        connection = self._open_connection()
        self._check_in_place()
        _roll_back(connection)  # where an earlier attempt to do so failed
        connection.execute('BEGIN IMMEDIATE')
        try:
            result = change(connection)
            connection.execute('COMMIT')
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                _roll_back(connection)
            raise
        then(result)
        return result

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

    def _open(self) -> None:
        connection = _connect(self.path)
        try:
            _prepare(connection, self.path, self._steps)
        except sqlite3.Error as error:
            if not _is_corrupt(error):
                connection.close()
                raise
            # Before the close, which would fold the WAL into the file and remove it.
            kept = _set_aside(self.path)
            connection.close()
            _log.error(
                '%s is corrupt (%s); it is kept as %s, the history begins anew',
                self.path,
                error,
                kept,
            )
            connection = _connect(self.path)
            _prepare(connection, self.path, self._steps)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._inode = self.path.stat().st_ino

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_BUSY_SEC, isolation_level=None)


def _prepare(connection: sqlite3.Connection, path: Path, steps: Steps) -> None:
    """Check the file, bring it to the newest version and set the connection up."""
    check_version(connection, path, steps)
    if version_of(connection) == 0:
        _refuse_foreign_tables(connection)
        # Has no effect once the first table, or the WAL, is there.
        connection.execute('PRAGMA auto_vacuum = INCREMENTAL')
    elif _suspicion(path).exists():
        _check(connection, 'integrity_check')
    elif path.stat().st_size <= _CHECKED_BYTES:
        _check(connection, 'quick_check')
    connection.execute('PRAGMA journal_mode = WAL')
    connection.execute('PRAGMA synchronous = FULL')
    connection.execute(f'PRAGMA journal_size_limit = {_MAX_WAL_BYTES}')
    migrate(connection, steps)
    with contextlib.suppress(OSError):
        _suspicion(path).unlink(missing_ok=True)


def _refuse_foreign_tables(connection: sqlite3.Connection) -> None:
    if connection.execute('SELECT count(*) FROM sqlite_schema').fetchone()[0]:
        raise _corrupt('it has tables, but not the version of a gateway')


def _check(connection: sqlite3.Connection, pragma: str) -> None:
    finding = connection.execute(f'PRAGMA {pragma}(1)').fetchone()[0]
    if finding != 'ok':
        raise _corrupt(finding)


def _corrupt(finding: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(finding)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_corrupt(error: sqlite3.Error) -> bool:
    return _code(error) in _CORRUPT_CODES


def _code(error: sqlite3.Error) -> int:
    # Errors of Python's own module carry no code; the low byte is the primary one.
    code: int = getattr(error, 'sqlite_errorcode', 0) & 0xFF
    return code


def _write_nothing_new(connection: sqlite3.Connection) -> None:
    connection.execute(f'PRAGMA user_version = {version_of(connection)}')


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute('ROLLBACK')


def _shrink(connection: sqlite3.Connection) -> bool:
    surplus = _surplus_pages(connection)
    if surplus <= 0:
        return False
    # Each step of the statement frees one page; `execute` makes a single step, this makes all.
    connection.executescript(f'PRAGMA incremental_vacuum({min(surplus, _VACUUM_PAGES)})')
    if _surplus_pages(connection) > 0:
        return True
    # Only a checkpoint cuts the file.
    connection.execute('PRAGMA wal_checkpoint(TRUNCATE)').fetchall()
    return False


def _surplus_pages(connection: sqlite3.Connection) -> int:
    free_pages: int = connection.execute('PRAGMA freelist_count').fetchone()[0]
    return free_pages - _SPARE_PAGES


def _suspicion(path: Path) -> Path:
    """Return the mark that a reader found the file corrupt."""
    return path.with_name(f'{path.name}.suspect')


def _set_aside_files(path: Path) -> Iterator[tuple[int, Path]]:
    prefix = f'{path.name}.corrupt-'
    for each in path.parent.glob(f'{prefix}*'):
        number = each.name.removeprefix(prefix)
        if number.isdecimal():
            yield int(number), each


def _set_aside(path: Path) -> Path:
    """Rename a corrupt file with its WAL, so that the sqlite3 shell can still open it."""
    number = max((number for number, _ in _set_aside_files(path)), default=0) + 1
    kept = path.with_name(f'{path.name}.corrupt-{number}')
    # The file itself last: a WAL left alone would be taken for that of the fresh file.
    for suffix in ('-wal', '-shm', ''):
        try:
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreUnavailable(
                f'{path} is corrupt and cannot be set aside: {error}'
            ) from error
    return kept
