# SPDX-License-Identifier: Apache-2.0
"""What errors of SQLite mean.

Source: sqlite.org/rescode.html.
"""

import sqlite3

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


def is_passing(error: sqlite3.Error) -> bool:
    """Tell whether it can be over the next time."""
    return _code(error) in _PASSING_CODES


def is_corrupt(error: sqlite3.Error) -> bool:
    """Tell whether the file is to blame."""
    return _code(error) in _CORRUPT_CODES


def corrupt(finding: str) -> sqlite3.DatabaseError:
    """Return the error of a file in which something was found."""
    error = sqlite3.DatabaseError(finding)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _code(error: sqlite3.Error) -> int:
    # Errors of Python's own module carry no code; the low byte is the primary one.
    code: int = getattr(error, 'sqlite_errorcode', 0) & 0xFF
    return code
