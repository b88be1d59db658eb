# SPDX-License-Identifier: Apache-2.0
"""Numbered pages of what a filter finds, and how many there are.

Where all of a walk is wanted, pages and totals come from its index. Else, and in an order that no
index has, a bounded number of the newest rows is looked at.
"""

from collections.abc import Iterable, Iterator
import sqlite3
from typing import Any

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import FoundNumberedPage, NumberedPage, Order
from gateway_node.storage.conditions import moment_in
from gateway_node.storage.counts import read_counts
from gateway_node.storage.searches import Bounds, Search, search_of
from gateway_node.storage.set_backs import EVERYWHERE, is_ever_set_back, Span
from gateway_node.storage.walks import count_query, Direction, numbers_query

NUMBERED_BOUNDS = Bounds(rows=20_000)

_SORTED_BY = {
    Order.CREATED: 'created_at',
    Order.COMPLETED: f"coalesce({moment_in('completed_at')}, '')",
    Order.DURATION: "coalesce(json_extract(document, '$.duration_ms'), '')",
}
"""Expressions; an empty text where there is nothing."""


def find_numbered_page(
    connection: sqlite3.Connection,
    wanted: ExecutionFilter,
    page: NumberedPage,
    bounds: Bounds = NUMBERED_BOUNDS,
) -> FoundNumberedPage[str]:
    """Return a page of the executions that are wanted, in its order, as texts of any version."""
    search = search_of(connection, wanted, Direction.DOWN, bounds)
    by_number = page.order is Order.ID or (
        page.order is Order.CREATED and not is_ever_set_back(connection)
    )
    if by_number and not search.selective:
        return _page_of_index(search, page)
    if not by_number:
        search.told = _SORTED_BY[page.order]
    return _page_of_rows(search, page, by_number=by_number)


def _page_of_index(search: Search, page: NumberedPage) -> FoundNumberedPage[str]:
    skip, size = (page.number - 1) * page.size, page.size
    numbers: list[int] = []
    total = 0
    for span, count in _counts(search):
        here = max(0, skip - total)
        wanted = size - len(numbers)
        if here < count and wanted:
            query = numbers_query(search.walk, search.direction, span, wanted, here)
            rows = search.connection.execute(query.sql, query.arguments)
            numbers += [number for (number,) in rows]
        total += count
    return FoundNumberedPage(executions=tuple(_documents(search.connection, numbers)), total=total)


def _page_of_rows(
    search: Search, page: NumberedPage, *, by_number: bool
) -> FoundNumberedPage[str]:
    first, end = (page.number - 1) * page.size, page.number * page.size
    found = [*search.found()]
    if by_number:
        shown = [document for _, document in found[first:end]]
    else:
        found.sort(key=_sort_key, reverse=True)
        shown = [*_documents(search.connection, (number for number, _ in found[first:end]))]
    total = len(found)
    if search.exhausted:
        walked = sum(count for _, count in _counts(search))
        total = round(walked * total / search.looked_at) if search.selective else walked
    return FoundNumberedPage(
        executions=tuple(shown),
        total=total,
        approximate=search.exhausted and search.selective,
        complete=not search.exhausted or (by_number and len(found) >= end),
    )


def _sort_key(found: tuple[int, Any]) -> tuple[Any, ...]:
    number, value = found
    return (False, number) if value == '' else (True, value, number)


def _documents(connection: sqlite3.Connection, numbers: Iterable[int]) -> Iterator[str]:
    query = 'SELECT document FROM executions WHERE number = ?'
    for number in numbers:
        (document,) = connection.execute(query, (number,)).fetchone()
        yield document


def _counts(search: Search) -> Iterator[tuple[Span, int]]:
    """Yield how much of the walk there is in each span."""
    for span in search.spans:
        if search.walk.is_of_all and span == EVERYWHERE:
            yield span, sum(read_counts(search.connection).values())
        else:
            query = count_query(search.walk, span)
            (count,) = search.connection.execute(query.sql, query.arguments).fetchone()
            yield span, count
