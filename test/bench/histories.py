# SPDX-License-Identifier: Apache-2.0
"""Databases that hold long made-up histories, made once for all rows of a run."""

from dataclasses import replace
import itertools
from pathlib import Path
import sqlite3

from made_up_history import BEGINS, MadeUpHistory

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.storage.database import FILE_NAME
from gateway_node.storage.database_file import open_file
from gateway_node.storage.end_counts import count_all_ends
from gateway_node.storage.event_rows import LogWriter
from gateway_node.storage.execution_rows import insert
from gateway_node.storage.schema import STEPS

FEW = 100_000
MANY = 1_000_000
_BATCH = 20_000
_IN_A_HURRY = (
    # Nobody needs the file where the power goes off meanwhile.
    'PRAGMA journal_mode = OFF',
    'PRAGMA synchronous = OFF',
    'PRAGMA cache_size = -300000',
)


def state_with(folder: Path, length: int) -> Path:
    """Return a state directory whose database has a history of so many executions.

    It lies in `folder`, and is made where it is not there yet: a minute for a million. The log
    tells nothing of them.
    """
    state_dir = folder / f'state_of_{length}'
    if not state_dir.exists():
        unfinished = folder / 'unfinished'
        unfinished.mkdir()
        connection = open_file(unfinished / FILE_NAME, STEPS)
        try:
            _fill(connection, MadeUpHistory(length))
        finally:
            connection.close()
        unfinished.rename(state_dir)
    return state_dir


def _fill(connection: sqlite3.Connection, history: MadeUpHistory) -> None:
    for pragma in _IN_A_HURRY:
        connection.execute(pragma).fetchall()
    log = LogWriter(connection=connection, epoch='', at=BEGINS, up_sec=0.0)
    executions = history.executions()
    while batch := list(itertools.islice(executions, _BATCH)):
        connection.execute('BEGIN')
        for execution in batch:
            change = Change.first(execution, GATEWAY)
            insert(log, change if execution.is_open else replace(change, kept_bytes=0))
        count_all_ends(connection)
        connection.execute('COMMIT')
    connection.execute('PRAGMA journal_mode = WAL').fetchall()
