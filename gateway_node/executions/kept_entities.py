# SPDX-License-Identifier: Apache-2.0
"""The entities of which executions are kept."""

from collections.abc import Iterable

from gateway_node.entities.values import EntityRef
from gateway_node.executions.store_ports import ExecutionStore


class KeptEntities:
    """Knows them without asking the store each time."""

    def __init__(self, store: ExecutionStore) -> None:
        self._store = store
        self._entities: frozenset[EntityRef] = frozenset()
        self._started_on: set[EntityRef] = set()
        """Of what was started since the store was asked last."""

    def __contains__(self, entity: EntityRef) -> bool:
        return entity in self._entities

    def add(self, entities: Iterable[EntityRef]) -> None:
        """Take the entities of what was recorded just now."""
        self._started_on.update(entities)
        self._entities |= self._started_on

    async def read(self) -> None:
        """Ask the store anew, as some may be gone; StoreUnavailable."""
        self._started_on.clear()
        # What is recorded while the store is asked may not be in its answer.
        self._entities = await self._store.entities() | self._started_on
