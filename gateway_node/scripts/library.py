# SPDX-License-Identifier: Apache-2.0
"""The library of scripts: uploaded ones on disk, managed ones from the manifest.

It owns the scripts directory and nobody else writes there. What is in it is held in memory after
`open()`; changes go to the disk first, in threads, one after the other.
"""

import asyncio
from collections.abc import Callable, Collection, Container, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.manifest_files import ManifestInvalid
from gateway_node.scripts.beginning import Beginning, read_beginning
from gateway_node.scripts.content import Content
from gateway_node.scripts.disk import disk_errors
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ScriptIsManaged,
    ScriptLimitReached,
    ScriptNotFound,
    ScriptRefused,
    ScriptsTurnedOff,
    UploadsTurnedOff,
)
from gateway_node.scripts.file_names import check_file_name, settle_kind
from gateway_node.scripts.first_line import interpreter_of
from gateway_node.scripts.managed import ManagedFile, ManagedScript
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.records import Record, script_of
from gateway_node.scripts.schemas import SchemaChecker
from gateway_node.scripts.script_folders import new_script_id, ScriptFolders
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import EVERY_VERSION, Script, ScriptKind
from gateway_node.threads import Threads
from gateway_node.to_the_end import ToTheEnd

_LIBRARY_THREADS = 4
"""For the scripts directory."""
_CLOSE_PATIENCE_SEC = 5.0
"""For changes that have begun, as the disk may not answer."""


class ScriptLibrary:
    """All scripts of all entities.

    Every method but `has_scripts` and `entities_with_scripts` raises ScriptsTurnedOff where the
    library has no directory, and LibraryUnavailable where the disk refuses; a change that is
    refused changes nothing. A change that has begun is finished even where its caller is
    cancelled, so that memory and disk always agree.
    """

    def __init__(
        self,
        *,
        scripts_dir: Path | None,
        max_file_bytes: int,
        schemas: SchemaChecker,
        clock: Clock,
        managed: tuple[ManagedScript, ...] = (),
        allow_uploads: bool = True,
        max_scripts: int = 0,
    ) -> None:
        """Touch nothing yet; `scripts_dir` None turns scripts off, `max_scripts` 0 the limit."""
        self._folders = None if scripts_dir is None else ScriptFolders(scripts_dir)
        self._max_file_bytes = max_file_bytes
        self._schemas = schemas
        self._clock = clock
        self._threads = Threads('library', _LIBRARY_THREADS)
        self._managed = {m.script.id: ManagedFile(m) for m in managed}
        self._allow_uploads = allow_uploads
        self._max_scripts = max_scripts
        self._records: dict[str, Record] = {}
        self._set_aside: tuple[Path, ...] = ()
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()
        self._may_prune = True

    async def open(self, versions_in_use: Container[str] = ()) -> None:
        """Read the scripts directory, sweep what a crash left, check the managed schemas.

        Versions in `versions_in_use` are kept though they are not current; where that is every
        one, replacements keep them too. Without a scripts directory nothing is done.

        Raises:
            ManifestInvalid: a managed script's parameters_schema is not acceptable.
            SchemaCheckUnavailable: there are such schemas and nothing can check them.
        """
        if self._folders is None:
            return
        self._may_prune = versions_in_use is not EVERY_VERSION
        for file in self._managed.values():
            await self._check_managed(file.managed.script)
        with disk_errors(f'be read (scripts.scripts_dir {self._folders.directory})'):
            records = await self._threads.run(self._folders.load, versions_in_use)
            self._set_aside = await self._threads.run(self._folders.set_aside)
        self._records = {
            record.script_id: record for record in sorted(records, key=lambda r: r.sequence)
        }

    async def close(self) -> None:
        """Wait for the changes that have begun, if the disk makes them."""
        await self._to_the_end.wait(_CLOSE_PATIENCE_SEC)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the managed scripts, in sentences."""
        return tuple(file.warning for file in self._managed.values() if file.warning is not None)

    @property
    def turned_on(self) -> bool:
        """False where `scripts.scripts_dir` is empty."""
        return self._folders is not None

    @property
    def set_aside(self) -> tuple[Path, ...]:
        """The damaged scripts that lay aside, from this start or an earlier one, at the start."""
        return self._set_aside

    def check_turned_on(self) -> None:
        """Return where scripts are turned on; ScriptsTurnedOff."""
        self._open_folders()

    async def list(self, entity: EntityRef) -> tuple[Script, ...]:
        """Return an entity's scripts: the managed ones first, then the uploads, oldest first."""
        folders = self._open_folders()
        files = [f for f in self._managed.values() if f.managed.belongs_to(entity)]
        managed = await asyncio.gather(*(file.current() for file in files))
        uploads = (r for r in self._records.values() if r.entity == entity)
        return (*managed, *(script_of(record, folders.path_of(record)) for record in uploads))

    async def get(self, entity: EntityRef, script_id: str) -> Script:
        """Return one script in its current version; ScriptNotFound."""
        folders = self._open_folders()
        file = self._managed.get(script_id)
        if file is not None and file.managed.belongs_to(entity):
            return await file.current()
        record = self._record(entity, script_id)
        return script_of(record, folders.path_of(record))

    async def content(self, script: Script) -> Content:
        """Open the file of a script, the bytes as they were uploaded; see `Content.open`."""
        if script.managed:
            return await self._managed[script.id].content()
        return await Content.open(script.path, self._threads)

    def has_scripts(self, entity: EntityRef) -> bool:
        """Tell whether an entity has uploads, or a managed script that names it without a glob."""
        return entity in self.entities_with_scripts()

    def entities_with_scripts(self) -> frozenset[EntityRef]:
        """Return the entities for which `has_scripts` is true."""
        if self._folders is None:
            return frozenset()
        named = (file.managed.named_entities for file in self._managed.values())
        return self.entities_with_uploads().union(*named)

    def entities_with_uploads(self) -> frozenset[EntityRef]:
        """Return the entities that have uploads."""
        return frozenset(record.entity for record in self._records.values())

    def begin_upload(self, *, replacing: bool = False) -> Upload:
        """Return an upload to write the file into, for `create`, or for `replace`.

        Raises:
            UploadsTurnedOff, ScriptLimitReached
        """
        folders = self._open_folders()
        if not self._allow_uploads:
            raise UploadsTurnedOff
        if not replacing:
            self._check_room()
        path = folders.incoming_path()
        return Upload(path, self._max_file_bytes, self._threads, self._to_the_end)

    async def create(
        self, entity: EntityRef, upload: Upload, file_name: str, metadata: Metadata
    ) -> Script:
        """Make a script of an upload.

        Raises:
            ScriptRefused, ScriptLimitReached, SchemaCheckUnavailable
        """
        folders = self._open_folders()
        check_file_name(file_name)
        kind = settle_kind(file_name, metadata.kind)
        await self._check_schema(metadata)
        await upload.finish()
        return await self._take(
            upload, self._add(folders, entity, upload, file_name, kind, metadata)
        )

    async def replace(
        self,
        entity: EntityRef,
        script_id: str,
        upload: Upload,
        *,
        file_name: str | None = None,
        metadata: Metadata | None = None,
        versions_in_use: Callable[[str], Collection[str]] = lambda _script_id: (),
    ) -> Script:
        """Give a script a new file, a new file name where there is one, and what `metadata` names.

        What `metadata` does not name stays. The kind follows the new file name's suffix; see
        `file_names.settle_kind`. Older versions are removed, except those that `versions_in_use`
        returns for the script's id once the new version is in place.

        Raises:
            ScriptNotFound, ScriptIsManaged, ScriptRefused, SchemaCheckUnavailable
        """
        folders = self._open_folders()
        self._refuse_managed(entity, script_id)
        earlier = self._record(entity, script_id)
        if file_name is not None:
            check_file_name(file_name)
        if metadata is not None:
            await self._check_schema(metadata)
        await upload.finish()
        return await self._take(
            upload, self._change(folders, earlier, upload, file_name, metadata, versions_in_use)
        )

    async def delete(self, entity: EntityRef, script_id: str) -> None:
        """Remove a script with all its versions.

        Raises:
            ScriptNotFound, ScriptIsManaged, UploadsTurnedOff
        """
        folders = self._open_folders()
        self._refuse_managed(entity, script_id)
        record = self._record(entity, script_id)
        if not self._allow_uploads:
            raise UploadsTurnedOff
        # Gone at once: nothing can be started of it while the disk is busy.
        del self._records[script_id]
        await self._to_the_end.run(f'remove {script_id}', self._remove(folders, record))

    def _check_room(self) -> None:
        if 0 < self._max_scripts <= len(self._records):
            raise ScriptLimitReached(self._max_scripts)

    def _open_folders(self) -> ScriptFolders:
        if self._folders is None:
            raise ScriptsTurnedOff
        return self._folders

    def _record(self, entity: EntityRef, script_id: str) -> Record:
        record = self._records.get(script_id)
        if record is None or record.entity != entity:
            raise ScriptNotFound(entity, script_id)
        return record

    def _refuse_managed(self, entity: EntityRef, script_id: str) -> None:
        file = self._managed.get(script_id)
        if file is not None and file.managed.belongs_to(entity):
            raise ScriptIsManaged(script_id)

    async def _check_managed(self, script: Script) -> None:
        if script.parameters_schema is not None:
            try:
                await self._schemas.check_schema(script.parameters_schema)
            except ScriptRefused as error:
                raise ManifestInvalid(
                    f'the scripts manifest: parameters_schema of script {script.id!r}: {error}'
                ) from error

    async def _check_schema(self, metadata: Metadata) -> None:
        if metadata.parameters_schema is not None:
            try:
                await self._schemas.check_schema(metadata.parameters_schema)
            except ScriptRefused as error:
                prefix = '/parameters_schema'
                raise ScriptRefused(
                    f'metadata{prefix}: {error}',
                    tuple(replace(v, path=prefix + v.path) for v in error.violations),
                ) from error

    async def _beginning(self, upload: Upload, kind: ScriptKind) -> Beginning:
        """Return what the beginning of an upload says; ScriptRefused where it cannot run so."""
        with disk_errors('take a script'):
            beginning = await self._threads.run(read_beginning, upload.path, kind)
        interpreter_of(beginning.first_line, kind)
        return beginning

    async def _take(self, upload: Upload, change: Coroutine[Any, Any, Script]) -> Script:
        """Make a change to its end; where it is refused the upload is removed."""

        async def take() -> Script:
            try:
                return await change
            except Exception:
                await upload.discard()
                raise

        # Before anything is waited for: who is cancelled must not remove it under the change.
        upload.taken = True
        return await self._to_the_end.run(f'take the upload {upload.version}', take())

    async def _add(
        self,
        folders: ScriptFolders,
        entity: EntityRef,
        upload: Upload,
        file_name: str,
        kind: ScriptKind,
        metadata: Metadata,
    ) -> Script:
        beginning = await self._beginning(upload, kind)
        async with self._changes:
            self._check_room()
            record = Record(
                script_id=new_script_id(),
                entity=entity,
                sequence=1 + max((r.sequence for r in self._records.values()), default=0),
                created=self._clock.now().isoformat(),
                file_name=file_name,
                kind=kind,
                version=upload.version,
                size=upload.size,
                metadata=_without_kind(metadata),
                first_line=beginning.first_line,
                mended=beginning.to_mend,
            )
            with disk_errors('take a script'):
                await self._threads.run(folders.add, record, upload.path)
            self._records[record.script_id] = record
            return script_of(record, folders.path_of(record))

    async def _change(
        self,
        folders: ScriptFolders,
        earlier: Record,
        upload: Upload,
        file_name: str | None,
        metadata: Metadata | None,
        versions_in_use: Callable[[str], Collection[str]],
    ) -> Script:
        async with self._changes:
            earlier = self._record(earlier.entity, earlier.script_id)
            metadata = metadata or Metadata()
            file_name = file_name or earlier.file_name
            kind = settle_kind(file_name, metadata.kind, earlier.kind)
            beginning = await self._beginning(upload, kind)
            record = replace(
                earlier,
                file_name=file_name,
                kind=kind,
                version=upload.version,
                size=upload.size,
                metadata=_without_kind(metadata).over(earlier.metadata),
                first_line=beginning.first_line,
                mended=beginning.to_mend,
            )
            with disk_errors('take a script'):
                await self._threads.run(folders.change, record, upload.path)
            self._records[record.script_id] = record
            if self._may_prune:
                used = versions_in_use(record.script_id)
                await self._threads.run(folders.prune, record, used)
            return script_of(record, folders.path_of(record))

    async def _remove(self, folders: ScriptFolders, record: Record) -> None:
        async with self._changes:
            try:
                with disk_errors('give a script up'):
                    await self._threads.run(folders.remove, record.script_id)
            except LibraryUnavailable:
                self._records[record.script_id] = record
                raise
            # A replacement that was under way has brought it back.
            self._records.pop(record.script_id, None)


def _without_kind(metadata: Metadata) -> Metadata:
    """Return metadata for a record, which holds the settled kind itself."""
    return replace(metadata, kind=None, named=metadata.named - {'kind'})
