# SPDX-License-Identifier: Apache-2.0
"""Handlers of tokens for a while: asked for, renewed, revoked (RFC 6749, RFC 7009)."""

import base64
import binascii
import contextlib
from dataclasses import dataclass
import json
from urllib.parse import unquote_plus

from gateway_node.access.session_errors import (
    ClientUnknown,
    GrantTypeUnsupported,
    NoClients,
    TokenRequestInvalid,
)
from gateway_node.access.sessions import (
    ACCESS_PREFIX,
    ClientSecret,
    IssuedTokens,
    REFRESH_PREFIX,
    Sessions,
)
from gateway_node.access.token_file import NAME, PREFIX
from gateway_node.http_server.calls import Answer, Call, Document
from gateway_node.http_server.fields import Text
from gateway_node.http_server.media_types import JSON
from gateway_node.http_server.takes import header, member, optional

CLIENT_CREDENTIALS = 'client_credentials'
REFRESH_TOKEN = 'refresh_token'
_OF_TOKENS = (PREFIX, ACCESS_PREFIX, REFRESH_PREFIX)
_UNKEPT = {'Cache-Control': 'no-store', 'Pragma': 'no-cache'}
"""RFC 6749, section 5.1."""


@dataclass(frozen=True, kw_only=True)
class OfClient:
    """Takes who a client is, where it says so in the header."""

    authorization: str | None = header('Authorization', Text(), default=None)


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """A request for tokens; a client that says in the header who it is does not say so here."""

    grant_type: str = member(Text())
    client_id: str | None = optional(Text(), default=None)
    client_secret: str | None = optional(Text(), default=None)
    refresh_token: str | None = optional(Text(), default=None)
    scope: str | None = optional(Text(), default=None)


@dataclass(frozen=True, kw_only=True)
class RevokeRequest:
    """A token that is to be of no use any more."""

    token: str = member(Text())
    token_type_hint: str | None = optional(Text(), default=None)
    client_id: str | None = optional(Text(), default=None)
    client_secret: str | None = optional(Text(), default=None)


async def authorize_client(call: Call[OfClient, TokenRequest]) -> Answer:
    """Give a client tokens for a while, in exchange for its id and its secret.

    They are the name and the token of an entry of `auth.tokens_file`; `scope` is a role that the
    client has or is above of.
    """
    sessions = _sessions(call)
    _check_grant_type(call.body.grant_type, CLIENT_CREDENTIALS)
    return _begun(call, sessions)


async def issue_token(call: Call[OfClient, TokenRequest]) -> Answer:
    """Exchange a refresh token for the next tokens, or a client's own for the first.

    A refresh token is taken once; a second time it ends all that came of it.
    """
    sessions = _sessions(call)
    _check_grant_type(call.body.grant_type, REFRESH_TOKEN, CLIENT_CREDENTIALS)
    if call.body.grant_type == CLIENT_CREDENTIALS:
        return _begun(call, sessions)
    if call.body.refresh_token is None:
        raise TokenRequestInvalid('refresh_token is missing')
    issued = sessions.refresh(call.body.refresh_token, scope=call.body.scope, client=_client(call))
    return _answer(issued)


async def revoke_token(call: Call[OfClient, RevokeRequest]) -> Answer:
    """End the session that an access token or a refresh token is of.

    The answer is the same for a token that is none.
    """
    sessions = _sessions(call)
    client = _client(call)
    if client is not None:
        sessions.authenticate(client)
    sessions.revoke(call.body.token)
    return Answer(body={'status': 'revoked'})


def named_client(at: object, body: object) -> str | None:
    """Return as whom a request for tokens comes, right or not; None where it does not say so, or
    names what no client is called: that may be a secret in the wrong place."""
    if not isinstance(at, OfClient) or not isinstance(body, TokenRequest | RevokeRequest):
        return None
    name = body.client_id
    if at.authorization is not None:
        with contextlib.suppress(ClientUnknown):
            name, _ = _basic(at.authorization)
    if name is None or not NAME.fullmatch(name) or name.startswith(_OF_TOKENS):
        return None
    return name


def _sessions(call: Call[OfClient, TokenRequest] | Call[OfClient, RevokeRequest]) -> Sessions:
    if call.services.sessions is None:
        raise NoClients
    return call.services.sessions


def _check_grant_type(grant_type: str, *allowed: str) -> None:
    if grant_type not in allowed:
        raise GrantTypeUnsupported(grant_type, allowed)


def _begun(call: Call[OfClient, TokenRequest], sessions: Sessions) -> Answer:
    client = _client(call)
    if client is None:
        raise TokenRequestInvalid('client_id is missing')
    return _answer(sessions.begin(client, scope=call.body.scope))


def _client(
    call: Call[OfClient, TokenRequest] | Call[OfClient, RevokeRequest],
) -> ClientSecret | None:
    """Return who asks, where they say so in one way.

    ClientUnknown, TokenRequestInvalid.
    """
    name, secret = call.body.client_id, call.body.client_secret
    if call.at.authorization is not None:
        if secret is not None:
            raise TokenRequestInvalid('client_secret is given twice: in the header, and here')
        named, secret = _basic(call.at.authorization)
        if name not in (None, named):
            raise TokenRequestInvalid('client_id is another one than in the header')
        name = named
    if name is None and secret is None:
        return None
    if name is None or secret is None:
        missing = 'client_id' if name is None else 'client_secret'
        raise TokenRequestInvalid(f'{missing} is missing')
    return ClientSecret(name=name, secret=secret, address=call.actor.origin)


def _basic(authorization: str) -> tuple[str, str]:
    """Return id and secret of a client, which encodes both as in a form (section 2.3.1)."""
    scheme, _, encoded = authorization.partition(' ')
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        decoded = ''
    name, colon, secret = decoded.partition(':')
    if scheme.lower() != 'basic' or not colon:
        raise ClientUnknown
    return unquote_plus(name), unquote_plus(secret)


def _answer(issued: IssuedTokens) -> Answer:
    told = {
        'access_token': issued.access_token,
        'token_type': 'Bearer',
        'expires_in': issued.expires_in,
        'scope': issued.role.value,
        'refresh_token': issued.refresh_token,
    }
    content = json.dumps(told).encode()
    document = Document(content=content, media_type=JSON, headers=_UNKEPT)
    return Answer(body=document, name=issued.name)
