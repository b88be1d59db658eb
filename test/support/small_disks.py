# SPDX-License-Identifier: Apache-2.0
"""Small file systems, for tests of disks that are full."""

from collections.abc import Iterator
import contextlib
import io
from pathlib import Path
import subprocess

import pytest


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs for a while (`size=8m`); skip where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, 'stderr', None) or str(error)
        pytest.skip(f'a small disk cannot be mounted here: {reason.strip()}')
    try:
        yield folder
    finally:
        subprocess.run(['umount', '--lazy', str(folder)], check=True)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Fill the disk to its last byte for a while."""
    ballast = disk / 'ballast'
    with ballast.open('wb', buffering=0) as file:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                _write_without_end(file, bytes(size))
    try:
        yield
    finally:
        ballast.unlink()


def _write_without_end(file: io.FileIO, content: bytes) -> None:
    while True:
        file.write(content)
