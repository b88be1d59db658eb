# SPDX-License-Identifier: Apache-2.0
"""What is answered of evidence: what is kept of an execution, and how two of them compare."""

from collections.abc import AsyncIterator, Callable
from functools import partial

from gateway_node.evidence.comparing import compared, side_of
from gateway_node.evidence.errors import EvidenceNotFound
from gateway_node.evidence.evidence_parts import KeptEvidence
from gateway_node.evidence.ports import EvidenceFiles
from gateway_node.evidence.seen_robot import Json
from gateway_node.executions.values import Execution
from gateway_node.strict_json import parse
from gateway_node.threads import Threads


class Evidence:
    """Finds what is kept."""

    def __init__(self, files: EvidenceFiles, is_keeping: Callable[[str], bool]) -> None:
        """`is_keeping` tells of which executions evidence is being kept at the moment."""
        self._files = files
        self._is_keeping = is_keeping
        self._threads = Threads('compare executions', 1)

    async def of(self, execution: Execution) -> KeptEvidence:
        """Return what is kept of an execution; EvidenceNotFound."""
        if execution.is_open:
            raise EvidenceNotFound(execution.id, 'it has not ended')
        if not execution.evidence:
            raise EvidenceNotFound(execution.id, 'nothing asked for it')
        kept = await self._files.find(execution.id)
        if kept is not None:
            return kept
        if self._is_keeping(execution.id):
            raise EvidenceNotFound(execution.id, 'it is being taken')
        raise EvidenceNotFound(
            execution.id, 'it could not be kept: the log says why, or the gateway was killed'
        )

    async def summary(self, execution: Execution) -> Json:
        """Return the summary of what is kept of an execution; EvidenceNotFound."""
        kept = await self.of(execution)
        try:
            summary = parse(kept.summary)
        except ValueError as error:
            raise EvidenceNotFound(execution.id, f'its summary {error}') from error
        if not isinstance(summary, dict):
            raise EvidenceNotFound(execution.id, 'its summary is no JSON object')
        return summary

    def content(
        self, execution_id: str, kept: KeptEvidence, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of an archive from `begin` up to `end`; ConnectionAbortedError where
        they are not there any more."""
        return self._files.content(execution_id, kept, begin, end)

    async def compare(self, this: Execution, other: Execution, *, sees_all: bool) -> Json:
        """Return in what two executions differ, see `compared`."""
        sides = await side_of(self._files, this), await side_of(self._files, other)
        return await self._threads.run(partial(compared, *sides, sees_all=sees_all))
