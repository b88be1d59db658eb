# SPDX-License-Identifier: Apache-2.0
"""Managed scripts: files that were on the robot before the gateway, as the manifest names them."""

import asyncio
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
import hashlib
import logging
from pathlib import Path

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.beginning import read_beginning
from gateway_node.scripts.first_line import asked
from gateway_node.scripts.values import Mending, Script
from gateway_node.threads import Threads

_LOGGER = logging.getLogger(__name__)

_PATIENCE_SEC = 2.0
"""For a look at the file, whose mount may not answer."""
_MENDED_WORDS = {
    Mending.BYTE_ORDER_MARK: 'a byte order mark',
    Mending.LINE_ENDS: 'line ends of CR LF',
}


@dataclass(frozen=True, kw_only=True)
class ManagedScript:
    """A script of the manifest and the entities that have it."""

    script: Script
    """As it was when the manifest was read."""
    entities: tuple[str, ...]
    """Globs over entity paths (`apps/*`, `components/host`), case-sensitive."""

    def belongs_to(self, entity: EntityRef) -> bool:
        """Tell whether `entity` has this script."""
        return any(fnmatchcase(entity.path, glob) for glob in self.entities)

    @property
    def named_entities(self) -> frozenset[EntityRef]:
        """The entities that it names without a glob."""
        return frozenset(
            EntityRef.from_path(path) for path in self.entities if not set('*?[') & set(path)
        )


class ManagedFile:
    """A managed script whose file may change on disk: it is read anew when its stamp changed."""

    def __init__(self, managed: ManagedScript, threads: Threads) -> None:
        self.managed = managed
        self.threads = threads
        """In which its file is read."""
        self._script = managed.script
        self._stamp: tuple[int, ...] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def current(self) -> Script:
        """Return the script in the version that the file has now.

        A file that cannot be read, or not in time, keeps its last known version: its execution
        will say why.
        """
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self.threads.run(self._look))
        await asyncio.wait({self._looking}, timeout=_PATIENCE_SEC)
        if self._looking.done():
            self._looking.result()
        else:
            _LOGGER.warning(
                'the file of managed script %s does not answer: %s',
                self._script.id,
                self._script.path,
            )
        return self._script

    def _look(self) -> None:
        try:
            found = self._script.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._script = self._read()
                self._stamp = stamp
        except OSError as error:
            _LOGGER.warning('managed script %s cannot be read: %s', self._script.id, error)

    def _read(self) -> Script:
        script = self.managed.script
        version, size = hash_file(script.path)
        beginning = read_beginning(script.path, script.kind)
        interpreter, fault = asked(beginning.first_line, script.kind)
        if beginning.to_mend:
            found = ', '.join(_MENDED_WORDS[mending] for mending in beginning.to_mend)
            fault = (
                f'it has {found}, which no shell reads, and a managed script runs where it lies'
            )
        if fault:
            _LOGGER.warning('managed script %s cannot run: %s', script.id, fault)
        return replace(script, version=version, size=size, interpreter=interpreter, fault=fault)


def hash_file(path: Path) -> tuple[str, int]:
    """Return a file's SHA-256, hexadecimal, and its size in bytes; OSError."""
    with path.open('rb') as file:
        digest = hashlib.file_digest(file, 'sha256')
        return digest.hexdigest(), file.tell()
