# SPDX-License-Identifier: Apache-2.0
"""Instances of scripts and what their triggers did, in SQL: kept in the commits of the events."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
import datetime
import json
import sqlite3
from typing import Any

from gateway_node.clock import rfc3339
from gateway_node.entities.values import EntityRef
from gateway_node.executions.documents import to_text
from gateway_node.executions.events import Change, Event, Happening
from gateway_node.executions.instance_refs import (
    InstanceRef,
    KeptInstance,
    PendingFiring,
    TriggerRef,
    TriggerState,
)

INSTANCES = (
    """
    CREATE TABLE instances (
        entity TEXT NOT NULL,
        script_id TEXT NOT NULL,
        name TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (entity, script_id, name)
    ) WITHOUT ROWID
    """,
    # What is kept of each trigger, which its condition names.
    """
    CREATE TABLE trigger_states (
        entity TEXT NOT NULL,
        script_id TEXT NOT NULL,
        name TEXT NOT NULL,
        condition TEXT NOT NULL,
        truth INTEGER,
        fired INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        last_firing INTEGER,
        last_fired_at TEXT,
        seen_at TEXT,
        PRIMARY KEY (entity, script_id, name, condition)
    ) WITHOUT ROWID
    """,
    # By the sequence of the event that tells of it, which may be gone from the log before.
    """
    CREATE TABLE pending_firings (
        sequence INTEGER PRIMARY KEY,
        entity TEXT NOT NULL,
        script_id TEXT NOT NULL,
        name TEXT NOT NULL,
        condition TEXT NOT NULL,
        pointer TEXT NOT NULL,
        setting TEXT NOT NULL,
        stops INTEGER NOT NULL,
        truth INTEGER
    )
    """,
)

OVER_RESTARTS = (
    # How long gateways were up when it fired last: by that it may not fire again for a while.
    'ALTER TABLE trigger_states ADD COLUMN fired_up_sec REAL',
    # Up to where triggers have looked at the ends of executions that are in the log.
    'ALTER TABLE store_state ADD COLUMN ends_seen INTEGER',
)

_OF_INSTANCE = 'entity = ? AND script_id = ? AND name = ?'
_OF_TRIGGER = f'{_OF_INSTANCE} AND condition = ?'
_ON_TRIGGER = 'ON CONFLICT (entity, script_id, name, condition) DO UPDATE'


def keep_instance(connection: sqlite3.Connection, happening: Happening) -> None:
    """Keep what a happening tells of an instance, where it does."""
    instance = happening.instance
    if instance is None:
        return
    row = _instance_row(instance.ref)
    if instance.document is None:
        connection.execute(f'DELETE FROM instances WHERE {_OF_INSTANCE}', row)
    else:
        document = to_text(instance.document)
        connection.execute(
            'INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?)', (*row, document)
        )
    stays = tuple(instance.stays)
    marks = ', '.join('?' * len(stays))
    connection.execute(
        f'DELETE FROM trigger_states WHERE {_OF_INSTANCE} AND condition NOT IN ({marks})',
        (*row, *stays),
    )


def keep_firings(
    connection: sqlite3.Connection,
    happened: Sequence[Happening],
    events: Sequence[Event],
    up_sec: float,
) -> None:
    """Keep what fired, by the events that tell of it, and settle what was dropped."""
    for each, event in zip(happened, events, strict=True):
        if each.fires is not None:
            _keep_firing(connection, each.fires, event, up_sec)
        if each.settles is not None:
            _drop(connection, each.settles)


def settle_with(connection: sqlite3.Connection, change: Change) -> None:
    """Settle what led to a new execution, or to a stop, where a trigger did."""
    execution = change.execution
    if change.new and execution.trigger.firing is not None:
        _settle(connection, execution.trigger.firing)
    stop = execution.stop_trigger
    if stop is not None and stop.firing is not None:
        _settle(connection, stop.firing)


def _keep_firing(
    connection: sqlite3.Connection, fired: PendingFiring, event: Event, up_sec: float
) -> None:
    trigger = _trigger_row(fired.trigger)
    connection.execute(
        'INSERT INTO pending_firings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        (event.sequence, *trigger, fired.pointer, fired.setting, fired.stops, fired.truth),
    )
    connection.execute(
        f"""
        INSERT INTO trigger_states VALUES (?, ?, ?, ?, ?, 1, 0, ?, ?, ?, ?) {_ON_TRIGGER} SET
            truth = coalesce(excluded.truth, truth),
            fired = fired + 1,
            last_firing = excluded.last_firing,
            last_fired_at = excluded.last_fired_at,
            seen_at = excluded.seen_at,
            fired_up_sec = excluded.fired_up_sec
        """,
        (*trigger, fired.truth, event.sequence, rfc3339(event.at), rfc3339(event.at), up_sec),
    )


def _drop(connection: sqlite3.Connection, sequence: int) -> None:
    row = connection.execute(
        'SELECT entity, script_id, name, condition FROM pending_firings WHERE sequence = ?',
        (sequence,),
    ).fetchone()
    if row is not None:
        count = f'UPDATE trigger_states SET dropped = dropped + 1 WHERE {_OF_TRIGGER}'
        connection.execute(count, row)
        _settle(connection, sequence)


def _settle(connection: sqlite3.Connection, sequence: int) -> None:
    connection.execute('DELETE FROM pending_firings WHERE sequence = ?', (sequence,))


def read_instances(connection: sqlite3.Connection) -> tuple[KeptInstance, ...]:
    """Return all that are kept, in the order of their subjects."""
    rows = connection.execute('SELECT entity, script_id, name, document FROM instances')
    found = [KeptInstance(ref=_ref(ref), document=json.loads(document)) for *ref, document in rows]
    return tuple(sorted(found, key=lambda each: each.ref.subject))


def read_pending(connection: sqlite3.Connection) -> dict[int, PendingFiring]:
    """Return what fired and led to nothing yet, by the sequences of the events, in order."""
    return dict(_pending(connection))


def _pending(connection: sqlite3.Connection) -> Iterator[tuple[int, PendingFiring]]:
    rows = connection.execute(
        """
        SELECT sequence, pointer, setting, stops, truth, entity, script_id, name, condition
        FROM pending_firings ORDER BY sequence
        """
    )
    for sequence, pointer, setting, stops, truth, *trigger in rows:
        yield (
            sequence,
            PendingFiring(
                trigger=_trigger(trigger),
                pointer=pointer,
                setting=setting,
                stops=bool(stops),
                truth=_truth(truth),
            ),
        )


def read_states(connection: sqlite3.Connection) -> dict[TriggerRef, TriggerState]:
    """Return what is kept of triggers."""
    return dict(_states(connection))


def keep_truths(
    connection: sqlite3.Connection,
    truths: Mapping[TriggerRef, bool | None],
    at: datetime.datetime,
    ends_seen: int | None,
) -> None:
    """Keep the last truths of conditions, that they were looked at, and up to where the ends of
    executions were, unless that is None."""
    if ends_seen is not None:
        connection.execute('UPDATE store_state SET ends_seen = ?', (ends_seen,))
    connection.executemany(
        f"""
        INSERT INTO trigger_states (entity, script_id, name, condition, truth, seen_at)
        VALUES (?, ?, ?, ?, ?, ?) {_ON_TRIGGER} SET
            truth = coalesce(excluded.truth, truth), seen_at = excluded.seen_at
        """,
        ((*_trigger_row(each), truth, rfc3339(at)) for each, truth in truths.items()),
    )


def read_ends_seen(connection: sqlite3.Connection) -> int | None:
    """Return up to where the ends of executions in the log were looked at."""
    ends_seen: int | None
    (ends_seen,) = connection.execute('SELECT ends_seen FROM store_state').fetchone()
    return ends_seen


def keep_only(connection: sqlite3.Connection, triggers: Collection[TriggerRef]) -> None:
    """Forget the states of all other triggers."""
    kept = set(triggers)
    gone = [_trigger_row(each) for each, _ in _states(connection) if each not in kept]
    connection.executemany(f'DELETE FROM trigger_states WHERE {_OF_TRIGGER}', gone)


def _states(connection: sqlite3.Connection) -> Iterator[tuple[TriggerRef, TriggerState]]:
    rows = connection.execute(
        """
        SELECT truth, fired, dropped, last_firing, last_fired_at, seen_at, fired_up_sec,
            entity, script_id, name, condition
        FROM trigger_states
        """
    )
    for truth, fired, dropped, last_firing, fired_at, seen_at, up_sec, *trigger in rows:
        yield (
            _trigger(trigger),
            TriggerState(
                truth=_truth(truth),
                fired=fired,
                dropped=dropped,
                last_firing=last_firing,
                last_fired_at=_moment(fired_at),
                seen_at=_moment(seen_at),
                fired_up_sec=up_sec,
            ),
        )


def _moment(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text)


def _truth(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _instance_row(ref: InstanceRef) -> tuple[str, str, str]:
    return ref.entity.path, ref.script_id, ref.name


def _trigger_row(trigger: TriggerRef) -> tuple[str, str, str, str]:
    return (*_instance_row(trigger.instance), trigger.condition)


def _ref(row: Iterable[Any]) -> InstanceRef:
    entity, script_id, name = row
    return InstanceRef(entity=EntityRef.from_path(entity), script_id=script_id, name=name)


def _trigger(row: Sequence[Any]) -> TriggerRef:
    return TriggerRef(instance=_ref(row[:3]), condition=row[3])
