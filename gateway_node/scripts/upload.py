# SPDX-License-Identifier: Apache-2.0
"""A file on its way in: streamed to the staging directory, hashed and counted as it comes; an
archive is unpacked beside it."""

import asyncio
from contextlib import suppress
import hashlib
import os
from pathlib import Path
import threading
from types import TracebackType

from gateway_node.removal import remove_tree
from gateway_node.scripts.disk import disk_errors, new_file, SCRIPT_MODE
from gateway_node.scripts.errors import ScriptRefused, ScriptTooLarge
from gateway_node.scripts.packages import Package, unpack
from gateway_node.scripts.values import unpacked_folder
from gateway_node.threads import Threads
from gateway_node.to_the_end import ToTheEnd

_CHUNK_BYTES = 256 * 1024
"""Bytes gathered before a thread writes them: a hop costs more than a small write."""


class Upload:
    """A file that is being received; it belongs to no script until the library takes it.

    Used with `async with`: what the library has not taken by the end is removed.
    """

    def __init__(self, path: Path, max_bytes: int, threads: Threads, to_the_end: ToTheEnd) -> None:
        """Receive into `path`, which must not exist."""
        self.path = path
        self.max_bytes = max_bytes
        self.unpacked_path = unpacked_folder(path)
        """Where the files of an archive are, once it is unpacked."""
        self.size = 0
        self.taken = False
        """True once the library has it: to make a script of it, or to `discard` it."""
        self._threads = threads
        self._to_the_end = to_the_end
        self._hash = hashlib.sha256()
        self._gathered = bytearray()
        self._finished = False
        self._package: Package | None = None
        self._given_up = False
        # A cancelled request leaves its thread writing: the descriptor is closed after it only.
        self._lock = threading.Lock()
        self._fd = -1

    @property
    def version(self) -> str:
        """SHA-256 of the bytes received, hexadecimal; final once finished."""
        return self._hash.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Receive some bytes; ScriptTooLarge, LibraryUnavailable."""
        self.size += len(chunk)
        if self.size > self.max_bytes:
            raise ScriptTooLarge(self.max_bytes)
        self._gathered += chunk
        if len(self._gathered) >= _CHUNK_BYTES:
            await self._threads.run(self._flush)

    async def finish(self) -> None:
        """Bring all bytes to the disk; ScriptRefused for no bytes at all, LibraryUnavailable."""
        if self._finished:
            return
        if not self.size:
            raise ScriptRefused('the file is empty; a script has at least one byte')
        await self._threads.run(self._finish)

    async def unpack(self) -> Package:
        """Return the files of a finished upload that is an archive, unpacked once.

        Raises:
            ScriptRefused: it is no archive, or one that is not taken.
            LibraryUnavailable: as its name says.
        """
        return await self._threads.run(self._unpack)

    async def discard(self) -> None:
        """Remove what was received, also where who waits is cancelled; LibraryUnavailable."""
        await self._to_the_end.run('remove an upload', self._threads.run(self._discard))

    async def __aenter__(self) -> 'Upload':
        try:
            await self._threads.run(self._open)
        except asyncio.CancelledError:
            # The thread may make the file all the same.
            await self.discard()
            raise
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.taken:
            await self.discard()

    def _open(self) -> None:
        with self._lock, disk_errors('take an upload'):
            if not self._given_up:
                self._fd = new_file(self.path, SCRIPT_MODE)

    def _flush(self) -> None:
        with self._lock, disk_errors('take an upload'):
            self._write_gathered()

    def _finish(self) -> None:
        with self._lock, disk_errors('take an upload'):
            self._write_gathered()
            os.fsync(self._fd)
            self._close()
            self._finished = True

    def _unpack(self) -> Package:
        with self._lock, disk_errors('unpack an upload'):
            if self._package is None:
                self._package = unpack(self.path, self.unpacked_path, self.max_bytes)
            return self._package

    def _discard(self) -> None:
        with self._lock, disk_errors('remove an upload'):
            self._given_up = True
            self._close()
            with suppress(FileNotFoundError):
                self.path.unlink()
            left = remove_tree(self.unpacked_path)
            if left is not None:
                raise left

    def _write_gathered(self) -> None:
        gathered, self._gathered = bytes(self._gathered), bytearray()
        self._hash.update(gathered)
        view = memoryview(gathered)
        while view:
            view = view[os.write(self._fd, view) :]

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
