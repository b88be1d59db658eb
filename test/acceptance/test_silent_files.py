# SPDX-License-Identifier: Apache-2.0
"""Files that do not answer, as on a dead mount: the gateway serves, and it ends."""

import contextlib
import os
from pathlib import Path
import signal

import pytest
from waiting import DEADLINE_SEC, wait_for

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import being_read, entry_point, nothing_left, serving, started
from hanging_mount import hanging_file

from gateway_node.child.process_tree import descendants
from gateway_node.main import MISCONFIGURATIONS, START_ERRORS
from gateway_node.start_files import FileSilent


def test_a_start_that_waits_for_a_silent_manifest_ends_at_a_signal(tmp_path: Path) -> None:
    """The thread that hangs in it is not waited for."""
    manifest = tmp_path / 'manifest.yaml'
    os.mkfifo(manifest)
    command = entry_point(tmp_path / 'state', {'scripts.manifest': str(manifest)})
    with nothing_left(), started(command, tmp_path) as (process, log):
        writer = being_read(manifest)
        try:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SEC) == 0, log.read_text()
        finally:
            os.close(writer)
    assert 'ended before it served' in log.read_text()


def test_a_start_that_nothing_answers_may_be_tried_again() -> None:
    """It is one line and status 1, not 78: the mount's server may be there the next time."""
    assert issubclass(FileSilent, START_ERRORS)
    assert not issubclass(FileSilent, MISCONFIGURATIONS)


def _state_of(pid: int) -> str:
    """Return the state of a process's main thread (proc_pid_stat(5))."""
    return Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()[0]


def _lead_to(link: Path, target: Path) -> None:
    fresh = link.with_name(f'{link.name}.new')
    fresh.symlink_to(target)
    fresh.rename(link)


def test_a_gateway_whose_files_fall_silent_serves_and_ends(tmp_path: Path) -> None:
    """A set-up file and a managed script on a mount that died: the others run, /health tells.

    The kernel keeps what hangs in such a mount until that answers; the gateway itself is gone.
    """
    whole, setup, managed = tmp_path / 'whole.sh', tmp_path / 'setup.bash', tmp_path / 'silent.sh'
    whole.write_text('export ONE=1\n')
    for link in (setup, managed):
        link.symlink_to(whole)
    (tmp_path / 'other.sh').write_text('echo "$ONE"\n')
    manifest = tmp_path / 'manifest.yaml'
    manifest.write_text(
        'scripts:\n'
        '  - {id: silent, path: silent.sh, entities: components/*}\n'
        '  - {id: other, path: other.sh, entities: components/*}\n'
    )
    command = entry_point(
        tmp_path / 'state',
        {'scripts.manifest': str(manifest)},
        '-p',
        f"environment.setup_files:=['{setup}']",
    )
    with nothing_left(), contextlib.ExitStack() as ending:
        process, log = ending.enter_context(started(command, tmp_path))
        api = serving(process, log)
        entity = api.body('/components')['items'][0]['href']
        file, _ = ending.enter_context(hanging_file(tmp_path / 'mount'))
        _lead_to(setup, file)
        _lead_to(managed, file)
        assert len(api.body(f'{entity}/scripts')['items']) == 2
        href = api.request(
            'POST', f'{entity}/scripts/other/executions', json_body={'execution_type': 'now'}
        ).body['href']
        ended = api.wait_for_status(href, 'completed', 'failed')
        assert ended['output']['stdout'] == '1\n'
        answer = api.request('GET', f'{entity}/scripts/silent/content')
        assert (answer.status, answer.body['error_code']) == (503, 'vendor-error')
        health = api.body('/health')
        assert health['status'] == 'degraded'
        assert sum('not answer' in warning for warning in health['warnings']) == 2
        api.signal(signal.SIGTERM)
        wait_for(
            lambda: _state_of(process.pid), lambda state: state == 'Z', what='the gateway is gone'
        )
        assert descendants(process.pid) == []
    assert process.returncode == 0, log.read_text()
    assert 'Traceback' not in log.read_text()
