# SPDX-License-Identifier: Apache-2.0
"""How many executions there are, in SQL."""

from collections.abc import Mapping
import sqlite3

from gateway_node.executions.values import ExecutionStatus


def read_counts(connection: sqlite3.Connection) -> Mapping[ExecutionStatus, int]:
    """Return how many executions stand in each status."""
    counts = dict.fromkeys(ExecutionStatus, 0)
    for status, executions in connection.execute('SELECT * FROM status_counts'):
        counts[ExecutionStatus(status)] = executions
    return counts
