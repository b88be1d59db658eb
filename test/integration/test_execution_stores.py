# SPDX-License-Identifier: Apache-2.0
"""The contract of `ExecutionStore` and `IdentityStore`, put to every implementation."""

import asyncio
from collections.abc import AsyncIterator
import datetime
from pathlib import Path
from typing import Any

from clients import CLIENT
from fakes import (
    add,
    AN_APP,
    as_listed,
    FakeClock,
    InMemoryIdentityStore,
    new_execution,
    next_change,
    remove,
    update,
    whole_log,
)
import pytest

from gateway_node.clock import rfc3339
from gateway_node.entities.identities import Identity
from gateway_node.entities.ports import IdentityStore
from gateway_node.entities.values import EntityRef, EntityType
from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.child_counts import ChildCounts, NO_CHILDREN
from gateway_node.executions.documents import summary_of
from gateway_node.executions.errors import (
    ExecutionNotDeletable,
    ExecutionNotFound,
    LogBegins,
    StoreUnavailable,
)
from gateway_node.executions.events import (
    Change,
    Cursor,
    EventKind,
    Happening,
    LogBounds,
    script_subject,
)
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.pages import KeysetPage
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.store_ports import ExecutionStore, RetentionPolicy
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import Execution, ExecutionStatus, Trigger, TriggerType
from gateway_node.scripts.values import Verdict
from gateway_node.storage.database import Database
from gateway_node.storage.identity_store import SqliteIdentityStore

NO_BOUND = RetentionPolicy(max_executions=0, max_age_sec=0, max_failed_age_sec=0)
STARTED_AT = datetime.datetime(2026, 3, 1, 12, 0, 1, tzinfo=datetime.UTC)
COMPLETED_AT = datetime.datetime(2026, 3, 1, 12, 0, 2, tzinfo=datetime.UTC)
A_HAPPENING = Happening(
    kind=EventKind.SCRIPT_UPLOADED,
    subject=script_subject(AN_APP, 'self_test'),
    actor=CLIENT,
    changes={'name': 'check.sh', 'tags': ['brakes']},
)


@pytest.fixture(params=['in_memory', 'sqlite'])
async def identity_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[IdentityStore]:
    """Each implementation, empty."""
    if request.param == 'in_memory':
        yield InMemoryIdentityStore()
        return
    database = await Database.open(tmp_path)
    yield SqliteIdentityStore(database)
    await database.close()


async def started(store: ExecutionStore, execution: Execution) -> Execution:
    """Bring a new execution into the store and to running."""
    await add(store, execution)
    running = advance(execution, ExecutionStatus.RUNNING, started_at=STARTED_AT)
    await update(store, running)
    return running


async def ended(
    store: ExecutionStore, number: int, status: ExecutionStatus = ExecutionStatus.COMPLETED
) -> Execution:
    """Bring a new execution into the store and to its end."""
    running = await started(store, new_execution(number))
    final = advance(running, status, completed_at=COMPLETED_AT)
    await update(store, final, 'exited')
    return final


def of_script(script_id: str) -> ExecutionFilter:
    """Return what finds a script's executions."""
    return ExecutionFilter(entity=AN_APP, script_id=script_id)


async def test_children_are_counted_by_status_and_verdict(store: ExecutionStore) -> None:
    """Of one parent, whatever they are; the schedule that came with it is none of them."""
    parent = new_execution(1, schedule=new_execution(2).id)
    for each in (
        parent,
        new_execution(2, parent=parent.id),
        new_execution(3, parent=parent.id),
        new_execution(4, parent=parent.id, verdict=Verdict.PASS),
        new_execution(5, parent=new_execution(4).id),
    ):
        await add(store, each)
    ended = new_execution(6, parent=parent.id)
    await add(store, ended)
    await update(store, advance(ended, ExecutionStatus.RUNNING, verdict=Verdict.PASS))
    counted = await store.count_children(parent.id, schedule_id=parent.schedule)
    assert counted == ChildCounts(
        by_status={ExecutionStatus.PREPARED: 2, ExecutionStatus.RUNNING: 1},
        by_verdict={Verdict.PASS: 2},
    )
    assert await store.get_with_children(parent.id) == (parent, counted)
    assert (await store.count_children(parent.id)).total == 4
    assert await store.count_children('exec_nobody') == NO_CHILDREN
    assert await store.get_with_children('exec_nobody') is None


async def test_what_was_added_is_found_as_it_was(store: ExecutionStore) -> None:
    """An execution that was added is returned with every field."""
    execution = new_execution(1, input_parameters={'depth': [1, None]}, arguments=('-v',))
    await add(store, execution)
    assert await store.get(execution.id) == execution


async def test_an_unknown_id_finds_nothing(store: ExecutionStore) -> None:
    """The store returns None for an id that it does not hold."""
    assert await store.get('exec_unknown') is None


async def test_an_update_replaces_the_state(store: ExecutionStore) -> None:
    """After an update the new state is returned, and only that."""
    running = await started(store, new_execution(1))
    assert await store.get(running.id) == running


async def test_an_id_is_given_once(store: ExecutionStore) -> None:
    """Adding an id twice is a defect of the caller and changes nothing."""
    running = await started(store, new_execution(1))
    with pytest.raises(ValueError, match=running.id):
        await add(store, new_execution(1))
    assert await store.get(running.id) == running
    assert len(await whole_log(store)) == 2


async def test_what_was_never_added_cannot_be_updated(store: ExecutionStore) -> None:
    """An update of an unknown execution is a defect of the caller and leaves no trace."""
    with pytest.raises(ExecutionNotFound):
        await update(store, new_execution(1))
    assert await store.get(new_execution(1).id) is None
    assert await whole_log(store) == ()


async def test_everything_that_happens_is_one_row_of_the_log(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """Events carry a sequence that grows by one, the moment, the kind, the subject, actor and
    cause, and the fields of the summary that changed."""
    execution = new_execution(1)
    await store.record([Change.first(execution, CLIENT)])
    clock.advance(5)
    running = advance(execution, ExecutionStatus.RUNNING, started_at=STARTED_AT)
    await update(store, running)
    final = advance(running, ExecutionStatus.COMPLETED, completed_at=COMPLETED_AT, exit_code=0)
    await update(store, final, 'exited')
    log = await whole_log(store)
    assert [event.sequence for event in log] == [1, 2, 3]
    path = f'apps/temp_sensor/scripts/self_test/executions/{execution.id}'
    assert {event.subject for event in log} == {path}
    assert log[1].at - log[0].at == datetime.timedelta(seconds=5)
    assert [(event.kind, event.actor, event.cause) for event in log] == [
        (EventKind.EXECUTION_ACCEPTED, CLIENT, 'manual'),
        (EventKind.EXECUTION_RUNNING, GATEWAY, None),
        (EventKind.EXECUTION_ENDED, GATEWAY, 'exited'),
    ]
    assert [event.changes for event in log] == [
        summary_of(execution),
        {'status': 'running', 'started_at': rfc3339(STARTED_AT)},
        {'status': 'completed', 'completed_at': rfc3339(COMPLETED_AT), 'exit_code': 0},
    ]


async def test_the_event_returned_is_the_one_in_the_log(store: ExecutionStore) -> None:
    """What `record` and `remove` return is what the log will tell."""
    execution = new_execution(1, arguments=('-v',), warnings=('odd',))
    told = [
        await add(store, execution),
        await update(store, advance(execution, ExecutionStatus.FAILED), 'stop'),
        *await remove(store, execution.id),
        *await store.record([A_HAPPENING]),
    ]
    assert await whole_log(store) == tuple(told)
    assert told[-2].kind is EventKind.EXECUTION_DELETED
    assert told[-1].changes == A_HAPPENING.changes


async def test_what_is_no_change_of_status_is_in_the_log_too(store: ExecutionStore) -> None:
    """A stop that was accepted, for one."""
    running = await started(store, new_execution(1))
    stopped = running.evolve(stop_trigger=Trigger(type=TriggerType.MANUAL, setting='stop'))
    kind = EventKind.EXECUTION_STOP_ACCEPTED
    (event,) = await store.record([Change(execution=stopped, kind=kind, actor=CLIENT)])
    assert await store.get(running.id) == stopped
    assert event.changes.keys() == {'stop_trigger', 'terminating'}


async def test_what_was_told_of_scripts_is_known(store: ExecutionStore) -> None:
    """The summary of each script is what its happenings made of it; of one that is gone, none."""
    kept, gone = 'apps/arm/scripts/kept', 'apps/arm/scripts/gone'

    def happening(kind: EventKind, subject: str, **changes: Any) -> Happening:
        return Happening(kind=kind, subject=subject, actor=CLIENT, changes=changes)

    uploaded, replaced = EventKind.SCRIPT_UPLOADED, EventKind.SCRIPT_REPLACED
    await store.record(
        [
            happening(uploaded, kept, version='a', tags=['x'], limits={'cpu_sec': 1}),
            happening(uploaded, gone, version='a'),
        ]
    )
    assert set(await store.told_scripts()) == {kept, gone}
    await store.record(
        [
            happening(replaced, kept, version='b', tags=None, limits={'memory_mb': 2}),
            happening(EventKind.SCRIPT_DELETED, gone),
            happening(EventKind.EXECUTION_QUEUED, 'apps/a/scripts/s/executions/e'),
        ]
    )
    told = {kept: {'version': 'b', 'limits': {'memory_mb': 2}}}
    assert await store.told_scripts() == told


async def test_changes_recorded_together_are_kept_together(store: ExecutionStore) -> None:
    """New executions, new states and happenings go into one call; each gets its event."""
    running = await started(store, new_execution(1))
    raised = running.evolve(priority=1)
    ended_one = advance(running, ExecutionStatus.COMPLETED, completed_at=COMPLETED_AT)
    log = await store.record(
        [
            Change.first(new_execution(2), GATEWAY),
            next_change(raised),
            Change.first(new_execution(3), GATEWAY),
            A_HAPPENING,
            next_change(ended_one),
        ]
    )
    assert [(each.sequence, each.subject_id, each.kind.value) for each in log] == [
        (3, new_execution(2).id, 'execution.accepted'),
        (4, running.id, 'execution.running'),
        (5, new_execution(3).id, 'execution.accepted'),
        (6, 'self_test', 'script.uploaded'),
        (7, running.id, 'execution.ended'),
    ]
    assert (await whole_log(store))[2:] == log
    assert await store.get(running.id) == ended_one
    assert await store.open_executions() == (new_execution(2), new_execution(3))


@pytest.mark.parametrize(
    ('wrong', 'error'),
    [
        (Change.first(new_execution(1), GATEWAY), ValueError),
        (next_change(new_execution(9)), ExecutionNotFound),
    ],
)
async def test_changes_recorded_together_are_kept_all_or_none(
    store: ExecutionStore, wrong: Change, error: type[Exception]
) -> None:
    """One change that cannot be kept leaves no trace of the others."""
    execution = new_execution(1)
    await add(store, execution)
    changes = [
        Change.first(new_execution(2), GATEWAY),
        next_change(execution.evolve(priority=1)),
        wrong,
    ]
    with pytest.raises(error):
        await store.record(changes)
    assert await store.open_executions() == (execution,)
    assert len(await whole_log(store)) == 1
    assert (await store.counts())[ExecutionStatus.PREPARED] == 1
    assert await store.last_id() == execution.id


async def test_changes_recorded_together_are_told_one_by_one(store: ExecutionStore) -> None:
    """Each has an event with what it changed, in order, and the last one is what is kept."""
    execution, other = new_execution(1), new_execution(2)
    await add(store, execution)
    await add(store, other)
    running = advance(execution, ExecutionStatus.RUNNING, started_at=STARTED_AT)
    final = advance(running, ExecutionStatus.COMPLETED, completed_at=COMPLETED_AT)
    states = [running, running.evolve(priority=1), final.evolve(priority=1, exit_code=0)]
    news = [next_change(each) for each in states]
    other_running = advance(other, ExecutionStatus.RUNNING, started_at=STARTED_AT)
    events = await store.record([*news, A_HAPPENING, next_change(other_running)])
    assert [(each.kind, dict(each.changes)) for each in events] == [
        (
            EventKind.EXECUTION_RUNNING,
            {'status': 'running', 'started_at': rfc3339(STARTED_AT)},
        ),
        (EventKind.EXECUTION_RUNNING, {'priority': 1}),
        (
            EventKind.EXECUTION_ENDED,
            {'status': 'completed', 'completed_at': rfc3339(COMPLETED_AT), 'exit_code': 0},
        ),
        (A_HAPPENING.kind, A_HAPPENING.changes),
        (
            EventKind.EXECUTION_RUNNING,
            {'status': 'running', 'started_at': rfc3339(STARTED_AT)},
        ),
    ]
    assert events == (await whole_log(store))[2:]
    assert await store.get(execution.id) == states[-1]
    found = await store.find(ExecutionFilter(exit_codes=frozenset({0})), KeysetPage(limit=-2))
    assert found.executions == (as_listed(states[-1]),)
    assert (await store.counts())[ExecutionStatus.COMPLETED] == 1


async def test_nothing_to_record_is_fine(store: ExecutionStore) -> None:
    """No news mean no events."""
    assert await store.record([]) == ()


async def test_the_log_is_read_in_parts(store: ExecutionStore) -> None:
    """`after` and `limit` cut the log without gap or overlap."""
    for number in range(1, 4):
        await started(store, new_execution(number))
    (epoch,) = {event.epoch for event in await whole_log(store)}
    places = [Cursor(epoch=epoch, sequence=sequence) for sequence in (0, 2, 4, 6)]
    parts = [await store.log.events(place, limit=2) for place in places]
    assert [[each.sequence for each in part] for part in parts] == [[1, 2], [3, 4], [5, 6], []]
    assert (await store.log.bounds()) == LogBounds(begins=places[0], ends=places[-1])


@pytest.mark.parametrize(('epoch', 'sequence'), [('another', 1), (None, 3), (None, -1)])
async def test_the_log_says_where_it_begins(
    store: ExecutionStore, epoch: str | None, sequence: int
) -> None:
    """A place that it does not reach back to, of another history, or that it has not come to
    yet, is refused."""
    await started(store, new_execution(1))
    bounds = await store.log.bounds()
    after = Cursor(epoch=epoch or bounds.begins.epoch, sequence=sequence)
    with pytest.raises(LogBegins) as refused:
        await store.log.events(after, limit=10)
    assert (refused.value.after, refused.value.begins) == (after, bounds.begins)
    assert len(await store.log.events(refused.value.begins, limit=10)) == 2


async def test_a_page_is_newest_first_and_tells_of_more(store: ExecutionStore) -> None:
    """Pages follow one another by the last id of the one before."""
    for number in range(1, 6):
        await add(store, new_execution(number))
    first = await store.find(of_script('self_test'), KeysetPage(limit=-2))
    second = await store.find(
        of_script('self_test'), KeysetPage(limit=-2, reference=first.executions[-1].id)
    )
    third = await store.find(
        of_script('self_test'), KeysetPage(limit=-2, reference=second.executions[-1].id)
    )
    numbers = [[int(e.id[-2:]) for e in page.executions] for page in (first, second, third)]
    assert numbers == [[5, 4], [3, 2], [1]]
    assert [page.more for page in (first, second, third)] == [
        first.executions[-1].id,
        second.executions[-1].id,
        None,
    ]


async def test_a_page_holds_one_script_of_one_entity(store: ExecutionStore) -> None:
    """Executions of other scripts, and of the component with the app's id, are left out."""
    component = EntityRef(entity_type=EntityType.COMPONENT, entity_id=AN_APP.entity_id)
    await add(store, new_execution(1))
    await add(store, new_execution(2, script_id='other'))
    await add(store, new_execution(3, entity=component))
    page = await store.find(of_script('self_test'), KeysetPage(limit=-10))
    assert [execution.id for execution in page.executions] == [new_execution(1).id]
    assert (await store.find(of_script('unknown'), KeysetPage(limit=-10))).executions == ()


async def test_removed_executions_leave_tombstones(store: ExecutionStore) -> None:
    """Nothing of them is left but what the log tells, and nothing of others goes with them; who
    is not known, as somebody else was quicker, is no matter."""
    first, second, third = [await ended(store, number) for number in range(1, 4)]
    before = await whole_log(store)
    tombstones = await remove(store, first.id, 'exec_unknown', third.id)
    assert await store.get(first.id) is None
    assert [event.subject_id for event in tombstones] == [first.id, third.id]
    assert {event.kind for event in tombstones} == {EventKind.EXECUTION_DELETED}
    assert {event.cause for event in tombstones} == {'retention'}
    assert await whole_log(store) == before + tombstones
    assert (await store.find(of_script('self_test'), KeysetPage(limit=-10))).executions == (
        second,
    )
    assert await remove(store, first.id) == ()


async def test_an_open_execution_cannot_be_removed(store: ExecutionStore) -> None:
    """Only what has ended can be removed; nothing goes where one of them is open."""
    final = await ended(store, 2)
    running = await started(store, new_execution(1))
    with pytest.raises(ExecutionNotDeletable):
        await remove(store, final.id, running.id)
    assert await store.get(running.id) == running
    assert await store.get(final.id) == final


async def test_the_greatest_id_outlives_its_execution(store: ExecutionStore) -> None:
    """`last_id` is the greatest id ever given, whatever was added later or removed."""
    assert await store.last_id() is None
    final = await ended(store, 9)
    await add(store, new_execution(3))
    assert await store.last_id() == final.id
    await remove(store, final.id)
    assert await store.last_id() == final.id
    await add(store, new_execution(10))
    assert await store.last_id() == new_execution(10).id


async def test_open_executions_are_those_without_a_final_status(store: ExecutionStore) -> None:
    """Prepared, running and scheduled ones are open, oldest first."""
    schedule = new_execution(3, as_schedule=Schedule())
    await add(store, schedule)
    await ended(store, 2)
    running = await started(store, new_execution(1))
    assert await store.open_executions() == (running, schedule)


async def test_counts_follow_every_change(store: ExecutionStore) -> None:
    """Every status is counted, those without an execution as 0."""
    assert await store.counts() == dict.fromkeys(ExecutionStatus, 0)
    await add(store, new_execution(1))
    await started(store, new_execution(2))
    await ended(store, 3)
    failed = await ended(store, 4, ExecutionStatus.FAILED)
    await ended(store, 5, ExecutionStatus.FAILED)
    await remove(store, failed.id)
    assert await store.counts() == {
        ExecutionStatus.PREPARED: 1,
        ExecutionStatus.RUNNING: 1,
        ExecutionStatus.COMPLETED: 1,
        ExecutionStatus.FAILED: 1,
        ExecutionStatus.TERMINATED: 0,
    }


async def test_the_entities_are_those_of_all_executions(store: ExecutionStore) -> None:
    """Each entity with an execution, open or ended, is named once; removed ones do not count."""
    assert await store.entities() == frozenset()
    others = [
        EntityRef(entity_type=entity_type, entity_id=entity_id)
        for entity_type in EntityType
        for entity_id in ('arm', 'wheel')
    ]
    for number, entity in enumerate(others * 2):
        await add(store, new_execution(number, entity=entity))
    final = await ended(store, 20)
    assert await store.entities() == {*others, AN_APP}
    await remove(store, final.id)
    assert await store.entities() == set(others)


async def test_shrinking_is_always_allowed(store: ExecutionStore) -> None:
    """Giving room back changes nothing of what is kept."""
    kept, removed = await ended(store, 1), await ended(store, 2)
    await remove(store, removed.id)
    await store.shrink()
    assert await store.get(kept.id) == kept


async def test_without_bounds_nothing_expires(store: ExecutionStore, clock: FakeClock) -> None:
    """0 sets no bound."""
    await ended(store, 1)
    clock.advance(1e9)
    assert await store.expired(NO_BOUND, limit=10) == ()


async def test_the_longest_ended_expire_past_the_count(store: ExecutionStore) -> None:
    """Beyond `max_executions` the ended ones expire; open ones neither count nor expire."""
    await add(store, new_execution(1, as_schedule=Schedule()))
    await started(store, new_execution(2))
    final = [await ended(store, number) for number in range(3, 7)]
    policy = RetentionPolicy(max_executions=2, max_age_sec=0, max_failed_age_sec=0)
    assert await store.expired(policy, limit=10) == (final[0].id, final[1].id)
    assert await store.expired(policy, limit=1) == (final[0].id,)


async def test_age_counts_from_the_end(store: ExecutionStore, clock: FakeClock) -> None:
    """An execution expires when more than the allowed time has passed since it ended."""
    await add(store, new_execution(1))
    clock.advance(100)
    final = await ended(store, 2)
    policy = RetentionPolicy(max_executions=0, max_age_sec=10, max_failed_age_sec=10)
    clock.advance(10)
    assert await store.expired(policy, limit=10) == ()
    clock.advance(1)
    assert await store.expired(policy, limit=10) == (final.id,)


async def test_failed_ones_have_an_age_of_their_own(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """`max_failed_age_sec` takes the place of `max_age_sec` for failed executions."""
    failed = await ended(store, 1, ExecutionStatus.FAILED)
    completed = await ended(store, 2)
    terminated = await ended(store, 3, ExecutionStatus.TERMINATED)
    policy = RetentionPolicy(max_executions=0, max_age_sec=10, max_failed_age_sec=20)
    clock.advance(15)
    assert await store.expired(policy, limit=10) == (completed.id, terminated.id)
    clock.advance(15)
    assert await store.expired(policy, limit=10) == (failed.id, completed.id, terminated.id)
    keep_failed = RetentionPolicy(max_executions=0, max_age_sec=10, max_failed_age_sec=0)
    assert failed.id not in await store.expired(keep_failed, limit=10)


async def test_a_jump_of_the_wall_clock_expires_nothing(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """Ages are measured with the monotonic clock."""
    await ended(store, 1)
    clock.wall += datetime.timedelta(days=3650)
    policy = RetentionPolicy(max_executions=0, max_age_sec=10, max_failed_age_sec=10)
    assert await store.expired(policy, limit=10) == ()


async def test_a_later_change_does_not_make_an_ended_one_younger(
    store: ExecutionStore, clock: FakeClock
) -> None:
    """The age counts from the moment at which the final status was kept first."""
    final = await ended(store, 1)
    clock.advance(11)
    await update(store, final.evolve(leftover_processes=1), None)
    policy = RetentionPolicy(max_executions=0, max_age_sec=10, max_failed_age_sec=10)
    assert await store.expired(policy, limit=10) == (final.id,)


async def test_writes_are_kept_in_the_order_in_which_they_were_begun(
    store: ExecutionStore,
) -> None:
    """Of several writes begun without waiting, the last one begun has the last word."""
    running = await started(store, new_execution(1))
    await asyncio.gather(
        *(update(store, running.evolve(priority=priority), None) for priority in range(50))
    )
    kept = await store.get(running.id)
    assert kept is not None
    assert kept.priority == 49


async def test_a_closed_store_is_unavailable(store: ExecutionStore) -> None:
    """After `close` nothing is kept and nothing pretends; closing again is harmless."""
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await add(store, new_execution(1))
    with pytest.raises(StoreUnavailable):
        await store.get(new_execution(1).id)


async def test_identities_come_back_in_order(identity_store: IdentityStore) -> None:
    """What was saved is loaded again in the same order."""
    assert await identity_store.load_identities() == ()
    identities = tuple(
        Identity(
            ref=EntityRef(entity_type=entity_type, entity_id=entity_id),
            holder=f'/{entity_id}',
            unseen_sec=unseen_sec,
        )
        for entity_id, unseen_sec in (('wheel', 0.0), ('arm', 3600.25))
        for entity_type in EntityType
    )
    await identity_store.save_identities(identities)
    assert await identity_store.load_identities() == identities


async def test_saving_identities_replaces_the_earlier_ones(identity_store: IdentityStore) -> None:
    """Exactly the pairs saved last are kept."""
    for entity_id in ('wheel', 'arm'):
        ref = EntityRef(entity_type=EntityType.APP, entity_id=entity_id)
        await identity_store.save_identities([Identity(ref=ref, holder='/node')])
    (kept,) = await identity_store.load_identities()
    assert kept.ref.entity_id == 'arm'


async def test_the_versions_that_executions_name_are_known(store: ExecutionStore) -> None:
    """Of one script, each with the number of its executions, as long as any names it."""
    first = [new_execution(number, script_version='a') for number in (1, 2)]
    second = new_execution(3, script_version='b')
    for execution in (*first, second, new_execution(4, script_id='other')):
        await add(store, execution)
    assert await store.versions_named('self_test') == {'a': 2, 'b': 1}
    # What waited runs in the version that there is when its turn comes.
    started = advance(second, ExecutionStatus.RUNNING, script_version='c', started_at=STARTED_AT)
    await update(store, started)
    assert await store.versions_named('self_test') == {'a': 2, 'c': 1}
    for execution in first:
        assert 'a' in await store.versions_named('self_test')
        await update(store, advance(execution, ExecutionStatus.FAILED, completed_at=COMPLETED_AT))
        await remove(store, execution.id)
    assert await store.versions_named('self_test') == {'c': 1}
    assert await store.versions_named('nobody') == {}
