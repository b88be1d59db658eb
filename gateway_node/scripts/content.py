# SPDX-License-Identifier: Apache-2.0
"""The bytes of a script, as they were uploaded, for somebody who downloads it."""

from collections.abc import AsyncIterator
import os
from pathlib import Path
from typing import BinaryIO

from gateway_node.threads import Threads

_PIECE_BYTES = 256 * 1024


class Content:
    """An open file, read piece by piece in threads that it may hold up."""

    def __init__(self, file: BinaryIO, threads: Threads) -> None:
        """Use `open`."""
        self._file = file
        self._threads = threads
        self.size = os.fstat(file.fileno()).st_size
        """Bytes."""

    @classmethod
    async def open(cls, path: Path, threads: Threads) -> 'Content':
        """Open a file; OSError. Whoever has it reads `pieces` to the end, or closes it."""
        return cls(await threads.run(path.open, 'rb'), threads)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read `size` bytes, a piece at a time, and close the file.

        ConnectionAbortedError where it has become shorter: whoever was told its size must not
        take what came for all of it.
        """
        try:
            left = self.size
            while left:
                piece = await self._threads.run(self._file.read, min(left, _PIECE_BYTES))
                if not piece:
                    raise ConnectionAbortedError(f'{self._file.name} has become shorter')
                left -= len(piece)
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Close the file; closing again is harmless."""
        self._file.close()
