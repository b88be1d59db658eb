# SPDX-License-Identifier: Apache-2.0
"""What a script may do through the API: what whoever started it may."""

from dataclasses import dataclass

from gateway_node.executions.actors import Actor, Role
from gateway_node.executions.scopes import EVERYTHING, Scope


@dataclass(frozen=True, kw_only=True)
class Rights:
    """On record with an execution, so that they hold over a restart of the gateway."""

    name: str
    role: Role
    scope: Scope = EVERYTHING
    client_id: str | None = None
    """What the client called itself, where it did: a lock can be its alone."""


def rights_of(actor: Actor) -> Rights | None:
    """Return the rights of what an actor starts; None where nobody is asked who they are."""
    if actor.name is None:
        return None
    return Rights(name=actor.name, role=actor.role, scope=actor.scope, client_id=actor.client_id)
