# SPDX-License-Identifier: Apache-2.0
"""The children of an execution, counted."""

from collections import Counter
import sqlite3

from gateway_node.executions.child_counts import ChildCounts
from gateway_node.executions.values import ExecutionStatus
from gateway_node.scripts.values import Verdict
from gateway_node.storage.terms import TermField


def read_child_counts(
    connection: sqlite3.Connection, parent_id: str, schedule_id: str | None
) -> ChildCounts:
    """Count those that name a parent, but for its schedule, by the index of parents."""
    rows = connection.execute(
        """
        SELECT status, json_extract(document, '$.verdict'), count(*)
        FROM postings CROSS JOIN executions USING (number)
        WHERE term = (SELECT term FROM terms WHERE field = ? AND value = ?) AND id IS NOT ?
        GROUP BY 1, 2
        """,
        (TermField.PARENT, parent_id, schedule_id),
    )
    by_status: Counter[ExecutionStatus] = Counter()
    by_verdict: Counter[Verdict] = Counter()
    for status, verdict, count in rows:
        by_status[ExecutionStatus(status)] += count
        if verdict is not None:
            by_verdict[Verdict(verdict)] += count
    return ChildCounts(by_status=by_status, by_verdict=by_verdict)
