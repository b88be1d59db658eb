# SPDX-License-Identifier: Apache-2.0
"""Certificates of an authority that is made for the tests, and the files that they lie in."""

from dataclasses import dataclass
import datetime
import ipaddress
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway_node.http_server.certificates import CertificateFiles, Certificates

ROBOT = 'robot'
"""The host that a gateway's certificate is for, beside 127.0.0.1."""
_DAY = datetime.timedelta(days=1)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, kw_only=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def key_with_passphrase(self) -> bytes:
        """Return the key as one has it that a person types a passphrase for."""
        return serialization.load_pem_private_key(self.key, None).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b'passphrase'),
        )

    def write(self, directory: Path, *, client_ca: bytes | None = None) -> CertificateFiles:
        """Put them where a gateway finds them, beside the authorities of its clients."""
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = directory / 'certificate.pem', directory / 'key.pem'
        certificate.write_bytes(self.certificate)
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        if client_ca is None:
            return CertificateFiles(certificate=certificate, key=key)
        authorities = directory / 'client_ca.pem'
        authorities.write_bytes(client_ca)
        return CertificateFiles(certificate=certificate, key=key, client_ca=authorities)


class Authority:
    """Issues certificates."""

    def __init__(self, name: str = 'authority') -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        key = self._key.public_key()
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        subject = x509.SubjectKeyIdentifier.from_public_key(key)
        builder = _builder(self._name, self._name, key).add_extension(constraints, critical=True)
        builder = builder.add_extension(_SIGNS_CERTIFICATES, critical=True)
        builder = builder.add_extension(subject, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str = ROBOT, *, expired: bool = False) -> Issued:
        """Issue a certificate for a host, at 127.0.0.1 too, or for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address('127.0.0.1'))]
        )
        builder = _builder(_name(name), self._name, key.public_key(), expired=expired)
        builder = builder.add_extension(names, critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = builder.add_extension(issuer, critical=False).sign(
            self._key, hashes.SHA256()
        )
        return Issued(
            certificate=certificate.public_bytes(serialization.Encoding.PEM),
            key=key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def trust(self, shows: CertificateFiles | None = None) -> ssl.SSLContext:
        """Return what a client has that trusts this authority, and shows a certificate."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        if shows is not None:
            context.load_cert_chain(shows.certificate, shows.key)
        return context


async def certificates_in(directory: Path) -> tuple[Certificates, ssl.SSLContext]:
    """Return what a server has that speaks TLS, and what its clients have."""
    authority = Authority()
    certificates = Certificates(authority.issue().write(directory / 'tls'))
    await certificates.open()
    return certificates, authority.trust()


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool = False
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC) - (3 * _DAY if expired else 0 * _DAY)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
    )
