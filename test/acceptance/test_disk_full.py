# SPDX-License-Identifier: Apache-2.0
"""A full disk: starts are refused, what runs goes on, its end is recorded once there is room."""

from collections.abc import Iterator
from pathlib import Path
import re

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import Answer, gateway, refused
from killing import ENTITY, kill, start_ready
from ros_support import bare_node
from small_disks import filled, mounted
from waiting import wait_for

SIZE = '8m'
NO_BOUND = {'state_min_free_mb': 0}
"""Starts are let through to the last byte."""
ENDS_AT_A_FILE = 'echo ready\nuntil [ -e "$1" ]; do sleep 0.05; done\n'


@pytest.fixture(autouse=True)
def node() -> Iterator[None]:
    """Run the node whose app carries the scripts."""
    with bare_node('temp_sensor', '/powertrain/engine'):
        yield


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small file system for the state directory; skip where that is not allowed."""
    with mounted(tmp_path / 'disk', f'size={SIZE}') as folder:
        yield folder


def test_what_runs_outlives_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """A start is answered 503 and never was; the end of what runs is recorded afterwards."""
    gate = tmp_path / 'gate'
    state_dir = small_disk / 'state'
    with gateway(tmp_path, NO_BOUND, state_dir=state_dir) as api:
        href = start_ready(api, ENDS_AT_A_FILE, arguments=[str(gate)])
        script = href.split('/executions/')[0]
        with filled(small_disk):
            for execution_type in ('now', 'on_restart', 'once_on_restart', 'now_and_on_restart'):
                refused = api.request(
                    'POST', f'{script}/executions', json_body={'execution_type': execution_type}
                )
                assert refused.status == 503, refused
                assert refused.body['vendor_code'] == 'x-gateway-storage-unavailable'
                assert int(refused.headers['retry-after']) > 0
            health = api.body('/health')
            assert health['status'] == 'degraded'
            assert any('full' in warning for warning in health['warnings'])
            gate.touch()
            api.wait_for('/health', lambda _: 'cannot record' in api.log, what='the end is due')
            assert api.body(href)['status'] == 'running'
            stop = api.request('PUT', href, json_body={'action': 'stop'})
            delete = api.request('DELETE', href)
            assert (stop.status, delete.status) == (409, 409)
            for answer in (stop, delete):
                assert 'has ended already (its end is being recorded)' in answer.body['message']
            assert len(api.body(f'{script}/executions')['items']) == 1
        ended = api.wait_for_status(href, 'completed')
        assert ended['output']['stdout'] == 'ready\n'
        again = api.start(ENTITY, script.rpartition('/')[2], arguments=[str(gate)])
        api.wait_for_status(again, 'completed')
        assert api.body('/health')['status'] == 'ok'
        kill(api)
    with gateway(tmp_path, state_dir=state_dir) as later:
        assert later.body(href) == ended


def test_a_stop_reaches_its_script_on_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """What runs can be stopped; `terminated` is recorded when there is room, not before."""
    with gateway(tmp_path, NO_BOUND, state_dir=small_disk / 'state') as api:
        href = start_ready(api, 'echo ready\nexec sleep 600\n')
        with filled(small_disk):
            answer = api.request('PUT', href, json_body={'action': 'stop'})
            assert (answer.status, answer.body['terminating']) == (200, True)
            api.wait_for('/health', lambda _: 'cannot record' in api.log, what='the end is due')
        ended = api.wait_for_status(href, 'terminated')
        assert ended['signal'] == 15


def test_a_gateway_ends_on_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """A shutdown does not wait for room; the next start finds how it ended."""
    state_dir = small_disk / 'state'
    with gateway(tmp_path, NO_BOUND, state_dir=state_dir) as api:
        href = start_ready(api, 'echo ready\nexec sleep 600\n')
        with filled(small_disk):
            api.process.terminate()
            assert api.wait_ended() == 0, api.log
            assert 'Traceback' not in api.log
    with gateway(tmp_path, state_dir=state_dir) as later:
        ended = later.body(href)
        # Not even the supervisor could write down how it ended.
        assert ended['error']['vendor_code'] == 'x-gateway-restarted'
        assert ended['output']['stdout'] == 'ready\n'


def test_health_notices_by_itself_that_there_is_room_again(
    tmp_path: Path, small_disk: Path
) -> None:
    """It does not stay `degraded` until somebody happens to start something."""
    with gateway(tmp_path, NO_BOUND, state_dir=small_disk / 'state') as api:
        api.wait_for_app('temp_sensor')
        script_id = api.upload(ENTITY, 'true\n')
        with filled(small_disk):
            path = f'/{ENTITY}/scripts/{script_id}/executions'
            answer = api.request('POST', path, json_body={'execution_type': 'on_restart'})
            assert answer.status == 503
            assert api.body('/health')['status'] == 'degraded'
        api.wait_for('/health', lambda health: health['status'] == 'ok', what='room is noticed')


def test_a_full_disk_for_the_log_of_ros_may_be_mended_meanwhile(tmp_path: Path) -> None:
    """The start fails with one line, and not for good: the same gateway is to be tried again."""
    with mounted(tmp_path / 'log', 'nr_inodes=1') as full:
        status, output = refused(tmp_path, environment={'ROS_LOG_DIR': str(full)})
    (line,) = [line for line in output.splitlines() if line.startswith('gateway_node: ')]
    assert status == 1, output
    assert 'No space left on device; set HOME, or ROS_LOG_DIR' in line
    assert 'Traceback' not in output


def test_below_the_room_that_is_left_to_others_nothing_is_started(
    tmp_path: Path, small_disk: Path
) -> None:
    """Starts and uploads are 503 and name the parameter; what runs ends, what is there goes."""
    bound = {'state_min_free_mb': 4}
    with gateway(tmp_path, bound, state_dir=small_disk / 'state') as api:
        href = start_ready(api, 'echo ready\nexec sleep 600\n')
        script = href.split('/executions/')[0]
        ballast = small_disk / 'ballast'
        ballast.write_bytes(bytes(5 * 1024 * 1024))
        api.wait_for('/health', lambda health: health['warnings'] != [], what='it is noticed')
        assert api.body('/health')['status'] == 'degraded'
        for execution_type in ('now', 'on_restart', 'once_on_restart', 'now_and_on_restart'):
            start = {'execution_type': execution_type}
            assert_too_little_is_free(api.request('POST', f'{script}/executions', json_body=start))
        assert_too_little_is_free(api.send_form('POST', f'/{ENTITY}/scripts', 'true\n'))
        assert_too_little_is_free(api.send_form('PUT', script, 'true\n'))
        assert api.request('PUT', href, json_body={'action': 'stop'}).status == 200
        api.wait_for_status(href, 'terminated')
        assert api.request('DELETE', href).status == 204
        ballast.unlink()
        api.wait_for('/health', lambda health: health['status'] == 'ok', what='room is noticed')
        again = api.start(ENTITY, script.rpartition('/')[2])
        assert api.request('PUT', again, json_body={'action': 'stop'}).status == 200
        assert api.log.count('less than state_min_free_mb (4)') == 1


def assert_too_little_is_free(answer: Answer) -> None:
    """Check that the answer is a 503 that says what is free, and what should be."""
    assert answer.status == 503, answer
    assert answer.body['error_code'] == 'vendor-error'
    assert answer.body['vendor_code'] == 'x-gateway-disk-space-low'
    assert re.search(
        r'state has \d\.\d MiB free, less than state_min_free_mb \(4\)', answer.body['message']
    )
    assert int(answer.headers['retry-after']) > 0


def test_what_is_kept_has_a_bound(tmp_path: Path) -> None:
    """Beyond `history.max_disk_mb` the oldest go, with their output; failed ones stay longest."""
    kept = tmp_path / 'state' / 'executions'
    with gateway(tmp_path, {'history.max_disk_mb': 1.5}) as api:
        api.wait_for_app('temp_sensor')
        # 128 KiB as output, and as much as its result.
        script_id = api.upload(ENTITY, 'head -c 131072 /dev/zero | tr \'\\0\' x; exit "$1"\n')
        hrefs = []
        for exit_code in (3, *[0] * 9):
            hrefs.append(api.start(ENTITY, script_id, arguments=[str(exit_code)]))
            api.wait_for_status(hrefs[-1], 'failed' if exit_code else 'completed')
        path = f'/{ENTITY}/scripts/{script_id}/executions'
        listed = api.wait_for(path, lambda body: len(body['items']) < 7, what='the oldest go')
        newest = [each['href'] for each in listed['items']]
        assert newest == [*reversed(hrefs[11 - len(newest) :]), hrefs[0]]
        wait_for(
            lambda: len([*kept.iterdir()]),
            lambda left: left == len(newest),
            what='so does their output',
        )
        assert len(newest) > 3
