# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that says who may do what; knows nothing of rclpy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class AuthConfiguration:
    """Who is let in, and as whom."""

    allow_anonymous_access: bool
    open_probes: bool
