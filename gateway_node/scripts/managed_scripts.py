# SPDX-License-Identifier: Apache-2.0
"""The managed scripts: those of the manifest, as it was taken last, and those that are offered."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.content import Content
from gateway_node.scripts.installed_executables import (
    InstalledPackages,
    no_prefix_path,
    PrefixPath,
)
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.managed import LOOK_PATIENCE_SEC, ManagedFile, ManagedScript
from gateway_node.scripts.values import Script, ScriptOf

SHOWN_SEC = 1.0
"""How old what was found of a file may be for whoever only shows its version."""


@dataclass(frozen=True, kw_only=True)
class ManagedChanges:
    """How a manifest differs from the one before it."""

    added: tuple[ManagedScript, ...] = ()
    changed: tuple[ManagedScript, ...] = ()
    """Declared differently than before, or with other bytes in the file."""
    removed: tuple[ManagedScript, ...] = ()

    @property
    def may_lack(self) -> frozenset[str]:
        """The ids of the scripts that some entity may have no more."""
        return frozenset(managed.script.id for managed in (*self.changed, *self.removed))


class ManagedScripts:
    """All managed scripts of all entities."""

    def __init__(
        self, managed: Iterable[ManagedScript] = (), prefix_path: PrefixPath = no_prefix_path
    ) -> None:
        self._packages = InstalledPackages(prefix_path, LOOK_PATIENCE_SEC)
        self._files: dict[str, ManagedFile] = {}
        self._of_manifest: tuple[ManagedScript, ...] = ()
        self._offered: tuple[ManagedScript, ...] = ()
        self.take(managed)

    def take(self, managed: Iterable[ManagedScript]) -> ManagedChanges:
        """Have these scripts of the manifest from now on, and no others.

        A script that is declared as before keeps what is known of its file.
        """
        self._of_manifest = tuple(managed)
        return self._take_all()

    def take_offered(self, offered: Iterable[ManagedScript]) -> ManagedChanges:
        """Have these beside those of the manifest, which go before them where both have one of the
        same id."""
        self._offered = tuple(offered)
        return self._take_all()

    def _take_all(self) -> ManagedChanges:
        named = {each.script.id for each in self._of_manifest}
        offered = (each for each in self._offered if each.script.id not in named)
        before, self._files = self._files, {}
        added, changed = [], []
        for each in (*self._of_manifest, *offered):
            file = before.pop(each.script.id, None)
            if file is None:
                added.append(each)
            elif not file.is_as(each):
                changed.append(each)
            self._files[each.script.id] = (
                file
                if file is not None and file.declared_as(each)
                else ManagedFile(each, self._packages)
            )
        return ManagedChanges(
            added=tuple(added),
            changed=tuple(changed),
            removed=tuple(file.managed for file in before.values()),
        )

    def __iter__(self) -> Iterator[ManagedScript]:
        """Go through them, in the manifest's order."""
        return iter([file.managed for file in self._files.values()])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with them, in sentences."""
        return tuple(file.warning for file in self._files.values() if file.warning is not None)

    @property
    def named_entities(self) -> frozenset[EntityRef]:
        """The entities that one of them names without a glob."""
        return frozenset().union(*(file.managed.named_entities for file in self._files.values()))

    def instances_of(self, entity: EntityRef) -> tuple[tuple[Script, InstanceDefinition], ...]:
        """Return what is declared of instances for an entity, each with its script."""
        return tuple(
            (managed.script, definition)
            for managed in self
            if managed.instances and managed.belongs_to(entity)
            for definition in managed.instances
        )

    async def of(self, entity: EntityRef) -> tuple[Script, ...]:
        """Return an entity's managed scripts as they are now, in the manifest's order."""
        files = [file for file in self._files.values() if file.managed.belongs_to(entity)]
        return tuple(await asyncio.gather(*(file.current() for file in files)))

    def has(self, entity: EntityRef, script_id: str) -> bool:
        """Tell whether an entity has a managed script."""
        return self._file(entity, script_id) is not None

    async def get(
        self, entity: EntityRef, script_id: str, within_sec: float = 0.0
    ) -> Script | None:
        """Return a managed script in its present version, or one that it had in the last seconds;
        None where the entity has none such."""
        while (file := self._file(entity, script_id)) is not None:
            script = await file.current(within_sec)
            # Another manifest may have been taken meanwhile.
            if self._file(entity, script_id) is file:
                return script
        return None

    async def version_of(self, entity: EntityRef, script_id: str) -> str | None:
        """Return the version of one script, where it is managed, as `versions_of` does."""
        file = self._file(entity, script_id)
        if file is None:
            return None
        return (await file.current(within_sec=SHOWN_SEC)).version

    async def versions_of(self, scripts: Iterable[ScriptOf]) -> Mapping[ScriptOf, str]:
        """Return the versions of those of these scripts that are managed, to be shown: as they
        were a moment ago."""
        files = {each: file for each in scripts if (file := self._file(*each)) is not None}
        unseen = {file for file in files.values() if not file.looked_within(SHOWN_SEC)}
        if unseen:
            await asyncio.gather(*(file.current() for file in unseen))
        return {each: file.version for each, file in files.items()}

    async def everywhere(
        self, entities: Iterable[EntityRef]
    ) -> dict[EntityRef, tuple[Script, ...]]:
        """Return what each entity has, as it is now, in the manifest's order; each file is looked
        at once."""
        files = list(self._files.values())
        scripts = await asyncio.gather(*(file.current() for file in files))
        return {
            entity: tuple(
                script
                for file, script in zip(files, scripts, strict=True)
                if file.managed.belongs_to(entity)
            )
            for entity in entities
        }

    async def content(self, script: Script) -> Content:
        """Open the file of a script that `get` returned just now; see `ManagedFile.content`."""
        return await self._files[script.id].content()

    def _file(self, entity: EntityRef, script_id: str) -> ManagedFile | None:
        file = self._files.get(script_id)
        return file if file is not None and file.managed.belongs_to(entity) else None
