# SPDX-License-Identifier: Apache-2.0
"""The key of a state directory: what is hashed with it, only who has read it can guess."""

import hmac
import logging
import os
from pathlib import Path
import secrets

from gateway_node.executions.errors import StoreUnavailable

_log = logging.getLogger(__name__)

FILE_NAME = 'state.key'
_BYTES = 32


class StateKey:
    """A key that is made once for a state directory and stays there."""

    def __init__(self, key: bytes) -> None:
        """Take the bytes; `open` reads them."""
        self._key = key

    @classmethod
    def open(cls, state_dir: Path) -> 'StateKey':
        """Read the key of a state directory, or make one where there is none. Blocks.

        Nobody else may do so at the same time. StoreUnavailable.
        """
        path = state_dir / FILE_NAME
        try:
            key = _read(path)
            if len(key) != _BYTES:
                if key:
                    _log.warning('%s is no key of %d bytes, and is made anew', path, _BYTES)
                key = _make(path)
        except OSError as error:
            raise StoreUnavailable(f'cannot use {path}: {error.strerror}') from error
        return cls(key)

    def derived_key(self, purpose: bytes) -> bytes:
        """Return a key for one purpose, which tells nothing of those for others."""
        return hmac.digest(self._key, purpose, 'sha256')


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b''


def _make(path: Path) -> bytes:
    """Put a new key where it is whole or not there, whenever the power goes; return it."""
    key = secrets.token_bytes(_BYTES)
    new = path.with_suffix('.new')
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, key)
        os.fsync(fd)
    finally:
        os.close(fd)
    new.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return key
