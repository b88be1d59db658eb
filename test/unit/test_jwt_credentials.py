# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens: who is let in by one, and that no trick with one lets anybody in."""

from collections.abc import Callable
import datetime
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key, SECP256R1
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as generate_rsa_key,
)
from fakes import FakeClock
import jwt
from jwts import (
    AUDIENCE,
    base64url,
    ec_jwk,
    ISSUER,
    key_set,
    PUBLIC_JWKS,
    public_pem,
    RSA_KEY,
    SECRET,
    SIGNING,
    token,
    token_by_hand,
)
import pytest

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialUnfit, NotAuthenticated
from gateway_node.access.jwt_claims import ClaimNames, MAX_GLOBS
from gateway_node.access.jwt_credentials import JwtCredentials, JwtRules, MAX_BYTES
from gateway_node.access.jwt_keys import keys_from, VerificationKey
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

LEEWAY_SEC = 30
NAMES = ClaimNames(
    name='sub', role='role', entities='entities', scripts='scripts', tags='robot.tags'
)
RULES = JwtRules(issuer=ISSUER, audience=AUDIENCE, leeway_sec=LEEWAY_SEC, names=NAMES)
CLOCK = FakeClock()
NOW = int(CLOCK.now().timestamp())


def source(
    content: bytes | None = None, clock: FakeClock | None = None, rules: JwtRules = RULES
) -> JwtCredentials:
    """Return a source whose keys are those of all algorithms."""
    keys = keys_from(content or key_set())
    return JwtCredentials(lambda: keys, rules, clock or FakeClock())


def claims(**others: Any) -> dict[str, Any]:
    """Return the claims of an operator; None leaves one out."""
    every = {
        'iss': ISSUER,
        'aud': AUDIENCE,
        'sub': 'anna',
        'role': 'operator',
        'iat': NOW,
        'exp': NOW + 600,
    } | others
    return {name: value for name, value in every.items() if value is not None}


def refused(tokens: JwtCredentials, text: str) -> str:
    """Return why a token is refused."""
    with pytest.raises(NotAuthenticated) as error:
        tokens.credential_of(text)
    assert error.value.is_refused
    assert text not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize('algorithm', SIGNING)
def test_who_bears_a_token_is_who_it_says(algorithm: str) -> None:
    """Whichever of the algorithms it is signed with, with the name of the key or without."""
    tokens = source()
    anna = Credential(name='anna', role=Role.OPERATOR)
    assert tokens.credential_of(token(claims(), algorithm=algorithm)) == anna
    assert tokens.credential_of(token(claims(), algorithm=algorithm, kid=algorithm)) == anna


@pytest.mark.parametrize('algorithm', ['RS256', 'ES256', 'EdDSA'])
def test_a_key_without_a_name_checks_whatever_kid_a_token_has(algorithm: str) -> None:
    """There is only this one."""
    tokens = source(public_pem(algorithm))
    assert tokens.credential_of(token(claims(), algorithm=algorithm, kid='2026-03')) is not None


@pytest.mark.parametrize('text', ['gwt_0123', '', 'a.b', 'a.b.c.d', 'ä.ö.ü'])
def test_what_has_no_form_of_a_token_is_for_other_sources(text: str) -> None:
    """They may know it."""
    assert source().credential_of(text) is None


# --- what it may do


@pytest.mark.parametrize(
    ('claimed', 'role'),
    [
        *((role.value, role) for role in Role),
        (['offline_access', 'viewer'], Role.VIEWER),
        (['viewer', 'configurator', 'operator'], Role.CONFIGURATOR),
    ],
)
def test_the_role_is_the_highest_of_those_that_are_claimed(claimed: object, role: Role) -> None:
    """Issuers list roles of other services too."""
    credential = source().credential_of(token(claims(role=claimed)))
    assert credential is not None
    assert credential.role is role


@pytest.mark.parametrize(
    'claimed', [None, '', 'root', 'ADMIN', 'admin ', 'viewer admin', 1, True, {}, [], ['root']]
)
def test_an_unknown_role_is_none(claimed: object) -> None:
    """Nobody is let in as a viewer because a claim is misspelt."""
    assert 'viewer, operator' in refused(source(), token(claims(role=claimed)))


def test_globs_narrow_it() -> None:
    """Each claim is a glob, or an array of them; an empty one has nothing."""
    narrowed = claims(entities='apps/arm_*', scripts=['check*', 'read*'], robot={'tags': []})
    credential = source().credential_of(token(narrowed))
    assert credential is not None
    assert credential.scope == Scope(
        entities=('apps/arm_*',), scripts=('check*', 'read*'), tags=()
    )


@pytest.mark.parametrize(
    'claimed', [7, True, '', [''], [7], {'apps': True}, ['*'] * (MAX_GLOBS + 1)]
)
def test_a_bound_that_is_not_understood_is_not_left_out(claimed: object) -> None:
    """Else it would be none."""
    assert "the claim 'entities'" in refused(source(), token(claims(entities=claimed)))


def test_a_bound_that_is_null_is_not_left_out_either() -> None:
    """Only a claim that is not there sets no bound."""
    payload = json.dumps(claims() | {'entities': None}).encode()
    text = token_by_hand({'alg': 'HS256'}, payload, SECRET)
    assert "'entities' of the token is null" in refused(source(), text)


@pytest.mark.parametrize('path', ['realm_access.roles', 'https://robots.example/roles'])
def test_a_claim_is_found_by_its_whole_name_and_then_by_its_parts(path: str) -> None:
    """Some issuers nest theirs, others name them by an address."""
    names = ClaimNames(name='sub', role=path, entities='e', scripts='s', tags='t')
    rules = JwtRules(issuer=ISSUER, audience=AUDIENCE, leeway_sec=0, names=names)
    claimed = claims(
        role=None,
        realm_access={'roles': ['operator']},
        **{'https://robots.example/roles': 'operator'},
    )
    credential = source(rules=rules).credential_of(token(claimed))
    assert credential is not None
    assert credential.role is Role.OPERATOR


@pytest.mark.parametrize(
    'name', [None, '', ' anna', 'an\nna', 'a' * 129, '\u202eanna', 7, ['anna']]
)
def test_a_name_can_be_read(name: object) -> None:
    """It goes into records."""
    # PyJWT of some versions signs no `sub` that is no text.
    payload = json.dumps(claims(sub=name)).encode()
    text = token_by_hand({'alg': 'HS256'}, payload, SECRET)
    assert "the claim 'sub'" in refused(source(), text)


# --- attacks


@pytest.mark.parametrize('algorithm', ['none', 'None', 'NONE', '', None, 0, ['HS256'], {}])
@pytest.mark.parametrize('secret', [None, b'', SECRET])
def test_a_token_without_an_algorithm_is_refused(algorithm: object, secret: bytes | None) -> None:
    """CVE-2015-9235: `alg` says that there is no signature to check."""
    text = token_by_hand({'alg': algorithm}, json.dumps(claims()).encode(), secret)
    assert 'there is no such key' in refused(source(), text)


def test_a_token_without_a_signature_is_refused() -> None:
    """Whatever it says that it is signed with."""
    for algorithm in SIGNING:
        text = token_by_hand({'alg': algorithm}, json.dumps(claims()).encode(), None)
        assert 'signature is wrong' in refused(source(), text)


@pytest.mark.parametrize('algorithm', ['RS256', 'ES256', 'EdDSA'])
@pytest.mark.parametrize('kid', [None, 'key'])
def test_a_public_key_is_no_secret_to_sign_with(algorithm: str, kid: str | None) -> None:
    """CVE-2016-10555: HS256 with what everybody knows, as PEM, as JWK, with and without an end."""
    jwk = PUBLIC_JWKS[algorithm] | {'kid': 'key'}
    pem = public_pem(algorithm)
    for content in (json.dumps({'keys': [jwk]}).encode(), pem):
        tokens = source(content)
        for known in (pem, pem.strip(), json.dumps(jwk).encode(), content, b''):
            header = {'alg': 'HS256'} | ({} if kid is None else {'kid': kid})
            text = token_by_hand(header, json.dumps(claims()).encode(), known)
            assert "signed with 'HS256'" in refused(tokens, text)


@pytest.mark.parametrize('said', [*SIGNING, 'HS384', 'HS512', 'RS512', 'PS256', 'ES512'])
def test_each_key_is_used_for_its_own_algorithm_only(said: str) -> None:
    """One key of another kind is there, under the name that the token gives."""
    for algorithm in SIGNING:
        if said != algorithm:
            tokens = source(key_set(algorithm))
            text = token_by_hand(
                {'alg': said, 'kid': algorithm}, json.dumps(claims()).encode(), SECRET
            )
            assert 'there is no such key' in refused(tokens, text)


@pytest.mark.parametrize(
    'kid',
    [
        'unknown',
        '',
        'hs256',
        '../../../../dev/null',
        '/dev/null',
        "HS256' OR '1'='1",
        'HS256\0',
        'https://evil.example/key',
        '| id',
    ],
)
def test_kid_is_a_name_in_the_file_and_nothing_else(kid: str) -> None:
    """It opens no file, and asks no database and no host."""
    for secret in (b'', SECRET):
        header = {'alg': 'HS256', 'kid': kid}
        text = token_by_hand(header, json.dumps(claims()).encode(), secret)
        assert 'there is no such key' in refused(source(), text)


@pytest.mark.parametrize('kid', [['HS256'], {'HS256': 1}, 7, True])
def test_kid_is_a_text(kid: object) -> None:
    """Whatever else it is names nothing."""
    header = {'alg': 'HS256', 'kid': kid}
    text = token_by_hand(header, json.dumps(claims()).encode(), SECRET)
    assert 'there is no such key' in refused(source(), text)


def test_a_key_that_a_token_brings_along_is_not_believed() -> None:
    """CVE-2018-0114: `jwk`, `jku`, `x5c`, `x5u` name the attacker's own."""
    own = generate_private_key(SECP256R1())
    tokens = source()
    brought = {
        'jwk': PUBLIC_JWKS['ES256'],
        'jku': 'https://evil.example/keys',
        'x5u': 'https://evil.example/certificate',
        'x5c': [base64url(b'certificate')],
    }
    for name, value in brought.items():
        text = token(claims(), algorithm='ES256', key=own, **{name: value})
        assert 'signature is wrong' in refused(tokens, text)
        assert tokens.credential_of(token(claims(), algorithm='ES256', **{name: value}))


@pytest.mark.parametrize('header', [{'crit': ['exp']}, {'crit': []}, {'b64': False}])
def test_a_token_that_demands_an_extension_is_refused(header: dict[str, Any]) -> None:
    """None is known here (RFC 7515, section 4.1.11)."""
    text = token_by_hand({'alg': 'HS256'} | header, json.dumps(claims()).encode(), SECRET)
    assert 'demands an extension' in refused(source(), text)


@pytest.mark.parametrize('algorithm', SIGNING)
def test_a_token_that_was_changed_is_refused(algorithm: str) -> None:
    """Its claims, its header, its signature; or the signature of another token."""
    text = token(claims(role='viewer'), algorithm=algorithm)
    header, payload, signature = text.split('.')
    admin = base64url(json.dumps(claims(role='admin')).encode())
    other = token(claims(role='viewer', sub='bert'), algorithm=algorithm).split('.')[2]
    named = base64url(json.dumps({'alg': algorithm, 'typ': 'jwt'}).encode())
    cut = signature[: len(signature) // 2]
    for changed in (
        f'{header}.{admin}.{signature}',
        f'{named}.{payload}.{signature}',
        f'{header}.{payload}.{other}',
        f'{header}.{payload}.{cut}',
        f'{header}.{payload}.',
        f'{header}.{payload}.{base64url(bytes(64))}',
    ):
        assert 'signature is wrong' in refused(source(), changed)


def test_an_elliptic_signature_of_zeros_is_refused() -> None:
    """CVE-2022-21449: r and s of 0 fit every message, where nobody looks."""
    header = base64url(json.dumps({'alg': 'ES256'}).encode())
    payload = base64url(json.dumps(claims()).encode())
    for signature in (bytes(64), bytes(31) + b'\1' + bytes(32), bytes(8), b''):
        text = f'{header}.{payload}.{base64url(signature)}'
        assert 'signature is wrong' in refused(source(), text)


def test_a_key_of_the_same_kind_that_is_not_ours_signs_nothing() -> None:
    """Another issuer has one, too."""
    other = generate_rsa_key(public_exponent=65537, key_size=2048)
    for kid in ({}, {'kid': 'RS256'}):
        text = token(claims(), algorithm='RS256', key=other, **kid)
        assert 'signature is wrong' in refused(source(), text)


@pytest.mark.parametrize(
    ('header', 'payload'),
    [
        (b'', b'{}'),
        (b'{', b'{}'),
        (b'[]', b'{}'),
        (b'"alg"', b'{}'),
        (b'\xff', b'{}'),
        (b'{"alg": "none", "alg": "HS256"}', b'{}'),
        (b'{"alg": "HS256"}', b''),
        (b'{"alg": "HS256"}', b'[]'),
        (b'{"alg": "HS256"}', b'{"exp": NaN}'),
        (b'{"alg": "HS256"}', b'{"role": "viewer", "role": "admin"}'),
        (b'{"alg": "HS256"}', b'{"a":' * 500 + b'1' + b'}' * 500),
        (b'[' * 3000, b'{}'),
        (b'{"alg":' * 400, b'{}'),
    ],
)
def test_what_is_no_json_is_refused(header: bytes, payload: bytes) -> None:
    """Nested as deep as it fits, and names given twice, too."""
    assert 'of the token' in refused(source(), token_by_hand(header, payload, SECRET))


@pytest.mark.parametrize('text', ['..', 'a..', '.a.', '..a', '!.!.!', 'e30.e30.e30', 'a.a.a'])
def test_what_only_has_two_dots_is_refused(text: str) -> None:
    """It is a token, though no good one."""
    with pytest.raises(NotAuthenticated):
        source().credential_of(text)


def test_a_huge_token_is_not_looked_at() -> None:
    """Its signature, right as it is, would have to be computed."""
    text = token(claims(padding='x' * MAX_BYTES))
    assert f'allowed: {MAX_BYTES}' in refused(source(), text)
    assert source().credential_of(token(claims(padding='x' * 5000))) is not None


# --- for whom, by whom


@pytest.mark.parametrize(
    'audience',
    [
        None,
        '',
        'robot-8',
        'ROBOT-7',
        'robot-7/',
        ['robot-8'],
        [],
        [['robot-7']],
        {'robot-7': 1},
        7,
    ],
)
def test_a_token_for_somebody_else_is_refused(audience: object) -> None:
    """A robot could else use what it was shown at the next one."""
    payload = json.dumps(claims(aud=audience)).encode()
    text = token_by_hand({'alg': 'HS256'}, payload, SECRET)
    assert 'another audience' in refused(source(), text)


def test_a_token_may_be_for_others_too() -> None:
    """An array of audiences has ours in it."""
    assert source().credential_of(token(claims(aud=['fleet', AUDIENCE]))) is not None


@pytest.mark.parametrize('issuer', [None, '', f'{ISSUER}/', 'https://evil.example', [ISSUER], 7])
def test_a_token_of_another_issuer_is_refused(issuer: object) -> None:
    """Even where it has the same key."""
    payload = json.dumps(claims(iss=issuer)).encode()
    text = token_by_hand({'alg': 'HS256'}, payload, SECRET)
    assert "issuer ('iss') is another one" in refused(source(), text)


# --- when


@pytest.mark.parametrize(
    ('exp', 'taken'),
    [(NOW + 1, True), (NOW - LEEWAY_SEC + 1, True), (NOW - LEEWAY_SEC, False), (0, False)],
)
def test_a_token_expires_with_the_leeway(exp: int, taken: bool) -> None:
    """Clocks differ, and no more than that."""
    text = token(claims(exp=exp))
    if taken:
        assert source().credential_of(text) is not None
    else:
        assert "has expired ('exp')" in refused(source(), text)


@pytest.mark.parametrize('claim', ['nbf', 'iat'])
@pytest.mark.parametrize(('ahead', 'taken'), [(LEEWAY_SEC, True), (LEEWAY_SEC + 1, False)])
def test_a_token_begins_with_the_leeway(claim: str, ahead: int, taken: bool) -> None:
    """One that is not valid yet, or was issued in the future, is refused."""
    text = token(claims(**{claim: NOW + ahead}))
    if taken:
        assert source().credential_of(text) is not None
    else:
        assert 'not valid yet' in refused(source(), text)


def test_a_token_without_an_end_is_refused() -> None:
    """It could never be taken back."""
    assert "has no 'exp'" in refused(source(), token(claims(exp=None)))


@pytest.mark.parametrize('claim', ['exp', 'nbf', 'iat'])
@pytest.mark.parametrize('value', ['2026', True, [], -1, 10**400, 1e300, str(NOW + 600)])
def test_a_time_is_a_number_of_seconds(claim: str, value: object) -> None:
    """A text that could be one, or a number that no clock reaches, is none."""
    payload = json.dumps(claims(**{claim: value})).encode()
    text = token_by_hand({'alg': 'HS256'}, payload, SECRET)
    assert f'the claim {claim!r}' in refused(source(), text)


def test_each_request_looks_at_the_clock() -> None:
    """Although the signature is checked once."""
    clock = FakeClock()
    tokens = source(clock=clock)
    text = token(claims(exp=NOW + 60))
    assert tokens.credential_of(text) is not None
    clock.advance(60 + LEEWAY_SEC)
    assert 'has expired' in refused(tokens, text)


def test_a_clock_that_is_set_back_makes_no_known_token_last_longer() -> None:
    """What it has left when it is first seen counts by the monotonic clock, too."""
    clock = FakeClock()
    tokens = source(clock=clock)
    text = token(claims(exp=NOW + 60, iat=None))
    assert tokens.credential_of(text) is not None
    clock.advance(60 + LEEWAY_SEC)
    clock.wall -= datetime.timedelta(seconds=3600)
    assert 'has expired' in refused(tokens, text)


def test_what_is_remembered_of_a_token_lets_no_other_signature_in() -> None:
    """Nor does one that was refused make it forget."""
    tokens = source()
    text = token(claims())
    assert tokens.credential_of(text) is not None
    signed = text.rpartition('.')[0]
    for signature in ('', base64url(bytes(32)), token(claims(sub='bert')).rpartition('.')[2]):
        assert 'signature is wrong' in refused(tokens, f'{signed}.{signature}')
        assert tokens.credential_of(text) is not None


def _with_padding(text: str) -> str:
    return f'{text}='


def _with_the_other_root(text: str) -> str:
    """Return a token with the second signature that ECDSA takes for each: (r, n - s)."""
    signed, _, signature = text.rpartition('.')
    both = jwt.utils.base64url_decode(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    s = order - int.from_bytes(both[32:], 'big')
    return f'{signed}.{base64url(both[:32] + s.to_bytes(32, "big"))}'


@pytest.mark.parametrize(
    ('algorithm', 'signed_otherwise'),
    [('HS256', _with_padding), ('ES256', _with_the_other_root)],
)
def test_the_same_token_with_another_text_of_its_signature_lasts_no_longer(
    algorithm: str, signed_otherwise: Callable[[str], str]
) -> None:
    """Anybody makes one; it is taken as the same, whatever the clock is set to."""
    clock = FakeClock()
    tokens = source(clock=clock)
    text = token(claims(exp=NOW + 60, iat=None), algorithm=algorithm)
    other = signed_otherwise(text)
    assert tokens.credential_of(text) == tokens.credential_of(other) is not None
    clock.advance(60 + LEEWAY_SEC)
    clock.wall -= datetime.timedelta(seconds=3600)
    for each in (other, text):
        assert 'has expired' in refused(tokens, each)


def test_a_clock_that_was_wrong_for_a_while_is_forgiven() -> None:
    """Ahead, or back before the token was issued: once it is right again, so is the token."""
    clock = FakeClock()
    tokens = source(clock=clock)
    text = token(claims())
    for years in (1, -1):
        right = clock.wall
        clock.wall += datetime.timedelta(days=365 * years)
        refused(tokens, text)
        clock.wall = right
        assert tokens.credential_of(text) is not None


@pytest.mark.parametrize('year', [1970, 2000, 2024])
def test_a_clock_that_was_never_set_lets_no_token_in(year: int) -> None:
    """By it nothing ever expires; the answer tells what is the matter."""
    clock = FakeClock(datetime.datetime(year, 3, 1, tzinfo=datetime.UTC))
    told = refused(source(clock=clock), token(claims(iat=None)))
    assert f'the clock here says {year}-03-01T00:00:00.000Z' in told


# --- keys that change


def test_keys_that_are_no_longer_there_check_nothing() -> None:
    """What was remembered of a token goes with them."""
    kept = [keys_from(key_set('HS256', 'RS256'))]
    tokens = JwtCredentials(lambda: kept[0], RULES, FakeClock())
    text = token(claims(), algorithm='RS256')
    assert tokens.credential_of(text) is not None
    kept[0] = keys_from(key_set('HS256'))
    assert 'there is no such key' in refused(tokens, text)
    kept[0] = keys_from(key_set('RS256'))
    assert tokens.credential_of(text) is not None


def test_a_signature_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """RSA takes longer than the rest of a small request; so many tokens are remembered."""
    checks = []
    decode = jwt.PyJWS.decode

    def counted(self: jwt.PyJWS, *arguments: Any, **others: Any) -> Any:
        checks.append(arguments)
        return decode(self, *arguments, **others)

    monkeypatch.setattr(jwt.PyJWS, 'decode', counted)
    monkeypatch.setattr('gateway_node.access.jwt_credentials._REMEMBERED', 2)
    tokens = source()
    first, *others = (token(claims(sub=name), algorithm='RS256') for name in 'abc')
    for _ in range(3):
        tokens.credential_of(first)
    assert len(checks) == 1
    for other in others:
        tokens.credential_of(other)
    assert len(checks) == 3
    tokens.credential_of(first)
    assert len(checks) == 4


def test_two_keys_may_be_there_while_an_issuer_changes_its_own() -> None:
    """A token that names neither is tried with both."""
    new = generate_private_key(SECP256R1())
    content = json.dumps({'keys': [PUBLIC_JWKS['ES256'], ec_jwk(new)]}).encode()
    tokens = source(content)
    assert tokens.credential_of(token(claims(), algorithm='ES256')) is not None
    assert tokens.credential_of(token(claims(), algorithm='ES256', key=new)) is not None


@pytest.mark.parametrize(
    ('text', 'is_guess'),
    [
        ('a.b.c', True),
        (token_by_hand({'alg': 'HS256'}, json.dumps(claims()).encode(), b'guess' * 8), True),
        (token_by_hand({'alg': 'none'}, json.dumps(claims()).encode(), None), True),
        (token_by_hand({'alg': 'HS256'}, b'[]', SECRET), False),
        (token(claims(exp=1)), False),
        (token(claims(nbf=NOW + 3600)), False),
        (token(claims(aud='robot-8')), False),
        (token(claims(iss='other')), False),
        (token(claims(role='root')), False),
        (token(claims(exp=None)), False),
    ],
)
def test_only_what_no_issuer_signed_is_a_guess(text: str, is_guess: bool) -> None:
    """Who polls on with a token that ran out slows nobody down."""
    with pytest.raises(NotAuthenticated) as error:
        source().credential_of(text)
    assert isinstance(error.value, CredentialUnfit) is not is_guess


def test_nothing_of_a_key_stands_in_an_error() -> None:
    """Whatever is wrong with a token."""
    wrong = [
        token_by_hand({'alg': 'HS256'}, b'{}', b'x' * 32),
        token(claims(aud='x')),
        token(claims(role='x')),
        token(claims(exp=1)),
    ]
    for text in wrong:
        told = refused(source(), text)
        assert SECRET.decode() not in told
        assert base64url(SECRET) not in told


def test_what_is_refused_is_no_defect() -> None:
    """Random bytes in the place of each part: 401, and never an exception of a library."""
    parts = token(claims(), algorithm='RS256', key=RSA_KEY).split('.')
    key: VerificationKey
    for place in range(3):
        for junk in ('A', 'AAAA', '=' * 4, '-_-_', base64url(bytes(300)), '%', '\x7f'):
            changed = [*parts]
            changed[place] = junk
            for key in keys_from(key_set()):
                tokens = JwtCredentials(lambda key=key: (key,), RULES, FakeClock())  # type: ignore[misc]
                refused(tokens, '.'.join(changed))
