# SPDX-License-Identifier: Apache-2.0
"""What the entity room needs from outside."""

from collections.abc import Iterable
from typing import Protocol

from gateway_node.entities.identities import Identity


class IdentityStore(Protocol):
    """Keeps the pairs of id and holder over restarts."""

    async def load_identities(self) -> tuple[Identity, ...]:
        """Return the pairs that were kept last, in the order in which they were given."""

    async def save_identities(self, identities: Iterable[Identity]) -> None:
        """Keep exactly these pairs."""
