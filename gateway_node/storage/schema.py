# SPDX-License-Identifier: Apache-2.0
"""The database's schema, as the steps that lead to it from an empty file.

A step, once released, never changes; what is new is a further step at the end.
"""

from pathlib import Path
import sqlite3

from gateway_node.storage.errors import StoreVersionError

_FIRST = (
    # `document` and `parameters` are the whole execution; the columns repeat what is searched for.
    # `parameters` may be long and comes last: rows are read without it.
    # `ended_sec` is the gateway's total time up at the end, NULL while the execution is open.
    """
    CREATE TABLE executions (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        entity TEXT NOT NULL,
        script_id TEXT NOT NULL,
        status TEXT NOT NULL,
        scheduled INTEGER NOT NULL,
        parent TEXT,
        exit_code INTEGER,
        created_at TEXT NOT NULL,
        ended_sec REAL,
        document TEXT NOT NULL,
        parameters TEXT NOT NULL
    )
    """,
    'CREATE INDEX executions_of_script ON executions (entity, script_id, id)',
    'CREATE INDEX open_executions ON executions (id) WHERE ended_sec IS NULL',
    """
    CREATE INDEX ended_executions ON executions (status, ended_sec, id)
    WHERE ended_sec IS NOT NULL
    """,
    # AUTOINCREMENT: a number is never given again, not even that of the last row removed.
    """
    CREATE TABLE transitions (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        execution_id TEXT NOT NULL,
        status TEXT NOT NULL,
        at TEXT NOT NULL,
        cause TEXT NOT NULL
    )
    """,
    'CREATE INDEX transitions_of_execution ON transitions (execution_id)',
    # Counting a million rows takes long; triggers keep the counts in the commit of the change.
    """
    CREATE TABLE status_counts (
        status TEXT PRIMARY KEY,
        executions INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TRIGGER count_added AFTER INSERT ON executions
    BEGIN
        INSERT OR IGNORE INTO status_counts VALUES (NEW.status, 0);
        UPDATE status_counts SET executions = executions + 1 WHERE status = NEW.status;
    END
    """,
    """
    CREATE TRIGGER count_changed AFTER UPDATE OF status ON executions
    WHEN OLD.status <> NEW.status
    BEGIN
        INSERT OR IGNORE INTO status_counts VALUES (NEW.status, 0);
        UPDATE status_counts SET executions = executions + 1 WHERE status = NEW.status;
        UPDATE status_counts SET executions = executions - 1 WHERE status = OLD.status;
    END
    """,
    """
    CREATE TRIGGER count_removed AFTER DELETE ON executions
    BEGIN
        UPDATE status_counts SET executions = executions - 1 WHERE status = OLD.status;
    END
    """,
    # `up_sec`: the seconds that gateways on this database were up, all lives together.
    """
    CREATE TABLE store_state (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        up_sec REAL NOT NULL,
        last_id TEXT
    )
    """,
    'INSERT INTO store_state VALUES (1, 0.0, NULL)',
    """
    CREATE TABLE identities (
        position INTEGER PRIMARY KEY,
        entity TEXT NOT NULL UNIQUE,
        holder TEXT NOT NULL,
        unseen_sec REAL NOT NULL
    )
    """,
)

Steps = tuple[tuple[str, ...], ...]

STEPS: Steps = (_FIRST,)
"""Step n leads from schema version n to n + 1; `PRAGMA user_version` holds the version."""


def version_of(connection: sqlite3.Connection) -> int:
    """Return the schema version; 0 for an empty file."""
    version: int = connection.execute('PRAGMA user_version').fetchone()[0]
    return version


def check_version(connection: sqlite3.Connection, path: Path, steps: Steps = STEPS) -> None:
    """Raise StoreVersionError where `steps` do not know the database's version."""
    found = version_of(connection)
    if found > len(steps):
        raise StoreVersionError(path, found, len(steps))


def migrate(connection: sqlite3.Connection, steps: Steps = STEPS) -> None:
    """Bring the database to the newest version: all of the steps that it lacks, or none."""
    found = version_of(connection)
    if found == len(steps):
        return
    connection.execute('BEGIN IMMEDIATE')
    try:
        for step in steps[found:]:
            for statement in step:
                connection.execute(statement)
        connection.execute(f'PRAGMA user_version = {len(steps)}')
        connection.execute('COMMIT')
    finally:
        if connection.in_transaction:
            connection.execute('ROLLBACK')
