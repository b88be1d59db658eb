# SPDX-License-Identifier: Apache-2.0
"""The pairs of entity ids and their holders."""

from collections.abc import Iterable
import sqlite3

from gateway_node.entities.identities import Identity
from gateway_node.entities.values import EntityRef
from gateway_node.storage.database import Database


class SqliteIdentityStore:
    """The `IdentityStore` that outlives the gateway; StoreUnavailable where it cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load_identities(self) -> tuple[Identity, ...]:
        """Return the pairs that were kept last, in the order in which they were given."""

        def query(connection: sqlite3.Connection) -> tuple[Identity, ...]:
            rows = connection.execute(
                'SELECT entity, holder, unseen_sec FROM identities ORDER BY position'
            )
            return tuple(
                Identity(ref=EntityRef.from_path(entity), holder=holder, unseen_sec=unseen_sec)
                for entity, holder, unseen_sec in rows
            )

        return await self._database.read(query)

    async def save_identities(self, identities: Iterable[Identity]) -> None:
        """Keep exactly these pairs."""
        rows = [
            (identity.ref.path, identity.holder, identity.unseen_sec) for identity in identities
        ]

        def change(connection: sqlite3.Connection) -> None:
            connection.execute('DELETE FROM identities')
            connection.executemany(
                'INSERT INTO identities (entity, holder, unseen_sec) VALUES (?, ?, ?)', rows
            )

        await self._database.write(change)

    async def used_components(self) -> tuple[str, ...]:
        """Return the ids of the components that have executions, the last used first."""

        def query(connection: sqlite3.Connection) -> tuple[str, ...]:
            rows = connection.execute(
                """
                SELECT entity FROM executions WHERE entity GLOB 'components/*'
                GROUP BY entity ORDER BY max(id) DESC
                """
            )
            return tuple(EntityRef.from_path(entity).entity_id for (entity,) in rows)

        return await self._database.read(query)
