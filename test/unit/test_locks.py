# SPDX-License-Identifier: Apache-2.0
"""Locks on entities: who gets one, what it keeps others from, and when it ends."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
import datetime

from clients import CLIENT
from fakes import FakeClock, InMemoryExecutionStore, RecordingListener
import pytest

from gateway_node.access.errors import (
    LockHolderUnnamed,
    LockNotBreakable,
    LockNotFound,
    LockNotHeld,
    LockTooLong,
    RoleTooLow,
)
from gateway_node.access.lock_book import LockBook
from gateway_node.access.locks import LockRequest, Locks, LockSettings
from gateway_node.entities.directory import EntityDirectory
from gateway_node.entities.values import EntityRef, GraphSnapshot, NodeName
from gateway_node.executions.actors import Actor, GATEWAY, Role
from gateway_node.executions.entity_lock import EntityLock, LockScope
from gateway_node.executions.errors import BeyondScope, EntityLocked, StoreUnavailable
from gateway_node.executions.events import Change, Event, EventKind, Happening, line_subject
from gateway_node.executions.ledger import Ledger
from gateway_node.executions.rights import acting_with, rights_of
from gateway_node.executions.scopes import Scope

APP = EntityRef.from_path('apps/temp_sensor')
OTHER_APP = EntityRef.from_path('apps/brake')
COMPONENT = EntityRef.from_path('components/engine')
HOST = EntityRef.from_path('components/robot')
GONE = EntityRef.from_path('apps/nobody')

ANNA = Actor(name='anna', role=Role.OPERATOR, origin='192.0.2.7')
BERT = replace(ANNA, name='bert')
ADMIN = replace(ANNA, name='carla', role=Role.ADMIN)

SCRIPTS, DATA = LockScope.SCRIPTS, LockScope.DATA


class HeldStore(InMemoryExecutionStore):
    """A store that takes its time, where a test wants it to."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def record(self, news: Sequence[Change | Happening]) -> tuple[Event, ...]:
        """Record, once it is let."""
        self.asked.set()
        await self.go_on.wait()
        return await super().record(news)


class Gate:
    """Locks on a robot with an engine, a sensor in it, and brakes beside it."""

    def __init__(self, *, breakable: bool = True) -> None:
        self.clock = FakeClock()
        self.store = HeldStore(self.clock)
        self.listener = RecordingListener()
        ledger = Ledger(self.store)
        self.listener.listen_to(ledger)
        self.directory = EntityDirectory(
            host_name='robot',
            own_node=NodeName(namespace='/', name='gateway_node'),
            clock=self.clock,
            is_held=lambda ref: True,
        )
        nodes = {
            NodeName(namespace='/engine', name='temp_sensor'),
            NodeName(namespace='/', name='brake'),
        }
        self.directory.update(GraphSnapshot(nodes=frozenset(nodes)))
        self.book = LockBook(self.clock, self.store.up_sec)
        self.locks = Locks(
            book=self.book,
            ledger=ledger,
            store=self.store,
            clock=self.clock,
            settings=LockSettings(max_expiration_sec=600, breakable=breakable),
        )

    async def lock(
        self,
        entity: EntityRef,
        actor: Actor,
        seconds: int = 60,
        *,
        scopes: tuple[LockScope, ...] = (),
        breaks: bool = False,
    ) -> EntityLock:
        """Lock an entity."""
        request = LockRequest(expiration_sec=seconds, scopes=scopes, breaks=breaks)
        return await self.locks.acquire(entity, request, actor=actor)

    def may(self, actor: Actor, entity: EntityRef | None) -> bool:
        """Tell whether an actor may change something there."""
        try:
            self.book.check(entity, actor)
        except EntityLocked:
            return False
        return True

    def told(self) -> list[tuple[EventKind, str]]:
        """Return what the log was told of locks: of which kind, and on which entity."""
        return [(each.kind, each.changes['entity']) for each in self.listener.events]


@pytest.fixture
async def gate() -> Gate:
    """Return a gate on which nothing is locked."""
    gate = Gate()
    await gate.locks.open(gate.directory)
    return gate


async def test_nobody_but_the_holder_changes_what_is_locked(gate: Gate) -> None:
    """They hear who holds it and until when; what is not locked is open to all."""
    lock = await gate.lock(APP, ANNA)
    assert gate.may(ANNA, APP)
    assert not gate.may(ADMIN, APP)
    assert gate.may(BERT, OTHER_APP)
    until = gate.clock.now() + datetime.timedelta(seconds=60)
    with pytest.raises(EntityLocked, match="apps/temp_sensor is locked by 'anna'") as caught:
        gate.book.check(APP, BERT)
    assert caught.value.told == {
        'entity': 'apps/temp_sensor',
        'existing_lock_id': lock.id,
        'holder': {'name': 'anna'},
        'lock_expiration': '2026-03-01T12:01:00.000Z',
    }
    assert caught.value.until == until


async def test_the_gateway_itself_is_kept_from_nothing(gate: Gate) -> None:
    """What it does was asked for before: schedules, further attempts, ends, retention."""
    await gate.lock(APP, ANNA)
    assert gate.may(GATEWAY, APP)
    assert not gate.may(replace(GATEWAY, origin='192.0.2.9'), APP)


@pytest.mark.parametrize(
    ('holder', 'actor', 'passes'),
    [
        (ANNA, replace(ANNA, client_id='tablet', origin='192.0.2.8'), True),
        (replace(ANNA, client_id='tablet'), replace(ANNA, client_id='tablet'), True),
        (replace(ANNA, client_id='tablet'), replace(ANNA, client_id='desk'), False),
        (replace(ANNA, client_id='tablet'), ANNA, False),
        (replace(ANNA, client_id='tablet'), replace(BERT, client_id='tablet'), False),
        (replace(CLIENT, client_id='tablet'), replace(CLIENT, client_id='tablet'), True),
        (replace(CLIENT, client_id='tablet'), CLIENT, False),
        (replace(CLIENT, client_id='tablet'), replace(ANNA, client_id='tablet'), False),
    ],
)
async def test_the_holder_is_an_identity_and_the_client_id_where_it_gave_one(
    gate: Gate, holder: Actor, actor: Actor, passes: bool
) -> None:
    """The id tells apart who shares an identity, and stands for nobody else's."""
    await gate.lock(APP, holder)
    assert gate.may(actor, APP) is passes


async def test_who_has_no_name_of_any_kind_holds_nothing(gate: Gate) -> None:
    """Everybody else would be the holder, too."""
    with pytest.raises(LockHolderUnnamed):
        await gate.lock(APP, CLIENT)


async def test_a_lock_on_a_component_is_one_on_what_is_located_there(gate: Gate) -> None:
    """On the host, on everything; one on an app is on nothing else."""
    await gate.lock(COMPONENT, ANNA)
    assert not gate.may(BERT, APP)
    assert gate.may(ANNA, APP)
    assert gate.may(BERT, OTHER_APP)
    assert gate.may(BERT, HOST)
    await gate.lock(HOST, ANNA)
    assert not any(gate.may(BERT, each) for each in (APP, OTHER_APP, COMPONENT, HOST, GONE))


async def test_what_concerns_all_is_closed_to_who_does_not_hold_all_locks(gate: Gate) -> None:
    """Where the whole line is held nothing of a holder's starts."""
    assert gate.may(BERT, None)
    await gate.lock(APP, ANNA)
    assert gate.may(ANNA, None)
    assert not gate.may(BERT, None)


async def test_a_lock_on_what_is_not_here_keeps_nobody_from_scripts(gate: Gate) -> None:
    """The collections of SOVD are known; only its scripts are served."""
    await gate.lock(APP, ANNA, scopes=(DATA,))
    assert gate.may(BERT, APP)
    await gate.lock(OTHER_APP, ANNA, scopes=(DATA, SCRIPTS))
    assert not gate.may(BERT, OTHER_APP)


@pytest.mark.parametrize('actor', [ANNA, BERT])
async def test_an_entity_has_one_lock(gate: Gate, actor: Actor) -> None:
    """Also for who holds it: there is another way to have it for longer."""
    first = await gate.lock(APP, ANNA, scopes=(DATA,))
    with pytest.raises(EntityLocked) as caught:
        await gate.lock(APP, actor, scopes=(SCRIPTS,))
    assert caught.value.lock == first


@pytest.mark.parametrize(('first', 'second'), [(COMPONENT, APP), (APP, COMPONENT), (APP, HOST)])
async def test_two_holders_never_hold_the_same(
    gate: Gate, first: EntityRef, second: EntityRef
) -> None:
    """Else each would keep the other from what both hold; one client may, and so may two where
    the locks are on different things."""
    await gate.lock(first, ANNA, scopes=(SCRIPTS,))
    with pytest.raises(EntityLocked):
        await gate.lock(second, BERT)
    other = await gate.lock(second, BERT, scopes=(DATA,))
    await gate.locks.release(second, other.id, actor=BERT)
    await gate.lock(second, ANNA)


async def test_of_two_that_ask_at_once_one_gets_it(gate: Gate) -> None:
    """The other one hears who did."""
    answers = await asyncio.gather(
        gate.lock(APP, ANNA), gate.lock(COMPONENT, BERT), return_exceptions=True
    )
    assert [type(each) for each in answers] == [EntityLock, EntityLocked]


async def test_locks_end_by_the_time_that_the_gateway_was_up(gate: Gate) -> None:
    """The wall clock, set back a year or on, neither ends one nor makes it longer."""
    await gate.lock(APP, ANNA)
    gate.clock.wall -= datetime.timedelta(days=366)
    gate.clock.advance(59.9)
    assert not gate.may(BERT, APP)
    gate.clock.wall += datetime.timedelta(days=800)
    assert not gate.may(BERT, APP)
    gate.clock.advance(0.1)
    assert gate.may(BERT, APP)
    assert gate.locks.of(APP) is None
    assert gate.may(BERT, None)


async def test_the_log_is_told_of_a_lock_whose_time_is_over(gate: Gate) -> None:
    """By itself, without anybody who asks; and it is on record no more."""
    lock = await gate.lock(APP, ANNA)
    expiring = asyncio.create_task(gate.locks.keep_expiring())
    await asyncio.sleep(0)
    gate.clock.advance(60)
    await gate.lock(OTHER_APP, BERT)  # wakes it
    event = await gate.listener.wait_for_kind(EventKind.LOCK_EXPIRED)
    assert (event.actor, event.cause) == (GATEWAY, None)
    assert event.subject == f'apps/temp_sensor/locks/{lock.id}'
    assert [each.entity for each in await gate.store.locks()] == [OTHER_APP]
    expiring.cancel()
    await asyncio.wait([expiring])


async def test_what_a_lock_ended_is_free_for_the_next_one(gate: Gate) -> None:
    """The log has the end of the first before the second."""
    await gate.lock(APP, ANNA)
    gate.clock.advance(60)
    await gate.lock(APP, BERT)
    assert [kind for kind, _ in gate.told()] == [
        EventKind.LOCK_ACQUIRED,
        EventKind.LOCK_EXPIRED,
        EventKind.LOCK_ACQUIRED,
    ]


async def test_its_holder_has_it_for_longer_or_gives_it_back(gate: Gate) -> None:
    """Counted from now on; both are told, and on record."""
    lock = await gate.lock(APP, ANNA)
    gate.clock.advance(50)
    await gate.locks.extend(APP, lock.id, 60, actor=ANNA)
    gate.clock.advance(59)
    assert not gate.may(BERT, APP)
    assert (await gate.store.locks())[0].ends_up_sec == lock.ends_up_sec + 50
    await gate.locks.release(APP, lock.id, actor=ANNA)
    assert gate.may(BERT, APP)
    assert await gate.store.locks() == ()
    assert [kind for kind, _ in gate.told()] == [
        EventKind.LOCK_ACQUIRED,
        EventKind.LOCK_EXTENDED,
        EventKind.LOCK_RELEASED,
    ]


Alteration = Callable[[Gate, EntityRef, str, Actor], 'asyncio.Future[None]']


def extend(gate: Gate, entity: EntityRef, lock_id: str, actor: Actor) -> 'asyncio.Future[None]':
    """Have a lock for longer."""
    return asyncio.ensure_future(gate.locks.extend(entity, lock_id, 60, actor=actor))


def release(gate: Gate, entity: EntityRef, lock_id: str, actor: Actor) -> 'asyncio.Future[None]':
    """Give a lock back."""
    return asyncio.ensure_future(gate.locks.release(entity, lock_id, actor=actor))


@pytest.mark.parametrize('change', [extend, release])
async def test_nobody_else_has_it_for_longer_or_gives_it_back(
    gate: Gate, change: Alteration
) -> None:
    """Not even an admin, who may break it; and of what is no lock there nobody."""
    lock = await gate.lock(APP, ANNA)
    with pytest.raises(LockNotHeld, match="'anna'"):
        await change(gate, APP, lock.id, ADMIN)
    with pytest.raises(LockNotFound):
        await change(gate, COMPONENT, lock.id, ANNA)
    with pytest.raises(LockNotFound):
        await change(gate, APP, 'lock_0', ANNA)
    gate.clock.advance(60)
    with pytest.raises(LockNotFound):
        await change(gate, APP, lock.id, ANNA)


async def test_nothing_is_locked_for_longer_than_is_allowed(gate: Gate) -> None:
    """Nor extended; the message names the parameter."""
    with pytest.raises(LockTooLong, match=r'is 601; allowed: 1 to 600 \(locks.max_exp'):
        await gate.lock(APP, ANNA, 601)
    lock = await gate.lock(APP, ANNA, 600)
    with pytest.raises(LockTooLong):
        await gate.locks.extend(APP, lock.id, 601, actor=ANNA)


async def test_an_admin_breaks_what_is_in_the_way(gate: Gate) -> None:
    """The lock on it, on what it is located on, and on what is located there."""
    await gate.lock(APP, ANNA)
    await gate.lock(OTHER_APP, BERT)
    with pytest.raises(EntityLocked):
        await gate.lock(HOST, ADMIN)
    lock = await gate.lock(HOST, ADMIN, breaks=True)
    assert not gate.may(ANNA, APP)
    assert await gate.store.locks() == (lock,)
    broken = [each for each in gate.listener.events if each.kind is EventKind.LOCK_BROKEN]
    assert [each.changes['holder'] for each in broken] == [{'name': 'anna'}, {'name': 'bert'}]
    assert {each.actor for each in broken} == {ADMIN}


async def test_nobody_else_breaks_one_but_their_own(gate: Gate) -> None:
    """Where nothing is in the way there is nothing to be broken, and anybody may say so."""
    await gate.lock(APP, ANNA, breaks=True)
    with pytest.raises(RoleTooLow):
        await gate.lock(APP, replace(BERT, role=Role.CONFIGURATOR), breaks=True)
    lock = await gate.lock(APP, ANNA, 30, breaks=True)
    assert gate.locks.of(APP) == lock
    assert [kind for kind, _ in gate.told()][1:] == [
        EventKind.LOCK_RELEASED,
        EventKind.LOCK_ACQUIRED,
    ]


async def test_where_none_is_breakable_not_even_an_admin_breaks_one() -> None:
    """It holds until it ends."""
    gate = Gate(breakable=False)
    await gate.locks.open(gate.directory)
    await gate.lock(APP, ANNA)
    with pytest.raises(LockNotBreakable, match=r'locks\.breakable'):
        await gate.lock(APP, ADMIN, breaks=True)


async def test_what_cannot_be_recorded_is_not_changed(gate: Gate) -> None:
    """Nobody is told that they hold what the next gateway knows nothing of."""
    lock = await gate.lock(APP, ANNA)
    gate.store.unavailable = 'disk full'
    for change in (
        gate.lock(OTHER_APP, BERT),
        gate.locks.extend(APP, lock.id, 600, actor=ANNA),
        gate.locks.release(APP, lock.id, actor=ANNA),
        gate.lock(APP, ADMIN, breaks=True),
    ):
        with pytest.raises(StoreUnavailable):
            await change
    assert gate.locks.of(APP) == lock
    assert gate.locks.of(OTHER_APP) is None


async def test_a_lock_that_is_being_recorded_keeps_others_out_already(gate: Gate) -> None:
    """Else the log would have a start of theirs behind it, which nobody refused."""
    gate.store.asked.clear()
    gate.store.go_on.clear()
    acquiring = asyncio.create_task(gate.lock(APP, ANNA))
    await gate.store.asked.wait()
    assert (gate.may(ANNA, APP), gate.may(BERT, APP)) == (True, False)
    gate.store.unavailable = 'disk full'
    gate.store.go_on.set()
    with pytest.raises(StoreUnavailable):
        await acquiring
    assert gate.may(BERT, APP)


async def test_what_was_let_in_before_a_lock_is_on_record_before_it(gate: Gate) -> None:
    """Though its record is made by a task of its own."""
    ledger = Ledger(gate.store)
    gate.listener.listen_to(ledger)
    change = Happening(kind=EventKind.LINE_PAUSED, subject=line_subject(None), actor=BERT)
    acquiring = asyncio.create_task(gate.lock(APP, ANNA))
    recording = []
    while gate.may(BERT, APP):
        recording.append(asyncio.create_task(ledger.record(change)))
        await asyncio.sleep(0)
    await asyncio.gather(acquiring, *recording)
    kinds = [each.kind for each in gate.listener.events]
    assert kinds == [EventKind.LINE_PAUSED] * len(recording) + [EventKind.LOCK_ACQUIRED]


async def test_a_client_that_leaves_has_the_lock_on_record_and_in_force(gate: Gate) -> None:
    """Or neither: what is on record is what others are refused by."""
    acquiring = asyncio.create_task(gate.lock(APP, ANNA))
    await asyncio.sleep(0)
    acquiring.cancel()
    await asyncio.wait([acquiring])
    await gate.listener.wait_for_kind(EventKind.LOCK_ACQUIRED)
    assert not gate.may(BERT, APP)


async def test_another_boot_of_the_machine_ends_all_locks(gate: Gate) -> None:
    """A restart of the gateway alone ends none; the log tells why."""
    lock = await gate.lock(APP, ANNA)
    await gate.locks.open(gate.directory)
    assert gate.locks.of(APP) == lock
    gate.clock.boot_id = 'second_boot'
    await gate.locks.open(gate.directory)
    assert gate.locks.of(APP) is None
    assert await gate.store.locks() == ()
    event = gate.listener.events[-1]
    assert (event.kind, event.cause) == (EventKind.LOCK_EXPIRED, 'boot')


async def test_the_log_says_who_holds_what_and_until_when(gate: Gate) -> None:
    """And nothing that only the store needs."""
    lock = await gate.lock(APP, replace(ANNA, client_id='tablet'), scopes=(SCRIPTS,))
    (event,) = gate.listener.events
    assert event.changes == {
        'id': lock.id,
        'entity': 'apps/temp_sensor',
        'holder': {'name': 'anna', 'client_id': 'tablet'},
        'scopes': ['scripts'],
        'lock_expiration': '2026-03-01T12:01:00.000Z',
    }


NARROWED = replace(ADMIN, scope=Scope(entities=('apps/temp_*', 'components/*')))


@pytest.mark.parametrize('entity', [COMPONENT, HOST])
async def test_nobody_locks_what_they_do_not_see(gate: Gate, entity: EntityRef) -> None:
    """A lock is on all that is located on an entity, which a narrowed credential has to see."""
    await gate.lock(APP, NARROWED)
    of_app = replace(NARROWED, scope=Scope(entities=('apps/brake', entity.path)))
    with pytest.raises(BeyondScope, match=entity.path):
        await gate.lock(entity, of_app, breaks=True)
    if entity == COMPONENT:
        await gate.lock(COMPONENT, NARROWED)


async def test_what_is_locked_beyond_the_scope_is_not_named(gate: Gate) -> None:
    """The entity that was asked for stands for it; nor is such a lock broken."""
    await gate.lock(HOST, ANNA)
    of_app = replace(NARROWED, scope=Scope(entities=(APP.path,)))
    with pytest.raises(EntityLocked) as caught:
        gate.book.check(APP, of_app)
    assert caught.value.told['entity'] == APP.path
    assert HOST.path not in str(caught.value)
    with pytest.raises(EntityLocked, match=APP.path):
        await gate.lock(APP, of_app)
    with pytest.raises(BeyondScope) as refused:
        await gate.lock(APP, of_app, breaks=True)
    assert HOST.path not in str(refused.value)


async def test_a_trigger_may_what_who_made_its_instance_may(gate: Gate) -> None:
    """So a lock keeps those of others out, as it does whoever has no name; the gateway's own work
    goes on."""
    await gate.lock(APP, ANNA)
    assert gate.may(acting_with(rights_of(ANNA)), APP)
    assert not gate.may(acting_with(rights_of(BERT)), APP)
    assert not gate.may(acting_with(None), APP)
    assert gate.may(GATEWAY, APP)
    tablet = replace(ANNA, client_id='tablet')
    await gate.lock(OTHER_APP, tablet)
    assert gate.may(acting_with(rights_of(tablet)), OTHER_APP)
    assert not gate.may(acting_with(rights_of(ANNA)), OTHER_APP)
