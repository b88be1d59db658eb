# SPDX-License-Identifier: Apache-2.0
"""Executions that the history does not keep, as lines of JSON in a file a month, for good.

    <archive_dir>/executions-2026-11.ndjson   those that ended in November 2026 (UTC)

A batch is on the disk, all of it, before anybody removes what is in it. What a crash or a full
disk leaves of a batch is cut off.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
import contextlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from gateway_node.executions.errors import ArchiveUnavailable
from gateway_node.executions.values import Execution
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)

_PATIENCE_SEC = 10.0
"""For a look at the directory, or a line of a batch, as its mount may not answer."""
_SILENT = 'it does not answer'
_BLOCK_BYTES = 64 * 1024
_FILE_MODE = 0o600


class MonthlyArchive:
    """The `Archive` in one directory; nobody else writes its files."""

    def __init__(
        self, directory: Path, document_of: Callable[[Execution], Mapping[str, Any]]
    ) -> None:
        """Touch nothing yet; `document_of` gives what is kept of an execution, as JSON values."""
        self._directory = directory
        self._document_of = document_of
        self._threads = Threads('archive', 1)
        self._look = Look(self._threads, self._prepare, _PATIENCE_SEC)
        self._whole: set[Path] = set()
        """The files that are known to end with a whole line."""
        self._kept: set[str] = set()
        """Ids of the last batch that are in the archive and, as far as is known, not removed."""
        self._found_wrong: str | None = None
        """What is wrong with the directory, as the last look found."""
        self._failed: str | None = None
        """Why the last batch was not kept."""
        self._waits_since: float | None = None
        """By the event loop's time: for what a batch waits now."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with it, in sentences."""
        waits_since = self._waits_since
        silent = None
        if waits_since is not None:
            waited_sec = asyncio.get_running_loop().time() - waits_since
            silent = self._sentence(_SILENT) if waited_sec > _PATIENCE_SEC else None
        return tuple(filter(None, dict.fromkeys([self._found_wrong, self._failed, silent])))

    async def check(self) -> None:
        """Return where something can be kept, as far as a look tells; ArchiveUnavailable."""
        try:
            await self._look.answer()
        except (OSError, TimeoutError) as error:
            self._found_wrong = self._sentence(str(error) or _SILENT)
            raise ArchiveUnavailable(self._found_wrong) from error
        self._found_wrong = None

    async def append(self, executions: AsyncIterator[Execution]) -> None:
        """Keep these executions, one line each; it is on the disk when this returns.

        What is in the archive of an earlier attempt is not kept again. ArchiveUnavailable, and
        then nothing of this batch is there.
        """
        batch = _Batch(self._whole)
        kept = set()
        try:
            async for execution in executions:
                if execution.id not in self._kept:
                    await self._run(self._write, batch, execution)
                kept.add(execution.id)
            await self._run(batch.finish)
        except OSError as error:
            await self._run(batch.cut_off)
            self._failed = self._sentence(str(error))
            raise ArchiveUnavailable(self._failed) from error
        except BaseException:
            self._threads.submit(batch.cut_off)
            raise
        self._kept = kept
        self._failed = None

    async def _run(self, work: Callable[..., None], *arguments: Any) -> None:
        self._waits_since = asyncio.get_running_loop().time()
        try:
            await self._threads.run(work, *arguments)
        finally:
            self._waits_since = None

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise PermissionError(f'{self._directory} cannot be written')

    def _write(self, batch: '_Batch', execution: Execution) -> None:
        ended = execution.completed_at or execution.created_at
        path = self._directory / f'executions-{ended:%Y-%m}.ndjson'
        document = self._document_of(execution)
        batch.write(path, json.dumps(document, separators=(',', ':')).encode() + b'\n')

    def _sentence(self, cause: str) -> str:
        return (
            f'nothing is removed from the history, as nothing can be archived: {cause} '
            f'(history.archive_dir {self._directory})'
        )


class _Batch:
    """Lines that are appended together, to some files; all of it blocks and raises OSError."""

    def __init__(self, whole: set[Path]) -> None:
        self._whole = whole
        self._files: dict[Path, tuple[int, int]] = {}
        """The descriptor of each, and its size before."""

    def write(self, path: Path, line: bytes) -> None:
        """Append a line to a file."""
        if path not in self._files:
            self._files[path] = self._open(path)
        descriptor, _ = self._files[path]
        view = memoryview(line)
        while view:
            view = view[os.write(descriptor, view) :]

    def finish(self) -> None:
        """Bring all lines to the disk, and the names of the files."""
        for descriptor, _ in self._files.values():
            os.fsync(descriptor)
        for directory in {path.parent for path, (_, before) in self._files.items() if not before}:
            _sync_directory(directory)
        self._close()

    def cut_off(self) -> None:
        """Leave the files as they were, as far as that goes; what is left is found later."""
        for path, (descriptor, before) in self._files.items():
            self._whole.discard(path)
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, before)
        self._close()

    def _open(self, path: Path) -> tuple[int, int]:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, _FILE_MODE)
        try:
            os.fchmod(descriptor, _FILE_MODE)
            size = os.fstat(descriptor).st_size
            if path not in self._whole:
                size = _cut_part_of_a_line(descriptor, path, size)
                self._whole.add(path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor, size

    def _close(self) -> None:
        for descriptor, _ in self._files.values():
            # A network file system may say here what failed before; closed it is (man 2 close).
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._files.clear()


def _cut_part_of_a_line(descriptor: int, path: Path, size: int) -> int:
    """Cut off what stands behind the last line feed: nothing of it was removed yet; return the
    size."""
    end = size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b'\n')
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
        _log.warning('%d bytes of a line that was not finished are cut off: %s', size - end, path)
    return end


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
