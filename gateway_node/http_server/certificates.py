# SPDX-License-Identifier: Apache-2.0
"""The gateway's certificate and key, and whose clients are let in, as TLS uses them."""

import asyncio
from dataclasses import dataclass
import logging
import os
from pathlib import Path
import ssl
import stat

from gateway_node.access.watched_file import state_of
from gateway_node.http_server.errors import CertificatesInvalid
from gateway_node.threads import Look, Threads

_log = logging.getLogger(__name__)

LOOK_SEC = 1.0
"""Seconds from one look at the files to the next."""
_PATIENCE_SEC = 30.0

_State = tuple[tuple[int, ...] | None, ...]
_Found = tuple[_State, ssl.SSLContext]


@dataclass(frozen=True, kw_only=True)
class CertificateFiles:
    """Where they lie, all of them PEM."""

    certificate: Path
    """With those between it and its authority behind it."""
    key: Path
    """Without a passphrase."""
    client_ca: Path | None = None
    """The authorities of which each client shows a certificate; None where none is asked for."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Every one of them."""
        return (self.certificate, self.key, *([self.client_ca] if self.client_ca else []))


class Certificates:
    """What new connections are served with; where files turn wrong, what they held before.

    Belongs to the event loop. Connections that are open keep what they began with.
    """

    def __init__(self, files: CertificateFiles) -> None:
        self._files = files
        self._look = Look(Threads('certificates', 1), self._found_now, _PATIENCE_SEC)
        self._context: ssl.SSLContext | None = None
        self._seen: _State | None = None
        """How the files were at the last look."""
        self._taken: _State | None = None
        """How they were when what serves now was read."""
        self.warnings: tuple[str, ...] = ()
        """Why the last reading was not taken; empty where it was."""

    @property
    def context(self) -> ssl.SSLContext:
        """What a connection begins with now; only once they are open."""
        assert self._context is not None
        return self._context

    async def open(self) -> None:
        """Read them for the first time; CertificatesInvalid, TimeoutError where one is silent."""
        found = await self._look.answer()
        self._take(found)
        if isinstance(found, CertificatesInvalid):
            raise found

    async def look(self) -> None:
        """Take them where they have changed, and have stayed so since the look before."""
        try:
            self._take(await self._look.answer())
        except TimeoutError:
            self._warn('a file does not answer')

    async def read_anew(self) -> None:
        """Take them as they are now, whether they look changed or not."""
        self._seen = self._taken = None
        await self.look()

    async def keep_looking(self) -> None:
        """Look again and again."""
        while True:
            await asyncio.sleep(LOOK_SEC)
            await self.look()

    def _take(self, found: _Found | CertificatesInvalid | None) -> None:
        if isinstance(found, CertificatesInvalid):
            self._warn(str(found))
        elif found is not None:
            self._taken, context = found
            if self._context not in (None, context):
                _log.info('%s was read anew', self._files.certificate)
            self._context, self.warnings = context, ()

    def _warn(self, why: str) -> None:
        warnings = (f'TLS goes on with what was read before: {why}',)
        if warnings != self.warnings and self._context is not None:
            _log.error('%s', warnings[0])
        self.warnings = warnings

    def _found_now(self) -> _Found | CertificatesInvalid | None:
        """Return what the files make; None where not all of what is new is there yet. Blocks.

        Who replaces them replaces one after the other, or writes them in place: what changed is
        read at the next look, if it is the same by then. What could not be read is tried again:
        that may have been up to the system, and not to the files.
        """
        state = tuple(map(_state_of, self._files.all))
        has_settled, self._seen = self._seen in (None, state), state
        if state == self._taken and self._context is not None:
            return state, self._context
        if not has_settled:
            return None
        try:
            return state, tls_context(self._files)
        except CertificatesInvalid as error:
            return error


def tls_context(files: CertificateFiles) -> ssl.SSLContext:
    """Read the files; CertificatesInvalid. Blocks as long as they do."""
    _check_private(files.key)
    _check_readable('certificate_file', files.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Each costs the gateway a handshake, and no client needs one (RFC 8446 has none).
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(['http/1.1'])
    try:
        # Without a passphrase OpenSSL would ask for it on the terminal.
        context.load_cert_chain(files.certificate, files.key, password='')
    except OSError as error:
        raise CertificatesInvalid(
            f'server.tls.certificate_file {files.certificate} and server.tls.key_file '
            f'{files.key} are no pair: {_reason(error)}; allowed: a certificate, those '
            'between it and its authority behind it, and its key without a passphrase, in PEM'
        ) from error
    if files.client_ca is not None:
        _ask_for_certificates(context, files.client_ca)
    return context


def _ask_for_certificates(context: ssl.SSLContext, client_ca: Path) -> None:
    """Have each client show a certificate of these authorities; CertificatesInvalid."""
    _check_readable('client_ca_file', client_ca)
    try:
        context.load_verify_locations(client_ca)
    except OSError as error:
        raise CertificatesInvalid(
            f'server.tls.client_ca_file {client_ca} holds no certificate: '
            f'{_reason(error)}; allowed: certificates of authorities, in PEM'
        ) from error
    context.verify_mode = ssl.CERT_REQUIRED
    # Who resumes a session shows none, and each time gets the ticket for the next: for ever.
    context.num_tickets = 0


def _reason(error: OSError) -> str:
    """Return what OpenSSL says; what the system does, where a file went since it was looked at."""
    of_openssl = error.reason if isinstance(error, ssl.SSLError) else None
    return of_openssl or error.strerror or str(error)


def _check_private(key: Path) -> None:
    """Raise where others can read a key: its owner alone may, and of root's a group.

    The latter is how Debian keeps keys for services (/etc/ssl/private, the group ssl-cert).
    """
    found = _check_readable('key_file', key)
    if found.st_mode & (0o037 if found.st_uid == 0 else 0o077):
        raise CertificatesInvalid(
            f'server.tls.key_file {key} has mode {stat.filemode(found.st_mode)}; allowed: a file '
            'that only its owner can read (chmod 600), or one of root that a group can read (640)'
        )


def _check_readable(name: str, path: Path) -> os.stat_result:
    """Raise where a file cannot be read: OpenSSL would not say which one."""
    try:
        with path.open('rb') as file:
            return os.fstat(file.fileno())
    except OSError as error:
        raise CertificatesInvalid(f'server.tls.{name} {path}: {error.strerror}') from error


def _state_of(path: Path) -> tuple[int, ...] | None:
    """Return what differs once a file was changed; None where it cannot be looked at."""
    try:
        return state_of(path.stat())
    except OSError:
        return None
