# SPDX-License-Identifier: Apache-2.0
"""How scripts lie on the disk. All of it blocks; it knows no entity's rules, only files.

    <scripts_dir>/<script id>/script.json                    the record, replaced by rename
    <scripts_dir>/<script id>/<version>/<file name>          the upload, never changed
    <scripts_dir>/<script id>/<version>/mended/<file name>   what runs in its place, if anything
    <scripts_dir>/<script id>/<version>.unpacked/            the files of an archive
    <scripts_dir>/<script id>/<version>.json                 see `version_folders.py`
    <scripts_dir>/.incoming/                                 what is not a script yet, or no longer
    <scripts_dir>/.damaged/                                  what could not be read, for a person

The version is the SHA-256 of the upload. A script comes into being, changes and goes by one
rename each, so that a crash at any moment leaves the script as it was before or as it is after.
"""

from collections.abc import Callable
from dataclasses import replace
import json
import logging
import os
from pathlib import Path
import re
import secrets
import stat
from typing import Any

from gateway_node.removal import remove_tree
from gateway_node.scripts import old_layout
from gateway_node.scripts.beginning import read_beginning
from gateway_node.scripts.disk import (
    disk_errors,
    make_directory,
    SCRIPT_MODE,
    sync_directory,
    write_file,
)
from gateway_node.scripts.mending import mend
from gateway_node.scripts.packages import UNPACKED_MODE
from gateway_node.scripts.records import DAMAGE, decode, encode, FORMAT, Record, script_of
from gateway_node.scripts.upload import Upload
from gateway_node.scripts.values import MENDED_FOLDER, unpacked_folder
from gateway_node.scripts.version_folders import VersionFolders

_LOGGER = logging.getLogger(__name__)

_RECORD = 'script.json'
_SCRIPT_ID = re.compile(r'script_[0-9a-f]{16}')


def new_script_id() -> str:
    """Return an id that nobody chose and nobody guesses."""
    return f'script_{secrets.token_hex(8)}'


def is_uploaded_id(script_id: str) -> bool:
    """Tell whether an id has the form that uploads get."""
    return _SCRIPT_ID.fullmatch(script_id) is not None


class ScriptFolders:
    """The scripts directory: a folder a script."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._incoming = directory / '.incoming'
        self._damaged = directory / '.damaged'
        self.versions = VersionFolders(directory)

    def incoming_path(self) -> Path:
        """Return a new name in the staging directory, which is on the same file system."""
        return self._incoming / secrets.token_hex(16)

    def path_of(self, record: Record) -> Path:
        """Return the file of a record's version."""
        return self.directory / record.script_id / record.place

    def load(self) -> tuple[Record, ...]:
        """Return all whole scripts; sweep what a crash left, set aside what is damaged."""
        make_directory(self._incoming)
        for leftover in self._incoming.iterdir():
            self.discard(leftover)
        return self._load(self.directory, self._read)

    def load_deleted(self) -> tuple[Record, ...]:
        """Return the last records of deleted scripts of which a version is kept."""
        if not self.versions.deleted_scripts.is_dir():
            return ()
        return self._load(self.versions.deleted_scripts, _read_record)

    def _load(self, directory: Path, read: Callable[[Path], Record]) -> tuple[Record, ...]:
        records = []
        for entry in sorted(directory.iterdir()):
            if _SCRIPT_ID.fullmatch(entry.name) and not entry.is_symlink() and entry.is_dir():
                try:
                    records.append(read(entry))
                except DAMAGE as error:
                    self._set_aside(entry, error)
        return tuple(records)

    def set_aside(self) -> tuple[Path, ...]:
        """Return what was damaged and lies aside, since whenever."""
        return tuple(sorted(self._damaged.iterdir())) if self._damaged.is_dir() else ()

    def add(self, record: Record, upload: Upload) -> None:
        """Make a script of a received file; an OSError leaves nothing of either."""
        staged, home = self.incoming_path(), self.directory / record.script_id
        try:
            self._place(staged, record, upload)
            write_file(staged / _RECORD, encode(record))
            sync_directory(staged)
            os.rename(staged, home)
            sync_directory(self.directory)
        except OSError:
            self.discard(staged, home, upload.path, upload.unpacked_path)
            raise

    def change(self, earlier: Record, record: Record, upload: Upload) -> None:
        """Give a script the version and the metadata of `record` in place of `earlier`; an OSError
        leaves the old.

        What the script was in the earlier version is noted beside that before.
        """
        home = self.directory / record.script_id
        staged, staged_note = self.incoming_path(), self.incoming_path()
        folder = home / record.version
        made = [each for each in (folder, unpacked_folder(folder)) if not each.exists()]
        try:
            write_file(staged, encode(record))
            self._place(home, record, upload)
            if earlier.version != record.version:
                write_file(staged_note, encode(earlier))
                os.rename(staged_note, home / f'{earlier.version}.json')
            sync_directory(home)
            os.rename(staged, home / _RECORD)
        except OSError:
            self.discard(staged, staged_note, upload.path, upload.unpacked_path, *made)
            raise
        sync_directory(home)

    def discard_copies(self, record: Record) -> None:
        """Remove the current version under names that its file had before, as far as it goes."""
        try:
            self.discard(*self.versions.copies(record))
        except OSError as error:
            _LOGGER.warning('copies of %s stay: %s', record.script_id, error)

    @staticmethod
    def discard(*paths: Path) -> None:
        """Remove what nothing needs any more; where it stays, it costs room only."""
        for path in paths:
            reason = remove_tree(path)
            if reason is not None:
                _LOGGER.warning('%s stays: %s', path, reason)

    def remove(self, script_id: str) -> None:
        """Remove a script: one rename, after which it is gone, then the files."""
        gone = self.incoming_path()
        os.rename(self.directory / script_id, gone)
        sync_directory(self.directory)
        self.discard(gone)

    def _place(self, home: Path, record: Record, upload: Upload) -> None:
        """Put an upload, and what runs in its place, into the folders of its version."""
        target = home / record.place
        make_directory(target.parent)
        if target.exists():
            upload.path.unlink()  # the same bytes, for the folder's name is their hash
        else:
            os.rename(upload.path, target)
        self._mend(home, record)
        sync_directory(target.parent)
        if record.metadata.entry is not None:
            self._place_unpacked(unpacked_folder(target.parent), upload)

    def _place_unpacked(self, target: Path, upload: Upload) -> None:
        if target.exists():
            self.discard(upload.unpacked_path)
        else:
            os.rename(upload.unpacked_path, target)
            # Only now: what nobody may write into cannot be put elsewhere (man 2 rename).
            target.chmod(UNPACKED_MODE)

    def _mend(self, home: Path, record: Record) -> None:
        """Make a version's mended copy where it has one and it is not there."""
        source = home / record.place
        target = source.parent / MENDED_FOLDER / source.name
        if not record.mended or record.metadata.entry is not None or target.exists():
            return
        staged = self.incoming_path()
        try:
            write_file(staged, mend(source.read_bytes(), record.mended), SCRIPT_MODE)
            make_directory(target.parent)
            os.rename(staged, target)
        except OSError:
            self.discard(staged)
            raise
        sync_directory(target.parent)

    def _read(self, home: Path) -> Record:
        document = json.loads((home / _RECORD).read_bytes())
        if document['format'] == old_layout.FORMAT:
            record = self._migrate(home, document)
        else:
            record = decode(home.name, document)
        script = script_of(record, self.path_of(record))
        found = script.path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != record.size:
            raise ValueError(f'{record.place} is no file of {record.size} bytes')
        if not stat.S_ISREG(script.runs_from.lstat().st_mode):
            raise ValueError(f'{script.runs_from} is no file')
        return record

    def _migrate(self, home: Path, document: Any) -> Record:
        """Bring a script of the old layout into this one."""
        lacking = {'format': FORMAT, 'first_line': '', 'mended': []}
        record = decode(home.name, document | lacking)
        # What refuses here is the disk, and no damage of the script.
        with disk_errors(f'bring {home} into the present layout'):
            old_layout.move_versions(home, record.version, record.place.name)
            if not (home / record.place).is_file():
                raise ValueError(f'{record.version} is no file')
            beginning = read_beginning(home / record.place, record.kind)
            record = replace(record, first_line=beginning.first_line, mended=beginning.to_mend)
            self._mend(home, record)
            staged = self.incoming_path()
            write_file(staged, encode(record))
            sync_directory(home)
            os.rename(staged, home / _RECORD)
            sync_directory(home)
        return record

    def _set_aside(self, home: Path, error: Exception) -> None:
        make_directory(self._damaged)
        aside = self._damaged / f'{home.name}-{secrets.token_hex(4)}'
        os.rename(home, aside)
        _LOGGER.error(
            'script %s is damaged and was set aside: path=%s cause=%s: %s',
            home.name, aside, type(error).__name__, error,
        )  # fmt: skip


def _read_record(home: Path) -> Record:
    return decode(home.name, json.loads((home / _RECORD).read_bytes()))
