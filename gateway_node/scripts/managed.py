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
from gateway_node.scripts.installed_executables import (
    ExecutableNotInstalled,
    InstalledPackages,
    PackageExecutable,
    PREFIX_PATH_VARIABLE,
)
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.values import Mending, Script
from gateway_node.threads import Look, Threads

_LOGGER = logging.getLogger(__name__)

LOOK_PATIENCE_SEC = 2.0
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
    executable: PackageExecutable | None = None
    """What its file is, where that is an executable of a package; else it is the script's path."""
    instances: tuple[InstanceDefinition, ...] = ()
    """That it has on each of its entities."""
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

    def __init__(self, managed: ManagedScript, packages: InstalledPackages) -> None:
        self.managed = managed
        self._packages = packages
        self._prefix_path: str | None = None
        self._script = managed.script
        self._threads = Threads(f'managed {managed.script.id}', 1)
        self._looking = Look(self._threads, self._look, LOOK_PATIENCE_SEC)
        self._stamp: tuple[object, ...] | None = None
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
        return _declaration(managed) == _declaration(self.managed) and (
            _versions(managed) == _versions(self.managed)
        )

    def is_as(self, managed: ManagedScript) -> bool:
        """Tell whether a manifest says the same of the script, and saw the same file, where it
        looked at it."""
        same_file = managed.script.version in ('', self.version)
        return self.declared_as(managed) and same_file

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
        if self.managed.executable is not None:
            self._prefix_path = await self._packages.prefix_path()
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
        if not self.version:
            raise FileNotFoundError(self._script.fault)
        return await Content.open(self._script.path, self._threads)

    def _look(self) -> None:
        try:
            path = self._path()
            found = path.stat()
            stamp = (path, found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._script = self._read(replace(self.managed.script, path=path))
                self._stamp = stamp
        except ExecutableNotInstalled as error:
            self._lack(str(error))
        except OSError as error:
            _LOGGER.warning('managed script %s cannot be read: %s', self._script.id, error)

    def _path(self) -> Path:
        script, executable = self.managed.script, self.managed.executable
        if executable is None:
            return script.path
        return executable.find(script.environment.get(PREFIX_PATH_VARIABLE, self._prefix_path))

    def _lack(self, fault: str) -> None:
        """Take note that the file is not there; what was known of it last stays."""
        if fault != self._script.fault:
            _LOGGER.warning('managed script %s cannot run: %s', self._script.id, fault)
        self._script = replace(self._script, fault=fault)
        self._stamp = None

    def _read(self, script: Script) -> Script:
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


def _versions(managed: ManagedScript) -> list[str]:
    """Return those of its instances: they tell 1 from true, which are equal in Python."""
    return [each.version for each in managed.instances]


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
