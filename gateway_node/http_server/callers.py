# SPDX-License-Identifier: Apache-2.0
"""Who sends a request: the one place where an actor is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
import re

from aiohttp import hdrs, web

from gateway_node.access.authentication import Authentication, stranger
from gateway_node.access.client_addresses import is_loopback
from gateway_node.access.errors import NotAuthenticated, TooManyFailures
from gateway_node.access.rates import Rates
from gateway_node.executions.actors import Actor
from gateway_node.http_server.connections import is_of_script, work_for
from gateway_node.http_server.errors import InvalidRequest
from gateway_node.http_server.forwarding import Forwarded, FORWARDED_PREFIX, TrustedProxies

CLIENT_ID = 'X-Client-Id'
_CLIENT_IDS = re.compile(r'[ -~]{1,256}')
"""As ros2_medkit takes them."""

_REAL_IP = 'X-Real-IP'

_NOWHERE = 'unknown'
"""The origin of a request whose connection is gone already."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sends a request, and where the gateway stands for them."""

    actor: Actor
    prefix: str
    """What a proxy took off the path: it goes before every path of the answer."""


class Callers:
    """Knows who sends a request."""

    def __init__(
        self, authentication: Authentication, proxies: TrustedProxies, rates: Rates
    ) -> None:
        self._authentication = authentication
        self._proxies = proxies
        self._rates = rates

    def let_in(self, request: web.BaseRequest, *, is_open: bool = False) -> Caller:
        """Return who sends a request that is to be answered; `count` follows.

        Of who is not known it is counted here. Raises:
            RateLimited: there were too many.
            NotAuthenticated, TooManyFailures, InvalidRequest: as `caller_of`.
        """
        try:
            return self.caller_of(request, is_open=is_open)
        except (NotAuthenticated, TooManyFailures):
            self._rates.take(self._forwarded(request).client)
            raise

    def count(self, request: web.BaseRequest, actor: Actor) -> None:
        """Count a request of somebody, who is not on this host.

        Raises:
            RateLimited: there were too many.
            TooManyAtWork: too many are being answered.
        """
        self._rates.take(actor.origin, actor.name)
        if actor.name is not None and not is_loopback(actor.origin):
            work_for(request, actor.name)

    def origin_of(self, request: web.BaseRequest) -> str:
        """Return the address that a request comes from, whoever sends it."""
        try:
            return self._forwarded(request).client
        except InvalidRequest:
            return request.remote or _NOWHERE

    def caller_of(self, request: web.BaseRequest, *, is_open: bool = False) -> Caller:
        """Return who sends a request; a stranger where what they ask for `is_open`.

        Raises:
            NotAuthenticated, TooManyFailures: as their names say.
            InvalidRequest: a trusted proxy names a prefix that is none, or a client an id.
        """
        headers, forwarded = request.headers, self._forwarded(request)
        client = forwarded.client
        authentication, client_id = self._authentication, _client_id(request)
        if is_of_script(request):
            actor = authentication.script_of(
                headers.getall(hdrs.AUTHORIZATION, ()), client=client, client_id=client_id
            )
        elif is_open and authentication.is_on:
            actor = stranger(client, client_id)
        else:
            actor = authentication.actor_of(
                headers.getall(hdrs.AUTHORIZATION, ()),
                client=client,
                client_id=client_id,
                is_forwarded=_is_forwarded(headers),
            )
        return Caller(actor=actor, prefix=forwarded.prefix)

    def check(self, request: web.BaseRequest, actor: Actor) -> None:
        """Return where who was let in with a request would be now; NotAuthenticated."""
        if actor.is_stranger or not self._authentication.is_on:
            return
        shown = request.headers.getall(hdrs.AUTHORIZATION, ())
        if not self._authentication.still_lets_in(shown, actor):
            raise NotAuthenticated(
                'the credential lets nobody in any more, or somebody else', is_refused=True
            )

    def _forwarded(self, request: web.BaseRequest) -> Forwarded:
        """Return where a request comes from; InvalidRequest."""
        peer, headers = request.remote or _NOWHERE, request.headers
        # Between a script and its gateway there is no proxy.
        if is_of_script(request) or not self._proxies.trusts(peer):
            return Forwarded(client=peer)
        return self._proxies.read(
            peer,
            forwarded_for=headers.getall(hdrs.X_FORWARDED_FOR, ()),
            prefixes=headers.getall(FORWARDED_PREFIX, ()),
        )


def _is_forwarded(headers: Mapping[str, str]) -> bool:
    """Tell whether some proxy says that who sent a request is somewhere else."""
    return hdrs.X_FORWARDED_FOR in headers or hdrs.FORWARDED in headers or _REAL_IP in headers


def _client_id(request: web.BaseRequest) -> str | None:
    """Return what a client calls itself, if anything; InvalidRequest."""
    if CLIENT_ID not in request.headers:
        return None
    named = ','.join(request.headers.getall(CLIENT_ID)).strip()
    if not named:
        return None
    if _CLIENT_IDS.fullmatch(named):
        return named
    raise InvalidRequest(
        f'{CLIENT_ID} is {named[:80]!r}; allowed: up to 256 printable characters of ASCII'
    )
