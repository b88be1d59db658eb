# SPDX-License-Identifier: Apache-2.0
"""The one log of what happened, in SQL."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
import datetime
import itertools
import json
import sqlite3
from typing import Any

from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.documents import to_text
from gateway_node.executions.earlier_documents import renewed_changes
from gateway_node.executions.errors import LogBegins
from gateway_node.executions.events import (
    Cursor,
    Event,
    EventKind,
    FIRST_KINDS,
    Happening,
    LogBounds,
    SCRIPT_KINDS,
)

_AT_ONCE = 100
"""Events that are written by one statement."""
_LOOKED_AT = 2000
"""Events among which those of some subjects are looked for in one go: a millisecond."""
_MAX_SEQUENCE = 2**63 - 1
_COLUMNS = 'sequence, at, kind, subject, actor, cause, changes'


@dataclass(frozen=True, kw_only=True)
class LogWriter:
    """What all events of one commit share."""

    connection: sqlite3.Connection
    epoch: str
    at: datetime.datetime
    up_sec: float
    """The gateway's total time up."""

    def append(self, happened: Sequence[Happening]) -> Iterator[Event]:
        """Add events to the log; yield them."""
        for first in range(0, len(happened), _AT_ONCE):
            yield from self._append(happened[first : first + _AT_ONCE])

    def _append(self, happened: Sequence[Happening]) -> Iterator[Event]:
        rows = ', '.join(['(?, ?, ?, ?, ?, ?, ?)'] * len(happened))
        cursor = self.connection.execute(
            f"""
            INSERT INTO events (at, up_sec, kind, subject, actor, cause, changes) VALUES {rows}
            """,
            tuple(itertools.chain.from_iterable(map(self._row, happened))),
        )
        last = cursor.lastrowid
        assert last is not None
        for sequence, each in enumerate(happened, last - len(happened) + 1):
            yield Event(
                epoch=self.epoch,
                sequence=sequence,
                at=self.at,
                kind=each.kind,
                subject=each.subject,
                actor=each.actor,
                cause=each.cause,
                changes=each.changes,
            )

    def _row(self, each: Happening) -> tuple[object, ...]:
        return (
            self.at.isoformat(),
            self.up_sec,
            each.kind.value,
            each.subject,
            _actor_text(each.actor),
            each.cause,
            to_text(each.changes),
        )


def read_epoch(connection: sqlite3.Connection) -> str:
    """Return the name of the history that the log tells."""
    epoch: str
    (epoch,) = connection.execute('SELECT epoch FROM store_state').fetchone()
    return epoch


def read_bounds(connection: sqlite3.Connection) -> LogBounds:
    """Return where the log begins and ends."""
    epoch = read_epoch(connection)
    newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    ends = newest[0] if newest else 0
    (oldest,) = connection.execute('SELECT min(sequence) FROM events').fetchone()
    begins = ends if oldest is None else oldest - 1
    return LogBounds(
        begins=Cursor(epoch=epoch, sequence=begins), ends=Cursor(epoch=epoch, sequence=ends)
    )


def read_events(connection: sqlite3.Connection, after: Cursor, limit: int) -> tuple[Event, ...]:
    """Return up to `limit` events behind a place in the log; LogBegins."""
    bounds = read_bounds(connection)
    within = bounds.begins.sequence <= after.sequence <= bounds.ends.sequence
    if after.epoch != bounds.ends.epoch or not within:
        raise LogBegins(after, bounds.begins)
    rows = connection.execute(
        f'SELECT {_COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?',
        (after.sequence, limit),
    )
    return tuple(_events(connection, rows))


def read_newest(
    connection: sqlite3.Connection, before: int | None, limit: int
) -> tuple[Event, ...]:
    """Return the last `limit` events, with sequences below `before` where that is given."""
    rows = connection.execute(
        f"""
        SELECT {_COLUMNS} FROM events WHERE sequence < ? ORDER BY sequence DESC LIMIT ?
        """,
        (_MAX_SEQUENCE if before is None else before, limit),
    )
    return tuple(_events(connection, rows))[::-1]


def read_history(
    connection: sqlite3.Connection, subjects: Collection[str], until: int | None, limit: int
) -> Mapping[str, tuple[Event, ...]]:
    """Return the last `limit` events of each of these subjects up to a sequence, from its first
    one on where there are not more.

    The log is read backwards, part by part, not far beyond the first event of each: there is no
    index that would lead there, which every commit would have to pay for.
    """
    found: dict[str, deque[Event]] = {subject: deque() for subject in subjects}
    wanted = set(found)
    bounds = read_bounds(connection)
    last = bounds.ends.sequence if until is None else until
    while wanted and last > bounds.begins.sequence:
        marks = ', '.join('?' * len(wanted))
        rows = connection.execute(
            f"""
            SELECT {_COLUMNS} FROM events
            WHERE sequence > ? AND sequence <= ? AND subject IN ({marks}) ORDER BY sequence DESC
            """,
            (last - _LOOKED_AT, last, *wanted),
        )
        for event in _events(connection, rows):
            if event.subject in wanted:
                events = found[event.subject]
                events.appendleft(event)
                if event.kind in FIRST_KINDS or len(events) == limit:
                    wanted.remove(event.subject)
        last -= _LOOKED_AT
    return {subject: tuple(events) for subject, events in found.items()}


def _events(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> Iterator[Event]:
    """Make events of rows."""
    epoch, earlier = connection.execute('SELECT epoch, earlier_events FROM store_state').fetchone()
    for sequence, at, name, subject, actor, cause, text in rows:
        kind, changes = EventKind(name), json.loads(text)
        # Up to there they were told by earlier versions.
        if sequence <= earlier and kind not in SCRIPT_KINDS:
            changes = renewed_changes(changes)
        yield Event(
            epoch=epoch,
            sequence=sequence,
            at=datetime.datetime.fromisoformat(at),
            kind=kind,
            subject=subject,
            actor=_actor(actor),
            cause=cause,
            changes=changes,
        )


def _actor_text(actor: Actor) -> str | None:
    """Return an actor as JSON; None for the gateway, which most events are of."""
    if actor == GATEWAY:
        return None
    return to_text({'name': actor.name, 'role': actor.role.value, 'origin': actor.origin})


def _actor(text: str | None) -> Actor:
    if text is None:
        return GATEWAY
    values = json.loads(text)
    return Actor(name=values['name'], role=Role(values['role']), origin=values['origin'])
