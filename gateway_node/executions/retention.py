"""Removing ended executions that are not kept any longer, in the background."""

import asyncio
from collections.abc import Awaitable, Callable
import contextlib
import logging

from gateway_node.executions.errors import StoreUnavailable
from gateway_node.executions.ports import ExecutionStore, RetentionPolicy, ScriptRunner

_log = logging.getLogger(__name__)

BATCH = 50
"""Executions that are removed before others get a turn."""
INTERVAL_SEC = 600.0
"""Seconds after which a sweep is made although nothing ended: executions age."""


class Retention:
    """Sweeps when executions end, and now and then."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        runner: ScriptRunner,
        policy: RetentionPolicy,
        on_removed: Callable[[], Awaitable[None]],
    ) -> None:
        """`on_removed` is awaited each time something was removed."""
        self._on_removed = on_removed
        self._store = store
        self._runner = runner
        self._policy = policy
        self._due = asyncio.Event()

    def request_sweep(self) -> None:
        """Let the sweeper look soon."""
        self._due.set()

    async def keep_sweeping(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreUnavailable as error:
                _log.warning('cannot prune the history: %s', error)
            self._due.clear()
            # Not wait_for: before Python 3.12 it can swallow the cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_SEC):
                    await self._due.wait()

    async def sweep(self) -> None:
        """Remove everything that the policy does not keep; StoreUnavailable."""
        while expired := await self._store.expired(self._policy, limit=BATCH):
            await self.remove(*expired)
            await self._store.shrink()

    async def remove(self, *execution_ids: str) -> None:
        """Remove ended executions with all that was kept of them; StoreUnavailable."""
        for execution_id in execution_ids:
            await self._store.remove(execution_id)
            await self._runner.discard(execution_id)
        await self._on_removed()
