# SPDX-License-Identifier: Apache-2.0
"""Crash-safe steps on the file system that the library is made of; all of them block.

What counts as done is on the disk before a function returns: the file and the directory that
names it are both synchronised (`man 2 fsync`: the entry in the directory needs its own).
"""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import os
from pathlib import Path
import stat
from typing import BinaryIO

from gateway_node.scripts.errors import LibraryUnavailable, NoPlainFile

SCRIPT_MODE = 0o500
"""Of a script's file: never written again; some execute themselves."""


@contextmanager
def disk_errors(doing: str) -> Iterator[None]:
    """Turn an OSError of the block into LibraryUnavailable that names the cause."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        name = errno.errorcode.get(error.errno or 0, 'OSError')
        raise LibraryUnavailable(
            f'the scripts directory cannot {doing}: {cause} ({name})'
        ) from error


def make_directory(path: Path) -> None:
    """Make a directory for the gateway alone, with its parents, where it is not there."""
    if not path.parent.exists():  # `parents=True` would make those for everybody
        make_directory(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)


def new_file(path: Path, mode: int) -> int:
    """Make a new file to write, with exactly this mode, and return its descriptor."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    os.fchmod(fd, mode)
    return fd


def write_file(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Make a new file and bring it to the disk; its directory entry is not yet safe."""
    with open(new_file(path, mode), 'wb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file to read, through links too; OSError, NoPlainFile."""
    # To open is to act on a device, and to wait at a pipe (man 2 open).
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise NoPlainFile(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NoPlainFile(path)
    return open(descriptor, 'rb')


def sync_directory(path: Path) -> None:
    """Bring the entries of a directory to the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
