# SPDX-License-Identifier: Apache-2.0
"""Certificate and key as they lie in files, and what TLS makes of them."""

import asyncio
import errno
import logging
import os
from pathlib import Path
import ssl
import threading
from typing import Any

from certificates import Authority, Issued
import pytest

from gateway_node.http_server import certificates as certificates_module
from gateway_node.http_server.certificates import (
    CertificateFiles,
    Certificates,
    tls_context,
)
from gateway_node.http_server.errors import CertificatesInvalid
from gateway_node.threads import Look, Threads

AUTHORITY = Authority()


def replaced(files: CertificateFiles, issued: Issued) -> None:
    """Put other files in place of these, each in one step."""
    directory = files.certificate.parent / 'new'
    new = issued.write(directory)
    new.certificate.replace(files.certificate)
    new.key.replace(files.key)


def test_the_oldest_tls_is_1_2(tmp_path: Path) -> None:
    """1.0 and 1.1 are no longer to be spoken (RFC 8996)."""
    context = tls_context(AUTHORITY.issue().write(tmp_path))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize('mode', [0o604, 0o640, 0o660, 0o644, 0o700 | 0o001])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """Who has it can be taken for the gateway."""
    files = AUTHORITY.issue().write(tmp_path)
    files.key.chmod(mode)
    if os.geteuid() == 0:
        os.chown(files.key, 65534, -1)
    with pytest.raises(CertificatesInvalid, match=r'key_file .* has mode .*chmod 600') as raised:
        tls_context(files)
    assert str(files.key) in str(raised.value)


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can own files of root')
def test_a_group_may_read_a_key_of_root(tmp_path: Path) -> None:
    """As Debian keeps the keys of services; more than reading it may not."""
    files = AUTHORITY.issue().write(tmp_path)
    files.key.chmod(0o640)
    tls_context(files)
    files.key.chmod(0o660)
    with pytest.raises(CertificatesInvalid, match='-rw-rw----'):
        tls_context(files)


@pytest.mark.parametrize(
    ('name', 'content', 'message'),
    [
        ('certificate', None, r'certificate_file .*: No such file'),
        ('key', None, r'key_file .*: No such file'),
        ('certificate', b'', 'are no pair'),
        ('certificate', b'nonsense', 'are no pair'),
        ('key', b'nonsense', 'are no pair'),
        ('key', AUTHORITY.issue().key, r'are no pair: KEY_VALUES_MISMATCH'),
    ],
)
def test_files_that_do_not_serve_are_named(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """In one line, with what is allowed."""
    files = AUTHORITY.issue().write(tmp_path)
    path: Path = getattr(files, name)
    path.unlink()
    if content is not None:
        path.touch(mode=0o600)
        path.write_bytes(content)
    with pytest.raises(CertificatesInvalid, match=message) as raised:
        tls_context(files)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize('content', [b'', b'nonsense'])
def test_authorities_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    """None would let nobody in, or be taken for a wall that is not there."""
    files = AUTHORITY.issue().write(tmp_path, client_ca=content)
    with pytest.raises(CertificatesInvalid, match=r'client_ca_file .* holds no certificate'):
        tls_context(files)


def test_with_authorities_a_certificate_has_to_be_shown(tmp_path: Path) -> None:
    """None at all does not pass either."""
    files = AUTHORITY.issue().write(tmp_path, client_ca=AUTHORITY.certificate)
    assert tls_context(files).verify_mode is ssl.CERT_REQUIRED


def test_nobody_is_asked_for_a_passphrase(tmp_path: Path) -> None:
    """A gateway has no terminal: OpenSSL would wait there."""
    issued = AUTHORITY.issue()
    files = issued.write(tmp_path)
    files.key.write_bytes(issued.key_with_passphrase())
    with pytest.raises(CertificatesInvalid, match='without a passphrase'):
        tls_context(files)


async def test_what_is_replaced_serves_new_connections(tmp_path: Path) -> None:
    """Once it has stayed as it is for a look; looks at what did not change read nothing."""
    files = AUTHORITY.issue().write(tmp_path)
    certificates = Certificates(files)
    await certificates.open()
    first = certificates.context
    await certificates.look()
    assert certificates.context is first
    replaced(files, AUTHORITY.issue())
    await certificates.look()
    assert certificates.context is first
    await certificates.look()
    assert certificates.context is not first
    assert certificates.warnings == ()


async def test_half_of_a_pair_is_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was read before serves on, which is told once; the other half mends it."""
    files = AUTHORITY.issue().write(tmp_path)
    certificates = Certificates(files)
    await certificates.open()
    first, new = certificates.context, AUTHORITY.issue()
    files.certificate.write_bytes(new.certificate)
    for _ in range(4):
        await certificates.look()
    assert certificates.context is first
    (warning,) = certificates.warnings
    assert 'KEY_VALUES_MISMATCH' in warning
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [warning]
    files.key.write_bytes(new.key)
    for _ in range(2):
        await certificates.look()
    assert certificates.context is not first
    assert certificates.warnings == ()


async def test_files_that_are_written_in_place_are_read_when_that_is_done(tmp_path: Path) -> None:
    """A look that finds them changing waits for the next one."""
    files, new = AUTHORITY.issue().write(tmp_path), AUTHORITY.issue()
    certificates = Certificates(files)
    await certificates.open()
    first = certificates.context
    for count in range(1, 4):
        files.certificate.write_bytes(new.certificate[: count * 100])
        await certificates.look()
    files.certificate.write_bytes(new.certificate)
    files.key.write_bytes(new.key)
    await certificates.look()
    assert (certificates.context, certificates.warnings) == (first, ())
    await certificates.look()
    assert certificates.context is not first


async def test_a_file_that_is_gone_changes_nothing_but_what_is_told(tmp_path: Path) -> None:
    """Until it is back."""
    issued = AUTHORITY.issue()
    files = issued.write(tmp_path)
    certificates = Certificates(files)
    await certificates.open()
    first = certificates.context
    files.key.unlink()
    for _ in range(2):
        await certificates.look()
    assert certificates.context is first
    assert 'No such file' in certificates.warnings[0]
    issued.write(tmp_path)
    for _ in range(2):
        await certificates.look()
    assert certificates.warnings == ()


async def test_what_the_system_had_no_room_to_read_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files themselves need not change again for that."""
    files = AUTHORITY.issue().write(tmp_path)
    certificates = Certificates(files)
    await certificates.open()
    first = certificates.context
    replaced(files, AUTHORITY.issue())

    def fail(path: Path, *_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(Path, 'open', fail)
        for _ in range(2):
            await certificates.look()
    assert 'Too many open files' in certificates.warnings[0]
    await certificates.look()
    assert certificates.context is not first
    assert certificates.warnings == ()


async def test_a_file_that_is_gone_between_two_steps_is_told_as_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL opens it by its name again; whoever looks goes on looking."""
    files = AUTHORITY.issue().write(tmp_path, client_ca=AUTHORITY.certificate)
    monkeypatch.setattr(certificates_module, '_check_readable', lambda _, path: os.stat(tmp_path))
    monkeypatch.setattr(certificates_module, '_check_private', lambda path: None)
    for path in files.all:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(CertificatesInvalid, match='No such file'):
            tls_context(files)
        path.write_bytes(content)


async def test_files_that_answer_again_are_told_of_no_more(tmp_path: Path) -> None:
    """And what a look found that nobody waited for any longer is taken by a later one."""
    files = AUTHORITY.issue().write(tmp_path)
    certificates = Certificates(files)
    await certificates.open()
    first = certificates.context
    held = threading.Event()

    def slow() -> Any:
        held.wait()
        return certificates._found_now()

    replaced(files, AUTHORITY.issue())
    await certificates.look()
    certificates._look = Look(Threads('certificates', 1), slow, 0.01)
    await certificates.look()
    assert 'does not answer' in certificates.warnings[0]
    held.set()
    async with asyncio.timeout(1000.0):
        while certificates.warnings:
            await asyncio.sleep(0)
            await certificates.look()
    assert certificates.context is not first


async def test_who_asks_for_it_has_them_read_at_once(tmp_path: Path) -> None:
    """At SIGHUP nobody waits for another look."""
    files = AUTHORITY.issue().write(tmp_path)
    certificates = Certificates(files)
    await certificates.open()
    first = certificates.context
    replaced(files, AUTHORITY.issue())
    await certificates.read_anew()
    assert certificates.context is not first


async def test_a_start_with_wrong_files_fails(tmp_path: Path) -> None:
    """There is nothing that was read before."""
    files = AUTHORITY.issue().write(tmp_path)
    files.certificate.write_bytes(b'')
    with pytest.raises(CertificatesInvalid):
        await Certificates(files).open()
