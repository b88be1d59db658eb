# SPDX-License-Identifier: Apache-2.0
"""Rows of executions as they change, with all that they are found by, and what the log tells."""

from collections.abc import Iterator, Mapping, Sequence
import itertools
import sqlite3
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.executions.actors import Actor
from gateway_node.executions.document_reading import summary_from
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
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES
from gateway_node.storage.callback_store import add_callback
from gateway_node.storage.end_counts import count_ends
from gateway_node.storage.entity_locks import keep_lock
from gateway_node.storage.event_rows import LogWriter
from gateway_node.storage.instance_rows import keep_firings, keep_instance, settle_with
from gateway_node.storage.kept_keys import keep_key
from gateway_node.storage.paused_lines import keep_paused
from gateway_node.storage.set_backs import note_set_backs
from gateway_node.storage.terms import add_script_name, add_terms, remove_terms, terms_of
from gateway_node.storage.told_scripts import keep_told


def record_news(log: LogWriter, news: Sequence[Change | Happening]) -> Iterator[Event]:
    """Keep all that is new; yield the event of each, once all are kept.

    Raises:
        ExecutionNotFound: a change that is not new is of an execution that is not kept.
        ValueError: the id of a new execution is taken.
    """
    happened: list[Happening] = []
    for each in _written_together(news):
        if isinstance(each, Happening):
            keep_told(log.connection, each)
            keep_paused(log.connection, each)
            keep_lock(log.connection, each)
            keep_instance(log.connection, each)
            if each.key is not None:
                keep_key(log.connection, each.key, each.subject.rpartition('/')[2], log.up_sec)
            happened.append(each)
            continue
        changed = [insert(log, each[0])] if each[0].new else _replace(log, each)
        settle_with(log.connection, each[-1])
        happened += map(_happening, each, changed)
    if any(isinstance(each, Change) and not each.execution.is_open for each in news):
        count_ends(log.connection)
    events = [*log.append(happened)]
    keep_firings(log.connection, happened, events, log.up_sec)
    yield from events


def _written_together(
    news: Sequence[Change | Happening],
) -> Iterator[Happening | list[Change]]:
    """Yield the news in order, those as one that change the same execution, one after another."""
    changes: list[Change] = []
    for each in news:
        if isinstance(each, Change) and changes and _continues(each, changes[-1]):
            changes.append(each)
            continue
        if changes:
            yield changes
            changes = []
        if isinstance(each, Happening):
            yield each
        else:
            changes = [each]
    if changes:
        yield changes


def _continues(change: Change, before: Change) -> bool:
    return not before.new and not change.new and change.execution.id == before.execution.id


def _happening(change: Change, changes: Mapping[str, Any]) -> Happening:
    """Return what the log tells of a change, with the changed fields of the summary."""
    execution = change.execution
    return Happening(
        kind=change.kind,
        subject=execution_subject(execution.entity, execution.script_id, execution.id),
        actor=change.actor,
        cause=change.cause,
        changes=changes,
    )


def insert(log: LogWriter, change: Change) -> dict[str, Any]:
    """Add an execution; return its summary."""
    execution, connection = change.execution, log.connection
    number, summary = number_of(execution.id), summary_of(execution)
    created_at = execution.created_at.isoformat()
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
    if execution.callback is not None:
        add_callback(connection, number, execution)
    add_terms(connection, number, terms_of(summary))
    add_script_name(connection, summary)
    note_set_backs(connection, number, created_at)
    if change.key is not None:
        keep_key(connection, change.key, execution.id, log.up_sec)
    return summary


def _replace(log: LogWriter, changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Bring an execution to the last of its changes; return, of each, the changed fields of its
    summary."""
    last = changes[-1]
    execution = last.execution
    query = 'SELECT number, document FROM executions WHERE id = ?'
    row = log.connection.execute(query, (execution.id,)).fetchone()
    if row is None:
        raise ExecutionNotFound(execution.id)
    number, before = row[0], summary_from(row[1])
    summaries = [before, *(summary_of(each.execution) for each in changes)]
    summary = summaries[-1]
    document, parameters = to_text(summary), to_parameters(execution)
    values = (
        execution.status.value,
        execution.is_schedule,
        execution.exit_code,
        document,
        parameters,
        _kept_bytes(last, document, parameters),
    )
    if execution.is_open:
        log.connection.execute(_UPDATE.format(''), (*values, number))
    else:
        log.connection.execute(_UPDATE.format(_ENDED), (*values, log.up_sec, number))
    terms_before, terms = terms_of(before), terms_of(summary)
    add_terms(log.connection, number, terms - terms_before)
    remove_terms(log.connection, number, terms_before - terms)
    return [changed_fields(*each) for each in itertools.pairwise(summaries)]


_UPDATE = """
    UPDATE executions SET
        status = ?, scheduled = ?, exit_code = ?, document = ?, parameters = ?, kept_bytes = ?{}
    WHERE number = ?
"""
_ENDED = ', ended_sec = coalesce(ended_sec, ?)'
"""Not named in the change of one that stays open, which would have its indexes written anew."""


def _kept_bytes(change: Change, document: str, parameters: str) -> int | None:
    """Return what an execution takes of the disk, where that was measured."""
    if change.kept_bytes is None:
        return None
    return change.kept_bytes + len(document.encode()) + len(parameters)


def remove_rows(
    log: LogWriter, execution_ids: Sequence[str], actor: Actor, cause: str
) -> Iterator[Event]:
    """Remove ended executions, all or none; yield a tombstone of each that was known, once all
    are gone.

    Raises:
        ExecutionNotDeletable: one of them is open.
    """
    query = 'SELECT number, entity, script_id, status, document FROM executions WHERE id = ?'
    keep_last_id(log.connection)
    tombstones = []
    for execution_id in execution_ids:
        row = log.connection.execute(query, (execution_id,)).fetchone()
        if row is None:
            continue
        number, entity, script_id, status, document = row
        if ExecutionStatus(status) not in FINAL_STATUSES:
            raise ExecutionNotDeletable(execution_id, ExecutionStatus(status))
        log.connection.execute('DELETE FROM executions WHERE number = ?', (number,))
        log.connection.execute('DELETE FROM callbacks WHERE number = ?', (number,))
        remove_terms(log.connection, number, terms_of(summary_from(document)))
        subject = execution_subject(EntityRef.from_path(entity), script_id, execution_id)
        tombstones.append(
            Happening(kind=EventKind.EXECUTION_DELETED, subject=subject, actor=actor, cause=cause)
        )
    return log.append(tombstones)


_LAST_ID = """
    SELECT max(
        coalesce(last_id, ''),
        coalesce((SELECT id FROM executions ORDER BY number DESC LIMIT 1), '')
    ) FROM store_state
"""


def read_last_id(connection: sqlite3.Connection) -> str | None:
    """Return the greatest id ever given, or None."""
    last_id: str
    (last_id,) = connection.execute(_LAST_ID).fetchone()
    return last_id or None


def keep_last_id(connection: sqlite3.Connection) -> None:
    """Note the greatest id: who had it may be removed next, and till then its row tells."""
    connection.execute(f'UPDATE store_state SET last_id = ({_LAST_ID})')


def keep_up_sec(connection: sqlite3.Connection, up_sec: float) -> None:
    """Note the seconds that all gateways on this database were up."""
    connection.execute('UPDATE store_state SET up_sec = ?', (up_sec,))
