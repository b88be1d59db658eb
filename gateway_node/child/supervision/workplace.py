# SPDX-License-Identifier: Apache-2.0
"""A supervisor's own folder, in which its scripts work one after the other."""

import contextlib
import fcntl
import os
import stat
from typing import Any

from gateway_node.child.contract import (
    ARTIFACTS_DIRECTORY,
    GIVEN_RESULT_FILE,
    MAX_RESULT_BYTES,
    PROGRESS_FIFO,
    WORKING_DIRECTORY,
)
from gateway_node.child.exposed_files import make_directory, read_regular
from gateway_node.removal import remove_tree

_CONTENT = sorted((ARTIFACTS_DIRECTORY, PROGRESS_FIFO, WORKING_DIRECTORY))
_MAX_FILES = 32
_MAX_FILE_BYTES = 1024 * 1024
"""Of files in a folder, up to which the next script can wait for their removal."""


class Workplace:
    """The working directory, the folder of artifacts, the progress channel, and the place of a
    given result.

    All of it is made once. What one script did there does not reach the next: `tidy` proves it.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._work = _OwnFolder(self.path(WORKING_DIRECTORY))
        self._artifacts = _OwnFolder(self.path(ARTIFACTS_DIRECTORY))
        self.working_directory = self._work.path
        self.artifacts = self._artifacts.path
        """What the script leaves there is to be kept."""
        self.progress: int | None = None
        """The reading end of the channel: at its end while nobody holds a writing one."""
        self._first_marks: list[Any] = []

    def path(self, name: str) -> str:
        """Return where a file of this name is in the folder."""
        return os.path.join(self.folder, name)

    def make(self) -> int:
        """Make it where it is not there as it was made; return the channel's reading end.

        Nobody but scripts of other supervisors can have changed it since it was tidied.

        Raises:
            OSError: something of it cannot be made; nothing of it is left.
        """
        if self.progress is not None and not self._is_untouched():
            self.remove()
        if self.progress is None:
            try:
                _make_folder(self.folder)
                self._work.make()
                self._artifacts.make()
                os.mkfifo(self.path(PROGRESS_FIFO), 0o600)
                self.progress = os.open(self.path(PROGRESS_FIFO), os.O_RDONLY | os.O_NONBLOCK)
                self._first_marks = self._marks()
            except OSError:
                self.remove()
                raise
        return self.progress

    def open_progress(self) -> int:
        """Return a new writing end of the progress channel, whatever is at its path by now."""
        return os.open(f'/proc/self/fd/{self.progress}', os.O_WRONLY)

    def take_result(self) -> tuple[bytes | None, str]:
        """Return what the script gave as its result, or None, and why that is not told."""
        path = self.path(GIVEN_RESULT_FILE)
        content, complaint = None, ''
        try:
            content = read_regular(path, MAX_RESULT_BYTES + 1)
        except FileNotFoundError:
            return None, ''
        except OSError as error:
            complaint = f'cannot be read: {error.strerror or "no plain file"}'
        with contextlib.suppress(OSError):
            os.unlink(path)
        if content is not None and len(content) > MAX_RESULT_BYTES:
            return None, f'is longer than {MAX_RESULT_BYTES} bytes'
        return content, complaint

    def keep_working_directory(self, directory: str) -> bool:
        """Move what the script left there into a directory, and make it anew.

        Return False where that fails, as on a full disk.
        """
        make_directory(directory)
        try:
            os.rename(self.working_directory, os.path.join(directory, WORKING_DIRECTORY))
            self._work.make()
        except OSError:
            return False
        return True

    def tidy(self) -> bool:
        """Have all be as it was at first; False where it is not, or that would take long."""
        try:
            return (
                sorted(os.listdir(self.folder)) == _CONTENT
                and self._work.tidy()
                and self._artifacts.tidy()
                and self._marks() == self._first_marks
            )
        except OSError:
            return False

    def _is_untouched(self) -> bool:
        try:
            return (
                self._marks() == self._first_marks
                and self._work.is_untouched()
                and self._artifacts.is_untouched()
            )
        except OSError:
            return False

    def remove(self) -> None:
        """Remove all of it."""
        if self.progress is not None:
            os.close(self.progress)
            self.progress = None
        remove_tree(self.folder)

    def _marks(self) -> list[Any]:
        """Return what tells that folder and channel are those that were made here."""
        assert self.progress is not None
        return [
            *_mark(self.folder),
            *_mark(self.path(PROGRESS_FIFO)),
            fcntl.fcntl(self.progress, fcntl.F_GETPIPE_SZ),
            # What was mounted over it, or set of it for good, shows in no file's own marks.
            os.statvfs(self.working_directory).f_flag,
            os.access(self.folder, os.W_OK),
        ]


class _OwnFolder:
    """A folder in which a script has its way; the next one finds it as it was made."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._first_mark: Any = None

    def make(self) -> None:
        """Make it; OSError."""
        os.mkdir(self.path, 0o700)
        self._first_mark = _mark(self.path, timed=True)

    def is_untouched(self) -> bool:
        """Tell whether nothing was done in it, or to it; OSError where it cannot be seen."""
        return bool(_mark(self.path, timed=True) == self._first_mark)

    def tidy(self) -> bool:
        """Have it be as it was made; False where it is another one, or that would take long.

        Raises:
            OSError: something of it cannot be removed, or it cannot be made anew.
        """
        mark = _mark(self.path, timed=True)
        if _identity(mark) != _identity(self._first_mark):
            # Of a link, or of what was mounted there, nothing is removed.
            return False
        with os.scandir(self.path) as entries:
            left = [entry for _, entry in zip(range(_MAX_FILES + 1), entries, strict=False)]
        if not left and mark == self._first_mark:
            return True
        if len(left) > _MAX_FILES or any(entry.is_dir(follow_symlinks=False) for entry in left):
            return False
        if sum(e.stat(follow_symlinks=False).st_size for e in left) > _MAX_FILE_BYTES:
            return False
        for entry in left:
            os.unlink(entry.path)
        # Not only emptied: it could have other permissions by now.
        os.rmdir(self.path)
        self.make()
        return True


def _make_folder(path: str) -> None:
    """Make a supervisor's folder; what a script did to the one of all supervisors is undone."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        raise
    except OSError:
        above = os.path.dirname(path)
        with contextlib.suppress(OSError):
            if not stat.S_ISDIR(os.lstat(above).st_mode):
                os.unlink(above)
        os.makedirs(above, 0o700, exist_ok=True)
        os.chmod(above, 0o700)
        os.mkdir(path, 0o700)


def _mark(path: str, *, timed: bool = False) -> tuple[Any, ...]:
    """Return what names a file, and what others may set of it but its content and times.

    The time of its last change tells of a directory whether anything was done in it, or to it.
    """
    found = os.lstat(path)
    return (
        found.st_dev,
        found.st_ino,
        stat.filemode(found.st_mode),
        found.st_uid,
        found.st_gid,
        _attributes(path),
        found.st_ctime_ns if timed else 0,
    )


def _identity(mark: tuple[Any, ...]) -> tuple[Any, ...]:
    device, inode, *_ = mark
    return device, inode


def _attributes(path: str) -> list[str]:
    """Return the names of extended attributes, as access control lists are; none where there
    are no such things."""
    try:
        return sorted(os.listxattr(path, follow_symlinks=False))
    except OSError:
        return []
