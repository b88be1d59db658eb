# SPDX-License-Identifier: Apache-2.0
"""What the gateway keeps is for its own user alone: parameters and output are in it."""

from collections.abc import Iterator
import logging
import os
from pathlib import Path
import stat

_log = logging.getLogger(__name__)

UMASK = 0o077
"""For every file and folder that this process makes."""
_OWNERS = 0o700


def keep_private(folder: Path) -> None:
    """Take from group and others what they may do with a folder and what lies in it directly.

    What lies deeper cannot be reached then. Links are left alone, for they lead elsewhere. Where
    the rights cannot be taken, as on a file system that has none, a warning says so. What is no
    folder is left alone too. Blocks.
    """
    if not os.path.isdir(folder):
        return
    for path in (folder, *_content(folder)):
        try:
            _take_rights(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            _log.warning('%s stays open to other users: %s', path, error.strerror)


def _content(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError as error:
        # Who has to read it, says so.
        _log.warning('%s cannot be looked into: %s', folder, error.strerror)


def _take_rights(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return
    wanted = stat.S_IMODE(mode) & _OWNERS
    if stat.S_ISDIR(mode):
        wanted |= _OWNERS
    if stat.S_IMODE(mode) != wanted:
        os.chmod(path, wanted)
