# SPDX-License-Identifier: Apache-2.0
"""Where the clock was set back between two executions, so that moments become numbers."""

from collections.abc import Iterator
import datetime
import itertools
import sqlite3

from gateway_node.executions.filters import EVER, Moments
from gateway_node.storage.conditions import moment_text

MAX_NUMBER = 2**63 - 1
_MAX_STRETCHES = 1000
"""Of time between two set-backs, that are looked at one by one."""

Span = tuple[int, int]
"""The least number and the greatest."""
EVERYWHERE: Span = (0, MAX_NUMBER)


_NEIGHBOURS = """
    SELECT before.created_at, behind.number, behind.created_at FROM
        (SELECT max(number), created_at FROM executions WHERE number < ?) AS before,
        (SELECT min(number) AS number, created_at FROM executions WHERE number > ?) AS behind
"""
"""Beside `min` or `max`, SQLite gives the columns of the row that has it
(sqlite.org/lang_select.html, section 2.5)."""


def note_set_backs(connection: sqlite3.Connection, number: int, created_at: str) -> None:
    """Compare a new execution with its neighbours, which may have been recorded before it."""
    before, behind, created_behind = connection.execute(_NEIGHBOURS, (number, number)).fetchone()
    if before is not None and before > created_at:
        _note(connection, number)
    if behind is not None and created_behind < created_at:
        _note(connection, behind)


def _note(connection: sqlite3.Connection, number: int) -> None:
    connection.execute('INSERT OR IGNORE INTO set_backs VALUES (?)', (number,))
    # What lay in front of the oldest that is kept is of no use any more.
    connection.execute(
        'DELETE FROM set_backs WHERE number <= (SELECT min(number) FROM executions)'
    )


def is_ever_set_back(connection: sqlite3.Connection) -> bool:
    """Tell whether the order of creation differs from that of the numbers."""
    return connection.execute('SELECT 1 FROM set_backs LIMIT 1').fetchone() is not None


def spans_of(connection: sqlite3.Connection, created: Moments) -> list[Span] | None:
    """Return where exactly that lies which was created within a part of time, in order; None where
    the clock was set back too often to tell."""
    if created == EVER:
        return [EVERYWHERE]
    rows = connection.execute('SELECT number FROM set_backs ORDER BY number').fetchall()
    if len(rows) >= _MAX_STRETCHES:
        return None
    bounds = [0, *(number for (number,) in rows), MAX_NUMBER]
    return list(_spans(connection, created, bounds))


def _spans(connection: sqlite3.Connection, created: Moments, bounds: list[int]) -> Iterator[Span]:
    """Yield what is wanted of each stretch; where that touches, of several as one."""
    begins = ends = 0
    for first, end in itertools.pairwise(bounds):
        low, high = first, end
        if created.after is not None:
            low = _first_since(connection, created.after, (first, end))
        if created.before is not None:
            high = _first_since(connection, created.before, (low, end))
        if low >= high:
            continue
        if low > ends:
            if begins < ends:
                yield begins, ends - 1
            begins = low
        ends = high
    if begins < ends:
        yield begins, ends - 1


_FIRST = """
    SELECT number, created_at FROM executions WHERE number >= ? AND number < ?
    ORDER BY number LIMIT 1
"""
_LAST = _FIRST.replace('ORDER BY number', 'ORDER BY number DESC')


def _first_since(connection: sqlite3.Connection, moment: datetime.datetime, stretch: Span) -> int:
    """Return the number of the first execution of a stretch that was created at a moment or
    later; the stretch's end where there is none."""
    text, (low, high) = moment_text(moment), stretch
    # The ends of most stretches tell all: those lie before the moment as a whole, or behind it.
    first = connection.execute(_FIRST, stretch).fetchone()
    if first is None or first[1] >= text:
        return low
    last = connection.execute(_LAST, stretch).fetchone()
    if last[1] < text:
        return high
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_FIRST, (middle, high)).fetchone()
        if row is not None and row[1] < text:
            low = row[0] + 1
        else:
            high = middle
    return low
