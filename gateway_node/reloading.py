# SPDX-License-Identifier: Apache-2.0
"""The manifests, read anew while the gateway runs: both are taken, or none."""

import logging

from gateway_node.entities.directory import EntityDirectory
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.script_changes import ScriptChanges
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.errors import SchemaCheckUnavailable
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.start_files import FileSilent, ManifestReader

_log = logging.getLogger(__name__)


class ManifestReload:
    """Takes what the manifests say now; where one is wrong, or silent, all stays as it was."""

    def __init__(
        self,
        *,
        reader: ManifestReader,
        directory: EntityDirectory,
        library: ScriptLibrary,
        script_changes: ScriptChanges,
    ) -> None:
        self._reader = reader
        self._directory = directory
        self._library = library
        self._script_changes = script_changes
        self._asked = False
        self._under_way = False
        self.warnings: tuple[str, ...] = ()
        """Why the last reading was not taken; empty where it was."""

    async def reload(self) -> None:
        """Read and take the manifests; asked for meanwhile, once more afterwards."""
        self._asked = self._reader.any
        if self._under_way:
            return
        self._under_way = True
        try:
            while self._asked:
                self._asked = False
                await self._take()
        finally:
            self._under_way = False

    async def _take(self) -> None:
        try:
            manifests = await self._reader.read()
            self._directory.check_manifest(manifests.entities)
            await self._library.check_managed(manifests.scripts)
        except (ManifestInvalid, FileSilent, SchemaCheckUnavailable) as error:
            self.warnings = (f'what the manifests said before holds: {error}',)
            _log.error('%s', self.warnings[0])
            return
        self.warnings = ()
        self._directory.take_manifest(manifests.entities)
        changes = await self._script_changes.take_manifest(manifests.scripts, actor=GATEWAY)
        _log.info(
            'the manifests were read anew',
            extra={
                'components': len(manifests.entities.components),
                'functions': len(manifests.entities.functions),
                'scripts': len(manifests.scripts),
                'scripts_added': len(changes.added),
                'scripts_changed': len(changes.changed),
                'scripts_removed': len(changes.removed),
            },
        )
