# SPDX-License-Identifier: Apache-2.0
"""What executions are found by: each value of an indexed field is a term, with its executions.

All such fields share one table of terms and one of their executions, by number (decision 039).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
import enum
import itertools
import sqlite3
from typing import Any, NamedTuple

from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES


class TermField(enum.IntEnum):
    """An indexed field; the numbers are in databases."""

    ENTITY = 1
    """Its path."""
    SCRIPT = 2
    """The id of the script."""
    STATUS = 3
    """A final one: open executions are few, and have an index of their own."""
    EXIT_CODE = 4
    """As decimal digits."""
    VENDOR_CODE = 5
    """Why it failed."""
    VERDICT = 6
    """What the script found."""
    TRIGGER = 7
    """The type of what started it."""
    USERNAME = 8
    """Who started it."""
    PARENT = 9
    """The id of what led to it."""
    SCHEDULE = 10
    """The id of the schedule that came with it."""
    TAG = 11
    """Of the script, as it was."""
    SCRIPT_OF_ENTITY = 12
    """Its path: entities may share a managed script's id."""
    INSTANCE = 13
    """With its script, by id and by name: `instance_of_script`."""
    FIRING = 14
    """Of what started it, or stopped it, as decimal digits."""


class Term(NamedTuple):
    """One value of an indexed field."""

    field: TermField
    value: str


def script_of_entity(entity: str, script_id: str) -> Term:
    """Return the term of the executions of one script of one entity."""
    return Term(TermField.SCRIPT_OF_ENTITY, f'{entity}/scripts/{script_id}')


def instance_of_script(script: str, name: str) -> Term:
    """Return the term of the executions of one instance of scripts of an id, or of a name."""
    return Term(TermField.INSTANCE, f'{script}:{name}')


def terms_of(summary: Mapping[str, Any]) -> frozenset[Term]:
    """Return the terms of an execution, from its summary."""
    return frozenset(
        Term(field, str(value)) for field, value in _values(summary) if value is not None
    )


def _values(summary: Mapping[str, Any]) -> Iterator[tuple[TermField, object]]:
    yield TermField.ENTITY, summary['entity']
    yield TermField.SCRIPT, summary['script_id']
    yield script_of_entity(summary['entity'], summary['script_id'])
    if ExecutionStatus(summary['status']) in FINAL_STATUSES:
        yield TermField.STATUS, summary['status']
    yield TermField.EXIT_CODE, summary.get('exit_code')
    yield TermField.VENDOR_CODE, summary.get('error', {}).get('vendor_code')
    yield TermField.VERDICT, summary.get('verdict')
    yield TermField.TRIGGER, summary['trigger']['type']
    yield TermField.USERNAME, summary['trigger'].get('username')
    yield TermField.PARENT, summary.get('parent')
    yield TermField.SCHEDULE, summary.get('schedule')
    if 'instance' in summary:
        for script in {summary['script_id'], summary.get('script_name')} - {None}:
            yield instance_of_script(script, summary['instance'])
    for trigger in (summary['trigger'], summary.get('stop_trigger', {})):
        yield TermField.FIRING, trigger.get('firing')
    for tag in summary.get('tags', ()):
        yield TermField.TAG, tag


def add_terms(connection: sqlite3.Connection, number: int, terms: Collection[Term]) -> None:
    """Note that an execution has these terms, which it had not."""
    if not terms:
        return
    pairs = ', '.join(['(?, ?)'] * len(terms))
    add = f"""
        INSERT OR IGNORE INTO postings
        SELECT term, ? FROM terms WHERE (field, value) IN (VALUES {pairs})
    """
    values = (number, *itertools.chain.from_iterable(terms))
    if connection.execute(add, values).rowcount < len(terms):
        # One that no execution had until now.
        connection.executemany('INSERT OR IGNORE INTO terms (field, value) VALUES (?, ?)', terms)
        connection.execute(add, values)


def remove_terms(connection: sqlite3.Connection, number: int, terms: Iterable[Term]) -> None:
    """Note that an execution has these terms no longer; nothing is left of the last of a term."""
    for each in terms:
        query = 'SELECT term FROM terms WHERE field = ? AND value = ?'
        (term,) = connection.execute(query, each).fetchone()
        connection.execute('DELETE FROM postings WHERE term = ? AND number = ?', (term, number))
        connection.execute(
            """
            DELETE FROM terms WHERE term = :term
            AND NOT EXISTS (SELECT 1 FROM postings WHERE term = :term)
            """,
            {'term': term},
        )


def add_script_name(connection: sqlite3.Connection, summary: Mapping[str, Any]) -> None:
    """Note under which name a script is executed."""
    if name := summary.get('script_name'):
        connection.execute(
            'INSERT OR IGNORE INTO script_names VALUES (?, ?)', (name, summary['script_id'])
        )


def read_values(connection: sqlite3.Connection, field: TermField) -> frozenset[str]:
    """Return all values of a field that executions have."""
    rows = connection.execute('SELECT value FROM terms WHERE field = ?', (field,))
    return frozenset(value for (value,) in rows)


def read_script_ids(connection: sqlite3.Connection, names: Iterable[str]) -> frozenset[str]:
    """Return the ids of the scripts that were executed under one of these names."""
    query = 'SELECT script_id FROM script_names WHERE name = ?'
    return frozenset(
        script_id for name in names for (script_id,) in connection.execute(query, (name,))
    )
