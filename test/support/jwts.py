# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens as issuers make them, and as attackers do."""

import base64
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    generate_private_key,
    SECP256R1,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as generate_rsa_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
import jwt
from jwt.algorithms import OKPAlgorithm, RSAAlgorithm

ISSUER = 'https://issuer.example'
AUDIENCE = 'robot-7'
SECRET = b'a secret of the issuer and of the gateway'
RSA_KEY = generate_rsa_key(public_exponent=65537, key_size=2048)
EC_KEY = generate_private_key(SECP256R1())
ED_KEY = Ed25519PrivateKey.generate()
SIGNING: dict[str, Any] = {
    'HS256': SECRET,
    'RS256': RSA_KEY,
    'ES256': EC_KEY,
    'EdDSA': ED_KEY,
}
"""What each algorithm signs with."""


def base64url(content: bytes) -> str:
    """Return what stands for bytes in a token."""
    return base64.urlsafe_b64encode(content).rstrip(b'=').decode()


def ec_jwk(key: EllipticCurvePrivateKey) -> dict[str, Any]:
    """Return the public key of a pair: PyJWT before 2.9 leaves out zeros that coordinates begin
    with, one time in 128 (RFC 7518, section 6.2.1.2, wants all 32 bytes)."""
    numbers = key.public_key().public_numbers()
    x, y = (base64url(each.to_bytes(32, 'big')) for each in (numbers.x, numbers.y))
    return {'kty': 'EC', 'crv': 'P-256', 'x': x, 'y': y}


PUBLIC_JWKS: dict[str, dict[str, Any]] = {
    'HS256': {'kty': 'oct', 'k': base64url(SECRET)},
    'RS256': json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())),
    'ES256': ec_jwk(EC_KEY),
    'EdDSA': json.loads(OKPAlgorithm.to_jwk(ED_KEY.public_key())),
}
"""What each algorithm's signatures are checked with, without a kid."""


def key_set(*algorithms: str, **members: Any) -> bytes:
    """Return a key set; the kid of each key is its algorithm, and `members` are added to each."""
    keys = [
        {**PUBLIC_JWKS[algorithm], 'kid': algorithm, **members}
        for algorithm in algorithms or PUBLIC_JWKS
    ]
    return json.dumps({'keys': keys}).encode()


def public_pem(algorithm: str) -> bytes:
    """Return the public key of an algorithm as PEM."""
    pem: bytes = (
        SIGNING[algorithm]
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return pem


def token(
    claims: dict[str, Any], *, algorithm: str = 'HS256', key: Any = None, **header: Any
) -> str:
    """Sign claims."""
    signing = SIGNING[algorithm] if key is None else key
    return jwt.encode(claims, signing, algorithm=algorithm, headers=header)


def token_by_hand(header: dict[str, Any] | bytes, payload: bytes, secret: bytes | None) -> str:
    """Put a token together that no library makes; signed with HMAC, or not at all."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f'{base64url(head)}.{base64url(payload)}'
    signature = b''
    if secret is not None:
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f'{signed}.{base64url(signature)}'
