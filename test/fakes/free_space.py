# SPDX-License-Identifier: Apache-2.0
"""A disk with as much room as a test says."""

from gateway_node.executions.errors import DiskSpaceLow


class FakeFreeSpace:
    """A `FreeSpace` whose disk has room until a test says otherwise."""

    def __init__(self) -> None:
        self.shortage: str | None = None
        """What `check` raises DiskSpaceLow with."""

    async def check(self) -> None:
        """Raise where the test set a shortage."""
        if self.shortage is not None:
            raise DiskSpaceLow(self.shortage)
