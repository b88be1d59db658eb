# SPDX-License-Identifier: Apache-2.0
"""What is read wherever it lies: on a mount that does not answer, too.

Who reads waits for each of them for a while and then fails with one line. The process ends at a
signal all the same, for no thread that hangs here is waited for.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway_node.entities.entities_manifest import EntitiesManifest, load_entities_manifest
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.scripts_manifest import load_scripts_manifest
from gateway_node.storage.private import keep_private
from gateway_node.threads import Threads

_Result = TypeVar('_Result')

_PATIENCE_SEC = 30.0
"""Enough to hash managed scripts of a gigabyte from a slow disk."""


class FileSilent(Exception):
    """What is needed does not answer; it may the next time. The message names it."""

    def __init__(self, parameter: str, path: Path) -> None:
        super().__init__(
            f'parameter {parameter}: {path} does not answer, for longer than {_PATIENCE_SEC:g} s'
        )
        self.path = path


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """What both manifests declare; a manifest that is not configured declares nothing."""

    entities: EntitiesManifest
    scripts: tuple[ManagedScript, ...]


class ManifestReader:
    """Reads the manifests, each in a thread of its own, which an earlier reading may hold up."""

    def __init__(self, *, entities: Path | None, scripts: Path | None, max_rate_hz: float) -> None:
        """None where there is no such manifest; for `max_rate_hz` see `load_scripts_manifest`."""
        self._entities = entities
        self._scripts = scripts
        self._max_rate_hz = max_rate_hz
        self._entities_threads = Threads('entities manifest', 1)
        self._scripts_threads = Threads('scripts manifest', 1)
        self._looked_at = scripts
        """What of the scripts manifest, its own file or a script's, is read now or was last."""

    @property
    def any(self) -> bool:
        """True where there is a manifest at all."""
        return self._entities is not None or self._scripts is not None

    async def read(self) -> Manifests:
        """Return what the manifests declare now; ManifestInvalid, FileSilent."""
        return Manifests(scripts=await self._read_scripts(), entities=await self._read_entities())

    async def _read_entities(self) -> EntitiesManifest:
        path = self._entities
        if path is None:
            return EntitiesManifest()
        try:
            return await _in_time(self._entities_threads, load_entities_manifest, path)
        except TimeoutError as error:
            raise FileSilent('entities.manifest', path) from error

    async def _read_scripts(self) -> tuple[ManagedScript, ...]:
        path = self._scripts
        if path is None:
            return ()
        try:
            return await _in_time(self._scripts_threads, self._load_scripts, path)
        except TimeoutError as error:
            raise FileSilent('scripts.manifest', self._looked_at or path) from error

    def _load_scripts(self, path: Path) -> tuple[ManagedScript, ...]:
        self._look_at(path)
        return load_scripts_manifest(path, self._look_at, max_rate_hz=self._max_rate_hz)

    def _look_at(self, path: Path) -> None:
        self._looked_at = path


async def private_scripts(scripts_dir: Path) -> None:
    """Keep the scripts directory private; FileSilent."""
    try:
        await _in_time(Threads('start', 1), keep_private, scripts_dir)
    except TimeoutError as error:
        raise FileSilent('scripts.scripts_dir', scripts_dir) from error


async def _in_time(threads: Threads, call: Callable[..., _Result], *arguments: object) -> _Result:
    async with asyncio.timeout(_PATIENCE_SEC):
        return await threads.run(call, *arguments)
