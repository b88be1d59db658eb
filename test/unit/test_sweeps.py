# SPDX-License-Identifier: Apache-2.0
"""When the history is swept: after every end, whatever is going on at that moment."""

import asyncio
from collections.abc import Sequence
import contextlib
from typing import Any

from fakes import (
    add,
    FakeClock,
    FakeScriptRunner,
    InMemoryExecutionStore,
    KEEP_THE_LOG,
    new_execution,
    update,
    whole_log,
)
import pytest
from waiting import wait_until

from gateway_node.executions import retention as retention_module
from gateway_node.executions.events import Event
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.retention import Retention
from gateway_node.executions.store_ports import LogPolicy, RetentionPolicy
from gateway_node.executions.values import ExecutionStatus

KEEP_ONE = RetentionPolicy(max_executions=1, max_age_sec=0, max_failed_age_sec=0)
COMPLETED = ExecutionStatus.COMPLETED
FAILED = ExecutionStatus.FAILED


class HeldStore(InMemoryExecutionStore):
    """A store whose finding of what has expired arrives only when the test lets it."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.found = asyncio.Event()
        self.go_on = asyncio.Event()

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Look at once, answer later."""
        expired = await super().expired(policy, limit=limit)
        self.found.set()
        await self.go_on.wait()
        return expired


async def test_a_sweep_that_the_store_refused_is_made_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody asks for it again: it is tried again before the next one is due."""
    monkeypatch.setattr(retention_module, 'RETRY_SEC', 0.01)
    removed = asyncio.Event()

    async def on_removed(script_ids: frozenset[str]) -> None:
        removed.set()

    store, runner = InMemoryExecutionStore(FakeClock()), FakeScriptRunner()
    for number in (1, 2):
        await add(store, new_execution(number, status=COMPLETED))
    store.unavailable = 'disk full'
    retention = Retention(
        store=store,
        ledger=Ledger(store),
        runner=runner,
        policy=KEEP_ONE,
        log_policy=KEEP_THE_LOG,
        on_removed=on_removed,
        other_bytes=lambda: 0,
    )
    sweeping = asyncio.create_task(retention.keep_sweeping())
    await wait_until(lambda: 'disk full' in caplog.text, what='a refused sweep')
    store.unavailable = None
    async with asyncio.timeout(10):
        await removed.wait()
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


async def test_an_end_during_a_sweep_is_swept_after_it() -> None:
    """The sweep that is under way has not seen it: it is not the one that was asked for."""
    removed = asyncio.Event()

    async def on_removed(script_ids: frozenset[str]) -> None:
        removed.set()

    store, runner = HeldStore(), FakeScriptRunner()
    retention = Retention(
        store=store,
        ledger=Ledger(store),
        runner=runner,
        policy=KEEP_ONE,
        log_policy=KEEP_THE_LOG,
        on_removed=on_removed,
        other_bytes=lambda: 0,
    )
    sweeping = asyncio.create_task(retention.keep_sweeping())
    await store.found.wait()
    for number in (1, 2):
        await add(store, new_execution(number, status=COMPLETED))
    retention.request_sweep()
    store.go_on.set()
    async with asyncio.timeout(10):
        await removed.wait()
    assert runner.discarded == [new_execution(1).id]
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


class CountingStore(InMemoryExecutionStore):
    """A store that counts the sweeps that found nothing any more."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.sweeps = 0

    async def expired(self, policy: RetentionPolicy, *, limit: int) -> tuple[str, ...]:
        """Note where there is nothing."""
        expired = await super().expired(policy, limit=limit)
        self.sweeps += not expired
        return expired


async def test_what_ends_in_quick_succession_is_swept_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one commit: the first end waits a moment for the others."""
    commits: list[int] = []
    removed = asyncio.Event()

    async def on_removed(script_ids: frozenset[str]) -> None:
        removed.set()

    store, runner = CountingStore(), FakeScriptRunner()
    remove = store.remove

    async def counted(execution_ids: Sequence[str], **by: Any) -> tuple[Event, ...]:
        commits.append(len(execution_ids))
        return await remove(execution_ids, **by)

    monkeypatch.setattr(store, 'remove', counted)
    retention = Retention(
        store=store,
        ledger=Ledger(store),
        runner=runner,
        policy=KEEP_ONE,
        log_policy=KEEP_THE_LOG,
        on_removed=on_removed,
        other_bytes=lambda: 0,
    )
    sweeping = asyncio.create_task(retention.keep_sweeping())
    await wait_until(lambda: store.sweeps > 0, what='the first sweep')
    for number in range(1, 11):
        await add(store, new_execution(number, status=COMPLETED))
        retention.request_sweep()
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await removed.wait()
    assert commits == [9]
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


async def swept(store: CountingStore, runner: FakeScriptRunner, max_bytes: int) -> None:
    """Let a retention with a bound for the disk make its first sweep."""
    policy = RetentionPolicy(
        max_executions=0, max_age_sec=0, max_failed_age_sec=0, max_disk_bytes=max_bytes
    )

    async def on_removed(script_ids: frozenset[str]) -> None:
        pass

    retention = Retention(
        store=store,
        ledger=Ledger(store),
        runner=runner,
        policy=policy,
        log_policy=KEEP_THE_LOG,
        on_removed=on_removed,
        other_bytes=lambda: 0,
    )
    sweeping = asyncio.create_task(retention.keep_sweeping())
    await wait_until(lambda: store.sweeps > 0, what='a sweep')
    sweeping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sweeping


async def test_what_an_earlier_version_kept_is_measured_before_anything_is_removed() -> None:
    """The newest ones would go otherwise, which alone say what they take."""
    store, runner = CountingStore(), FakeScriptRunner()
    for number in range(120):
        execution = new_execution(number)
        await add(store, execution)
        await update(
            store, execution.evolve(status=FAILED), kept_bytes=None if number < 118 else 0
        )
        runner.kept_bytes_of[execution.id] = 100_000
    await swept(store, runner, max_bytes=1_000_000)
    assert await store.unmeasured(limit=1) == ()
    # With its documents none takes 100,000 bytes alone: there is room for nine.
    assert runner.discarded == [new_execution(number).id for number in range(118 - 9)]


async def test_without_a_bound_nothing_is_measured() -> None:
    """It would be of no use, and costs the disk."""
    store, runner = CountingStore(), FakeScriptRunner()
    await add(store, new_execution(1, status=COMPLETED))
    await swept(store, runner, max_bytes=0)
    assert await store.unmeasured(limit=10) == (new_execution(1).id,)


async def test_a_sweep_prunes_the_log_too() -> None:
    """It is bounded by itself: executions stay of whose beginning it no longer tells."""

    async def on_removed(script_ids: frozenset[str]) -> None:
        """Nothing is."""

    store = InMemoryExecutionStore(FakeClock())
    for number in range(1, 6):
        await add(store, new_execution(number))
    await Retention(
        store=store,
        ledger=Ledger(store),
        runner=FakeScriptRunner(),
        policy=KEEP_ONE,
        log_policy=LogPolicy(max_events=2, max_age_sec=0),
        on_removed=on_removed,
        other_bytes=lambda: 0,
    ).sweep()
    assert [each.sequence for each in await whole_log(store)] == [4, 5]
    assert len(await store.open_executions()) == 5
