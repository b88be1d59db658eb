# SPDX-License-Identifier: Apache-2.0
"""Statistics of executions, as a client sees them."""

from collections.abc import AsyncIterator
import datetime
from pathlib import Path
from typing import Any

from api_support import Api, serve_api
from fakes import add, FakeClock, InMemoryExecutionStore, new_execution, remove
import pytest

from gateway_node.entities.values import EntityRef
from gateway_node.executions import every_page, scanned_statistics
from gateway_node.executions.failure_reasons import Failure, FailureReason
from gateway_node.executions.filters import ExecutionFilter
from gateway_node.executions.scanned_statistics import Statistics
from gateway_node.executions.schedule import Schedule
from gateway_node.executions.statistics import OpenCounts
from gateway_node.executions.values import ExecutionStatus
from gateway_node.scripts.values import Verdict

NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
COMPONENT = EntityRef.from_path('components/powertrain_engine')
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway."""
    async with serve_api(tmp_path) as api:
        yield api


async def record(api: Api, number: int, **fields: Any) -> str:
    """Put an execution that has ended on record; return its id."""
    defaults = {'status': ExecutionStatus.COMPLETED, 'completed_at': NOON, 'duration_ms': 1000}
    execution = new_execution(number, **(defaults | fields))
    await add(api.store, execution)
    return execution.id


async def statistics(api: Api, query: str = '') -> dict[str, Any]:
    """Return what is answered to a query."""
    status, body = await api.json('GET', f'/executions/stats{query}')
    assert status == 200, body
    return dict(body)


async def test_statistics_tell_how_executions_ended(api: Api) -> None:
    """Of all entities: totals, durations, success rate, and by what they were."""
    await record(api, 1, verdict=Verdict.FAIL, script_name='check.sh')
    await record(api, 2, duration_ms=3000)
    failure = Failure(reason=FailureReason.TIMEOUT, message='too long')
    failed = {'status': ExecutionStatus.FAILED, 'failure': failure}
    await record(api, 3, entity=COMPONENT, duration_ms=None, **failed)
    await record(api, 4, entity=COMPONENT, status=ExecutionStatus.TERMINATED, script_id='other')
    href = '/api/v1/components/powertrain_engine/scripts'
    assert await statistics(api) == {
        'total': 4,
        'statuses': {'completed': 2, 'failed': 1, 'terminated': 1},
        'success_rate': pytest.approx(2 / 3),
        'vendor_codes': {'x-gateway-timeout': 1},
        'verdicts': {'FAIL': 1},
        'scripts': [
            {
                'id': 'self_test',
                'entity': 'apps/temp_sensor',
                'href': '/api/v1/apps/temp_sensor/scripts/self_test',
                'name': 'check.sh',
                'executions': 2,
            },
            {
                'id': 'other',
                'entity': 'components/powertrain_engine',
                'href': f'{href}/other',
                'executions': 1,
            },
            {
                'id': 'self_test',
                'entity': 'components/powertrain_engine',
                'href': f'{href}/self_test',
                'executions': 1,
            },
        ],
        'entities': {'apps/temp_sensor': 2, 'components/powertrain_engine': 2},
        'durations': {
            'count': 3,
            'min_ms': 1000,
            'mean_ms': pytest.approx(5000 / 3, abs=0.1),
            'p50_ms': pytest.approx(1000, rel=0.05),
            'p95_ms': pytest.approx(3000, rel=0.05),
            'max_ms': 3000,
        },
        'open': {'running': 0, 'waiting': 0, 'scheduled': 0},
    }


async def test_statistics_of_nothing_invent_nothing(api: Api) -> None:
    """No rate and no durations, where nothing ended."""
    body = await statistics(api, '?interval=day&completed_after=2026-03-01T12:30:00Z')
    assert 'success_rate' not in body
    assert (body['total'], body['durations'], body['series']) == (0, {'count': 0}, [])
    assert (body['from'], 'to' in body) == ('2026-03-01T12:00:00.000Z', False)


async def test_statistics_are_asked_for_as_lists_are(api: Api) -> None:
    """By script, entity, component, status, verdict and time; what was removed still counts."""
    first = await record(api, 1, verdict=Verdict.PASS)
    await record(api, 2, entity=COMPONENT, completed_at=NOON + HOUR)
    await remove(api.store, first)
    for query, total in {
        'entity=apps/*': 1,
        'component=powertrain_engine': 2,
        'script=self_test': 2,
        'script=other': 0,
        'status=failed': 0,
        'verdict=PASS,WARN': 1,
        'vendor_code=x-gateway-timeout': 0,
        'completed_before=2026-03-01T13:00:00Z': 1,
    }.items():
        assert (await statistics(api, f'?{query}'))['total'] == total, query


async def test_other_filters_count_the_executions_that_are_kept(api: Api) -> None:
    """They are looked at one by one, so that those that were removed are no more among them."""
    first = await record(api, 1, script_tags=('brakes',))
    await record(api, 2, script_tags=('brakes',), completed_at=NOON + HOUR)
    await record(api, 3)
    query = '?tag=brakes&completed_after=2026-03-01T11:59:59Z&interval=hour'
    body = await statistics(api, query)
    assert (body['total'], body['from']) == (2, '2026-03-01T11:59:59.000Z')
    assert [point['at'] for point in body['series']] == [
        '2026-03-01T12:00:00.000Z',
        '2026-03-01T13:00:00.000Z',
    ]
    await remove(api.store, first)
    assert (await statistics(api, query))['total'] == 1


@pytest.mark.parametrize('filtered', ['', '&min_duration_ms=0'])
async def test_a_series_has_a_point_for_each_interval_in_which_something_ended(
    api: Api, filtered: str
) -> None:
    """The oldest first; each with how they ended and how long they took."""
    await record(api, 1)
    await record(api, 2, completed_at=NOON + 2 * HOUR, duration_ms=5)
    await record(api, 3, completed_at=NOON + 12 * HOUR, status=ExecutionStatus.TERMINATED)
    body = await statistics(api, f'?interval=day{filtered}')
    assert body['interval'] == 'day'
    assert [(point['at'], point['total']) for point in body['series']] == [
        ('2026-03-01T00:00:00.000Z', 2),
        ('2026-03-02T00:00:00.000Z', 1),
    ]
    assert body['series'][0]['durations']['min_ms'] == 5
    assert body['series'][1]['statuses'] == {'completed': 0, 'failed': 0, 'terminated': 1}
    by_hour = await statistics(api, f'?interval=hour{filtered}')
    assert len(by_hour['series']) == 3


async def test_what_is_open_now_is_told_beside(api: Api) -> None:
    """Whatever time is asked for; by the other filters as lists are."""
    await add(api.store, new_execution(1, as_schedule=Schedule()))
    await add(api.store, new_execution(2))
    await add(api.store, new_execution(3, status=ExecutionStatus.RUNNING, started_at=NOON))
    everything = {'running': 1, 'waiting': 1, 'scheduled': 1}
    for query, found in {
        '': everything,
        '?completed_before=2020-01-01T00:00:00Z': everything,
        '?status=running': everything | {'waiting': 0, 'scheduled': 0},
        '?status=failed': dict.fromkeys(everything, 0),
        '?entity=apps/other': dict.fromkeys(everything, 0),
    }.items():
        body = await statistics(api, query)
        assert (body['open'], body['total']) == (found, 0), query


async def test_any_time_can_be_asked_for(api: Api) -> None:
    """Up to the last second that there is."""
    await record(api, 1)
    query = 'completed_after=0001-01-01T00:00:00Z&completed_before=9999-12-31T23:59:59Z'
    body = await statistics(api, f'?{query}&interval=day')
    assert (body['total'], len(body['series'])) == (1, 1)
    assert body['from'] == '0001-01-01T00:00:00.000Z'
    assert body['to'] == '9999-12-31T23:59:59.999Z'


async def test_an_interval_is_one_of_those_that_there_are(api: Api) -> None:
    """400 names them; nothing that lists alone take is taken, and no time that runs backwards."""
    backwards = 'completed_after=2026-03-01T13:00:00Z&completed_before=2026-03-01T12:00:00Z'
    for query in ('interval=week', 'limit=10', backwards):
        status, body = await api.json('GET', f'/executions/stats?{query}')
        assert (status, body['error_code']) == (400, 'invalid-parameter')
        assert 'allowed: ' in body['message']


async def test_what_takes_too_long_to_look_at_is_approximate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The newest executions are counted, page by page, until the time is over."""
    clock = FakeClock()
    store = InMemoryExecutionStore(clock)
    for number in range(3):
        ended = new_execution(number, status=ExecutionStatus.COMPLETED, completed_at=NOON)
        await add(store, ended)
    monkeypatch.setattr(every_page, 'MAX_LIMIT', 2)
    monkeypatch.setattr(scanned_statistics, 'SCAN_SEC', 0)
    wanted = ExecutionFilter(scheduled=False)
    found = await Statistics(store, clock).ended(wanted)
    assert (found.approximate, found.total.executions) == (True, 2)
    assert await Statistics(store, clock).open(wanted) == OpenCounts()
