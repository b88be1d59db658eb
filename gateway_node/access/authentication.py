# SPDX-License-Identifier: Apache-2.0
"""Who asks: a request's token, or the lack of one, becomes an actor."""

from collections.abc import Sequence
from functools import lru_cache
import ipaddress

from gateway_node.access.credentials import Credential, CredentialSource
from gateway_node.access.errors import NotAuthenticated
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.scopes import Scope

_SCHEME = 'bearer'
_NOTHING = Scope(entities=(), scripts=(), tags=())


class Authentication:
    """Asks each source of credentials.

    Where there is none, whoever is on this host is an admin.
    """

    def __init__(
        self, sources: Sequence[CredentialSource] = (), *, allow_anonymous_access: bool = False
    ) -> None:
        """`allow_anonymous_access` makes everybody an admin where there are no sources."""
        self._sources = tuple(sources)
        self._allow_anonymous_access = allow_anonymous_access

    @property
    def is_on(self) -> bool:
        """Whether a credential is needed."""
        return bool(self._sources)

    def actor_of(
        self, authorization: Sequence[str], *, client: str, client_id: str | None = None
    ) -> Actor:
        """Return who sends a request from the address `client`; NotAuthenticated.

        `authorization` has the values of its fields of that name (RFC 6750, section 2.1).
        """
        if not self._sources:
            if self._allow_anonymous_access or _is_loopback(client):
                return _anybody(client, client_id)
            raise NotAuthenticated(
                'no credentials are configured here, and then only this host is let in'
            )
        credential = self._credential_of(_token_of(authorization))
        return Actor(
            name=credential.name,
            role=credential.role,
            origin=client,
            scope=credential.scope,
            client_id=client_id,
            execution=credential.execution,
        )

    def _credential_of(self, token: str) -> Credential:
        for source in self._sources:
            credential = source.credential_of(token)
            if credential is not None:
                return credential
        raise NotAuthenticated('the token is not known', is_refused=True)


def stranger(client: str, client_id: str | None = None) -> Actor:
    """Return who asks for what is open to all, and is not asked who they are."""
    return Actor(name=None, role=Role.VIEWER, origin=client, scope=_NOTHING, client_id=client_id)


@lru_cache(maxsize=64)  # one client says the same with every request
def _anybody(client: str, client_id: str | None) -> Actor:
    return Actor(name=None, role=Role.ADMIN, origin=client, client_id=client_id)


def _token_of(authorization: Sequence[str]) -> str:
    if not authorization:
        raise NotAuthenticated('a credential is needed: Authorization: Bearer <token>')
    scheme, _, token = authorization[0].partition(' ')
    token = token.strip(' ')
    if len(authorization) > 1 or scheme.lower() != _SCHEME or not token:
        raise NotAuthenticated('Authorization is not understood; allowed: once, Bearer <token>')
    return token


@lru_cache(maxsize=64)
def _is_loopback(client: str) -> bool:
    try:
        address = ipaddress.ip_address(client.partition('%')[0])
    except ValueError:
        return False
    mapped = getattr(address, 'ipv4_mapped', None)
    return bool((mapped or address).is_loopback)
