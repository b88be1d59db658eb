# SPDX-License-Identifier: Apache-2.0
"""The newest place in the log that anybody was told of, in a file beside the database.

A database that is older than its mark was restored from a backup, and one that lies in another
inode than its mark says is a copy: what it tells next is another history.
"""

import contextlib
import logging
import os
from pathlib import Path

from gateway_node.executions.events import Cursor

_log = logging.getLogger(__name__)

FILE_NAME = 'log.mark'
_LAYOUT = '{epoch:>16} {sequence:020} {inode:020}\n'


class Mark:
    """The mark of one database. Blocks; not to be used by two threads at once."""

    def __init__(self, path: Path, inode: int) -> None:
        """`inode` is the database's."""
        self._path = path
        self._inode = inode
        self._fd = -1

    def open(self, end: Cursor) -> bool:
        """Tell whether a log that ends there is the one that the mark is of, and go on with it."""
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        told = self._told()
        if told is None or told.epoch != end.epoch or told.sequence > end.sequence:
            self.close()
            return False
        self.write(end)
        return True

    def make(self, end: Cursor) -> None:
        """Begin anew, for a log that ends there; it is on the disk when this returns."""
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
            self._put(end)
            os.fsync(self._fd)
            _sync_folder(self._path.parent)
        except OSError as error:
            self._give_up(error)

    def write(self, end: Cursor) -> None:
        """Note that somebody is going to be told of what is up to there.

        It is not synced: after a power cut it may be behind, which makes no difference.
        """
        if self._fd >= 0:
            try:
                self._put(end)
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        """Close it; closing again is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _told(self) -> Cursor | None:
        if self._fd < 0:
            return None
        try:
            epoch, sequence, inode = os.pread(self._fd, 100, 0).decode('ascii').split()
            told = Cursor(epoch=epoch, sequence=int(sequence))
            return told if int(inode) == self._inode else None
        except (OSError, ValueError):
            return None

    def _put(self, end: Cursor) -> None:
        line = _LAYOUT.format(epoch=end.epoch, sequence=end.sequence, inode=self._inode)
        os.pwrite(self._fd, line.encode('ascii'), 0)

    def _give_up(self, error: OSError) -> None:
        """Leave no mark: one that is behind would hide that a database was restored."""
        _log.warning('the log takes a new epoch at the next start: %s: %s', self._path, error)
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.close()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
