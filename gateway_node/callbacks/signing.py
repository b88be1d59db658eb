# SPDX-License-Identifier: Apache-2.0
"""Signatures as Standard Webhooks has them (standardwebhooks.com, version 1, symmetric)."""

import base64
import binascii
import hashlib
import hmac
import os
from pathlib import Path
import stat

from gateway_node.callbacks.errors import SecretInvalid

PREFIX = 'whsec_'
MIN_BYTES = 24
MAX_BYTES = 64
_MAX_FILE_BYTES = 1024


def read_secret(path: Path) -> bytes:
    """Return the key in a file that nobody else may read; SecretInvalid."""
    try:
        # Nothing that is no file may keep who opens it waiting.
        with open(path, 'rb', opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_FILE_BYTES) if stat.S_ISREG(mode) else b''
    except OSError as error:
        raise SecretInvalid(f'callbacks.secret_file: {error}') from error
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise SecretInvalid(
            f'callbacks.secret_file: {path} has mode {stat.filemode(mode)}; allowed: a file that '
            'only its owner may read (chmod 600)'
        )
    return secret_of(content, path)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def secret_of(content: bytes, path: Path) -> bytes:
    """Return the key that a file's content stands for; SecretInvalid."""
    encoded = content.strip().removeprefix(PREFIX.encode())
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b''
    if not content.startswith(PREFIX.encode()) or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise SecretInvalid(
            f'callbacks.secret_file: {path} holds no secret; allowed: {PREFIX} and the base64 of '
            f'{MIN_BYTES} to {MAX_BYTES} bytes'
        )
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return what `webhook-signature` says of a message."""
    signed = b'%s.%d.%s' % (message_id.encode(), timestamp, body)
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f'v1,{base64.b64encode(digest).decode()}'
