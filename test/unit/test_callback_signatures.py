# SPDX-License-Identifier: Apache-2.0
"""Callbacks are signed as Standard Webhooks signs, with a secret that nobody else can read."""

import base64
import hashlib
import hmac
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
import pytest

from gateway_node.callbacks.errors import SecretInvalid
from gateway_node.callbacks.signing import read_secret, signature

SECRET = b'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'


def secret_file(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    path = folder / 'secret'
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_the_signature_is_that_of_the_published_libraries(tmp_path: Path) -> None:
    """The vector that the reference implementations of Standard Webhooks test with."""
    key = read_secret(secret_file(tmp_path, SECRET + b'\n'))
    signed = signature(key, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, b'{"test": 2432232314}')
    assert signed == 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='


@given(
    key=st.binary(min_size=24, max_size=64),
    message_id=st.from_regex('exec_[0-9A-Z]{26}', fullmatch=True),
    timestamp=st.integers(0, 2**33),
    body=st.binary(),
)
def test_what_was_signed_is_what_a_receiver_checks(
    key: bytes, message_id: str, timestamp: int, body: bytes
) -> None:
    """Id, timestamp and body, with dots between them, as the specification says it."""
    content = f'{message_id}.{timestamp}.'.encode() + body
    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    assert signature(key, message_id, timestamp, body) == f'v1,{expected}'


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
        b'whsec_',
        b'whsec_MfKQ9r8G',
        b'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS',
        b'whsec_MfKQ9r8GKYqr TwjUPD8ILPZIo2LaLaSw',
        b'whsec_' + base64.b64encode(bytes(65)),
        b'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
        b'\xff' * 40,
    ],
)
def test_what_is_no_secret_is_refused_with_what_is_allowed(tmp_path: Path, content: bytes) -> None:
    """No signature is made with less than anybody could guess."""
    with pytest.raises(SecretInvalid, match=r'secret holds no secret; allowed: whsec_ and'):
        read_secret(secret_file(tmp_path, content))


@pytest.mark.parametrize('mode', [0o640, 0o604, 0o620, 0o601])
def test_a_secret_that_others_can_reach_is_refused(tmp_path: Path, mode: int) -> None:
    """As keys of ssh are."""
    path = secret_file(tmp_path, SECRET, mode)
    with pytest.raises(SecretInvalid, match='chmod 600'):
        read_secret(path)


def test_a_secret_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """With what the system says."""
    with pytest.raises(SecretInvalid, match='No such file'):
        read_secret(tmp_path / 'none')
    with pytest.raises(SecretInvalid, match='Is a directory'):
        read_secret(tmp_path)


def test_a_secret_that_is_no_file_blocks_nobody(tmp_path: Path) -> None:
    """Opening a FIFO waits for who writes."""
    os.mkfifo(tmp_path / 'fifo', 0o600)
    with pytest.raises(SecretInvalid, match='chmod 600'):
        read_secret(tmp_path / 'fifo')
