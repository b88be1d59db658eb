# SPDX-License-Identifier: Apache-2.0
"""The library of scripts: the managed ones of the manifest, and those that clients uploaded.

It owns the scripts directory and nobody else writes there.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.scripts.arrivals import accept_any, Check
from gateway_node.scripts.content import Content
from gateway_node.scripts.errors import (
    ScriptIsManaged,
    ScriptRefused,
    ScriptsTurnedOff,
    UploadsTurnedOff,
)
from gateway_node.scripts.evidence_policy import EvidencePolicy
from gateway_node.scripts.file_names import check_file_name
from gateway_node.scripts.installed_executables import no_prefix_path, PrefixPath
from gateway_node.scripts.instances import InstanceDefinition
from gateway_node.scripts.managed import ManagedScript
from gateway_node.scripts.managed_checks import check_managed
from gateway_node.scripts.managed_scripts import ManagedChanges, ManagedScripts
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.old_versions import none_in_use, VersionsInUse
from gateway_node.scripts.ports import SchemaChecker
from gateway_node.scripts.script_folders import new_script_id
from gateway_node.scripts.script_versions import ScriptVersions
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.uploaded_scripts import Tell, tell_nobody, UploadedScripts
from gateway_node.scripts.values import Script, ScriptOf


class ScriptLibrary:
    """All scripts of all entities.

    Every method but `has_scripts` and `entities_with_scripts` raises ScriptsTurnedOff where the
    library has no directory, and LibraryUnavailable where the disk refuses; a change that is
    refused changes nothing. A change that has begun is finished even where its caller is
    cancelled, so that memory and disk always agree. `tell` is called with the script once its
    change is made, in the order of the changes.
    """

    def __init__(
        self,
        *,
        scripts_dir: Path | None,
        max_file_bytes: int,
        schemas: SchemaChecker,
        clock: Clock,
        managed: tuple[ManagedScript, ...] = (),
        prefix_path: PrefixPath = no_prefix_path,
        allow_uploads: bool = True,
        max_scripts: int = 0,
    ) -> None:
        """Touch nothing yet; `scripts_dir` None turns scripts off, `max_scripts` 0 the limit."""
        self._uploaded = None
        if scripts_dir is not None:
            self._uploaded = UploadedScripts(
                scripts_dir, max_file_bytes=max_file_bytes, max_scripts=max_scripts, clock=clock
            )
        self._managed = ManagedScripts(managed, prefix_path)
        self.versions = ScriptVersions(self._managed, self._uploaded)
        """Those that are there, the old ones of uploads too."""
        self._schemas = schemas
        self._allow_uploads = allow_uploads

    async def open(self, versions_in_use: VersionsInUse = none_in_use) -> None:
        """Read the scripts directory, sweep what a crash left, check the managed schemas.

        Versions in use are kept though they are not current. Without a scripts directory nothing
        is done.

        Raises:
            ManifestInvalid, SchemaCheckUnavailable: see `managed_checks.check_managed`.
        """
        await self.check_managed(self._managed)
        if self._uploaded is not None:
            await self._uploaded.open(versions_in_use)

    async def close(self) -> None:
        """Wait for the changes that have begun, if the disk makes them."""
        if self._uploaded is not None:
            await self._uploaded.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the scripts, in sentences."""
        damaged = self.set_aside
        if not damaged:
            return self._managed.warnings
        folder = damaged[0].parent
        return (
            f'damaged scripts were set aside and are not served: {len(damaged)} in {folder}',
            *self._managed.warnings,
        )

    @property
    def turned_on(self) -> bool:
        """False where `scripts.scripts_dir` is empty."""
        return self._uploaded is not None

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """The damaged scripts that lay aside, from this start or an earlier one, at the start."""
        return () if self._uploaded is None else self._uploaded.set_aside

    def check_turned_on(self) -> None:
        """Return where scripts are turned on; ScriptsTurnedOff."""
        self._turned_on()

    async def list(self, entity: EntityRef) -> tuple[Script, ...]:
        """Return an entity's scripts: the managed ones first, then the uploads, oldest first."""
        uploaded = self._turned_on()
        managed = await self._managed.of(entity)
        return (*managed, *uploaded.of(entity))

    async def get(self, entity: EntityRef, script_id: str, *, within_sec: float = 0.0) -> Script:
        """Return one script in its current version; ScriptNotFound.

        Of a managed one that may be the version which its file had in the last `within_sec`.
        """
        uploaded = self._turned_on()
        managed = await self._managed.get(entity, script_id, within_sec)
        return managed or uploaded.get(entity, script_id)

    def check_known(self, entity: EntityRef, script_id: str) -> None:
        """Return where an entity has a script, whatever its file says; ScriptNotFound."""
        uploaded = self._turned_on()
        if not self._managed.has(entity, script_id):
            uploaded.get(entity, script_id)

    async def version_of(self, entity: EntityRef, script_id: str) -> str | None:
        """Return the version of one script, as `versions_of` does."""
        uploaded = self._turned_on()
        managed = await self._managed.version_of(entity, script_id)
        return managed or uploaded.version_of(entity, script_id)

    async def versions_of(self, scripts: Collection[ScriptOf]) -> Mapping[ScriptOf, str | None]:
        """Return the versions of these scripts, to be shown; None for those that are gone.

        A managed one's is that which its file had within the last second.
        """
        uploaded = self._turned_on()
        managed = await self._managed.versions_of(scripts)
        return {each: managed.get(each) or uploaded.version_of(*each) for each in scripts}

    async def everywhere(
        self, entities: Iterable[EntityRef]
    ) -> tuple[tuple[EntityRef, Script], ...]:
        """Return the scripts of many entities, each with its own: entity by entity as `list`."""
        uploaded = self._turned_on()
        scripts = await self._managed.everywhere(entities)
        found = {entity: [*managed] for entity, managed in scripts.items()}
        for entity, script in uploaded.every():
            if entity in found:
                found[entity].append(script)
        return tuple((entity, script) for entity, each in found.items() for script in each)

    async def present_versions(self, entities: Iterable[EntityRef]) -> Mapping[ScriptOf, str]:
        """Return the versions that all uploads have now, and the managed scripts of `entities`."""
        uploaded = self._turned_on()
        managed = await self._managed.everywhere(entities)
        return uploaded.present_versions() | {
            (entity, script.id): script.version
            for entity, scripts in managed.items()
            for script in scripts
        }

    async def content(self, script: Script) -> Content:
        """Open the file of a script that `get` returned just now, the bytes as they were uploaded.

        See `Content.open`.
        """
        if script.managed:
            return await self._managed.content(script)
        return await self._turned_on().content(script.path)

    def has_scripts(self, entity: EntityRef) -> bool:
        """Tell whether an entity has uploads, or a managed script that names it without a glob."""
        return entity in self.entities_with_scripts()

    def entities_with_scripts(self) -> frozenset[EntityRef]:
        """Return the entities for which `has_scripts` is true."""
        if self._uploaded is None:
            return frozenset()
        return self._uploaded.entities | self._managed.named_entities

    def entities_with_uploads(self) -> frozenset[EntityRef]:
        """Return the entities that have uploads."""
        return frozenset() if self._uploaded is None else self._uploaded.entities

    def uploads(self) -> tuple[tuple[EntityRef, Script], ...]:
        """Return all uploads with their entities, oldest first."""
        return () if self._uploaded is None else self._uploaded.every()

    def evidence_policies(self) -> Iterator[EvidencePolicy | None]:
        """Go through what all scripts say of evidence."""
        yield from (managed.script.evidence for managed in self._managed)
        yield from (script.evidence for _, script in self.uploads())

    async def check_managed(self, managed: Iterable[ManagedScript]) -> None:
        """Check scripts that are to be managed, unless scripts are turned off; raises what
        `managed_checks.check_managed` does."""
        if self._uploaded is not None:
            await check_managed(managed, self._schemas)

    def take_managed(self, managed: Iterable[ManagedScript]) -> ManagedChanges:
        """Have these scripts of the manifest, which were checked, from now on and no others."""
        return self._managed.take(managed)

    def take_offered(self, offered: Iterable[ManagedScript]) -> ManagedChanges:
        """Have these managed scripts beside those of the manifest, which go before them where both
        have one of the same id."""
        return self._managed.take_offered(offered)

    def managed_instances(
        self, entity: EntityRef
    ) -> tuple[tuple[Script, InstanceDefinition], ...]:
        """Return what the manifest declares of instances for an entity, each with its script."""
        return () if self._uploaded is None else self._managed.instances_of(entity)

    def begin_upload(self, *, replacing: bool = False) -> Upload:
        """Return an upload to write the file into, for `create`, or for `replace`.

        Raises:
            UploadsTurnedOff, ScriptLimitReached
        """
        uploaded = self._turned_on()
        if not self._allow_uploads:
            raise UploadsTurnedOff
        if not replacing:
            uploaded.check_room()
        return uploaded.begin_upload()

    async def create(
        self,
        entity: EntityRef,
        upload: Upload,
        file_name: str,
        metadata: Metadata,
        *,
        script_id: str | None = None,
        uploaded_by: str | None = None,
        check: Check = accept_any,
        tell: Tell = tell_nobody,
    ) -> Script:
        """Make a script of an upload, under an id of `new_script_id`.

        Raises:
            ScriptRefused, ScriptLimitReached, SchemaCheckUnavailable, and what `check` raises
        """
        uploaded = self._turned_on()
        check_file_name(file_name)
        await self._check_metadata(metadata)
        await upload.finish()
        return await uploaded.add(
            entity,
            upload,
            file_name,
            metadata,
            script_id=script_id or new_script_id(),
            uploaded_by=uploaded_by,
            check=check,
            tell=tell,
        )

    async def replace(
        self,
        entity: EntityRef,
        script_id: str,
        upload: Upload,
        *,
        file_name: str | None = None,
        metadata: Metadata | None = None,
        versions_in_use: VersionsInUse = none_in_use,
        uploaded_by: str | None = None,
        check: Check = accept_any,
        tell: Tell = tell_nobody,
    ) -> Script:
        """Give a script a new file, a new file name where there is one, and what `metadata` names.

        What `metadata` does not name stays. The kind follows the new file name's suffix; see
        `file_names.settle_kind`. Older versions are removed, except those that `versions_in_use`
        returns for the script's id once the new version is in place.

        Raises:
            ScriptNotFound, ScriptIsManaged, ScriptRefused, SchemaCheckUnavailable, and what
            `check` raises
        """
        uploaded = self._uploads_with(entity, script_id)
        metadata = metadata or Metadata()
        if file_name is not None:
            check_file_name(file_name)
        await self._check_metadata(metadata)
        await upload.finish()
        return await uploaded.replace(
            entity,
            script_id,
            upload,
            file_name=file_name,
            metadata=metadata,
            versions_in_use=versions_in_use,
            uploaded_by=uploaded_by,
            check=check,
            tell=tell,
        )

    async def delete(
        self,
        entity: EntityRef,
        script_id: str,
        *,
        versions_in_use: VersionsInUse = none_in_use,
        tell: Tell = tell_nobody,
    ) -> None:
        """Remove a script with all its versions but those in use, which stay to be looked at.

        Raises:
            ScriptNotFound, ScriptIsManaged, UploadsTurnedOff
        """
        uploaded = self._uploads_with(entity, script_id)
        if not self._allow_uploads:
            raise UploadsTurnedOff
        await uploaded.remove(entity, script_id, versions_in_use, tell)

    def _turned_on(self) -> UploadedScripts:
        if self._uploaded is None:
            raise ScriptsTurnedOff
        return self._uploaded

    def _uploads_with(self, entity: EntityRef, script_id: str) -> UploadedScripts:
        """Return the uploads where the script is one; ScriptNotFound, ScriptIsManaged."""
        uploaded = self._turned_on()
        if self._managed.has(entity, script_id):
            raise ScriptIsManaged(script_id)
        uploaded.get(entity, script_id)
        return uploaded

    async def _check_metadata(self, metadata: Metadata) -> None:
        schema = metadata.parameters_schema
        if schema is None:
            return
        try:
            await self._schemas.check_schema(schema)
        except ScriptRefused as error:
            prefix = '/parameters_schema'
            raise ScriptRefused(
                f'metadata{prefix}: {error}',
                tuple(replace(v, path=prefix + v.path) for v in error.violations),
            ) from error
