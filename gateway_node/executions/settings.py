# SPDX-License-Identifier: Apache-2.0
"""What the configuration says about executions."""

from dataclasses import dataclass

from gateway_node.executions.store_ports import LogPolicy, RetentionPolicy


@dataclass(frozen=True, kw_only=True)
class ConcurrencyLimits:
    """How many executions may be open at a time; schedules do not count."""

    max_executions: int
    max_executions_per_entity: int


@dataclass(frozen=True, kw_only=True)
class LineSettings:
    """How executions wait for their places."""

    max_waiting: int
    """Executions that may wait where a client starts another one; 0 for none, so that what finds
    no place is refused."""
    max_wait_sec: float
    """Seconds after which who waits goes before those with a higher priority."""


@dataclass(frozen=True, kw_only=True)
class RestartSettings:
    """What the configuration says about restarts."""

    min_interval_sec: float
    """Seconds between two starts of one schedule, so that a crash loop does not become its own
    cause."""
    entity_timeout_sec: float
    """Seconds that an execution waits for its entity to come online."""
    start_prepared: bool
    """Whether executions that were accepted and never started are started after all."""
    max_schedules: int = 0
    """Schedules that may wait; 0 for no limit."""


@dataclass(frozen=True, kw_only=True)
class ExecutionSettings:
    """All of it."""

    default_timeout_sec: float
    stop_grace_period_sec: float
    concurrency: ConcurrencyLimits
    retention: RetentionPolicy
    log: LogPolicy
    restarts: RestartSettings
    line: LineSettings
    max_open_per_identity: int = 0
    """Executions and schedules that one identity may have open; 0 for no limit."""
