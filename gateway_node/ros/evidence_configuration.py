# SPDX-License-Identifier: Apache-2.0
"""The part of the configuration that says what evidence is kept; knows nothing of rclpy."""

from dataclasses import dataclass

from gateway_node.scripts.evidence_policy import EvidenceWhen


@dataclass(frozen=True, kw_only=True)
class EvidenceConfiguration:
    """What is kept of what was around executions."""

    default: EvidenceWhen
    """Where nobody says."""
    max_mb: float

    @property
    def max_bytes(self) -> int:
        """Of the evidence of one execution."""
        return int(self.max_mb * 1024 * 1024)
