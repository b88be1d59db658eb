# SPDX-License-Identifier: Apache-2.0
"""Files in places where a script, which is of the same user, may have put anything."""

import contextlib
import errno
import os
import stat


def open_fresh(path: str) -> int:
    """Return a descriptor of a new file, for writing, in place of whatever is there.

    A pipe that a script put there would never come to be open, a link lead elsewhere.

    Raises:
        OSError: it cannot be made, or a directory is in its place.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o600)
    except FileExistsError:
        os.unlink(path)
        return os.open(path, flags, 0o600)


def make_directory(path: str) -> None:
    """Make a directory where there is none, and what is above it, which a script can have removed;
    who then finds none says so."""
    with contextlib.suppress(OSError):
        os.makedirs(path, 0o700)


def read_regular(path: str | os.PathLike[str], max_bytes: int, start: int = 0) -> bytes:
    """Return up to `max_bytes` bytes of a plain file, from an offset on.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    # Non-blocking: opening a pipe without a writer would wait for one (man 2 open).
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f'{os.fspath(path)} is no plain file')
        with open(descriptor, 'rb', closefd=False) as file:
            file.seek(start)
            return file.read(max_bytes)
    finally:
        os.close(descriptor)


def open_below(folder: str | os.PathLike[str], path: str) -> int:
    """Return a descriptor of a plain file below a folder, for reading; no link is followed.

    Raises:
        OSError: there is none, or no path of names leads there.
    """
    *folders, name = names = path.split('/')
    if not {'', '.', '..'}.isdisjoint(names):
        raise FileNotFoundError(errno.ENOENT, 'no path of names', path)
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    there = os.open(folder, flags | os.O_DIRECTORY)
    try:
        for each in folders:
            below = os.open(each, flags | os.O_DIRECTORY, dir_fd=there)
            os.close(there)
            there = below
        descriptor = os.open(name, flags, dir_fd=there)
    finally:
        os.close(there)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, 'no plain file', path)
    return descriptor


INCOMING_SUFFIX = '.new'
"""Of a file that is being written; one that is found was left by a process that was killed."""


def replace_file(path: str, content: bytes) -> bool:
    """Put a file with the content in place of whatever is there, whole or not at all.

    Return False where it cannot be written.
    """
    incoming = f'{path}{INCOMING_SUFFIX}'
    try:
        with open(open_fresh(incoming), 'wb') as file:
            file.write(content)
        os.replace(incoming, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(incoming)
        return False
    return True


def largest_file_bytes(directory: str) -> int:
    """Return the size of the largest regular file below the directory, as far as paths reach."""
    largest = 0
    folders = [directory]
    while folders:
        with contextlib.suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        largest = max(largest, entry.stat(follow_symlinks=False).st_size)
    return largest
