# SPDX-License-Identifier: Apache-2.0
"""How many executions there are, and how much of the disk they take, in SQL."""

from collections.abc import Mapping
import sqlite3

from gateway_node.executions.values import ExecutionStatus


def read_counts(connection: sqlite3.Connection) -> Mapping[ExecutionStatus, int]:
    """Return how many executions stand in each status."""
    counts = dict.fromkeys(ExecutionStatus, 0)
    for status, executions in connection.execute('SELECT status, executions FROM status_counts'):
        counts[ExecutionStatus(status)] = executions
    return counts


def read_kept_bytes(connection: sqlite3.Connection) -> Mapping[ExecutionStatus, int]:
    """Return how much of the disk is taken by ended executions that were measured, by status."""
    kept = dict.fromkeys(ExecutionStatus, 0)
    for status, kept_bytes in connection.execute('SELECT status, kept_bytes FROM status_counts'):
        kept[ExecutionStatus(status)] = kept_bytes
    return kept
