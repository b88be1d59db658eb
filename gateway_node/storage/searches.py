# SPDX-License-Identifier: Apache-2.0
"""Pages of the executions that a filter finds, as one moment of the database has them.

The rows that one request looks at are bounded: others wait for the reading thread meanwhile.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import math
import sqlite3
from typing import Any

from gateway_node.executions.filters import EVER, ExecutionFilter
from gateway_node.executions.pages import FoundPage, KeysetPage
from gateway_node.storage.conditions import has_patterns, with_paths
from gateway_node.storage.parameter_conditions import parameters_condition
from gateway_node.storage.scope_terms import read_scope_terms
from gateway_node.storage.set_backs import EVERYWHERE, MAX_NUMBER, Span, spans_of
from gateway_node.storage.terms import read_script_ids, read_values, TermField
from gateway_node.storage.walks import (
    Direction,
    numbers_query,
    rows_query,
    Walk,
    walks_of,
)

_PROBED = 200
"""Steps that each walk is tried for: the one that gets farthest has the fewest rows."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What one request may look at."""

    rows: int = 10_000
    parameter_bytes: int = 8 * 1024 * 1024
    """Of the input and output parameters that are searched."""


PAGE_BOUNDS = Bounds()


@dataclass(kw_only=True)
class Search:
    """One request for what a filter finds, in the order of numbers."""

    connection: sqlite3.Connection
    direction: Direction
    bounds: Bounds
    spans: tuple[Span, ...]
    """Where it may lie, in the direction."""
    walk: Walk
    holds: Callable[[str], bool] | None
    """What the parameters have to fulfil, if anything."""
    told: str = 'document'
    """What of each row is looked for: an expression of SQL that is never NULL."""
    looked_at: int = 0
    looked_at_bytes: int = 0
    last: int | None = None
    """The number of the last row that was looked at."""
    exhausted: bool = False
    """True where a bound was met."""

    @property
    def selective(self) -> bool:
        """True where some of the walk may not be wanted."""
        return self.walk.condition is not None or self.holds is not None

    def found(self, limit: int | None = None) -> Iterator[tuple[int, Any]]:
        """Yield the number of up to `limit` that are wanted, with what is told of each.

        Within the bounds, but for a limited number where all of the walk is wanted.
        """
        if limit is not None and not self.selective:
            yield from self._first(limit)
            return
        left = self.bounds.rows if limit is None else limit
        for span in self.spans:
            for number, told in self._looked_at(span, self.bounds.rows - self.looked_at):
                if told is not None:
                    yield number, told
                    left -= 1
                self.exhausted = (
                    self.looked_at >= self.bounds.rows
                    or self.looked_at_bytes >= self.bounds.parameter_bytes
                )
                if left == 0 or self.exhausted:
                    return

    def _first(self, limit: int) -> Iterator[tuple[int, Any]]:
        """Yield the first ones of a walk of which all is wanted."""
        left, last = limit, None
        for span in self.spans:
            rows = left * len(self.walk.arms)
            query = rows_query(self.walk, self.direction, span, rows, told=self.told)
            for number, told, _ in self.connection.execute(query.sql, query.arguments):
                if number == last:
                    continue
                last = number
                yield number, told
                left -= 1
                if left == 0:
                    return

    def _looked_at(self, span: Span, rows: int) -> Iterator[tuple[int, Any]]:
        """Yield the number of each row, and what is told where it is wanted, the first time."""
        searched = self.holds is not None
        query = rows_query(
            self.walk, self.direction, span, rows, told=self.told, parameters=searched
        )
        for number, told, parameters in self.connection.execute(query.sql, query.arguments):
            self.looked_at += 1
            again, self.last = number == self.last, number
            if parameters is not None:
                self.looked_at_bytes += len(parameters)
            wanted = not again and (
                self.holds is None or parameters is None or self.holds(parameters)
            )
            yield number, told if wanted else None


def search_of(
    connection: sqlite3.Connection,
    wanted: ExecutionFilter,
    direction: Direction,
    bounds: Bounds,
    *,
    within: Span = EVERYWHERE,
) -> Search:
    """Return a request for what is wanted of a span of numbers."""
    if has_patterns(wanted):
        wanted = with_paths(wanted, read_values(connection, TermField.ENTITY))
    spans = spans_of(connection, wanted.created)
    if spans is None:
        spans = [EVERYWHERE]
    else:
        wanted = replace(wanted, created=EVER)
    spans = [(max(low, within[0]), min(high, within[1])) for low, high in spans]
    spans = [(low, high) for low, high in spans if low <= high]
    if direction is Direction.DOWN:
        spans.reverse()
    walks = walks_of(
        wanted,
        read_script_ids(connection, wanted.scripts or ()),
        read_scope_terms(connection, wanted.scope),
    )
    if not all(walk.arms for walk in walks):
        spans = []  # there is nothing of one of the fields
    return Search(
        connection=connection,
        direction=direction,
        bounds=bounds,
        spans=tuple(spans),
        walk=_shortest(connection, walks, direction, spans),
        holds=parameters_condition(wanted),
    )


def find_page(
    connection: sqlite3.Connection,
    wanted: ExecutionFilter,
    page: KeysetPage,
    bounds: Bounds = PAGE_BOUNDS,
) -> FoundPage[str]:
    """Return a page of the executions that are wanted, newest first, as texts of any version."""
    direction, limit = Direction.UP if page.limit > 0 else Direction.DOWN, abs(page.limit)
    within = _behind(connection, page.reference, direction)
    if page.below is not None:
        within = within[0], min(within[1], page.below - 1)
    search = search_of(connection, wanted, direction, bounds, within=within)
    found = [*search.found(limit + 1)]
    documents = [document for _, document in found[:limit]]
    more = None
    if len(found) > limit:
        more = found[limit - 1][0]
    elif search.exhausted:
        more = search.last
    return FoundPage(
        executions=tuple(reversed(documents) if direction is Direction.UP else documents),
        more=None if more is None else _id_of(connection, more),
        complete=len(found) >= limit or not search.exhausted,
    )


def _behind(connection: sqlite3.Connection, reference: str | None, direction: Direction) -> Span:
    """Return where all ids behind one lie; nothing of that id has to exist."""
    if reference is None:
        return EVERYWHERE
    sign = '>' if direction is Direction.UP else '<'
    row = connection.execute(
        f'SELECT number FROM executions WHERE id {sign} ? ORDER BY id {direction.value} LIMIT 1',
        (reference,),
    ).fetchone()
    if row is None:
        return 1, 0
    return (row[0], MAX_NUMBER) if direction is Direction.UP else (0, row[0])


def _id_of(connection: sqlite3.Connection, number: int) -> str:
    execution_id: str
    (execution_id,) = connection.execute(
        'SELECT id FROM executions WHERE number = ?', (number,)
    ).fetchone()
    return execution_id


def _shortest(
    connection: sqlite3.Connection,
    walks: tuple[Walk, ...],
    direction: Direction,
    spans: list[Span],
) -> Walk:
    """Return the walk that has the fewest rows where it begins."""
    if len(walks) == 1 or not spans:
        return walks[0]
    first = connection.execute(
        'SELECT number FROM executions WHERE number BETWEEN ? AND ? '
        f'ORDER BY number {direction.value} LIMIT 1',
        spans[0],
    ).fetchone()
    if first is None:
        return walks[0]

    def reach(walk: Walk) -> float:
        query = numbers_query(walk, direction, spans[0], 1, skip=_PROBED)
        row = connection.execute(query.sql, query.arguments).fetchone()
        return math.inf if row is None else abs(row[0] - first[0])

    return max(walks, key=reach)
