"""How scripts lie on the disk. All of it blocks; it knows no entity's rules, only files.

    <scripts_dir>/<script id>/script.json          the record, replaced by rename
    <scripts_dir>/<script id>/<SHA-256><suffix>    one file a version, never changed
    <scripts_dir>/.incoming/                       what is not a script yet, or no longer
    <scripts_dir>/.damaged/                        what could not be read, kept for a person

A script comes into being, changes and goes by one rename each, so that a crash at any moment
leaves the script as it was before or as it is after.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
import json
import logging
import os
from pathlib import Path
import re
import secrets
import stat
from typing import Any

from gateway_node.entities.values import EntityRef
from gateway_node.scripts.disk import (
    make_directory,
    remove_tree,
    sync_directory,
    write_file,
)
from gateway_node.scripts.errors import ScriptRefused
from gateway_node.scripts.file_names import check_file_name, suffix_of, SUFFIXES
from gateway_node.scripts.metadata import Metadata, parse_metadata
from gateway_node.scripts.values import Script, ScriptKind

_LOGGER = logging.getLogger(__name__)

_FORMAT = 1
_RECORD = 'script.json'
_SCRIPT_ID = re.compile(r'script_[0-9a-f]{16}')
_VERSION = re.compile(r'[0-9a-f]{64}')

_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    ScriptRefused,
)
"""What reading a record that the gateway did not write, or not to its end, may raise."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What `script.json` holds."""

    script_id: str
    entity: EntityRef
    sequence: int
    """Grows with each upload of the library: the order in which scripts were made."""
    created: str
    """RFC 3339; for people, the order is `sequence`."""
    file_name: str
    kind: ScriptKind
    version: str
    size: int
    metadata: Metadata

    @property
    def stored_name(self) -> str:
        """The name of the current version's file; launch and editors go by the suffix."""
        suffix = suffix_of(self.file_name)
        if suffix is None:
            suffix = next(known for known, kind in SUFFIXES.items() if kind is self.kind)
        return self.version + suffix


def new_script_id() -> str:
    """Return an id that nobody chose and nobody guesses."""
    return f'script_{secrets.token_hex(8)}'


def is_uploaded_id(script_id: str) -> bool:
    """Tell whether an id has the form that uploads get."""
    return _SCRIPT_ID.fullmatch(script_id) is not None


class Shelf:
    """The scripts directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._incoming = directory / '.incoming'
        self._damaged = directory / '.damaged'

    def incoming_path(self) -> Path:
        """Return a new name in the staging directory, which is on the same file system."""
        return self._incoming / secrets.token_hex(16)

    def path_of(self, record: Record) -> Path:
        """Return the file of a record's version."""
        return self.directory / record.script_id / record.stored_name

    def load(self, versions_in_use: frozenset[str]) -> tuple[Record, ...]:
        """Return all whole scripts; sweep what a crash left, set aside what is damaged."""
        make_directory(self._incoming)
        for leftover in self._incoming.iterdir():
            remove_tree(leftover)
        records = []
        for entry in sorted(self.directory.iterdir()):
            if _SCRIPT_ID.fullmatch(entry.name) and not entry.is_symlink() and entry.is_dir():
                try:
                    record = self._read(entry)
                except _DAMAGE as error:
                    self._set_aside(entry, error)
                    continue
                self.prune(record, versions_in_use)
                records.append(record)
        return tuple(records)

    def add(self, record: Record, upload: Path) -> None:
        """Make a script of a received file; an OSError leaves nothing of either."""
        staged, home = self.incoming_path(), self.directory / record.script_id
        try:
            make_directory(staged)
            os.rename(upload, staged / record.stored_name)
            write_file(staged / _RECORD, _encode(record))
            sync_directory(staged)
            os.rename(staged, home)
            sync_directory(self.directory)
        except OSError:
            _discard(staged, home, upload)
            raise

    def change(self, record: Record, upload: Path) -> None:
        """Give a script the version and the metadata of `record`; an OSError leaves the old."""
        home, target = self.directory / record.script_id, self.path_of(record)
        staged = self.incoming_path()
        try:
            write_file(staged, _encode(record))
            if target.exists():
                upload.unlink()  # the same bytes, for the name is their hash
            else:
                os.rename(upload, target)
            sync_directory(home)
            os.rename(staged, home / _RECORD)
        except OSError:
            # A version's file that is not the record's is removed by the next prune.
            _discard(staged, upload)
            raise
        sync_directory(home)

    def prune(self, record: Record, versions_in_use: Collection[str]) -> None:
        """Remove a script's versions that are neither current nor in use, as far as it goes."""
        try:
            for path in list((self.directory / record.script_id).iterdir()):
                version = path.name[:64]
                if (
                    _VERSION.fullmatch(version)
                    and path.name != record.stored_name
                    and version not in versions_in_use
                ):
                    path.unlink(missing_ok=True)
        except OSError as error:
            _LOGGER.warning('old versions of %s stay: %s', record.script_id, error)

    def remove(self, script_id: str) -> None:
        """Remove a script: one rename, after which it is gone, then the files."""
        gone = self.incoming_path()
        os.rename(self.directory / script_id, gone)
        sync_directory(self.directory)
        _discard(gone)

    def _read(self, home: Path) -> Record:
        document = json.loads((home / _RECORD).read_bytes())
        record = _decode(home.name, document)
        found = self.path_of(record).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != record.size:
            raise ValueError(f'{record.stored_name} is no file of {record.size} bytes')
        return record

    def _set_aside(self, home: Path, error: Exception) -> None:
        make_directory(self._damaged)
        aside = self._damaged / f'{home.name}-{secrets.token_hex(4)}'
        os.rename(home, aside)
        _LOGGER.error(
            'script %s is damaged and was set aside: path=%s cause=%s: %s',
            home.name, aside, type(error).__name__, error,
        )  # fmt: skip


def _discard(*paths: Path) -> None:
    for path in paths:
        with suppress(OSError):
            remove_tree(path)


def _encode(record: Record) -> bytes:
    document: dict[str, Any] = {
        'format': _FORMAT,
        'entity': record.entity.path,
        'sequence': record.sequence,
        'created': record.created,
        'file_name': record.file_name,
        'kind': record.kind.value,
        'version': record.version,
        'size': record.size,
        'metadata': record.metadata.document(),
    }
    return json.dumps(document, indent=2).encode()


def _decode(script_id: str, document: Any) -> Record:
    if document['format'] != _FORMAT:
        raise ValueError(f'format is {document["format"]!r}; this gateway reads {_FORMAT}')
    version, size, sequence = document['version'], document['size'], document['sequence']
    check_file_name(document['file_name'])
    if not _VERSION.fullmatch(version):
        raise ValueError(f'version is {version!r:.80}; allowed: a SHA-256')
    if type(size) is not int or type(sequence) is not int:
        raise ValueError(f'size is {size!r:.80}, sequence is {sequence!r:.80}; allowed: integers')
    return Record(
        script_id=script_id,
        entity=EntityRef.from_path(document['entity']),
        sequence=sequence,
        created=str(document['created']),
        file_name=document['file_name'],
        kind=ScriptKind(document['kind']),
        version=version,
        size=size,
        metadata=parse_metadata(document['metadata']),
    )


def script_of(record: Record, path: Path) -> Script:
    """Return a record as the script that the other rooms see."""
    metadata = record.metadata
    return Script(
        id=record.script_id,
        name=metadata.name or record.file_name,
        kind=record.kind,
        path=path,
        version=record.version,
        size=record.size,
        **metadata.script_fields(),
    )
