# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that says who may do what; knows nothing of rclpy."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class AuthConfiguration:
    """Who is let in, and as whom."""

    tokens_file: Path | None
    """Absolute; None where there is none."""
    allow_anonymous_access: bool
    open_probes: bool


@dataclass(frozen=True, kw_only=True)
class LocksConfiguration:
    """Locks on entities."""

    max_expiration_sec: int
    breakable: bool
