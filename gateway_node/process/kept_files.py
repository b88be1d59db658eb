# SPDX-License-Identifier: Apache-2.0
"""Reads and removes files that a script could lay a hand on: they may be anything by now.

A script is of the same user as the gateway, so every file here can have become a pipe, a device,
a link or endless. All of this blocks, if only for the disk: it is for threads.
"""

import contextlib
import errno
from pathlib import Path
import time

from gateway_node.child import exposed_files
from gateway_node.child import kept_bytes as measure
from gateway_node.child.contract import (
    END_FILE,
    GIVEN_RESULT_FILE,
    PROGRESS_FIFO,
    WORKING_DIRECTORY,
)
from gateway_node.child.exposed_files import INCOMING_SUFFIX
from gateway_node.removal import remove_tree

_SCARCITY = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_RECORDED = (END_FILE, f'{END_FILE}{INCOMING_SUFFIX}', GIVEN_RESULT_FILE)
_MAX_OUTPUT_BYTES = 8 * 1024 * 1024
"""More than the frames of a full head are."""
_SCARCITY_PATIENCE_SEC = 30.0
_SCARCITY_INTERVAL_SEC = 0.05


def read_regular(path: Path, max_bytes: int, start: int = 0) -> bytes:
    """Return up to `max_bytes` bytes of a plain file, from an offset on.

    Waits a while for a descriptor where this process has none left: what a script gave is not
    to be lost for that.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    give_up_at = time.monotonic() + _SCARCITY_PATIENCE_SEC
    while True:
        try:
            return exposed_files.read_regular(path, max_bytes, start)
        except OSError as error:
            if error.errno not in _SCARCITY or time.monotonic() > give_up_at:
                raise
            time.sleep(_SCARCITY_INTERVAL_SEC)


def read_kept_file(path: Path, start: int = 0, max_bytes: int = _MAX_OUTPUT_BYTES) -> bytes:
    """Return what of a file of the output is there from an offset on; empty where nothing is."""
    try:
        return read_regular(path, max_bytes, start)
    except OSError:
        return b''


def remove_recorded(directory: Path) -> None:
    """Remove of an execution what its record holds, and its directory where nothing else is."""
    for name in _RECORDED:
        remove_tree(directory / name)
    with contextlib.suppress(OSError):
        directory.rmdir()


def kept_bytes(directory: Path, *, keep_working_directory: bool) -> int:
    """Return how much of the disk is taken by what stays of an ended execution.

    That is without what is removed once its end is recorded, or by its supervisor, which may be
    at it.
    """
    leaving = {*_RECORDED, PROGRESS_FIFO}
    if not keep_working_directory:
        leaving.add(WORKING_DIRECTORY)
    return measure.kept_bytes(directory, without=leaving)
