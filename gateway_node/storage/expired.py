# SPDX-License-Identifier: Apache-2.0
"""What is not kept any longer, in SQL."""

import sqlite3

from gateway_node.executions.ports import RetentionPolicy
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES
from gateway_node.storage.counts import read_counts


def read_expired(
    connection: sqlite3.Connection, policy: RetentionPolicy, limit: int, up_sec: float
) -> tuple[str, ...]:
    """Look at the `limit` longest ended of each status: those that expired are among them."""
    query = """
        SELECT ended_sec, id FROM executions WHERE status = ? AND ended_sec IS NOT NULL
        ORDER BY ended_sec, id LIMIT ?
    """
    ended = sorted(
        (ended_sec, execution_id, status)
        for status in sorted(FINAL_STATUSES, key=lambda each: each.value)
        for ended_sec, execution_id in connection.execute(query, (status.value, limit))
    )
    surplus = 0
    if policy.max_executions:
        counts = read_counts(connection)
        surplus = sum(counts[status] for status in FINAL_STATUSES) - policy.max_executions
    expired = []
    for rank, (ended_sec, execution_id, status) in enumerate(ended):
        failed = status is ExecutionStatus.FAILED
        max_age = policy.max_failed_age_sec if failed else policy.max_age_sec
        if rank < surplus or 0 < max_age < up_sec - ended_sec:
            expired.append(execution_id)
    return tuple(expired[:limit])
