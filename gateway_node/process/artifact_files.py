# SPDX-License-Identifier: Apache-2.0
"""Reads what scripts left and supervisors kept; fulfils the port `Artifacts`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
import datetime
import os
from pathlib import Path

from gateway_node.child.artifact_index import read_index
from gateway_node.child.contract import ARTIFACTS_DIRECTORY
from gateway_node.child.exposed_files import open_below
from gateway_node.child.messages import ArtifactNote
from gateway_node.executions.artifact import Artifact
from gateway_node.executions.errors import ArtifactNotFound

_PIECE_BYTES = 256 * 1024
_LATEST_SEC = 253_402_300_799
"""The end of the year 9999."""


class ArtifactFiles:
    """Of the executions that have directories in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def of(self, execution_id: str) -> tuple[Artifact, ...]:
        """Return those of an execution, by path; none where it is unknown."""
        note = await asyncio.to_thread(read_index, self._folder / execution_id)
        return () if note is None else tuple(map(_artifact, note['files']))

    async def check(self, execution_id: str, artifacts: Sequence[Artifact]) -> None:
        """Return where these files are there as they were listed; ArtifactNotFound."""
        await asyncio.to_thread(self._check, execution_id, artifacts)

    async def content(
        self, execution_id: str, artifact: Artifact, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of a file from `begin` up to `end`.

        ConnectionAbortedError where they are not there any more.
        """
        try:
            descriptor = await asyncio.to_thread(self._open, execution_id, artifact)
        except ArtifactNotFound as error:
            raise ConnectionAbortedError(str(error)) from error
        try:
            while begin < end:
                size = min(_PIECE_BYTES, end - begin)
                piece = await asyncio.to_thread(os.pread, descriptor, size, begin)
                if not piece:
                    raise ConnectionAbortedError(f'{artifact.path} has become shorter')
                begin += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    def _check(self, execution_id: str, artifacts: Sequence[Artifact]) -> None:
        for artifact in artifacts:
            os.close(self._open(execution_id, artifact))

    def _open(self, execution_id: str, artifact: Artifact) -> int:
        folder = self._folder / execution_id / ARTIFACTS_DIRECTORY
        try:
            descriptor = open_below(folder, artifact.path)
        except OSError as error:
            raise ArtifactNotFound(execution_id, artifact.path) from error
        if os.fstat(descriptor).st_size != artifact.size:
            os.close(descriptor)
            raise ArtifactNotFound(execution_id, artifact.path)
        return descriptor


def _artifact(note: ArtifactNote) -> Artifact:
    # The clock of the robot may have been anywhere.
    modified = min(max(note['modified'], 0), _LATEST_SEC)
    return Artifact(
        path=note['path'],
        size=note['size'],
        modified_at=datetime.datetime.fromtimestamp(modified, datetime.UTC),
        crc32=note['crc32'],
        sha256=note['sha256'],
    )
