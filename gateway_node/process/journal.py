# SPDX-License-Identifier: Apache-2.0
"""What a later gateway has to know of the executions that are open now.

One small file an execution in `<state_dir>/open`, written before its supervisor has its order.
Nothing is synced to the disk: a file has to outlive this process, not the machine, after whose
end nothing is left to be ended.
"""

from collections.abc import Mapping, Sequence
import contextlib
from dataclasses import dataclass
import errno
import json
import logging
import os
from pathlib import Path
from typing import Any

from gateway_node.child.exposed_files import open_fresh
from gateway_node.child.process_tree import Identity
from gateway_node.clock import read_boot_id
from gateway_node.process.kept_files import read_regular

_log = logging.getLogger(__name__)

_FOLDER = 'open'
_SPAWNER_FILE = 'spawner.json'
_SUFFIX = '.json'
_MAX_BYTES = 64 * 1024
_ENTRY_BYTES = 4096
"""Of every entry, padded with spaces; the path of a cgroup is the only long thing in it."""


@dataclass(frozen=True, kw_only=True)
class JournalEntry:
    """One open execution."""

    execution_id: str
    boot_id: str
    supervisor: Identity | None = None
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
        self._spawner_file = state_dir / _SPAWNER_FILE
        self.boot_id = read_boot_id()
        self._earlier: Mapping[str, JournalEntry] = {}
        self._spawners: set[Identity] = set()
        self.earlier_spawners: Sequence[Identity] = ()
        """Those of an earlier gateway in this boot."""

    def open(self) -> None:
        """Read what an earlier gateway had open, before anything is written.

        Raises:
            OSError: the folder cannot be made.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._earlier = self.read()
        self.earlier_spawners = self._read_spawners()

    def take_earlier(self) -> Mapping[str, JournalEntry]:
        """Return what an earlier gateway had open, by execution id; only once."""
        earlier, self._earlier = self._earlier, {}
        return earlier

    def write(self, entry: JournalEntry) -> None:
        """Keep the entry in place of an earlier one of the same execution.

        It is written over the earlier one in one piece of the same size, so that a gateway that is
        killed leaves the one or the other, or, of the first one, an empty file: no order was sent
        then. A file of its own and a rename take longer.
        """
        content = json.dumps(_document(entry)).encode().ljust(_ENTRY_BYTES)
        if len(content) != _ENTRY_BYTES:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        # A script can have put a pipe or a link there.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path(entry.execution_id), flags, 0o600)
        try:
            if os.write(descriptor, content) != _ENTRY_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def remove(self, execution_id: str) -> None:
        """Forget the execution."""
        with contextlib.suppress(OSError):
            self._path(execution_id).unlink()

    def read(self) -> Mapping[str, JournalEntry]:
        """Return all entries by execution id; a damaged one is an execution of another boot."""
        entries = {}
        for path in sorted(self._folder.glob(f'*{_SUFFIX}')):
            try:
                entry = _parse(json.loads(read_regular(path, _MAX_BYTES)))
            except (OSError, ValueError, TypeError, KeyError) as error:
                _log.warning('a journal entry is damaged: file %s, %s', path, error)
                entry = JournalEntry(execution_id=path.stem, boot_id='')
            entries[path.stem] = entry
        return entries

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

    def _path(self, execution_id: str) -> Path:
        return self._folder / f'{execution_id}{_SUFFIX}'


def _document(entry: JournalEntry) -> dict[str, Any]:
    marks = {
        name: None if mark is None else mark._asdict()
        for name, mark in (('supervisor', entry.supervisor), ('script', entry.script))
    }
    return {**vars(entry), **marks}


def _parse(fields: dict[str, Any]) -> JournalEntry:
    marks = {
        name: None if fields[name] is None else Identity(**fields[name])
        for name in ('supervisor', 'script')
    }
    return JournalEntry(**{**fields, **marks})
