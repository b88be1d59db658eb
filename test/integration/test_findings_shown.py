# SPDX-License-Identifier: Apache-2.0
"""What a script found is shown by the API, whatever it says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from api_support import Api, serve_api
import pytest
import pytest_asyncio

from gateway_node.executions.findings import MAX_CHECKS, MAX_METRICS
from gateway_node.executions.values import ExecutionStatus
from gateway_node.ros.status_reports import Reporter

SENSOR = 'apps/temp_sensor'
REPORTER = Reporter(path_of=lambda _: '', component_of=lambda _: '', gateway='robot-1')
HOSTILE: dict[str, dict[str, Any]] = {
    'ten thousand checks': {'checks': [{'name': 'a', 'verdict': 'PASS'}] * 10_000},
    'checks that are none': {'checks': [None, 1, 'a', [], {}, {'name': {}, 'verdict': []}]},
    'checks as an object': {'checks': {'name': 'a', 'verdict': 'PASS'}},
    'a summary of a megabyte': {'summary': 'ü' * 500_000},
    'a summary that is none': {'summary': ['a']},
    'control characters': {
        'summary': 'a\0\x1b[2J\u202e\u2028b',
        'checks': [{'name': '\x07', 'verdict': 'PASS', 'unit': '\0', 'value': '\x9b'}],
        'metrics': {'\0': 1, '\u202e': 2},
    },
    'a verdict in lower case': {'verdict': 'pass'},
    'verdicts of other types': {'verdict': {'PASS': 1}, 'checks': [{'name': 'a', 'verdict': 1}]},
    'deep values': {
        'checks': [
            {'name': 'a', 'verdict': 'PASS', 'value': [[[[[[[[1]]]]]]]], 'expected': {'a': {}}}
        ]
    },
    'numbers that are none': {'metrics': {'a': True, 'b': '1', 'c': None, 'd': [1]}},
    'huge numbers': {
        'metrics': {'a': 10**4000, 'b': -(10**308), 'c': 2**64, 'd': 1e308, 'e': 5e-324},
        'checks': [{'name': 'a', 'verdict': 'PASS', 'value': 10**4000}],
    },
    'many metrics': {'metrics': {f'{number:04}': number for number in range(10_000)}},
    'long names': {'metrics': {'x' * 100_000: 1}, 'checks': [{'name': 'x' * 100_000}]},
}


@pytest_asyncio.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    """Serve a gateway; each answer is held to the schema of its route."""
    async with serve_api(tmp_path) as served:
        yield served


async def completed(api: Api, printed: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Execute a script that prints an object; return its entry in the list and its detail."""
    script_id = await api.upload(SENSOR)
    execution_id, script = await api.running(SENSOR, script_id)
    script.exit(printed=printed)
    await api.listener.wait_for(execution_id)
    executions = f'/{SENSOR}/scripts/{script_id}/executions'
    status, listed = await api.json('GET', executions)
    assert status == 200
    status, detail = await api.json('GET', f'{executions}/{execution_id}')
    assert status == 200
    (entry,) = listed['items']
    return entry, detail


async def test_lists_show_what_was_found_and_the_detail_its_checks(api: Api) -> None:
    """`parameters` has the result as it is; a FAIL is `completed`."""
    check = {
        'name': 'level',
        'verdict': 'FAIL',
        'value': 0,
        'unit': 'l',
        'expected': '> 10',
        'hint': 'fill it up',
    }
    printed = {'summary': 'empty', 'checks': [check], 'metrics': {'litres': 0}, 'more': [1]}
    entry, detail = await completed(api, printed)
    told = {'verdict': 'FAIL', 'summary': 'empty', 'metrics': {'litres': 0}}
    assert {name: entry.get(name) for name in told} == told
    assert entry['status'] == 'completed'
    assert 'checks' not in entry
    assert detail['checks'] == [check]
    assert detail['parameters'] == printed
    assert {name: detail[name] for name in entry} == entry


@pytest.mark.parametrize('printed', HOSTILE.values(), ids=HOSTILE)
async def test_nothing_that_a_script_says_breaks_a_list_a_poll_or_the_topic(
    api: Api, printed: dict[str, Any]
) -> None:
    """It is completed, its result is as it was, and what is told of it keeps its schema."""
    entry, detail = await completed(api, printed)
    assert entry['status'] == ExecutionStatus.COMPLETED.value
    assert detail['parameters'] == printed
    assert len(detail.get('checks', [])) <= MAX_CHECKS
    assert len(entry.get('metrics', {})) <= MAX_METRICS
    execution = await api.store.get(detail['id'])
    assert execution is not None
    values = dict(REPORTER.report(execution).values)
    assert sum(map(len, values.values())) < 10_000
    for value in values.values():
        assert '\0' not in value
        value.encode()


async def test_a_verdict_that_is_none_is_told_in_the_warnings(api: Api) -> None:
    """The result stays as it is."""
    entry, detail = await completed(api, {'verdict': 'pass'})
    assert 'verdict' not in entry
    assert detail['parameters'] == {'verdict': 'pass'}
    assert detail['warnings'] == [
        "the result's /verdict is 'pass'; allowed: PASS, WARN, FAIL, SKIP"
    ]
