"""Reads and removes files that a script could lay a hand on: they may be anything by now.

A script is of the same user as the gateway, so every file here can have become a pipe, a device,
a link or endless. All of this blocks, if only for the disk: it is for threads.
"""

import contextlib
import os
from pathlib import Path
import shutil
import stat

from gateway_node.child.workplace import MENDED_SCRIPT, PROGRESS_FIFO, WORKING_DIRECTORY


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the first `max_bytes` bytes of a plain file.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    # Non-blocking: opening a pipe without a writer would wait for one (man 2 open).
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f'{path} is no plain file')
        with open(descriptor, 'rb', closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Remove whatever is there; folders whose permissions were taken away too.

    What cannot be removed stays.
    """
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
        path.chmod(0o700)
        for folder, names, _ in os.walk(path):
            for name in names:
                below = Path(folder, name)
                if not below.is_symlink():
                    below.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)


def remove_leavings(directory: Path, cgroup: str | None, *, keep_working_directory: bool) -> None:
    """Remove of an execution what its supervisor, which was lost, would have removed.

    `cgroup` is the folder of its leaf. The processes are gone.
    """
    for name in (PROGRESS_FIFO, MENDED_SCRIPT):
        with contextlib.suppress(OSError):
            (directory / name).unlink()
    if not keep_working_directory:
        remove_tree(directory / WORKING_DIRECTORY)
    if cgroup is not None:
        with contextlib.suppress(OSError):
            Path(cgroup, directory.name).rmdir()
