# SPDX-License-Identifier: Apache-2.0
"""The scripts that clients uploaded: held in memory, and changed on the disk first.

Changes are made in threads, one after the other. What has begun is finished even where its caller
is cancelled, so that memory and disk always agree.
"""

import asyncio
from collections.abc import Callable, Collection, Container, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.scripts.beginning import Beginning, read_beginning
from gateway_node.scripts.content import Content
from gateway_node.scripts.disk import disk_errors
from gateway_node.scripts.errors import LibraryUnavailable, ScriptLimitReached, ScriptNotFound
from gateway_node.scripts.file_names import settle_kind
from gateway_node.scripts.first_line import interpreter_of
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.records import Record, script_of
from gateway_node.scripts.script_folders import new_script_id, ScriptFolders
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import EVERY_VERSION, Script, ScriptKind
from gateway_node.threads import Threads
from gateway_node.to_the_end import ToTheEnd

_THREADS = 4
"""For the scripts directory."""
_CLOSE_PATIENCE_SEC = 5.0
"""For changes that have begun, as the disk may not answer."""

Tell = Callable[[Script], None]


def tell_nobody(script: Script) -> None:
    """Nobody wants to know."""


class UploadedScripts:
    """All uploads of all entities; a change raises LibraryUnavailable where the disk refuses it,
    and then changes nothing.

    `tell` is called with the script once its change is made, in the order of the changes, although
    who made it is cancelled.
    """

    def __init__(
        self, directory: Path, *, max_file_bytes: int, max_scripts: int, clock: Clock
    ) -> None:
        """Touch nothing yet; `max_scripts` 0 sets no limit."""
        self._folders = ScriptFolders(directory)
        self._max_file_bytes = max_file_bytes
        self._max_scripts = max_scripts
        self._clock = clock
        self._threads = Threads('library', _THREADS)
        self._records: dict[str, Record] = {}
        self._removing: dict[str, Record] = {}
        """Of scripts whose deletion was asked for and is not done yet."""
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()
        self._may_prune = True
        self.set_aside: tuple[Path, ...] = ()
        """The damaged scripts that lay aside, from this start or an earlier one, at the start."""

    async def open(self, versions_in_use: Container[str]) -> None:
        """Read the directory and sweep what a crash left; LibraryUnavailable.

        Versions in `versions_in_use` are kept though they are not current; where that is every
        one, replacements keep them too.
        """
        self._may_prune = versions_in_use is not EVERY_VERSION
        with disk_errors(f'be read (scripts.scripts_dir {self._folders.directory})'):
            records = await self._threads.run(self._folders.load, versions_in_use)
            self.set_aside = await self._threads.run(self._folders.set_aside)
        self._records = {
            record.script_id: record for record in sorted(records, key=lambda r: r.sequence)
        }

    async def close(self) -> None:
        """Wait for the changes that have begun, if the disk makes them."""
        await self._to_the_end.wait(_CLOSE_PATIENCE_SEC)

    @property
    def entities(self) -> frozenset[EntityRef]:
        """The entities that have uploads."""
        return frozenset(record.entity for record in self._records.values())

    def of(self, entity: EntityRef) -> tuple[Script, ...]:
        """Return an entity's uploads, oldest first."""
        return tuple(self._script(r) for r in self._records.values() if r.entity == entity)

    def get(self, entity: EntityRef, script_id: str) -> Script:
        """Return one script; ScriptNotFound."""
        return self._script(self._record(entity, script_id))

    async def content(self, script: Script) -> Content:
        """Open the file of a script; see `Content.open`."""
        return await Content.open(script.path, self._threads)

    def begin_upload(self) -> Upload:
        """Return an upload to write a file into."""
        path = self._folders.incoming_path()
        return Upload(path, self._max_file_bytes, self._threads, self._to_the_end)

    def every(self) -> tuple[tuple[EntityRef, Script], ...]:
        """Return all uploads with their entities, oldest first."""
        return tuple((record.entity, self._script(record)) for record in self._records.values())

    def check_room(self) -> None:
        """Return where one more script may be; ScriptLimitReached."""
        if 0 < self._max_scripts <= len(self._records):
            raise ScriptLimitReached(self._max_scripts)

    async def add(
        self,
        entity: EntityRef,
        upload: Upload,
        file_name: str,
        kind: ScriptKind,
        metadata: Metadata,
        tell: Tell = tell_nobody,
    ) -> Script:
        """Make a script of an upload; ScriptRefused, ScriptLimitReached."""
        change = self._add(entity, upload, file_name, kind, metadata, tell)
        return await self._take(upload, change)

    async def replace(
        self,
        entity: EntityRef,
        script_id: str,
        upload: Upload,
        *,
        file_name: str | None,
        metadata: Metadata,
        versions_in_use: Callable[[str], Collection[str]],
        tell: Tell = tell_nobody,
    ) -> Script:
        """Make an upload a script's present version; ScriptRefused, ScriptNotFound.

        Older versions are removed, except those that `versions_in_use` returns for the script's
        id once the new version is in place.
        """
        change = self._replace(
            entity, script_id, upload, file_name, metadata, versions_in_use, tell
        )
        return await self._take(upload, change)

    async def remove(self, entity: EntityRef, script_id: str, tell: Tell = tell_nobody) -> None:
        """Remove a script with all its versions; ScriptNotFound."""
        self._record(entity, script_id)
        # Gone at once: nothing can be started of it while the disk is busy.
        self._removing[script_id] = self._records.pop(script_id)
        await self._to_the_end.run(f'remove {script_id}', self._remove(script_id, tell))

    def _record(self, entity: EntityRef, script_id: str) -> Record:
        record = self._records.get(script_id)
        if record is None or record.entity != entity:
            raise ScriptNotFound(entity, script_id)
        return record

    def _script(self, record: Record) -> Script:
        return script_of(record, self._folders.path_of(record))

    async def _beginning(self, upload: Upload, kind: ScriptKind) -> Beginning:
        """Return what the beginning of an upload says; ScriptRefused where it cannot run so."""
        with disk_errors('take a script'):
            beginning = await self._threads.run(read_beginning, upload.path, kind)
        interpreter_of(beginning.first_line, kind)
        return beginning

    async def _take(self, upload: Upload, change: Coroutine[Any, Any, Record]) -> Script:
        """Make a change to its end; where it is refused the upload is removed."""

        async def take() -> Script:
            try:
                return self._script(await change)
            except Exception:
                await upload.discard()
                raise

        # Before anything is waited for: who is cancelled must not remove it under the change.
        upload.taken = True
        return await self._to_the_end.run(f'take the upload {upload.version}', take())

    async def _add(
        self,
        entity: EntityRef,
        upload: Upload,
        file_name: str,
        kind: ScriptKind,
        metadata: Metadata,
        tell: Tell,
    ) -> Record:
        beginning = await self._beginning(upload, kind)
        async with self._changes:
            self.check_room()
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
                await self._threads.run(self._folders.add, record, upload.path)
            self._records[record.script_id] = record
            tell(self._script(record))
            return record

    async def _replace(
        self,
        entity: EntityRef,
        script_id: str,
        upload: Upload,
        file_name: str | None,
        metadata: Metadata,
        versions_in_use: Callable[[str], Collection[str]],
        tell: Tell,
    ) -> Record:
        async with self._changes:
            earlier = self._record(entity, script_id)
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
                await self._threads.run(self._folders.change, record, upload.path)
            # A deletion that was asked for meanwhile is not taken back.
            records = self._removing if script_id in self._removing else self._records
            records[script_id] = record
            tell(self._script(record))
            if self._may_prune:
                await self._threads.run(self._folders.prune, record, versions_in_use(script_id))
            return record

    async def _remove(self, script_id: str, tell: Tell) -> None:
        async with self._changes:
            try:
                with disk_errors('give a script up'):
                    await self._threads.run(self._folders.remove, script_id)
            except LibraryUnavailable:
                self._records[script_id] = self._removing.pop(script_id)
                raise
            tell(self._script(self._removing.pop(script_id)))


def _without_kind(metadata: Metadata) -> Metadata:
    """Return metadata for a record, which holds the settled kind itself."""
    return replace(metadata, kind=None, named=metadata.named - {'kind'})
