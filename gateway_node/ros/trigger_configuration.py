# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that says what triggers may do; knows nothing of rclpy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TriggersConfiguration:
    """What on the robot starts and stops instances of scripts."""

    max_instances: int
    """That clients may make."""
    max_rate_hz: float
    """How often a second topics are looked at."""
