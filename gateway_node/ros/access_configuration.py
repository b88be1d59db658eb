# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that says who may do what; knows nothing of rclpy."""

from dataclasses import dataclass
from pathlib import Path

from gateway_node.ros.errors import ParameterInvalid


@dataclass(frozen=True, kw_only=True)
class JwtConfiguration:
    """Which JSON Web Tokens are taken."""

    keys_file: Path
    """Absolute."""
    issuer: str
    audience: str
    leeway_sec: float
    name_claim: str
    role_claim: str
    entities_claim: str
    scripts_claim: str
    tags_claim: str


@dataclass(frozen=True, kw_only=True)
class AuthConfiguration:
    """Who is let in, and as whom."""

    tokens_file: Path | None
    """Absolute; None where there is none."""
    allow_anonymous_access: bool
    open_probes: bool
    token_expiry_sec: float
    refresh_token_expiry_sec: float
    jwt: JwtConfiguration | None
    """None where none are."""


@dataclass(frozen=True, kw_only=True)
class LocksConfiguration:
    """Locks on entities."""

    max_expiration_sec: int
    breakable: bool


@dataclass(frozen=True, kw_only=True)
class RateLimitConfiguration:
    """How often clients may ask."""

    requests_per_sec: float
    """0 for any number."""
    burst: int


@dataclass(frozen=True, kw_only=True)
class ProximityConfiguration:
    """How it is proven that somebody is beside the robot."""

    command: tuple[str, ...]
    """Shows a one-time code; empty for none."""
    topic: bool
    verifier: str
    """`package.module:factory` of the site's own; empty for one-time codes."""
    code_digits: int
    valid_sec: float
    max_failures: int

    def __post_init__(self) -> None:
        """Raise ParameterInvalid where parts of it do not go together."""
        if self.verifier and (self.command or self.topic):
            allowed = "'' beside proximity.command or proximity.topic: they show codes of its own"
            raise ParameterInvalid('proximity.verifier', self.verifier, allowed)


@dataclass(frozen=True, kw_only=True)
class AuditConfiguration:
    """What is noted of requests."""

    enabled: bool
    required: bool
    max_file_mb: float
    """MiB."""
    max_files: int

    def __post_init__(self) -> None:
        """Raise ParameterInvalid where parts of it do not go together."""
        if self.required and not self.enabled:
            raise ParameterInvalid('audit.required', True, 'false, where audit.enabled is')
