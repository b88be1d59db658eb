# SPDX-License-Identifier: Apache-2.0
"""What a token stands for, and the port behind which tokens are known."""

from dataclasses import dataclass
from typing import Protocol

from gateway_node.executions.actors import Role
from gateway_node.executions.scopes import EVERYTHING, Scope


@dataclass(frozen=True, kw_only=True)
class Credential:
    """Who bears a token, and what they may do."""

    name: str
    role: Role
    scope: Scope = EVERYTHING
    execution: str | None = None
    """The id of the execution whose script bears it."""
    client_id: str | None = None
    """What who started that one calls itself; so does its script, unless it says otherwise."""


class CredentialSource(Protocol):
    """Knows some tokens."""

    def credential_of(self, token: str) -> Credential | None:
        """Return what a token stands for; None where it is none of this source.

        NotAuthenticated where it is one, and not to be taken: it says why.
        """
