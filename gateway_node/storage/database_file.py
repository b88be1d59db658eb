# SPDX-License-Identifier: Apache-2.0
"""The SQLite file before it is used: checked, brought to the newest version, or set aside.

Sources: sqlite.org/wal.html, sqlite.org/pragma.html.
"""

from collections.abc import Iterator
import contextlib
import logging
from pathlib import Path
import sqlite3

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.storage.schema import check_version, migrate, Steps, version_of
from gateway_node.storage.sqlite_errors import corrupt, is_corrupt

_log = logging.getLogger(__name__)

MAX_WAL_BYTES = 4 * 1024 * 1024
"""What is left of the WAL once it was folded into the file."""

_CHECKED_BYTES = 32 * 1024 * 1024
"""Up to this size a file is checked at each start, which takes some 0.1 s; a larger one only
where a reader met corruption in it."""
_BUSY_SEC = 1.0
"""How long a lock held by somebody's sqlite3 shell is waited for."""


def open_file(path: Path, steps: Steps) -> sqlite3.Connection:
    """Return a connection to the file, made or migrated as needed.

    A corrupt file is set aside and a fresh one begun; sqlite3.Error, StoreVersionError.
    """
    connection = connect(path)
    try:
        _prepare(connection, path, steps)
    except sqlite3.Error as error:
        if not is_corrupt(error):
            connection.close()
            raise
        # Before the close, which would fold the WAL into the file and remove it.
        kept = _set_aside(path)
        connection.close()
        _log.error(
            '%s is corrupt (%s); it is kept as %s, the history begins anew', path, error, kept
        )
        connection = connect(path)
        _prepare(connection, path, steps)
    except BaseException:
        connection.close()
        raise
    return connection


def connect(path: Path) -> sqlite3.Connection:
    """Return a connection to the file as it is."""
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
    connection.execute(f'PRAGMA journal_size_limit = {MAX_WAL_BYTES}')
    migrate(connection, steps)
    with contextlib.suppress(OSError):
        _suspicion(path).unlink(missing_ok=True)


def _refuse_foreign_tables(connection: sqlite3.Connection) -> None:
    if connection.execute('SELECT count(*) FROM sqlite_schema').fetchone()[0]:
        raise corrupt('it has tables, but not the version of a gateway')


def _check(connection: sqlite3.Connection, pragma: str) -> None:
    finding = connection.execute(f'PRAGMA {pragma}(1)').fetchone()[0]
    if finding != 'ok':
        raise corrupt(finding)


def suspect(path: Path) -> None:
    """Have the next start look at the whole file, however long it takes."""
    with contextlib.suppress(OSError):
        _suspicion(path).touch()


def _suspicion(path: Path) -> Path:
    """Return the mark that a reader found the file corrupt."""
    return path.with_name(f'{path.name}.suspect')


def files_set_aside(path: Path) -> tuple[Path, ...]:
    """Return the corrupt files that were set aside, oldest first."""
    return tuple(each for _, each in sorted(_set_aside_files(path)))


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
