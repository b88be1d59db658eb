# SPDX-License-Identifier: Apache-2.0
"""The specification of executions, to the letter: a real gateway, a real node, real scripts.

The first six tests are the ones that the specification lists; each holds for apps and components.
"""

from collections.abc import Iterator
import datetime
from pathlib import Path
import re
from typing import Any

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import Answer, gateway, GatewayProcess
from ros_support import bare_node

ENTITIES = ('apps/temp_sensor', 'components/powertrain_engine')
UNKNOWN = 'exec_01ARZ3NDEKTSV4RRFFQ69G5FAV'
WAITS_FOR_A_FILE = 'until [ -e "$1" ]; do sleep 0.02; done\necho "threshold $PARAM_THRESHOLD"\n'
SLEEPS = 'exec sleep 600\n'


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Serve one gateway to all tests of this file, beside a node in another process."""
    limits = {
        'scripts.max_concurrent_executions': 50,
        'scripts.max_concurrent_executions_per_entity': 50,
    }
    with (
        bare_node('temp_sensor', '/powertrain/engine'),
        gateway(tmp_path_factory.mktemp('gateway'), limits) as served,
    ):
        served.wait_for_app('temp_sensor')
        yield served


@pytest.fixture(params=ENTITIES)
def entity(request: pytest.FixtureRequest) -> str:
    """Both types of entities that carry scripts."""
    return str(request.param)


def stop(api: GatewayProcess, href: str, action: str = 'stop') -> Answer:
    """Send a termination action."""
    return api.request('PUT', href, json_body={'action': action})


def assert_error(answer: Answer, status: int, error_code: str) -> None:
    """Check that the answer is this GenericError."""
    assert (answer.status, answer.body['error_code']) == (status, error_code), answer
    assert answer.body['message']
    assert answer.body.keys() <= {'error_code', 'message', 'vendor_code', 'parameters'}


def moment(text: str) -> datetime.datetime:
    """Read a time, which is RFC 3339 in UTC with `Z`."""
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z', text), text
    return datetime.datetime.fromisoformat(text)


def test_starting_an_execution_is_answered_202(api: GatewayProcess, entity: str) -> None:
    """Start execution: 202 with id, status `prepared`, href, and Location."""
    script_id = api.upload(entity, 'true\n')
    answer = api.request(
        'POST',
        f'/{entity}/scripts/{script_id}/executions',
        json_body={
            'execution_type': 'now',
            'parameters': {'threshold': 0.1, 'timeout': 30},
            'proximity_response': 'optional-proof-token',
        },
    )
    assert answer.status == 202, answer
    assert answer.body.keys() == {'id', 'status', 'href'}
    assert answer.body['status'] == 'prepared'
    path = f'/api/v1/{entity}/scripts/{script_id}/executions/{answer.body["id"]}'
    assert answer.body['href'] == path
    assert answer.headers['location'] == path
    assert api.wait_for_status(path, 'completed')['id'] == answer.body['id']


def test_a_polled_execution_goes_through_prepared_running_completed(
    api: GatewayProcess, entity: str, tmp_path: Path
) -> None:
    """Poll status: transitions through prepared, running, completed, with the fields of each."""
    script_id = api.upload(entity, WAITS_FOR_A_FILE)
    gate = tmp_path / 'gate'
    started = api.request(
        'POST',
        f'/{entity}/scripts/{script_id}/executions',
        json_body={
            'execution_type': 'now',
            'parameters': {'threshold': 0.1},
            'arguments': [str(gate)],
        },
    )
    assert started.body['status'] == 'prepared'
    href = started.body['href']
    running = api.wait_for_status(href, 'running')
    assert 'completed_at' not in running
    assert 'parameters' not in running
    assert 'error' not in running
    gate.touch()
    completed = api.wait_for_status(href, 'completed')
    assert completed['started_at'] == running['started_at']
    assert moment(completed['started_at']) <= moment(completed['completed_at'])
    assert completed['parameters'] == {
        'stdout': 'threshold 0.1\n',
        'stderr': '',
        'exit_code': 0,
    }
    assert 'error' not in completed


def test_a_terminated_execution_ends_terminated(api: GatewayProcess, entity: str) -> None:
    """Terminate a running execution: 200, and its status becomes `terminated`."""
    href = api.start(entity, api.upload(entity, SLEEPS))
    api.wait_for_status(href, 'running')
    answer = stop(api, href)
    assert answer.status == 200
    assert answer.body['status'] in {'running', 'terminated'}
    ended = api.wait_for_status(href, 'terminated')
    assert moment(ended['started_at']) <= moment(ended['completed_at'])
    assert 'error' not in ended
    assert 'parameters' not in ended


def test_a_completed_execution_can_be_deleted(api: GatewayProcess, entity: str) -> None:
    """Delete a completed execution: 204 without content, and it is gone."""
    href = api.start(entity, api.upload(entity, 'true\n'))
    api.wait_for_status(href, 'completed')
    answer = api.request('DELETE', href)
    assert (answer.status, answer.content) == (204, b'')
    assert_error(api.request('GET', href), 404, 'resource-not-found')
    assert_error(api.request('DELETE', href), 404, 'resource-not-found')


def test_a_running_execution_cannot_be_deleted(api: GatewayProcess, entity: str) -> None:
    """Delete a running execution: 409, and it runs on."""
    href = api.start(entity, api.upload(entity, SLEEPS))
    api.wait_for_status(href, 'running')
    assert_error(api.request('DELETE', href), 409, 'invalid-request')
    assert api.body(href)['status'] == 'running'
    stop(api, href, 'forced_termination')
    api.wait_for_status(href, 'terminated')


def test_an_execution_of_a_nonexistent_script_is_not_found(
    api: GatewayProcess, entity: str
) -> None:
    """Start an execution for a nonexistent script: 404."""
    answer = api.request(
        'POST', f'/{entity}/scripts/no_such_script/executions', json_body={'execution_type': 'now'}
    )
    assert_error(answer, 404, 'resource-not-found')


def test_progress_is_told_while_it_runs(api: GatewayProcess, entity: str, tmp_path: Path) -> None:
    """`progress` is an integer from 0 to 100, what the script said last."""
    gate = tmp_path / 'gate'
    script_id = api.upload(entity, f'echo 45 >&3\n{WAITS_FOR_A_FILE}')
    href = api.start(entity, script_id, arguments=[str(gate)])
    api.wait_for_status(href, 'running')
    running = api.wait_for(href, lambda body: 'progress' in body, what='progress')
    assert (running['status'], running['progress']) == ('running', 45)
    gate.touch()
    assert api.wait_for_status(href, 'completed')['progress'] == 45


def test_a_failed_execution_says_why(api: GatewayProcess, entity: str) -> None:
    """`error` is a GenericError that carries the exit code and the end of stderr."""
    href = api.start(entity, api.upload(entity, 'echo no sensor >&2\nexit 3\n'))
    failed = api.wait_for_status(href, 'failed')
    error = failed['error']
    assert error['error_code'] == 'vendor-error'
    assert error['vendor_code'] == 'x-gateway-script-failed'
    assert error['message'] == 'the script exited with 3'
    assert error['parameters']['exit_code'] == 3
    assert error['parameters']['stderr'] == 'no sensor\n'
    assert moment(failed['completed_at'])
    assert 'parameters' not in failed


def test_output_parameters_are_what_the_script_printed_as_json(
    api: GatewayProcess, entity: str
) -> None:
    """Where all of stdout is a JSON object, that is what `parameters` holds."""
    script_id = api.upload(entity, 'cat\n', name='echo_parameters.sh')
    given = {'threshold': 0.1, 'timeout': 30, 'names': ['a', 'ü']}
    href = api.start(entity, script_id, parameters=given)
    assert api.wait_for_status(href, 'completed')['parameters'] == given


@pytest.mark.parametrize(
    ('fields', 'error_code'),
    [
        ({'execution_type': 'later'}, 'invalid-parameter'),
        ({'execution_type': None}, 'invalid-parameter'),
        ({'execution_type': 7}, 'invalid-parameter'),
        ({'execution_type': ['now']}, 'invalid-parameter'),
        ({'execution_type': 'NOW'}, 'invalid-parameter'),
        ({}, 'invalid-request'),
        ({'execution_type': 'now', 'parameters': []}, 'invalid-parameter'),
        ({'execution_type': 'now', 'parameters': 'x'}, 'invalid-parameter'),
        ({'execution_type': 'now', 'proximity_response': 7}, 'invalid-parameter'),
        ({'execution_type': 'now', 'priority_': 7}, 'invalid-request'),
    ],
)
def test_a_start_with_a_bad_body_is_refused(
    api: GatewayProcess, entity: str, fields: dict[str, Any], error_code: str
) -> None:
    """400: a value that is not allowed is an invalid parameter, a missing one a bad request."""
    path = f'/{entity}/scripts/{api.upload(entity, "true")}/executions'
    assert_error(api.request('POST', path, json_body=fields), 400, error_code)
    assert api.body(path)['items'] == []


def test_parameters_must_match_the_schema(api: GatewayProcess, entity: str) -> None:
    """400 invalid-parameter, with the place and the reason; nothing is started."""
    schema = {
        'type': 'object',
        'properties': {'threshold': {'type': 'number', 'maximum': 1}},
        'required': ['threshold'],
    }
    script_id = api.upload(entity, 'cat', parameters_schema=schema)
    path = f'/{entity}/scripts/{script_id}/executions'
    for parameters, place in (({'threshold': 'high'}, '/threshold'), ({}, '')):
        answer = api.request(
            'POST', path, json_body={'execution_type': 'now', 'parameters': parameters}
        )
        assert_error(answer, 400, 'invalid-parameter')
        (violation,) = answer.body['parameters']['violations']
        assert violation['path'] == place
        assert 'threshold' in violation['reason'] or "'high'" in violation['reason']
    assert api.body(path)['items'] == []
    href = api.start(entity, script_id, parameters={'threshold': 0.5})
    assert api.wait_for_status(href, 'completed')['parameters'] == {'threshold': 0.5}


def test_a_single_execution_script_runs_once_at_a_time(api: GatewayProcess, entity: str) -> None:
    """409 invalid-request while one is open; afterwards it starts again."""
    script_id = api.upload(entity, SLEEPS, single_execution=True)
    href = api.start(entity, script_id)
    path = f'/{entity}/scripts/{script_id}/executions'
    answer = api.request('POST', path, json_body={'execution_type': 'now'})
    assert_error(answer, 409, 'invalid-request')
    stop(api, href, 'forced_termination')
    api.wait_for_status(href, 'terminated')
    again = api.start(entity, script_id)
    stop(api, again, 'forced_termination')
    api.wait_for_status(again, 'terminated')


@pytest.mark.parametrize('method', ['GET', 'PUT', 'DELETE'])
def test_an_unknown_execution_is_not_found(api: GatewayProcess, entity: str, method: str) -> None:
    """404 for all three routes of an execution."""
    path = f'/{entity}/scripts/{api.upload(entity, "true")}/executions/{UNKNOWN}'
    json_body = {'action': 'stop'} if method == 'PUT' else None
    answer = api.request(method, path, json_body=json_body)
    assert_error(answer, 404, 'resource-not-found')


def test_an_execution_belongs_to_its_entity_and_its_script(api: GatewayProcess) -> None:
    """The same id below another entity or another script is not found."""
    script_id = api.upload('apps/temp_sensor', 'true')
    other_id = api.upload('apps/temp_sensor', 'true')
    href = api.start('apps/temp_sensor', script_id)
    api.wait_for_status(href, 'completed')
    for path in (
        href.replace('apps/temp_sensor', 'components/powertrain_engine'),
        href.replace(script_id, other_id),
    ):
        assert_error(api.request('GET', path), 404, 'resource-not-found')
        assert_error(api.request('DELETE', path), 404, 'resource-not-found')
    assert api.body(href)['status'] == 'completed'


@pytest.mark.parametrize('action', ['pause', '', None, 1, ['stop']])
def test_an_unknown_action_is_refused(api: GatewayProcess, entity: str, action: object) -> None:
    """400 invalid-parameter, and the execution runs on."""
    href = api.start(entity, api.upload(entity, SLEEPS))
    api.wait_for_status(href, 'running')
    answer = api.request('PUT', href, json_body={'action': action})
    assert_error(answer, 400, 'invalid-parameter')
    assert api.body(href)['status'] == 'running'
    stop(api, href, 'forced_termination')
    api.wait_for_status(href, 'terminated')


@pytest.mark.parametrize(
    ('content', 'final'), [('true', 'completed'), ('false', 'failed'), (SLEEPS, 'terminated')]
)
@pytest.mark.parametrize('action', ['stop', 'forced_termination'])
def test_what_has_ended_cannot_be_stopped(
    api: GatewayProcess, entity: str, content: str, final: str, action: str
) -> None:
    """409 invalid-request after each of the three ends."""
    href = api.start(entity, api.upload(entity, content))
    if final == 'terminated':
        stop(api, href)
    api.wait_for_status(href, final)
    assert_error(stop(api, href, action), 409, 'invalid-request')
    assert api.body(href)['status'] == final


def test_forced_termination_ends_what_ignores_a_stop(api: GatewayProcess, entity: str) -> None:
    """A stop that is resisted answers `running` and `terminating`; forced termination ends it."""
    ignores_sigterm = "trap '' TERM\necho ready\nwhile :; do sleep 0.1; done\n"
    href = api.start(entity, api.upload(entity, ignores_sigterm))
    api.wait_for(href, lambda body: 'ready' in body['output']['stdout'], what='ready')
    resisting = stop(api, href)
    assert (resisting.status, resisting.body['status']) == (200, 'running')
    assert resisting.body['terminating'] is True
    assert_error(api.request('DELETE', href), 409, 'invalid-request')
    forced = stop(api, href, 'forced_termination')
    assert forced.status == 200
    ended = api.wait_for_status(href, 'terminated')
    assert ended['signal'] == 9
    assert 'terminating' not in ended


def test_executions_of_a_script_are_listed_newest_first(api: GatewayProcess, entity: str) -> None:
    """The list holds each execution once, with its href, and never its output."""
    script_id = api.upload(entity, 'true')
    hrefs = [api.start(entity, script_id) for _ in range(3)]
    for href in hrefs:
        api.wait_for_status(href, 'completed')
    items = api.body(f'/{entity}/scripts/{script_id}/executions')['items']
    assert [item['href'] for item in items] == hrefs[::-1]
    assert all('output' not in item and 'parameters' not in item for item in items)
