# SPDX-License-Identifier: Apache-2.0
"""The database's schema, as the steps that lead to it from an empty file.

A step, once released, never changes; what is new is a further step at the end.
"""

from pathlib import Path
import sqlite3

from gateway_node.storage.callback_schema import CALLBACKS
from gateway_node.storage.entity_locks import ENTITY_LOCKS
from gateway_node.storage.errors import StoreVersionError
from gateway_node.storage.first_steps import FIRST, KEPT_BYTES, LOG
from gateway_node.storage.instance_rows import INSTANCES, OVER_RESTARTS
from gateway_node.storage.key_schema import KEPT_KEYS
from gateway_node.storage.named_versions import NAMED_VERSIONS
from gateway_node.storage.paused_lines import PAUSED_LINES
from gateway_node.storage.search_schema import SEARCH
from gateway_node.storage.served_schema import SERVED
from gateway_node.storage.statistics_schema import STATISTICS

Steps = tuple[tuple[str, ...], ...]

STEPS: Steps = (
    FIRST,
    LOG,
    KEPT_BYTES,
    (*SEARCH, *STATISTICS, *NAMED_VERSIONS),
    SERVED,
    (*KEPT_KEYS, *CALLBACKS, *PAUSED_LINES),
    (*ENTITY_LOCKS,),
    INSTANCES,
    OVER_RESTARTS,
)
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
