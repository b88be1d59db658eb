# SPDX-License-Identifier: Apache-2.0
"""Archives of evidence, in memory."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
import hashlib
import io
import zipfile

from gateway_node.evidence.errors import NotKept
from gateway_node.evidence.evidence_parts import KeptEvidence, Part, SUMMARY


class InMemoryEvidenceFiles:
    """Fulfils the port `EvidenceFiles`."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        """Archives by execution."""
        self.written: list[str] = []
        """Of which executions, one after the other."""
        self.refusal = ''
        """Why nothing can be written."""
        self.hold = asyncio.Event()
        """Not set while a test has who writes wait."""
        self.hold.set()
        self.writes = 0
        """How many began to."""

    async def keep(self, execution_id: str, parts: Sequence[Part]) -> None:
        """Keep an archive; NotKept where the test says why."""
        self.writes += 1
        await self.hold.wait()
        if self.refusal:
            raise NotKept(self.refusal)
        content = io.BytesIO()
        with zipfile.ZipFile(content, 'w') as archive:
            for part in parts:
                archive.writestr(part.name, part.content)
        self.kept[execution_id] = content.getvalue()
        self.written.append(execution_id)

    async def find(self, execution_id: str) -> KeptEvidence | None:
        """Return what is kept."""
        if execution_id not in self.kept:
            return None
        content = self.kept[execution_id]
        return KeptEvidence(
            size=len(content),
            digest=hashlib.sha256(content).hexdigest(),
            summary=self.parts(execution_id)[SUMMARY],
        )

    async def read(self, execution_id: str, names: Collection[str]) -> Mapping[str, bytes]:
        """Return some parts."""
        if execution_id not in self.kept:
            return {}
        parts = self.parts(execution_id)
        return {name: parts[name] for name in names if name in parts}

    async def content(
        self, execution_id: str, kept: KeptEvidence, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield some bytes."""
        yield self.kept[execution_id][begin:end]

    async def remove(self, execution_id: str) -> None:
        """Forget what is kept."""
        self.kept.pop(execution_id, None)

    def parts(self, execution_id: str) -> dict[str, bytes]:
        """Return all that is in an archive."""
        with zipfile.ZipFile(io.BytesIO(self.kept[execution_id])) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
