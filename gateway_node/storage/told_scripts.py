# SPDX-License-Identifier: Apache-2.0
"""What the log last told of each script, in SQL."""

import json
import sqlite3
from typing import Any

from gateway_node.executions.documents import evolved, to_text
from gateway_node.executions.events import EventKind, Happening, SCRIPT_KINDS
from gateway_node.storage.kept_keys import note_made


def keep_told(connection: sqlite3.Connection, happening: Happening) -> None:
    """Keep what a happening tells of a script, where it does."""
    if happening.kind not in SCRIPT_KINDS:
        return
    subject = happening.subject
    if happening.kind is EventKind.SCRIPT_DELETED:
        connection.execute('DELETE FROM told_scripts WHERE subject = ?', (subject,))
        return
    if happening.kind is EventKind.SCRIPT_UPLOADED:
        note_made(connection, subject.rpartition('/')[2])
    told = connection.execute('SELECT summary FROM told_scripts WHERE subject = ?', (subject,))
    row = told.fetchone()
    summary = evolved(json.loads(row[0]) if row else {}, happening.changes)
    connection.execute(
        'INSERT OR REPLACE INTO told_scripts VALUES (?, ?)', (subject, to_text(summary))
    )


def read_told(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """Return the summary of each script, by its subject."""
    rows = connection.execute('SELECT subject, summary FROM told_scripts')
    return {subject: json.loads(summary) for subject, summary in rows}
