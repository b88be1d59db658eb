# SPDX-License-Identifier: Apache-2.0
"""Who sends a request: the one place where an actor is made of it."""

from aiohttp import web

from gateway_node.executions.actors import Actor, Role

_NOWHERE = 'unknown'
"""The origin of a request whose connection is gone already."""


def actor_of(request: web.Request) -> Actor:
    """Return who sends a request: anybody may do everything, as nobody is authenticated."""
    return Actor(name=None, role=Role.ADMIN, origin=request.remote or _NOWHERE)
