# SPDX-License-Identifier: Apache-2.0
"""A full disk: starts are refused, what runs goes on, its end is recorded once there is room."""

from collections.abc import Iterator
import contextlib
import io
from pathlib import Path
import subprocess

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import gateway, refused
from killing import ENTITY, kill, start_ready
from ros_support import bare_node

SIZE = '8m'
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


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a tmpfs for a while; skip where that is not allowed."""
    folder.mkdir()
    try:
        subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', str(folder)],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, 'stderr', None) or str(error)
        pytest.skip(f'a small disk cannot be mounted here: {reason.strip()}')
    try:
        yield folder
    finally:
        subprocess.run(['umount', str(folder)], check=True)


def write_without_end(file: io.FileIO, content: bytes) -> None:
    """Write until it fails."""
    while True:
        file.write(content)


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Fill the disk to its last byte for a while."""
    ballast = disk / 'ballast'
    with ballast.open('wb', buffering=0) as file:
        for size in (65536, 1):
            with pytest.raises(OSError, match='No space left'):
                write_without_end(file, b'x' * size)
    try:
        yield
    finally:
        ballast.unlink()


def test_what_runs_outlives_a_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """A start is answered 503 and never was; the end of what runs is recorded afterwards."""
    gate = tmp_path / 'gate'
    state_dir = small_disk / 'state'
    with gateway(tmp_path, state_dir=state_dir) as api:
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
    with gateway(tmp_path, state_dir=small_disk / 'state') as api:
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
    with gateway(tmp_path, state_dir=state_dir) as api:
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
    with gateway(tmp_path, state_dir=small_disk / 'state') as api:
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
