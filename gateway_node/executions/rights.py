# SPDX-License-Identifier: Apache-2.0
"""What a script may do through the API: what whoever started it may."""

from dataclasses import dataclass, replace

from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.scopes import EVERYTHING, Scope


@dataclass(frozen=True, kw_only=True)
class Rights:
    """On record with an execution, so that they hold over a restart of the gateway."""

    name: str
    role: Role
    scope: Scope = EVERYTHING
    client_id: str | None = None
    """What the client called itself, where it did: a lock can be its alone."""


def acting_with(rights: Rights | None) -> Actor:
    """Return the gateway as it does what somebody has set up before: with their rights; as nobody
    where nobody was asked who they are."""
    if rights is None:
        # Not the gateway itself, which no lock keeps out.
        return replace(GATEWAY)
    return Actor(
        name=rights.name,
        role=rights.role,
        origin=GATEWAY.origin,
        scope=rights.scope,
        client_id=rights.client_id,
    )


def rights_of(actor: Actor) -> Rights | None:
    """Return the rights of what an actor starts; None where nobody is asked who they are."""
    if actor.name is None:
        return None
    return Rights(name=actor.name, role=actor.role, scope=actor.scope, client_id=actor.client_id)
