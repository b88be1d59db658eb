# SPDX-License-Identifier: Apache-2.0
"""An identity store in memory."""

from collections.abc import Iterable

from gateway_node.entities.identities import Identity


class InMemoryIdentityStore:
    """An `IdentityStore` that forgets everything with the process."""

    def __init__(self, identities: Iterable[Identity] = ()) -> None:
        self._identities = tuple(identities)
        self.saves = 0
        """How often they were written."""

    async def load_identities(self) -> tuple[Identity, ...]:
        """Return the pairs that were kept last."""
        return self._identities

    async def save_identities(self, identities: Iterable[Identity]) -> None:
        """Keep exactly these pairs."""
        self._identities = tuple(identities)
        self.saves += 1
