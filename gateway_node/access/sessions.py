# SPDX-License-Identifier: Apache-2.0
"""Sessions: tokens for a while, in exchange for the credentials of a client (RFC 6749, 7009).

A session begins with the name and the token of an entry of the tokens file. Its tokens are known
to this process alone, by their hashes, and last by the monotonic clock: a start of the gateway
ends them all, and no clock that jumps makes one last longer.
"""

from collections import deque, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
import hmac
import secrets
from typing import Protocol

from gateway_node.access.credentials import Credential
from gateway_node.access.errors import CredentialExpired, NotAuthenticated
from gateway_node.access.failures import Failures
from gateway_node.access.session_errors import ClientUnknown, GrantInvalid, RoleNotGranted
from gateway_node.access.token_file import digest_of
from gateway_node.clock import Clock
from gateway_node.executions.actors import Role

ACCESS_PREFIX = 'gws_'
REFRESH_PREFIX = 'gwr_'
MAX_SESSIONS_PER_CLIENT = 64
"""One more ends the client's oldest."""
_ACCESS_TOKENS = 2
"""Of a session: what was sent with the one before is still answered."""
_SECRET_BYTES = 32
_NAME_BYTES = 16


class Clients(Protocol):
    """Knows who may ask for tokens: each by a token of its own, which lasts."""

    def credential_of_digest(self, digest: bytes) -> Credential | None:
        """Return whose token has this SHA-256 now; None where nobody's has. CredentialExpired."""


@dataclass(frozen=True, kw_only=True)
class ClientSecret:
    """How a client says who it is."""

    name: str
    secret: str = field(repr=False)
    address: str
    """From where."""

    @property
    def digest(self) -> bytes:
        """What the tokens file has of the secret."""
        return digest_of(self.secret)


@dataclass(frozen=True, kw_only=True)
class IssuedTokens:
    """What a client gets, and nobody keeps."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int
    """Seconds, of the access token."""
    name: str
    """The client's."""
    role: Role
    """What may be done with the access token."""


@dataclass(frozen=True, kw_only=True)
class _Access:
    """An access token, by its hash."""

    digest: bytes
    role: Role
    ends: float
    """Monotonic."""


@dataclass(kw_only=True)
class _Session:
    """What a client is given tokens for, one after another."""

    client: bytes
    """The SHA-256 of the token that it has in the file."""
    granted: Role
    refresh_digest: bytes = b''
    refresh_ends: float = 0.0
    access: deque[_Access] = field(default_factory=deque)


class Sessions:
    """Opens and ends them; a source of credentials by their access tokens."""

    def __init__(
        self,
        clients: Clients,
        failures: Failures,
        clock: Clock,
        *,
        access_sec: float,
        refresh_sec: float,
    ) -> None:
        """Tokens last for so long; a session as long as it is refreshed."""
        self._clients = clients
        self._failures = failures
        self._clock = clock
        self._access_sec = access_sec
        self._refresh_sec = refresh_sec
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        """By the name that their refresh tokens begin with, the oldest first."""
        self._access: dict[bytes, tuple[str, _Access]] = {}
        self._listeners: list[Callable[[], None]] = []

    def on_end(self, listener: Callable[[], None]) -> None:
        """Have a function called whenever a session ends before its time."""
        self._listeners.append(listener)

    def authenticate(self, client: ClientSecret) -> Credential:
        """Return who a client is.

        Raises:
            ClientUnknown: its id or its secret is wrong, nobody says which.
            TooManyFailures: too many were, from its address.
        """
        self._failures.check(client.address, client.secret)
        try:
            credential = self._clients.credential_of_digest(client.digest)
        except CredentialExpired as error:
            raise ClientUnknown from error
        if credential is None or not hmac.compare_digest(
            credential.name.encode(), client.name.encode(errors='replace')
        ):
            self._failures.failed(client.address)
            raise ClientUnknown
        self._failures.succeeded(client.address, client.secret)
        return credential

    def begin(self, client: ClientSecret, *, scope: str | None = None) -> IssuedTokens:
        """Begin a session, with the role that is asked for; RoleNotGranted, and as above."""
        credential = self.authenticate(client)
        granted = _role_within(scope, credential.role)
        self._make_room(client.digest)
        name = secrets.token_urlsafe(_NAME_BYTES)
        session = self._sessions[name] = _Session(client=client.digest, granted=granted)
        return self._issue(name, session, credential.name, granted)

    def refresh(
        self, token: str, *, scope: str | None = None, client: ClientSecret | None = None
    ) -> IssuedTokens:
        """Exchange a refresh token, once, for the next ones.

        `client` is who asks, where they said so: it has to be their own. One that comes a second
        time ends its session: one of the two who have it is a thief (RFC 9700, section 4.14).

        Raises:
            GrantInvalid, RoleNotGranted: as their names say.
            ClientUnknown, TooManyFailures: of the `client`.
        """
        asking = None if client is None else self.authenticate(client)
        name, session = self._session_of(token)
        try:
            credential = self._client_of(name, session)
        except NotAuthenticated as error:
            raise GrantInvalid(str(error)) from error
        if asking is not None and asking.name != credential.name:
            raise GrantInvalid('the refresh token is of another client')
        role = _role_within(scope, _lower(session.granted, credential.role))
        return self._issue(name, session, credential.name, role)

    def revoke(self, token: str) -> None:
        """End the session that a token of either kind is of, if it is of any."""
        known = self._access.get(digest_of(token))
        if known is not None:
            self._break(known[0])
        elif token.startswith(REFRESH_PREFIX):
            name = token.removeprefix(REFRESH_PREFIX).partition('.')[0]
            if name in self._sessions:
                self._break(name)

    def credential_of(self, token: str) -> Credential | None:
        """Return whose access token it is; CredentialExpired where it is one no more.

        One that is not known was revoked, or is of an earlier gateway: nobody guesses them.
        """
        if not token.startswith(ACCESS_PREFIX):
            return None
        known = self._access.get(digest_of(token))
        if known is None:
            raise CredentialExpired('the session of the access token has ended')
        name, access = known
        if self._clock.monotonic() >= access.ends:
            raise CredentialExpired('the access token has expired; a refresh token gets another')
        credential = self._client_of(name, self._sessions[name])
        return Credential(
            name=credential.name,
            role=_lower(access.role, credential.role),
            scope=credential.scope,
        )

    def _session_of(self, token: str) -> tuple[str, _Session]:
        name, _, secret = token.removeprefix(REFRESH_PREFIX).partition('.')
        session = self._sessions.get(name) if token.startswith(REFRESH_PREFIX) else None
        if session is None:
            raise GrantInvalid('the refresh token is not known, or its session has ended')
        if not hmac.compare_digest(session.refresh_digest, digest_of(secret)):
            self._break(name)
            raise GrantInvalid('the refresh token was used before: its session has ended')
        if self._clock.monotonic() >= session.refresh_ends:
            raise GrantInvalid('the refresh token has expired')
        return name, session

    def _client_of(self, name: str, session: _Session) -> Credential:
        """Return whose session it is, as the tokens file has them now; else it ends.

        CredentialExpired.
        """
        credential = self._clients.credential_of_digest(session.client)
        if credential is None:
            self._end(name)
            raise CredentialExpired('the client that the token was for is let in no more')
        return credential

    def _issue(self, name: str, session: _Session, client: str, role: Role) -> IssuedTokens:
        access_token = ACCESS_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
        refresh_secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = self._clock.monotonic()
        access = _Access(digest=digest_of(access_token), role=role, ends=now + self._access_sec)
        if len(session.access) == _ACCESS_TOKENS:
            del self._access[session.access.popleft().digest]
        session.access.append(access)
        self._access[access.digest] = name, access
        session.refresh_digest = digest_of(refresh_secret)
        session.refresh_ends = now + self._refresh_sec
        return IssuedTokens(
            access_token=access_token,
            refresh_token=f'{REFRESH_PREFIX}{name}.{refresh_secret}',
            expires_in=int(self._access_sec),
            name=client,
            role=role,
        )

    def _make_room(self, client: bytes) -> None:
        """End what is over, and the oldest of a client that has too many."""
        now = self._clock.monotonic()
        for name, session in [*self._sessions.items()]:
            if now >= session.refresh_ends and now >= session.access[-1].ends:
                self._end(name)
        own = [name for name, session in self._sessions.items() if session.client == client]
        for name in own[: max(0, len(own) + 1 - MAX_SESSIONS_PER_CLIENT)]:
            self._end(name)

    def _break(self, name: str) -> None:
        self._end(name)
        for listener in self._listeners:
            listener()

    def _end(self, name: str) -> None:
        for access in self._sessions.pop(name).access:
            del self._access[access.digest]


def _lower(one: Role, other: Role) -> Role:
    return other if one.includes(other) else one


def _role_within(scope: str | None, granted: Role) -> Role:
    """Return the role that a scope names; the granted one where it is not said."""
    if not scope:
        return granted
    for role in Role:
        if role.value == scope and granted.includes(role):
            return role
    raise RoleNotGranted(scope, granted)
