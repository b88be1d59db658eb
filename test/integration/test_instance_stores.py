# SPDX-License-Identifier: Apache-2.0
"""The contract of `InstanceStore`, put to every implementation; it is kept with the log."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
import datetime
from pathlib import Path
from typing import Any

from fakes import (
    add,
    AN_APP,
    FakeClock,
    InMemoryExecutionStore,
    new_execution,
    next_change,
    remove,
)
import pytest

from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.errors import ExecutionNotFound
from gateway_node.executions.events import Change, Event, EventKind, Happening
from gateway_node.executions.idempotency import IdempotencyKey, KeptKey
from gateway_node.executions.instance_refs import (
    InstanceRef,
    KeptInstance,
    PendingFiring,
    TriggerRef,
    TriggerState,
)
from gateway_node.executions.store_ports import ExecutionStore, LogPolicy
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus, Trigger, TriggerType
from gateway_node.storage.database import Database
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.instance_store import SqliteInstanceStore
from gateway_node.triggers.ports import InstanceStore

REF = InstanceRef(entity=AN_APP, script_id='self_test', name='nightly')
HOT = TriggerRef(instance=REF, condition='{"above":60,"topic":"/motor"}')
COLD = TriggerRef(instance=REF, condition='{"below":0,"topic":"/motor"}')
OTHERS = TriggerRef(instance=replace(REF, name='verbose'), condition=HOT.condition)
FIRES = PendingFiring(trigger=HOT, pointer='/start_triggers/0', setting='/motor above 60')
AT = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@dataclass
class Stores:
    """What is kept of executions, and of instances: one database."""

    executions: ExecutionStore
    instances: InstanceStore

    async def tell(self, kind: EventKind, ref: InstanceRef = REF, **fields: Any) -> Event:
        """Record that something happened."""
        happening = Happening(kind=kind, subject=ref.subject, actor=GATEWAY, **fields)
        (event,) = await self.executions.record([happening])
        return event

    async def fire(self, fires: PendingFiring = FIRES) -> int:
        """Record a firing; return its sequence."""
        event = await self.tell(EventKind.TRIGGER_FIRED, fires.trigger.instance, fires=fires)
        return event.sequence

    async def drop(self, firing: int) -> None:
        """Record that it led to nothing."""
        await self.tell(EventKind.TRIGGER_DROPPED, settles=firing)

    async def pending(self) -> list[int]:
        """Return the sequences of the firings that are pending."""
        return [*await self.instances.pending_firings()]

    async def state(self, trigger: TriggerRef = HOT) -> TriggerState | None:
        """Return what is kept of a trigger."""
        return (await self.instances.trigger_states()).get(trigger)


@pytest.fixture(params=['in_memory', 'sqlite'])
async def stores(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock
) -> AsyncIterator[Stores]:
    """Each implementation, empty."""
    executions: ExecutionStore
    if request.param == 'in_memory':
        executions = fake = InMemoryExecutionStore(clock)
        yield Stores(executions=executions, instances=fake.instance_store)
    else:
        database = await Database.open(tmp_path)
        executions = await SqliteExecutionStore.open(database, clock)
        yield Stores(executions=executions, instances=SqliteInstanceStore(database))
    await executions.close()


def started_by(firing: int, number: int = 1) -> Execution:
    """Return what a firing starts."""
    trigger = Trigger(type=TriggerType.CONDITION, setting='/motor above 60', firing=firing)
    return new_execution(number, trigger=trigger, instance='nightly', instance_version='v1')


async def test_an_instance_is_kept_until_it_is_gone(stores: Stores) -> None:
    """As it was last; the log is told of it in the same commit."""
    assert await stores.instances.instances() == ()
    for text in ('ä', '\x00 and a lone \ud800'):
        kept = KeptInstance(ref=REF, document={'description': text, 'enabled': True})
        await stores.tell(EventKind.INSTANCE_REPLACED, instance=kept)
        assert await stores.instances.instances() == (kept,)
    gone = KeptInstance(ref=REF, document=None)
    await stores.tell(EventKind.INSTANCE_DELETED, instance=gone)
    assert await stores.instances.instances() == ()
    await stores.tell(EventKind.INSTANCE_DELETED, instance=gone)


async def test_a_key_is_kept_with_the_instance_that_was_made(stores: Stores) -> None:
    """In the same commit, so that neither is there without the other."""
    key = IdempotencyKey(scope='s', name='once', fingerprint='f')
    kept = KeptInstance(ref=REF, document={})
    await stores.tell(EventKind.INSTANCE_CREATED, instance=kept, key=key)
    known = await stores.executions.keys.get(key)
    assert known == KeptKey(fingerprint='f', resource_id='nightly', made=True)


async def test_instances_are_told_apart_by_entity_script_and_name(stores: Stores) -> None:
    """Each part counts; they come in the order of their subjects."""
    component = EntityRef(entity_type=EntityType.COMPONENT, entity_id=AN_APP.entity_id)
    refs = [
        REF,
        replace(REF, name='nightly-2'),
        replace(REF, script_id='self'),
        replace(REF, entity=component),
    ]
    for ref in refs:
        kept = KeptInstance(ref=ref, document={'name': ref.name})
        await stores.tell(EventKind.INSTANCE_CREATED, ref, instance=kept)
    found = [each.ref for each in await stores.instances.instances()]
    assert found == sorted(refs, key=lambda ref: ref.subject)


async def test_a_firing_is_pending_until_it_is_dropped(stores: Stores) -> None:
    """It is named by the sequence of its event; to drop it again changes nothing."""
    first, second = await stores.fire(), await stores.fire()
    assert await stores.instances.pending_firings() == {first: FIRES, second: FIRES}
    for _ in range(2):
        await stores.drop(first)
        assert await stores.pending() == [second]
    state = await stores.state()
    assert state is not None
    assert (state.fired, state.dropped, state.last_firing) == (2, 1, second)


async def test_a_start_settles_its_firing_in_its_own_commit(stores: Stores) -> None:
    """So it is started once, however a gateway dies, and whether or not its execution is kept."""
    first, second = await stores.fire(), await stores.fire()
    execution = started_by(first)
    await add(stores.executions, execution)
    assert await stores.pending() == [second]
    ended = advance(execution, ExecutionStatus.TERMINATED)
    await stores.executions.record([next_change(ended)])
    await remove(stores.executions, execution.id)
    assert await stores.pending() == [second]
    await stores.drop(first)
    state = await stores.state()
    assert state is not None
    assert (state.fired, state.dropped) == (2, 0)


async def test_a_commit_that_fails_settles_nothing(stores: Stores) -> None:
    """All of it, or none: what is recorded beside the start was not, either."""
    firing = await stores.fire()
    news = [Change.first(started_by(firing), GATEWAY), next_change(new_execution(2))]
    with pytest.raises(ExecutionNotFound):
        await stores.executions.record(news)
    assert await stores.pending() == [firing]


async def test_a_stop_settles_its_firing(stores: Stores) -> None:
    """In the commit in which it was accepted, or in that of the end where that came first."""
    firing = await stores.fire(replace(FIRES, pointer='/stop_triggers/0', stops=True))
    (kept,) = (await stores.instances.pending_firings()).values()
    assert kept.stops
    execution = new_execution(1, instance='nightly', instance_version='v1')
    await add(stores.executions, execution)
    assert await stores.pending() == [firing]
    stop = Trigger(type=TriggerType.CONDITION, setting='/motor above 60', firing=firing)
    stopped = advance(execution, ExecutionStatus.TERMINATED, stop_trigger=stop)
    await stores.executions.record([next_change(stopped)])
    assert await stores.pending() == []


async def test_a_firing_keeps_the_truth_in_its_commit(stores: Stores) -> None:
    """And when it was looked at; a moment leaves the truth as it was."""
    firing = await stores.fire()
    state = await stores.state()
    assert state is not None
    assert (state.truth, state.last_firing) == (True, firing)
    assert state.last_fired_at == state.seen_at is not None
    await stores.instances.keep_truths({HOT: False}, AT)
    await stores.fire(replace(FIRES, truth=None))
    state = await stores.state()
    assert state is not None
    assert (state.truth, state.fired) == (False, 2)


async def test_truths_are_kept_and_what_is_not_known_leaves_them(stores: Stores) -> None:
    """The last one that was known stays; that it was looked at is kept at any rate."""
    await stores.instances.keep_truths({HOT: True, COLD: False, OTHERS: None}, AT)
    later = AT + datetime.timedelta(milliseconds=1500)
    await stores.instances.keep_truths({HOT: None, COLD: True}, later)
    assert await stores.instances.trigger_states() == {
        HOT: TriggerState(truth=True, seen_at=later),
        COLD: TriggerState(truth=True, seen_at=later),
        OTHERS: TriggerState(seen_at=AT),
    }
    await stores.instances.keep_truths({}, later)


@pytest.mark.parametrize(
    'kind', [EventKind.INSTANCE_CREATED, EventKind.INSTANCE_REPLACED, EventKind.INSTANCE_ENABLED]
)
async def test_what_is_kept_of_triggers_stays_where_they_do(
    stores: Stores, kind: EventKind
) -> None:
    """What is kept of others of that instance goes, and what fired and led to nothing stays."""
    await stores.instances.keep_truths({COLD: True, OTHERS: True}, AT)
    firing = await stores.fire()
    stays = frozenset({HOT.condition})
    kept = KeptInstance(ref=REF, document={'name': 'nightly'}, stays=stays)
    await stores.tell(kind, instance=kept)
    assert set(await stores.instances.trigger_states()) == {HOT, OTHERS}
    state = await stores.state()
    assert state is not None
    assert (state.fired, state.last_firing) == (1, firing)
    await stores.tell(EventKind.INSTANCE_DELETED, instance=KeptInstance(ref=REF, document=None))
    assert set(await stores.instances.trigger_states()) == {OTHERS}
    assert await stores.pending() == [firing]
    await stores.drop(firing)
    assert await stores.pending() == []


async def test_how_long_gateways_were_up_is_kept_with_a_firing(
    stores: Stores, clock: FakeClock
) -> None:
    """What may not fire again for a while goes by that, whatever the clock on the wall says."""
    clock.advance(100)
    before = stores.executions.up_sec()
    await stores.fire()
    state = await stores.state()
    assert state is not None
    assert state.fired_up_sec == before >= 100
    clock.advance(50)
    await stores.fire()
    state = await stores.state()
    assert state is not None
    assert state.fired_up_sec == before + 50


async def test_up_to_where_ends_were_looked_at_is_kept_with_the_truths(stores: Stores) -> None:
    """Where it is not said it stays."""
    assert await stores.instances.ends_seen() is None
    await stores.instances.keep_truths({}, AT, ends_seen=7)
    await stores.instances.keep_truths({COLD: True}, AT)
    assert await stores.instances.ends_seen() == 7
    assert set(await stores.instances.trigger_states()) == {COLD}


async def test_the_states_of_triggers_that_are_no_more_are_forgotten(stores: Stores) -> None:
    """A manifest may have others while no gateway runs."""
    await stores.instances.keep_truths({HOT: True, COLD: True, OTHERS: False}, AT)
    await stores.instances.keep_only([COLD])
    assert set(await stores.instances.trigger_states()) == {COLD}


async def test_a_firing_outlives_its_event(stores: Stores) -> None:
    """The log forgets with time, and a robot may be off for long."""
    firing = await stores.fire()
    for _ in range(3):
        await stores.tell(EventKind.LINE_PAUSED)
    await stores.executions.log.prune(LogPolicy(max_events=1, max_age_sec=0))
    assert await stores.pending() == [firing]


async def test_all_of_it_is_there_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    """Instances, what is pending, and what is known of triggers."""
    kept = KeptInstance(ref=REF, document={'name': 'nightly', 'priority': 3})
    found: list[tuple[Any, ...]] = []
    for _ in range(2):
        database = await Database.open(tmp_path)
        executions = await SqliteExecutionStore.open(database, clock)
        stores = Stores(executions=executions, instances=SqliteInstanceStore(database))
        if not found:
            await stores.tell(EventKind.INSTANCE_CREATED, instance=kept)
            await stores.fire()
            await stores.instances.keep_truths({COLD: False}, AT)
        found.append(
            (
                await stores.instances.instances(),
                await stores.instances.pending_firings(),
                await stores.instances.trigger_states(),
            )
        )
        await executions.close()
    assert found[0] == found[1]
    assert found[0][0] == (kept,)
    assert [*found[0][1].values()] == [FIRES]
