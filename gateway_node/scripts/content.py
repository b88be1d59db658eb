# SPDX-License-Identifier: Apache-2.0
"""The bytes of a script, as they were uploaded, for somebody who downloads it."""

import asyncio
from collections.abc import AsyncIterator
import os
from pathlib import Path
from typing import BinaryIO

from gateway_node.scripts.disk import open_plain
from gateway_node.scripts.errors import LibraryUnavailable
from gateway_node.threads import Threads

_PIECE_BYTES = 256 * 1024
_PATIENCE_SEC = 30.0
"""For the file to open, and for each piece of it: its mount may not answer."""


class Content:
    """An open file, read piece by piece in threads that it may hold up."""

    def __init__(self, name: str, file: BinaryIO, size: int, threads: Threads) -> None:
        """Use `open`."""
        self._name = name
        self._file = file
        self._threads = threads
        self.size = size
        """Bytes."""

    @classmethod
    async def open(cls, path: Path, threads: Threads) -> 'Content':
        """Open a file. Whoever has it reads `pieces` to the end, or closes it.

        Raises:
            OSError: it cannot be read; NoPlainFile where it is none.
            LibraryUnavailable: it does not answer.
        """
        try:
            async with asyncio.timeout(_PATIENCE_SEC):
                file, size = await threads.run(_open, path)
        except TimeoutError as error:
            raise LibraryUnavailable(f'the file does not answer: {path.name}') from error
        return cls(path.name, file, size, threads)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read `size` bytes, a piece at a time, and close the file.

        ConnectionAbortedError where it has become shorter, or does not answer: whoever was told
        its size must not take what came for all of it.
        """
        try:
            left = self.size
            while left:
                piece = await self._piece(min(left, _PIECE_BYTES))
                if not piece:
                    raise ConnectionAbortedError(f'{self._name} has become shorter')
                left -= len(piece)
                yield piece
        finally:
            self.close()

    async def _piece(self, size: int) -> bytes:
        try:
            async with asyncio.timeout(_PATIENCE_SEC):
                return await self._threads.run(self._file.read, size)
        except TimeoutError as error:
            raise ConnectionAbortedError(f'{self._name} does not answer') from error

    def close(self) -> None:
        """Have the file closed; closing again is harmless."""
        # Where it does not answer this waits, like a read of it.
        self._threads.submit(self._file.close)


def _open(path: Path) -> tuple[BinaryIO, int]:
    file = open_plain(path)
    return file, os.fstat(file.fileno()).st_size
