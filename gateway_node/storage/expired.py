# SPDX-License-Identifier: Apache-2.0
"""What is not kept any longer, in SQL."""

from collections.abc import Iterator
import sqlite3
from typing import NamedTuple

from gateway_node.executions.store_ports import RetentionPolicy
from gateway_node.executions.values import ExecutionStatus, FINAL_STATUSES
from gateway_node.storage.counts import read_counts, read_kept_bytes


class _Ended(NamedTuple):
    """An ended execution; the longest ended is the least."""

    ended_sec: float
    id: str
    failed: bool
    kept_bytes: int | None


def read_expired(
    connection: sqlite3.Connection, policy: RetentionPolicy, limit: int, up_sec: float
) -> tuple[str, ...]:
    """Return up to `limit` ids: by number and age, the longest ended first, then by the disk.

    It looks at the `limit` longest ended of each status: those that expired are among them.
    """
    surplus = surplus_bytes = 0
    if policy.max_executions:
        counts = read_counts(connection)
        surplus = sum(counts[status] for status in FINAL_STATUSES) - policy.max_executions
    if policy.max_disk_bytes:
        surplus_bytes = sum(read_kept_bytes(connection).values()) - policy.max_disk_bytes

    def is_too_old(ended: _Ended) -> bool:
        max_age = policy.max_failed_age_sec if ended.failed else policy.max_age_sec
        return 0 < max_age < up_sec - ended.ended_sec

    if max(surplus, surplus_bytes) <= 0 and not any(
        map(is_too_old, _longest_ended(connection, 1))
    ):
        # As nearly always: this is asked after each end.
        return ()
    ended = enumerate(sorted(_longest_ended(connection, limit)))
    expired = [each for rank, each in ended if rank < surplus or is_too_old(each)]
    surplus_bytes -= sum(each.kept_bytes or 0 for each in expired)
    if surplus_bytes > 0 and len(expired) < limit:
        measured = {*_longest_ended(connection, limit, 'AND kept_bytes IS NOT NULL')}
        left = sorted(measured - {*expired})
        failed_bytes = read_kept_bytes(connection)[ExecutionStatus.FAILED]
        failed_bytes -= sum(each.kept_bytes or 0 for each in expired if each.failed)
        beyond_half = {
            *_first_bytes(
                [each for each in left if each.failed], failed_bytes - policy.max_disk_bytes / 2
            )
        }
        left.sort(key=lambda each: (each not in beyond_half, each.failed))
        expired += _first_bytes(left, surplus_bytes)
    return tuple(each.id for each in expired[:limit])


def _longest_ended(
    connection: sqlite3.Connection, limit: int, condition: str = ''
) -> Iterator[_Ended]:
    query = f"""
        SELECT ended_sec, id, kept_bytes FROM executions
        WHERE status = ? AND ended_sec IS NOT NULL {condition} ORDER BY ended_sec, id LIMIT ?
    """
    for status in FINAL_STATUSES:
        failed = status is ExecutionStatus.FAILED
        for ended_sec, execution_id, kept_bytes in connection.execute(
            query, (status.value, limit)
        ):
            yield _Ended(ended_sec, execution_id, failed, kept_bytes)


def _first_bytes(measured: list[_Ended], surplus_bytes: float) -> Iterator[_Ended]:
    """Yield the first ones that take the surplus together."""
    for each in measured:
        if surplus_bytes <= 0:
            return
        yield each
        surplus_bytes -= each.kept_bytes or 0
