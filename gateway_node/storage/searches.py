# SPDX-License-Identifier: Apache-2.0
"""Pages of the executions that a filter finds, as one moment of the database has them."""

import itertools
import sqlite3

from gateway_node.executions.documents import executions_from
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import (
    FoundNumberedPage,
    FoundPage,
    KeysetPage,
    NumberedPage,
    Order,
)
from gateway_node.storage.conditions import all_of, conditions_of, has_patterns, with_paths
from gateway_node.storage.parameter_conditions import parameters_condition

_ORDERS = {
    Order.ID: 'id',
    Order.CREATED: 'created_at',
    Order.COMPLETED: "json_extract(document, '$.completed_at')",
    Order.DURATION: "json_extract(document, '$.duration_ms')",
}


def find_page(
    connection: sqlite3.Connection, wanted: ExecutionFilter, page: KeysetPage
) -> FoundPage:
    """Return a page of the executions that are wanted, newest first."""
    upwards, limit = page.limit > 0, abs(page.limit)
    sign, order = ('>', 'ASC') if upwards else ('<', 'DESC')
    bound = '' if page.reference is None else f'AND id {sign} ?'
    reference = () if page.reference is None else (page.reference,)
    condition = all_of(conditions_of(_resolved(connection, wanted)))
    rows = connection.execute(
        f'SELECT id, document, parameters FROM executions WHERE {condition.sql} {bound} '
        f'ORDER BY id {order}',
        (*condition.arguments, *reference),
    )
    holds = parameters_condition(wanted) or (lambda _: True)
    found = [*itertools.islice((row for row in rows if holds(row[2])), limit + 1)]
    more = found[limit - 1][0] if len(found) > limit else None
    documents = [document for _, document, _ in found[:limit]]
    return FoundPage(
        executions=executions_from(reversed(documents) if upwards else documents), more=more
    )


def find_numbered_page(
    connection: sqlite3.Connection, wanted: ExecutionFilter, page: NumberedPage
) -> FoundNumberedPage:
    """Return a page of the executions that are wanted, in its order."""
    condition = all_of(conditions_of(_resolved(connection, wanted)))
    rows = connection.execute(
        f'SELECT document, parameters FROM executions WHERE {condition.sql} '
        f'ORDER BY {_ORDERS[page.order]} DESC, id DESC',
        condition.arguments,
    )
    holds = parameters_condition(wanted) or (lambda _: True)
    found = [document for document, parameters in rows if holds(parameters)]
    first = (page.number - 1) * page.size
    return FoundNumberedPage(
        executions=executions_from(found[first : first + page.size]), total=len(found)
    )


def read_paths(connection: sqlite3.Connection) -> list[str]:
    """Return the paths of the entities of all executions.

    It steps through the index from one to the next: DISTINCT would read all of it.
    """
    rows = connection.execute(
        """
        WITH RECURSIVE found (entity) AS (
            SELECT min(entity) FROM executions
            UNION ALL
            SELECT (SELECT min(entity) FROM executions WHERE entity > found.entity)
            FROM found WHERE found.entity IS NOT NULL
        )
        SELECT entity FROM found WHERE entity IS NOT NULL
        """
    )
    return [path for (path,) in rows]


def _resolved(connection: sqlite3.Connection, wanted: ExecutionFilter) -> ExecutionFilter:
    return with_paths(wanted, read_paths(connection)) if has_patterns(wanted) else wanted
