# SPDX-License-Identifier: Apache-2.0
"""Sessions: tokens for a while, renewed, revoked, and ended with who has them."""

from collections.abc import Callable
import datetime

from clients import KnownTokens
from fakes import FakeClock
import pytest

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialExpired, NotAuthenticated, TooManyFailures
from gateway_node.access.failures import Failures, FREE_FAILURES
from gateway_node.access.session_errors import ClientUnknown, GrantInvalid, RoleNotGranted
from gateway_node.access.sessions import (
    ClientSecret,
    IssuedTokens,
    MAX_SESSIONS_PER_CLIENT,
    Sessions,
)
from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import Scope

ACCESS_SEC = 600.0
REFRESH_SEC = 3600.0
ARMS = Scope(entities=('apps/arm_*',))
ANNA = Credential(name='anna', role=Role.CONFIGURATOR, scope=ARMS)
BERT = Credential(name='bert', role=Role.VIEWER)


def client(name: str, secret: str | None = None, address: str = '192.0.2.7') -> ClientSecret:
    """Return what a client says of itself, which is right where nothing else is said."""
    return ClientSecret(
        name=name, secret=f'{name}_secret' if secret is None else secret, address=address
    )


@pytest.fixture
def clock() -> FakeClock:
    """Return the time."""
    return FakeClock()


@pytest.fixture
def clients() -> KnownTokens:
    """Return who is known: a tokens file in a test's hand."""
    return KnownTokens({'anna_secret': ANNA, 'bert_secret': BERT})


@pytest.fixture
def sessions(clients: KnownTokens, clock: FakeClock) -> Sessions:
    """Return what is tested."""
    return Sessions(
        clients,
        Failures(clock.monotonic),
        clock,
        access_sec=ACCESS_SEC,
        refresh_sec=REFRESH_SEC,
    )


@pytest.fixture
def anna(sessions: Sessions) -> IssuedTokens:
    """Begin a session of anna's."""
    return sessions.begin(client('anna'))


def is_let_in(sessions: Sessions, tokens: IssuedTokens) -> bool:
    """Tell whether an access token is taken."""
    try:
        return sessions.credential_of(tokens.access_token) is not None
    except NotAuthenticated:
        return False


def test_who_bears_an_access_token_is_the_client(sessions: Sessions, anna: IssuedTokens) -> None:
    """With the role and the bounds of its entry."""
    assert sessions.credential_of(anna.access_token) == ANNA
    assert (anna.role, anna.expires_in) == (Role.CONFIGURATOR, 600)


@pytest.mark.parametrize(
    ('name', 'secret'),
    [
        ('anna', 'wrong'),
        ('anna', 'bert_secret'),
        ('bert', 'anna_secret'),
        ('unknown', 'anna_secret'),
        ('', ''),
        ('ANNA', 'anna_secret'),
        ('anna\udc80', 'anna_secret'),
    ],
)
def test_whatever_is_wrong_the_answer_is_one(sessions: Sessions, name: str, secret: str) -> None:
    """Nobody learns which names there are."""
    with pytest.raises(ClientUnknown) as error:
        sessions.begin(client(name, secret))
    assert str(error.value) == str(ClientUnknown())


def test_wrong_secrets_slow_down_who_shows_them(sessions: Sessions, clock: FakeClock) -> None:
    """From that address, also with the right one; a client that was right there goes on."""
    sessions.begin(client('bert'))
    for count in range(FREE_FAILURES):
        with pytest.raises(ClientUnknown):
            sessions.begin(client('anna', f'guess {count}'))
    with pytest.raises(TooManyFailures):
        sessions.begin(client('anna'))
    assert sessions.begin(client('bert')).role is Role.VIEWER
    assert sessions.begin(client('anna', address='192.0.2.8')).role is Role.CONFIGURATOR
    clock.advance(1)
    assert sessions.begin(client('anna')).role is Role.CONFIGURATOR


def test_a_client_whose_own_token_has_expired_is_unknown(
    sessions: Sessions, clients: KnownTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its token begins no session, and goes on with none; a clock that is set right mends it."""

    def expired(digest: bytes) -> Credential:
        raise CredentialExpired('the token ran out')

    anna = sessions.begin(client('anna'))
    with monkeypatch.context() as patch:
        patch.setattr(clients, 'credential_of_digest', expired)
        with pytest.raises(ClientUnknown):
            sessions.begin(client('anna'))
        with pytest.raises(NotAuthenticated, match='ran out'):
            sessions.credential_of(anna.access_token)
        with pytest.raises(GrantInvalid, match='ran out'):
            sessions.refresh(anna.refresh_token)
    assert is_let_in(sessions, anna)


@pytest.mark.parametrize('scope', ['viewer', 'operator', 'configurator'])
def test_a_session_may_do_less_than_its_client(sessions: Sessions, scope: str) -> None:
    """Whoever asks for less gets no more."""
    tokens = sessions.begin(client('anna'), scope=scope)
    assert tokens.role is Role(scope)
    assert sessions.credential_of(tokens.access_token) == Credential(
        name='anna', role=Role(scope), scope=ARMS
    )


@pytest.mark.parametrize('scope', ['admin', 'root', 'viewer operator', 'Viewer', ' '])
def test_a_session_may_not_do_more(sessions: Sessions, scope: str) -> None:
    """What is no role is none, and what is granted is told."""
    with pytest.raises(RoleNotGranted, match='one of viewer, operator, configurator'):
        sessions.begin(client('anna'), scope=scope)


def test_an_access_token_expires(sessions: Sessions, clock: FakeClock, anna: IssuedTokens) -> None:
    """To the second, and whatever the wall clock says."""
    clock.wall -= datetime.timedelta(days=3650)
    clock.advance(ACCESS_SEC - 1)
    assert is_let_in(sessions, anna)
    clock.advance(1)
    with pytest.raises(NotAuthenticated, match='has expired'):
        sessions.credential_of(anna.access_token)


def test_a_wall_clock_that_jumps_ahead_ends_nothing(
    sessions: Sessions, clock: FakeClock, anna: IssuedTokens
) -> None:
    """A robot gets the time when it is on the net."""
    clock.wall += datetime.timedelta(days=3650)
    assert is_let_in(sessions, anna)
    assert is_let_in(sessions, sessions.refresh(anna.refresh_token))


def test_a_refresh_token_gets_the_next_ones(
    sessions: Sessions, clock: FakeClock, anna: IssuedTokens
) -> None:
    """As often as it comes in time; each time all are new."""
    tokens = anna
    met = set()
    for _ in range(5):
        met |= {tokens.access_token, tokens.refresh_token}
        clock.advance(REFRESH_SEC - 1)
        tokens = sessions.refresh(tokens.refresh_token)
        assert sessions.credential_of(tokens.access_token) == ANNA
    assert len(met) == 10
    clock.advance(REFRESH_SEC)
    with pytest.raises(GrantInvalid, match='has expired'):
        sessions.refresh(tokens.refresh_token)


def test_what_was_sent_before_a_refresh_is_still_answered(
    sessions: Sessions, anna: IssuedTokens
) -> None:
    """The access token before lasts, and the one before that does not."""
    second = sessions.refresh(anna.refresh_token)
    assert is_let_in(sessions, anna)
    sessions.refresh(second.refresh_token)
    assert not is_let_in(sessions, anna)
    assert is_let_in(sessions, second)


def test_a_refresh_token_that_comes_twice_ends_the_session(
    sessions: Sessions, anna: IssuedTokens
) -> None:
    """A thief has it, or its owner is the second: neither is let in any more."""
    second = sessions.refresh(anna.refresh_token)
    with pytest.raises(GrantInvalid, match='was used before'):
        sessions.refresh(anna.refresh_token)
    for tokens in (anna, second):
        assert not is_let_in(sessions, tokens)
        with pytest.raises(GrantInvalid):
            sessions.refresh(tokens.refresh_token)


def test_whoever_follows_something_is_told_that_a_session_ended(
    sessions: Sessions, anna: IssuedTokens
) -> None:
    """By a revocation, and by a refresh token that comes twice; not by one that is none."""
    told: list[bool] = []
    sessions.on_end(lambda: told.append(is_let_in(sessions, anna)))
    sessions.revoke('gwr_x.y')
    assert told == []
    sessions.revoke(anna.access_token)
    assert told == [False]
    other = sessions.begin(client('anna'))
    sessions.refresh(other.refresh_token)
    with pytest.raises(GrantInvalid):
        sessions.refresh(other.refresh_token)
    assert told == [False, False]


def test_other_sessions_of_the_client_go_on(sessions: Sessions, anna: IssuedTokens) -> None:
    """Its other programs have done nothing wrong."""
    other = sessions.begin(client('anna'))
    sessions.revoke(anna.access_token)
    assert is_let_in(sessions, other)
    assert is_let_in(sessions, sessions.refresh(other.refresh_token))


@pytest.mark.parametrize(
    'token', ['', 'invalid_token', 'gwr_', 'gwr_.', 'gwr_x.y', 'gws_x', 'gwr_\udc80.\udc80']
)
def test_what_was_never_a_refresh_token_is_refused(
    sessions: Sessions, anna: IssuedTokens, token: str
) -> None:
    """And ends nobody's session."""
    with pytest.raises(GrantInvalid):
        sessions.refresh(token)
    sessions.revoke(token)
    assert is_let_in(sessions, anna)


def test_each_token_is_for_its_own_purpose(sessions: Sessions, anna: IssuedTokens) -> None:
    """A refresh token opens nothing, and an access token refreshes nothing."""
    assert sessions.credential_of(anna.refresh_token) is None
    with pytest.raises(GrantInvalid):
        sessions.refresh(anna.access_token)


def test_a_refresh_may_ask_for_less_and_then_for_what_was_granted(sessions: Sessions) -> None:
    """Never for more (RFC 6749, section 6)."""
    tokens = sessions.begin(client('anna'), scope='operator')
    less = sessions.refresh(tokens.refresh_token, scope='viewer')
    assert less.role is Role.VIEWER
    with pytest.raises(RoleNotGranted):
        sessions.refresh(less.refresh_token, scope='configurator')
    assert sessions.refresh(less.refresh_token).role is Role.OPERATOR


def test_a_client_that_says_who_it_is_refreshes_only_its_own(
    sessions: Sessions, anna: IssuedTokens
) -> None:
    """Another client's refresh token is of no use to it, and lasts."""
    with pytest.raises(GrantInvalid, match='of another client'):
        sessions.refresh(anna.refresh_token, client=client('bert'))
    assert sessions.refresh(anna.refresh_token, client=client('anna')).role is Role.CONFIGURATOR


@pytest.mark.parametrize('which', ['access_token', 'refresh_token'])
def test_a_session_is_revoked_by_either_of_its_tokens(
    sessions: Sessions, anna: IssuedTokens, which: str
) -> None:
    """All of it ends, at once."""
    second = sessions.refresh(anna.refresh_token)
    sessions.revoke(getattr(second, which))
    for tokens in (anna, second):
        assert not is_let_in(sessions, tokens)
        with pytest.raises(GrantInvalid):
            sessions.refresh(tokens.refresh_token)
    sessions.revoke(second.refresh_token)


def _taken_out(clients: KnownTokens) -> None:
    del clients.credentials['anna_secret']


def _changed(clients: KnownTokens) -> None:
    clients.credentials['another_secret'] = clients.credentials.pop('anna_secret')


@pytest.mark.parametrize('change', [_taken_out, _changed])
def test_a_session_ends_with_the_entry_of_its_client(
    sessions: Sessions,
    clients: KnownTokens,
    anna: IssuedTokens,
    change: Callable[[KnownTokens], None],
) -> None:
    """For good, though the entry may come back."""
    change(clients)
    with pytest.raises(NotAuthenticated, match='let in no more'):
        sessions.credential_of(anna.access_token)
    clients.credentials['anna_secret'] = ANNA
    assert not is_let_in(sessions, anna)
    with pytest.raises(GrantInvalid):
        sessions.refresh(anna.refresh_token)


def test_a_refresh_of_a_client_that_is_gone_ends_its_session(
    sessions: Sessions, clients: KnownTokens, anna: IssuedTokens
) -> None:
    """As any request does."""
    _taken_out(clients)
    with pytest.raises(GrantInvalid, match='let in no more'):
        sessions.refresh(anna.refresh_token)


def test_a_session_may_do_what_the_entry_says_now(
    sessions: Sessions, clients: KnownTokens, anna: IssuedTokens
) -> None:
    """Less at once; more only in another session."""
    clients.credentials['anna_secret'] = BERT
    assert sessions.credential_of(anna.access_token) == BERT
    clients.credentials['anna_secret'] = Credential(name='anna', role=Role.ADMIN)
    credential = sessions.credential_of(anna.access_token)
    assert credential is not None
    assert (credential.role, credential.scope) == (Role.CONFIGURATOR, Scope())
    assert sessions.refresh(anna.refresh_token).role is Role.CONFIGURATOR
    assert sessions.begin(client('anna')).role is Role.ADMIN


def test_a_client_has_a_bound_of_sessions(sessions: Sessions) -> None:
    """One more ends its oldest, and nobody else's."""
    bert = sessions.begin(client('bert'))
    own = [sessions.begin(client('anna')) for _ in range(MAX_SESSIONS_PER_CLIENT)]
    assert all(is_let_in(sessions, tokens) for tokens in [bert, *own])
    sessions.begin(client('anna'))
    assert [is_let_in(sessions, tokens) for tokens in [bert, *own[:2]]] == [True, False, True]


def test_what_is_over_is_forgotten(sessions: Sessions, clock: FakeClock) -> None:
    """Only what can still be used counts for the bound."""
    for _ in range(3):
        for _ in range(MAX_SESSIONS_PER_CLIENT):
            sessions.begin(client('anna'))
        clock.advance(REFRESH_SEC)
    sessions.begin(client('bert'))
    assert len(sessions._sessions) == len(sessions._access) == 1


def test_a_token_of_an_earlier_gateway_has_expired(
    clients: KnownTokens, clock: FakeClock, anna: IssuedTokens
) -> None:
    """It is no guess: all clients come with theirs when a gateway starts again."""
    others = Sessions(
        clients,
        Failures(clock.monotonic),
        clock,
        access_sec=ACCESS_SEC,
        refresh_sec=REFRESH_SEC,
    )
    with pytest.raises(CredentialExpired, match='has ended'):
        others.credential_of(anna.access_token)
    with pytest.raises(GrantInvalid):
        others.refresh(anna.refresh_token)


def test_tokens_do_not_show_themselves(anna: IssuedTokens) -> None:
    """They may stand in a traceback."""
    assert anna.access_token not in repr(anna)
    assert anna.refresh_token not in repr(anna)


def test_tokens_are_long_and_never_the_same(sessions: Sessions) -> None:
    """256 bits each, which nobody guesses."""
    issued = [sessions.begin(client('anna')) for _ in range(50)]
    secrets = {each.access_token for each in issued} | {each.refresh_token for each in issued}
    assert len(secrets) == 100
    assert min(map(len, secrets)) >= len('gws_') + 43
