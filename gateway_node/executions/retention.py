# SPDX-License-Identifier: Apache-2.0
"""Removing ended executions and events that are not kept any longer, in the background."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
import contextlib
from dataclasses import replace
import logging

from gateway_node.executions.actors import Actor, GATEWAY
from gateway_node.executions.errors import ArchiveUnavailable, StoreUnavailable
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.ports import Archive
from gateway_node.executions.runner_ports import ScriptRunner
from gateway_node.executions.store_ports import ExecutionStore, LogPolicy, RetentionPolicy
from gateway_node.executions.values import Execution

_log = logging.getLogger(__name__)

BATCH = 50
"""Executions that are removed, or measured, before others get a turn."""
LINGER_SEC = 0.2
"""Between an end and the sweep, which takes along what ends meanwhile: with one commit."""
INTERVAL_SEC = 600.0
"""Seconds after which a sweep is made although nothing ended: executions age."""
RETRY_SEC = 60.0
"""Seconds after which a sweep is made that the store did not let through."""


class Retention:
    """Sweeps when executions end, and now and then."""

    def __init__(
        self,
        *,
        store: ExecutionStore,
        ledger: Ledger,
        runner: ScriptRunner,
        policy: RetentionPolicy,
        log_policy: LogPolicy,
        on_removed: Callable[[frozenset[str]], Awaitable[None]],
        other_bytes: Callable[[], int],
        archive: Archive | None = None,
    ) -> None:
        """`on_removed` is awaited with the ids of the scripts of what was removed.

        `other_bytes` of the disk are taken for executions beside what they keep themselves. What
        the policies do not keep goes to the `archive` first.
        """
        self._archive = archive
        self._other_bytes = other_bytes
        self._on_removed = on_removed
        self._store = store
        self._ledger = ledger
        self._runner = runner
        self._policy = policy
        self._log_policy = log_policy
        self._due = asyncio.Event()
        self._of_earlier_lives: tuple[str, ...] = ()

    async def open(self) -> None:
        """Look at what earlier gateways left; called before anything is started."""
        self._of_earlier_lives = await self._runner.kept()

    def request_sweep(self) -> None:
        """Let the sweeper look soon."""
        self._due.set()

    async def keep_sweeping(self) -> None:
        """Sweep until cancelled."""
        earlier_lives_settled = False
        while True:
            # Before the look: what ends during it is looked for once more.
            self._due.clear()
            pause_sec = INTERVAL_SEC
            try:
                if not earlier_lives_settled:
                    await self._remove_leftovers()
                    await self._measure()
                    earlier_lives_settled = True
                await self.sweep()
            except (ArchiveUnavailable, StoreUnavailable) as error:
                _log.warning('cannot prune the history: %s', error)
                pause_sec = RETRY_SEC
            except Exception:
                _log.exception('a defect of the gateway kept the history from being pruned')
            # Not wait_for: before Python 3.12 it can swallow the cancellation.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_sec):
                    await self._due.wait()
            await asyncio.sleep(LINGER_SEC)

    async def sweep(self) -> None:
        """Remove all that the policies do not keep; ArchiveUnavailable, StoreUnavailable."""
        # First: an archive that is not to be had keeps neither of these. In a `finally`, an error
        # of a store that is closed would take the place of a cancellation.
        await self._store.log.prune(self._log_policy)
        await self._store.keys.prune()
        await self._sweep_executions()

    async def _sweep_executions(self) -> None:
        if self._archive is not None:
            # Although nothing may have expired: who reads /health is told early.
            await self._archive.check()
        while expired := await self._store.expired(self._present_policy(), limit=self._step()):
            if self._archive is not None:
                await self._archive.append(self._executions(expired))
            await self.remove(*expired, actor=GATEWAY, cause='retention')
            await self._store.shrink()

    async def _executions(self, execution_ids: Sequence[str]) -> AsyncIterator[Execution]:
        # One at a time: the parameters of each may take two MiB.
        for execution_id in execution_ids:
            execution = await self._store.get(execution_id)
            if execution is not None:
                yield execution

    def _present_policy(self) -> RetentionPolicy:
        """Return the policy with the bound on the disk that is left to what executions keep."""
        max_disk_bytes = self._policy.max_disk_bytes
        if max_disk_bytes:
            max_disk_bytes = max(1, max_disk_bytes - self._other_bytes())
        return replace(self._policy, max_disk_bytes=max_disk_bytes)

    def _step(self) -> int:
        """Return how many are removed before it is looked again: one by one where what they refer
        to takes all of the disk that there is for both, since that goes with them."""
        max_disk_bytes = self._policy.max_disk_bytes
        return 1 if max_disk_bytes and self._other_bytes() >= max_disk_bytes else BATCH

    async def _remove_leftovers(self) -> None:
        """Remove what is kept of executions that the store does not know: a crash left it.

        Not where a store was set aside that may know them: what it refers to stays with it.
        """
        if not self._store.may_have_forgotten:
            for execution_id in self._of_earlier_lives:
                if await self._store.get(execution_id) is None:
                    await self._runner.discard(execution_id)
        self._of_earlier_lives = ()

    async def _measure(self) -> None:
        """Measure what earlier versions kept, and what ended with an earlier gateway."""
        if not self._policy.max_disk_bytes:
            return
        while unmeasured := await self._store.unmeasured(limit=BATCH):
            kept_bytes = await self._runner.kept_bytes(unmeasured)
            await self._store.measure(dict(zip(unmeasured, kept_bytes, strict=True)))

    async def remove(self, *execution_ids: str, actor: Actor, cause: str) -> None:
        """Remove ended executions with all that was kept of them; StoreUnavailable."""
        tombstones = await self._ledger.remove(*execution_ids, actor=actor, cause=cause)
        for execution_id in execution_ids:
            await self._runner.discard(execution_id)
        await self._on_removed(frozenset(event.script_id for event in tombstones))
