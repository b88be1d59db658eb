# SPDX-License-Identifier: Apache-2.0
"""The versions of uploads that are not current, as they lie on the disk. All of it blocks.

    <scripts_dir>/<script id>/<version>/   as it lay when it was current, and <version>.unpacked/
    <scripts_dir>/<script id>/<version>.json   the record of then
    <scripts_dir>/.deleted/<script id>/   a script that is gone, while any version of it is kept

What stays of a version after a crash in its removal is removed at the next start.
"""

from dataclasses import dataclass
import json
import os
from pathlib import Path

from gateway_node.scripts.disk import make_directory, sync_directory
from gateway_node.scripts.records import DAMAGE, decode, encode, Record, script_of, VERSION
from gateway_node.scripts.values import MENDED_FOLDER, ScriptVersion, unpacked_folder


@dataclass(frozen=True, kw_only=True)
class OldVersion:
    """A version that is kept and not current."""

    version: str
    revision: int
    """See `Record.revision`; 0 where nobody noted it."""
    size: int
    """Bytes that its files take, the note included."""

    @classmethod
    def of(cls, record: Record) -> 'OldVersion':
        """Return the version of a record that was current."""
        copies = 2 if record.mended and record.metadata.entry is None else 1
        # A schema of parameters may be longer than the script.
        size = record.size * copies + record.unpacked_size + len(encode(record))
        return cls(version=record.version, revision=record.revision, size=size)


class VersionFolders:
    """Finds, describes and moves them."""

    def __init__(self, directory: Path) -> None:
        """Take the scripts directory."""
        self._directory = directory
        self.deleted_scripts = directory / '.deleted'

    def home(self, script_id: str, *, deleted: bool) -> Path:
        """Return where the versions of a script lie."""
        return (self.deleted_scripts if deleted else self._directory) / script_id

    def found(self, record: Record, *, deleted: bool = False) -> tuple[OldVersion, ...]:
        """Return the versions beside the current one; of a deleted script all of them."""
        home = self.home(record.script_id, deleted=deleted)
        return tuple(
            self._found(folder, record if deleted else None)
            for folder in home.iterdir()
            if VERSION.fullmatch(folder.name) and (deleted or folder.name != record.version)
        )

    def has_copies(self, record: Record) -> bool:
        """Tell whether the current version lies under names that its file had before, too."""
        return any(self.copies(record))

    def copies(self, record: Record) -> tuple[Path, ...]:
        """Return what the current version does not need: files under names that it had before,
        and what was unpacked before it was no archive."""
        folder = self._directory / record.script_id / record.version
        copies = [
            copy
            for copy in (*folder.iterdir(), *folder.glob(f'{MENDED_FOLDER}/*'))
            if copy.name not in (MENDED_FOLDER, record.place.name)
        ]
        unpacked = unpacked_folder(folder)
        if record.metadata.entry is None and unpacked.exists():
            copies.append(unpacked)
        return tuple(copies)

    def files(self, script_id: str, version: str, *, deleted: bool) -> tuple[Path, Path, Path]:
        """Return all that there is of a version: the note, where an archive is unpacked, and, by
        which it is found and which is removed last, the folder of its file."""
        folder = self.home(script_id, deleted=deleted) / version
        return folder.with_name(f'{version}.json'), unpacked_folder(folder), folder

    def retire(self, script_id: str) -> None:
        """Put a script with all its versions to the deleted ones: one rename."""
        make_directory(self.deleted_scripts)
        os.rename(self._directory / script_id, self.deleted_scripts / script_id)
        sync_directory(self.deleted_scripts)
        sync_directory(self._directory)

    def describe(self, record: Record, version: str, *, deleted: bool) -> ScriptVersion:
        """Return what is known of a version of a script; FileNotFoundError."""
        note, _, folder = self.files(record.script_id, version, deleted=deleted)
        noted = record if record.version == version else _read(note)
        if noted is None:
            path = _file_in(folder)
            return ScriptVersion(version=version, path=path, size=path.stat().st_size)
        path = folder.parent / noted.place
        return version_of(noted, path, current=not deleted and noted is record)

    def _found(self, folder: Path, last: Record | None) -> OldVersion:
        if last is not None and last.version == folder.name:
            return OldVersion.of(last)
        noted = _read(folder.with_name(f'{folder.name}.json'))
        if noted is not None:
            return OldVersion.of(noted)
        there = (*folder.rglob('*'), *unpacked_folder(folder).rglob('*'))
        files = [path.lstat() for path in there if path.is_file()]
        size = sum(each.st_size for each in files)
        return OldVersion(version=folder.name, revision=0, size=size)


def version_of(record: Record, path: Path, *, current: bool) -> ScriptVersion:
    """Return a record as a version of its script."""
    return ScriptVersion(
        version=record.version,
        path=path,
        size=record.size,
        current=current,
        script=script_of(record, path),
        uploaded_at=record.uploaded_at,
        uploaded_by=record.uploaded_by,
    )


def _read(note: Path) -> Record | None:
    """Return the record of a version; None where there is none, or it is damaged."""
    try:
        return decode(note.parent.name, json.loads(note.read_bytes()))
    except DAMAGE:
        return None


def _file_in(folder: Path) -> Path:
    files = sorted(path for path in folder.iterdir() if path.name != MENDED_FOLDER)
    if not files:
        raise FileNotFoundError(f'{folder} is empty')
    return files[0]
