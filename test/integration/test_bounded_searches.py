# SPDX-License-Identifier: Apache-2.0
"""What a search reads: one walk along an index for each page, and never more than its bounds."""

from collections.abc import AsyncIterator
from dataclasses import replace
import datetime
from pathlib import Path
import random
import sqlite3

from executions_at_random import execution_at_random, filters, NOON
from fakes import AN_APP, FakeClock, new_execution
from hypothesis import given, HealthCheck, settings, strategies
import pytest

from gateway_node.executions.actors import GATEWAY
from gateway_node.executions.events import Change
from gateway_node.executions.filters import (
    ExecutionFilter,
    InstanceFilter,
    Moments,
    TriggerFilter,
)
from gateway_node.executions.ids import number_of
from gateway_node.executions.pages import FoundPage, KeysetPage, NumberedPage, Order
from gateway_node.executions.summary_texts import parts_of
from gateway_node.executions.values import ExecutionStatus, TriggerType
from gateway_node.scripts.values import Verdict
from gateway_node.storage.database import Database, FILE_NAME
from gateway_node.storage.execution_store import SqliteExecutionStore
from gateway_node.storage.numbered_searches import find_numbered_page
from gateway_node.storage.searches import Bounds, find_page
from gateway_node.storage.set_backs import EVERYWHERE, spans_of
from gateway_node.storage.walks import Direction, numbers_query, Query, rows_query, walks_of

FEW = Bounds(rows=3, parameter_bytes=1)
AN_ID = new_execution(7).id
NIGHTLY = InstanceFilter(script='self_test', name='nightly')
WALKED = {
    'status': ExecutionFilter(statuses=frozenset({ExecutionStatus.FAILED})),
    'open': ExecutionFilter(statuses=frozenset({ExecutionStatus.RUNNING})),
    'entity': ExecutionFilter(entity=AN_APP),
    'entities': ExecutionFilter(entities=frozenset({'apps/arm', 'apps/arm_2'})),
    'script': ExecutionFilter(script_id='self_test'),
    'script of an entity': ExecutionFilter(entity=AN_APP, script_id='self_test'),
    'scripts': ExecutionFilter(scripts=frozenset({'self_test', 'Self test'})),
    'tag': ExecutionFilter(tags=frozenset({'brakes'})),
    'tags': ExecutionFilter(tags=frozenset({'brakes', 'front_left'})),
    'exit_code': ExecutionFilter(exit_codes=frozenset({1})),
    'vendor_code': ExecutionFilter(vendor_codes=frozenset({'x-gateway-timeout'})),
    'trigger': ExecutionFilter(triggers=frozenset({TriggerFilter(type=TriggerType.RESTART)})),
    'instance': ExecutionFilter(instances=frozenset({NIGHTLY})),
    'instances': ExecutionFilter(instances=frozenset({NIGHTLY, replace(NIGHTLY, name='verbose')})),
    'firing': ExecutionFilter(firings=frozenset({41})),
    'firings': ExecutionFilter(firings=frozenset({3, 41})),
    'username': ExecutionFilter(usernames=frozenset({'ann'})),
    'parent': ExecutionFilter(parents=frozenset({AN_ID})),
    'schedule': ExecutionFilter(schedules=frozenset({AN_ID})),
    'verdict': ExecutionFilter(verdicts=frozenset({Verdict.FAIL})),
    'terminating': ExecutionFilter(terminating=True),
    'all': ExecutionFilter(),
}


def ids_of(page: FoundPage[str]) -> list[str]:
    """Return the ids of what a page found."""
    return [parts_of(text).execution_id for text in page.executions]


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[sqlite3.Connection]:
    """Read a store of executions at random."""
    chance = random.Random(1)
    known = [execution_at_random(chance, number) for number in range(60)]
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    await store.record([Change.first(each, GATEWAY) for each in known])
    await store.close()
    reader = sqlite3.connect(tmp_path / FILE_NAME)
    yield reader
    reader.close()


def plan_of(connection: sqlite3.Connection, query: Query) -> list[str]:
    """Return the steps of a query's plan."""
    rows = connection.execute(f'EXPLAIN QUERY PLAN {query.sql}', query.arguments)
    return [step for *_, step in rows]


@pytest.mark.parametrize('name', WALKED)
@pytest.mark.parametrize('direction', Direction)
def test_a_page_is_a_walk_along_an_index(
    connection: sqlite3.Connection, name: str, direction: Direction
) -> None:
    """Nothing is sorted, and no table is read from its beginning."""
    (walk,) = walks_of(WALKED[name], frozenset({'script_1'}))
    for query in (
        rows_query(walk, direction, EVERYWHERE, 100),
        numbers_query(walk, direction, EVERYWHERE, 100, 100_000),
    ):
        plan = plan_of(connection, query)
        if walk.disjoint or query.sql.startswith('SELECT number, '):
            assert not [step for step in plan if 'TEMP B-TREE' in step], plan
        assert not [step for step in plan if step in ('SCAN executions', 'SCAN postings')], plan


async def test_the_walk_with_the_fewest_rows_is_taken(tmp_path: Path) -> None:
    """What combines two filters looks at the rows of the rarer one only."""
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    ended = ExecutionStatus.COMPLETED
    known = [
        new_execution(number, status=ended, exit_code=7 if number == 3 else 0)
        for number in range(500)
    ]
    await store.record([Change.first(each, GATEWAY) for each in known])
    await store.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    wanted = ExecutionFilter(statuses=frozenset({ended}), exit_codes=frozenset({7}))
    page = find_page(connection, wanted, KeysetPage(limit=-10), Bounds(rows=2))
    assert (ids_of(page), page.complete) == ([known[3].id], True)
    connection.close()


async def test_the_list_of_a_script_is_one_walk(tmp_path: Path) -> None:
    """However many executions others have of the same id, and its entity of other scripts."""
    other = replace(AN_APP, entity_id='other')
    known = [
        new_execution(0, status=ExecutionStatus.COMPLETED),
        *(new_execution(number, entity=other) for number in range(1, 400, 2)),
        *(new_execution(number, script_id='other') for number in range(2, 400, 2)),
    ]
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    await store.record([Change.first(each, GATEWAY) for each in known])
    await store.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    wanted = ExecutionFilter(entity=AN_APP, script_id='self_test')
    page = find_page(connection, wanted, KeysetPage(limit=-10), Bounds(rows=2))
    assert (ids_of(page), page.complete) == ([known[0].id], True)
    connection.close()


def test_filters_are_never_parts_of_a_statement() -> None:
    """Whatever the values, the text of the statement is the same: they are its arguments."""
    queries = {
        rows_query(walk, Direction.DOWN, EVERYWHERE, 1).sql
        for text in ("'; DROP TABLE executions; --", '%', '"')
        for walk in walks_of(
            ExecutionFilter(
                tags=frozenset({text}), usernames=frozenset({text}), result_contains=text
            ),
            frozenset(),
        )
    }
    assert len(queries) == 2


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(wanted=filters(), upwards=strategies.booleans(), size=strategies.integers(1, 4))
def test_a_bounded_walk_finds_all_in_the_end(
    connection: sqlite3.Connection, wanted: ExecutionFilter, upwards: bool, size: int
) -> None:
    """Where a bound is met the page says so, and leads on behind the last row looked at; page by
    page each is found once."""
    whole = find_page(connection, wanted, KeysetPage(limit=-1000), Bounds(rows=10_000))
    found: list[str] = []
    reference: str | None = None
    for _ in range(200):
        limit = size if upwards else -size
        page = find_page(connection, wanted, KeysetPage(limit=limit, reference=reference), FEW)
        assert page.complete or (page.more is not None and len(page.executions) < size)
        found += page.executions[::-1] if upwards else page.executions
        reference = page.more
        if reference is None:
            break
    assert tuple(found[::-1] if upwards else found) == whole.executions


def test_a_page_that_cannot_be_reached_says_so(connection: sqlite3.Connection) -> None:
    """Past the bound the total is an estimate, and what is sorted are the newest only."""
    wanted = ExecutionFilter(priorities=frozenset({0, 1}))
    whole = find_numbered_page(connection, wanted, NumberedPage(number=1, size=100))
    assert (whole.total, whole.approximate, whole.complete) == (
        len(whole.executions),
        False,
        True,
    )
    page = find_numbered_page(connection, wanted, NumberedPage(number=9, size=5), Bounds(rows=20))
    assert (page.executions, page.approximate, page.complete) == ((), True, False)
    assert 0 < page.total <= 60
    by_duration = NumberedPage(number=1, size=5, order=Order.DURATION)
    of_all = find_numbered_page(connection, ExecutionFilter(), by_duration, Bounds(rows=20))
    assert (of_all.total, of_all.approximate, of_all.complete) == (60, False, False)


async def test_a_part_of_time_is_a_range_of_numbers(tmp_path: Path) -> None:
    """As long as the clock was not set back; else there is one for each time between."""
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    seconds = [0, 1, 2, 3, 1, 2, 3, 4]
    # Commits may come in another order than ids are given.
    for number in (3, 0, 2, 1, 7, 6, 4, 5):
        created_at = NOON + datetime.timedelta(seconds=seconds[number])
        await store.record([Change.first(new_execution(number, created_at=created_at), GATEWAY)])
    wanted = Moments(
        after=NOON + datetime.timedelta(seconds=2), before=NOON + datetime.timedelta(seconds=4)
    )
    await store.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    assert len(spans_of(connection, wanted) or ()) == 2
    page = find_page(
        connection, ExecutionFilter(created=wanted), KeysetPage(limit=-9), Bounds(rows=1)
    )
    assert ids_of(page) == [new_execution(n).id for n in (6, 5, 3, 2)]
    connection.close()


async def test_a_clock_that_is_set_back_at_each_start_costs_little(tmp_path: Path) -> None:
    """What was created between two set-backs is mostly wanted as a whole, or not at all."""
    store = await SqliteExecutionStore.open(await Database.open(tmp_path), FakeClock())
    starts = [
        Change.first(
            new_execution(number, created_at=NOON + datetime.timedelta(seconds=number % 2)),
            GATEWAY,
        )
        for number in range(300)
    ]
    await store.record(starts)
    await store.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    second = datetime.timedelta(seconds=1)
    assert spans_of(connection, Moments(after=NOON, before=NOON + 5 * second)) == [
        (0, EVERYWHERE[1] - 1)
    ]
    assert len(statements) < 150 * 4
    assert len(spans_of(connection, Moments(after=NOON + second)) or ()) == 150
    connection.close()


def test_what_is_looked_at_in_vain_ends_short_of_what_is_to_come(
    connection: sqlite3.Connection,
) -> None:
    """Where nothing is to be told from a number on, a page does not lead past it either."""
    nothing = ExecutionFilter(priorities=frozenset({77}))
    page = KeysetPage(limit=5, below=number_of(new_execution(2).id))
    found = find_page(connection, nothing, page, Bounds(rows=2))
    assert (found.more, found.complete) == (new_execution(1).id, False)
    found = find_page(connection, nothing, page, Bounds(rows=3))
    assert (found.more, found.complete) == (None, True)
