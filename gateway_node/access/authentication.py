# SPDX-License-Identifier: Apache-2.0
"""Who asks: a request's token, or the lack of one, becomes an actor."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
from functools import lru_cache
import time

from gateway_node.access.client_addresses import is_loopback
from gateway_node.access.credentials import Credential, CredentialSource
from gateway_node.access.errors import CredentialUnfit, NotAuthenticated
from gateway_node.access.failures import Failures
from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.scopes import Scope

_SCHEME = 'bearer'
_NOTHING = Scope(entities=(), scripts=(), tags=())


class Authentication:
    """Asks each source of credentials.

    Where there is none, whoever is on this host is an admin.
    """

    def __init__(
        self,
        sources: Sequence[CredentialSource] = (),
        *,
        made_here: Sequence[CredentialSource] = (),
        failures: Failures | None = None,
        allow_anonymous_access: bool = False,
    ) -> None:
        """`made_here` knows tokens that the gateway made at random while it runs.

        They are asked first: nobody guesses those, and no failure of somebody else keeps them out.
        `allow_anonymous_access` makes everybody an admin where there are no sources.
        """
        self._sources = tuple(sources)
        self._made_here = tuple(made_here)
        self._failures = failures or Failures(time.monotonic)
        self._allow_anonymous_access = allow_anonymous_access
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_on(self) -> bool:
        """Whether a credential is needed."""
        return bool(self._sources)

    def actor_of(
        self,
        authorization: Sequence[str],
        *,
        client: str,
        client_id: str | None = None,
        is_forwarded: bool = False,
    ) -> Actor:
        """Return who sends a request from the address `client`.

        `authorization` has the values of its fields of that name (RFC 6750, section 2.1).
        It `is_forwarded` where a proxy passed it on: without credentials none is trusted, unless
        everybody is let in.

        Raises:
            NotAuthenticated, TooManyFailures: as their names say.
        """
        if not self._sources:
            if self._allow_anonymous_access:
                return _anybody(client, client_id)
            if is_forwarded:
                raise NotAuthenticated(
                    'no credentials are configured here, and then only this host is let in; a '
                    'proxy that is none of server.trusted_proxies passed this on'
                )
            if is_loopback(client):
                return _anybody(client, client_id)
            raise NotAuthenticated(
                'no credentials are configured here, and then only this host is let in'
            )
        token = _token_of(authorization)
        credential = _known(self._made_here, token) or self._checked(token, client)
        return _bearer(credential, client, client_id)

    def script_of(
        self, authorization: Sequence[str], *, client: str, client_id: str | None = None
    ) -> Actor:
        """Return which script sends a request, where nobody else is let in; NotAuthenticated.

        While no credentials are configured a script has none, and is anybody on this host.
        """
        if not self._sources:
            return self.actor_of(authorization, client=client, client_id=client_id)
        credential = _known(self._made_here, _token_of(authorization))
        if credential is None or credential.execution is None:
            raise NotAuthenticated(
                'only scripts are let in here, with the credential of their execution',
                is_refused=True,
            )
        return _bearer(credential, client, client_id)

    def still_lets_in(self, authorization: Sequence[str], actor: Actor) -> bool:
        """Tell whether what let an actor in does so still, and as the same.

        It is no guess where it does not.
        """
        if not self._sources:
            return True
        try:
            credential = _known((*self._made_here, *self._sources), _token_of(authorization))
        except NotAuthenticated:
            return False
        if credential is None:
            return False
        return _bearer(credential, actor.origin, actor.client_id) == actor

    @contextlib.contextmanager
    def changes_told_to(self, listener: Callable[[], None]) -> Iterator[None]:
        """Have a function called when somebody may not be let in any more who was."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def tell_change(self) -> None:
        """Say that somebody may not be let in any more; a source does, or who watches one."""
        for listener in tuple(self._listeners):
            listener()

    def _checked(self, token: str, client: str) -> Credential:
        self._failures.check(client, token)
        try:
            credential = _known(self._sources, token)
            if credential is None:
                raise NotAuthenticated('the token is not known', is_refused=True)
        except CredentialUnfit:
            raise
        except NotAuthenticated:
            self._failures.failed(client)
            raise
        self._failures.succeeded(client, token)
        return credential


def _bearer(credential: Credential, client: str, client_id: str | None) -> Actor:
    """Return who bears a credential."""
    return Actor(
        name=credential.name,
        role=credential.role,
        origin=client,
        scope=credential.scope,
        client_id=client_id or credential.client_id,
        execution=credential.execution,
    )


def _known(sources: Iterable[CredentialSource], token: str) -> Credential | None:
    """Return what the first source says that knows a token."""
    for source in sources:
        credential = source.credential_of(token)
        if credential is not None:
            return credential
    return None


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
