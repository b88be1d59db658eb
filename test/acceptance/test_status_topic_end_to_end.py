# SPDX-License-Identifier: Apache-2.0
"""The status topic as a subscriber in another process sees it."""

from collections.abc import Iterator
import json
from pathlib import Path
import time
from typing import Any

import pytest
from waiting import wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, GatewayProcess
from ros_support import bare_node, status_echo

TOPIC = '/gateway_node/execution_status'
ENTITY = 'apps/temp_sensor'
OK, WARN, ERROR = 0, 1, 2
FIELDS = (
    'id',
    'status',
    'progress',
    'entity',
    'script_id',
    'exit_code',
    'started_at',
    'completed_at',
    'gateway',
    'verdict',
    'summary',
    'metrics',
    'script_name',
    'vendor_code',
    'username',
    'stopped_by',
    'instance',
    'firing',
    'stop_firing',
)


@pytest.fixture(scope='module')
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Serve one gateway to all tests of this file, beside a node in another process."""
    with (
        bare_node('temp_sensor', '/powertrain/engine'),
        gateway(tmp_path_factory.mktemp('gateway')) as served,
    ):
        served.wait_for_app('temp_sensor')
        yield served


def told_of(received: list[dict[str, Any]], href: str) -> list[dict[str, Any]]:
    """Return what was received of one execution, in order."""
    return [message for message in tuple(received) if message['name'] == href]


def wait_for_statuses(
    received: list[dict[str, Any]], href: str, *statuses: str
) -> list[dict[str, Any]]:
    """Wait until as many messages told of an execution; return them, which have these statuses."""
    told = wait_for(
        lambda: told_of(received, href),
        lambda messages: len(messages) >= len(statuses),
        what=f'{statuses} of {href}',
    )
    assert tuple(message['values']['status'] for message in told) == statuses
    return list(told)


def test_a_subscriber_sees_prepared_running_completed_in_order(api: GatewayProcess) -> None:
    """Each change is one message, with name, level, message, hardware id and values."""
    with status_echo(TOPIC) as received:
        script_id = api.upload(ENTITY, 'true\n')
        begun = int(time.time())
        href = api.start(ENTITY, script_id)
        told = wait_for_statuses(received, href, 'prepared', 'running', 'completed')
        execution = api.body(href)
        gateway_id = api.body('/api/v1/health')['gateway']
    assert [message['level'] for message in told] == [OK, OK, OK]
    for message in told:
        assert message['hardware_id'] == 'powertrain_engine'
        assert tuple(message['values']) == FIELDS
        assert message['values']['id'] == execution['id']
        assert message['values']['gateway'] == gateway_id
        assert message['values']['status'] == message['message']
        assert message['values']['entity'] == ENTITY
        assert message['values']['script_id'] == script_id
        assert begun <= message['sec'] <= time.time()
    prepared, running, completed = (message['values'] for message in told)
    assert (prepared['started_at'], prepared['completed_at']) == ('', '')
    assert (running['started_at'], running['completed_at']) == (execution['started_at'], '')
    assert completed['started_at'] == execution['started_at']
    assert completed['completed_at'] == execution['completed_at']
    assert [prepared['exit_code'], running['exit_code'], completed['exit_code']] == ['', '', '0']


def test_the_level_tells_how_it_ended(api: GatewayProcess) -> None:
    """ERROR for a failed execution, with its exit code and why; WARN for a terminated one."""
    with status_echo(TOPIC) as received:
        failing = api.start(ENTITY, api.upload(ENTITY, 'exit 3\n'))
        *_, failed = wait_for_statuses(received, failing, 'prepared', 'running', 'failed')
        stopped = api.start(ENTITY, api.upload(ENTITY, 'exec sleep 600\n'))
        api.wait_for_status(stopped, 'running')
        api.request('PUT', stopped, json_body={'action': 'stop'})
        *_, terminated = wait_for_statuses(received, stopped, 'prepared', 'running', 'terminated')
    assert (failed['level'], failed['values']['exit_code']) == (ERROR, '3')
    assert failed['message'] == 'failed: the script exited with 3'
    assert failed['values']['vendor_code'] == 'x-gateway-script-failed'
    assert terminated['message'] == 'terminated'
    assert (terminated['level'], terminated['values']['exit_code']) == (WARN, '')


def test_a_component_is_its_own_hardware(api: GatewayProcess) -> None:
    """The hardware id is the component itself, where a component's script runs."""
    entity = 'components/powertrain_engine'
    with status_echo(TOPIC) as received:
        href = api.start(entity, api.upload(entity, 'true\n'))
        told = wait_for_statuses(received, href, 'prepared', 'running', 'completed')
    assert {message['hardware_id'] for message in told} == {'powertrain_engine'}
    assert {message['values']['entity'] for message in told} == {entity}


def test_a_late_subscriber_gets_the_latest(api: GatewayProcess) -> None:
    """Who comes after the end still sees every change of it, in order."""
    href = api.start(ENTITY, api.upload(ENTITY, 'true\n'))
    api.wait_for_status(href, 'completed')
    with status_echo(TOPIC) as received:
        wait_for_statuses(received, href, 'prepared', 'running', 'completed')


def test_progress_is_told_and_the_last_one_always(api: GatewayProcess, tmp_path: Path) -> None:
    """Changes of progress are messages too, coalesced; 0 to 99 at once end with the 99."""
    gate = tmp_path / 'gate'
    counts = (
        'i=0; while [ $i -lt 100 ]; do echo $i >&3; i=$((i + 1)); done\n'
        'until [ -e "$1" ]; do sleep 0.02; done\n'
    )
    with status_echo(TOPIC) as received:
        href = api.start(ENTITY, api.upload(ENTITY, counts), arguments=[str(gate)])

        def progress() -> list[int]:
            values = (message['values']['progress'] for message in told_of(received, href))
            return [int(value) for value in values if value]

        wait_for(progress, lambda seen: 99 in seen, what='progress 99')
        gate.touch()
        wait_for(
            lambda: told_of(received, href),
            lambda messages: messages[-1]['message'] == 'completed',
            what='completed',
        )
        seen = progress()
        statuses = [message['message'] for message in told_of(received, href)]
    assert seen == sorted(seen)
    assert len(seen) < 60  # at most ten a second, and it took no 6 s
    assert statuses == sorted(statuses, key=['prepared', 'running', 'completed'].index)


def test_what_a_script_found_is_told_with_its_end(api: GatewayProcess) -> None:
    """A FAIL is completed, and an ERROR for who watches levels; the metrics are JSON."""
    found = {'verdict': 'FAIL', 'summary': 'no fuel \u26fd', 'metrics': {'litres': 0}}
    with status_echo(TOPIC) as received:
        href = api.start(ENTITY, api.upload(ENTITY, f"echo '{json.dumps(found)}'\n"))
        *_, completed = wait_for_statuses(received, href, 'prepared', 'running', 'completed')
    values = completed['values']
    assert completed['level'] == ERROR
    assert (values['verdict'], values['summary']) == ('FAIL', 'no fuel \u26fd')
    assert json.loads(values['metrics']) == {'litres': 0}
