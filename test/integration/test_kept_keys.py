# SPDX-License-Identifier: Apache-2.0
"""The contract of `IdempotencyKeys`, put to every implementation."""

from dataclasses import replace

from clients import CLIENT
from fakes import (
    AN_APP,
    FakeClock,
    idempotency_keys,
    new_execution,
    remove,
    update,
)
import pytest

from gateway_node.executions.events import Change, EventKind, Happening, script_subject
from gateway_node.executions.idempotency import IdempotencyKey, KEPT_FOR_SEC, KeptKey
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import ExecutionStatus
from gateway_node.storage import kept_keys

KEY = IdempotencyKey(scope='alice', name='k', fingerprint='f')


async def begin(store: ExecutionStore, number: int, key: IdempotencyKey = KEY) -> str:
    """Record a new execution under a key; return its id."""
    execution = new_execution(number)
    await store.record([Change.first(execution, CLIENT, key)])
    return execution.id


async def end(store: ExecutionStore, number: int) -> None:
    """Bring an execution to its end."""
    await update(store, advance(new_execution(number), ExecutionStatus.FAILED))


def named(number: int) -> IdempotencyKey:
    """Return one of several keys."""
    return replace(KEY, name=f'k{number}')


async def test_a_key_is_kept_with_the_execution_that_it_names(store: ExecutionStore) -> None:
    """Within its scope, whatever is asked for, and after the execution is gone."""
    assert await store.keys.get(KEY) is None
    execution_id = await begin(store, 1)
    kept = KeptKey(fingerprint='f', resource_id=execution_id, made=True)
    assert await store.keys.get(replace(KEY, fingerprint='other')) == kept
    assert await store.keys.get(replace(KEY, scope='bob')) is None
    assert await store.keys.get(named(1)) is None
    await end(store, 1)
    await remove(store, execution_id)
    assert await store.keys.get(KEY) == kept


async def test_a_key_goes_with_what_was_not_recorded(store: ExecutionStore) -> None:
    """All or nothing."""
    await begin(store, 1, named(1))
    with pytest.raises(ValueError, match='in the store already'):
        await begin(store, 1)
    assert await store.keys.get(KEY) is None


async def test_an_id_that_was_given_is_made_once_the_log_tells_of_the_script(
    store: ExecutionStore,
) -> None:
    """Until then nobody knows; a later one may have the key."""
    await store.keys.reserve(KEY, 'script_1')
    await store.keys.reserve(KEY, 'script_2')
    kept = KeptKey(fingerprint='f', resource_id='script_2', made=False)
    assert await store.keys.get(KEY) == kept
    uploaded = Happening(
        kind=EventKind.SCRIPT_UPLOADED, subject=script_subject(AN_APP, 'script_2'), actor=CLIENT
    )
    await store.record([uploaded])
    assert await store.keys.get(KEY) == replace(kept, made=True)


async def test_a_key_is_kept_for_a_day_and_as_long_as_its_execution_is_open(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """A day of time up, and not a day of the calendar."""
    await begin(store, 1, named(1))
    await begin(store, 2, named(2))
    await end(store, 1)
    clock.advance(KEPT_FOR_SEC / 2)
    await store.keys.prune()
    assert await store.keys.get(named(1)) is not None
    clock.advance(KEPT_FOR_SEC / 2 + 1)
    await store.keys.prune()
    assert await store.keys.get(named(1)) is None
    assert await store.keys.get(named(2)) is not None
    await end(store, 2)
    clock.advance(KEPT_FOR_SEC)
    await store.keys.prune()
    assert await store.keys.get(named(2)) is None


async def test_of_too_many_keys_the_oldest_go_before_their_time(
    store: ExecutionStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not those of executions that are open."""
    for module in (kept_keys, idempotency_keys):
        monkeypatch.setattr(module, 'MAX_KEYS', 3)
    for number in range(1, 6):
        await begin(store, number, named(number))
    await end(store, 2)
    clock.advance(KEPT_FOR_SEC / 2)
    await store.keys.prune()
    kept = [number for number in range(1, 6) if await store.keys.get(named(number))]
    assert kept == [1, 3, 4, 5]
