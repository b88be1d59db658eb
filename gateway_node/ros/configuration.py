# SPDX-License-Identifier: Apache-2.0
"""The configuration: one frozen value; `configuration_reading.py` makes it of the parameters."""

from dataclasses import dataclass
import ipaddress
from pathlib import Path

from gateway_node.callbacks.allowed import Entry
from gateway_node.ros.access_configuration import (
    AuditConfiguration,
    AuthConfiguration,
    LocksConfiguration,
    ProximityConfiguration,
    RateLimitConfiguration,
)
from gateway_node.ros.evidence_configuration import EvidenceConfiguration
from gateway_node.ros.transport_configuration import CorsConfiguration, TlsConfiguration
from gateway_node.ros.trigger_configuration import TriggersConfiguration
from gateway_node.scripts.values import Limits

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, kw_only=True)
class ServerConfiguration:
    """The HTTP server."""

    host: str
    port: int
    path_prefix: str
    max_connections: int
    allowed_hosts: tuple[str, ...]
    """Host names as a user listed them; see `names`."""
    trusted_proxies: tuple[IpNetwork, ...]
    """A single address is a network of one."""
    tls: TlsConfiguration | None
    """None where plain HTTP is spoken."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names for which the gateway answers beside those of its host: what it listens on
        under a name is reached by that name."""
        return (*self.allowed_hosts, *(name.strip() for name in self.host.split(',')))


@dataclass(frozen=True, kw_only=True)
class StreamsConfiguration:
    """Streams of events."""

    max: int
    max_per_client: int
    heartbeat_sec: float


@dataclass(frozen=True, kw_only=True)
class ScriptsConfiguration:
    """Scripts and their executions."""

    scripts_dir: Path | None
    """Absolute; None where scripts are turned off."""
    allow_uploads: bool
    max_file_size_mb: float
    """MiB."""
    max_scripts: int | None
    """None for no limit."""
    max_concurrent_executions: int
    max_concurrent_executions_per_entity: int
    default_timeout_sec: float
    stop_grace_period_sec: float
    manifest: Path | None
    keep_working_directories: bool

    @property
    def max_file_size_bytes(self) -> int:
        """`max_file_size_mb` in bytes."""
        return int(self.max_file_size_mb * 1024 * 1024)


@dataclass(frozen=True, kw_only=True)
class ArtifactsConfiguration:
    """What is kept of the files that an execution leaves."""

    max_files: int
    max_file_mb: float
    """MiB."""
    max_total_mb: float
    """MiB."""


@dataclass(frozen=True, kw_only=True)
class EntitiesConfiguration:
    """Which entities there are."""

    manifest: Path | None
    ignored_nodes: tuple[str, ...]
    """Globs of nodes that are no apps."""


@dataclass(frozen=True, kw_only=True)
class EnvironmentConfiguration:
    """The environment of scripts."""

    setup_files: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class PythonConfiguration:
    """The interpreter that Python scripts are forked from."""

    warm: bool
    warm_modules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HistoryConfiguration:
    """How long ended executions are kept."""

    max_executions: int | None
    """None for no limit."""
    max_age_days: float | None
    """None for no limit."""
    max_failed_age_days: float | None
    """None for no limit."""
    max_disk_mb: float | None
    """MiB; None for no limit."""
    archive_dir: Path | None
    """Absolute; None where what is removed is not archived."""

    @property
    def max_disk_bytes(self) -> int:
        """`max_disk_mb` in bytes; 0 for no limit."""
        return int((self.max_disk_mb or 0) * 1024 * 1024)


@dataclass(frozen=True, kw_only=True)
class LogConfiguration:
    """How much is kept of the log of what happened."""

    max_events: int | None
    """None for no limit."""
    max_age_days: float | None
    """None for no limit."""


@dataclass(frozen=True, kw_only=True)
class ExecutionsConfiguration:
    """How many executions may wait, and how many may be open."""

    max_waiting: int
    """0 for none."""
    max_open_per_identity: int
    """0 for no limit."""


@dataclass(frozen=True, kw_only=True)
class LineConfiguration:
    """The order in which executions wait."""

    max_wait_sec: float


@dataclass(frozen=True, kw_only=True)
class CallbacksConfiguration:
    """Where the ends of executions are told."""

    allowed: tuple[Entry, ...]
    secret_file: Path | None
    """Absolute; None where nothing is signed."""


@dataclass(frozen=True, kw_only=True)
class RestartConfiguration:
    """What happens to executions over a start of the gateway."""

    max_schedules: int | None
    """None for no limit."""
    min_interval_sec: float
    entity_timeout_sec: float
    start_prepared: bool


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All that a user can set, checked; every path is absolute."""

    server: ServerConfiguration
    cors: CorsConfiguration
    streams: StreamsConfiguration
    state_dir: Path
    state_min_free_mb: float
    """MiB; 0 for no bound."""
    scripts: ScriptsConfiguration
    default_limits: Limits
    """Of executions whose script sets none."""
    artifacts: ArtifactsConfiguration
    evidence: EvidenceConfiguration
    entities: EntitiesConfiguration
    environment: EnvironmentConfiguration
    python: PythonConfiguration
    history: HistoryConfiguration
    log: LogConfiguration
    executions: ExecutionsConfiguration
    line: LineConfiguration
    callbacks: CallbacksConfiguration
    restart: RestartConfiguration
    triggers: TriggersConfiguration
    auth: AuthConfiguration
    locks: LocksConfiguration
    rate_limit: RateLimitConfiguration
    proximity: ProximityConfiguration
    audit: AuditConfiguration
    status_topic: str
