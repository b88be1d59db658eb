# SPDX-License-Identifier: Apache-2.0
"""The keys that JSON Web Tokens are checked with: read from a file, each for one algorithm.

A key set (RFC 7517), or one public key as PEM. Importing this module imports PyJWT and
cryptography, which take a while: only who has such keys does.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
import enum
import stat
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey, SECP256R1
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
import jwt
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway_node.access.errors import FileInvalid
from gateway_node.access.watched_file import FileAsRead
from gateway_node.strict_json import JsonRefused, parse, shown

MAX_KEYS = 32
LEAST_SECRET_BYTES = 32
"""Of HS256: as many as the hash has (RFC 7518, section 3.2)."""
LEAST_RSA_BITS = 2048
"""RFC 7518, section 3.3."""
MOST_RSA_BITS = 8192
"""A longer key would take milliseconds a token."""


class Algorithm(enum.Enum):
    """How a token is signed (RFC 7518, 8037); a key knows one, whatever a token says."""

    HS256 = 'HS256'
    """With a secret that the issuer and the gateway share."""
    RS256 = 'RS256'
    """With RSA."""
    ES256 = 'ES256'
    """With an elliptic curve, P-256."""
    EDDSA = 'EdDSA'
    """With Ed25519."""


@dataclass(frozen=True, kw_only=True)
class VerificationKey:
    """What tells whether a token was signed by whom it should be."""

    algorithm: Algorithm
    key: Any = field(repr=False)
    """As PyJWT takes it."""
    kid: str | None = None
    """Its name in the file; None where it has none."""

    @property
    def is_secret(self) -> bool:
        """Whether who knows it can make tokens."""
        return self.algorithm is Algorithm.HS256


_OF_TYPE = {
    ('oct', None): Algorithm.HS256,
    ('RSA', None): Algorithm.RS256,
    ('EC', 'P-256'): Algorithm.ES256,
    ('OKP', 'Ed25519'): Algorithm.EDDSA,
}
"""By `kty` and `crv`."""
_MEMBERS = {
    Algorithm.HS256: ('k',),
    Algorithm.RS256: ('n', 'e'),
    Algorithm.ES256: ('x', 'y'),
    Algorithm.EDDSA: ('x',),
}
_UNUSABLE = (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError)


def parse_keys(file: FileAsRead) -> tuple[VerificationKey, ...]:
    """Return the keys of a file that nobody else can change, nor read where one is a secret."""
    keys = keys_from(file.content)
    if any(key.is_secret for key in keys):
        file.check_private()
    elif file.mode & 0o022:
        raise FileInvalid(
            f'has mode {stat.filemode(file.mode)}; allowed: a file that only its owner may write '
            '(chmod 644)'
        )
    return keys


def keys_from(content: bytes) -> tuple[VerificationKey, ...]:
    """Return the keys of a file; FileInvalid, which tells nothing of a key itself.

    Keys of a set that are for another use or another algorithm are left out, as RFC 7517 wants
    it (section 5): issuers publish them all in one.
    """
    if content.lstrip().startswith(b'-----BEGIN'):
        return (_of_pem(content),)
    try:
        document = parse(content)
    except JsonRefused as error:
        raise FileInvalid(f'{error}; allowed: a key set (JSON), or a public key (PEM)') from error
    listed = document.get('keys') if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS:
        raise FileInvalid(f'has no list "keys" of at most {MAX_KEYS} keys')
    found = [_of_set(each, f'keys[{index}]') for index, each in enumerate(listed)]
    keys = tuple(key for key in found if key is not None)
    if not keys:
        raise FileInvalid('has no key for HS256, RS256, ES256 (P-256) or EdDSA (Ed25519)')
    names = [(key.kid, key.algorithm) for key in keys if key.kid is not None]
    if len(set(names)) < len(names):
        raise FileInvalid('has two keys of one kid')
    return keys


def _of_set(jwk: object, place: str) -> VerificationKey | None:
    if not isinstance(jwk, dict):
        raise FileInvalid(f'{place} is no object')
    algorithm = _OF_TYPE.get((_text(jwk, 'kty', place) or '', _text(jwk, 'crv', place)))
    if algorithm is None or _text(jwk, 'use', place) not in (None, 'sig'):
        return None
    if _text(jwk, 'alg', place) not in (None, algorithm.value):
        return None
    if algorithm is not Algorithm.HS256 and 'd' in jwk:
        raise FileInvalid(f'{place} is a private key; allowed here: public ones')
    members = {name: _encoded(jwk, name, place) for name in _MEMBERS[algorithm]}
    try:
        key = _made_of(algorithm, {'kty': jwk['kty'], 'crv': jwk.get('crv'), **members})
    except _UNUSABLE as error:
        raise FileInvalid(f'{place} is no key for {algorithm.value}') from error
    _check_strength(key, place)
    return VerificationKey(algorithm=algorithm, key=key, kid=_text(jwk, 'kid', place))


def _made_of(algorithm: Algorithm, jwk: dict[str, Any]) -> Any:
    match algorithm:
        case Algorithm.HS256:
            secret = HMACAlgorithm.from_jwk(jwk)
            # It takes no text of a public key for a secret.
            return HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(secret)
        case Algorithm.RS256:
            return RSAAlgorithm.from_jwk(jwk)
        case Algorithm.ES256:
            return ECAlgorithm.from_jwk(jwk)
        case Algorithm.EDDSA:
            return OKPAlgorithm.from_jwk(jwk)


def _of_pem(content: bytes) -> VerificationKey:
    try:
        key = load_pem_public_key(content)
    except _UNUSABLE as error:
        raise FileInvalid('is no public key (-----BEGIN PUBLIC KEY-----)') from error
    _check_strength(key, 'the key')
    if isinstance(key, RSAPublicKey):
        return VerificationKey(algorithm=Algorithm.RS256, key=key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return VerificationKey(algorithm=Algorithm.ES256, key=key)
    if isinstance(key, Ed25519PublicKey):
        return VerificationKey(algorithm=Algorithm.EDDSA, key=key)
    raise FileInvalid('is a public key of another kind; allowed: RSA, P-256, Ed25519')


def _check_strength(key: object, place: str) -> None:
    if isinstance(key, bytes) and len(key) < LEAST_SECRET_BYTES:
        raise FileInvalid(
            f'{place} is a secret of {len(key)} bytes; allowed: at least {LEAST_SECRET_BYTES}'
        )
    if isinstance(key, RSAPublicKey) and not LEAST_RSA_BITS <= key.key_size <= MOST_RSA_BITS:
        raise FileInvalid(
            f'{place} has {key.key_size} bits; allowed: {LEAST_RSA_BITS} to {MOST_RSA_BITS}'
        )


def _text(jwk: Mapping[str, Any], name: str, place: str) -> str | None:
    value = jwk.get(name)
    if value is not None and not isinstance(value, str):
        raise FileInvalid(f'{place}: {name} is {shown(value)}; allowed: a text')
    return value


def _encoded(jwk: Mapping[str, Any], name: str, place: str) -> str:
    """Return a member that is base64url without padding (RFC 7515, section 2)."""
    text = _text(jwk, name, place) or ''
    try:
        content = base64.b64decode(text + '=' * (-len(text) % 4), altchars=b'-_', validate=True)
    except (binascii.Error, ValueError):
        content = b''
    if not content or '=' in text:
        raise FileInvalid(f'{place}: {name} is missing, or no base64url')
    return text
