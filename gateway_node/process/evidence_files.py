# SPDX-License-Identifier: Apache-2.0
"""Keeps evidence in the directories of executions; fulfils the port `EvidenceFiles`.

Threads of its own: on a disk that hangs, evidence waits and nothing else.
"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
import contextlib
import hashlib
import os
from pathlib import Path
import time
from typing import BinaryIO
import zipfile
import zlib

from gateway_node.child.exposed_files import INCOMING_SUFFIX, open_below, open_fresh
from gateway_node.evidence.errors import NotKept
from gateway_node.evidence.evidence_parts import KeptEvidence, Part, SUMMARY
from gateway_node.threads import Threads

_FILE = 'evidence.zip'
"""In an execution's directory."""
_PIECE_BYTES = 256 * 1024
_MAX_PART_BYTES = 64 * 1024 * 1024
"""Of a part that is read; a script may have put any archive there."""
_ATTEMPTS = 5
"""Of making a directory that is being removed as it is empty."""


class EvidenceFiles:
    """Archives of the executions that have directories in a folder."""

    def __init__(self, executions_folder: Path) -> None:
        self._folder = executions_folder
        self._writers = Threads('write evidence', 1)
        self._readers = Threads('read evidence', 2)

    async def keep(self, execution_id: str, parts: Sequence[Part]) -> None:
        """Keep these parts in place of what is kept; NotKept."""
        try:
            await self._writers.run(self._keep, execution_id, parts)
        except OSError as error:
            raise NotKept(f'it cannot be written: {error.strerror or error}') from error

    async def find(self, execution_id: str) -> KeptEvidence | None:
        """Return what is kept of an execution; None where nothing is that can be read."""
        return await self._readers.run(self._find, execution_id)

    async def read(self, execution_id: str, names: Collection[str]) -> Mapping[str, bytes]:
        """Return those of the parts with these names that are kept."""
        return await self._readers.run(self._read, execution_id, names)

    async def content(
        self, execution_id: str, kept: KeptEvidence, begin: int, end: int
    ) -> AsyncIterator[bytes]:
        """Yield the bytes of the archive from `begin` up to `end`.

        ConnectionAbortedError where they are not there any more.
        """
        try:
            descriptor = await self._readers.run(self._open, execution_id)
        except OSError as error:
            raise ConnectionAbortedError(f'{_FILE} is gone: {error.strerror}') from error
        try:
            if os.fstat(descriptor).st_size != kept.size:
                raise ConnectionAbortedError(f'{_FILE} became another one')
            while begin < end:
                size = min(_PIECE_BYTES, end - begin)
                piece = await self._readers.run(os.pread, descriptor, size, begin)
                if not piece:
                    raise ConnectionAbortedError(f'{_FILE} has become shorter')
                begin += len(piece)
                yield piece
        finally:
            os.close(descriptor)

    async def remove(self, execution_id: str) -> None:
        """Remove what is kept of an execution, and its folder where nothing else is there."""
        await self._writers.run(self._remove, execution_id)

    def _open(self, execution_id: str) -> int:
        return open_below(self._folder / execution_id, _FILE)

    def _keep(self, execution_id: str, parts: Sequence[Part]) -> None:
        incoming = self._folder / execution_id / f'{_FILE}{INCOMING_SUFFIX}'
        try:
            with open(self._fresh(incoming), 'wb') as file:
                _write(file, parts)
                file.flush()
                os.fsync(file.fileno())
            os.replace(incoming, incoming.with_name(_FILE))
        except BaseException:
            with contextlib.suppress(OSError):
                incoming.unlink()
            raise

    def _fresh(self, path: Path) -> int:
        """Return a descriptor of a new file; an ended execution's directory may be going just
        now, as nothing is in it."""
        for attempt in range(_ATTEMPTS):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                return open_fresh(os.fspath(path))
            except FileNotFoundError:
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError('unreachable')

    def _find(self, execution_id: str) -> KeptEvidence | None:
        with contextlib.suppress(*_UNREADABLE), self._archive(execution_id) as (archive, size):
            digest = hashlib.blake2b(digest_size=16)
            for entry in archive.infolist():
                told = f'{entry.filename}\0{entry.CRC:08x}\0{entry.file_size}\0'
                digest.update(told.encode())
            return KeptEvidence(
                size=size, digest=digest.hexdigest(), summary=_content(archive, SUMMARY)
            )
        return None

    def _read(self, execution_id: str, names: Collection[str]) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        with contextlib.suppress(*_UNREADABLE), self._archive(execution_id) as (archive, _):
            for name in names:
                with contextlib.suppress(KeyError):
                    found[name] = _content(archive, name)
        return found

    @contextlib.contextmanager
    def _archive(self, execution_id: str) -> Iterator[tuple[zipfile.ZipFile, int]]:
        with open(self._open(execution_id), 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            with zipfile.ZipFile(file) as archive:
                yield archive, size

    def _remove(self, execution_id: str) -> None:
        directory = self._folder / execution_id
        with contextlib.suppress(OSError):
            (directory / _FILE).unlink()
        with contextlib.suppress(OSError):
            directory.rmdir()


_UNREADABLE = (
    OSError,
    KeyError,
    ValueError,
    RuntimeError,  # NotImplementedError is one, of methods unknown; else it is encrypted
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What an archive raises that nobody wrote here, or that is damaged, or none."""


def _write(file: BinaryIO, parts: Sequence[Part]) -> None:
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for part in parts:
            archive.writestr(_entry(part.name), part.content, zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    # A clock that was never set is behind what archives can say.
    now = max(time.gmtime()[:6], (1980, 1, 1, 0, 0, 0))
    entry = zipfile.ZipInfo(name, now)
    entry.external_attr = 0o100644 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a part; KeyError where there is none."""
    if archive.getinfo(name).file_size > _MAX_PART_BYTES:
        raise ValueError(f'{name} is too long')
    # What it says of its size need not be true.
    with archive.open(name) as part:
        return part.read(_MAX_PART_BYTES)
