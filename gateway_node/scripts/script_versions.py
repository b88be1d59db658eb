# SPDX-License-Identifier: Apache-2.0
"""The versions of scripts that are there: to look at what ran, and to let go of what nobody needs.

Of a managed script that is the version that its file has now. Those of an upload are kept as long
as they are in use, although the script is deleted.
"""

from collections.abc import Iterable

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import ScriptsTurnedOff, VersionNotFound
from gateway_node.scripts.managed_scripts import ManagedScripts
from gateway_node.scripts.old_versions import VersionsInUse
from gateway_node.scripts.uploaded_scripts import UploadedScripts
from gateway_node.scripts.values import Script, ScriptVersion


class ScriptVersions:
    """Those of all scripts of the library, whose errors these are too."""

    def __init__(self, managed: ManagedScripts, uploaded: UploadedScripts | None) -> None:
        """Take what has them; `uploaded` is None where scripts are turned off."""
        self._managed = managed
        self._uploaded = uploaded

    async def newest(
        self, entity: EntityRef, script_id: str, *, limit: int
    ) -> tuple[tuple[ScriptVersion, ...], bool]:
        """Return the newest versions of a script, and whether there are more; ScriptNotFound."""
        uploaded = self._turned_on()
        managed = await self._managed.get(entity, script_id)
        if managed is not None:
            # Without a version nothing was ever there.
            return ((_present_version(managed),) if managed.version else ()), False
        return await uploaded.versions(entity, script_id, limit=limit)

    async def find(self, entity: EntityRef, script_id: str, version: str) -> ScriptVersion:
        """Return one version of a script; ScriptNotFound, VersionNotFound."""
        uploaded = self._turned_on()
        managed = await self._managed.get(entity, script_id)
        if managed is None:
            return await uploaded.version(entity, script_id, version)
        if managed.version != version:
            there = (managed.version,) if managed.version else ()
            raise VersionNotFound(script_id, version, there, more=0)
        return _present_version(managed)

    async def content(self, version: ScriptVersion) -> Content:
        """Open the file of a version that `find` returned just now; see `Content.open`."""
        if version.script is not None and version.script.managed:
            return await self._managed.content(version.script)
        return await self._turned_on().content(version.path)

    def has(self, script_id: str, version: str) -> bool:
        """Tell whether a version of an upload is there."""
        return self._uploaded is not None and self._uploaded.has_version(script_id, version)

    @property
    def old_bytes(self) -> int:
        """Of the disk, that is taken by the versions of uploads that are not current."""
        return 0 if self._uploaded is None else self._uploaded.old_version_bytes

    async def prune(self, script_ids: Iterable[str], versions_in_use: VersionsInUse) -> None:
        """Remove the versions of uploads that are neither current nor in use."""
        if self._uploaded is not None:
            await self._uploaded.prune(script_ids, versions_in_use)

    def _turned_on(self) -> UploadedScripts:
        if self._uploaded is None:
            raise ScriptsTurnedOff
        return self._uploaded


def _present_version(managed: Script) -> ScriptVersion:
    return ScriptVersion(
        version=managed.version,
        path=managed.path,
        size=managed.size,
        current=True,
        script=managed,
    )
