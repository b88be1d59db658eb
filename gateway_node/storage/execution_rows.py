# SPDX-License-Identifier: Apache-2.0
"""Rows of executions as they change, with all that they are found by, and what the log tells."""

from collections.abc import Iterator, Sequence
import json
import sqlite3
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.documents import (
    changed_fields,
    summary_of,
    to_parameters,
    to_text,
)
from gateway_node.executions.errors import ExecutionNotDeletable, ExecutionNotFound
from gateway_node.executions.events import (
    Change,
    Event,
    EventKind,
    execution_subject,
    Happening,
)
from gateway_node.executions.ids import number_of
from gateway_node.executions.values import Execution, ExecutionStatus, FINAL_STATUSES
from gateway_node.storage.end_counts import count_ends
from gateway_node.storage.event_rows import LogWriter
from gateway_node.storage.set_backs import note_set_backs
from gateway_node.storage.terms import add_script_name, add_terms, remove_terms, terms_of
from gateway_node.storage.told_scripts import keep_told


def record_news(log: LogWriter, news: Sequence[Change | Happening]) -> Iterator[Event]:
    """Keep all that is new; yield the event of each.

    Raises:
        ExecutionNotFound: a change that is not new is of an execution that is not kept.
        ValueError: the id of a new execution is taken.
    """
    for each in news:
        if isinstance(each, Happening):
            subject, changes = each.subject, each.changes
            keep_told(log.connection, each)
        else:
            subject = _subject(each.execution)
            changes = insert(log, each) if each.new else _replace(log, each)
        yield log.append(each.kind, subject, actor=each.actor, cause=each.cause, changes=changes)
    count_ends(log.connection)


def _subject(execution: Execution) -> str:
    return execution_subject(execution.entity, execution.script_id, execution.id)


def insert(log: LogWriter, change: Change) -> dict[str, Any]:
    """Add an execution; return its summary."""
    execution, connection = change.execution, log.connection
    number, summary = number_of(execution.id), summary_of(execution)
    created_at = summary['created_at']
    document, parameters = to_text(summary), to_parameters(execution)
    try:
        connection.execute(
            """
            INSERT INTO executions (
                number, id, entity, script_id, status, scheduled, parent, exit_code, created_at,
                ended_sec, document, parameters, kept_bytes
            ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            (
                number,
                execution.id,
                execution.entity.path,
                execution.script_id,
                execution.status.value,
                execution.is_schedule,
                execution.parent,
                execution.exit_code,
                created_at,
                None if execution.is_open else log.up_sec,
                document,
                parameters,
                _kept_bytes(change, document, parameters),
            ),
        )
    except sqlite3.IntegrityError as error:
        raise ValueError(f'{execution.id} is in the store already') from error
    add_terms(connection, number, terms_of(summary))
    add_script_name(connection, summary)
    note_set_backs(connection, number, created_at)
    connection.execute(
        "UPDATE store_state SET last_id = max(coalesce(last_id, ''), ?)", (execution.id,)
    )
    return summary


def _replace(log: LogWriter, change: Change) -> dict[str, Any]:
    """Replace an execution; return the changed fields of its summary."""
    execution = change.execution
    query = 'SELECT number, document FROM executions WHERE id = ?'
    row = log.connection.execute(query, (execution.id,)).fetchone()
    if row is None:
        raise ExecutionNotFound(execution.id)
    number, before, summary = row[0], json.loads(row[1]), summary_of(execution)
    document, parameters = to_text(summary), to_parameters(execution)
    log.connection.execute(
        """
        UPDATE executions SET
            status = ?, scheduled = ?, exit_code = ?, document = ?, parameters = ?, kept_bytes = ?
        WHERE number = ?
        """,
        (
            execution.status.value,
            execution.is_schedule,
            execution.exit_code,
            document,
            parameters,
            _kept_bytes(change, document, parameters),
            number,
        ),
    )
    if not execution.is_open:
        # Apart: named in the change of one that stays open, it has its indexes written anew.
        log.connection.execute(
            'UPDATE executions SET ended_sec = ? WHERE number = ? AND ended_sec IS NULL',
            (log.up_sec, number),
        )
    terms_before, terms = terms_of(before), terms_of(summary)
    add_terms(log.connection, number, terms - terms_before)
    remove_terms(log.connection, number, terms_before - terms)
    return changed_fields(before, summary)


def _kept_bytes(change: Change, document: str, parameters: str) -> int | None:
    """Return what an execution takes of the disk, where that was measured."""
    if change.kept_bytes is None:
        return None
    return change.kept_bytes + len(document) + len(parameters)


def remove_rows(
    log: LogWriter, execution_ids: Sequence[str], actor: Actor, cause: str
) -> Iterator[Event]:
    """Remove ended executions, all or none; yield a tombstone of each that was known.

    Raises:
        ExecutionNotDeletable: one of them is open.
    """
    query = 'SELECT number, entity, script_id, status, document FROM executions WHERE id = ?'
    for execution_id in execution_ids:
        row = log.connection.execute(query, (execution_id,)).fetchone()
        if row is None:
            continue
        number, entity, script_id, status, document = row
        if ExecutionStatus(status) not in FINAL_STATUSES:
            raise ExecutionNotDeletable(execution_id, ExecutionStatus(status))
        log.connection.execute('DELETE FROM executions WHERE number = ?', (number,))
        remove_terms(log.connection, number, terms_of(json.loads(document)))
        yield log.append(
            EventKind.EXECUTION_DELETED,
            execution_subject(EntityRef.from_path(entity), script_id, execution_id),
            actor=actor,
            cause=cause,
            changes={},
        )


def keep_up_sec(connection: sqlite3.Connection, up_sec: float) -> None:
    """Note the seconds that all gateways on this database were up."""
    connection.execute('UPDATE store_state SET up_sec = ?', (up_sec,))
