# SPDX-License-Identifier: Apache-2.0
"""Which parts of the line are held, in SQL."""

import sqlite3

from gateway_node.entities.values import EntityRef
from gateway_node.executions.events import EventKind, Happening, line_entity

PAUSED_LINES = (
    # By the subject of the event that told so.
    'CREATE TABLE paused_lines (subject TEXT PRIMARY KEY) WITHOUT ROWID',
)


def keep_paused(connection: sqlite3.Connection, happening: Happening) -> None:
    """Keep what a happening tells of the line, where it does."""
    if happening.kind is EventKind.LINE_PAUSED:
        statement = 'INSERT OR IGNORE INTO paused_lines VALUES (?)'
    elif happening.kind is EventKind.LINE_RESUMED:
        statement = 'DELETE FROM paused_lines WHERE subject = ?'
    else:
        return
    connection.execute(statement, (happening.subject,))


def read_paused(connection: sqlite3.Connection) -> frozenset[EntityRef | None]:
    """Return the entities whose part of the line is held; None stands for all of it."""
    rows = connection.execute('SELECT subject FROM paused_lines')
    return frozenset(line_entity(subject) for (subject,) in rows)
