# SPDX-License-Identifier: Apache-2.0
"""The versions of uploads that are kept although they are not current: somebody may want to look
at what ran. They lie on the disk, and which there are is held in memory."""

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.errors import VersionNotFound
from gateway_node.scripts.records import Record
from gateway_node.scripts.script_folders import ScriptFolders
from gateway_node.scripts.values import ScriptVersion
from gateway_node.scripts.version_folders import OldVersion
from gateway_node.threads import Threads

_NAMED_VERSIONS = 20
"""That a refusal names."""

VersionsInUse = Callable[[str], Awaitable[Container[str]]]
"""Returns the versions of a script, by its id, that are to be kept."""


async def none_in_use(script_id: str) -> Container[str]:
    """Nobody needs a version that is not current."""
    return ()


class OldVersions:
    """Owns them; its caller sees to it that a script is changed by one at a time."""

    def __init__(self, folders: ScriptFolders, threads: Threads) -> None:
        self._folders = folders
        self._threads = threads
        self._kept: dict[str, dict[str, OldVersion]] = {}
        self._deleted: dict[str, Record] = {}
        self.bytes = 0
        """Of the disk, that all of them take."""

    async def open(self, records: Iterable[Record]) -> tuple[str, ...]:
        """Look for them; return the ids of the scripts of which something may be removed."""
        deleted, found, untidy = await self._threads.run(self._look, tuple(records))
        self._deleted = {record.script_id: record for record in deleted}
        for script_id, versions in found.items():
            self._add(script_id, *versions)
        return tuple({**dict.fromkeys(self._kept), **dict.fromkeys((*self._deleted, *untidy))})

    def of(self, script_id: str) -> Mapping[str, OldVersion]:
        """Return the versions of a script, by their names."""
        return self._kept.get(script_id, {})

    def deleted(self, entity: EntityRef, script_id: str) -> Record | None:
        """Return the last record of a deleted script of which a version is kept, or None."""
        record = self._deleted.get(script_id)
        return record if record is not None and record.entity == entity else None

    def replace(self, earlier: Record, record: Record) -> None:
        """Take note that a script has another record now; the disk has both versions."""
        if earlier.version != record.version:
            self._forget(record.script_id, record.version)
            self._add(record.script_id, OldVersion.of(earlier))

    async def retire(self, record: Record, in_use: Container[str]) -> None:
        """Remove a script; what of its versions is in use stays. OSError, and it is all there."""
        script_id = record.script_id
        if not any(version in in_use for version in (record.version, *self.of(script_id))):
            await self._threads.run(self._folders.remove, script_id)
            for version in tuple(self.of(script_id)):
                self._forget(script_id, version)
            return
        await self._threads.run(self._folders.versions.retire, script_id)
        self._deleted[script_id] = record
        self._add(script_id, OldVersion.of(record))
        await self.prune(script_id, in_use)

    async def prune(self, script_id: str, in_use: Container[str]) -> None:
        """Remove the versions of a script that are not in use, as far as it goes."""
        deleted = script_id in self._deleted
        for version in [each for each in self.of(script_id) if each not in in_use]:
            files = self._folders.versions.files(script_id, version, deleted=deleted)
            await self._threads.run(self._folders.discard, *files)
            self._forget(script_id, version)
        if deleted and not self.of(script_id):
            home = self._folders.versions.home(script_id, deleted=True)
            await self._threads.run(self._folders.discard, home)
            del self._deleted[script_id]

    async def newest(
        self, record: Record, limit: int, *, deleted: bool
    ) -> tuple[tuple[ScriptVersion, ...], bool]:
        """Return the newest versions of a script, and whether there are more than `limit`."""
        there = self._newest_first(record, deleted=deleted)
        return await self._describe(record, there[:limit], deleted=deleted), len(there) > limit

    async def find(self, record: Record, version: str, *, deleted: bool) -> ScriptVersion:
        """Return one version of a script; VersionNotFound."""
        there = self._newest_first(record, deleted=deleted)
        wanted = [version] if version in there else []
        for found in await self._describe(record, wanted, deleted=deleted):
            return found
        more = max(0, len(there) - _NAMED_VERSIONS)
        raise VersionNotFound(record.script_id, version, there[:_NAMED_VERSIONS], more=more)

    def _newest_first(self, record: Record, *, deleted: bool) -> tuple[str, ...]:
        old = sorted(self.of(record.script_id).values(), key=lambda each: -each.revision)
        current = () if deleted else (record.version,)
        return (*current, *(each.version for each in old))

    async def _describe(
        self, record: Record, versions: Iterable[str], *, deleted: bool
    ) -> tuple[ScriptVersion, ...]:
        """Return what is known of versions of a script, without those that are gone."""

        def describe() -> tuple[ScriptVersion, ...]:
            known = []
            for version in versions:
                try:
                    known.append(self._folders.versions.describe(record, version, deleted=deleted))
                except FileNotFoundError:
                    continue
            return tuple(known)

        return await self._threads.run(describe)

    def _look(
        self, records: tuple[Record, ...]
    ) -> tuple[tuple[Record, ...], dict[str, tuple[OldVersion, ...]], tuple[str, ...]]:
        folders = self._folders.versions
        deleted = self._folders.load_deleted()
        found = {
            **{record.script_id: folders.found(record) for record in records},
            **{record.script_id: folders.found(record, deleted=True) for record in deleted},
        }
        untidy = tuple(record.script_id for record in records if folders.has_copies(record))
        return deleted, found, untidy

    def _add(self, script_id: str, *versions: OldVersion) -> None:
        for version in versions:
            self._kept.setdefault(script_id, {})[version.version] = version
            self.bytes += version.size

    def _forget(self, script_id: str, version: str) -> None:
        kept = self._kept.get(script_id, {})
        if version in kept:
            self.bytes -= kept.pop(version).size
            if not kept:
                del self._kept[script_id]
