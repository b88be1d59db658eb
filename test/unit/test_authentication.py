# SPDX-License-Identifier: Apache-2.0
"""A request's token becomes an actor, or nobody is let in."""

from clients import KnownTokens
import pytest

from gateway_node.access.authentication import Authentication
from gateway_node.access.credentials import Credential
from gateway_node.access.errors import NotAuthenticated
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.scopes import Scope

LOOPBACK = ('127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1')
ELSEWHERE = ('192.0.2.7', '::ffff:192.0.2.7', '2001:db8::7', 'fe80::1%eth0', 'unknown', '')

ARMS = Scope(entities=('apps/arm_*',))
ANNA = Credential(name='anna', role=Role.OPERATOR, scope=ARMS)
BERT = Credential(name='bert', role=Role.VIEWER)


@pytest.fixture
def authentication() -> Authentication:
    """Return one that asks two sources."""
    return Authentication([KnownTokens({'a': ANNA}), KnownTokens({'b': BERT})])


@pytest.mark.parametrize('client', LOOPBACK)
def test_without_credentials_who_is_on_this_host_is_an_admin(client: str) -> None:
    """Whatever they show."""
    authentication = Authentication()
    assert not authentication.is_on
    actor = authentication.actor_of(['Bearer a'], client=client, client_id='tab-1')
    assert actor == Actor(name=None, role=Role.ADMIN, origin=client, client_id='tab-1')


@pytest.mark.parametrize('client', ELSEWHERE)
def test_without_credentials_nobody_else_is_let_in(client: str) -> None:
    """Unless somebody said so."""
    with pytest.raises(NotAuthenticated, match='only this host is let in'):
        Authentication().actor_of([], client=client)
    actor = Authentication(allow_anonymous_access=True).actor_of([], client=client)
    assert actor == Actor(name=None, role=Role.ADMIN, origin=client)


def test_where_only_scripts_are_let_in_nobody_else_is() -> None:
    """A person's token is none of an execution, nor is what the gateway made for a person."""
    of_execution = Credential(name='anna', role=Role.OPERATOR, scope=ARMS, execution='exec_1')
    authentication = Authentication(
        [KnownTokens({'a': ANNA, 'x': of_execution})],
        made_here=[KnownTokens({'session': BERT, 'script': of_execution})],
    )
    actor = authentication.script_of(['Bearer script'], client='127.0.0.1', client_id='tab')
    assert actor == Actor(
        name='anna',
        role=Role.OPERATOR,
        origin='127.0.0.1',
        scope=ARMS,
        client_id='tab',
        execution='exec_1',
    )
    for shown in ([], ['Bearer a'], ['Bearer x'], ['Bearer session'], ['Basic script']):
        with pytest.raises(NotAuthenticated):
            authentication.script_of(shown, client='127.0.0.1')


def test_while_no_credentials_are_configured_a_script_is_anybody_on_this_host() -> None:
    """Nobody else gets there, whatever is allowed."""
    actor = Authentication().script_of([], client='127.0.0.1')
    assert actor == Actor(name=None, role=Role.ADMIN, origin='127.0.0.1')


@pytest.mark.parametrize('client', [*LOOPBACK, *ELSEWHERE])
@pytest.mark.parametrize('allow_anonymous_access', [True, False])
def test_with_credentials_everybody_needs_one(
    client: str, *, allow_anonymous_access: bool
) -> None:
    """Also on this host: any local user, any script could else upload."""
    authentication = Authentication(
        [KnownTokens({'a': ANNA})], allow_anonymous_access=allow_anonymous_access
    )
    assert authentication.is_on
    with pytest.raises(NotAuthenticated, match='a credential is needed') as refused:
        authentication.actor_of([], client=client)
    assert refused.value.headers == {'WWW-Authenticate': 'Bearer realm="gateway_node"'}


@pytest.mark.parametrize('scheme', ['Bearer', 'bearer', 'BEARER'])
def test_a_token_says_who_asks(authentication: Authentication, scheme: str) -> None:
    """Each source is asked; the name of a scheme has no case (RFC 9110, section 11.1)."""
    assert authentication.actor_of([f'{scheme} a'], client='192.0.2.7') == Actor(
        name='anna', role=Role.OPERATOR, origin='192.0.2.7', scope=ARMS
    )
    assert authentication.actor_of([f'{scheme}  b'], client='::1').name == 'bert'


def test_a_token_that_nobody_knows_is_refused(authentication: Authentication) -> None:
    """And the answer says that it was the token; never which."""
    with pytest.raises(NotAuthenticated) as refused:
        authentication.actor_of(['Bearer s3cret'], client='::1')
    assert 's3cret' not in str(refused.value)
    assert 'error="invalid_token"' in refused.value.headers['WWW-Authenticate']


@pytest.mark.parametrize(
    'authorization',
    [
        [''],
        ['Bearer'],
        ['Bearer '],
        ['a'],
        ['Basic YTph'],
        ['Bearera'],
        ['Bearer\ta'],
        ['Bearer a', 'Bearer a'],
    ],
)
def test_what_is_no_bearer_token_is_refused(
    authentication: Authentication, authorization: list[str]
) -> None:
    """One scheme is understood, once."""
    with pytest.raises(NotAuthenticated, match='allowed: once, Bearer <token>'):
        authentication.actor_of(authorization, client='::1')


def test_a_role_includes_those_before_it() -> None:
    """And itself."""
    roles = list(Role)
    assert [[each.includes(other) for other in roles] for each in roles] == [
        [index <= place for index in range(len(roles))] for place in range(len(roles))
    ]
