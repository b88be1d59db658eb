# SPDX-License-Identifier: Apache-2.0
"""What a later gateway has to know of the executions that are open now.

One file a gateway in `<state_dir>/open`, with a slot for each entry, written before the supervisor
has its order. Nothing is synced to the disk: the file has to outlive this process, not the
machine, after whose end nothing is left to be ended.
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
from dataclasses import dataclass
import errno
import json
import logging
import os
from pathlib import Path
import secrets
from typing import Any

from gateway_node.child.exposed_files import open_fresh
from gateway_node.child.process_tree import Identity
from gateway_node.clock import read_boot_id
from gateway_node.process.kept_files import read_regular
from gateway_node.removal import remove_tree

_log = logging.getLogger(__name__)

_FOLDER = 'open'
_SPAWNER_FILE = 'spawner.json'
_SUFFIX = '.slots'
_OLD_SUFFIX = '.json'
"""Of a file for each execution, as version 0.1.0 wrote it."""
_MAX_BYTES = 64 * 1024 * 1024
_SLOT_BYTES = 4096
"""The path of a folder is the only long thing in an entry. As a page of the kernel's: what is
written within one is there whole or not at all, whenever this process is killed."""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One open execution."""

    execution_id: str
    boot_id: str
    supervisor: Identity | None = None
    supervisor_folder: str | None = None
    """The supervisor's own, in which the script works."""
    script: Identity | None = None
    cgroup: str | None = None
    """The folder of the execution's leaf, should it have one."""


class Journal:
    """The folder of open executions, and a file that says who the spawners are.

    Raises on writing an entry:
        OSError: it cannot be written.
    """

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / _FOLDER
        self.file_name = f'{secrets.token_hex(8)}{_SUFFIX}'
        self._descriptor: int | None = None
        """None until there is something to write: a full disk keeps no gateway from serving."""
        self._slots: dict[str, int] = {}
        """By execution id."""
        self._written: dict[int, bytes] = {}
        """What is in the slots, should a script remove the file."""
        self._free: list[int] = []
        self._spawner_file = state_dir / _SPAWNER_FILE
        self.boot_id = read_boot_id()
        self._earlier: Mapping[str, JournalEntry] = {}
        self._earlier_files: dict[Path, set[str]] = {}
        """What earlier gateways left, with the executions whose ends nobody has recorded yet."""
        self._spawners: set[Identity] = set()
        self.earlier_spawners: Sequence[Identity] = ()
        """Those of an earlier gateway in this boot."""

    def open(self) -> None:
        """Read what an earlier gateway had open, before anything is written.

        Raises:
            OSError: the folder cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._earlier = self._read_earlier()
        self.earlier_spawners = self._read_spawners()

    def close(self) -> None:
        """Keep what is still open, if anything is; nothing is written any more."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            if not self._slots:
                (self._folder / self.file_name).unlink(missing_ok=True)

    def take_earlier(self) -> Mapping[str, JournalEntry]:
        """Return what an earlier gateway had open, by execution id; only once."""
        earlier, self._earlier = self._earlier, {}
        return earlier

    def write(self, entry: JournalEntry, instead_of: str | None = None) -> None:
        """Keep the entry in place of an earlier one of the same execution, or of another one.

        It is written over that: a gateway that is killed leaves the one or the other.
        """
        content = json.dumps(_document(entry), separators=(',', ':')).encode() + b'\n'
        if len(content) > _SLOT_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        execution_id = entry.execution_id
        slot = self._slots.pop(instead_of or execution_id, None)
        if slot is None:
            slot = self._free.pop() if self._free else len(self._slots)
        try:
            self._put(slot, content)
        except BaseException:
            self._free.append(slot)
            raise
        self._slots[execution_id] = slot

    def remove(self, execution_id: str) -> None:
        """Forget the execution."""
        slot = self._slots.pop(execution_id, None)
        if slot is not None:
            with contextlib.suppress(OSError):
                self._put(slot, b'\n')
            self._free.append(slot)
        for path, executions in tuple(self._earlier_files.items()):
            executions.discard(execution_id)
            if not executions:
                del self._earlier_files[path]
                remove_tree(path)

    def note_spawner(self, spawner: Identity) -> None:
        """Keep who a spawner is, for a later gateway; nothing fails without."""
        self._spawners.add(spawner)
        self._write_spawners()

    def forget_spawner(self, spawner: Identity) -> None:
        """Take note that this one is no more."""
        self._spawners.discard(spawner)
        if self._spawners:
            self._write_spawners()
        else:
            self._spawner_file.unlink(missing_ok=True)

    def _put(self, slot: int, content: bytes) -> None:
        if self._descriptor is None:
            self._open_file()
        elif not os.fstat(self._descriptor).st_nlink:
            self._replace_file()
        self._write_slot(slot, content)
        self._written[slot] = content

    def _replace_file(self) -> None:
        """Put another file in place of one that is removed."""
        removed, self._descriptor = self._descriptor, None
        if removed is not None:
            os.close(removed)
        self._open_file()
        for slot, content in self._written.items():
            self._write_slot(slot, content)

    def _open_file(self) -> None:
        self._folder.mkdir(exist_ok=True, mode=0o700)
        self._descriptor = open_fresh(str(self._folder / self.file_name))

    def _write_slot(self, slot: int, content: bytes) -> None:
        assert self._descriptor is not None
        if os.pwrite(self._descriptor, content, slot * _SLOT_BYTES) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _read_earlier(self) -> Mapping[str, JournalEntry]:
        """Return all entries by execution id, and remember in which files they are."""
        found: dict[str, JournalEntry] = {}
        for path in sorted(self._folder.iterdir()):
            if path.suffix == _SUFFIX:
                entries = list(_entries_of(path))
            elif path.suffix == _OLD_SUFFIX:
                entries = [_entry_of_old_file(path)]
            else:
                continue
            found |= {entry.execution_id: entry for entry in entries}
            if entries:
                self._earlier_files[path] = {entry.execution_id for entry in entries}
            else:
                remove_tree(path)
        return found

    def _write_spawners(self) -> None:
        spawners = [spawner._asdict() for spawner in self._spawners]
        document = {'boot_id': self.boot_id, 'spawners': spawners}
        with contextlib.suppress(OSError), open(open_fresh(str(self._spawner_file)), 'w') as file:
            json.dump(document, file)

    def _read_spawners(self) -> Sequence[Identity]:
        try:
            noted = json.loads(read_regular(self._spawner_file, _MAX_BYTES))
            # Before there could be several, the file was what is now one of its spawners.
            spawners = noted.get('spawners', [noted])
            if noted['boot_id'] == self.boot_id:
                return [Identity(pid=s['pid'], start_ticks=s['start_ticks']) for s in spawners]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return ()
        return ()


def _entries_of(path: Path) -> Iterator[JournalEntry]:
    try:
        content = read_regular(path, _MAX_BYTES)
    except OSError as error:
        _log.warning('a journal cannot be read: file %s, %s', path, error)
        return
    for start in range(0, len(content), _SLOT_BYTES):
        line = content[start : start + _SLOT_BYTES].partition(b'\n')[0].strip(b'\0')
        if line:
            try:
                yield _parse(line)
            except ValueError as error:
                _log.warning('a journal entry is damaged: file %s, %s', path, error)


def _entry_of_old_file(path: Path) -> JournalEntry:
    """Return the entry of one file; a damaged one is an execution of another boot."""
    try:
        return _parse(read_regular(path, _MAX_BYTES))
    except (OSError, ValueError) as error:
        _log.warning('a journal entry is damaged: file %s, %s', path, error)
        return JournalEntry(execution_id=path.stem, boot_id='')


def _document(entry: JournalEntry) -> dict[str, Any]:
    marks = {
        name: None if mark is None else mark._asdict()
        for name, mark in (('supervisor', entry.supervisor), ('script', entry.script))
    }
    return {**vars(entry), **marks}


def _parse(content: bytes) -> JournalEntry:
    """Return the entry of its document.

    Raises:
        ValueError: it is none; a script can have written it.
    """
    try:
        fields = json.loads(content)
        marks = {
            name: None if fields[name] is None else Identity(**fields[name])
            for name in ('supervisor', 'script')
        }
        entry = JournalEntry(**{**fields, **marks})
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(str(error)) from error
    texts = (entry.execution_id, entry.boot_id)
    paths = (entry.supervisor_folder, entry.cgroup)
    numbers = [number for mark in (entry.supervisor, entry.script) if mark for number in mark]
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(isinstance(path, str | None) for path in paths)
        or not all(type(number) is int for number in numbers)
    ):
        raise ValueError(f'it has fields of other types: {fields!r:.200}')
    return entry
