# SPDX-License-Identifier: Apache-2.0
"""Keeps the pairs of ids and holders for a further life, without writing more than is worth it."""

from collections.abc import Iterable

from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.identities import Identity
from gateway_node.entities.ports import IdentityStore

AGE_TOLERANCE_SEC = 600.0
"""How far a kept `unseen_sec` may be off, of the 24 hours for which an id is remembered."""


class IdentityKeeper:
    """Writes when a pair came or went, and when a kept age is off by AGE_TOLERANCE_SEC.

    The ages of holders that are away grow with each look; written as often, they would wear a
    robot's flash out whenever the graph changes.
    """

    def __init__(
        self, *, store: IdentityStore, directory: EntityDirectory, kept: Iterable[Identity]
    ) -> None:
        """`kept` is what the store holds now."""
        self._store = store
        self._directory = directory
        self._kept = tuple(kept)

    async def keep(self) -> None:
        """Write the pairs where that is due; raises what the store raises."""
        identities = self._directory.identities()
        if self._is_due(identities):
            await self._write(identities)

    async def keep_exactly(self) -> None:
        """Write the pairs where they differ at all, as for the end; raises what the store does."""
        identities = self._directory.identities()
        if identities != self._kept:
            await self._write(identities)

    async def _write(self, identities: tuple[Identity, ...]) -> None:
        await self._store.save_identities(identities)
        self._kept = identities

    def _is_due(self, identities: tuple[Identity, ...]) -> bool:
        kept, present = _ages(self._kept), _ages(identities)
        return kept.keys() != present.keys() or any(
            abs(age_sec - kept[pair]) >= AGE_TOLERANCE_SEC for pair, age_sec in present.items()
        )


def _ages(identities: Iterable[Identity]) -> dict[tuple[object, str], float]:
    return {(each.ref, each.holder): each.unseen_sec for each in identities}
