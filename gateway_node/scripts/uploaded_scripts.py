# SPDX-License-Identifier: Apache-2.0
"""The scripts that clients uploaded: held in memory, and changed on the disk first.

Changes are made in threads, one after the other. What has begun is finished even where its caller
is cancelled, so that memory and disk always agree.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from gateway_node.clock import Clock
from gateway_node.entities.values import EntityRef
from gateway_node.scripts.arrivals import accept_any, Arrival, Check
from gateway_node.scripts.content import Content
from gateway_node.scripts.disk import disk_errors
from gateway_node.scripts.errors import (
    LibraryUnavailable,
    ScriptLimitReached,
    ScriptNotFound,
    VersionNotFound,
)
from gateway_node.scripts.metadata import Metadata
from gateway_node.scripts.old_versions import OldVersions, VersionsInUse
from gateway_node.scripts.records import Record, script_of
from gateway_node.scripts.script_folders import ScriptFolders
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import Script, ScriptVersion
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
        self._made: dict[str, tuple[Record, Script]] = {}
        """Scripts as they were made of their records, which each start asks for."""
        self._changes = asyncio.Lock()
        self._to_the_end = ToTheEnd()
        self._old = OldVersions(self._folders, self._threads)
        self.set_aside: tuple[Path, ...] = ()
        """The damaged scripts that lay aside, from this start or an earlier one, at the start."""

    async def open(self, versions_in_use: VersionsInUse) -> None:
        """Read the directory and sweep what a crash left; LibraryUnavailable.

        Versions in use are kept though they are not current.
        """
        with disk_errors(f'be read (scripts.scripts_dir {self._folders.directory})'):
            records = await self._threads.run(self._folders.load)
            self._records = {
                record.script_id: record for record in sorted(records, key=lambda r: r.sequence)
            }
            untidy = await self._old.open(records)
            self.set_aside = await self._threads.run(self._folders.set_aside)
        await self.prune(untidy, versions_in_use)

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

    def version_of(self, entity: EntityRef, script_id: str) -> str | None:
        """Return the version that a script has now; None where the entity has none such."""
        record = self._records.get(script_id)
        return record.version if record is not None and record.entity == entity else None

    def present_versions(self) -> dict[tuple[EntityRef, str], str]:
        """Return the version that each upload has now, by its entity and its id."""
        return {(each.entity, each.script_id): each.version for each in self._records.values()}

    async def content(self, path: Path) -> Content:
        """Open the file of a script, in any of its versions; see `Content.open`."""
        return await Content.open(path, self._threads)

    @property
    def old_version_bytes(self) -> int:
        """Of the disk, that is taken by the versions that are not current."""
        return self._old.bytes

    def has_version(self, script_id: str, version: str) -> bool:
        """Tell whether a version of a script is there, which may be deleted itself."""
        record = self._records.get(script_id) or self._removing.get(script_id)
        current = record is not None and record.version == version
        return current or version in self._old.of(script_id)

    async def versions(
        self, entity: EntityRef, script_id: str, *, limit: int
    ) -> tuple[tuple[ScriptVersion, ...], bool]:
        """Return the newest versions of a script, which may be deleted; and whether there are more
        than `limit`. ScriptNotFound."""
        while True:
            record, deleted = await self._present_or_deleted(entity, script_id)
            with disk_errors('tell the versions of a script'):
                found = await self._old.newest(record, limit, deleted=deleted)
            if deleted or script_id in self._records:
                return found

    async def version(self, entity: EntityRef, script_id: str, version: str) -> ScriptVersion:
        """Return one version of a script, which may be deleted.

        Raises:
            ScriptNotFound, VersionNotFound
        """
        while True:
            record, deleted = await self._present_or_deleted(entity, script_id)
            try:
                with disk_errors('tell the version of a script'):
                    return await self._old.find(record, version, deleted=deleted)
            except VersionNotFound:
                if deleted or script_id in self._records:
                    raise

    async def prune(self, script_ids: Iterable[str], versions_in_use: VersionsInUse) -> None:
        """Remove what nobody needs of scripts: versions that are neither current nor in use."""

        async def prune() -> None:
            for script_id in script_ids:
                async with self._changes:
                    await self._prune(script_id, versions_in_use)

        await self._to_the_end.run('remove old versions', prune())

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
        metadata: Metadata,
        *,
        script_id: str,
        uploaded_by: str | None = None,
        check: Check = accept_any,
        tell: Tell = tell_nobody,
    ) -> Script:
        """Make a script of an upload, under a new id; ScriptRefused, ScriptLimitReached, and what
        `check` raises."""
        arrival = Arrival(
            upload=upload,
            file_name=file_name,
            metadata=metadata,
            uploaded_by=uploaded_by,
            check=check,
        )
        return await self._take(upload, self._add(entity, script_id, arrival, tell))

    async def replace(
        self,
        entity: EntityRef,
        script_id: str,
        upload: Upload,
        *,
        file_name: str | None,
        metadata: Metadata,
        versions_in_use: VersionsInUse,
        uploaded_by: str | None = None,
        check: Check = accept_any,
        tell: Tell = tell_nobody,
    ) -> Script:
        """Make an upload a script's present version; ScriptRefused, ScriptNotFound, and what
        `check` raises.

        Older versions are removed, except those that `versions_in_use` returns for the script's
        id once the new version is in place.
        """

        async def change() -> Record:
            if metadata.over(self._record(entity, script_id).metadata).entry is not None:
                # This takes its time, and need keep nobody from other changes.
                await upload.unpack()
            async with self._changes:
                earlier = self._record(entity, script_id)
                arrival = Arrival(
                    upload=upload,
                    file_name=file_name or earlier.file_name,
                    metadata=metadata,
                    uploaded_by=uploaded_by,
                    check=check,
                )
                record = await self._replaced(earlier, arrival)
                tell(self._script(record))
                await self._prune(script_id, versions_in_use)
                return record

        return await self._take(upload, change())

    async def remove(
        self,
        entity: EntityRef,
        script_id: str,
        versions_in_use: VersionsInUse,
        tell: Tell = tell_nobody,
    ) -> None:
        """Remove a script with all its versions that are not in use; ScriptNotFound."""
        self._record(entity, script_id)
        # Gone at once: nothing can be started of it while the disk is busy.
        self._removing[script_id] = self._records.pop(script_id)
        removal = self._remove(script_id, versions_in_use, tell)
        await self._to_the_end.run(f'remove {script_id}', removal)

    def _record(self, entity: EntityRef, script_id: str) -> Record:
        record = self._records.get(script_id)
        if record is None or record.entity != entity:
            raise ScriptNotFound(entity, script_id)
        return record

    async def _present_or_deleted(self, entity: EntityRef, script_id: str) -> tuple[Record, bool]:
        """Return a script's record, and whether the script is deleted; ScriptNotFound.

        While it is being deleted nobody knows where its versions are: that is waited for. Where it
        has begun since, the script is not among the records, and what was looked for may have been
        missed.
        """
        while script_id in self._removing:
            await asyncio.sleep(0)  # the deletion comes first to the lock
            async with self._changes:
                pass
        deleted = self._old.deleted(entity, script_id)
        if deleted is not None:
            return deleted, True
        return self._record(entity, script_id), False

    def _script(self, record: Record) -> Script:
        made = self._made.get(record.script_id)
        if made is None or made[0] is not record:
            made = record, script_of(record, self._folders.path_of(record))
            self._made[record.script_id] = made
        return made[1]

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
        self, entity: EntityRef, script_id: str, arrival: Arrival, tell: Tell
    ) -> Record:
        contents = await arrival.contents(None, self._threads)
        async with self._changes:
            self.check_room()
            record = arrival.first_record(
                contents,
                script_id=script_id,
                entity=entity,
                sequence=1 + max((r.sequence for r in self._records.values()), default=0),
                now=self._clock.now(),
            )
            arrival.check(script_of(record, arrival.upload.path))
            with disk_errors('take a script'):
                await self._threads.run(self._folders.add, record, arrival.upload)
            self._records[record.script_id] = record
            tell(self._script(record))
            return record

    async def _replaced(self, earlier: Record, arrival: Arrival) -> Record:
        contents = await arrival.contents(earlier, self._threads)
        record = arrival.next_record(earlier, contents, now=self._clock.now())
        arrival.check(script_of(record, arrival.upload.path))
        with disk_errors('take a script'):
            await self._threads.run(self._folders.change, earlier, record, arrival.upload)
        # A deletion that was asked for meanwhile is not taken back.
        script_id = record.script_id
        records = self._removing if script_id in self._removing else self._records
        records[script_id] = record
        self._old.replace(earlier, record)
        return record

    async def _remove(self, script_id: str, versions_in_use: VersionsInUse, tell: Tell) -> None:
        async with self._changes:
            try:
                with disk_errors('give a script up'):
                    in_use = await versions_in_use(script_id)
                    await self._old.retire(self._removing[script_id], in_use)
            except LibraryUnavailable:
                self._records[script_id] = self._removing.pop(script_id)
                raise
            tell(self._script(self._removing.pop(script_id)))
            self._made.pop(script_id, None)

    async def _prune(self, script_id: str, versions_in_use: VersionsInUse) -> None:
        in_use = await versions_in_use(script_id)
        await self._old.prune(script_id, in_use)
        record = self._records.get(script_id)
        if record is not None and record.version not in in_use:
            await self._threads.run(self._folders.discard_copies, record)
