# SPDX-License-Identifier: Apache-2.0
"""Removing what is on the disk, whoever made it; the standard library only."""

from collections.abc import Iterator
import contextlib
import errno
import itertools
import os
import stat


def remove_tree(path: str | os.PathLike[str]) -> OSError | None:
    """Remove whatever is there, also where permissions forbid it; what cannot be removed stays.

    Return the first reason for that; None where nothing is there any more. No link is followed,
    and nothing of what is mounted below is removed.
    """
    top = os.fspath(path)
    reasons: list[OSError] = []
    with _noting(reasons):
        if not stat.S_ISDIR(os.lstat(top).st_mode):
            os.unlink(top)
        elif _is_filled(top):
            _remove_folder(top, reasons)
    return reasons[0] if reasons and os.path.lexists(top) else None


def _remove_folder(top: str, reasons: list[OSError]) -> None:
    """Remove a folder, however deep others are nested in it.

    They may lie deeper than Python recurses and longer than a path may be: each is moved up to
    the first one before it is looked into.
    """
    names = (os.path.join(top, f'.{os.urandom(4).hex()}.{n}') for n in itertools.count())
    folders = [top]
    for folder in folders:
        with _noting(reasons):
            os.chmod(folder, 0o700)
            with os.scandir(folder) as entries:
                for entry in entries:
                    with _noting(reasons):
                        if not entry.is_dir(follow_symlinks=False):
                            os.unlink(entry.path)
                        elif folder == top:
                            if _is_filled(entry.path):
                                folders.append(entry.path)
                        else:
                            os.chmod(entry.path, 0o700)
                            moved = next(names)
                            os.rename(entry.path, moved)
                            folders.append(moved)
    for folder in reversed(folders):
        with _noting(reasons):
            os.rmdir(folder)


def _is_filled(folder: str) -> bool:
    """Remove a folder where it is empty; return whether it is not.

    Raises:
        OSError: it is where something is mounted (EBUSY), or cannot be removed.
    """
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return True
        raise
    return False


@contextlib.contextmanager
def _noting(reasons: list[OSError]) -> Iterator[None]:
    """Add why something could not be done; what is gone already has been done."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        reasons.append(error)
