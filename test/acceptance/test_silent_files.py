# SPDX-License-Identifier: Apache-2.0
"""Files that do not answer, as on a dead mount: the gateway serves, and it ends."""

import os
from pathlib import Path
import signal

import pytest

pytest.importorskip('rclpy', reason='ROS is not installed')

from gateway_process import DEADLINE_SEC, entry_point, nothing_left, started, wait_for


def _opened_by_a_reader(pipe: Path) -> int | None:
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # ENXIO: nobody reads it yet
        return None


def test_a_start_that_waits_for_a_silent_manifest_ends_at_a_signal(tmp_path: Path) -> None:
    """The thread that hangs in it is not waited for."""
    manifest = tmp_path / 'manifest.yaml'
    os.mkfifo(manifest)
    command = entry_point(tmp_path / 'state', {'scripts.manifest': str(manifest)})
    with nothing_left(), started(command, tmp_path) as (process, log):
        writer = wait_for(
            lambda: _opened_by_a_reader(manifest),
            lambda found: found is not None,
            what='the manifest is being read',
        )
        try:
            process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE_SEC) == 0, log.read_text()
        finally:
            os.close(writer)
    assert 'ended before it served' in log.read_text()
