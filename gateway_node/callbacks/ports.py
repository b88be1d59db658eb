# SPDX-License-Identifier: Apache-2.0
"""What the room of callbacks needs from outside, as protocols that adapters fulfil."""

from typing import Protocol

from gateway_node.callbacks.values import Callback


class CallbackStore(Protocol):
    """Keeps where callbacks stand; all but `up_sec` raise StoreUnavailable.

    One comes on record in the commit of its execution, and goes with it.
    """

    def up_sec(self) -> float:
        """Return the seconds that the gateways on this store were up, all lives together."""

    async def get(self, execution_id: str) -> Callback | None:
        """Return the callback of an execution; None where it has none, or is not kept."""

    async def undelivered(self) -> tuple[Callback, ...]:
        """Return the callbacks that wait although their executions have ended, oldest first."""

    async def keep(self, callback: Callback) -> None:
        """Keep where a callback stands now, if it is kept at all."""


class EndDocuments(Protocol):
    """Knows what is told."""

    async def document(self, execution_id: str) -> bytes:
        """Return an ended execution as JSON, as `GET` of it would; ExecutionNotFound,
        LibraryUnavailable, StoreUnavailable."""
