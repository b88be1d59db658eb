# SPDX-License-Identifier: Apache-2.0
"""The files that a script leaves to be kept: taken out of its folder, within bounds, and listed.

A supervisor does so at the end of its script, the gateway where the supervisor was lost. What lies
there may be anything, and others may be at it still: so each thing is held by a descriptor before
it is looked at, and only plain files that nobody else can write to come to be kept.
"""

from collections import Counter
from collections.abc import Iterator
import contextlib
import itertools
import os
import stat
from typing import NamedTuple

from gateway_node.child.artifact_index import note_of, read_index, write_index
from gateway_node.child.contract import ARTIFACTS_DIRECTORY
from gateway_node.child.exposed_files import make_directory, open_below, open_fresh
from gateway_node.child.held_files import held, is_being_written, mount_of, path_of
from gateway_node.child.messages import ArtifactBounds, ArtifactNote, ArtifactsNote
from gateway_node.removal import remove_tree

MAX_DEPTH = 8
"""Names in a path."""
_MAX_ENTRIES = 20_000
"""What is looked at of all that was left."""
_NAMED = 5
"""Of what there is something to say, in sentences of their own."""
_SHOWN = 200
"""Characters of a path that a sentence repeats."""
_PIECE_BYTES = 256 * 1024
_KINDS = {
    stat.S_IFLNK: 'a link',
    stat.S_IFIFO: 'a pipe',
    stat.S_IFSOCK: 'a socket',
    stat.S_IFBLK: 'a device',
    stat.S_IFCHR: 'a device',
}


class KeptArtifacts(NamedTuple):
    """What is kept, and what not."""

    files: int = 0
    """How many are kept."""
    complaints: tuple[str, ...] = ()
    """Why others are not, or not as they were; sentences."""


def is_left(source: str) -> bool:
    """Tell whether a script has left anything in its folder, or anything in place of that."""
    try:
        return bool(os.listdir(source))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def keep_artifacts(source: str, directory: str, bounds: ArtifactBounds) -> KeptArtifacts:
    """Move what may be kept of a folder into an execution's directory, and list it there.

    The rest stays where it is. What is in the directory already, as where somebody was killed who
    did this, is kept too.
    """
    make_directory(directory)
    keeping = _Keeping(os.path.join(directory, ARTIFACTS_DIRECTORY), bounds)
    keeping.take(source)
    files = keeping.listed()
    note = ArtifactsNote(files=files, complaints=keeping.complaints())
    if files and write_index(directory, note):
        return _kept(note)
    keeping.give_up()
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    if files:
        note['complaints'].append('the artifacts are not kept: the disk does not take them')
    return KeptArtifacts(complaints=tuple(note['complaints']))


def finish_keeping(source: str, directory: str, bounds: ArtifactBounds) -> KeptArtifacts:
    """Do what `keep_artifacts` does, as far as it was not done; return what is kept."""
    note = read_index(directory)
    if note is not None:
        return _kept(note)
    begun = os.path.lexists(os.path.join(directory, ARTIFACTS_DIRECTORY))
    if not begun and not is_left(source):
        return KeptArtifacts()
    return keep_artifacts(source, directory, bounds)


def _kept(note: ArtifactsNote) -> KeptArtifacts:
    return KeptArtifacts(len(note['files']), tuple(note['complaints']))


class _Refused(Exception):
    """Why something is not kept; a sentence that begins with `it`."""


class _Keeping:
    """Moves files into a folder, as long as the bounds allow."""

    def __init__(self, target: str, bounds: ArtifactBounds) -> None:
        self._target = target
        self._bounds = bounds
        self._mount = ''
        self._entries = 0
        self._files = 0
        self._bytes = 0
        self._sentences: list[str] = []
        self._unnamed: Counter[str] = Counter()
        """What there is to say of others than are named, by how often."""
        self._stopped = ''
        """Why nothing further is looked at."""
        if os.path.islink(target) or not os.path.isdir(target):
            remove_tree(target)

    def take(self, source: str) -> None:
        """Take what may be kept of a folder."""
        try:
            with held(source) as top:
                found = os.fstat(top)
                if not stat.S_ISDIR(found.st_mode):
                    raise _Refused('something else is in its place')
                self._mount = mount_of(top)
                self._take_folder(top, ())
        except FileNotFoundError:
            return
        except (_Refused, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._stopped = f'the folder of artifacts is not kept: {reason}'

    def listed(self) -> list[ArtifactNote]:
        """Return what is there now, by path; what is beyond the bounds, or unreadable, is not."""
        notes: list[ArtifactNote] = []
        left_bytes = self._bounds['max_total_bytes']
        for path in sorted(_paths_below(self._target)):
            try:
                with open(open_below(self._target, path), 'rb') as file:
                    size = os.fstat(file.fileno()).st_size
                    most = min(left_bytes, self._bounds['max_file_bytes'])
                    if size > most or len(notes) == self._bounds['max_files']:
                        os.unlink(os.path.join(self._target, path))
                        continue
                    notes.append(note_of(path, file.fileno()))
                    left_bytes -= size
            except OSError as error:
                self._refuse((path,), f'it cannot be read: {error.strerror}')
        return notes

    def complaints(self) -> list[str]:
        """Return what there is to say of what is not kept, or not as it was, in few sentences."""
        more = [f'{number} more artifacts {what}' for what, number in self._unnamed.items()]
        return [*self._sentences, *more, *([self._stopped] if self._stopped else [])]

    def give_up(self) -> None:
        """Remove all that was taken."""
        remove_tree(self._target)

    def _take_folder(self, pin: int, above: tuple[str, ...]) -> None:
        if stat.S_IMODE(os.fstat(pin).st_mode) & 0o700 != 0o700:
            os.chmod(path_of(pin), 0o700)
        folder = os.open(path_of(pin), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with os.scandir(folder) as entries:
                within = itertools.islice(entries, _MAX_ENTRIES - self._entries + 1)
                names = sorted(each.name for each in within)
            for name in names:
                self._entries += 1
                if self._entries > _MAX_ENTRIES:
                    most = f'{_MAX_ENTRIES} files and folders'
                    self._stopped = f'not all artifacts are kept: more than {most} were left'
                if self._stopped:
                    return
                self._take_entry(folder, name, (*above, name))
        finally:
            os.close(folder)

    def _take_entry(self, folder: int, name: str, path: tuple[str, ...]) -> None:
        try:
            if not name.isprintable() or '\\' in name:
                raise _Refused('its name is no printable UTF-8 without backslashes')
            if len(path) > MAX_DEPTH:
                raise _Refused(f'it lies in more than {MAX_DEPTH - 1} folders')
            with held(name, folder) as pin:
                if stat.S_ISDIR(os.fstat(pin).st_mode):
                    self._enter(pin, path)
                    with contextlib.suppress(OSError):
                        os.rmdir(name, dir_fd=folder)
                else:
                    self._take_file(folder, pin, path)
        except _Refused as error:
            self._refuse(path, str(error))
        except OSError as error:
            self._refuse(path, f'it cannot be taken: {error.strerror}')

    def _enter(self, pin: int, path: tuple[str, ...]) -> None:
        if mount_of(pin) != self._mount:
            raise _Refused('it is a mount')
        self._take_folder(pin, path)

    def _take_file(self, folder: int, pin: int, path: tuple[str, ...]) -> None:
        found = os.fstat(pin)
        self._check(found)
        if self._stopped:
            return
        *folders, name = path
        place = os.path.join(self._target, *folders)
        os.makedirs(place, 0o700, exist_ok=True)
        goal = os.path.join(place, name)
        if found.st_nlink == 1 and not found.st_mode & stat.S_IRUSR:
            os.chmod(path_of(pin), 0o600)
        reader = os.open(path_of(pin), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            written = is_being_written(reader)
            if written or found.st_nlink > 1:
                size = self._copy(reader, goal)
            else:
                size = found.st_size
                _move(folder, name, found, goal)
                # Of another user's the mode stays: nobody executes it here.
                with contextlib.suppress(PermissionError):
                    os.fchmod(reader, 0o600)
        finally:
            os.close(reader)
        self._files += 1
        self._bytes += size
        if written:
            told = 'was being written: it is kept as it was at the end'
            self._complain(path, told, of_more='were being written')

    def _check(self, found: os.stat_result) -> None:
        kind = stat.S_IFMT(found.st_mode)
        if kind != stat.S_IFREG:
            raise _Refused(f'it is {_KINDS.get(kind, "no plain file")}')
        if self._files >= self._bounds['max_files']:
            most = f'{self._bounds["max_files"]} files were left (artifacts.max_files)'
            self._stopped = f'not all artifacts are kept: more than {most}'
            return
        most_of_one, most_of_all = self._bounds['max_file_bytes'], self._bounds['max_total_bytes']
        if found.st_size > most_of_one:
            told = f'{most_of_one} (artifacts.max_file_mb)'
            raise _Refused(f'it has {found.st_size} bytes; allowed: {told}')
        if found.st_size > most_of_all - self._bytes:
            told = f'{most_of_all} (artifacts.max_total_mb)'
            raise _Refused(f'with it all have more bytes than are allowed: {told}')

    def _copy(self, reader: int, goal: str) -> int:
        """Copy what others can still write to; return how many bytes that are."""
        most = min(self._bounds['max_file_bytes'], self._bounds['max_total_bytes'] - self._bytes)
        size = 0
        try:
            with open(open_fresh(goal), 'wb') as file:
                while piece := os.read(reader, _PIECE_BYTES):
                    size += len(piece)
                    if size > most:
                        raise _Refused('it grows beyond what is allowed')
                    file.write(piece)
        except (OSError, _Refused):
            with contextlib.suppress(OSError):
                os.unlink(goal)
            raise
        return size

    def _refuse(self, path: tuple[str, ...], reason: str) -> None:
        self._complain(path, f'is not kept: {reason}', of_more='are not kept')

    def _complain(self, path: tuple[str, ...], what: str, *, of_more: str) -> None:
        if len(self._sentences) < _NAMED:
            self._sentences.append(f'the artifact {"/".join(path)[:_SHOWN]!r} {what}')
        else:
            self._unnamed[of_more] += 1


def _move(folder: int, name: str, found: os.stat_result, goal: str) -> None:
    os.rename(name, goal, src_dir_fd=folder)
    moved = os.lstat(goal)
    if (moved.st_dev, moved.st_ino) != (found.st_dev, found.st_ino):
        remove_tree(goal)
        raise _Refused('it was replaced meanwhile')


def _paths_below(target: str) -> Iterator[str]:
    """Yield the path of whatever is no folder and may be kept under that path: a script can have
    put anything there, as folders that are nested deeper than Python recurses."""
    folders = [target]
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                path = os.path.relpath(entry.path, target)
                if not path.isprintable():
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    yield path
                elif path.count('/') < MAX_DEPTH - 1:
                    folders.append(entry.path)
