# SPDX-License-Identifier: Apache-2.0
"""What is kept of instances and of their triggers, read and written beside the log."""

from collections.abc import Collection, Mapping
import datetime

from gateway_node.executions.instance_refs import (
    KeptInstance,
    PendingFiring,
    TriggerRef,
    TriggerState,
)
from gateway_node.storage.database import Database
from gateway_node.storage.instance_rows import (
    keep_only,
    keep_truths,
    read_ends_seen,
    read_instances,
    read_pending,
    read_states,
)


class SqliteInstanceStore:
    """The `InstanceStore` that outlives the gateway."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def instances(self) -> tuple[KeptInstance, ...]:
        """Return all that are kept, in the order of their subjects."""
        return await self._database.read(read_instances)

    async def pending_firings(self) -> Mapping[int, PendingFiring]:
        """Return what fired and led to nothing yet, by the sequences of the events, in order."""
        return await self._database.read(read_pending)

    async def trigger_states(self) -> Mapping[TriggerRef, TriggerState]:
        """Return what is kept of triggers."""
        return await self._database.read(read_states)

    async def keep_truths(
        self,
        truths: Mapping[TriggerRef, bool | None],
        at: datetime.datetime,
        *,
        ends_seen: int | None = None,
    ) -> None:
        """Keep the last truths of conditions, that they were looked at, and up to where the ends
        of executions were."""
        await self._database.write(
            lambda connection: keep_truths(connection, truths, at, ends_seen)
        )

    async def ends_seen(self) -> int | None:
        """Return up to where the ends of executions in the log were looked at; None: not known."""
        return await self._database.read(read_ends_seen)

    async def keep_only(self, triggers: Collection[TriggerRef]) -> None:
        """Forget the states of all others."""
        await self._database.write(lambda connection: keep_only(connection, triggers))
