# SPDX-License-Identifier: Apache-2.0
"""What something takes of the disk."""

from collections.abc import Container
import contextlib
import os

_BLOCK_BYTES = 512
"""Of `st_blocks`, whatever the file system's own are (man 3 stat)."""


def kept_bytes(directory: str | os.PathLike[str], *, without: Container[str] = ()) -> int:
    """Return how much of the disk a directory takes, with folders, as far as paths reach.

    Without what has one of these names directly in it, and nothing where there is nothing else.
    Holes and links count for what they take.
    """
    blocks = 0
    folders = [os.fspath(directory)]
    for folder in folders:
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in without and folder == folders[0]:
                    continue
                with contextlib.suppress(OSError):
                    blocks += entry.stat(follow_symlinks=False).st_blocks
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
    if blocks:
        with contextlib.suppress(OSError):
            blocks += os.stat(directory).st_blocks
    return blocks * _BLOCK_BYTES
