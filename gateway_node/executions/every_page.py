# SPDX-License-Identifier: Apache-2.0
"""All executions that a filter finds, whatever their number."""

from collections.abc import AsyncIterator

from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage, MAX_LIMIT
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.values import Execution


async def every_page(
    store: ExecutionStore, wanted: ExecutionFilter
) -> AsyncIterator[tuple[Execution, ...]]:
    """Yield what is wanted, the newest first, in pages between which others get a turn;
    StoreUnavailable."""
    reference: str | None = None
    while True:
        found = await store.find(wanted, KeysetPage(limit=-MAX_LIMIT, reference=reference))
        yield found.executions
        if found.more is None:
            return
        reference = found.more
