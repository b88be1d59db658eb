# SPDX-License-Identifier: Apache-2.0
"""Versions of instances, as a test sets them."""

from collections.abc import Mapping

from gateway_node.executions.instance_refs import InstanceRef


class FakeInstances:
    """An `InstanceVersions` of these."""

    def __init__(self, known: Mapping[InstanceRef, str]) -> None:
        self.known = known

    def version_of(self, ref: InstanceRef) -> str | None:
        """Return the version that an instance has now; None where there is no such one."""
        return self.known.get(ref)

    def versions(self) -> Mapping[InstanceRef, str]:
        """Return the versions that all instances have now."""
        return self.known
