# SPDX-License-Identifier: Apache-2.0
"""Managed scripts: files that were on the robot before the gateway, as the manifest names them."""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
import hashlib
import logging
import math
import os
from pathlib import Path
import time

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.beginning import read_beginning
from gateway_node.scripts.content import Content
from gateway_node.scripts.disk import open_plain
from gateway_node.scripts.errors import LibraryUnavailable
from gateway_node.scripts.first_line import asked
from gateway_node.scripts.values import Mending, Script
from gateway_node.threads import Look, Threads

_LOGGER = logging.getLogger(__name__)

_PATIENCE_SEC = 2.0
"""For a look at the file, whose mount may not answer."""
_PIECE_BYTES = 256 * 1024
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
    """A managed script whose file may change on disk: it is read anew when its stamp changed.

    It has a thread of its own, made when it is first needed: its file may lie on a mount, or be a
    link to one, that does not answer, and only this script is held up then.
    """

    def __init__(self, managed: ManagedScript) -> None:
        self.managed = managed
        self._script = managed.script
        self._threads = Threads(f'managed {managed.script.id}', 1)
        self._looking = Look(self._threads, self._look, _PATIENCE_SEC)
        self._stamp: tuple[int, ...] | None = None
        self._looked_at = -math.inf

    @property
    def warning(self) -> str | None:
        """What is to be said of a file that does not answer; None where it does."""
        if not self._looking.hangs:
            return None
        return f'the file of managed script {self._script.id} does not answer: {self._script.path}'

    @property
    def version(self) -> str:
        """The version that is known of the file."""
        return self._script.version

    def declared_as(self, managed: ManagedScript) -> bool:
        """Tell whether a manifest says the same of the script, whatever its file says."""
        return _declaration(managed) == _declaration(self.managed)

    def looked_within(self, seconds: float) -> bool:
        """Tell whether the file was looked at in so many last seconds."""
        return time.monotonic() - self._looked_at < seconds

    async def current(self, within_sec: float = 0.0) -> Script:
        """Return the script in the version that the file has now, or had in the last seconds.

        A file that cannot be read, or not in time, keeps its last known version: its execution
        will say why.
        """
        if self.looked_within(within_sec):
            return self._script
        known, begun = self._looking.hangs, time.monotonic()
        try:
            await self._looking.answer()
        except TimeoutError:
            if not known:
                _LOGGER.warning('%s', self.warning)
        # Only now: who asks meanwhile is told of this look too, not of one of long ago.
        self._looked_at = begun
        return self._script

    async def content(self) -> Content:
        """Open the file; OSError, and LibraryUnavailable where it does not answer."""
        if self.warning is not None:
            raise LibraryUnavailable(self.warning)
        return await Content.open(self._script.path, self._threads)

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


def _declaration(managed: ManagedScript) -> ManagedScript:
    return replace(managed, script=replace(managed.script, version='', size=0))


def hash_file(path: Path) -> tuple[str, int]:
    """Return a plain file's SHA-256, hexadecimal, and its size in bytes; OSError.

    What is written behind its end meanwhile does not count.
    """
    digest, hashed = hashlib.sha256(), 0
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        while piece := file.read(min(size - hashed, _PIECE_BYTES)):
            digest.update(piece)
            hashed += len(piece)
    return digest.hexdigest(), hashed
