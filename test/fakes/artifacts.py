# SPDX-License-Identifier: Apache-2.0
"""Files that executions left, in memory."""

from collections.abc import AsyncIterator, Sequence
import datetime
import hashlib
import zlib

from gateway_node.executions.artifact import Artifact
from gateway_node.executions.errors import ArtifactNotFound

_MODIFIED_AT = datetime.datetime(2026, 1, 2, 3, 4, 6, tzinfo=datetime.UTC)


class FakeArtifacts:
    """Fulfils the port `Artifacts`; a test says what is there."""

    def __init__(self) -> None:
        self.left: dict[str, dict[str, bytes]] = {}
        """By the execution's id, the contents by path."""
        self.lost: set[str] = set()
        """Paths that are listed, and are not there."""

    async def of(self, execution_id: str) -> tuple[Artifact, ...]:
        """Return what an execution left."""
        return tuple(
            Artifact(
                path=path,
                size=len(content),
                modified_at=_MODIFIED_AT,
                crc32=zlib.crc32(content),
                sha256=hashlib.sha256(content).hexdigest(),
            )
            for path, content in sorted(self.left.get(execution_id, {}).items())
        )

    async def check(self, execution_id: str, artifacts: Sequence[Artifact]) -> None:
        """Return where these files are there; ArtifactNotFound."""
        for artifact in artifacts:
            if artifact.path in self.lost:
                raise ArtifactNotFound(execution_id, artifact.path)

    async def content(
        self, execution_id: str, artifact: Artifact, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield some bytes of a file."""
        yield self.left[execution_id][artifact.path][begin:end]
