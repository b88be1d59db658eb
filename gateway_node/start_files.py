# SPDX-License-Identifier: Apache-2.0
"""What is read at the start wherever it lies: on a mount that does not answer, too.

A start waits for each of them for a while and then fails with one line. It ends at a signal all
the same, for no thread that hangs here is waited for.
"""

import asyncio
from collections.abc import Callable
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
    """What the start needs does not answer; it may the next time. The message names it."""

    def __init__(self, parameter: str, path: Path) -> None:
        super().__init__(
            f'parameter {parameter}: {path} does not answer, for longer than {_PATIENCE_SEC:g} s'
        )
        self.path = path


async def entities_manifest(path: Path) -> EntitiesManifest:
    """Return what a manifest declares; ManifestInvalid, FileSilent."""
    try:
        return await _in_time(load_entities_manifest, path)
    except TimeoutError as error:
        raise FileSilent('entities.manifest', path) from error


async def managed_scripts(path: Path) -> tuple[ManagedScript, ...]:
    """Return the scripts of a manifest; ManifestInvalid, FileSilent of it or of a script's."""
    looked_at = [path]
    try:
        return await _in_time(load_scripts_manifest, path, looked_at.append)
    except TimeoutError as error:
        raise FileSilent('scripts.manifest', looked_at[-1]) from error


async def private_scripts(scripts_dir: Path) -> None:
    """Keep the scripts directory private; FileSilent."""
    try:
        await _in_time(keep_private, scripts_dir)
    except TimeoutError as error:
        raise FileSilent('scripts.scripts_dir', scripts_dir) from error


async def _in_time(call: Callable[..., _Result], *arguments: object) -> _Result:
    async with asyncio.timeout(_PATIENCE_SEC):
        return await Threads('start', 1).run(call, *arguments)
