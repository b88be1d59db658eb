# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens (RFC 7519) that others issued, as credentials.

A token says by `alg` and `kid` which key it means, and nothing more: a key is used for its own
algorithm only, comes from the file only, and no address in a token is ever opened (RFC 8725).
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import datetime
import hashlib
from typing import Any

import jwt
from jwt.utils import base64url_decode

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialExpired, CredentialUnfit, NotAuthenticated
from gateway_node.access.jwt_claims import ClaimNames, credential_from
from gateway_node.access.jwt_keys import VerificationKey
from gateway_node.clock import Clock, rfc3339
from gateway_node.strict_json import JsonRefused, parse, shown

MAX_BYTES = 8 * 1024
_REMEMBERED = 1024
"""Tokens that were verified: a signature is checked once."""
EARLIEST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
"""Before it was no gateway that could have been meant: a clock that says less was never set."""
_LATEST_SEC = datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC).timestamp()
_SIGNATURES = jwt.PyJWS()


@dataclass(frozen=True, kw_only=True)
class JwtRules:
    """What a token must say."""

    issuer: str
    audience: str
    leeway_sec: float
    """How far the clocks of issuer and robot may be apart."""
    names: ClaimNames


@dataclass(frozen=True, kw_only=True)
class _Verified:
    """What a token said whose signature was right."""

    digest: bytes
    """SHA-256 of the token with this signature: another text of it may be right as well."""
    credential: Credential
    expires: float
    """The last second by the wall clock, with the leeway; the first is `begins`."""
    begins: float
    ends: float
    """By the monotonic clock: a wall clock that is set back makes no token last longer."""


class JwtCredentials:
    """A source of credentials: what tokens say that were signed with one of the keys.

    One that was, and is refused for what it says, is no guess: CredentialUnfit.
    """

    def __init__(
        self, keys: Callable[[], tuple[VerificationKey, ...]], rules: JwtRules, clock: Clock
    ) -> None:
        """`keys` returns those that count now, the same value as long as they do."""
        self._keys = keys
        self._rules = rules
        self._clock = clock
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self._verified_with: tuple[VerificationKey, ...] = ()

    def credential_of(self, token: str) -> Credential | None:
        """Return what a token says; None where it has no form of one. NotAuthenticated."""
        if token.count('.') != 2 or not token.isascii():
            return None
        if len(token) > MAX_BYTES:
            raise _refused(f'the token has {len(token)} bytes; allowed: {MAX_BYTES}')
        keys = self._keys()
        if keys is not self._verified_with:
            self._verified.clear()
            self._verified_with = keys
        signed = hashlib.sha256(token.rpartition('.')[0].encode()).digest()
        digest = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(signed)
        if verified is None or verified.digest != digest:
            verified = self._verify(token, digest, keys, verified)
        self._check_time(verified)
        self._verified[signed] = verified
        self._verified.move_to_end(signed)
        if len(self._verified) > _REMEMBERED:
            self._verified.popitem(last=False)
        return verified.credential

    def _verify(
        self,
        token: str,
        digest: bytes,
        keys: tuple[VerificationKey, ...],
        earlier: _Verified | None,
    ) -> _Verified:
        """Return what a token says; `earlier` is the same with another signature."""
        payload = _signed_payload(token, keys)
        claims = _object(payload, 'the claims', CredentialUnfit)
        self._check_meant(claims)
        leeway = self._rules.leeway_sec
        expires = _time(claims, 'exp')
        if expires is None:
            raise CredentialUnfit("the token has no 'exp'")
        begins = max(_time(claims, name) or 0.0 for name in ('nbf', 'iat')) - leeway
        left_sec = expires + leeway - self._clock.now().timestamp()
        ends = self._clock.monotonic() + left_sec
        return _Verified(
            digest=digest,
            credential=credential_from(claims, self._rules.names),
            expires=expires + leeway,
            begins=begins,
            ends=ends if earlier is None else min(ends, earlier.ends),
        )

    def _check_meant(self, claims: Mapping[str, Any]) -> None:
        if claims.get('iss') != self._rules.issuer:
            raise CredentialUnfit("the token's issuer ('iss') is another one")
        audience = claims.get('aud')
        audiences = audience if isinstance(audience, list) else [audience]
        if self._rules.audience not in audiences:
            raise CredentialUnfit("the token is for another audience ('aud')")

    def _check_time(self, verified: _Verified) -> None:
        wall = self._clock.now()
        if wall < EARLIEST:
            raise CredentialExpired(
                f'the clock here says {rfc3339(wall)}: until it is set no JSON Web Token is '
                'taken, for none could expire; other tokens are'
            )
        now = wall.timestamp()
        if now >= verified.expires or self._clock.monotonic() >= verified.ends:
            raise CredentialExpired(
                f"the token has expired ('exp'); the clock here says {rfc3339(wall)}"
            )
        if now < verified.begins:
            raise CredentialUnfit(
                f"the token is not valid yet ('nbf', 'iat'); the clock here says {rfc3339(wall)}"
            )


def _signed_payload(token: str, keys: tuple[VerificationKey, ...]) -> bytes:
    """Return what was signed, by one of the keys; NotAuthenticated."""
    header = _object(_decoded(token.partition('.')[0]), 'the header', _refused)
    if 'crit' in header or 'b64' in header:
        raise _refused('the token demands an extension (crit) that is not known here')
    algorithm, kid = header.get('alg'), header.get('kid')
    meant = [
        key
        for key in keys
        if key.algorithm.value == algorithm and (kid is None or key.kid in (None, kid))
    ]
    if not meant:
        raise _refused(
            f'the token is signed with {shown(algorithm)}, kid {shown(kid)}; there is no such key'
        )
    for key in meant:
        try:
            payload: bytes = _SIGNATURES.decode(token, key.key, algorithms=[key.algorithm.value])
        except jwt.PyJWTError:
            continue
        return payload
    raise _refused("the token's signature is wrong")


def _object(
    content: bytes, what: str, refusal: Callable[[str], NotAuthenticated]
) -> dict[str, Any]:
    try:
        value = parse(content)
    except JsonRefused as error:
        raise refusal(f'{what} of the token {error}') from error
    if not isinstance(value, dict):
        raise refusal(f'{what} of the token is no JSON object')
    return value


def _decoded(text: str) -> bytes:
    try:
        return base64url_decode(text)
    except ValueError as error:
        raise _refused('the token is no base64url') from error


def _time(claims: Mapping[str, Any], claim: str) -> float | None:
    """Return a NumericDate (RFC 7519, section 2)."""
    value = claims.get(claim)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CredentialUnfit(
            f'the claim {claim!r} of the token is {shown(value)}; allowed: a number'
        )
    if not 0 <= value <= _LATEST_SEC:
        raise CredentialUnfit(f'the claim {claim!r} of the token is no time up to the year 9999')
    return float(value)


def _refused(reason: str) -> NotAuthenticated:
    """Return why a token is refused that nobody has to have been given."""
    return NotAuthenticated(reason, is_refused=True)
