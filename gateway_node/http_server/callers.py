# SPDX-License-Identifier: Apache-2.0
"""Who sends a request: the one place where an actor is made of it."""

from dataclasses import dataclass
from functools import lru_cache

from aiohttp import hdrs, web

from gateway_node.executions.actors import Actor, Role
from gateway_node.http_server.forwarding import FORWARDED_PREFIX, TrustedProxies

_NOWHERE = 'unknown'
"""The origin of a request whose connection is gone already."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who sends a request, and where the gateway stands for them."""

    actor: Actor
    prefix: str
    """What a proxy took off the path: it goes before every path of the answer."""


def caller_of(request: web.BaseRequest, proxies: TrustedProxies) -> Caller:
    """Return who sends a request: anybody may do everything, as nobody is authenticated.

    InvalidRequest where a trusted proxy names a prefix that is none.
    """
    peer = request.remote or _NOWHERE
    if not proxies.trusts(peer):
        return _caller_at(peer)
    forwarded = proxies.read(
        peer,
        forwarded_for=request.headers.getall(hdrs.X_FORWARDED_FOR, ()),
        prefixes=request.headers.getall(FORWARDED_PREFIX, ()),
    )
    return _caller_at(forwarded.client, forwarded.prefix)


@lru_cache(maxsize=64)  # one client says the same with every request
def _caller_at(client: str, prefix: str = '') -> Caller:
    return Caller(actor=Actor(name=None, role=Role.ADMIN, origin=client), prefix=prefix)
