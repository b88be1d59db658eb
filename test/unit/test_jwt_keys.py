# SPDX-License-Identifier: Apache-2.0
"""The keys for JSON Web Tokens: what is taken from a file, and what is refused."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key, SECP384R1
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import RSAAlgorithm
from jwts import base64url, key_set, PUBLIC_JWKS, public_pem, RSA_KEY, SECRET
import pytest

from gateway_node.access.errors import FileInvalid
from gateway_node.access.jwt_keys import Algorithm, keys_from, MAX_KEYS, parse_keys
from gateway_node.access.watched_file import FileAsRead


def set_of(*keys: dict[str, Any]) -> bytes:
    """Return a key set."""
    return json.dumps({'keys': keys}).encode()


def test_each_kind_of_key_is_for_one_algorithm() -> None:
    """Its type says which, and no token can say another."""
    keys = keys_from(key_set())
    assert [(key.algorithm, key.kid) for key in keys] == [
        (Algorithm.HS256, 'HS256'),
        (Algorithm.RS256, 'RS256'),
        (Algorithm.ES256, 'ES256'),
        (Algorithm.EDDSA, 'EdDSA'),
    ]
    assert [key.is_secret for key in keys] == [True, False, False, False]


@pytest.mark.parametrize('algorithm', ['RS256', 'ES256', 'EdDSA'])
def test_one_public_key_may_come_as_pem(algorithm: str) -> None:
    """The algorithm is that of its type; it has no name."""
    (key,) = keys_from(b'\n' + public_pem(algorithm))
    assert (key.algorithm.value, key.kid, key.is_secret) == (algorithm, None, False)


def test_keys_for_something_else_are_left_out() -> None:
    """An issuer publishes all that it has in one set."""
    rsa = PUBLIC_JWKS['RS256']
    others = (
        rsa | {'use': 'enc'},
        rsa | {'alg': 'PS256'},
        rsa | {'alg': 'none'},
        {'kty': 'EC', 'crv': 'P-384', 'x': 'AA', 'y': 'AA'},
        {'kty': 'AKP', 'alg': 'ML-DSA-44', 'pub': 'AA'},
    )
    (key,) = keys_from(set_of(*others, rsa | {'use': 'sig', 'alg': 'RS256', 'kid': '7'}))
    assert key.kid == '7'
    with pytest.raises(FileInvalid, match='no key for HS256, RS256'):
        keys_from(set_of(*others))


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (b'', 'is no JSON'),
        (b'{"keys": []}', 'has no key for'),
        (b'{"keys": {}}', 'no list "keys"'),
        (b'[]', 'no list "keys"'),
        (b'{"keys": [], "keys": []}', 'a name twice'),
        (b'[' * 5000, 'nested deeper'),
        (set_of(*[PUBLIC_JWKS['EdDSA']] * (MAX_KEYS + 1)), f'at most {MAX_KEYS}'),
        (json.dumps({'keys': [1]}).encode(), r'keys\[0\] is no object'),
        (set_of({'kty': 7}), r'keys\[0\]: kty is 7'),
        (set_of({'kty': 'oct', 'kid': ['a'], 'k': base64url(SECRET)}), 'kid is an array'),
        (set_of({'kty': 'oct'}), r'keys\[0\]: k is missing'),
        (set_of({'kty': 'oct', 'k': ''}), 'k is missing'),
        (set_of({'kty': 'oct', 'k': 'a b'}), 'no base64url'),
        (set_of({'kty': 'oct', 'k': base64url(SECRET) + '='}), 'no base64url'),
        (set_of({'kty': 'oct', 'k': 'ä'}), 'no base64url'),
        (set_of(PUBLIC_JWKS['RS256'], {'kty': 'RSA', 'n': 'AA'}), r'keys\[1\]: e is missing'),
        (set_of(PUBLIC_JWKS['ES256'] | {'x': base64url(b'\1' * 32)}), 'no key for ES256'),
        (set_of(PUBLIC_JWKS['ES256'] | {'x': 'AAAA'}), 'no key for ES256'),
        (set_of(PUBLIC_JWKS['EdDSA'] | {'x': 'AAAA'}), 'no key for EdDSA'),
        (set_of(*[PUBLIC_JWKS['ES256'] | {'kid': 'a'}] * 2), 'two keys of one kid'),
        (b'-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', 'no public key'),
        (b'-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', 'no public key'),
    ],
)
def test_what_is_no_set_of_keys_is_refused(content: bytes, told: str) -> None:
    """The message says where, and what is allowed."""
    with pytest.raises(FileInvalid, match=told):
        keys_from(content)


@pytest.mark.parametrize('length', [1, 16, 31])
def test_a_weak_secret_is_refused_and_not_told(length: int) -> None:
    """It could be guessed from one token; 32 bytes can not."""
    weak = base64url(b'hunter2 hunter2 hunter2 hunter2'[:length])
    with pytest.raises(FileInvalid, match=f'a secret of {length} bytes') as refused:
        keys_from(set_of({'kty': 'oct', 'k': weak}))
    assert weak not in str(refused.value)
    assert 'hunter2' not in str(refused.value)


@pytest.mark.parametrize('bits', [1024, 9216])
def test_an_rsa_key_is_neither_weak_nor_endless(bits: int) -> None:
    """RFC 7518 wants 2048 bits; each check of a huge one takes long."""
    jwk = json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
    modulus = (1 << (bits - 1)) + 1
    jwk['n'] = base64url(modulus.to_bytes(bits // 8, 'big'))
    with pytest.raises(FileInvalid, match=f'has {bits} bits; allowed: 2048 to 8192'):
        keys_from(set_of(jwk))


def test_a_private_key_does_not_belong_here() -> None:
    """Who steals it from the robot could make tokens for all robots."""
    jwk = json.loads(RSAAlgorithm.to_jwk(RSA_KEY))
    with pytest.raises(FileInvalid, match='is a private key'):
        keys_from(set_of(jwk))
    pem = RSA_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(FileInvalid, match='is no public key'):
        keys_from(pem)


def test_the_text_of_a_public_key_is_no_secret() -> None:
    """Everybody has it, and could sign with it."""
    pem = public_pem('RS256')
    secret = base64.urlsafe_b64encode(pem).rstrip(b'=').decode()
    with pytest.raises(FileInvalid, match=r'keys\[0\] is no key for HS256'):
        keys_from(set_of({'kty': 'oct', 'k': secret}))


def test_other_curves_are_refused_by_name() -> None:
    """A key alone that is of no use is a mistake."""
    key = generate_private_key(SECP384R1()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(FileInvalid, match='of another kind; allowed: RSA, P-256, Ed25519'):
        keys_from(pem)


def test_a_key_does_not_show_itself() -> None:
    """It may stand in a traceback."""
    for key in keys_from(key_set('HS256')):
        assert SECRET.decode() not in repr(key)


@pytest.mark.parametrize(
    ('content', 'mode', 'refused'),
    [
        (key_set(), 0o100600, None),
        (key_set(), 0o100640, 'only its owner may read'),
        (key_set('RS256'), 0o100644, None),
        (key_set('RS256'), 0o100664, 'only its owner may write'),
        (key_set('RS256'), 0o100646, 'only its owner may write'),
        (public_pem('EdDSA'), 0o100444, None),
    ],
)
def test_others_can_neither_read_a_secret_nor_change_a_key(
    content: bytes, mode: int, refused: str | None
) -> None:
    """What is public may be read by all."""
    file = FileAsRead(content=content, mode=mode)
    if refused is None:
        assert parse_keys(file) == parse_keys(file)
    else:
        with pytest.raises(FileInvalid, match=refused):
            parse_keys(file)
