# SPDX-License-Identifier: Apache-2.0
"""The scripts that somebody sees: those of the library within a scope."""

from collections.abc import Collection, Iterable, Mapping

from gateway_node.entities.values import EntityRef
from gateway_node.executions.scopes import EVERYTHING, Scope
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import ScriptNotFound
from gateway_node.scripts.library import ScriptLibrary
from gateway_node.scripts.values import Script, ScriptOf, ScriptVersion


class SeenScripts:
    """Answers what `ScriptLibrary` does, as if there were nothing beyond the scope.

    A script that was deleted is within as it was last.
    """

    def __init__(self, library: ScriptLibrary, scope: Scope = EVERYTHING) -> None:
        self._library = library
        self._scope = scope

    def seen_by(self, scope: Scope) -> 'SeenScripts':
        """Return those within a scope."""
        return SeenScripts(self._library, scope)

    def check_turned_on(self) -> None:
        """Return where scripts are turned on; ScriptsTurnedOff."""
        self._library.check_turned_on()

    async def list(self, entity: EntityRef) -> tuple[Script, ...]:
        """Return an entity's scripts: the managed ones first, then the uploads, oldest first."""
        scripts = await self._library.list(entity)
        return tuple(each for each in scripts if self._scope.has(entity, each))

    async def everywhere(
        self, entities: Iterable[EntityRef]
    ) -> tuple[tuple[EntityRef, Script], ...]:
        """Return the scripts of many entities, each with its own: entity by entity as `list`."""
        scripts = await self._library.everywhere(entities)
        return tuple(each for each in scripts if self._scope.has(*each))

    async def get(self, entity: EntityRef, script_id: str) -> Script:
        """Return one script in its current version; ScriptNotFound."""
        script = await self._library.get(entity, script_id)
        if not self._scope.has(entity, script):
            raise ScriptNotFound(entity, script_id)
        return script

    async def check_known(self, entity: EntityRef, script_id: str) -> None:
        """Return where an entity has a script, whatever its file says; ScriptNotFound."""
        if self._scope.is_everything:
            self._library.check_known(entity, script_id)
        else:
            await self.get(entity, script_id)

    async def content(self, script: Script) -> Content:
        """Open the file of a script that `get` returned just now."""
        return await self._library.content(script)

    async def versions(
        self, entity: EntityRef, script_id: str, *, limit: int
    ) -> tuple[tuple[ScriptVersion, ...], bool]:
        """Return the newest versions of a script, and whether there are more; ScriptNotFound."""
        found, more = await self._library.versions.newest(entity, script_id, limit=limit)
        if not await self._sees_versions(entity, script_id, found):
            raise ScriptNotFound(entity, script_id)
        return found, more

    async def version(self, entity: EntityRef, script_id: str, version: str) -> ScriptVersion:
        """Return one version of a script; ScriptNotFound, VersionNotFound."""
        if not self._scope.is_everything:
            await self.versions(entity, script_id, limit=1)
        return await self._library.versions.find(entity, script_id, version)

    async def version_content(self, version: ScriptVersion) -> Content:
        """Open the file of a version that `version` returned just now."""
        return await self._library.versions.content(version)

    async def present_versions(self, entities: Iterable[EntityRef]) -> Mapping[ScriptOf, str]:
        """Return the versions that all uploads have now, and the managed scripts of `entities`."""
        return await self._library.present_versions(entities)

    async def versions_of(self, scripts: Collection[ScriptOf]) -> Mapping[ScriptOf, str | None]:
        """Return the versions of these scripts, to be shown; None for those that are gone."""
        return await self._library.versions_of(scripts)

    async def _sees_versions(
        self, entity: EntityRef, script_id: str, newest: tuple[ScriptVersion, ...]
    ) -> bool:
        if self._scope.is_everything:
            return True
        try:
            return self._scope.has(entity, await self._library.get(entity, script_id))
        except ScriptNotFound:
            last = next(iter(newest), None)
            return (
                last is not None
                and last.script is not None
                and self._scope.has(entity, last.script)
            )
