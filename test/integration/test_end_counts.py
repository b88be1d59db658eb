# SPDX-License-Identifier: Apache-2.0
"""Ends counted beside the executions: what they tell, and what of it stays."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
import datetime
from pathlib import Path
import sqlite3
import tempfile
from typing import Any

from fakes import (
    add,
    FakeClock,
    new_execution,
    remove,
    update,
)
from hypothesis import given, settings
from hypothesis import strategies as st
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.filters import ExecutionFilter, Moments
from gateway_node.executions.scanned_statistics import Statistics
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.scopes import Scope
from gateway_node.executions.statistics import (
    EndStatistics,
    Interval,
    LastExecution,
    NOTHING,
    ScriptOfEntity,
)
from gateway_node.executions.store_ports import ExecutionStore
from gateway_node.executions.transitions import advance
from gateway_node.executions.values import (
    Execution,
    ExecutionStatus,
    ExecutionType,
    FINAL_STATUSES,
    Trigger,
    TriggerType,
)
from gateway_node.scripts.values import Verdict
from gateway_node.storage import end_counts
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.statistics_schema import STATISTICS

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
ALL = ExecutionFilter()
STOPPED: dict[str, Any] = {'status': ExecutionStatus.TERMINATED, 'duration_ms': None}
OPEN = {
    'status': ExecutionStatus.PREPARED,
    'started_at': None,
    'completed_at': None,
    'duration_ms': None,
    'failure': None,
    'verdict': None,
}
"""What an execution is before it ends."""


async def open_store(state_dir: Path) -> SqliteExecutionStore:
    """Return the store of a state directory."""
    return await SqliteExecutionStore.open(await Database.open(state_dir), FakeClock())


def ended(number: int, at: datetime.datetime = NOON, **fields: Any) -> Execution:
    """Return an execution that completed at some time, as it is before `put` records it."""
    defaults = {'status': ExecutionStatus.COMPLETED, 'completed_at': at, 'duration_ms': 1000}
    return new_execution(number, **(defaults | fields))


async def put(store: ExecutionStore, *executions: Execution) -> None:
    """Record executions: as accepted, and as they ended."""
    for execution in executions:
        await add(store, execution.evolve(**OPEN))
        await update(store, execution)


async def test_ends_are_counted_by_how_they_ended(store: ExecutionStore) -> None:
    """Status, vendor code, verdict, script and entity; durations where they were measured."""
    timeout = Failure(reason=FailureReason.TIMEOUT, message='too long')
    await put(
        store,
        ended(1, verdict=Verdict.PASS, script_name='old.sh', duration_ms=500),
        ended(2, verdict=Verdict.FAIL, script_name='new.sh', duration_ms=1500),
        ended(3, status=ExecutionStatus.FAILED, failure=timeout, script_id='other'),
        ended(
            4,
            status=ExecutionStatus.TERMINATED,
            entity=EntityRef.from_path('components/arm'),
            duration_ms=None,
        ),
    )
    found = await store.end_counts.ended(ALL)
    assert found.statuses == {
        ExecutionStatus.COMPLETED: 2,
        ExecutionStatus.FAILED: 1,
        ExecutionStatus.TERMINATED: 1,
    }
    assert found.vendor_codes == {'x-gateway-timeout': 1}
    assert found.verdicts == {'PASS': 1, 'FAIL': 1}
    assert found.entities == {'apps/temp_sensor': 3, 'components/arm': 1}
    assert [(*each.script, each.name, each.executions) for each in found.scripts] == [
        ('apps/temp_sensor', 'self_test', 'new.sh', 2),
        ('apps/temp_sensor', 'other', None, 1),
        ('components/arm', 'self_test', None, 1),
    ]
    assert found.total.executions == 4
    assert found.total.durations.count == 3
    assert found.total.durations.mean_ms == 1000
    assert found.success_rate == pytest.approx(2 / 3)


async def test_what_is_removed_stays_counted(store: ExecutionStore) -> None:
    """By retention or by a client."""
    await put(store, ended(1), ended(2))
    await remove(store, ended(1).id, ended(2).id)
    # The number of a row may be given again, and the next one counts all the same.
    await put(store, ended(3))
    assert (await store.end_counts.ended(ALL)).total.executions == 3


async def test_an_end_that_is_told_twice_is_counted_once(store: ExecutionStore) -> None:
    """As where the gateway did not hear that the first record of it was kept."""
    await put(store, ended(1))
    await update(store, ended(1))
    assert (await store.end_counts.ended(ALL)).total.executions == 1


async def test_an_execution_that_is_open_is_not_counted(store: ExecutionStore) -> None:
    """Nor is one that runs."""
    await add(store, new_execution(1))
    await update(store, advance(new_execution(1), ExecutionStatus.RUNNING, started_at=NOON))
    assert (await store.end_counts.ended(ALL)).total == NOTHING


async def test_a_schedule_that_started_nothing_is_no_execution(store: ExecutionStore) -> None:
    """What it started counts, and what ends before its start; whatever else is asked for."""
    gone = Failure(reason=FailureReason.SCRIPT_GONE, message='gone')
    absent = Failure(reason=FailureReason.ENTITY_ABSENT, message='absent')
    failed: dict[str, Any] = {'status': ExecutionStatus.FAILED, 'duration_ms': None}
    by_schedule = Trigger(type=TriggerType.RESTART, setting='exec_1')
    for number, kind in enumerate(set(ExecutionType) - {ExecutionType.NOW}):
        for each in (
            ended(10 * number + 1, execution_type=kind, **STOPPED),
            ended(10 * number + 2, execution_type=kind, failure=gone, **failed),
        ):
            assert each.ended_as_schedule
            await add(store, each.evolve(**OPEN, as_schedule=Schedule()))
            await update(store, each)
    executed = [
        ended(51, execution_type=ExecutionType.ON_RESTART, trigger=by_schedule, **STOPPED),
        ended(52, execution_type=ExecutionType.NOW_AND_ON_RESTART, schedule='exec_1', **STOPPED),
        ended(53, execution_type=ExecutionType.ONCE_ON_RESTART, started_at=NOON, **STOPPED),
        ended(54, execution_type=ExecutionType.ONCE_ON_RESTART, failure=absent, **failed),
        ended(55, **STOPPED),
    ]
    await put(store, *executed)
    await add(store, ended(56, execution_type=ExecutionType.ON_RESTART, **STOPPED))
    for wanted in (ALL, ExecutionFilter(scheduled=False)):
        found = await Statistics(store, FakeClock()).ended(wanted)
        assert found.total.executions == len(executed)
    self_test = ScriptOfEntity(entity='apps/temp_sensor', script_id='self_test')
    known = (await store.end_counts.of_scripts([self_test]))[self_test]
    assert known.ended.executions == len(executed)
    assert known.last is not None
    assert known.last.status is ExecutionStatus.TERMINATED


@pytest.mark.parametrize(
    ('scope', 'seen'),
    [
        (Scope(entities=('apps/*',)), 3),
        (Scope(entities=('components/*',)), 0),
        (Scope(scripts=('self_*',)), 3),
        (Scope(scripts=('old*',)), 1),
        (Scope(scripts=('new*',)), 2),
        (Scope(tags=('brakes',)), 1),
        (Scope(tags=('*',), scripts=('new*',)), 0),
        (Scope(tags=()), 0),
    ],
)
async def test_what_a_script_did_is_told_as_far_as_it_is_seen(
    store: ExecutionStore, scope: Scope, seen: int
) -> None:
    """By names and tags as they were then: they may be others now."""
    await put(
        store,
        ended(1, script_name='old.sh', script_tags=('brakes',)),
        ended(2, script_name='new.sh'),
        ended(3, script_name='new.sh', status=ExecutionStatus.FAILED),
    )
    self_test = ScriptOfEntity(entity='apps/temp_sensor', script_id='self_test')
    found = await Statistics(store, FakeClock()).seen_by(scope).of_scripts([self_test])
    assert found[self_test].ended.executions == seen
    last = found[self_test].last
    assert (last is None) == (seen == 0)
    if last is not None:
        is_newest = scope.scripts != ('old*',) and scope.tags is None
        assert (last.status is ExecutionStatus.FAILED) == is_newest


async def test_what_a_script_did_last_is_no_schedule_that_was_stopped(
    store: ExecutionStore,
) -> None:
    """It did nothing then."""
    await put(store, ended(1))
    await put(store, ended(2, execution_type=ExecutionType.ON_RESTART, **STOPPED))
    self_test = ScriptOfEntity(entity='apps/temp_sensor', script_id='self_test')
    known = (await store.end_counts.of_scripts([self_test]))[self_test]
    assert known.last is not None
    assert known.last.status is ExecutionStatus.COMPLETED


async def test_an_hour_that_is_cut_counts_as_a_whole(store: ExecutionStore) -> None:
    """The answer tells which time was counted."""
    hour = datetime.timedelta(hours=1)
    await put(store, ended(1, NOON - hour), ended(2), ended(3, NOON + hour))
    half = datetime.timedelta(minutes=30)
    wanted = ExecutionFilter(
        completed=Moments(after=NOON + half, before=NOON + half + datetime.timedelta(minutes=1))
    )
    found = await store.end_counts.ended(wanted)
    assert found.total.executions == 1
    assert found.counted == Moments(after=NOON, before=NOON + hour)


@pytest.mark.parametrize(
    'at',
    [
        datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(2106, 2, 7, 6, 28, 16, tzinfo=datetime.UTC),
        datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC),
    ],
)
async def test_any_clock_will_do(store: ExecutionStore, at: datetime.datetime) -> None:
    """A robot's clock may begin in 1970, and be set to any year."""
    await put(store, ended(1, at), ended(2, NOON), *(ended(3 + each, at) for each in range(40)))
    found = await store.end_counts.ended(ALL, Interval.DAY)
    assert found.total.executions == 42
    assert {point.begins.year for point in found.points} == {at.year, NOON.year}


@pytest.mark.parametrize('around', [[], [NOON], [datetime.datetime(9999, 12, 31, 23, 30)]])
async def test_any_time_can_be_asked_for(
    store: ExecutionStore, around: list[datetime.datetime]
) -> None:
    """The last hour that there is ends at the last moment that there is."""
    await put(store, *(ended(1, at.replace(tzinfo=datetime.UTC)) for at in around))
    earliest, latest = (
        each.replace(tzinfo=datetime.UTC)
        for each in (datetime.datetime.min, datetime.datetime.max)
    )
    for before in (latest, latest.replace(microsecond=0), latest.replace(minute=0, second=1)):
        found = await store.end_counts.ended(
            ExecutionFilter(completed=Moments(after=earliest, before=before)), Interval.HOUR
        )
        assert found.counted == Moments(after=earliest, before=latest)
        assert found.total.executions == len(around)


async def test_a_script_is_known_by_what_it_did_last_and_how_often(
    store: ExecutionStore,
) -> None:
    """A schedule is nothing that it did; a script that did nothing is known by that."""
    self_test = ScriptOfEntity(entity='apps/temp_sensor', script_id='self_test')
    unused = self_test._replace(script_id='unused')
    other = self_test._replace(entity='apps/arm')
    await put(store, ended(1), ended(2, verdict=Verdict.WARN, duration_ms=3000))
    await add(store, new_execution(3, as_schedule=Schedule()))
    await put(store, ended(4, entity=EntityRef.from_path('apps/arm')))
    await remove(store, ended(1).id, ended(4).id)
    found = await store.end_counts.of_scripts([self_test, unused, other])
    assert found[self_test].last == LastExecution(
        status=ExecutionStatus.COMPLETED,
        verdict='WARN',
        created_at=new_execution(2).created_at,
        completed_at=NOON,
    )
    assert found[self_test].ended.executions == 2
    assert (found[unused].last, found[unused].ended) == (None, NOTHING)
    assert (found[other].last, found[other].ended.executions) == (None, 1)


async def test_others_get_a_turn_while_many_scripts_are_asked_for(tmp_path: Path) -> None:
    """One thread reads for all: no question holds it for a thousand scripts."""
    store = await open_store(tmp_path)
    await put(store, ended(1))
    script = ScriptOfEntity(entity='apps/temp_sensor', script_id='self_test')
    unused = (script._replace(script_id=f'unused_{number}') for number in range(500))
    asking = asyncio.create_task(store.end_counts.of_scripts([script, *unused]))
    await asyncio.sleep(0)
    await store.counts()
    assert not asking.done()
    found = await asking
    assert len(found) == 501
    assert found[script].ended.executions == 1
    await store.close()


async def test_ends_are_counted_where_an_earlier_version_kept_them(tmp_path: Path) -> None:
    """The migration counts the executions that there are, once."""
    store = await open_store(tmp_path)
    await put(store, ended(1), ended(2, verdict=Verdict.PASS))
    await add(store, new_execution(3))
    await put(store, ended(4, execution_type=ExecutionType.ON_RESTART, **STOPPED))
    counted = await store.end_counts.ended(ALL, Interval.HOUR)
    await store.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        for table in ('end_counts', 'counted_periods', 'end_kinds', 'uncounted_ends'):
            connection.execute(f'DELETE FROM {table}')
        connection.execute(STATISTICS[-1])
    connection.close()
    store = await open_store(tmp_path)
    assert await store.end_counts.ended(ALL, Interval.HOUR) == counted
    await store.close()


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep little, so that a test reaches the bounds."""
    monkeypatch.setattr(end_counts, 'MAX_UNCOUNTED', 1)
    monkeypatch.setattr(end_counts, 'MAX_PERIODS', 3)
    monkeypatch.setattr(end_counts, 'MAX_KINDS', 10)


@pytest.mark.usefixtures('small_bounds')
async def test_old_hours_are_counted_with_their_days(tmp_path: Path) -> None:
    """What was counted longest ago goes first, whatever the clock said; totals stay. A time that
    cuts a day whose hours are gone takes all of it."""
    store = await open_store(tmp_path)
    hours = [NOON + datetime.timedelta(hours=each) for each in (0, 1, 2, -9, -8)]
    await put(store, *(ended(number, at) for number, at in enumerate(hours)))
    found = await store.end_counts.ended(ALL, Interval.HOUR)
    assert found.total.executions == 5
    assert [point.begins for point in found.points] == [hours[3], hours[4], hours[2]]
    midnight = NOON.replace(hour=0)
    cut = await store.end_counts.ended(
        ExecutionFilter(completed=Moments(after=NOON, before=NOON + datetime.timedelta(days=9)))
    )
    assert cut.total.executions == 5
    assert cut.counted == Moments(after=midnight, before=NOON + datetime.timedelta(days=9))
    await store.close()


@pytest.mark.usefixtures('small_bounds')
async def test_scripts_without_end_take_no_room_without_end(tmp_path: Path) -> None:
    """The scripts that ended last are told by name; totals tell of all."""
    store = await open_store(tmp_path)
    await put(store, *(ended(number, script_id=f'script_{number}') for number in range(50)))
    found = await store.end_counts.ended(ALL)
    await store.close()
    assert found.total.executions == 50
    assert found.scripts[-1].script.script_id == 'script_49'
    assert len(found.scripts) <= 10
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        (kinds,) = connection.execute('SELECT count(*) FROM end_kinds').fetchone()
        (counts,) = connection.execute('SELECT count(*) FROM end_counts').fetchone()
    connection.close()
    assert kinds <= 10
    assert counts <= 4 * 10


EXECUTIONS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    st.builds(
        dict,
        status=st.sampled_from(sorted(FINAL_STATUSES, key=lambda each: each.value)),
        reason=st.sampled_from([FailureReason.TIMEOUT, FailureReason.SCRIPT_GONE]),
        execution_type=st.sampled_from([ExecutionType.NOW, ExecutionType.ON_RESTART]),
        trigger=st.sampled_from(
            [Trigger(type=each) for each in (TriggerType.MANUAL, TriggerType.RESTART)]
        ),
        schedule=st.sampled_from([None, 'exec_1']),
        started_at=st.sampled_from([None, NOON]),
        verdict=st.sampled_from([None, Verdict.PASS, Verdict.FAIL]),
        entity=st.sampled_from(['apps/arm', 'apps/armed', 'components/arm']),
        script_id=st.sampled_from(['script_1', 'script_2']),
        script_name=st.sampled_from([None, 'check.sh', 'script_1']),
        hours=st.sampled_from([0, 1, 23, 24, 24 * 31, 24 * 365, 24 * 366 + 5]),
        duration_ms=st.one_of(st.none(), st.integers(0, 10**9)),
    ),
    max_size=70,
)


def some(values: Sequence[Any]) -> st.SearchStrategy[frozenset[Any] | None]:
    """Return a filter of one field, or none."""
    return st.one_of(st.none(), st.frozensets(st.sampled_from(values), min_size=1, max_size=2))


def moment() -> st.SearchStrategy[datetime.datetime | None]:
    """Return a full hour to cut time at, or none."""
    hours = st.sampled_from([0, 1, 2, 24, 25, 24 * 31, 24 * 300, 24 * 366, 24 * 366 + 6])
    return st.one_of(st.none(), hours.map(lambda each: NOON + datetime.timedelta(hours=each)))


GLOBS = st.none() | st.lists(
    st.sampled_from(['apps/a*', '*/arm', 'script_?', 'check*', '*']), max_size=2
).map(tuple)
FILTERS = st.builds(
    ExecutionFilter,
    scope=st.builds(Scope, entities=GLOBS, scripts=GLOBS),
    entity=st.sampled_from([None, None, EntityRef.from_path('apps/arm')]),
    statuses=some([*ExecutionStatus]),
    vendor_codes=some(['x-gateway-timeout', 'x-gateway-unheard-of']),
    verdicts=some([*Verdict]),
    entities=some(['apps/arm', '*/arm', 'apps/*', 'apps/a?m']),
    scripts=some(['script_1', 'check.sh']),
    completed=st.builds(Moments, after=moment(), before=moment()),
)


@settings(max_examples=40)
@given(
    executions=EXECUTIONS,
    wanted=st.lists(FILTERS, min_size=1, max_size=5),
    interval=st.sampled_from(Interval),
)
async def test_counts_tell_what_the_executions_tell(
    executions: list[dict[str, Any]], wanted: list[ExecutionFilter], interval: Interval
) -> None:
    """As long as nothing is removed, and time is cut at full hours."""
    with tempfile.TemporaryDirectory() as folder:
        store = await open_store(Path(folder))
        for number, fields in enumerate(executions):
            await put(store, _execution(number, **fields))
        for each in wanted:
            counted = await store.end_counts.ended(each, interval)
            # What counts cannot answer, and holds for every one that ended.
            one_by_one = replace(each, scheduled=False)
            statistics = Statistics(store, FakeClock()).seen_by(each.scope)
            scanned = await statistics.ended(one_by_one, interval)
            assert _without_names(counted) == _without_names(scanned)
        await store.close()


def _execution(
    number: int, *, hours: int, reason: FailureReason, entity: str, **fields: Any
) -> Execution:
    failed = fields['status'] is ExecutionStatus.FAILED
    return ended(
        number,
        NOON + datetime.timedelta(hours=hours, minutes=30),
        failure=Failure(reason=reason, message='') if failed else None,
        entity=EntityRef.from_path(entity),
        **fields,
    )


def _without_names(statistics: EndStatistics) -> Any:
    """Return what does not depend on the order in which executions were looked at."""
    scripts = [(each.script, each.executions) for each in statistics.scripts]
    return {**vars(statistics), 'scripts': scripts}
